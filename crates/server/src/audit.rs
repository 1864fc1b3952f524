//! Which calls get into the audit trail, what is said about them, and when their answers may go.
//!
//! [`Auditor::before`] is asked before an operation runs, [`Auditor::after`] when it has: the event
//! of a call that is recorded is on stable storage before the answer is sent. Denied calls and, up
//! to a rate, calls without a valid signature are recorded as well.
//!
//! A data call that nobody asked for costs one look at its name.

mod delivery;
mod heard;
mod identity;
mod kinds;
mod retold;
mod words;

use std::sync::Arc;

use http::header;
use http::request::Parts;
use millstream_audit::{
    Event, EventCategory, Note, OpenError, Recorder, Repair, Resource, TlsDetails,
};
use millstream_base::Scope;
use millstream_env::{Disk, Env};
use millstream_streams::Streams;
use millstream_wire::ServiceError;
use parking_lot::Mutex;
use serde_json::Value;

use crate::auth::Caller;
use crate::config;
use crate::ids::{RequestId, RequestIds};
use crate::peer::Peer;
use crate::router::Op;

pub use delivery::Delivery;
pub use heard::{Heard, Notes};
pub use kinds::{Kind, kind_of};
pub use retold::{HIDDEN, is_hidden};
pub use words::without_secrets;

/// The auditor of a node.
pub struct Auditor {
    settings: config::Audit,
    env: Env,
    ids: Arc<RequestIds>,
    recorder: Recorder,
    disk: Arc<dyn Disk>,
    delivery: Option<Delivery>,
    unauthenticated: Mutex<PerSecond>,
}

/// What is to be said about a call that runs.
pub struct Told<'a> {
    pub op: Op,
    pub id: RequestId,
    /// `None`: nobody whose signature was right.
    pub caller: Option<&'a Caller>,
    pub notes: Option<&'a Notes>,
    /// How it ended, if not well.
    pub error: Option<&'a ServiceError>,
    /// The node's own account and region, for calls of nobody.
    pub home: Scope,
}

impl Auditor {
    /// Opens the trail in the root of `trail`'s disk.
    ///
    /// # Errors
    /// It can't be read or continued.
    pub async fn open(
        trail: Env,
        settings: &config::Audit,
        sync: bool,
        ids: Arc<RequestIds>,
    ) -> Result<(Auditor, Option<Repair>), OpenError> {
        let (recorder, repair) = Recorder::open(trail.clone(), settings.options(sync)).await?;
        let auditor = Auditor {
            settings: settings.clone(),
            ids,
            recorder,
            disk: trail.disk.clone(),
            env: trail,
            delivery: None,
            unauthenticated: Mutex::default(),
        };
        Ok((auditor, repair))
    }

    /// Copies each event to `[audit] stream` from now on.
    ///
    /// # Errors
    /// The setting names no stream.
    pub fn deliver(&mut self, streams: &Streams, home: Scope) -> Result<(), String> {
        if !self.settings.stream.is_empty() {
            let delivery = Delivery::start(&self.env, streams, home, &self.settings.stream)?;
            self.delivery = Some(delivery);
        }
        Ok(())
    }

    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub fn delivery(&self) -> Option<&Delivery> {
        self.delivery.as_ref()
    }

    /// Where the trail's files are.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Whether calls of this operation can get into the trail; then their notes are wanted.
    pub fn listens_to(&self, op: Op) -> bool {
        match kind_of(op.info()) {
            Kind::Data => !self.settings.data_events.is_empty(),
            Kind::Read => self.settings.management == config::Management::All,
            Kind::Write => self.settings.management != config::Management::None,
        }
    }

    /// Notes for a call of this operation, if they are wanted.
    pub fn notes(&self, op: Op) -> Option<Notes> {
        self.listens_to(op).then(|| Notes::new(kind_of(op.info()), op.info().name))
    }

    /// Before an operation runs: can it be recorded?
    ///
    /// # Errors
    /// The trail can't be written, and such calls are to be refused then.
    pub fn before(&self, op: Op) -> Result<(), ServiceError> {
        if self.recorder.is_writable() || !self.must_record(op) {
            return Ok(());
        }
        Err(words::unaudited())
    }

    fn must_record(&self, op: Op) -> bool {
        self.settings.unwritable == config::Unwritable::Refuse
            && kind_of(op.info()) != Kind::Data
            && self.listens_to(op)
    }

    /// After an operation ran or was refused; returns when its event is durable.
    ///
    /// # Errors
    /// What the client is to be told instead of the answer: that its call was not recorded.
    pub async fn after(&self, parts: &Parts, told: Told<'_>) -> Result<(), ServiceError> {
        if !self.listens_to(told.op) || !self.selects(&told) {
            return Ok(());
        }
        let op = told.op;
        let stranger = told.caller.is_none_or(|c| identity::is_nobody(c) && told.error.is_some());
        if stranger {
            self.offer_unauthenticated(parts, told);
            return Ok(());
        }
        let event = self.event(parts, told).text();
        if let Some(delivery) = &self.delivery {
            delivery.offer(&event);
        }
        match self.recorder.record(event).await {
            Ok(()) => Ok(()),
            Err(error) if self.must_record(op) => {
                tracing::error!(%error, operation = op.name(), "a call ran and is not audited");
                Err(words::unaudited())
            }
            Err(error) => {
                tracing::debug!(%error, operation = op.name(), "a call is not audited yet");
                Ok(())
            }
        }
    }

    /// A call that had begun when its client went away: it may have been done or not. Written soon;
    /// there is no answer that would have to wait for it.
    pub fn abandoned(&self, parts: &Parts, told: Told<'_>) {
        let error = words::abandoned();
        let told = Told { error: Some(&error), ..told };
        if !self.listens_to(told.op) || !self.selects(&told) {
            return;
        }
        let event = self.event(parts, told).text();
        if let Some(delivery) = &self.delivery {
            delivery.offer(&event);
        }
        if let Err(error) = self.recorder.offer(event) {
            tracing::error!(%error, "a call that its client left is not audited");
        }
    }

    /// Data calls by the streams that they name. One that names none (GetRecords with nothing but
    /// an iterator) is selected whenever any stream is: rather an event too many.
    fn selects(&self, told: &Told<'_>) -> bool {
        if kind_of(told.op.info()) != Kind::Data {
            return true;
        }
        let selected = &self.settings.data_events;
        let Some(asked) = told.notes.and_then(Notes::request) else { return true };
        if selected.iter().any(|selector| selector == "*") {
            return true;
        }
        let named = ["streamName", "streamARN", "consumerARN", "queueARN"];
        let mut named = named.iter().filter_map(|name| asked[*name].as_str()).peekable();
        named.peek().is_none()
            || named.any(|name| selected.iter().any(|selector| is_selected(selector, name)))
    }

    /// Strangers must not fill the disk: only so many per second are recorded, nobody waits for it.
    fn offer_unauthenticated(&self, parts: &Parts, told: Told<'_>) {
        let now = self.env.now().as_secs();
        let max = self.settings.unauthenticated_per_sec_max;
        let (recorded, passed_over) = self.unauthenticated.lock().admit(now, max);
        if passed_over > 0 {
            self.recorder.note(Note::Unrecorded { unauthenticated_calls: passed_over });
        }
        if recorded {
            let _ = self.recorder.offer(self.event(parts, told).text());
        }
    }

    fn event(&self, parts: &Parts, told: Told<'_>) -> Event {
        let peer = Peer::of(parts);
        let operation = told.op.info();
        let kind = kind_of(operation);
        let scope = told.caller.map_or(&told.home, |caller| &caller.scope);
        let account = scope.account.to_string();
        let asked = told.notes.and_then(Notes::request).cloned().unwrap_or(Value::Null);
        let answered = told.notes.and_then(Notes::response).cloned().unwrap_or(Value::Null);
        let mut event = Event::at(self.env.now());
        event.resources = kinds::resources(operation, scope, &asked, &answered)
            .into_iter()
            .map(|(kind, arn)| Resource { account_id: account.clone(), kind: kind.to_owned(), arn })
            .collect();
        event.user_identity = identity::of(told.caller, parts);
        event.event_source = kinds::source(operation.service);
        event.event_name = operation.name.to_owned();
        event.aws_region = scope.region.to_string();
        event.source_ip_address = peer.address.ip().to_canonical().to_string();
        event.user_agent = text_of(parts, header::USER_AGENT);
        event.error_code = told.error.map(|error| error.code.to_string());
        let message = told.error.and_then(|error| error.message.as_deref());
        event.error_message = message.map(without_secrets);
        event.request_parameters = asked;
        event.response_elements = answered;
        event.request_id = told.id.as_str().to_owned();
        event.event_id = self.ids.next().as_str().to_owned();
        event.read_only = kinds::is_read_only(operation);
        event.management_event = kind != Kind::Data;
        event.event_category = match kind {
            Kind::Data => EventCategory::Data,
            Kind::Read | Kind::Write => EventCategory::Management,
        };
        event.recipient_account_id = account;
        event.vpc_endpoint_id = peer.door.endpoint_id.clone();
        event.tls_details = peer.tls.as_ref().map(|tls| TlsDetails {
            tls_version: tls.version.to_owned(),
            cipher_suite: tls.cipher.to_owned(),
            client_provided_host_header: text_of(parts, header::HOST),
        });
        event
    }

    /// Writes what waits, and ends.
    pub async fn close(&self) {
        if let Some(delivery) = &self.delivery {
            delivery.stop();
        }
        self.recorder.close().await;
        let head = self.recorder.head();
        tracing::info!(entries = head.n, hash = %head.hash, "the audit trail ends here");
    }
}

fn text_of(parts: &Parts, name: header::HeaderName) -> Option<String> {
    parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// A selector is a name or an ARN; so is what a call names.
fn is_selected(selector: &str, named: &str) -> bool {
    let name = |text: &str| {
        let resource = text.rsplit(':').find(|part| part.contains('/')).unwrap_or(text);
        let name = resource.split('/').nth(1).unwrap_or(resource);
        name.to_owned()
    };
    match (selector.starts_with("arn:"), named.starts_with("arn:")) {
        (true, true) => {
            named == selector
                || named.strip_prefix(selector).is_some_and(|rest| rest.starts_with('/'))
        }
        _ => name(selector) == name(named),
    }
}

/// How many of a second were admitted, and how many not.
#[derive(Default)]
struct PerSecond {
    second: u64,
    admitted: u32,
    passed_over: u64,
}

impl PerSecond {
    /// Whether one more is admitted; and, at the first of a later second, how many were not.
    fn admit(&mut self, second: u64, max: u32) -> (bool, u64) {
        let mut passed_over = 0;
        if second != self.second {
            passed_over = self.passed_over;
            *self = PerSecond { second, ..PerSecond::default() };
        }
        let admitted = self.admitted < max;
        match admitted {
            true => self.admitted += 1,
            false => self.passed_over += 1,
        }
        (admitted, passed_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_selected_by_name_or_arn() {
        let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
        let consumer = format!("{arn}/consumer/c:1");
        for (selector, named, expected) in [
            ("orders", "orders", true),
            ("orders", arn, true),
            ("orders", consumer.as_str(), true),
            (arn, arn, true),
            (arn, consumer.as_str(), true),
            (arn, "orders", true),
            ("orders", "orders2", false),
            (arn, "arn:aws:kinesis:us-east-1:000000000000:stream/orders2", false),
            (arn, "arn:aws:kinesis:eu-west-1:000000000000:stream/orders", false),
        ] {
            assert_eq!(is_selected(selector, named), expected, "{selector} {named}");
        }
    }

    #[test]
    fn a_second_admits_so_many_and_counts_the_rest() {
        let mut rate = PerSecond::default();
        let first: Vec<_> = (0..5).map(|_| rate.admit(7, 3)).collect();
        assert_eq!(first, [(true, 0), (true, 0), (true, 0), (false, 0), (false, 0)]);
        assert_eq!(rate.admit(8, 3), (true, 2));
        assert_eq!(rate.admit(9, 3), (true, 0));
    }
}

//! CloudTrail, as far as looking up goes: what happened in the caller's account and region.

pub mod errors;
mod token;

use std::sync::Arc;

use millstream_api::cloudtrail as api;
use millstream_audit::{Attribute, Page, Query, lookup};
use millstream_base::Timestamp;
use millstream_env::Env;
use millstream_wire::{ServiceError, Time};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::Call;
use crate::access;
use crate::audit::Auditor;

/// Events of one answer, at most and if nothing else is said.
///
/// Source: API reference, LookupEvents: "The default number of results returned is 50, with a
/// maximum of 50 possible."
const EVENTS_MAX: i32 = 50;
/// Lookups that read at once, of all callers.
const LOOKUPS_MAX: usize = 2;

/// The service, on the node's audit trail.
pub struct CloudTrail {
    env: Env,
    /// `None`: the node keeps no trail.
    auditor: Option<Arc<Auditor>>,
    turns: Semaphore,
}

impl CloudTrail {
    pub fn new(env: Env, auditor: Option<Arc<Auditor>>) -> Self {
        CloudTrail { env, auditor, turns: Semaphore::new(LOOKUPS_MAX) }
    }
}

impl api::CloudTrail for CloudTrail {
    type Ctx = Call;

    async fn authorise(&self, call: &Call, request: api::Request<'_>) -> Result<(), ServiceError> {
        let op = match request {
            api::Request::LookupEvents(_) => api::Op::LookupEvents,
        };
        access::allowed_operation(call, "cloudtrail", op.name(), "*", access::context())
            .map_err(errors::access_denied)
    }

    async fn lookup_events(
        &self,
        call: &Call,
        input: api::LookupEventsRequest,
    ) -> Result<api::LookupEventsResponse, ServiceError> {
        let auditor = self.auditor.as_ref().ok_or_else(errors::no_trail)?;
        match &input.event_category {
            None => {}
            Some(api::EventCategory::Insight) => return Ok(api::LookupEventsResponse::default()),
            Some(api::EventCategory::Other(name)) => return Err(errors::event_category(name)),
        }
        let mut query = query(call, &input)?;
        let fingerprint = token::fingerprint(&query);
        query.cursor = input.next_token.map(|t| token::read(&t, fingerprint)).transpose()?;
        let _turn = self.turns.acquire().await;
        let disk = auditor.disk().clone();
        let page = self.env.blocking(move || lookup(&*disk, &query)).await;
        let page = page.map_err(|error| errors::unreadable(&error))?;
        Ok(api::LookupEventsResponse {
            events: Some(page.events.iter().map(event).collect()),
            next_token: page.next.map(|cursor| token::text(cursor, fingerprint)),
        })
    }
}

fn query(call: &Call, input: &api::LookupEventsRequest) -> Result<Query, ServiceError> {
    let (from, to) = (input.start_time.map(timestamp), input.end_time.map(timestamp));
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(errors::time_range());
    }
    let attributes = input.lookup_attributes.as_deref().unwrap_or_default();
    if attributes.len() > 1 {
        return Err(errors::several_attributes());
    }
    let attributes = attributes
        .iter()
        .map(|asked| Ok((attribute(&asked.attribute_key)?, asked.attribute_value.clone())));
    let scope = &call.caller.scope;
    Ok(Query {
        account: Some(scope.account.to_string()),
        region: Some(scope.region.to_string()),
        attributes: attributes.collect::<Result<_, ServiceError>>()?,
        from,
        to,
        management_only: true,
        count_max: input.max_results.unwrap_or(EVENTS_MAX).clamp(1, EVENTS_MAX) as usize,
        cursor: None,
    })
}

fn attribute(key: &api::LookupAttributeKey) -> Result<Attribute, ServiceError> {
    use api::LookupAttributeKey as Key;
    Ok(match key {
        Key::EventId => Attribute::EventId,
        Key::EventName => Attribute::EventName,
        Key::ReadOnly => Attribute::ReadOnly,
        Key::Username => Attribute::Username,
        Key::ResourceType => Attribute::ResourceType,
        Key::ResourceName => Attribute::ResourceName,
        Key::EventSource => Attribute::EventSource,
        Key::AccessKeyId => Attribute::AccessKeyId,
        Key::Other(name) => return Err(errors::unknown_attribute(name)),
    })
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_millis(u64::try_from(time.as_millis()).unwrap_or(0))
}

fn event(event: &Value) -> api::Event {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let resources = Page::resources(event).into_iter().map(|(kind, name)| api::Resource {
        resource_type: Some(kind.to_owned()),
        resource_name: Some(name.to_owned()),
    });
    let time = event["eventTime"].as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    api::Event {
        event_id: text(&event["eventID"]),
        event_name: text(&event["eventName"]),
        read_only: event["readOnly"].as_bool().map(|is| is.to_string()),
        access_key_id: text(&event["userIdentity"]["accessKeyId"]),
        event_time: time.map(|time| Time::from_secs(time.as_second())),
        event_source: text(&event["eventSource"]),
        username: Page::username(event).map(str::to_owned),
        resources: Some(resources.collect()),
        cloud_trail_event: Some(event.to_string()),
    }
}

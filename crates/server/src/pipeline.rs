//! One request from head to answer; [`Pipeline::serve`] is the way, read it from top to bottom.
//!
//! Promises: every request gets exactly one answer, within bounds of memory and time; what went
//! wrong is told in AWS's words and counted; nothing is logged at level info for requests that
//! went well and fast.
//!
//! Knows no socket: the body may come from anywhere, so tests and fuzzers call it directly.

mod answer;
mod answers;
mod hot;

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use millstream_api::{cloudtrail, cloudwatch, iam, kinesis, kms, sts};
use millstream_env::Env;
use millstream_wire::operation::Body as ReplyBody;
use millstream_wire::query::Query;
use millstream_wire::{Codec, Reply, Rpc, ServiceError};
use tokio::time::Instant;

use crate::access::Origin;
use crate::audit::{Auditor, Heard, Notes, Told, without_secrets};
use crate::auth::{Authenticator, Caller};
use crate::body::{BodyError, BodyReader, ConnectionMemory, Reading, RequestBody};
use crate::dialect::{self, Dialect};
use crate::front_door::{self, Refusal};
use crate::gzip::{self, GzipError};
use crate::ids::{RequestId, RequestIds};
use crate::metrics::{self, Metrics, Observation};
use crate::router::{self, Input, Op, Target, Visit};
use crate::services::Call;
use crate::services::cloudtrail::CloudTrail;
use crate::services::cloudwatch::CloudWatch;
use crate::services::iam::Iam;
use crate::services::kinesis::DataStreams;
use crate::services::kms::KeyService;
use crate::services::sts::Sts;

pub use answer::{AnswerBody, AnswerParts, PART_BYTES};
pub use answers::AnswerMemory;

/// Everything a request needs on its way.
pub struct Pipeline {
    pub(crate) env: Env,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) bodies: BodyReader,
    pub(crate) answers: AnswerMemory,
    pub(crate) authenticator: Authenticator,
    pub(crate) kinesis: DataStreams,
    pub(crate) cloudwatch: CloudWatch,
    pub(crate) iam: Iam,
    pub(crate) sts: Sts,
    pub(crate) kms: KeyService,
    pub(crate) cloudtrail: CloudTrail,
    /// `None`: nothing is recorded.
    pub(crate) auditor: Option<Arc<Auditor>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) slow_request_time: Duration,
    /// `/readyz` says yes: from the end of recovery to the beginning of the drain.
    pub(crate) ready: AtomicBool,
}

/// What became known of a request on its way, for counting and logging.
#[derive(Default)]
struct Seen {
    op: Option<(Op, Dialect)>,
    request_bytes: u64,
    /// Who called, once that is proven.
    caller: Option<Caller>,
    /// What an audit wants to know of the call.
    notes: Option<Notes>,
}

/// A request until it is in the audit trail. Who goes away before that, once his call has begun,
/// can't keep it out of there.
struct Watched<'a> {
    pipeline: &'a Pipeline,
    parts: &'a Parts,
    id: RequestId,
    /// `None` at the end.
    seen: Option<Seen>,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let Watched { pipeline, parts, id, seen } = self;
        if let Some(seen) = seen
            && let (Some(auditor), Some((op, _)), true) =
                (&pipeline.auditor, seen.op, seen.caller.is_some())
        {
            auditor.abandoned(parts, pipeline.told(op, *id, seen, None));
        }
    }
}

impl Pipeline {
    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<AnswerBody>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        if let Some(page) = self.own_page(&parts) {
            return page;
        }
        if let Some(page) = self.hot_page(&parts).await {
            return page;
        }
        let id = self.ids.next();
        let mut watched =
            Watched { pipeline: self, parts: &parts, id, seen: Some(Seen::default()) };
        let seen = watched.seen.as_mut().expect("taken at the end only");
        let served = {
            let span = tracing::debug_span!(
                "request",
                %id,
                operation = tracing::field::Empty,
                stream = tracing::field::Empty,
            );
            let serve = self.serve(&parts, body, id, seen);
            // A broken promise of our own costs this request only, and is told and counted.
            let serve = AssertUnwindSafe(tracing::Instrument::instrument(serve, span));
            serve.catch_unwind().await.unwrap_or_else(|_| Err(broken_promise(&parts)))
        };
        let served = self.audit(&parts, id, seen, served).await;
        let seen = watched.seen.take().expect("taken here only");
        let served = self.answers.hold(served, seen.op.map(|(_, dialect)| dialect));
        let response = respond(&parts, id, &served);
        self.note(id, &seen, &served, started.elapsed());
        response.map(|body| answer::finish(body, served.ok()))
    }

    /// The operations of AWS's model that answer `UnknownOperationException` here.
    pub fn unimplemented(&self) -> Vec<kinesis::Op> {
        let id = self.ids.next();
        self.kinesis.unimplemented(&Call { id, caller: self.authenticator.nobody(), origin: None })
    }

    /// Decodes, validates, authorises and runs a request of `caller`, whoever that is; for tests of
    /// what comes after authentication.
    #[doc(hidden)]
    pub async fn run_as(
        &self,
        caller: Caller,
        origin: Option<Arc<Origin>>,
        op: Op,
        body: Bytes,
    ) -> Result<Reply, ServiceError> {
        let call = Call { id: self.ids.next(), caller, origin };
        let input = Input::Body(Codec::Json, body);
        let target = Target { op, dialect: Codec::Json.into(), input };
        self.dispatch(&call, target, None).await.map_err(|refusal| match refusal {
            Refusal::Error(error, _) => error,
            other => ServiceError::internal_failure(format!("{:?}", other.code())),
        })
    }

    /// The way of every request.
    async fn serve<B>(
        &self,
        parts: &Parts,
        body: B,
        id: RequestId,
        seen: &mut Seen,
    ) -> Result<Reply, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        front_door::check_method(parts)?;
        let visit = router::visit(parts);
        let body = self.read_body(parts, body, &visit).await?;
        seen.request_bytes = body.bytes.len() as u64;
        let target = match visit {
            None => match router::unsigned(parts, &body.bytes) {
                Some(target) => target,
                None => router::home(parts, body.bytes)?,
            },
            Some(visit) => {
                let bytes = unpack(parts, body.bytes, &visit)?;
                visit.target(bytes)?
            }
        };
        seen.op = Some((target.op, target.dialect));
        seen.notes = self.auditor.as_ref().and_then(|auditor| auditor.notes(target.op));
        tracing::Span::current().record("operation", target.op.name());
        let service = target.op.info().service;
        let caller = match target.op {
            Op::Sts(sts::Op::AssumeRoleWithWebIdentity) => Ok(self.authenticator.bearer()),
            _ => {
                let (hash, now) = (body.hash.as_deref(), self.env.now());
                self.authenticator.authenticate(parts, hash, now, service)
            }
        };
        let caller = caller.map_err(|error| unauthenticated(error, &target))?;
        if let Some(auditor) = &self.auditor {
            let refused = |error| Refusal::Error(error, target.dialect);
            auditor.before(target.op).map_err(refused)?;
        }
        seen.caller = seen.notes.is_some().then(|| caller.clone());
        let origin = caller.who.is_some().then(|| Origin::of(parts, self.env.now()));
        let call = Call { id, caller, origin };
        let _memory = body.memory; // until the answer is made
        self.dispatch(&call, target, seen.notes.as_ref()).await
    }

    /// The answer, once the call is in the audit trail where it has to be.
    async fn audit(
        &self,
        parts: &Parts,
        id: RequestId,
        seen: &Seen,
        served: Result<Reply, Refusal>,
    ) -> Result<Reply, Refusal> {
        let (Some(auditor), Some((op, dialect)), true) =
            (&self.auditor, seen.op, seen.notes.is_some())
        else {
            return served;
        };
        let error = served.as_ref().err().and_then(Refusal::error);
        match auditor.after(parts, self.told(op, id, seen, error)).await {
            Ok(()) => served,
            Err(error) => Err(Refusal::Error(error, dialect)),
        }
    }

    fn told<'a>(
        &self,
        op: Op,
        id: RequestId,
        seen: &'a Seen,
        error: Option<&'a ServiceError>,
    ) -> Told<'a> {
        let home = self.authenticator.nobody().scope;
        Told { op, id, caller: seen.caller.as_ref(), notes: seen.notes.as_ref(), error, home }
    }

    /// Decodes, validates, authorises, runs and encodes.
    async fn dispatch(
        &self,
        call: &Call,
        target: Target,
        notes: Option<&Notes>,
    ) -> Result<Reply, Refusal> {
        let Target { op, dialect, input } = target;
        let reply = match input {
            Input::Body(codec, body) => {
                let rpc = Heard::new(Rpc { codec, body }, notes);
                match op {
                    Op::Kinesis(op) => kinesis::dispatch(&self.kinesis, call, op, rpc).await,
                    Op::CloudWatch(op) => {
                        cloudwatch::dispatch(&self.cloudwatch, call, op, rpc).await
                    }
                    Op::CloudTrail(op) => {
                        cloudtrail::dispatch(&self.cloudtrail, call, op, rpc).await
                    }
                    Op::Kms(op) => kms::dispatch(&self.kms, call, op, rpc).await,
                    Op::Iam(_) | Op::Sts(_) => Err(ServiceError::unknown_operation()),
                }
            }
            Input::Form(form) => {
                let request_id = call.id.as_str().to_owned();
                let query = Heard::new(Query { form, request_id }, notes);
                match op {
                    Op::CloudWatch(op) => {
                        cloudwatch::dispatch(&self.cloudwatch, call, op, query).await
                    }
                    Op::Iam(op) => iam::dispatch(&self.iam, call, op, query).await,
                    Op::Sts(op) => sts::dispatch(&self.sts, call, op, query).await,
                    Op::Kinesis(_) | Op::CloudTrail(_) | Op::Kms(_) => {
                        Err(ServiceError::unknown_operation())
                    }
                }
            }
        };
        let mut reply = reply.map_err(|error| Refusal::Error(error, dialect))?;
        if let Dialect::QueryCompatible(codec, _) = dialect
            && let Some(name) = dialect::protocol(codec)
        {
            reply.headers.push(("smithy-protocol".into(), name.to_owned()));
        }
        Ok(reply)
    }

    async fn read_body<B>(
        &self,
        parts: &Parts,
        body: B,
        visit: &Option<Visit>,
    ) -> Result<RequestBody, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send,
    {
        let reading = Reading {
            hash: self.authenticator.wants_hash(parts),
            drain: !parts.headers.contains_key(header::EXPECT),
            connection: parts.extensions.get::<ConnectionMemory>().cloned(),
        };
        let refused = |error| {
            let dialect = visit.as_ref().map_or(codec_asked(parts).into(), Visit::dialect);
            refuse_body(error, dialect)
        };
        self.bodies.read(body, reading).await.map_err(refused)
    }

    /// Pages of the node itself; all other paths are AWS's, which doesn't look at them.
    fn own_page(&self, parts: &Parts) -> Option<Response<AnswerBody>> {
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return None;
        }
        let ready = self.ready.load(Ordering::Relaxed);
        let (status, content_type, text) = match parts.uri.path() {
            "/healthz" => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
            "/readyz" if ready => (StatusCode::OK, "text/plain", "ready\n".to_owned()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ready\n".to_owned()),
            "/metrics" => (StatusCode::OK, metrics::CONTENT_TYPE, self.metrics.render()),
            _ => return None,
        };
        let mut response = Response::new(AnswerBody::whole(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Some(response)
    }

    /// Counts the request; names it in the log if it failed in the server or was slow.
    fn note(&self, id: RequestId, seen: &Seen, served: &Result<Reply, Refusal>, took: Duration) {
        let (error, response_bytes) = match served {
            Ok(reply) => (None, whole_bytes(reply)),
            Err(refusal) => (refusal.code(), 0),
        };
        self.metrics.requests().observe(Observation {
            operation: seen.op.map(|(op, _)| op.index()),
            error,
            took,
            request_bytes: seen.request_bytes,
            response_bytes,
        });
        let operation = seen.op.map_or("-", |(op, _)| op.name());
        let took_ms = took.as_millis() as u64;
        match served {
            Err(Refusal::Error(error, _)) if error.status >= 500 => {
                let message = error.message.as_deref().unwrap_or("");
                tracing::error!(%id, operation, code = %error.code, message, took_ms, "failed");
            }
            Err(Refusal::Error(error, _)) => {
                let message = without_secrets(error.message.as_deref().unwrap_or(""));
                tracing::debug!(%id, operation, code = %error.code, message, took_ms, "refused");
            }
            Err(refusal) => {
                tracing::debug!(%id, code = refusal.code().unwrap_or("-"), took_ms, "refused");
            }
            Ok(_) if took >= self.slow_request_time => {
                let bytes = seen.request_bytes;
                tracing::warn!(%id, operation, bytes, took_ms, "slow");
            }
            Ok(_) => tracing::debug!(%id, operation, took_ms, "served"),
        }
    }
}

/// Status and headers of the answer, and the bytes of a refusal.
fn respond(request: &Parts, id: RequestId, served: &Result<Reply, Refusal>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let preflight = matches!(served, Err(Refusal::Preflight));
    match served {
        Ok(reply) => {
            *response.status_mut() = dialect::status_of(reply.status);
            let headers = response.headers_mut();
            let content_type = match &reply.content_type {
                Cow::Borrowed(name) => Ok(HeaderValue::from_static(name)),
                Cow::Owned(name) => HeaderValue::from_str(name),
            };
            if let Ok(value) = content_type {
                headers.insert(header::CONTENT_TYPE, value);
            }
            for (name, value) in &reply.headers {
                if let (Ok(name), Ok(value)) =
                    (header::HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value))
                {
                    headers.insert(name, value);
                }
            }
        }
        Err(refusal) => {
            let answer = refusal.answer(id);
            *response.status_mut() = answer.status;
            *response.body_mut() = answer.body;
            let headers = response.headers_mut();
            if let Some(value) = answer.content_type {
                headers.insert(header::CONTENT_TYPE, value);
            }
            if let Some(value) = answer.error_type.and_then(|t| HeaderValue::try_from(t).ok()) {
                headers.insert("x-amzn-errortype", value);
            }
            if let Some(value) = answer.query_error.and_then(|t| HeaderValue::try_from(t).ok()) {
                headers.insert("x-amzn-query-error", value);
            }
            if let Some(value) = answer.protocol {
                headers.insert("smithy-protocol", HeaderValue::from_static(value));
            }
            if closes_connection(answer.status) && request.version < http::Version::HTTP_2 {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
        }
    }
    let headers = response.headers_mut();
    headers.insert("x-amzn-requestid", id.header());
    if !preflight {
        headers.insert("x-amz-id-2", id.extended_header());
    }
    front_door::add_cors_headers(request, headers);
    response
}

/// Part of the body is unread then, and may never come.
fn closes_connection(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::SERVICE_UNAVAILABLE
    )
}

fn whole_bytes(reply: &Reply) -> u64 {
    match &reply.body {
        ReplyBody::Whole(bytes) => bytes.len() as u64,
        ReplyBody::Stream(_) => 0,
    }
}

/// A body that can't be parsed comes before a missing or wrong signature.
fn unauthenticated(error: ServiceError, target: &Target) -> Refusal {
    let malformed = match &target.input {
        Input::Body(codec, body) => front_door::malformed(*codec, body),
        Input::Form(_) => None,
    };
    let error = match (target.dialect, &*error.code) {
        // STS has an error of the other name of its own.
        (Dialect::Query(_), "ExpiredTokenException") => {
            ServiceError { code: "ExpiredToken".into(), status: 403, ..error }
        }
        _ => error,
    };
    Refusal::Error(malformed.unwrap_or(error), target.dialect)
}

/// The body of a request to a guest as it was before the client packed it.
fn unpack(parts: &Parts, body: Bytes, visit: &Visit) -> Result<Bytes, Refusal> {
    let max = visit.guest.body_bytes_max;
    let unpacked = match gzip::is_gzip(&parts.headers) {
        true => gzip::unpack(&body, max),
        false if body.len() > max => Err(GzipError::TooLarge { max }),
        false => Ok(body),
    };
    unpacked.map_err(|error| {
        let error = match error {
            GzipError::TooLarge { max } => BodyError::TooLarge { max: max as u64 },
            GzipError::Malformed => BodyError::Broken,
        };
        refuse_body(error, visit.dialect())
    })
}

fn broken_promise(parts: &Parts) -> Refusal {
    let error = ServiceError::internal_failure("Internal service failure.");
    Refusal::Error(error, codec_asked(parts).into())
}

/// For answers that are given before the target is known.
fn codec_asked(parts: &Parts) -> Codec {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    content_type.and_then(Codec::of_content_type).unwrap_or(Codec::Json)
}

fn refuse_body(error: BodyError, dialect: Dialect) -> Refusal {
    let (code, status) = match error {
        BodyError::TooLarge { .. } => ("RequestEntityTooLargeException", 413),
        BodyError::TooSlow { .. } | BodyError::TooSlowly { .. } => ("RequestTimeoutException", 408),
        BodyError::Busy { .. } => ("ServiceUnavailable", 503),
        BodyError::Broken => ("SerializationException", 400),
    };
    let error = match error {
        BodyError::Broken => ServiceError::bare(code, status),
        BodyError::TooLarge { max } => ServiceError::new(
            code,
            status,
            format!("The request body exceeds the maximum of {max} bytes."),
        ),
        BodyError::TooSlowly { rate_min } => ServiceError::new(
            code,
            status,
            format!("The request body arrives with less than {rate_min} bytes per second."),
        ),
        BodyError::Busy { .. } => {
            ServiceError::new(code, status, "The node is busy. Please try again later.")
        }
        BodyError::TooSlow { time } => ServiceError::new(
            code,
            status,
            format!("The request body did not arrive within {} seconds.", time.as_secs_f32()),
        ),
    };
    Refusal::Error(error, dialect)
}

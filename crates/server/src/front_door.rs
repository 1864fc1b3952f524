//! What AWS answers before an operation runs: methods, content types, targets, and the odd forms
//! of old. One function per step; the pipeline calls them in this order.
//!
//! The cases and their order were recorded from AWS by others; the table stands in the product's
//! reference of Data Streams ("front door").

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use millstream_api::kinesis::{Op, SERVICE};
use millstream_wire::{Codec, DecodeError, ServiceError, shape};

use crate::dialect::{Answer, Dialect, status_of};
use crate::ids::RequestId;

/// An answer that no operation gives.
#[derive(Debug)]
pub enum Refusal {
    /// A browser asks what it may do.
    Preflight,
    /// Neither service nor operation can be told.
    AccessDenied,
    /// A target, but with a content type of another protocol.
    UnknownOperationXml,
    /// The same with `application/json`, in the envelope of the oldest protocol.
    OldEnvelope { code: &'static str, status: u16 },
    /// The ordinary form.
    Error(ServiceError, Dialect),
}

/// What is to run, and how it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub op: Op,
    pub codec: Codec,
}

const ACCESS_DENIED: &str = "<AccessDeniedException>\n  <Message>Unable to determine \
                             service/operation name to be authorized</Message>\n\
                             </AccessDeniedException>\n";
const UNKNOWN_OPERATION: &str = "<UnknownOperationException/>\n";
const EXPOSED_HEADERS: &str =
    "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date";
/// Seconds for which a browser may remember a preflight's answer.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("172800");

/// Preflights, and all else but POST.
pub fn check_method(parts: &Parts) -> Result<(), Refusal> {
    match parts.method {
        Method::POST => Ok(()),
        Method::OPTIONS if parts.headers.contains_key(header::ORIGIN) => Err(Refusal::Preflight),
        _ => Err(Refusal::AccessDenied),
    }
}

/// The operation and codec that headers and body name.
///
/// The body is not parsed here but where the answer hangs on it: a body that can't be read comes
/// before an unknown target on AWS.
pub fn target(parts: &Parts, body: &Bytes) -> Result<Target, Refusal> {
    let content_type = content_type(&parts.headers);
    let codec = kinesis_codec(content_type);
    let target = parts.headers.get("x-amz-target").map(|v| v.as_bytes());
    let op = target.and_then(operation);
    if body.is_empty() {
        let codec = codec.unwrap_or(Codec::Cbor);
        let error = match op {
            Some(_) => ServiceError::bare("SerializationException", 400),
            None => ServiceError::unknown_operation(),
        };
        return Err(Refusal::Error(error, codec.into()));
    }
    match (codec, target, op) {
        (Some(codec), _, Some(op)) => Ok(Target { op, codec }),
        (Some(codec), _, None) => {
            let error = malformed(codec, body).unwrap_or_else(ServiceError::unknown_operation);
            Err(Refusal::Error(error, codec.into()))
        }
        (None, None, _) => Err(Refusal::AccessDenied),
        (None, Some(_), _) if content_type.eq_ignore_ascii_case("application/json") => {
            let (code, status) = match malformed(Codec::RestJson, body) {
                Some(_) => ("SerializationException", 400),
                None => ("UnknownOperationException", 404),
            };
            Err(Refusal::OldEnvelope { code, status })
        }
        (None, Some(_), _) => Err(Refusal::UnknownOperationXml),
    }
}

/// The error of a body that is not an object of its codec at all; it comes before any error of
/// authentication.
pub fn malformed(codec: Codec, body: &Bytes) -> Option<ServiceError> {
    match codec.decode::<Anything>(body) {
        Err(DecodeError::Malformed) => Some(DecodeError::Malformed.into()),
        _ => None,
    }
}

shape! {
    /// A structure none of whose members are looked at.
    pub struct Anything {}
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim()
}

fn kinesis_codec(content_type: &str) -> Option<Codec> {
    Codec::of_content_type(content_type).filter(|c| matches!(c, Codec::Json | Codec::Cbor))
}

fn operation(target: &[u8]) -> Option<Op> {
    let name = target.strip_prefix(SERVICE.target.as_bytes())?.strip_prefix(b".")?;
    Op::named(std::str::from_utf8(name).ok()?)
}

impl Refusal {
    /// The error of the ordinary form.
    pub fn error(&self) -> Option<&ServiceError> {
        match self {
            Refusal::Error(error, _) => Some(error),
            _ => None,
        }
    }

    /// The code that the answer carries, for counting; `None` where nothing failed.
    pub fn code(&self) -> Option<&str> {
        match self {
            Refusal::Preflight => None,
            Refusal::AccessDenied => Some("AccessDeniedException"),
            Refusal::UnknownOperationXml => Some("UnknownOperationException"),
            Refusal::OldEnvelope { code, .. } => Some(code),
            Refusal::Error(error, _) => Some(&error.code),
        }
    }

    pub fn answer(&self, id: RequestId) -> Answer {
        let plain = |status, body: &'static str| Answer {
            status,
            content_type: None,
            error_type: None,
            query_error: None,
            protocol: None,
            body: Bytes::from_static(body.as_bytes()),
        };
        match self {
            Refusal::Preflight => plain(StatusCode::OK, ""),
            Refusal::AccessDenied => plain(StatusCode::FORBIDDEN, ACCESS_DENIED),
            Refusal::UnknownOperationXml => plain(StatusCode::NOT_FOUND, UNKNOWN_OPERATION),
            Refusal::OldEnvelope { code, status } => Answer {
                status: status_of(*status),
                content_type: Some(HeaderValue::from_static("application/json")),
                error_type: None,
                query_error: None,
                protocol: None,
                body: Bytes::from(format!(
                    "{{\"Output\":{{\"__type\":\"com.amazon.coral.service#{code}\"}},\
                     \"Version\":\"1.0\"}}"
                )),
            },
            Refusal::Error(error, dialect) => dialect.answer(error, id),
        }
    }
}

/// What browsers need to be let through; nothing for all others.
pub fn add_cors_headers(request: &Parts, answer: &mut HeaderMap) {
    if !request.headers.contains_key(header::ORIGIN) {
        return;
    }
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if request.method != Method::OPTIONS {
        let exposed = HeaderValue::from_static(EXPOSED_HEADERS);
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        return;
    }
    for (asked, allowed) in [
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
    ] {
        if let Some(value) = request.headers.get(asked) {
            answer.insert(allowed, value.clone());
        }
    }
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
}

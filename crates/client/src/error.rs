//! What can go wrong with a call, and whom to blame.

use std::time::Duration;

use bytes::Bytes;
use millstream_wire::Codec;

use crate::retry::Blame;

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service answered with an error.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// No answer: no connection, or it broke.
    #[error("{place}: {reason}")]
    Transport { place: String, reason: String },
    /// No answer in time.
    #[error("no answer within {after:?}")]
    Timeout { after: Duration },
    /// The answer is not what the protocol says.
    #[error("the answer can't be read: {0}")]
    Decode(String),
    /// The request can't be written, or breaks its shape's constraints.
    #[error("the request is not valid: {0}")]
    Invalid(String),
    #[error("no credentials: {0}")]
    Credentials(String),
    #[error("no region: give --region, AWS_REGION, or a region in the profile")]
    NoRegion,
    #[error("the request can't be signed: {0}")]
    Signing(String),
    #[error(transparent)]
    Endpoint(#[from] crate::endpoint::EndpointError),
}

/// An error that the service answered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}{}", said(.message), request(.request_id))]
pub struct ServiceError {
    pub status: u16,
    /// The error's shape: `ResourceNotFoundException`.
    pub code: String,
    pub message: String,
    /// `x-amzn-RequestId`, for the service's logs.
    pub request_id: Option<String>,
}

impl ServiceError {
    /// Reads the error that an answer with another status than 2xx holds.
    ///
    /// A body in another codec than the request's (some servers know only JSON) is read as well.
    pub fn read(codec: Codec, status: u16, error_type: Option<&str>, body: &Bytes) -> Self {
        if body.first() == Some(&b'<')
            && let Some((code, message)) = crate::element::error_of(body)
        {
            return ServiceError { status, code, message, request_id: None };
        }
        let codec = if body.first() == Some(&b'{') { Codec::Json } else { codec };
        let read = millstream_wire::ServiceError::decode(codec, status, error_type, body);
        ServiceError {
            status,
            code: read.code.into_owned(),
            message: read.message.unwrap_or_default(),
            request_id: None,
        }
    }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn request(id: &Option<String>) -> String {
    id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default()
}

impl Error {
    /// The service's error code, if the service answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Service(e) => Some(&e.code),
            _ => None,
        }
    }

    /// What this says about trying again.
    pub fn blame(&self) -> Blame {
        match self {
            Error::Service(e) => Blame::of(e.status, &e.code),
            Error::Transport { .. } | Error::Timeout { .. } => Blame::Transient,
            _ => Blame::Call,
        }
    }

    pub(crate) fn transport(place: impl Into<String>, reason: impl ToString) -> Error {
        Error::Transport { place: place.into(), reason: reason.to_string() }
    }
}

/// An error and its causes in one line, each said once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        next = cause.source();
    }
    said
}

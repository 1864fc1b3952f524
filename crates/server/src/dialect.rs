//! How a request speaks, and so how an error is told to it.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use millstream_wire::operation::QueryNames;
use millstream_wire::query;
use millstream_wire::{Codec, ServiceError};

use crate::ids::RequestId;

/// The protocols, as far as errors differ between them.
#[derive(Clone, Copy, Debug)]
pub enum Dialect {
    /// JSON or CBOR.
    Rpc(Codec),
    /// The same, of a service that once spoke query only: a header has the error's code of old.
    QueryCompatible(Codec, &'static QueryNames),
    /// Forms and XML.
    Query(&'static QueryNames),
}

/// Status, content type and body of an answer.
pub struct Answer {
    pub status: StatusCode,
    pub content_type: Option<HeaderValue>,
    pub error_type: Option<String>,
    /// The header `x-amzn-query-error`.
    pub query_error: Option<String>,
    /// The header `smithy-protocol`.
    pub protocol: Option<&'static str>,
    pub body: Bytes,
}

impl From<Codec> for Dialect {
    fn from(codec: Codec) -> Self {
        Dialect::Rpc(codec)
    }
}

impl Dialect {
    /// The answer that tells `error`.
    pub(crate) fn answer(self, error: &ServiceError, id: RequestId) -> Answer {
        match self {
            Dialect::Rpc(codec) => Answer {
                error_type: Some(error.error_type().to_owned()),
                ..whole(error, codec.content_type(), error.encode(codec))
            },
            Dialect::QueryCompatible(codec, names) => {
                let told = told(error);
                let shape = names.shape_of(&told.code).to_owned();
                let body = ServiceError { code: shape.into(), ..told.clone() }.encode(codec);
                Answer {
                    query_error: Some(query::error_header(&told)),
                    protocol: protocol(codec),
                    ..whole(&told, codec.content_type(), body)
                }
            }
            Dialect::Query(names) => {
                let told = told(error);
                let body = query::encode_error(&told, Some(names), id.as_str());
                whole(&told, query::XML, body)
            }
        }
    }
}

/// The value of the `smithy-protocol` header, by which clients of that protocol know it.
pub(crate) fn protocol(codec: Codec) -> Option<&'static str> {
    (codec == Codec::RpcV2Cbor).then_some("rpc-v2-cbor")
}

pub(crate) fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn whole(error: &ServiceError, content_type: &'static str, body: Bytes) -> Answer {
    Answer {
        status: status_of(error.status),
        content_type: Some(HeaderValue::from_static(content_type)),
        error_type: None,
        query_error: None,
        protocol: None,
        body,
    }
}

/// An error that any service may give, under the name and status that services have for it which
/// were born with the query protocol.
///
/// Source: "Common Error Types" in the API references of CloudWatch, IAM and STS.
fn told(error: &ServiceError) -> ServiceError {
    let (code, status) = match &*error.code {
        "ValidationException" => ("ValidationError", 400),
        "SerializationException" => ("MalformedInput", 400),
        "UnknownOperationException" => ("InvalidAction", 400),
        "MissingAuthenticationTokenException" => ("MissingAuthenticationToken", 403),
        "IncompleteSignatureException" => ("IncompleteSignature", 400),
        "InvalidSignatureException" => ("SignatureDoesNotMatch", 403),
        "UnrecognizedClientException" => ("InvalidClientTokenId", 403),
        "AccessDeniedException" => ("AccessDenied", 403),
        _ => return error.clone(),
    };
    ServiceError { code: code.into(), status, ..error.clone() }
}

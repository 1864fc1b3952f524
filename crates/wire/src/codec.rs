//! The codecs by their content types.

use bytes::Bytes;

pub use crate::coding::{DEPTH_MAX, DecodeError, Decoder, Encoder};
use crate::constraint::Missing;
use crate::value::Value;
use crate::{cbor, json};

/// How bodies are written: one value per `Content-Type` we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// `application/x-amz-json-1.1`
    Json,
    /// `application/x-amz-json-1.0`
    Json10,
    /// `application/json` (REST-JSON)
    RestJson,
    /// `application/x-amz-cbor-1.1`: timestamps are tag 1 with integer milliseconds.
    Cbor,
    /// `application/cbor` (Smithy RPC v2): timestamps are tag 1 with seconds.
    RpcV2Cbor,
}

impl Codec {
    const ALL: [Codec; 5] =
        [Codec::Json, Codec::Json10, Codec::RestJson, Codec::Cbor, Codec::RpcV2Cbor];

    pub const fn content_type(self) -> &'static str {
        match self {
            Codec::Json => "application/x-amz-json-1.1",
            Codec::Json10 => "application/x-amz-json-1.0",
            Codec::RestJson => "application/json",
            Codec::Cbor => "application/x-amz-cbor-1.1",
            Codec::RpcV2Cbor => "application/cbor",
        }
    }

    /// The codec of a `Content-Type` header; parameters after `;` do not matter.
    pub fn of_content_type(header: &str) -> Option<Codec> {
        let bare = header.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|c| bare.eq_ignore_ascii_case(c.content_type()))
    }

    pub const fn is_cbor(self) -> bool {
        matches!(self, Codec::Cbor | Codec::RpcV2Cbor)
    }

    pub fn encode<T: Value>(self, value: &T) -> Bytes {
        match self {
            Codec::Json | Codec::Json10 | Codec::RestJson => json::encode(value).into(),
            Codec::Cbor => cbor::encode(value, cbor::TimeUnit::Millis).into(),
            Codec::RpcV2Cbor => cbor::encode(value, cbor::TimeUnit::Seconds).into(),
        }
    }

    /// Reads `T` from `body`. CBOR blobs are slices of `body`, JSON blobs of one shared buffer.
    ///
    /// # Errors
    /// [`DecodeError`]; what is well-formed but out of bounds is not an error here, see
    /// [`crate::check::validate`], which wants the [`Missing`] as well.
    pub fn decode<T: Value>(self, body: &Bytes) -> Result<(T, Missing), DecodeError> {
        match self {
            Codec::Json | Codec::Json10 | Codec::RestJson => json::decode(body),
            Codec::Cbor => cbor::decode(body, cbor::TimeUnit::Millis),
            Codec::RpcV2Cbor => cbor::decode(body, cbor::TimeUnit::Seconds),
        }
    }
}

//! JSON as the services speak it: base64 blobs, epoch-second timestamps, nulls and unknown members
//! dropped.
//!
//! Why a reader of our own: the usual crates build a tree or drive a visitor per type, and both
//! copy blobs twice. This one is pulled by the shapes, decodes base64 straight into one buffer that
//! all blobs of a body share, and knows the services' sentences at the place where they arise. It is
//! strict RFC 8259 and is tested against serde_json for accepting and refusing the same texts.

mod read;
mod write;

pub use read::JsonDecoder;
pub(crate) use read::find;
pub use write::JsonEncoder;

use crate::coding::DecodeError;
use crate::constraint::Missing;
use crate::value::Value;

pub fn encode<T: Value>(value: &T) -> Vec<u8> {
    let mut encoder = JsonEncoder::default();
    value.encode(&mut encoder);
    encoder.finish()
}

/// # Errors
/// [`DecodeError::Malformed`] wins over a mismatch earlier in the text, as the services parse first.
pub fn decode<T: Value>(text: &[u8]) -> Result<(T, Missing), DecodeError> {
    let mut decoder = JsonDecoder::new(text);
    let value = T::decode(&mut decoder).and_then(|value| Ok((value, decoder.finish()?)));
    match value {
        Err(DecodeError::Mismatch(_)) if !is_json(text) => Err(DecodeError::Malformed),
        other => other,
    }
}

/// Whether `text` is one JSON value, nested no deeper than we read.
pub fn is_json(text: &[u8]) -> bool {
    JsonDecoder::new(text).skip_all().is_ok()
}

/// A number that looks like a Java object's: equal for equal structures, so that sentences repeat.
pub fn object_hash<T: Value>(value: &T) -> u32 {
    let text = encode(value);
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &text) as u32
}

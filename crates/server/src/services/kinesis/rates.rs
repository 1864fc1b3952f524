//! How often an account calls the operations of the control plane.
//!
//! Counted for every operation before anything else is looked at, as at AWS's front door. Which
//! operations have a rate is decided when the program is built: the others cost nothing here.

use millstream_streams::{ControlCall, Error, Streams};
use millstream_wire::{Codec, ServiceError, Value};

use super::{Call, errors, target};

/// The call with a rate that `method` is, in Rust's spelling of the operation's name.
pub(super) const fn of(method: &str) -> Option<ControlCall> {
    let mut at = 0;
    while at < ControlCall::ALL.len() {
        if is_same(method.as_bytes(), ControlCall::ALL[at].name().as_bytes()) {
            return Some(ControlCall::ALL[at]);
        }
        at += 1;
    }
    None
}

/// Whether `snake_case` and `PascalCase` name the same operation.
const fn is_same(snake: &[u8], pascal: &[u8]) -> bool {
    let (mut s, mut p) = (0, 0);
    while s < snake.len() {
        if snake[s] == b'_' {
            s += 1;
            continue;
        }
        if p == pascal.len() || snake[s] != pascal[p].to_ascii_lowercase() {
            return false;
        }
        s += 1;
        p += 1;
    }
    p == pascal.len()
}

/// Counts one call of the caller's account.
///
/// # Errors
/// LimitExceededException where rates are enforced; it names the stream if the call does.
pub(super) fn admit<T: Value>(
    engine: &Streams,
    call: &Call,
    rate: ControlCall,
    input: &T,
) -> Result<(), ServiceError> {
    let admitted = engine.admit_call(&call.caller.scope, rate);
    admitted.map_err(|error| match named_stream(call, input) {
        Some(stream) => {
            errors::of_engine(Error::StreamCallRate { stream }, errors::During::Control)
        }
        None => errors::of_engine(error, errors::During::Control),
    })
}

/// The stream that an input names; read from its written form, since inputs have no common type
/// and this happens only when a call is refused.
fn named_stream<T: Value>(call: &Call, input: &T) -> Option<millstream_base::StreamArn> {
    let text = Codec::Json.encode(input);
    let input: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let (name, arn) = (input["StreamName"].as_str(), input["StreamARN"].as_str());
    target::stream(call, name, arn).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_found_by_their_operations_names() {
        assert_eq!(of("create_stream"), Some(ControlCall::CreateStream));
        assert_eq!(of("list_tags_for_stream"), Some(ControlCall::ListTagsForStream));
        assert_eq!(of("put_records"), None);
        assert_eq!(of("create_streams"), None);
        assert_eq!(of("create"), None);
    }

    #[test]
    fn every_rate_is_an_operations() {
        for call in ControlCall::ALL {
            let known = millstream_api::kinesis::Op::ALL.iter().any(|op| op.name() == call.name());
            assert!(known, "{}", call.name());
        }
    }
}

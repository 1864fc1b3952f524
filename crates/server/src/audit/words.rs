//! The sentences of auditing, and what of others' sentences may be kept.

use millstream_wire::ServiceError;

/// Ours: on AWS no call can wait for its event.
pub fn unaudited() -> ServiceError {
    ServiceError::new(
        "ServiceUnavailable",
        503,
        "The call can't be recorded in the audit trail at the moment. Please try again later.",
    )
}

/// Ours: what stands in the trail of a call whose client did not wait for its answer.
pub fn abandoned() -> ServiceError {
    ServiceError::new(
        "RequestAborted",
        400,
        "The client went away before the answer; the call may have been done.",
    )
}

/// A sentence without what the caller sent: a wrong signature's sentence repeats the whole request,
/// session token included, and those of validation repeat the values that were wrong.
pub fn without_secrets(sentence: &str) -> String {
    let first = sentence.split('\n').next().unwrap_or_default();
    let mut kept = String::with_capacity(first.len());
    let mut rest = first;
    while let Some(start) = rest.find(VALUE) {
        let (before, value) = rest.split_at(start + VALUE.len() - 1);
        kept.push_str(before.trim_end());
        // Of several ends the last one before the next value: the value may hold the words itself.
        let next = value[1..].find(VALUE).map_or(value.len(), |next| next + 1);
        let Some(end) = value[..next].rfind(VALUE_END) else { return kept };
        rest = &value[end + 1..];
    }
    kept.push_str(rest);
    kept
}

/// How sentences of validation name a value: `Value 'x' at 'streamName' failed ...`.
const VALUE: &str = "Value '";
const VALUE_END: &str = "' at '";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_lose_what_was_sent() {
        for (sentence, kept) in [
            ("Stream s under account 1 not found.", "Stream s under account 1 not found."),
            ("The signature\n\nThe Canonical String\n'x-amz-security-token:T'", "The signature"),
            (
                "2 errors: Value 'hush' at 'a' failed; Value 'more ' hush' at 'b' failed",
                "2 errors: Value at 'a' failed; Value at 'b' failed",
            ),
            ("Value 'hush", "Value"),
        ] {
            assert_eq!(without_secrets(sentence), kept);
        }
    }
}

//! Sequence numbers as they compare, and what a check says.

/// What was found wrong, if anything.
pub(crate) type Verdict = Result<(), String>;

/// A sequence number, brought to one length so that it compares as a number.
pub(crate) type Number = String;

pub(crate) fn number(text: &str) -> Number {
    format!("{text:0>60}")
}

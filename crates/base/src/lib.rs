//! The domain's words: names, ARNs, hash keys, sequence numbers, records, limits.
//!
//! Invariant: no I/O, no async, no clock. Everything here is a value.

pub mod timestamp;

pub use timestamp::Timestamp;

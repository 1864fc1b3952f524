//! The log store: append, group commit, read, tail, trim, seal, recover.
//!
//! A log is a sequence of entries in the order the store gave them. The store knows logs by number
//! and entries by position; what the bytes mean is its callers' business.
//!
//! Invariant: knows bytes and positions, no Kinesis.

pub mod store;

pub use store::{
    AppendError, Batch, Entries, Entry, LogError, LogId, LogStore, NewEntry, Position,
    PositionRange, ReadError, ReadLimit, Tail,
};

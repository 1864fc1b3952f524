//! Kinesis Data Streams: shard maps, placement, iterators, retention.
//!
//! [`Streams`] is the engine: every operation of the API has its method here, in domain terms and
//! with AWS's order of checks. State lives in the metadata store (one row per stream) and in the
//! log store (one log per shard); a process keeps only a copy of the rows that watches keep true.
//!
//! Invariant: knows no HTTP, no AWS shapes and no wire format.
//! Invariant: nothing here supposes that this process is the only one: rows change by
//! compare-and-set, and no lock is held across an await.

pub mod error;
pub mod model;
mod options;
mod pending;

pub use error::{Error, ErrorKind, Result};
pub use model::*;
pub use options::{Options, StateDurations};
pub use pending::Streams;

//! Kinesis Data Streams: shard maps, placement, iterators, retention.
//!
//! [`Streams`] is the engine: every operation of the API has its method, in domain terms and with
//! AWS's order of checks. State lives in the metadata store (one row per stream) and in the log
//! store (one log per shard); a process keeps only a copy of the rows that a watch keeps true.
//!
//! | file | idea |
//! |---|---|
//! | `engine` | what all operations share: finding a stream, changing its row |
//! | `stream_row`, `shard_map`, `cache`, `route` | a stream as it is stored, and as it is looked up |
//! | `create`, `describe`, `settings`, `tags`, `account`, `list_shards` | control |
//! | `put`, `iterator`, `get`, `reader`, `throttle`, `token`, `tokens` | records |
//! | `queues`, `queue` | the operations on queues, and what serves one |
//! | `start`, `sweep`, `trim` | the start and the background work |
//!
//! Invariant: knows no HTTP, no AWS shapes and no wire format.
//! Invariant: nothing here supposes that this process is the only one: rows change by
//! compare-and-set, and no lock is held across an await.

mod account;
mod cache;
mod create;
mod describe;
mod engine;
pub mod error;
mod get;
mod iterator;
mod list_shards;
pub mod model;
mod options;
mod put;
mod queue;
mod queue_model;
mod queues;
mod reader;
mod route;
mod settings;
pub mod shard_map;
mod shard_state;
mod start;
mod stats;
mod stream_row;
mod sweep;
mod tags;
mod throttle;
mod token;
mod tokens;
mod trim;

#[cfg(test)]
mod tests;

pub use engine::Streams;
pub use error::{Error, ErrorKind, Result};
pub use model::*;
pub use options::{Options, StateDurations};
pub use queue_model::*;
pub use reader::{ReaderPage, ShardReader};
pub use stats::{Sample, StreamCounts};

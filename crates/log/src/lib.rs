//! The log store: append, group commit, read, tail, trim, seal, recover.
//!
//! A log is a sequence of entries in the order the store gave them. The store knows logs by number
//! and entries by position; what the bytes mean is its callers' business. [`LogStore`] is the
//! contract, [`EmbeddedLog`] the store of a single node, [`contract`] the suite that every
//! implementation passes.
//!
//! Invariant: knows bytes and positions, no Kinesis.

pub mod contract;
pub mod fsck;
pub mod store;

mod blocks;
mod checkpoint;
mod chunk;
mod codec;
mod damage;
mod embedded;
mod format;
mod frame;
mod key;
mod lru;
mod manifest;
mod map;
mod memory;
mod merge;
mod opened;
mod options;
mod read;
mod recovery;
mod request;
mod scrub;
mod seal;
mod segment;
mod shared;
mod upkeep;
mod wal;
mod writer;

pub use damage::Damage;
pub use embedded::{EmbeddedLog, Stats};
pub use key::{CHUNKS_PER_KEY_MAX, ChunkKey, ChunkKeys, KeyNumber, NoKeys};
pub use options::Options;
#[cfg(feature = "planted-bugs")]
#[doc(hidden)]
pub use options::PlantedBug;
pub use recovery::{OpenError, RecoveryReport};
pub use shared::HealthReport;
pub use store::{
    AppendError, Batch, Entries, Entry, LogError, LogId, LogStore, NewEntry, Position,
    PositionRange, ReadError, ReadLimit, Tail,
};

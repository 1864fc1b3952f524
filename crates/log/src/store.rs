//! The contract of a log store. Every implementation passes the suite in `contract`.
//!
//! ```text
//!  log 7:     [3.0 3.1 3.2]   [9.0]   [12.0 12.1]
//!              ^ trim point                      ^ tail = 12.2: the first position not written
//! ```
//!
//! Positions strictly increase along a log and are not dense: what lies between is nobody's.
//! A store shared by many nodes fulfils the same contract, so nothing here supposes that one
//! process owns a log.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use millstream_base::Timestamp;
use millstream_env::BoxFuture;
use tokio::sync::watch;

use crate::key::{ChunkKey, ChunkKeys, KeyNumber};

/// A log's number: `family` in the upper half, `member` in the lower.
///
/// Logs of one family (the shards of one stream) live and expire together, and a store may keep
/// them in the same files. Numbers are never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(u64);

impl LogId {
    pub const fn new(family: u32, member: u32) -> Self {
        LogId(((family as u64) << 32) | member as u64)
    }
    pub const fn from_u64(n: u64) -> Self {
        LogId(n)
    }
    pub const fn as_u64(self) -> u64 {
        self.0
    }
    pub const fn family(self) -> u32 {
        (self.0 >> 32) as u32
    }
    pub const fn member(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family(), self.member())
    }
}
impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family(), self.member())
    }
}

/// Where an entry stands in its log: the commit it came with, and its place in that commit.
///
/// `lsn` is below 2^63, so that it fits the counter of an AWS sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub lsn: u64,
    pub index: u32,
}

impl Position {
    /// Before every entry.
    pub const START: Position = Position { lsn: 0, index: 0 };
    /// After every entry.
    pub const END: Position = Position { lsn: (1 << 63) - 1, index: 0 };

    pub const fn new(lsn: u64, index: u32) -> Self {
        Position { lsn, index }
    }
    /// The least position after this one.
    pub const fn next(self) -> Self {
        if self.index == u32::MAX {
            Position { lsn: self.lsn + 1, index: 0 }
        } else {
            Position { lsn: self.lsn, index: self.index + 1 }
        }
    }
}

/// `count` entries of one batch: `first`, and then one index more each, in the same commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionRange {
    pub first: Position,
    pub count: u32,
    /// The time the store gave the batch (see [`Batch::at`]).
    pub at: Timestamp,
}

/// An entry to be written: two byte strings and a number, all of the caller's meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEntry {
    pub attributes: u32,
    pub key: Bytes,
    pub value: Bytes,
}

/// Entries that are written together, in this order, with one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The time of the entries. Where the log already holds a later one, the store takes that:
    /// times never decrease along a log, whatever the clock does.
    pub at: Timestamp,
    pub entries: Vec<NewEntry>,
    /// Encrypts the entries, wherever they will be stored; they can be read only with this key.
    pub seal: Option<Arc<ChunkKey>>,
}

/// An entry as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub position: Position,
    pub at: Timestamp,
    /// The key that it was opened with, if it was stored encrypted.
    pub sealed: Option<KeyNumber>,
    pub attributes: u32,
    pub key: Bytes,
    pub value: Bytes,
}

/// Bounds of one read. An entry weighs `key.len() + value.len()` bytes.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    pub entries_max: usize,
    /// The first entry is returned even if it alone weighs more.
    pub bytes_max: usize,
}

/// What a read found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    pub entries: Vec<Entry>,
    /// Where to go on: after the last entry, or, if there was none, where the search ended
    /// (never before the place asked for, never before the trim point).
    pub next: Position,
}

/// The end of a log, as far as it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The least position at which an entry can still appear. All entries lie before it.
    pub next: Position,
    /// Time of the newest entry ever written; [`Timestamp::ZERO`] in an empty log.
    pub last_at: Timestamp,
    /// Nothing will be appended any more.
    pub sealed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("log {log} does not exist")]
    NotFound { log: LogId },
    /// Look up where the key belongs now and go on there.
    #[error("log {log} is sealed")]
    Sealed { log: LogId },
    /// Nothing was written; a retry may succeed when there is space.
    #[error("out of space: {reason}")]
    Full { reason: String },
    /// Too much is waiting to be written; nothing was written; retry later.
    #[error("the log is overloaded")]
    Overloaded,
    /// The batch can't be written however often it is tried (too large for this store).
    #[error("the batch can't be stored: {reason}")]
    Invalid { reason: String },
    /// The store has stopped. Whether the batch was written is not known.
    #[error("the log store has stopped: {reason}")]
    Stopped { reason: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("log {log} does not exist")]
    NotFound { log: LogId },
    /// Bytes on disk are not what was written. The entries before are readable.
    #[error("damaged data in {file} at byte {offset}: {what}")]
    Corrupt { file: String, offset: u64, what: String },
    /// The next entries were stored encrypted, and their key is not at hand
    /// ([`LogStore::with_keys`]). The entries before are readable.
    #[error("entries of log {log} are sealed with key {key}, which is not at hand")]
    Locked { log: LogId, key: KeyNumber },
    #[error("reading failed: {reason}")]
    Io { reason: String },
}

/// Errors of calls that manage logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("log {log} does not exist")]
    NotFound { log: LogId },
    #[error("out of space: {reason}")]
    Full { reason: String },
    #[error("the log store has stopped: {reason}")]
    Stopped { reason: String },
}

/// The contract.
///
/// - What `append`, `create`, `trim`, `seal` and `delete` did MUST be durable when they resolve.
/// - Nothing MUST be readable before it is durable.
/// - An entry read once MUST be read the same by everyone until it is trimmed or its log deleted.
/// - Appends to one log that started one after the other's end MUST stand in that order.
/// - A failed append MUST NOT leave any of its batch's entries readable, except with
///   [`AppendError::Stopped`], after which all or none of the batch is found at the next start.
/// - Entries of a batch with a [`Batch::seal`] MUST NOT reach any disk unencrypted, and MUST be read
///   only while their key is given: as they were, or not at all.
/// - Dropping a returned future MUST NOT undo what it started.
pub trait LogStore: Send + Sync + 'static {
    /// Makes empty logs. One that exists already is left as it is.
    fn create(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>>;

    /// Appends each batch to its log, durably, and tells where each landed, in the order given.
    /// A batch lands whole or not at all; the batches of a call stand each for itself.
    /// A log may occur once per call.
    fn append(
        &self,
        batches: Vec<(LogId, Batch)>,
    ) -> BoxFuture<'_, Vec<Result<PositionRange, AppendError>>>;

    /// Entries at and after `from`, in order; an empty answer means there are none up to `next`.
    fn read(
        &self,
        log: LogId,
        from: Position,
        limit: ReadLimit,
    ) -> BoxFuture<'_, Result<Entries, ReadError>>;

    /// The position of the first entry whose time is `at` or later; the tail if there is none.
    fn find(&self, log: LogId, at: Timestamp) -> BoxFuture<'_, Result<Position, ReadError>>;

    /// This store, whose sealed entries are read with `keys`. A store from elsewhere has none.
    fn with_keys(&self, keys: Arc<dyn ChunkKeys>) -> Arc<dyn LogStore>;

    /// The log's end, and news of it.
    fn tail(&self, log: LogId) -> Result<watch::Receiver<Tail>, LogError>;

    /// Forgets the entries before `before`. They are never readable again; their space may be
    /// freed later. A position behind the tail trims to the tail.
    fn trim(&self, log: LogId, before: Position) -> BoxFuture<'_, Result<(), LogError>>;

    /// Ends the log: no append will succeed any more. Sealing twice gives the same tail.
    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Tail, LogError>>;

    /// Removes logs with all they hold. One that does not exist is passed over.
    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>>;
}

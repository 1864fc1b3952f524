//! The contract of a metadata store. Every implementation passes the suite in `contract`.
//!
//! Nothing here supposes a single process: rows change under their readers, and who wants to write
//! says which revision he has seen.

use std::fmt;

use bytes::Bytes;
use millstream_env::BoxFuture;
use tokio::sync::mpsc;

/// A row's name: a path of segments, as in `stream/000000000000/us-east-1/orders`.
/// 1 to 1,024 bytes; ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    pub const BYTES_MAX: usize = 1024;

    /// # Panics
    /// If the key is empty or longer than [`Key::BYTES_MAX`]: keys are built by code from parts
    /// that were checked at the door.
    pub fn new(key: impl Into<String>) -> Self {
        let key = key.into();
        assert!(!key.is_empty() && key.len() <= Self::BYTES_MAX, "key of {} bytes", key.len());
        Key(key)
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Grows with every change in the store; a row's is that of its last change, and is never given
/// twice. Serves as a fencing token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: Key,
    pub value: Bytes,
    pub revision: Revision,
}

/// What a writer has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Absent,
    At(Revision),
    /// Write whatever is there.
    Anything,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put(Row),
    Deleted {
        key: Key,
        revision: Revision,
    },
    /// The watcher was too slow, or the connection was lost: changes are missing. Scan again.
    Gap,
}

/// Changes in the order of their revisions. Dropping it ends the watch.
pub type Watch = mpsc::Receiver<Change>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// Someone else changed the row: read it again and decide anew.
    #[error("row {key} is not as expected")]
    Conflict { key: Key },
    #[error("row {key} of {bytes} bytes is larger than {max}")]
    TooLarge { key: Key, bytes: usize, max: usize },
    #[error("out of space: {reason}")]
    Full { reason: String },
    #[error("the metadata store is damaged: {reason}")]
    Corrupt { reason: String },
    #[error("the metadata store does not answer: {reason}")]
    Unavailable { reason: String },
}

/// The contract.
///
/// - A change MUST be durable when its call resolves, and every later read, by anyone, sees it.
/// - Of concurrent writers that expect the same revision exactly one MUST succeed.
pub trait MetaStore: Send + Sync + 'static {
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<Option<Row>, MetaError>>;

    /// Up to `limit` rows whose keys start with `prefix` and come after `after`, in key order.
    fn scan(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, MetaError>>;

    /// Writes a row if it is as expected; returns its new revision.
    fn put(
        &self,
        key: Key,
        value: Bytes,
        expect: Expect,
    ) -> BoxFuture<'_, Result<Revision, MetaError>>;

    /// Removes a row if it is as expected. Removing an absent row succeeds with
    /// [`Expect::Anything`] and is a conflict with [`Expect::At`].
    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<Revision, MetaError>>;

    /// Changes from now on of rows whose keys start with `prefix`.
    fn watch(&self, prefix: &str) -> Watch;
}

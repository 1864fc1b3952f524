//! Following one shard: read on, wait for more, stop at its end.

use std::sync::Arc;
use std::time::Duration;

use millstream_base::{SequenceNumber, ShardId, StreamArn};
use millstream_log::{Position, ReadLimit, Tail};
use tokio::sync::watch;

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::iterator::log_error;
use crate::model::{ChildShard, Record, StartingPosition};
use crate::shard_map::Shard;

/// How long news of a row are waited for before the row is looked at anyway.
const CLOSING_WAIT: Duration = Duration::from_secs(1);

/// A place in a shard that moves on as it is read. Needs no renewal and never expires.
pub struct ShardReader {
    streams: Streams,
    stream: StreamArn,
    family: u32,
    shard: ShardId,
    position: Position,
    tail: watch::Receiver<Tail>,
}

/// What one read found. Without records and without children nothing is there yet.
#[derive(Clone, Debug)]
pub struct ReaderPage {
    pub records: Vec<Record>,
    pub millis_behind_latest: u64,
    /// Reading AFTER this number goes on behind this page, also if the page is empty. `None`
    /// exactly when `child_shards` is not empty: the shard ends here.
    pub continuation: Option<SequenceNumber>,
    pub child_shards: Vec<ChildShard>,
}

impl Streams {
    /// A reader that starts where an iterator would; errors as
    /// [`Streams::get_shard_iterator`] has them.
    pub async fn reader(
        &self,
        stream: &StreamArn,
        shard: ShardId,
        from: StartingPosition<'_>,
    ) -> Result<ShardReader> {
        let found = self.find_for_reading(stream, shard).await?;
        let position = self.resolve(&found, shard, from).await?;
        let tail = self.inner.log.tail(found.log_of(shard));
        let tail = tail.map_err(|e| log_error(&found, shard, e))?;
        Ok(ShardReader {
            streams: self.clone(),
            stream: stream.clone(),
            family: found.row.family,
            shard,
            position,
            tail,
        })
    }
}

impl ShardReader {
    /// Waits until [`ShardReader::read`] has something to return: records, or the shard's end.
    /// Safe to drop and call again.
    ///
    /// # Errors
    /// [`Error::ShardNotFound`] when the stream or the shard is deleted.
    pub async fn ready(&mut self) -> Result<()> {
        let position = self.position;
        let something = |t: &Tail| t.next > position || t.sealed;
        let tail = self.tail.wait_for(something).await.map(|tail| *tail);
        match tail {
            Err(_) => Err(self.gone()),
            Ok(tail) if tail.next > position => Ok(()),
            Ok(_) => self.closed().await,
        }
    }

    /// Waits until the row says of a sealed shard that it is closed: only then has it children.
    async fn closed(&self) -> Result<()> {
        loop {
            let found = self.found().await?;
            if !found.row.shards.get(self.shard).is_some_and(Shard::is_open) {
                return Ok(());
            }
            self.streams.inner.cache.newer_than(&self.stream, found.revision, CLOSING_WAIT).await;
        }
    }

    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }
    pub(crate) fn family(&self) -> u32 {
        self.family
    }
    /// What is read next.
    pub(crate) fn position(&self) -> Position {
        self.position
    }
    /// The shard's end as it stands now.
    pub(crate) fn tail(&self) -> Tail {
        *self.tail.borrow()
    }
    /// Moves on, after what was read from [`ShardReader::position`] in another way.
    pub(crate) fn advance(&mut self, to: Position) {
        assert!(to >= self.position, "{to:?} lies before {:?}", self.position);
        self.position = to;
    }

    /// What is there now, up to `records_max` records and `bytes_max` bytes (one record always),
    /// and moves on behind it.
    ///
    /// The shard's end comes with its last records, or alone.
    pub async fn read(&mut self, records_max: usize, bytes_max: usize) -> Result<ReaderPage> {
        let found = self.found().await?;
        let limit = ReadLimit { entries_max: records_max, bytes_max };
        let page = self.streams.read_page(&found, self.shard, self.position, limit).await?;
        self.position = page.next;
        let known = found.row.shards.get(self.shard).expect("the shard was looked up");
        let continuation = match page.end {
            Some(_) => None,
            None => Some(known.number_at(before(page.next))),
        };
        Ok(ReaderPage {
            records: page.records,
            millis_behind_latest: page.millis_behind_latest,
            continuation,
            child_shards: page.end.unwrap_or_default(),
        })
    }

    /// The stream, if it is still the same and has this shard.
    async fn found(&self) -> Result<Arc<Snapshot>> {
        let found = self.streams.look_up(&self.stream).await?.ok_or_else(|| self.gone())?;
        let same = found.row.family == self.family;
        match same && self.streams.live_shard(&found, self.shard).is_some() {
            true => Ok(found),
            false => Err(self.gone()),
        }
    }

    pub(crate) fn gone(&self) -> Error {
        Error::ShardNotFound { stream: self.stream.clone(), shard: self.shard }
    }
}

/// The last position before this one, at which AFTER_SEQUENCE_NUMBER leads here.
pub(crate) fn before(position: Position) -> Position {
    match position {
        Position::START => position,
        Position { lsn, index: 0 } => Position::new(lsn - 1, u32::MAX),
        Position { lsn, index } => Position::new(lsn, index - 1),
    }
}

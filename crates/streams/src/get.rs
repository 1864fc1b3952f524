//! GetRecords, and the one way in which records are read.

use std::sync::Arc;

use millstream_base::limits::{GET_RECORDS_BYTES_MAX, GET_RECORDS_COUNT_MAX};
use millstream_base::{ShardId, Timestamp};
use millstream_log::{Entries, Entry, KeyNumber, Position, ReadLimit, Tail};
use tokio::time::Instant;

use crate::cache::Snapshot;
use crate::data_keys::ReadFailure;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::iterator::{log_error, read_error};
use crate::model::{ChildShard, GetRecords, Record, RecordsPage};
use crate::put::{ENCRYPTED, HAS_PARTITION_KEY};
use crate::shard_map::Shard;
use crate::token::IteratorToken;

/// Records from one place on, and where to go on.
pub(crate) struct Page {
    pub(crate) records: Vec<Record>,
    pub(crate) next: Position,
    pub(crate) millis_behind_latest: u64,
    /// Present if the shard is closed and nothing is left in it after `next`.
    pub(crate) end: Option<Vec<ChildShard>>,
    /// The data keys of the records, each once.
    pub(crate) keys: Vec<KeyNumber>,
}

impl Streams {
    /// Up to 10,000 records or 10 MiB, whichever comes first; one record always, however large.
    ///
    /// At the end of a closed shard, when nothing is left to return, the answer has the shard's
    /// children and no iterator.
    ///
    /// # Errors
    /// In this order: the iterator is none, it is expired, its stream or shard is gone.
    pub async fn get_records(&self, request: GetRecords<'_>) -> Result<RecordsPage> {
        let started = Instant::now();
        let (iterator, found) = self.admit(request).await?;
        let shard = iterator.shard;
        let page = self.read_admitted(&found, iterator, request.limit).await;
        self.count(&found, shard, started, page.as_ref().ok());
        let page = page?;
        let (next_iterator, child_shards) = match page.end {
            Some(children) if page.records.is_empty() => (None, children),
            _ => (Some(self.issue(&found, shard, page.next)), Vec::new()),
        };
        Ok(RecordsPage {
            stream: found.stream.clone(),
            shard,
            records: page.records,
            next_iterator,
            millis_behind_latest: page.millis_behind_latest,
            child_shards,
        })
    }

    async fn read_admitted(
        &self,
        found: &Snapshot,
        iterator: IteratorToken,
        limit: Option<usize>,
    ) -> Result<Page> {
        self.admit_read(found, iterator.shard)?;
        let limit = ReadLimit {
            entries_max: limit.unwrap_or(GET_RECORDS_COUNT_MAX),
            bytes_max: GET_RECORDS_BYTES_MAX,
        };
        self.read_page(found, iterator.shard, iterator.position, limit).await
    }

    /// All checks of [`Streams::get_records`], and nothing read.
    pub async fn check_get_records(&self, request: GetRecords<'_>) -> Result<()> {
        self.admit(request).await.map(drop)
    }

    async fn admit(&self, request: GetRecords<'_>) -> Result<(IteratorToken, Arc<Snapshot>)> {
        let iterator = self.open_iterator(request.iterator)?;
        let given = match request.stream {
            Some(stream) => *stream == iterator.stream,
            None => *request.caller == *iterator.stream.scope(),
        };
        if !given {
            return Err(Error::IteratorInvalid);
        }
        self.check_iterator_age(iterator.issued)?;
        if let Some(limit) = request.limit
            && !(1..=GET_RECORDS_COUNT_MAX).contains(&limit)
        {
            return Err(Error::LimitOutOfBounds { limit, max: GET_RECORDS_COUNT_MAX });
        }
        let (stream, shard) = (iterator.stream.clone(), iterator.shard);
        let gone = || Error::ShardNotFound { stream: stream.clone(), shard };
        let found = self.look_up(&stream).await?.ok_or_else(gone)?;
        if found.row.family != iterator.family || self.live_shard(&found, shard).is_none() {
            return Err(gone());
        }
        Ok((iterator, found))
    }

    /// Reads what is there at and after `from`, without what retention has taken.
    pub(crate) async fn read_page(
        &self,
        found: &Snapshot,
        shard: ShardId,
        from: Position,
        limit: ReadLimit,
    ) -> Result<Page> {
        let log = found.log_of(shard);
        let now = self.now();
        let entries = self.read_kept(found, shard, from, limit, now).await?;
        let tail = self.inner.log.tail(log).map_err(|e| log_error(found, shard, e))?;
        let tail = *tail.borrow();
        let known = found.row.shards.get(shard).expect("the shard was looked up");
        let at_tip = entries.next >= tail.next;
        let end = (at_tip && tail.sealed && !known.is_open())
            .then(|| found.row.shards.children_of(shard));
        Ok(Page {
            keys: keys_of(&entries.entries),
            millis_behind_latest: if at_tip { 0 } else { behind(&entries, &tail, now) },
            next: entries.next,
            records: entries.entries.into_iter().map(|e| record(known, e)).collect(),
            end,
        })
    }

    async fn read_kept(
        &self,
        found: &Snapshot,
        shard: ShardId,
        from: Position,
        limit: ReadLimit,
        now: Timestamp,
    ) -> Result<Entries> {
        let log = found.log_of(shard);
        let failed = |e| read_error(found, shard, e);
        let unread = |failure| match failure {
            ReadFailure::Log(e) => read_error(found, shard, e),
            ReadFailure::Key(e) => e,
        };
        let records = &self.inner.records;
        let horizon = found.row.horizon_at(now);
        let kept = async || self.inner.log.find(log, horizon).await.map_err(failed);
        let from = match records.read(log, from, limit).await {
            // Times never decrease along a log: if the first is kept, all are.
            Ok(read) if read.entries.first().is_none_or(|first| first.at >= horizon) => {
                return Ok(read);
            }
            Ok(_) => kept().await?.max(from),
            // The key of expired records need not be there any more.
            Err(ReadFailure::Key(e)) => match kept().await? {
                kept if kept > from => kept,
                _ => return Err(e),
            },
            Err(failure) => return Err(unread(failure)),
        };
        records.read(log, from, limit).await.map_err(unread)
    }
}

impl Streams {
    /// Counts a call that began at `started` and gave `page`, or failed.
    fn count(&self, found: &Snapshot, shard: ShardId, started: Instant, page: Option<&Page>) {
        let Some(page) = page else { return found.stats.read(started, None) };
        let weight = |r: &Record| r.data.len() + r.partition_key.as_ref().map_or(0, |k| k.len());
        let bytes = page.records.iter().map(weight).sum::<usize>() as u64;
        let (records, behind) = (page.records.len() as u64, page.millis_behind_latest);
        found.stats.read(started, Some((records, bytes, behind)));
        if let Some(state) = found.state(shard) {
            state.stats.read(records, bytes, behind);
            state.budget.read(self.inner.throttle.quotas(&found.stream), bytes, self.now());
        }
    }
}

/// How far the end of what was read lies behind now.
fn behind(entries: &Entries, tail: &Tail, now: Timestamp) -> u64 {
    let last = entries.entries.last().map_or(tail.last_at, |e| e.at);
    now.since(last).as_millis() as u64
}

fn keys_of(entries: &[Entry]) -> Vec<KeyNumber> {
    let mut keys: Vec<KeyNumber> = entries.iter().filter_map(|e| e.sealed).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn record(shard: &Shard, entry: Entry) -> Record {
    let has_key = entry.attributes & HAS_PARTITION_KEY != 0;
    Record {
        sequence_number: shard.number_at(entry.position),
        arrived: entry.at,
        partition_key: has_key.then_some(entry.key),
        data: entry.value,
        encrypted: entry.attributes & ENCRYPTED != 0,
    }
}

//! The records of the queue's stream, shard by shard, in any order between shards; and news of more.
//!
//! A shard is `ready` (it may have records that were not read yet), or it is watched: its log's
//! tail says when it has. A closed shard that was read to its end is neither. New shards come with
//! the stream's row. One page is read ahead.
//!
//! Invariant: a page holds what a shard has from its place on, in order, without a gap; the place
//! moves on only with the page.

use std::collections::{BTreeMap, VecDeque};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use millstream_base::{ShardId, ShardOrigin, Timestamp};
use millstream_env::BoxFuture;
use millstream_log::{Entries, Entry, LogError, LogId, Position, ReadError, ReadLimit};

use super::event::Slot;
use super::state::State;
use crate::cache::Snapshot;
use crate::data_keys::{ReadFailure, Records};
use crate::error::Result;

/// What is read ahead at once: some receives' worth.
const PAGE: ReadLimit = ReadLimit { entries_max: 200, bytes_max: 1 << 20 };

pub(super) struct Feed {
    records: Records,
    shards: BTreeMap<ShardId, Shard>,
    ready: VecDeque<ShardId>,
    page: VecDeque<(Slot, Entry)>,
    watched: FuturesUnordered<BoxFuture<'static, ShardId>>,
}

struct Shard {
    log: LogId,
    origin: ShardOrigin,
    /// Everything before was read.
    next: Position,
}

impl Feed {
    pub(super) fn new(records: Records) -> Self {
        Feed {
            records,
            shards: BTreeMap::new(),
            ready: VecDeque::new(),
            page: VecDeque::new(),
            watched: FuturesUnordered::new(),
        }
    }

    /// Takes up new shards and lets go of those that the stream has no more.
    pub(super) fn follow(&mut self, stream: &Snapshot, state: &mut State) {
        let row = &stream.row;
        for shard in row.shards.all() {
            if self.shards.contains_key(&shard.id) {
                continue;
            }
            let next = state.cursor(shard.id);
            let log = row.log_of(shard.id);
            self.shards.insert(shard.id, Shard { log, origin: shard.origin(), next });
            self.ready.push_back(shard.id);
        }
        let gone = |shard: &ShardId| row.shards.get(*shard).is_none();
        self.shards.retain(|shard, _| !gone(shard));
        self.ready.retain(|shard| !gone(shard));
        self.page.retain(|(slot, _)| !gone(&slot.shard));
        for shard in state.shards().into_iter().filter(gone) {
            state.remove_shard(shard);
        }
    }

    pub(super) fn origin(&self, shard: ShardId) -> Option<ShardOrigin> {
        Some(self.shards.get(&shard)?.origin)
    }

    /// The next record that was never delivered and is not older than `horizon`. It is there again
    /// at the next call, until [`Feed::pop`].
    pub(super) async fn peek(&mut self, horizon: Timestamp) -> Result<Option<&(Slot, Entry)>> {
        loop {
            while self.page.front().is_some_and(|(_, entry)| entry.at < horizon) {
                self.page.pop_front();
            }
            if let Some((slot, entry)) = self.page.front() {
                // What was read ahead is given out only while its key may be used.
                let log = self.shards.get(&slot.shard).map(|known| known.log);
                if let Some((key, log)) = entry.sealed.zip(log)
                    && !self.records.keys.is_at_hand(key)
                {
                    let keys = self.records.keys.clone();
                    keys.unlock(log.family(), key).await?;
                }
                return Ok(self.page.front());
            }
            let Some(shard) = self.ready.pop_front() else { return Ok(None) };
            if let Err(error) = self.read_page(shard, horizon).await {
                self.ready.push_back(shard);
                return Err(error);
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Slot, Entry)> {
        self.page.pop_front()
    }

    /// Waits until a watched shard has something new. Safe to drop.
    pub(super) async fn changed(&mut self) {
        match self.watched.next().await {
            Some(shard) if self.shards.contains_key(&shard) => self.ready.push_back(shard),
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    /// Takes notice of everything that is new by now.
    pub(super) fn catch_up(&mut self) {
        while let Some(Some(shard)) = self.watched.next().now_or_never() {
            if self.shards.contains_key(&shard) {
                self.ready.push_back(shard);
            }
        }
    }

    /// Delivered records once more. Those that are not there any more are left out.
    pub(super) async fn read_again(
        &mut self,
        slots: &[Slot],
        horizon: Timestamp,
    ) -> Result<BTreeMap<Slot, Entry>> {
        let mut found = BTreeMap::new();
        let mut sorted = slots.to_vec();
        sorted.sort_unstable();
        let mut rest = &sorted[..];
        while let Some(&slot) = rest.first() {
            rest = &rest[1..];
            let Some(shard) = self.shards.get(&slot.shard) else { continue };
            // Records that were delivered together often lie together.
            let limit = ReadLimit { entries_max: rest.len() + 1, bytes_max: PAGE.bytes_max };
            let page = match self.records.read(shard.log, slot.position, limit).await {
                Err(ReadFailure::Log(ReadError::NotFound { .. })) => continue,
                page => page?,
            };
            for entry in page.entries.into_iter().filter(|e| e.at >= horizon) {
                let here = Slot { shard: slot.shard, position: entry.position };
                let wanted = here == slot || rest.first() == Some(&here);
                if wanted {
                    if here != slot {
                        rest = &rest[1..];
                    }
                    found.insert(here, entry);
                }
            }
        }
        Ok(found)
    }

    /// For every shard, the place before which `horizon` has taken everything.
    pub(super) async fn expired(&mut self, horizon: Timestamp) -> Result<Vec<(ShardId, Position)>> {
        let mut found = Vec::new();
        for (shard, known) in &self.shards {
            match self.records.log.find(known.log, horizon).await {
                Ok(position) => found.push((*shard, position)),
                Err(ReadError::NotFound { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(found)
    }

    /// The logs of all shards.
    pub(super) fn logs(&self) -> Vec<(ShardId, LogId)> {
        self.shards.iter().map(|(shard, known)| (*shard, known.log)).collect()
    }

    async fn read_page(&mut self, shard: ShardId, horizon: Timestamp) -> Result<()> {
        let Some(known) = self.shards.get_mut(&shard) else { return Ok(()) };
        let mut tail = match self.records.log.tail(known.log) {
            Err(LogError::NotFound { .. }) => return Ok(()),
            tail => tail?,
        };
        let before = *tail.borrow_and_update();
        let page = match read_kept(&self.records, known.log, known.next, horizon).await {
            // The shard or its stream is being removed.
            Err(ReadFailure::Log(ReadError::NotFound { .. })) => return Ok(()),
            page => page?,
        };
        known.next = known.next.max(page.next);
        if !page.entries.is_empty() {
            let slot = |entry: Entry| (Slot { shard, position: entry.position }, entry);
            self.page.extend(page.entries.into_iter().map(slot));
            self.ready.push_back(shard);
            return Ok(());
        }
        // Nothing was there up to the tail as it stood before.
        known.next = known.next.max(before.next);
        let next = known.next;
        if !before.sealed {
            self.watched.push(Box::pin(async move {
                // A log that ends is looked at once more, and then let go.
                let _ = tail.wait_for(|tail| tail.next > next || tail.sealed).await;
                shard
            }));
        }
        Ok(())
    }
}

/// Reads without what retention has taken.
async fn read_kept(
    records: &Records,
    id: LogId,
    from: Position,
    horizon: Timestamp,
) -> Result<Entries, ReadFailure> {
    let page = records.read(id, from, PAGE).await?;
    match page.entries.first() {
        // Times never decrease along a log: if the first is kept, all are.
        Some(first) if first.at < horizon => {
            let kept = records.log.find(id, horizon).await.map_err(ReadFailure::Log)?;
            records.read(id, kept.max(from), PAGE).await
        }
        _ => Ok(page),
    }
}

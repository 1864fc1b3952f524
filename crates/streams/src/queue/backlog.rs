//! How many records of a queue were never delivered: counted by reading ahead, a little at a time.
//!
//! Positions are not dense, so nothing else can tell. Each record is read once for it; counting
//! stops at the number that the metric stops at.

use std::collections::BTreeMap;

use millstream_base::limits::QUEUE_VISIBLE_COUNT_MAX;
use millstream_base::{ShardId, Timestamp};
use millstream_log::{Position, ReadLimit};

use super::event::Slot;
use super::feed::Feed;
use super::state::State;
use crate::data_keys::Records;
use crate::error::Result;

/// What is read at once, between two turns of the owner.
const PAGE: ReadLimit = ReadLimit { entries_max: 5000, bytes_max: 1 << 20 };

#[derive(Default)]
pub(super) struct Backlog {
    /// Per shard: records between the cursor and the place were counted, so many.
    shards: BTreeMap<ShardId, (Position, u64)>,
}

impl Backlog {
    pub(super) fn count(&self) -> u64 {
        self.shards.values().map(|(_, count)| count).sum()
    }

    /// A record was delivered for the first time.
    pub(super) fn delivered(&mut self, slot: Slot) {
        if let Some((counted_to, count)) = self.shards.get_mut(&slot.shard)
            && slot.position < *counted_to
        {
            *count = count.saturating_sub(1);
        }
    }

    /// Everything before a place of a shard has expired: what lies behind it is counted anew, if
    /// anything of what was counted lay before.
    pub(super) fn expired(&mut self, shard: ShardId, before: Position, state: &State) {
        if before > state.cursor(shard) {
            self.shards.insert(shard, (before, 0));
        }
    }

    /// Counts on, one page; `true` if there may be more.
    pub(super) async fn count_on(
        &mut self,
        records: &Records,
        feed: &mut Feed,
        state: &State,
        horizon: Timestamp,
    ) -> Result<bool> {
        self.shards.retain(|shard, _| feed.origin(*shard).is_some());
        if self.count() >= QUEUE_VISIBLE_COUNT_MAX {
            return Ok(false);
        }
        for (shard, id) in feed.logs() {
            let cursor = state.cursor(shard);
            let (counted_to, count) = self.shards.entry(shard).or_insert((cursor, 0));
            if *counted_to < cursor {
                (*counted_to, *count) = (cursor, 0);
            }
            let page = records.read(id, *counted_to, PAGE).await?;
            if let Some(last) = page.entries.last() {
                *count += page.entries.iter().filter(|e| e.at >= horizon).count() as u64;
                *counted_to = last.position.next();
                return Ok(true);
            }
        }
        Ok(false)
    }
}

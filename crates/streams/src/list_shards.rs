//! ListShards: six filters, and pages that belong together.
//!
//! The first page turns its filter into one that no longer depends on when it is asked (a fixed
//! instant), and the token carries that: a reshard between two pages makes no hole and no overlap.

use millstream_base::limits::LIST_SHARDS_PAGE_MAX;
use millstream_base::{ShardId, StreamArn, Timestamp};

use crate::cache::Snapshot;
use crate::control_call::ControlCall;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{ListShards, ShardFilter, ShardsPage, StreamStatus};
use crate::shard_map::Shard;
use crate::token::ShardsToken;

impl Streams {
    /// A page of a stream's shards, in the order of their numbers.
    ///
    /// # Errors
    /// The token is none or expired; the stream does not exist (or is not the one of that creation
    /// time); it is not ACTIVE or UPDATING.
    pub async fn list_shards(&self, request: ListShards<'_>) -> Result<ShardsPage> {
        match request {
            ListShards::Stream { stream, created, exclusive_start, filter, max_results } => {
                let found = self.find_listable(stream, |f| {
                    created.is_none_or(|c| c.as_secs() == f.row.created.as_secs())
                });
                let found = found.await?;
                self.admit_stream_call(&found, ControlCall::ListShards)?;
                let filter = self.fix(&found, filter);
                Ok(self.page(&found, filter, exclusive_start, max_results))
            }
            ListShards::Next { scope, next_token, max_results } => {
                let token = self.open_shards_token(next_token, scope)?;
                let same = |f: &Snapshot| f.row.family == token.family;
                let found = self.find_listable(&token.stream, same).await?;
                self.admit_stream_call(&found, ControlCall::ListShards)?;
                Ok(self.page(&found, token.filter, Some(token.after), max_results))
            }
        }
    }

    async fn find_listable(
        &self,
        stream: &StreamArn,
        is_meant: impl Fn(&Snapshot) -> bool,
    ) -> Result<std::sync::Arc<Snapshot>> {
        match self.find(stream).await? {
            (found, _) if !is_meant(&found) => {
                Err(Error::StreamNotFound { stream: stream.clone() })
            }
            (found, StreamStatus::Active | StreamStatus::Updating) => Ok(found),
            (_, status) => Err(Error::StreamNotActive { stream: stream.clone(), status }),
        }
    }

    /// The filter as it is at this instant, for all pages.
    fn fix(&self, found: &Snapshot, filter: ShardFilter) -> ShardFilter {
        let now = self.now();
        let horizon = found.row.horizon_at(now);
        // Before the stream's first instant, and after its latest change, nothing differs.
        let (first, last) = (horizon.max(found.row.created), found.row.shards.newest_opening());
        let last = last.max(now);
        match filter {
            ShardFilter::AtTrimHorizon => ShardFilter::AtTimestamp(first),
            ShardFilter::AtLatest => ShardFilter::AtTimestamp(last),
            ShardFilter::AtTimestamp(t) => ShardFilter::AtTimestamp(t.max(first).min(last)),
            ShardFilter::FromTrimHorizon => ShardFilter::FromTimestamp(horizon),
            ShardFilter::FromTimestamp(t) => ShardFilter::FromTimestamp(t.max(horizon)),
            ShardFilter::AfterShardId(shard) => ShardFilter::AfterShardId(shard),
        }
    }

    fn page(
        &self,
        found: &Snapshot,
        filter: ShardFilter,
        after: Option<ShardId>,
        max_results: Option<usize>,
    ) -> ShardsPage {
        let max = max_results.unwrap_or(LIST_SHARDS_PAGE_MAX).clamp(1, LIST_SHARDS_PAGE_MAX);
        let horizon = found.row.horizon_at(self.now());
        let listed =
            |s: &&Shard| after.is_none_or(|after| s.id > after) && passes(s, filter, horizon);
        let mut shards: Vec<&Shard> =
            found.row.shards.all().iter().filter(listed).take(max + 1).collect();
        let more = shards.len() > max;
        shards.truncate(max);
        let next_token = match shards.last() {
            Some(last) if more => Some(self.seal_token(&ShardsToken {
                issued: self.now(),
                stream: found.stream.clone(),
                family: found.row.family,
                filter,
                after: last.id,
            })),
            _ => None,
        };
        let shards = shards.into_iter().map(Shard::describe).collect();
        ShardsPage { stream: found.stream.clone(), shards, next_token }
    }
}

/// Whether a fixed filter shows the shard.
fn passes(shard: &Shard, filter: ShardFilter, horizon: Timestamp) -> bool {
    match filter {
        ShardFilter::AtTimestamp(t) => shard.owned_at(t),
        ShardFilter::FromTimestamp(t) => shard.closed.is_none_or(|c| c.at >= t),
        ShardFilter::AfterShardId(after) => shard.id > after && !shard.is_expired(horizon),
        ShardFilter::AtTrimHorizon | ShardFilter::FromTrimHorizon | ShardFilter::AtLatest => {
            unreachable!("the first page fixes {filter:?}")
        }
    }
}

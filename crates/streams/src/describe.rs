//! DescribeStream, DescribeStreamSummary and ListStreams.

use std::sync::Arc;

use millstream_base::limits::{DESCRIBE_STREAM_PAGE_MAX, LIST_STREAMS_PAGE_MAX};
use millstream_base::{ShardId, StreamArn, StreamName};

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::error::Result;
use crate::model::{
    ListStreams, ListedStream, ShardDescription, StreamDescription, StreamStatus, StreamSummary,
    StreamsPage,
};
use crate::modes::warm_throughput;
use crate::token::StreamsToken;

impl Streams {
    /// A stream with a page of its shards. `limit` above 100 gives 100. A stream that is CREATING
    /// shows no shards.
    pub async fn describe_stream(
        &self,
        stream: &StreamArn,
        limit: Option<usize>,
        exclusive_start: Option<ShardId>,
    ) -> Result<StreamDescription> {
        let (found, status) = self.find(stream).await?;
        let limit = limit.unwrap_or(DESCRIBE_STREAM_PAGE_MAX).min(DESCRIBE_STREAM_PAGE_MAX);
        let (shards, has_more_shards) = self.shards_page(&found, status, limit, exclusive_start);
        let row = &found.row;
        Ok(StreamDescription {
            stream: stream.clone(),
            status,
            mode: row.mode,
            created: row.created,
            retention: row.retention,
            encryption: row.encryption.clone(),
            shard_metrics: row.shard_metrics.clone(),
            shards,
            has_more_shards,
        })
    }

    pub async fn describe_stream_summary(&self, stream: &StreamArn) -> Result<StreamSummary> {
        let (found, status) = self.find(stream).await?;
        let row = &found.row;
        let open = match status {
            StreamStatus::Creating => 0,
            _ => found.route.len() as u32,
        };
        Ok(StreamSummary {
            stream: stream.clone(),
            status,
            mode: row.mode,
            created: row.created,
            retention: row.retention,
            encryption: row.encryption.clone(),
            shard_metrics: row.shard_metrics.clone(),
            open_shard_count: open,
            consumer_count: row.consumers.count(self.now()),
            queue_count: row.queues.len() as u32,
            max_record_kib: row.max_record_kib,
            distribution: row.distribution,
            warm_throughput: warm_throughput(&found),
        })
    }

    /// A page of the account's streams in the order of their names.
    ///
    /// # Errors
    /// [`crate::Error::NextTokenInvalid`], [`crate::Error::NextTokenExpired`].
    pub async fn list_streams(&self, request: ListStreams<'_>) -> Result<StreamsPage> {
        let ListStreams { scope, limit, exclusive_start, next_token } = request;
        let after: Option<StreamName> = match next_token {
            Some(token) => Some(self.open_streams_token(token, scope)?.after),
            None => exclusive_start.cloned(),
        };
        let limit = limit.unwrap_or(LIST_STREAMS_PAGE_MAX).clamp(1, LIST_STREAMS_PAGE_MAX);
        let now = self.now();
        let mut streams: Vec<ListedStream> = Vec::new();
        let mut has_more = false;
        self.inner.cache.walk(scope, after.as_ref(), |found| {
            let Some(status) = found.row.status_at(now) else { return true };
            has_more = streams.len() == limit;
            if !has_more {
                streams.push(listed(found, status));
            }
            !has_more
        });
        let next_token = match streams.last() {
            Some(last) if has_more => {
                let after = last.stream.name().clone();
                let token = StreamsToken { issued: now, scope: scope.clone(), after };
                Some(self.seal_token(&token))
            }
            _ => None,
        };
        Ok(StreamsPage { streams, has_more, next_token })
    }

    fn shards_page(
        &self,
        found: &Snapshot,
        status: StreamStatus,
        limit: usize,
        after: Option<ShardId>,
    ) -> (Vec<ShardDescription>, bool) {
        if status == StreamStatus::Creating {
            return (Vec::new(), false);
        }
        let horizon = found.row.horizon_at(self.now());
        let shown = |s: &&crate::shard_map::Shard| {
            !s.is_expired(horizon) && after.is_none_or(|after| s.id > after)
        };
        let mut shards: Vec<_> =
            found.row.shards.all().iter().filter(shown).take(limit + 1).collect();
        let has_more = shards.len() > limit;
        shards.truncate(limit);
        (shards.into_iter().map(|s| s.describe()).collect(), has_more)
    }
}

fn listed(found: &Arc<Snapshot>, status: StreamStatus) -> ListedStream {
    ListedStream {
        stream: found.stream.clone(),
        status,
        mode: found.row.mode,
        created: found.row.created,
    }
}

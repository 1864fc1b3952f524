//! CreateStream and DeleteStream: how streams come and go.
//!
//! A stream is made in three steps, each of which can be repeated: its row says CREATING, its logs
//! are made, the row says that they are there. It goes in two: the row says DELETING, then logs
//! and row are removed, in this order. Who finds a step undone (the sweeper, after a crash) does
//! it; so no log is ever left without a row that speaks of it.

use millstream_base::limits::{
    RECORD_KIB_DEFAULT, RECORD_KIB_MAX, RECORD_KIB_MIN, SHARD_COUNT_DEFAULT, SHARDS_PER_STREAM_MAX,
    STREAMS_CHANGING_MAX,
};
use millstream_base::{Retention, Scope, StreamArn, Tags, Timestamp, tags};
use millstream_meta::{Document, Expect, Key, MetaError};
use serde::{Deserialize, Serialize};

use crate::account::Usage;
use crate::cache::Snapshot;
use crate::consumer_row::Consumers;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{
    CreateStream, Encryption, RecordDistribution, StreamMode, StreamStatus, WarmThroughput,
};
use crate::shard_map::ShardMap;
use crate::stream_row::{Changes, StreamRow, key_of};

impl Streams {
    /// Makes a stream. It is CREATING until [`crate::StateDurations::creating`] is over.
    ///
    /// # Errors
    /// In this order: settings that do not go together, the name is taken, a quota is reached,
    /// tags that can't be.
    pub async fn create_stream(&self, request: CreateStream) -> Result<()> {
        let (mode, shard_count) = check_settings(&request)?;
        if let Some(mibps) = request.warm_throughput_mibps {
            self.check_warm_throughput(request.stream.scope(), mode, mibps).await?;
        }
        self.check_name_is_free(&request.stream).await?;
        self.check_quotas(request.stream.scope(), mode, shard_count)?;
        check_tags(&request.stream, &request.tags)?;

        let family = self.next_family().await?;
        let row = self.new_row(&request, mode, shard_count, family);
        let key = key_of(&request.stream);
        match self.inner.meta.put(key, row.encode(), Expect::Absent).await {
            Ok(revision) => self.inner.cache.caught_up(revision).await,
            Err(MetaError::Conflict { .. }) => {
                return Err(Error::StreamExists { stream: request.stream });
            }
            Err(e) => return Err(e.into()),
        }
        self.inner.env.hesitate("stream-row-written").await;
        let made = self.finish_creation(&request.stream, &row).await;
        if made.is_err() {
            // Better no stream than one that is CREATING for ever. What this can't do either, the
            // sweeper does.
            let _ = self.abandon(&request.stream, family).await;
        }
        made
    }

    /// Makes the logs of a CREATING stream and says so in its row.
    pub(crate) async fn finish_creation(&self, stream: &StreamArn, row: &StreamRow) -> Result<()> {
        self.inner.log.create(row.logs()).await?;
        self.inner.env.hesitate("stream-logs-made").await;
        let said = self.change(stream, |found, _, now| {
            if found.family != row.family {
                return Err(Error::StreamNotFound { stream: stream.clone() });
            }
            found.logs_made = true;
            // Should the clock have been set back since, the stream is not CREATING for longer.
            found.due = found.due.min(now.plus(self.inner.options.state_durations.creating));
            found.settle(now);
            Ok(())
        });
        let said = said.await;
        if let Err(Error::StreamNotFound { .. }) = said {
            // Deleted meanwhile: no row speaks of these logs any more.
            self.inner.log.delete(row.logs()).await?;
        }
        said
    }

    /// Gives up a stream whose logs could not be made. If someone else has made them, it stays.
    async fn abandon(&self, stream: &StreamArn, family: u32) -> Result<()> {
        self.change(stream, |row, _, _| {
            if row.family == family && !row.logs_made {
                row.status = StreamStatus::Deleting;
                row.due = Timestamp::ZERO; // at once, whatever the clock does
            }
            Ok(())
        })
        .await?;
        self.finish_deletion(stream, family).await
    }

    /// Deletes a stream with all its records. It is DELETING until
    /// [`crate::StateDurations::deleting`] is over.
    ///
    /// `enforce_consumer_deletion` takes the stream's registered consumers along; without it they
    /// stand in the way.
    ///
    /// # Errors
    /// [`Error::StreamNotFound`]; [`Error::StreamNotActive`] if it is DELETING already;
    /// [`Error::StreamHasQueues`], [`Error::StreamHasConsumers`]; [`Error::StreamsChanging`].
    pub async fn delete_stream(
        &self,
        stream: &StreamArn,
        enforce_consumer_deletion: bool,
    ) -> Result<()> {
        let duration = self.inner.options.state_durations.deleting;
        let family = self
            .change(stream, |row, status, now| {
                if status == StreamStatus::Deleting {
                    return Err(Error::StreamNotActive { stream: stream.clone(), status });
                }
                if !row.queues.is_empty() {
                    let (stream, count) = (stream.clone(), row.queues.len());
                    return Err(Error::StreamHasQueues { stream, count });
                }
                if row.consumers.count(now) > 0 && !enforce_consumer_deletion {
                    return Err(Error::StreamHasConsumers { stream: stream.clone() });
                }
                if !duration.is_zero() {
                    self.check_changing(stream.scope())?;
                }
                row.consumers.remove_all();
                row.status = StreamStatus::Deleting;
                row.due = if duration.is_zero() { Timestamp::ZERO } else { now.plus(duration) };
                Ok(row.family)
            })
            .await?;
        self.inner.subscriptions.end_stream(family);
        if duration.is_zero() {
            self.inner.env.hesitate("stream-marked-deleting").await;
            self.finish_deletion(stream, family).await?;
        }
        Ok(())
    }

    /// Removes logs and row of a stream whose DELETING is over.
    pub(crate) async fn finish_deletion(&self, stream: &StreamArn, family: u32) -> Result<()> {
        let Some(found) = self.inner.cache.fetch(stream).await? else { return Ok(()) };
        if found.row.family != family || found.row.status != StreamStatus::Deleting {
            return Ok(());
        }
        self.remove(&found).await
    }

    async fn remove(&self, found: &Snapshot) -> Result<()> {
        self.inner.log.delete(found.row.logs()).await?;
        self.forget_history(&found.stream).await?;
        self.inner.env.hesitate("stream-logs-deleted").await;
        self.remove_policies(&found.stream).await?;
        self.inner.keys.remove_all(found.row.family).await?;
        let expect = Expect::At(found.revision);
        match self.inner.meta.delete(key_of(&found.stream), expect).await {
            Ok(revision) => {
                self.inner.cache.caught_up(revision).await;
                Ok(())
            }
            // Someone else has done it.
            Err(MetaError::Conflict { .. }) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    async fn check_name_is_free(&self, stream: &StreamArn) -> Result<()> {
        let Some(found) = self.inner.cache.fetch(stream).await? else { return Ok(()) };
        match found.row.status_at(self.now()) {
            Some(_) => Err(Error::StreamExists { stream: stream.clone() }),
            None => self.remove(&found).await,
        }
    }

    fn check_quotas(&self, scope: &Scope, mode: StreamMode, shard_count: u32) -> Result<()> {
        let usage = self.usage(scope);
        self.check_changing(scope)?;
        match mode {
            StreamMode::OnDemand => self.check_on_demand(scope, &usage),
            StreamMode::Provisioned => self.check_shards(scope, &usage, shard_count),
        }
    }

    pub(crate) fn check_on_demand(&self, scope: &Scope, usage: &Usage) -> Result<()> {
        let limit = self.inner.options.on_demand_streams_max;
        match usage.on_demand_streams < limit {
            true => Ok(()),
            false => Err(Error::OnDemandStreams { scope: scope.clone(), limit }),
        }
    }

    /// Whether `requested` more open shards fit the account.
    pub(crate) fn check_shards(&self, scope: &Scope, usage: &Usage, requested: u32) -> Result<()> {
        let limit = self.inner.options.shards_per_account_max;
        let current = usage.provisioned_shards;
        match current.saturating_add(requested) <= limit {
            true => Ok(()),
            false => Err(Error::ShardLimit { scope: scope.clone(), current, requested, limit }),
        }
    }

    fn check_changing(&self, scope: &Scope) -> Result<()> {
        let limit = STREAMS_CHANGING_MAX;
        match self.usage(scope).changing_streams < limit {
            true => Ok(()),
            false => Err(Error::StreamsChanging { account: scope.account, limit }),
        }
    }

    fn new_row(
        &self,
        request: &CreateStream,
        mode: StreamMode,
        shard_count: u32,
        family: u32,
    ) -> StreamRow {
        let now = self.now();
        let created = Timestamp::from_secs(now.as_secs());
        let warm =
            |mibps| WarmThroughput { target_mibps: mibps, current_mibps: mibps.min(shard_count) };
        StreamRow {
            family,
            created,
            status: StreamStatus::Creating,
            due: now.plus(self.inner.options.state_durations.creating),
            logs_made: false,
            mode,
            retention: Retention::DEFAULT,
            horizon: Timestamp::ZERO,
            max_record_kib: request.max_record_kib.unwrap_or(RECORD_KIB_DEFAULT),
            distribution: request.distribution.unwrap_or_default(),
            warm_throughput: request.warm_throughput_mibps.map(warm),
            encryption: Encryption::None,
            data_key: None,
            shard_metrics: Vec::new(),
            tags: request.tags.clone(),
            shards: ShardMap::new(shard_count, created),
            doomed: Vec::new(),
            changes: Changes::default(),
            queues: Vec::new(),
            consumers: Consumers::default(),
            reshard: None,
        }
    }

    /// A number that no stream had before.
    pub(crate) async fn next_family(&self) -> Result<u32> {
        let key = Key::new("counter/log-family");
        loop {
            let row = self.inner.meta.get(&key).await?;
            let (last, expect) = match &row {
                None => (0, Expect::Absent),
                Some(row) => {
                    let last = Family::decode(&row.key, &row.value).map_err(MetaError::from)?;
                    (last.last, Expect::At(row.revision))
                }
            };
            let next = Family { last: last + 1 };
            match self.inner.meta.put(key.clone(), next.encode(), expect).await {
                Ok(_) => return Ok(next.last),
                Err(MetaError::Conflict { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// The last family number given.
#[derive(Serialize, Deserialize)]
struct Family {
    last: u32,
}

impl Document for Family {
    const KIND: &'static str = "counter of log families";
    const VERSION: u32 = 1;
}

fn check_settings(request: &CreateStream) -> Result<(StreamMode, u32)> {
    let mode = request.mode.unwrap_or(StreamMode::Provisioned);
    let shard_count = match (request.mode, request.shard_count) {
        (Some(StreamMode::OnDemand), Some(_)) => return Err(Error::ShardCountUnexpected),
        (Some(StreamMode::Provisioned), None) => return Err(Error::ShardCountMissing),
        // A shard takes 1 MiB/s: what is to be warm is there from the beginning.
        (Some(StreamMode::OnDemand), None) => request
            .warm_throughput_mibps
            .map_or(SHARD_COUNT_DEFAULT, |mibps| mibps.min(SHARDS_PER_STREAM_MAX))
            .max(SHARD_COUNT_DEFAULT),
        (_, count) => count.unwrap_or(SHARD_COUNT_DEFAULT),
    };
    if let Some(kib) = request.max_record_kib
        && !(RECORD_KIB_MIN..=RECORD_KIB_MAX).contains(&kib)
    {
        let (min, max) = (RECORD_KIB_MIN, RECORD_KIB_MAX);
        return Err(Error::RecordSizeOutOfBounds { kib: kib.into(), min, max });
    }
    if request.distribution == Some(RecordDistribution::Auto) && mode != StreamMode::OnDemand {
        return Err(Error::AutoNeedsOnDemand);
    }
    match shard_count {
        1..=SHARDS_PER_STREAM_MAX => Ok((mode, shard_count)),
        requested => Err(Error::ShardsPerStream { requested, limit: SHARDS_PER_STREAM_MAX }),
    }
}

fn check_tags(stream: &StreamArn, added: &Tags) -> Result<()> {
    let added = added.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    tags::check_added(&Tags::new(), added)
        .map_err(|error| Error::Tags { stream: stream.clone(), error })
}

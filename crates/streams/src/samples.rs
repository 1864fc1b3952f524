//! What streams and shards did since they were last asked: the figures of a minute.

use millstream_base::{ShardId, StreamArn};

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::model::ShardMetric;
use crate::stats::{CallStats, Sample};

/// One operation's calls on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallSamples {
    /// Of calls that succeeded.
    pub bytes: Sample,
    /// Microseconds, of all calls.
    pub latency_us: Sample,
    /// 1 for a call that succeeded, 0 for one that failed.
    pub success: Sample,
}

/// One stream's figures, with the names of its CloudWatch metrics. One value for each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSamples {
    pub stream: StreamArn,
    pub incoming_records: Sample,
    pub incoming_bytes: Sample,
    pub put_record: CallSamples,
    pub put_records: CallSamples,
    pub put_records_total: Sample,
    pub put_records_successful: Sample,
    pub put_records_failed: Sample,
    pub put_records_throttled: Sample,
    pub get_records: CallSamples,
    pub get_records_records: Sample,
    pub iterator_age_ms: Sample,
    pub write_exceeded: Sample,
    pub read_exceeded: Sample,
    /// The metrics that enhanced monitoring is on for.
    pub shard_metrics: Vec<ShardMetric>,
    /// Shards that did something; empty unless enhanced monitoring is on.
    pub shards: Vec<ShardSamples>,
}

/// What one shard did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSamples {
    pub shard: ShardId,
    pub counts: ShardCounts,
    /// One value for each read.
    pub iterator_age_ms: Sample,
}

/// Sums of one shard, with the names of its CloudWatch metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardCounts {
    pub incoming_records: u64,
    pub incoming_bytes: u64,
    pub outgoing_records: u64,
    pub outgoing_bytes: u64,
    pub write_exceeded: u64,
    pub read_exceeded: u64,
}

impl ShardCounts {
    fn of(
        [incoming_records, incoming_bytes, outgoing_records, outgoing_bytes, write, read]: [u64; 6],
    ) -> Self {
        ShardCounts {
            incoming_records,
            incoming_bytes,
            outgoing_records,
            outgoing_bytes,
            write_exceeded: write,
            read_exceeded: read,
        }
    }
}

impl Streams {
    /// What every stream did since the last call, by one caller. What happens meanwhile may fall on
    /// either side.
    pub fn take_stream_samples(&self) -> Vec<StreamSamples> {
        self.inner.cache.all().iter().map(|found| take(found)).collect()
    }

    /// Totals since the process started of the shards that enhanced monitoring is on for, of at most
    /// `limit` shards.
    pub fn shard_counts(&self, limit: usize) -> Vec<(StreamArn, ShardId, ShardCounts)> {
        let all = self.inner.cache.all();
        let watched = all.iter().filter(|found| !found.row.shard_metrics.is_empty());
        let counts = watched.flat_map(|found| {
            found.row.shards.all().iter().filter_map(|shard| {
                let totals = found.state(shard.id)?.stats.totals();
                let counts = totals.map(|n| n.load(std::sync::atomic::Ordering::Relaxed));
                Some((found.stream.clone(), shard.id, ShardCounts::of(counts)))
            })
        });
        counts.take(limit).collect()
    }
}

fn take(found: &Snapshot) -> StreamSamples {
    let stats = &found.stats;
    StreamSamples {
        stream: found.stream.clone(),
        incoming_records: stats.incoming_records.take(),
        incoming_bytes: stats.incoming_bytes.take(),
        put_record: stats.put_record.take(),
        put_records: stats.put_records.take(),
        put_records_total: stats.put_records_total.take(),
        put_records_successful: stats.put_records_successful.take(),
        put_records_failed: stats.put_records_failed.take(),
        put_records_throttled: stats.put_records_throttled.take(),
        get_records: stats.get_records.take(),
        get_records_records: stats.get_records_records.take(),
        iterator_age_ms: stats.get_records_age_ms.take(),
        write_exceeded: stats.write_exceeded.take(),
        read_exceeded: stats.read_exceeded.take(),
        shard_metrics: found.row.shard_metrics.clone(),
        shards: take_shards(found),
    }
}

/// Shards are asked whether or not anyone wants to know: what was before the monitoring is switched
/// on must not count into its first minute.
fn take_shards(found: &Snapshot) -> Vec<ShardSamples> {
    let mut shards = Vec::new();
    for shard in found.row.shards.all() {
        let Some(state) = found.state(shard.id) else { continue };
        let (counts, iterator_age_ms) = (state.stats.take(), state.stats.iterator_age_ms.take());
        let idle = iterator_age_ms.count == 0 && counts.iter().all(|n| *n == 0);
        if !idle && !found.row.shard_metrics.is_empty() {
            let counts = ShardCounts::of(counts);
            shards.push(ShardSamples { shard: shard.id, counts, iterator_age_ms });
        }
    }
    shards
}

impl CallStats {
    fn take(&self) -> CallSamples {
        CallSamples {
            bytes: self.bytes.take(),
            latency_us: self.latency_us.take(),
            success: self.success.take(),
        }
    }
}

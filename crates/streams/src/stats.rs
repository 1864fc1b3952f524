//! What streams and shards did since this process started, counted without locks.
//!
//! Totals only rise. A [`Figure`] besides knows the least and the greatest value since it was last
//! taken, and with that the statistics of a minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_base::StreamArn;
use tokio::time::Instant;

/// Values that were observed: how many, their sum, the least and the greatest.
///
/// Count and sum go on rising; least and greatest are of the time since the last [`Figure::take`].
#[derive(Debug)]
pub(crate) struct Figure {
    count: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    /// Count and sum when the figure was last taken.
    taken: [AtomicU64; 2],
}

/// What a [`Figure`] observed between two times at which it was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub count: u64,
    pub sum: u64,
    /// 0 if `count` is.
    pub min: u64,
    pub max: u64,
}

impl Default for Figure {
    fn default() -> Self {
        Figure {
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            taken: Default::default(),
        }
    }
}

impl Figure {
    pub(crate) fn observe(&self, value: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if value != 0 {
            self.sum.fetch_add(value, Ordering::Relaxed);
        }
        if value < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(value, Ordering::Relaxed);
        }
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// What was observed since the last call, by one caller. What is observed meanwhile may fall on
    /// either side.
    pub(crate) fn take(&self) -> Sample {
        let [taken_count, taken_sum] = &self.taken;
        let count = since(&self.count, taken_count);
        let sum = since(&self.sum, taken_sum);
        let min = self.min.swap(u64::MAX, Ordering::Relaxed);
        let max = self.max.swap(0, Ordering::Relaxed);
        match count {
            0 => Sample { count, sum, min: 0, max },
            _ if min > max => Sample { count, sum, min: sum / count, max: sum / count },
            _ => Sample { count, sum, min, max },
        }
    }

    /// How often something was observed since the process started.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The sum of all that was observed since the process started.
    pub(crate) fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }
}

/// How much a total rose since it was last asked for; `taken` remembers that.
fn since(total: &AtomicU64, taken: &AtomicU64) -> u64 {
    let now = total.load(Ordering::Relaxed);
    now.wrapping_sub(taken.swap(now, Ordering::Relaxed))
}

/// Totals of one shard, with the names of its CloudWatch metrics.
#[derive(Debug, Default)]
pub(crate) struct ShardStats {
    pub(crate) incoming_records: AtomicU64,
    pub(crate) incoming_bytes: AtomicU64,
    pub(crate) outgoing_records: AtomicU64,
    pub(crate) outgoing_bytes: AtomicU64,
    /// Records beyond the write budget, refused or (where limits are only measured) not.
    pub(crate) write_exceeded: AtomicU64,
    /// GetRecords calls beyond the read budget, refused or not.
    pub(crate) read_exceeded: AtomicU64,
    pub(crate) iterator_age_ms: Figure,
    /// The totals, in this order, when they were last taken.
    taken: [AtomicU64; 6],
}

impl ShardStats {
    pub(crate) fn stored(&self, records: u64, bytes: u64) {
        self.incoming_records.fetch_add(records, Ordering::Relaxed);
        self.incoming_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, records: u64, bytes: u64, millis_behind: u64) {
        self.outgoing_records.fetch_add(records, Ordering::Relaxed);
        self.outgoing_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.iterator_age_ms.observe(millis_behind);
    }

    /// The totals in the order of their declaration.
    pub(crate) fn totals(&self) -> [&AtomicU64; 6] {
        [
            &self.incoming_records,
            &self.incoming_bytes,
            &self.outgoing_records,
            &self.outgoing_bytes,
            &self.write_exceeded,
            &self.read_exceeded,
        ]
    }

    /// How much each total rose since the last call, by one caller.
    pub(crate) fn take(&self) -> [u64; 6] {
        let totals = self.totals();
        std::array::from_fn(|at| since(totals[at], &self.taken[at]))
    }
}

/// Calls of one operation on a stream.
#[derive(Debug, Default)]
pub(crate) struct CallStats {
    /// Of calls that succeeded.
    pub(crate) bytes: Figure,
    /// Microseconds, of all calls.
    pub(crate) latency_us: Figure,
    /// 1 for a call that succeeded, 0 for one that failed.
    pub(crate) success: Figure,
}

impl CallStats {
    /// A call that began at `started` and handled so many bytes, or failed.
    pub(crate) fn done(&self, started: Instant, bytes: Option<u64>) {
        self.latency_us.observe(micros(started.elapsed()));
        self.success.observe(u64::from(bytes.is_some()));
        if let Some(bytes) = bytes {
            self.bytes.observe(bytes);
        }
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// Figures of one stream, with the names of their CloudWatch metrics. One value for each call.
#[derive(Debug, Default)]
pub(crate) struct StreamStats {
    pub(crate) incoming_records: Figure,
    pub(crate) incoming_bytes: Figure,
    pub(crate) put_record: CallStats,
    pub(crate) put_records: CallStats,
    pub(crate) put_records_total: Figure,
    pub(crate) put_records_successful: Figure,
    pub(crate) put_records_failed: Figure,
    pub(crate) put_records_throttled: Figure,
    pub(crate) get_records: CallStats,
    pub(crate) get_records_records: Figure,
    pub(crate) get_records_age_ms: Figure,
    /// Records beyond a shard's throughput, where quotas are looked at.
    pub(crate) write_exceeded: Figure,
    /// 1 for a GetRecords call beyond a shard's throughput, 0 for others.
    pub(crate) read_exceeded: Figure,
    failed_records: AtomicU64,
    throttled_records: AtomicU64,
    last_age_ms: AtomicU64,
}

/// The counters as they stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCounts {
    pub stream: StreamArn,
    pub open_shard_count: u64,
    pub incoming_records: u64,
    pub incoming_bytes: u64,
    /// Records that could not be stored, throttled ones not included.
    pub failed_records: u64,
    /// Records that were refused because of a shard's throughput.
    pub throttled_records: u64,
    /// Records beyond a shard's throughput, refused or (where quotas are only measured) not.
    pub write_exceeded: u64,
    /// GetRecords calls beyond a shard's throughput, refused or not.
    pub read_exceeded: u64,
    pub put_record: CallCounts,
    pub put_records: CallCounts,
    /// Records of PutRecords calls: all, stored, failed, throttled.
    pub put_records_total: u64,
    pub put_records_successful: u64,
    pub put_records_failed: u64,
    pub put_records_throttled: u64,
    pub get_records: CallCounts,
    pub get_records_records: u64,
    /// MillisBehindLatest of the last GetRecords answer.
    pub iterator_age_ms: u64,
}

/// Calls of one operation on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    pub calls: u64,
    pub success: u64,
    /// Of calls that succeeded.
    pub bytes: u64,
    /// Of all calls together.
    pub latency_us: u64,
}

impl StreamStats {
    /// What a call stored.
    pub(crate) fn stored(&self, records: u64, bytes: u64) {
        if records > 0 {
            self.incoming_records.observe(records);
            self.incoming_bytes.observe(bytes);
        }
    }

    pub(crate) fn not_stored(&self, failed: u64, throttled: u64) {
        self.failed_records.fetch_add(failed, Ordering::Relaxed);
        self.throttled_records.fetch_add(throttled, Ordering::Relaxed);
    }

    /// A GetRecords call that began at `started`: records, bytes and milliseconds behind, or failed.
    pub(crate) fn read(&self, started: Instant, page: Option<(u64, u64, u64)>) {
        self.get_records.done(started, page.map(|(_, bytes, _)| bytes));
        if let Some((records, _, millis_behind)) = page {
            self.get_records_records.observe(records);
            self.get_records_age_ms.observe(millis_behind);
            self.last_age_ms.store(millis_behind, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self, stream: StreamArn, open_shard_count: u64) -> StreamCounts {
        let n = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StreamCounts {
            stream,
            open_shard_count,
            incoming_records: self.incoming_records.sum(),
            incoming_bytes: self.incoming_bytes.sum(),
            failed_records: n(&self.failed_records),
            throttled_records: n(&self.throttled_records),
            write_exceeded: self.write_exceeded.sum(),
            read_exceeded: self.read_exceeded.sum(),
            put_record: self.put_record.counts(),
            put_records: self.put_records.counts(),
            put_records_total: self.put_records_total.sum(),
            put_records_successful: self.put_records_successful.sum(),
            put_records_failed: self.put_records_failed.sum(),
            put_records_throttled: self.put_records_throttled.sum(),
            get_records: self.get_records.counts(),
            get_records_records: self.get_records_records.sum(),
            iterator_age_ms: n(&self.last_age_ms),
        }
    }
}

impl CallStats {
    fn counts(&self) -> CallCounts {
        CallCounts {
            calls: self.success.count(),
            success: self.success.sum(),
            bytes: self.bytes.sum(),
            latency_us: self.latency_us.sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_taken_in_stretches_and_its_totals_rise() {
        let figure = Figure::default();
        assert_eq!(figure.take(), Sample::default());
        [4, 0, 9].into_iter().for_each(|value| figure.observe(value));
        assert_eq!(figure.take(), Sample { count: 3, sum: 13, min: 0, max: 9 });
        figure.observe(5);
        assert_eq!(figure.take(), Sample { count: 1, sum: 5, min: 5, max: 5 });
        assert_eq!(figure.take(), Sample::default());
        assert_eq!((figure.count(), figure.sum()), (4, 18));
    }

    #[test]
    fn a_shard_tells_what_is_new() {
        let stats = ShardStats::default();
        stats.stored(2, 30);
        stats.read(1, 7, 0);
        assert_eq!(stats.take(), [2, 30, 1, 7, 0, 0]);
        stats.stored(1, 1);
        assert_eq!(stats.take(), [1, 1, 0, 0, 0, 0]);
    }
}

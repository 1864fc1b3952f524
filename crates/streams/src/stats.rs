//! What streams and shards did since this process started, counted without locks.
//!
//! Totals only rise; who wants a rate or a minute's sum asks twice. A [`Figure`] besides knows the
//! least and the greatest value since it was last taken.

use std::sync::atomic::{AtomicU64, Ordering};

use millstream_base::StreamArn;

/// Values that were observed: how many, their sum, the least and the greatest.
#[derive(Debug)]
pub(crate) struct Figure {
    count: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

/// What a [`Figure`] held when it was taken.
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
        }
    }
}

impl Figure {
    pub(crate) fn observe(&self, value: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        if value < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(value, Ordering::Relaxed);
        }
        if value > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// What was observed since the last call. What is observed meanwhile may fall on either side.
    pub(crate) fn take(&self) -> Sample {
        let count = self.count.swap(0, Ordering::Relaxed);
        let sum = self.sum.swap(0, Ordering::Relaxed);
        let min = self.min.swap(u64::MAX, Ordering::Relaxed);
        let max = self.max.swap(0, Ordering::Relaxed);
        let min = if count == 0 || min == u64::MAX { 0 } else { min };
        Sample { count, sum, min, max }
    }
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
}

/// Counters of one stream, with the names of their CloudWatch metrics.
#[derive(Debug, Default)]
pub(crate) struct StreamStats {
    incoming_records: AtomicU64,
    incoming_bytes: AtomicU64,
    failed_records: AtomicU64,
    throttled_records: AtomicU64,
    write_exceeded: AtomicU64,
    read_exceeded: AtomicU64,
    get_records_calls: AtomicU64,
    get_records_records: AtomicU64,
    get_records_bytes: AtomicU64,
    iterator_age_ms: AtomicU64,
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
    pub get_records_calls: u64,
    pub get_records_records: u64,
    pub get_records_bytes: u64,
    /// MillisBehindLatest of the last GetRecords answer.
    pub iterator_age_ms: u64,
}

impl StreamStats {
    pub(crate) fn stored(&self, records: u64, bytes: u64) {
        self.incoming_records.fetch_add(records, Ordering::Relaxed);
        self.incoming_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn not_stored(&self, failed: u64, throttled: u64) {
        self.failed_records.fetch_add(failed, Ordering::Relaxed);
        self.throttled_records.fetch_add(throttled, Ordering::Relaxed);
    }

    pub(crate) fn write_exceeded(&self, records: u64) {
        self.write_exceeded.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn read_exceeded(&self) {
        self.read_exceeded.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, records: u64, bytes: u64, millis_behind: u64) {
        self.get_records_calls.fetch_add(1, Ordering::Relaxed);
        self.get_records_records.fetch_add(records, Ordering::Relaxed);
        self.get_records_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.iterator_age_ms.store(millis_behind, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self, stream: StreamArn, open_shard_count: u64) -> StreamCounts {
        let n = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StreamCounts {
            stream,
            open_shard_count,
            incoming_records: n(&self.incoming_records),
            incoming_bytes: n(&self.incoming_bytes),
            failed_records: n(&self.failed_records),
            throttled_records: n(&self.throttled_records),
            write_exceeded: n(&self.write_exceeded),
            read_exceeded: n(&self.read_exceeded),
            get_records_calls: n(&self.get_records_calls),
            get_records_records: n(&self.get_records_records),
            get_records_bytes: n(&self.get_records_bytes),
            iterator_age_ms: n(&self.iterator_age_ms),
        }
    }
}

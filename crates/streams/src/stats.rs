//! What a stream did since this process started, counted without locks.

use std::sync::atomic::{AtomicU64, Ordering};

use millstream_base::StreamArn;

/// Counters of one stream, with the names of their CloudWatch metrics.
#[derive(Debug, Default)]
pub(crate) struct StreamStats {
    incoming_records: AtomicU64,
    incoming_bytes: AtomicU64,
    failed_records: AtomicU64,
    throttled_records: AtomicU64,
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
    pub throttled_records: u64,
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
            get_records_calls: n(&self.get_records_calls),
            get_records_records: n(&self.get_records_records),
            get_records_bytes: n(&self.get_records_bytes),
            iterator_age_ms: n(&self.iterator_age_ms),
        }
    }
}

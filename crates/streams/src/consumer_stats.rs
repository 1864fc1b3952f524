//! What each fan-out consumer did since its figures were last taken, with the names of its
//! CloudWatch metrics.

use millstream_base::{StreamArn, StreamName};

use crate::stats::{Figure, Sample};

/// Figures of one consumer.
#[derive(Debug, Default)]
pub(crate) struct ConsumerStats {
    pub(crate) subscribed: Figure,
    pub(crate) rate_exceeded: Figure,
    pub(crate) event_success: Figure,
    pub(crate) event_bytes: Figure,
    pub(crate) event_records: Figure,
    pub(crate) event_millis_behind: Figure,
}

/// What a consumer's figures held when they were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSamples {
    pub stream: StreamArn,
    pub consumer: StreamName,
    /// SubscribeToShard.Success: 1 for each subscription that began.
    pub subscribe_success: Sample,
    /// SubscribeToShard.RateExceeded: 1 for each that an active subscription forbade.
    pub subscribe_rate_exceeded: Sample,
    /// SubscribeToShardEvent.Success: 1 for each event, 0 for each exception in a stream.
    pub event_success: Sample,
    /// SubscribeToShardEvent.Bytes: data and partition keys of an event.
    pub event_bytes: Sample,
    /// SubscribeToShardEvent.Records
    pub event_records: Sample,
    /// SubscribeToShardEvent.MillisBehindLatest
    pub event_millis_behind: Sample,
}

/// Totals of one consumer since the process started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerCounts {
    pub stream: StreamArn,
    pub consumer: StreamName,
    pub subscribe_success: u64,
    pub subscribe_rate_exceeded: u64,
    pub event_success: u64,
    pub event_bytes: u64,
    pub event_records: u64,
}

impl ConsumerStats {
    pub(crate) fn counts(&self, stream: StreamArn, consumer: StreamName) -> ConsumerCounts {
        ConsumerCounts {
            stream,
            consumer,
            subscribe_success: self.subscribed.sum(),
            subscribe_rate_exceeded: self.rate_exceeded.sum(),
            event_success: self.event_success.sum(),
            event_bytes: self.event_bytes.sum(),
            event_records: self.event_records.sum(),
        }
    }

    pub(crate) fn event(&self, records: u64, bytes: u64, millis_behind: u64) {
        self.event_success.observe(1);
        self.event_bytes.observe(bytes);
        self.event_records.observe(records);
        self.event_millis_behind.observe(millis_behind);
    }

    pub(crate) fn take(&self, stream: StreamArn, consumer: StreamName) -> ConsumerSamples {
        ConsumerSamples {
            stream,
            consumer,
            subscribe_success: self.subscribed.take(),
            subscribe_rate_exceeded: self.rate_exceeded.take(),
            event_success: self.event_success.take(),
            event_bytes: self.event_bytes.take(),
            event_records: self.event_records.take(),
            event_millis_behind: self.event_millis_behind.take(),
        }
    }
}

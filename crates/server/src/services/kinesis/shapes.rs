//! The engine's values as AWS's shapes.

use bytes::Bytes;
use millstream_api::kinesis as api;
use millstream_base::Timestamp;
use millstream_streams as engine;
use millstream_wire::{Text, Time};

pub(super) fn time(at: Timestamp) -> Time {
    Time::from_millis(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
}

/// Whole milliseconds; times before the epoch are the epoch.
pub(super) fn timestamp(at: Time) -> Timestamp {
    Timestamp::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}

/// Counts are bounded far below this.
pub(super) fn int(n: impl TryInto<i32>) -> i32 {
    n.try_into().unwrap_or(i32::MAX)
}

/// A number that the model keeps positive.
pub(super) fn positive<T: TryFrom<i32>>(n: Option<i32>) -> Option<T> {
    n.and_then(|n| T::try_from(n).ok())
}

pub(super) fn status(status: engine::StreamStatus) -> api::StreamStatus {
    match status {
        engine::StreamStatus::Creating => api::StreamStatus::Creating,
        engine::StreamStatus::Deleting => api::StreamStatus::Deleting,
        engine::StreamStatus::Active => api::StreamStatus::Active,
        engine::StreamStatus::Updating => api::StreamStatus::Updating,
    }
}

pub(super) fn mode_details(mode: engine::StreamMode) -> api::StreamModeDetails {
    let stream_mode = match mode {
        engine::StreamMode::Provisioned => api::StreamMode::Provisioned,
        engine::StreamMode::OnDemand => api::StreamMode::OnDemand,
    };
    api::StreamModeDetails { stream_mode }
}

pub(super) fn distribution(d: engine::RecordDistribution) -> api::RecordDistributionStrategy {
    match d {
        engine::RecordDistribution::UserPartitionKey => {
            api::RecordDistributionStrategy::UserPartitionKey
        }
        engine::RecordDistribution::Auto => api::RecordDistributionStrategy::Auto,
    }
}

/// `None` for values that the model does not know; validation has refused those.
pub(super) fn mode(mode: &api::StreamMode) -> Option<engine::StreamMode> {
    match mode {
        api::StreamMode::Provisioned => Some(engine::StreamMode::Provisioned),
        api::StreamMode::OnDemand => Some(engine::StreamMode::OnDemand),
        api::StreamMode::Other(_) => None,
    }
}

/// As [`mode`].
pub(super) fn strategy(d: &api::RecordDistributionStrategy) -> Option<engine::RecordDistribution> {
    match d {
        api::RecordDistributionStrategy::Auto => Some(engine::RecordDistribution::Auto),
        api::RecordDistributionStrategy::UserPartitionKey => {
            Some(engine::RecordDistribution::UserPartitionKey)
        }
        api::RecordDistributionStrategy::Other(_) => None,
    }
}

pub(super) fn warm_throughput(warm: engine::WarmThroughput) -> api::WarmThroughputObject {
    api::WarmThroughputObject {
        target_mibps: Some(int(warm.target_mibps)),
        current_mibps: Some(int(warm.current_mibps)),
    }
}

pub(super) fn commitment(
    settings: engine::AccountSettings,
) -> api::MinimumThroughputBillingCommitmentOutput {
    use api::MinimumThroughputBillingCommitmentOutputStatus as Status;
    let status = match settings.commitment {
        engine::Commitment::Enabled => Status::Enabled,
        engine::Commitment::Disabled => Status::Disabled,
        engine::Commitment::EnabledUntilEarliestAllowedEnd => {
            Status::EnabledUntilEarliestAllowedEnd
        }
    };
    api::MinimumThroughputBillingCommitmentOutput {
        status,
        started_at: settings.started_at.map(time),
        ended_at: settings.ended_at.map(time),
        earliest_allowed_end_at: settings.earliest_allowed_end_at.map(time),
    }
}

/// Type and key of a stream's encryption, as descriptions show them.
pub(super) fn encryption(e: engine::Encryption) -> (api::EncryptionType, Option<String>) {
    match e {
        engine::Encryption::None => (api::EncryptionType::None, None),
        engine::Encryption::Kms { key_id } => (api::EncryptionType::Kms, Some(key_id)),
    }
}

/// As put answers and records show it: left out where nothing is encrypted.
pub(super) fn encryption_if_any(e: &engine::Encryption) -> Option<api::EncryptionType> {
    match e {
        engine::Encryption::None => None,
        engine::Encryption::Kms { .. } => Some(api::EncryptionType::Kms),
    }
}

/// A list of one element, even where no metric is on.
pub(super) fn monitoring(metrics: Vec<engine::ShardMetric>) -> Vec<api::EnhancedMetrics> {
    let names = metrics.into_iter().map(metric).collect();
    vec![api::EnhancedMetrics { shard_level_metrics: Some(names) }]
}

pub(super) fn metric(metric: engine::ShardMetric) -> api::MetricsName {
    use engine::ShardMetric::*;
    match metric {
        IncomingBytes => api::MetricsName::IncomingBytes,
        IncomingRecords => api::MetricsName::IncomingRecords,
        OutgoingBytes => api::MetricsName::OutgoingBytes,
        OutgoingRecords => api::MetricsName::OutgoingRecords,
        WriteProvisionedThroughputExceeded => api::MetricsName::WriteProvisionedThroughputExceeded,
        ReadProvisionedThroughputExceeded => api::MetricsName::ReadProvisionedThroughputExceeded,
        IteratorAgeMilliseconds => api::MetricsName::IteratorAgeMilliseconds,
    }
}

pub(super) fn range(range: millstream_base::HashKeyRange) -> api::HashKeyRange {
    api::HashKeyRange {
        starting_hash_key: range.start.to_string(),
        ending_hash_key: range.end.to_string(),
    }
}

pub(super) fn shard(shard: engine::ShardDescription) -> api::Shard {
    api::Shard {
        shard_id: shard.shard.to_string(),
        parent_shard_id: shard.parent.map(|p| p.to_string()),
        adjacent_parent_shard_id: shard.adjacent_parent.map(|p| p.to_string()),
        hash_key_range: range(shard.range),
        sequence_number_range: api::SequenceNumberRange {
            starting_sequence_number: shard.starting_sequence_number.to_string(),
            ending_sequence_number: shard.ending_sequence_number.map(|n| n.to_string()),
        },
    }
}

/// UTF-8 as it was when it came in; should it ever not be, what can be read of it.
pub(super) fn text(bytes: Bytes) -> Text {
    Text::try_from(bytes.clone()).unwrap_or_else(|_| Text::from(&*String::from_utf8_lossy(&bytes)))
}

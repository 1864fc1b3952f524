//! What an operator can set about AWS's quotas on throughput and rates.
//!
//! [`QuotaMode::Measured`] is what a node starts with: everything is served, and what AWS would
//! have refused is counted. The numbers are AWS's unless they are set.

use millstream_base::limits::{
    CONSUMER_READ_BYTES_PER_SECOND, LARGE_RECORDS_BYTES_PER_SECOND, SHARD_ITERATORS_PER_SECOND,
    SHARD_READ_BYTES_PER_SECOND, SHARD_READ_CALLS_PER_SECOND, SHARD_WRITE_BYTES_PER_SECOND,
    SHARD_WRITE_RECORDS_PER_SECOND, SUBSCRIPTIONS_PER_SECOND,
};
use millstream_base::{AccountId, Region, StreamArn, StreamName};

use crate::bucket::PerSecond;
use crate::control_call::ControlRates;

/// What happens beyond a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QuotaMode {
    /// It is refused, as on AWS.
    Enforced,
    /// It is served, and counted as if it had been refused.
    #[default]
    Measured,
    /// Nobody looks.
    Off,
}

/// Quotas of a stream and of each of its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    pub mode: QuotaMode,
    /// Records that a shard takes.
    pub write_records: PerSecond,
    /// Bytes (data and partition keys) that a shard takes. A larger record draws on a budget of
    /// its own, [`Quotas::large_record_bytes`].
    pub write_bytes: PerSecond,
    /// How the budget for larger records refills.
    pub large_record_bytes: PerSecond,
    /// GetRecords calls of a shard.
    pub read_calls: PerSecond,
    /// Bytes that GetRecords gives out of a shard.
    pub read_bytes: PerSecond,
    /// GetShardIterator calls of a shard.
    pub iterators: PerSecond,
    /// Bytes that a shard gives out to each fan-out consumer.
    pub consumer_bytes: PerSecond,
    /// SubscribeToShard calls of a consumer and shard.
    pub subscriptions: PerSecond,
}

impl Default for Quotas {
    fn default() -> Self {
        Quotas {
            mode: QuotaMode::default(),
            write_records: PerSecond::of(SHARD_WRITE_RECORDS_PER_SECOND),
            write_bytes: PerSecond::of(SHARD_WRITE_BYTES_PER_SECOND),
            large_record_bytes: PerSecond::of(LARGE_RECORDS_BYTES_PER_SECOND),
            read_calls: PerSecond::of(SHARD_READ_CALLS_PER_SECOND),
            read_bytes: PerSecond::of(SHARD_READ_BYTES_PER_SECOND),
            iterators: PerSecond::of(SHARD_ITERATORS_PER_SECOND),
            consumer_bytes: PerSecond::of(CONSUMER_READ_BYTES_PER_SECOND),
            subscriptions: PerSecond::of(SUBSCRIPTIONS_PER_SECOND),
        }
    }
}

/// Quotas of streams that are not as the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamQuotas {
    pub name: StreamName,
    /// `None`: streams of that name in every account and region.
    pub scope: Option<(AccountId, Region)>,
    pub quotas: Quotas,
}

/// All quotas of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaSettings {
    pub default: Quotas,
    /// The first one that fits a stream counts.
    pub streams: Vec<StreamQuotas>,
    /// How often operations of the control plane may be called.
    pub control: ControlRates,
}

impl QuotaSettings {
    /// The quotas of one stream.
    pub(crate) fn of(&self, stream: &StreamArn) -> &Quotas {
        // Most nodes have no exceptions, the others a handful.
        let own = self.streams.iter().find(|own| own.fits(stream));
        own.map_or(&self.default, |own| &own.quotas)
    }
}

impl StreamQuotas {
    fn fits(&self, stream: &StreamArn) -> bool {
        let scope = self.scope.as_ref();
        self.name == *stream.name()
            && scope.is_none_or(|(a, r)| *a == stream.account() && r == stream.region())
    }
}

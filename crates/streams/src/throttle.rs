//! The place where a shard's throughput is held to its quota.
//!
//! For now everything is admitted. What asks here already turns a refusal into a per-record
//! ProvisionedThroughputExceeded.

use millstream_base::{ShardId, Timestamp};

use crate::cache::Snapshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted,
    #[allow(dead_code)] // given as soon as shards have budgets
    Exceeded,
}

/// One shard's budgets.
#[derive(Debug, Default)]
pub(crate) struct ShardBudget {}

/// Budgets of all shards that this process writes to or reads from.
#[derive(Debug, Default)]
pub(crate) struct Throttle {}

impl Throttle {
    /// Asks to write one record of `bytes` (data and key).
    pub(crate) fn admit_write(
        &self,
        _stream: &Snapshot,
        _shard: ShardId,
        _bytes: usize,
        _now: Timestamp,
    ) -> Admission {
        Admission::Admitted
    }

    /// Bytes per second that one subscription to a shard of this stream may have. `None`: as many
    /// as it takes.
    pub(crate) fn subscription_rate(&self, _stream: &Snapshot) -> Option<u32> {
        None
    }

    /// Asks for one GetRecords call.
    pub(crate) fn admit_read(
        &self,
        _stream: &Snapshot,
        _shard: ShardId,
        _now: Timestamp,
    ) -> Admission {
        Admission::Admitted
    }
}

//! What this process keeps of one shard between requests. Nothing here is true beyond the process.

use crate::stats::ShardStats;
use crate::throttle::ShardBudget;

#[derive(Debug, Default)]
pub(crate) struct ShardState {
    pub(crate) budget: ShardBudget,
    pub(crate) stats: ShardStats,
}

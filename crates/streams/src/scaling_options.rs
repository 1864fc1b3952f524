//! What an operator can set about scaling.

use std::time::Duration;

use millstream_base::limits::ON_DEMAND_WRITE_MIBPS_DEFAULT;
use millstream_base::{AccountId, Region, StreamArn, StreamName};

/// How streams are scaled; [`Default`] is what a node starts with.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingOptions {
    /// How often the shards' totals are read; the rates of hot shards are means over this time.
    pub sample_interval: Duration,
    /// Loads that decide are means over this time.
    pub window: Duration,
    /// The least time between two changes of a stream's shards.
    pub cool_down: Duration,
    /// Whether on-demand streams are scaled at all.
    pub on_demand: bool,
    /// What an on-demand stream grows to by itself; warm throughput may go beyond.
    pub on_demand_write_mibps_max: u32,
    pub autoscale: Autoscale,
}

impl Default for ScalingOptions {
    fn default() -> Self {
        ScalingOptions {
            sample_interval: Duration::from_secs(5),
            window: Duration::from_secs(60),
            cool_down: Duration::from_secs(60),
            on_demand: true,
            on_demand_write_mibps_max: ON_DEMAND_WRITE_MIBPS_DEFAULT,
            autoscale: Autoscale::default(),
        }
    }
}

/// Scaling of provisioned streams, which AWS leaves to its users. Off unless asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Autoscale {
    /// For streams that no entry of `streams` names.
    pub all: AutoscaleRules,
    /// The first entry that fits a stream counts.
    pub streams: Vec<AutoscaleStream>,
}

/// How one provisioned stream is scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoscaleRules {
    pub enabled: bool,
    /// The part of its write budget that a shard may use: above it the shard is split. 0 to 1.
    pub target_utilisation: f64,
    pub min_shards: u32,
    pub max_shards: u32,
    /// How long the load must have been low before shards are merged.
    pub quiet_time: Duration,
}

impl Default for AutoscaleRules {
    fn default() -> Self {
        AutoscaleRules {
            enabled: false,
            target_utilisation: 0.6,
            min_shards: 1,
            max_shards: 100,
            quiet_time: Duration::from_secs(15 * 60),
        }
    }
}

/// The rules of the streams of a name.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoscaleStream {
    pub name: StreamName,
    /// `None`: in all of them.
    pub account: Option<AccountId>,
    pub region: Option<Region>,
    pub rules: AutoscaleRules,
}

impl Autoscale {
    pub(crate) fn rules_of(&self, stream: &StreamArn) -> AutoscaleRules {
        self.streams.iter().find(|s| s.is_for(stream)).map_or(self.all, |s| s.rules)
    }
}

impl AutoscaleStream {
    fn is_for(&self, stream: &StreamArn) -> bool {
        self.name == *stream.name()
            && self.account.is_none_or(|a| a == stream.account())
            && self.region.as_ref().is_none_or(|r| r == stream.region())
    }
}

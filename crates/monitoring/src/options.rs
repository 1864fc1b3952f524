//! What a node may keep, and how often it writes.

use std::time::Duration;

use millstream_base::limits::{METRIC_RETENTION, METRIC_SERIES_MAX};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The name of this node among those that share the stores.
    pub node: String,
    /// How long points are kept and shown.
    pub retention: Duration,
    /// How often what was recorded is made durable: a crash loses at most this much.
    pub flush_interval: Duration,
    /// How often journalled points become blocks.
    pub settle_interval: Duration,
    /// Most series, over all accounts.
    pub series_max: usize,
    /// Most points in memory: those of the time since they last settled.
    pub points_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            node: "local".to_owned(),
            retention: METRIC_RETENTION,
            flush_interval: Duration::from_secs(60),
            settle_interval: Duration::from_secs(3600),
            series_max: METRIC_SERIES_MAX,
            points_max: 1_000_000,
        }
    }
}

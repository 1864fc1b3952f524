//! EnableEnhancedMonitoring and DisableEnhancedMonitoring: which metrics can be had per shard.

use millstream_base::StreamArn;

use crate::engine::Streams;
use crate::error::Result;
use crate::model::ShardMetric;

/// Metrics that are on, in the order of [`ShardMetric::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitoringChange {
    pub before: Vec<ShardMetric>,
    pub after: Vec<ShardMetric>,
}

impl Streams {
    /// Switches metrics on; those that are on stay so.
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE.
    pub async fn enable_monitoring(
        &self,
        stream: &StreamArn,
        metrics: &[ShardMetric],
    ) -> Result<MonitoringChange> {
        self.change_monitoring(stream, |metric, on| on || metrics.contains(&metric)).await
    }

    /// Switches metrics off; those that are off stay so.
    ///
    /// # Errors
    /// As [`Streams::enable_monitoring`].
    pub async fn disable_monitoring(
        &self,
        stream: &StreamArn,
        metrics: &[ShardMetric],
    ) -> Result<MonitoringChange> {
        self.change_monitoring(stream, |metric, on| on && !metrics.contains(&metric)).await
    }

    /// `is_on` decides from a metric and whether it is on now.
    async fn change_monitoring(
        &self,
        stream: &StreamArn,
        is_on: impl Fn(ShardMetric, bool) -> bool,
    ) -> Result<MonitoringChange> {
        let updating = self.inner.options.state_durations.updating;
        self.change_active(stream, |row, now| {
            let before = row.shard_metrics.clone();
            let on = |metric: &ShardMetric| is_on(*metric, before.contains(metric));
            let after: Vec<_> = ShardMetric::ALL.into_iter().filter(on).collect();
            if after != before {
                row.shard_metrics = after.clone();
                row.begin_update(now, updating);
            }
            Ok(MonitoringChange { before, after })
        })
        .await
    }
}

//! Metrics per shard: switched on and off.

use millstream_api::kinesis as api;
use millstream_base::StreamArn;
use millstream_streams as engine;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, shapes, target};

impl DataStreams {
    pub(super) async fn enable_enhanced_monitoring(
        &self,
        call: &Call,
        input: api::EnableEnhancedMonitoringInput,
    ) -> Result<api::EnhancedMonitoringOutput, ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let metrics = metrics(&input.shard_level_metrics);
        answer(&stream, self.engine.enable_monitoring(&stream, &metrics).await)
    }

    pub(super) async fn disable_enhanced_monitoring(
        &self,
        call: &Call,
        input: api::DisableEnhancedMonitoringInput,
    ) -> Result<api::EnhancedMonitoringOutput, ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let metrics = metrics(&input.shard_level_metrics);
        answer(&stream, self.engine.disable_monitoring(&stream, &metrics).await)
    }
}

fn answer(
    stream: &StreamArn,
    change: engine::Result<engine::MonitoringChange>,
) -> Result<api::EnhancedMonitoringOutput, ServiceError> {
    let change = change.map_err(|e| of_engine(e, During::Control))?;
    let names = |metrics: Vec<engine::ShardMetric>| metrics.into_iter().map(shapes::metric);
    Ok(api::EnhancedMonitoringOutput {
        stream_name: Some(stream.name().to_string()),
        current_shard_level_metrics: Some(names(change.before).collect()),
        desired_shard_level_metrics: Some(names(change.after).collect()),
        stream_arn: Some(stream.to_string()),
    })
}

/// ALL stands for all of them. Unknown names were refused by validation.
fn metrics(names: &[api::MetricsName]) -> Vec<engine::ShardMetric> {
    let all = names.contains(&api::MetricsName::All);
    let named = |m: &engine::ShardMetric| all || names.contains(&shapes::metric(*m));
    engine::ShardMetric::ALL.into_iter().filter(named).collect()
}

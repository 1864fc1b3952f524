//! Capacity modes: who looks after the number of shards, and how much is kept ready.

use millstream_api::kinesis as api;
use millstream_streams as engine;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, shapes, target};

impl DataStreams {
    pub(super) async fn update_stream_mode(
        &self,
        call: &Call,
        input: api::UpdateStreamModeInput,
    ) -> Result<(), ServiceError> {
        let stream = target::stream(call, None, Some(&input.stream_arn))?;
        let Some(mode) = shapes::mode(&input.stream_mode_details.stream_mode) else {
            return Ok(()); // validation has refused it
        };
        let warm = shapes::positive(input.warm_throughput_mibps);
        self.engine.update_stream_mode(&stream, mode, warm).await.map_err(control)
    }

    pub(super) async fn update_stream_warm_throughput(
        &self,
        call: &Call,
        input: api::UpdateStreamWarmThroughputInput,
    ) -> Result<api::UpdateStreamWarmThroughputOutput, ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let mibps = u32::try_from(input.warm_throughput_mibps).unwrap_or(0);
        let warm = self.engine.update_warm_throughput(&stream, mibps).await.map_err(control)?;
        Ok(api::UpdateStreamWarmThroughputOutput {
            stream_arn: Some(stream.to_string()),
            stream_name: Some(stream.name().to_string()),
            warm_throughput: Some(shapes::warm_throughput(warm)),
        })
    }

    pub(super) async fn update_stream_record_distribution_strategy(
        &self,
        call: &Call,
        input: api::UpdateStreamRecordDistributionStrategyInput,
    ) -> Result<(), ServiceError> {
        let stream = target::stream(call, None, Some(&input.stream_arn))?;
        let Some(strategy) = shapes::strategy(&input.record_distribution_strategy) else {
            return Ok(()); // validation has refused it
        };
        self.engine.update_record_distribution(&stream, strategy).await.map_err(control)
    }

    pub(super) async fn update_account_settings(
        &self,
        call: &Call,
        input: api::UpdateAccountSettingsInput,
    ) -> Result<api::UpdateAccountSettingsOutput, ServiceError> {
        use api::MinimumThroughputBillingCommitmentInputStatus as Status;
        let commit = input.minimum_throughput_billing_commitment.status == Status::Enabled;
        let settings = self.engine.update_account_settings(&call.caller.scope, commit).await;
        let commitment = shapes::commitment(settings.map_err(control)?);
        Ok(api::UpdateAccountSettingsOutput {
            minimum_throughput_billing_commitment: Some(commitment),
        })
    }
}

fn control(error: engine::Error) -> ServiceError {
    of_engine(error, During::Control)
}

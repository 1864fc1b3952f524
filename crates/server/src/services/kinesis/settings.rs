//! What can be changed on a stream, and what an account has.

use millstream_api::kinesis as api;
use millstream_streams as engine;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, shapes, target};

impl DataStreams {
    pub(super) async fn increase_stream_retention_period(
        &self,
        call: &Call,
        input: api::IncreaseStreamRetentionPeriodInput,
    ) -> Result<(), ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let hours = input.retention_period_hours.into();
        self.engine.increase_retention(&stream, hours).await.map_err(control)
    }

    pub(super) async fn decrease_stream_retention_period(
        &self,
        call: &Call,
        input: api::DecreaseStreamRetentionPeriodInput,
    ) -> Result<(), ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let hours = input.retention_period_hours.into();
        self.engine.decrease_retention(&stream, hours).await.map_err(control)
    }

    pub(super) async fn update_max_record_size(
        &self,
        call: &Call,
        input: api::UpdateMaxRecordSizeInput,
    ) -> Result<(), ServiceError> {
        let stream = target::stream(call, None, input.stream_arn.as_deref())?;
        let kib = input.max_record_size_in_kib.into();
        self.engine.update_max_record_size(&stream, kib).await.map_err(control)
    }

    pub(super) async fn describe_limits(
        &self,
        call: &Call,
        _: api::DescribeLimitsInput,
    ) -> Result<api::DescribeLimitsOutput, ServiceError> {
        let limits = self.engine.describe_limits(&call.caller.scope).await.map_err(control)?;
        Ok(api::DescribeLimitsOutput {
            shard_limit: shapes::int(limits.shard_limit),
            open_shard_count: shapes::int(limits.open_shard_count),
            on_demand_stream_count: shapes::int(limits.on_demand_stream_count),
            on_demand_stream_count_limit: shapes::int(limits.on_demand_stream_limit),
            channel_count: Some(shapes::int(limits.channel_count)),
            channel_count_limit: Some(shapes::int(limits.channel_limit)),
        })
    }

    pub(super) async fn describe_account_settings(
        &self,
        call: &Call,
        _: api::DescribeAccountSettingsInput,
    ) -> Result<api::DescribeAccountSettingsOutput, ServiceError> {
        let scope = &call.caller.scope;
        let settings = self.engine.describe_account_settings(scope).await.map_err(control)?;
        Ok(api::DescribeAccountSettingsOutput {
            minimum_throughput_billing_commitment: Some(shapes::commitment(settings)),
        })
    }
}

fn control(error: engine::Error) -> ServiceError {
    of_engine(error, During::Control)
}

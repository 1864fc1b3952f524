//! Streams come, are described, are listed and go.

use millstream_api::kinesis as api;
use millstream_base::{StreamArn, StreamName};
use millstream_streams as engine;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, shapes, target};

type Answer<T> = Result<T, ServiceError>;

impl DataStreams {
    pub(super) async fn create_stream(
        &self,
        call: &Call,
        input: api::CreateStreamInput,
    ) -> Answer<()> {
        let stream = target::stream(call, Some(&input.stream_name), None)?;
        let request = engine::CreateStream {
            stream,
            mode: input.stream_mode_details.and_then(|d| shapes::mode(&d.stream_mode)),
            shard_count: shapes::positive(input.shard_count),
            tags: input.tags.unwrap_or_default(),
            max_record_kib: shapes::positive(input.max_record_size_in_kib),
            warm_throughput_mibps: shapes::positive(input.warm_throughput_mibps),
            distribution: input.record_distribution_strategy.as_ref().and_then(shapes::strategy),
        };
        let created = self.engine.create_stream(request).await;
        created.map_err(|e| of_engine(e, During::AddTags))
    }

    pub(super) async fn delete_stream(
        &self,
        call: &Call,
        input: api::DeleteStreamInput,
    ) -> Answer<()> {
        let stream = stream(call, &input.stream_name, &input.stream_arn)?;
        let enforce = input.enforce_consumer_deletion.unwrap_or(false);
        self.engine.delete_stream(&stream, enforce).await.map_err(control)
    }

    pub(super) async fn describe_stream(
        &self,
        call: &Call,
        input: api::DescribeStreamInput,
    ) -> Answer<api::DescribeStreamOutput> {
        let stream = stream(call, &input.stream_name, &input.stream_arn)?;
        let start = input.exclusive_start_shard_id.as_deref();
        let start = start.map(|text| target::shard(&stream, text)).transpose()?;
        let limit = shapes::positive(input.limit);
        let d = self.engine.describe_stream(&stream, limit, start).await.map_err(control)?;
        let (encryption_type, key_id) = shapes::encryption(d.encryption);
        let stream_description = api::StreamDescription {
            stream_name: d.stream.name().to_string(),
            stream_arn: d.stream.to_string(),
            stream_status: shapes::status(d.status),
            stream_mode_details: Some(shapes::mode_details(d.mode)),
            shards: d.shards.into_iter().map(shapes::shard).collect(),
            has_more_shards: d.has_more_shards,
            retention_period_hours: shapes::int(d.retention.hours()),
            stream_creation_timestamp: shapes::time(d.created),
            enhanced_monitoring: shapes::monitoring(d.shard_metrics),
            encryption_type: Some(encryption_type),
            key_id,
        };
        Ok(api::DescribeStreamOutput { stream_description })
    }

    pub(super) async fn describe_stream_summary(
        &self,
        call: &Call,
        input: api::DescribeStreamSummaryInput,
    ) -> Answer<api::DescribeStreamSummaryOutput> {
        let stream = stream(call, &input.stream_name, &input.stream_arn)?;
        let s = self.engine.describe_stream_summary(&stream).await.map_err(control)?;
        let (encryption_type, key_id) = shapes::encryption(s.encryption);
        let stream_description_summary = api::StreamDescriptionSummary {
            stream_name: s.stream.name().to_string(),
            stream_arn: s.stream.to_string(),
            // Never: SDKs that see one stop using a custom endpoint.
            stream_id: None,
            stream_status: shapes::status(s.status),
            stream_mode_details: Some(shapes::mode_details(s.mode)),
            retention_period_hours: shapes::int(s.retention.hours()),
            stream_creation_timestamp: shapes::time(s.created),
            enhanced_monitoring: shapes::monitoring(s.shard_metrics),
            encryption_type: Some(encryption_type),
            key_id,
            open_shard_count: shapes::int(s.open_shard_count),
            consumer_count: Some(shapes::int(s.consumer_count)),
            warm_throughput: s.warm_throughput.map(shapes::warm_throughput),
            max_record_size_in_kib: Some(shapes::int(s.max_record_kib)),
            channel_count: Some(0),
            record_distribution_strategy: Some(shapes::distribution(s.distribution)),
            queue_count: Some(shapes::int(s.queue_count)),
        };
        Ok(api::DescribeStreamSummaryOutput { stream_description_summary })
    }

    pub(super) async fn list_streams(
        &self,
        call: &Call,
        input: api::ListStreamsInput,
    ) -> Answer<api::ListStreamsOutput> {
        let start = input.exclusive_start_stream_name.as_deref().map(StreamName::new);
        let start = start.transpose().map_err(|e| errors::arn_invalid(&e.into()))?;
        let request = engine::ListStreams {
            scope: &call.caller.scope,
            limit: shapes::positive(input.limit),
            exclusive_start: start.as_ref(),
            next_token: input.next_token.as_deref(),
        };
        let page = self.engine.list_streams(request).await.map_err(control)?;
        let summary = |s: &engine::ListedStream| api::StreamSummary {
            stream_name: s.stream.name().to_string(),
            stream_arn: s.stream.to_string(),
            stream_status: shapes::status(s.status),
            stream_mode_details: Some(shapes::mode_details(s.mode)),
            stream_creation_timestamp: Some(shapes::time(s.created)),
        };
        Ok(api::ListStreamsOutput {
            stream_names: page.streams.iter().map(|s| s.stream.name().to_string()).collect(),
            has_more_streams: page.has_more,
            next_token: page.next_token,
            stream_summaries: Some(page.streams.iter().map(summary).collect()),
        })
    }
}

fn stream(call: &Call, name: &Option<String>, arn: &Option<String>) -> Answer<StreamArn> {
    target::stream(call, name.as_deref(), arn.as_deref())
}

fn control(error: engine::Error) -> ServiceError {
    of_engine(error, During::Control)
}

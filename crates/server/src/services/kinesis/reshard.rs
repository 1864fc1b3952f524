//! SplitShard, MergeShards, UpdateShardCount: changes of a stream's shards.

use millstream_api::kinesis as api;
use millstream_streams as engine;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, shapes, target};

impl DataStreams {
    pub(super) async fn split_shard(
        &self,
        call: &Call,
        input: api::SplitShardInput,
    ) -> Result<(), ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let shard = target::shard(&stream, &input.shard_to_split)?;
        let split = self.engine.split_shard(&stream, shard, &input.new_starting_hash_key);
        split.await.map_err(control)
    }

    pub(super) async fn merge_shards(
        &self,
        call: &Call,
        input: api::MergeShardsInput,
    ) -> Result<(), ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let shard = target::shard(&stream, &input.shard_to_merge)?;
        let adjacent = target::shard(&stream, &input.adjacent_shard_to_merge)?;
        self.engine.merge_shards(&stream, shard, adjacent).await.map_err(control)
    }

    pub(super) async fn update_shard_count(
        &self,
        call: &Call,
        input: api::UpdateShardCountInput,
    ) -> Result<api::UpdateShardCountOutput, ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        // Validation has refused what is below 1, and every other scaling type.
        let target = shapes::positive(Some(input.target_shard_count)).unwrap_or(u32::MAX);
        let update = self.engine.update_shard_count(&stream, target).await.map_err(control)?;
        Ok(api::UpdateShardCountOutput {
            stream_name: Some(stream.name().to_string()),
            current_shard_count: Some(shapes::int(update.current)),
            target_shard_count: Some(shapes::int(update.target)),
            stream_arn: Some(stream.to_string()),
        })
    }
}

fn control(error: engine::Error) -> ServiceError {
    of_engine(error, During::Control)
}

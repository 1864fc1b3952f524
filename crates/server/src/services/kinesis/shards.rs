//! ListShards: a stream's shards, filtered, in pages.

use millstream_api::kinesis as api;
use millstream_base::StreamArn;
use millstream_streams as engine;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, shapes, target};

impl DataStreams {
    pub(super) async fn list_shards(
        &self,
        call: &Call,
        input: api::ListShardsInput,
    ) -> Result<api::ListShardsOutput, ServiceError> {
        let max_results = shapes::positive(input.max_results);
        let page = match &input.next_token {
            Some(next_token) => {
                next_token_stands_alone(&input)?;
                let stream = input.stream_arn.as_deref().map(target::arn).transpose()?;
                let scope = stream.as_ref().map_or(&call.caller.scope, |s| s.scope());
                let request = engine::ListShards::Next { scope, next_token, max_results };
                self.engine.list_shards(request).await
            }
            None => {
                let (name, arn) = (input.stream_name.as_deref(), input.stream_arn.as_deref());
                if name.is_none() && arn.is_none() {
                    return Err(errors::next_token_or_stream());
                }
                let stream = target::stream(call, name, arn)?;
                let start = input.exclusive_start_shard_id.as_deref();
                let request = engine::ListShards::Stream {
                    stream: &stream,
                    created: input.stream_creation_timestamp.map(shapes::timestamp),
                    exclusive_start: start.map(|t| target::shard(&stream, t)).transpose()?,
                    filter: filter(&stream, input.shard_filter.as_ref())?,
                    max_results,
                };
                self.engine.list_shards(request).await
            }
        };
        let page = page.map_err(|e| of_engine(e, During::Control))?;
        Ok(api::ListShardsOutput {
            shards: Some(page.shards.into_iter().map(shapes::shard).collect()),
            next_token: page.next_token,
        })
    }
}

/// A token says all by itself what the next page holds.
fn next_token_stands_alone(input: &api::ListShardsInput) -> Result<(), ServiceError> {
    for (given, member) in [
        (input.stream_name.is_some(), "StreamName"),
        (input.exclusive_start_shard_id.is_some(), "ExclusiveStartShardId"),
        (input.stream_creation_timestamp.is_some(), "StreamCreationTimestamp"),
        (input.shard_filter.is_some(), "ShardFilter"),
    ] {
        if given {
            return Err(errors::next_token_with(member));
        }
    }
    Ok(())
}

fn filter(
    stream: &StreamArn,
    filter: Option<&api::ShardFilter>,
) -> Result<engine::ShardFilter, ServiceError> {
    use api::ShardFilterType as Type;
    let Some(filter) = filter else {
        return Ok(engine::ShardFilter::default());
    };
    let name = filter.r#type.as_str();
    let (wants_shard, wants_time) = match filter.r#type {
        Type::AfterShardId => (true, false),
        Type::AtTimestamp | Type::FromTimestamp => (false, true),
        _ => (false, false),
    };
    if filter.shard_id.is_some() && !wants_shard {
        return Err(errors::filter_takes_no(name, "ShardId"));
    }
    if filter.timestamp.is_some() && !wants_time {
        return Err(errors::filter_takes_no(name, "Timestamp"));
    }
    let time = || {
        let time = filter.timestamp.map(shapes::timestamp);
        time.ok_or_else(|| errors::filter_needs(name, "Timestamp"))
    };
    Ok(match &filter.r#type {
        Type::AfterShardId => {
            let text = filter.shard_id.as_deref();
            let text = text.ok_or_else(|| errors::filter_needs(name, "ShardId"))?;
            engine::ShardFilter::AfterShardId(target::shard(stream, text)?)
        }
        Type::AtTrimHorizon => engine::ShardFilter::AtTrimHorizon,
        Type::AtLatest => engine::ShardFilter::AtLatest,
        Type::AtTimestamp => engine::ShardFilter::AtTimestamp(time()?),
        Type::FromTimestamp => engine::ShardFilter::FromTimestamp(time()?),
        // Unknown values were refused by validation.
        Type::FromTrimHorizon | Type::Other(_) => engine::ShardFilter::FromTrimHorizon,
    })
}

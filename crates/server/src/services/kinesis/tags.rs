//! Tags of streams, by stream and by ARN: one set, two faces; and of queues, by ARN.

use millstream_api::kinesis as api;
use millstream_base::{QueueArn, ResourceArn};
use millstream_streams as engine;
use millstream_wire::ServiceError;

use super::consumers::consumer_of;
use super::errors::{During, of_engine};
use super::{Call, DataStreams, shapes, target};

impl DataStreams {
    pub(super) async fn add_tags_to_stream(
        &self,
        call: &Call,
        input: api::AddTagsToStreamInput,
    ) -> Result<(), ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        self.engine.add_tags(&stream, &input.tags).await.map_err(adding)
    }

    pub(super) async fn remove_tags_from_stream(
        &self,
        call: &Call,
        input: api::RemoveTagsFromStreamInput,
    ) -> Result<(), ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        self.engine.remove_tags(&stream, &input.tag_keys).await.map_err(removing)
    }

    pub(super) async fn list_tags_for_stream(
        &self,
        call: &Call,
        input: api::ListTagsForStreamInput,
    ) -> Result<api::ListTagsForStreamOutput, ServiceError> {
        let stream =
            target::stream(call, input.stream_name.as_deref(), input.stream_arn.as_deref())?;
        let start = input.exclusive_start_tag_key.as_deref();
        let limit = shapes::positive(input.limit);
        let page = self.engine.list_tags(&stream, start, limit).await.map_err(adding)?;
        Ok(api::ListTagsForStreamOutput { tags: tags(page.tags), has_more_tags: page.has_more })
    }

    pub(super) async fn tag_resource(
        &self,
        _: &Call,
        input: api::TagResourceInput,
    ) -> Result<(), ServiceError> {
        if let Ok(queue) = QueueArn::parse(&input.resource_arn) {
            return self.engine.add_queue_tags(&queue, &input.tags).await.map_err(adding);
        }
        match target::resource(&input.resource_arn)? {
            ResourceArn::Stream(stream) => self.engine.add_tags(&stream, &input.tags).await,
            consumer => self.engine.add_consumer_tags(&consumer_of(consumer), &input.tags).await,
        }
        .map_err(adding)
    }

    pub(super) async fn untag_resource(
        &self,
        _: &Call,
        input: api::UntagResourceInput,
    ) -> Result<(), ServiceError> {
        if let Ok(queue) = QueueArn::parse(&input.resource_arn) {
            let removed = self.engine.remove_queue_tags(&queue, &input.tag_keys).await;
            return removed.map_err(removing);
        }
        let keys = &input.tag_keys;
        match target::resource(&input.resource_arn)? {
            ResourceArn::Stream(stream) => self.engine.remove_tags(&stream, keys).await,
            consumer => self.engine.remove_consumer_tags(&consumer_of(consumer), keys).await,
        }
        .map_err(removing)
    }

    pub(super) async fn list_tags_for_resource(
        &self,
        _: &Call,
        input: api::ListTagsForResourceInput,
    ) -> Result<api::ListTagsForResourceOutput, ServiceError> {
        if let Ok(queue) = QueueArn::parse(&input.resource_arn) {
            let found = self.engine.list_queue_tags(&queue).await.map_err(adding)?;
            return Ok(api::ListTagsForResourceOutput {
                tags: Some(tags(found.into_iter().collect())),
            });
        }
        let listed = match target::resource(&input.resource_arn)? {
            ResourceArn::Stream(stream) => {
                self.engine.list_tags(&stream, None, None).await.map(|page| page.tags)
            }
            consumer => self.engine.list_consumer_tags(&consumer_of(consumer)).await,
        };
        Ok(api::ListTagsForResourceOutput { tags: Some(tags(listed.map_err(adding)?)) })
    }
}

fn adding(error: engine::Error) -> ServiceError {
    of_engine(error, During::AddTags)
}

fn removing(error: engine::Error) -> ServiceError {
    of_engine(error, During::RemoveTags)
}

fn tags(tags: Vec<(String, String)>) -> Vec<api::Tag> {
    tags.into_iter().map(|(key, value)| api::Tag { key, value: Some(value) }).collect()
}

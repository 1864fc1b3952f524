//! Fan-out consumers: registering, describing, listing.

use millstream_api::kinesis as api;
use millstream_base::ResourceArn;
use millstream_streams as engine;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, shapes, target};

impl DataStreams {
    pub(super) async fn register_stream_consumer(
        &self,
        call: &Call,
        input: api::RegisterStreamConsumerInput,
    ) -> Result<api::RegisterStreamConsumerOutput, ServiceError> {
        let stream = target::stream(call, None, Some(&input.stream_arn))?;
        let name = target::consumer_name(&input.consumer_name)?;
        let tags = input.tags.unwrap_or_default();
        let registered = self.engine.register_stream_consumer(&stream, &name, &tags).await;
        let consumer = registered.map_err(|e| of_engine(e, During::AddTags))?;
        Ok(api::RegisterStreamConsumerOutput { consumer: shown(consumer) })
    }

    pub(super) async fn deregister_stream_consumer(
        &self,
        _: &Call,
        input: api::DeregisterStreamConsumerInput,
    ) -> Result<(), ServiceError> {
        let which = target::consumer(
            input.stream_arn.as_deref(),
            input.consumer_name.as_deref(),
            input.consumer_arn.as_deref(),
        )?;
        self.engine.deregister_stream_consumer(&which).await.map_err(refused)
    }

    pub(super) async fn describe_stream_consumer(
        &self,
        _: &Call,
        input: api::DescribeStreamConsumerInput,
    ) -> Result<api::DescribeStreamConsumerOutput, ServiceError> {
        let which = target::consumer(
            input.stream_arn.as_deref(),
            input.consumer_name.as_deref(),
            input.consumer_arn.as_deref(),
        )?;
        let found = self.engine.describe_stream_consumer(&which).await.map_err(refused)?;
        let stream_arn = found.arn.stream.to_string();
        let api::Consumer {
            consumer_name,
            consumer_arn,
            consumer_status,
            consumer_creation_timestamp,
        } = shown(found);
        Ok(api::DescribeStreamConsumerOutput {
            consumer_description: api::ConsumerDescription {
                consumer_name,
                consumer_arn,
                consumer_status,
                consumer_creation_timestamp,
                stream_arn,
            },
        })
    }

    pub(super) async fn list_stream_consumers(
        &self,
        call: &Call,
        input: api::ListStreamConsumersInput,
    ) -> Result<api::ListStreamConsumersOutput, ServiceError> {
        if input.next_token.is_some() && input.stream_creation_timestamp.is_some() {
            return Err(errors::next_token_with("StreamCreationTimestamp"));
        }
        let stream = target::stream(call, None, Some(&input.stream_arn))?;
        let request = engine::ListConsumers {
            stream: &stream,
            created: input.stream_creation_timestamp.map(shapes::timestamp),
            next_token: input.next_token.as_deref(),
            max_results: shapes::positive(input.max_results),
        };
        let page = self.engine.list_stream_consumers(request).await.map_err(refused)?;
        Ok(api::ListStreamConsumersOutput {
            consumers: Some(page.consumers.into_iter().map(shown).collect()),
            next_token: page.next_token,
        })
    }
}

/// The consumer of a resource that is one.
///
/// # Panics
/// If it is none.
pub(super) fn consumer_of(resource: ResourceArn) -> engine::ConsumerRef {
    match resource {
        ResourceArn::Consumer(consumer) => consumer.into(),
        other => panic!("{other:?} is no consumer"),
    }
}

fn refused(error: engine::Error) -> ServiceError {
    of_engine(error, During::Control)
}

fn shown(consumer: engine::Consumer) -> api::Consumer {
    api::Consumer {
        consumer_name: consumer.arn.name.to_string(),
        consumer_arn: consumer.arn.to_string(),
        consumer_status: match consumer.status {
            engine::ConsumerStatus::Creating => api::ConsumerStatus::Creating,
            engine::ConsumerStatus::Deleting => api::ConsumerStatus::Deleting,
            engine::ConsumerStatus::Active => api::ConsumerStatus::Active,
        },
        consumer_creation_timestamp: shapes::time(consumer.created),
    }
}

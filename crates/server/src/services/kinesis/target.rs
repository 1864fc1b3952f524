//! Which stream, shard or resource a call means.

use millstream_base::{ConsumerArn, ResourceArn, ShardId, StreamArn, StreamName};
use millstream_streams::ConsumerRef;
use millstream_wire::ServiceError;

use super::{Call, errors};

/// The stream that a call names by name, by ARN, or by both when they agree. An ARN decides account
/// and region; a name alone is of the caller's.
///
/// `StreamId` is reserved by AWS: it is taken and not looked at.
pub(super) fn stream(
    call: &Call,
    name: Option<&str>,
    arn: Option<&str>,
) -> Result<StreamArn, ServiceError> {
    let stream = match (name, arn) {
        (None, None) => return Err(errors::no_stream_named()),
        (Some(name), None) => {
            // The model's pattern was checked, so this fails for no name that gets here.
            let name = StreamName::new(name).map_err(|e| errors::arn_invalid(&e.into()))?;
            StreamArn::new(call.caller.scope.clone(), name)
        }
        (None, Some(arn)) => self::arn(arn)?,
        (Some(name), Some(arn)) => {
            let stream = self::arn(arn)?;
            if stream.name().as_str() != name {
                return Err(errors::names_disagree(name, arn));
            }
            stream
        }
    };
    tracing::Span::current().record("stream", tracing::field::display(&stream));
    Ok(stream)
}

/// A stream's ARN.
pub(super) fn arn(arn: &str) -> Result<StreamArn, ServiceError> {
    StreamArn::parse(arn).map_err(|e| errors::arn_invalid(&e))
}

/// What a `ResourceARN` points to.
pub(super) fn resource(arn: &str) -> Result<ResourceArn, ServiceError> {
    let resource = ResourceArn::parse(arn).map_err(|_| errors::resource_not_found(arn))?;
    tracing::Span::current().record("stream", tracing::field::display(resource.stream()));
    Ok(resource)
}

/// The consumer that a call names by its ARN, by stream and name, or by all of them when they
/// agree.
pub(super) fn consumer(
    stream_arn: Option<&str>,
    name: Option<&str>,
    consumer_arn: Option<&str>,
) -> Result<ConsumerRef, ServiceError> {
    let stream = stream_arn.map(self::arn).transpose()?;
    let found = match (consumer_arn, stream, name) {
        (Some(text), stream, name) => {
            let arn = self::consumer_arn(text)?;
            let agree = stream.is_none_or(|s| s == arn.stream)
                && name.is_none_or(|n| n == arn.name.as_str());
            if !agree {
                return Err(errors::consumers_disagree(text));
            }
            ConsumerRef::from(arn)
        }
        (None, Some(stream), Some(name)) => {
            ConsumerRef { stream, name: consumer_name(name)?, created_secs: None }
        }
        _ => return Err(errors::no_consumer_named()),
    };
    tracing::Span::current().record("stream", tracing::field::display(&found.stream));
    Ok(found)
}

/// A consumer's ARN.
pub(super) fn consumer_arn(text: &str) -> Result<ConsumerArn, ServiceError> {
    ConsumerArn::parse(text).map_err(|e| errors::arn_invalid(&e))
}

/// The model's pattern was checked, so this fails for no name that gets here.
pub(super) fn consumer_name(name: &str) -> Result<StreamName, ServiceError> {
    StreamName::new(name).map_err(|e| errors::arn_invalid(&e.into()))
}

/// A stream's or a consumer's ARN, as `ResourceARN` has it.
pub(super) fn policy_holder(arn: &str) -> Result<ResourceArn, ServiceError> {
    ResourceArn::parse(arn).map_err(|_| errors::resource_not_found(arn))
}

/// A shard's id in any form that AWS reads. Looked at before the stream is.
pub(super) fn shard(stream: &StreamArn, text: &str) -> Result<ShardId, ServiceError> {
    ShardId::parse(text).map_err(|_| errors::could_not_find_shard(stream, text))
}

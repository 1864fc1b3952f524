//! Every sentence that a client of Data Streams can read, and which error carries it.
//!
//! The words are AWS's where AWS's are known (recorded by others; the product's reference of Data
//! Streams, C3, C4 and D3, has the sources) and ours where they are not, marked so. Clients match on
//! some of them: change one only with a source.

use std::fmt::Display;

use millstream_api::kinesis::errors as model;
use millstream_base::{
    ArnError, RetentionError, ShardId, StreamArn, StreamName, TagError, Timestamp, limits,
};
use millstream_secrets::KeyError;
use millstream_streams::{Error, IteratorType};
use millstream_wire::ServiceError;

/// The code of a record that met a shard without throughput left.
pub const THROTTLED: &str = "ProvisionedThroughputExceededException";
/// The code and sentence of a record that could not be stored for a reason of ours.
pub const INTERNAL_FAILURE: &str = "InternalFailure";
pub const INTERNAL_FAILURE_SENTENCE: &str = "Internal service failure.";

/// Code and sentence of a receipt handle that stands for nothing. Ours; the codes are the model's.
pub const HANDLE_INVALID: (&str, &str) = (
    "InvalidArgumentException",
    "The receipt handle was not given by this queue for this operation.",
);
pub const HANDLE_GONE: (&str, &str) = (
    "ResourceNotFoundException",
    "The receipt handle is not valid any more: the record was received again, acknowledged, set \
     aside or restored since, or has expired.",
);

/// Which call failed, where AWS's words hang on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    PutRecord,
    PutRecords,
    GetShardIterator,
    GetRecords,
    AddTags,
    RemoveTags,
    /// All others.
    Control,
}

/// What a client reads when the engine fails.
pub fn of_engine(error: Error, during: During) -> ServiceError {
    let message = error.to_string();
    match error {
        Error::StreamNotFound { stream } => stream_not_found(&stream),
        Error::StreamExists { stream } => {
            in_use(format!("Stream {} already exists.", under(&stream)))
        }
        Error::StreamNotActive { stream, status } => {
            in_use(format!("Stream {} not ACTIVE, instead in state {status}", under(&stream)))
        }
        Error::ShardNotFound { stream, shard } => shard_does_not_exist(&stream, shard),

        Error::ShardLimit { scope, current, requested, limit } => limit_exceeded(format!(
            "This request would exceed the shard limit for the account {} in {}. Current shard \
             count for the account: {current}. Limit: {limit}. Number of additional shards that \
             would have resulted from this request: {requested}. Refer to the AWS Service Limits \
             page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for \
             current limits and how to request higher limits.",
            scope.account, scope.region
        )),
        // Ours.
        Error::ShardsPerStream { requested, limit } => limit_exceeded(format!(
            "A stream cannot have more than {limit} shards. Requested: {requested}."
        )),
        Error::StreamsChanging { account, limit } => limit_exceeded(format!(
            "This request would have exceed the limit on the number  of streams that can \
             simultaneously be in CREATING or DELETING for the account {account}. Limit: {limit}."
        )),
        // Ours.
        Error::OnDemandStreams { scope, limit } => limit_exceeded(format!(
            "This request would exceed the limit of on-demand streams for the account {} in {}. \
             Limit: {limit}.",
            scope.account, scope.region
        )),

        Error::ShardCountMissing => null_value("shardCount"),
        Error::ShardCountUnexpected => {
            invalid("ShardCount is not expected when StreamMode=ON_DEMAND")
        }
        Error::Retention(error) => retention_out_of_bounds(error),
        Error::RetentionShorter { stream, requested, existing } => invalid(format!(
            "Requested retention period ({} hours) for stream {} can not be shorter than existing \
             retention period ({} hours). Use DecreaseRetentionPeriod API.",
            requested.hours(),
            stream.name(),
            existing.hours()
        )),
        Error::RetentionLonger { stream, requested, existing } => invalid(format!(
            "Requested retention period ({} hours) for stream {} can not be longer than existing \
             retention period ({} hours). Use IncreaseRetentionPeriod API.",
            requested.hours(),
            stream.name(),
            existing.hours()
        )),
        Error::RecordSizeOutOfBounds { kib, min, max } => {
            let bound = if kib < i64::from(min) {
                format!("greater than or equal to {min}")
            } else {
                format!("less than or equal to {max}")
            };
            violation(&format!("Value '{kib}' at 'maxRecordSizeInKiB'"), format!("value {bound}"))
        }
        // Ours.
        Error::AutoNeedsOnDemand => {
            invalid("RecordDistributionStrategy AUTO is supported in StreamMode ON_DEMAND only.")
        }
        // Ours.
        Error::WarmThroughputNeedsOnDemand => {
            invalid("WarmThroughputMiBps is supported in StreamMode ON_DEMAND only.")
        }
        // Ours.
        Error::WarmThroughputNeedsCommitment => invalid(
            "WarmThroughputMiBps needs an account with MinimumThroughputBillingCommitment ENABLED.",
        ),
        // Ours.
        Error::WarmThroughputTooLarge { mibps, max } => limit_exceeded(format!(
            "A warm throughput of {mibps} MiB/s exceeds the limit of {max} MiB/s."
        )),
        Error::Tags { stream, error } => tags(&stream, &error, during),

        // Ours: all sentences about queues.
        Error::QueueNotFound { queue } => {
            not_found(format!("Queue {queue} under account {} not found.", queue.scope.account))
        }
        Error::QueueExists { scope, name } => {
            in_use(format!("Queue {name} under account {} already exists.", scope.account))
        }
        Error::QueueNotActive { queue, status } => in_use(format!(
            "Queue {queue} under account {} not ACTIVE, instead in state {status}",
            queue.scope.account
        )),
        Error::QueueThrottled { queue } => ServiceError::new(
            "ThrottlingException",
            400,
            format!("Rate exceeded for queue {queue}."),
        ),
        Error::QueuesPerStream { stream, limit } => limit_exceeded(format!(
            "This request would exceed the limit of consumers and queues for the stream {}. \
             Limit: {limit}.",
            under(&stream)
        )),
        Error::QueuesChanging { account, limit } => limit_exceeded(format!(
            "This request would exceed the limit on the number of queues that can simultaneously \
             be in CREATING or DELETING for the account {account}. Limit: {limit}."
        )),
        Error::QueueNeedsOnDemand { stream } => ServiceError::validation(format!(
            "Request is invalid. Stream {} is in Provisioned mode.",
            under(&stream)
        )),
        Error::StreamHasQueues { stream, .. } => in_use(format!(
            "DeleteStream can't delete {}:{} because there are queues associated with this data \
             stream. Delete the queues first.",
            stream.account(),
            stream.name()
        )),
        Error::QueuesKeepMode { stream } => in_use(format!(
            "Stream {} can't be switched to Provisioned mode because there are queues associated \
             with it.",
            under(&stream)
        )),
        Error::QueuePolicyNotFound { queue } => {
            not_found(format!("No resource policy found for resource ARN {queue}"))
        }
        Error::QueueFilterTooLong { count, max } => {
            invalid(format!("StreamFilter has {count} members, which exceeds the limit of {max}."))
        }
        Error::QueueTags { queue, error } => {
            let named = format!("queue {} under account {}", queue.id, queue.scope.account);
            tags_of(&named, &error, during)
        }
        Error::ConsumerNotFound { stream, consumer } => consumer_missing(&stream, &consumer),
        // Ours.
        Error::ConsumerExists { stream, consumer } => {
            in_use(format!("Consumer {consumer} under stream {} already exists.", under(&stream)))
        }
        Error::ConsumerNotActive { stream, consumer, created } => in_use(format!(
            "Consumer {consumer} with creation timestamp {} under stream: {} , account {} is not \
             in ACTIVE status.",
            java_date(created),
            stream.name(),
            stream.account()
        )),
        // Ours.
        Error::ConsumerLimit { stream, limit } => limit_exceeded(format!(
            "Stream {} cannot have more than {limit} consumers.",
            under(&stream)
        )),
        // Ours.
        Error::ConsumersCreating { stream, limit } => limit_exceeded(format!(
            "Stream {} has {limit} consumers in CREATING status already.",
            under(&stream)
        )),
        Error::StreamHasConsumers { stream } => {
            let whole = format!("{}:{}", stream.account(), stream.name());
            in_use(format!(
                "DeleteStream can't delete {whole} because there are consumers associated with \
                 this data stream. To delete {} anyway, set the EnforceConsumerDeletion parameter \
                 to true to force the deletion of all the consumers that are associated with it.",
                stream.name()
            ))
        }
        Error::SubscriptionActive { stream, shard, consumer } => in_use(format!(
            "Another active subscription exists for this consumer: {}:{}:{shard}:{consumer}",
            stream.account(),
            stream.name()
        )),
        // Ours.
        Error::SubscriptionsFull { .. } => {
            limit_exceeded("The node has as many subscriptions as it takes.".to_owned())
        }
        // Resharding.
        Error::ShardMissing { stream, shard } => could_not_find_shard(&stream, &shard.to_string()),
        Error::ShardClosed { stream, shard } => invalid(format!(
            "Shard {shard} in stream {} has already been merged or split, and thus is not \
             eligible for merging or splitting.",
            under(&stream)
        )),
        Error::SplitOutside { stream, shard, hash_key, range } => invalid(format!(
            "NewStartingHashKey {hash_key} used in SplitShard() on shard {shard} in stream {} is \
             not both greater than one plus the shard's StartingHashKey {} and less than the \
             shard's EndingHashKey {}.",
            under(&stream),
            range.start,
            range.end
        )),
        Error::ShardsNotAdjacent { stream, lower, upper } => invalid(format!(
            "Shards {lower} and {upper} in stream {} are not an adjacent pair of shards eligible \
             for merging",
            under(&stream)
        )),
        Error::StreamOnDemand { stream } => ServiceError::validation(format!(
            "Request is invalid. Stream {} is in On-Demand mode.",
            under(&stream)
        )),
        // Ours; the code is that of "exceeds its restrictions".
        Error::ShardCountStep { stream, current, target } => invalid(format!(
            "TargetShardCount {target} of stream {} is not between half and twice its current \
             shard count of {current}.",
            under(&stream)
        )),
        // Ours.
        Error::ShardCountUpdates { stream, max } => limit_exceeded(format!(
            "The shard count of stream {} cannot be updated more than {max} times in 24 hours.",
            under(&stream)
        )),
        // Ours.
        Error::ModeSwitches { stream, limit } => limit_exceeded(format!(
            "The capacity mode of stream {} can be switched {limit} times in 24 hours.",
            under(&stream)
        )),

        Error::DataTooLarge { index, max, .. } => violation(
            &format!("Value at '{}'", record_member(during, index, "data")),
            format!("length less than or equal to {max}."),
        ),
        // Ours; the code follows from the API's text.
        Error::RecordTooLarge { index, bytes, max } => invalid(format!(
            "Data and partition key of record {} have {bytes} bytes together, which exceeds the \
             limit of {max} bytes.",
            index + 1
        )),
        Error::RequestTooLarge { max, .. } => {
            invalid(format!("Records size exceeds {} MB limit", max >> 20))
        }
        // The model's bounds have been looked at before; this is for callers that pass them by.
        Error::RecordCount { max, .. } => {
            violation("Value at 'records'", format!("length less than or equal to {max}"))
        }
        Error::PartitionKeyMissing { index } => {
            null_value(&record_member(during, index, "partitionKey"))
        }
        Error::ExplicitHashKey { text } => invalid(format!(
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. \
             Specified value was {text}"
        )),
        Error::OrderingNumber { stream, number } => invalid(format!(
            "ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream {} is invalid.",
            under(&stream)
        )),
        // Ours.
        Error::OrderingWithAuto { stream } => invalid(format!(
            "SequenceNumberForOrdering is not supported: stream {} has \
             RecordDistributionStrategy AUTO.",
            under(&stream)
        )),
        Error::Throttled { stream, shard } => {
            ServiceError::new(THROTTLED, 400, throttled_sentence(&stream, shard, during))
        }
        // KMS's words.
        Error::KeyNotFound { key_id } => {
            ServiceError::new("KMSNotFoundException", 400, format!("Invalid keyId '{key_id}'"))
        }
        Error::Key(error) => of_key(&error),
        // Ours.
        Error::EncryptionChanges { stream, limit } => limit_exceeded(format!(
            "Encryption of stream {} cannot be changed more than {limit} times in 24 hours.",
            under(&stream)
        )),
        Error::PolicyNotFound { resource } => {
            not_found(format!("No resource policy found for resource ARN {resource}"))
        }
        Error::CallRate { account } => {
            limit_exceeded(format!("Rate exceeded for account {account}."))
        }
        Error::StreamCallRate { stream } => {
            limit_exceeded(format!("Rate exceeded for stream {}.", under(&stream)))
        }

        Error::SequenceNumberMissing { kind } => pairing(kind, "and no StartingSequenceNumber."),
        Error::SequenceNumberUnexpected { kind } => {
            pairing(kind, "and also a StartingSequenceNumber.")
        }
        Error::TimestampMissing => invalid(
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current \
             request has no timestamp parameter.",
        ),
        Error::TimestampInFuture { at, now } => invalid(format!(
            "The timestampInMillis parameter cannot be greater than the \
             currentTimestampInMillis. timestampInMillis: {}, currentTimestampInMillis: {}",
            at.as_millis(),
            now.as_millis()
        )),
        Error::SequenceNumberOfOtherShard { encoded, shard } => invalid(format!(
            "Invalid StartingSequenceNumber. It encodes {encoded}, while it was used in a call to \
             a shard with {shard}"
        )),
        Error::SequenceNumberInvalid { stream, shard, number } => {
            invalid(format!("{}.", starting_number_invalid(&stream, shard, &number)))
        }
        Error::SequenceNumberOfOtherStream { stream, shard, number } => invalid(format!(
            "{} because it did not come from this stream.",
            starting_number_invalid(&stream, shard, &number)
        )),
        Error::SequenceNumberOldLayout { .. } => ServiceError::bare(INTERNAL_FAILURE, 500),
        Error::IteratorInvalid => invalid("Invalid ShardIterator."),
        Error::IteratorExpired { issued, now, life } => ServiceError::new(
            "ExpiredIteratorException",
            400,
            format!(
                "Iterator expired. The iterator was created at time {} while right now it is {} \
                 which is further in the future than the tolerated delay of {} milliseconds.",
                java_date(issued),
                java_date(now),
                life.as_millis()
            ),
        ),
        // Ours.
        Error::NextTokenInvalid => invalid("Invalid NextToken."),
        // Ours, in the words of the expired iterator.
        Error::NextTokenExpired { issued, now, life } => ServiceError::new(
            "ExpiredNextTokenException",
            400,
            format!(
                "NextToken expired. The token was created at time {} while right now it is {} \
                 which is further in the future than the tolerated delay of {} milliseconds.",
                java_date(issued),
                java_date(now),
                life.as_millis()
            ),
        ),
        // As RecordCount.
        Error::LimitOutOfBounds { limit, max } => {
            let bound = if limit == 0 {
                "greater than or equal to 1".to_owned()
            } else {
                format!("less than or equal to {max}")
            };
            violation(&format!("Value '{limit}' at 'limit'"), format!("value {bound}"))
        }

        // Ours: an operator reads these too, and SDKs retry by the status.
        Error::Unavailable { .. } | Error::Corrupt { .. } => {
            ServiceError::new(INTERNAL_FAILURE, 500, format!("Internal service failure: {message}"))
        }
    }
}

/// Why a stream's key can't be used. The codes are the model's. KMS's words where they are known:
/// its API answers the same errors with them (read 2026-05 in its users' reports).
fn of_key(error: &KeyError) -> ServiceError {
    let (code, sentence) = match error {
        KeyError::NotFound { key } if key.contains("alias/") => {
            ("KMSNotFoundException", format!("Alias {key} is not found."))
        }
        KeyError::NotFound { key } => {
            ("KMSNotFoundException", format!("Key '{key}' does not exist"))
        }
        KeyError::Disabled { key } => ("KMSDisabledException", format!("{key} is disabled.")),
        KeyError::InvalidState { key, state } => {
            ("KMSInvalidStateException", format!("{key} is {state}."))
        }
        // Ours: the node itself was refused, by a key service elsewhere.
        KeyError::AccessDenied { key, reason } => (
            "KMSAccessDeniedException",
            format!("The node is not authorized to use {key}: {reason}"),
        ),
        KeyError::Throttled { .. } => (
            "KMSThrottlingException",
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your \
             calls."
                .to_owned(),
        ),
        // The model's words.
        KeyError::OptInRequired { .. } => (
            "KMSOptInRequired",
            "The AWS access key ID needs a subscription for the service.".to_owned(),
        ),
        KeyError::InvalidCiphertext { .. } | KeyError::Unavailable { .. } => {
            let sentence = format!("Internal service failure: {error}");
            return ServiceError::new(INTERNAL_FAILURE, 500, sentence);
        }
    };
    ServiceError::new(code, 400, sentence)
}

/// What a client reads when a subscription fails on its way. The model knows faults of ours under
/// another name there.
pub fn in_event_stream(error: Error) -> ServiceError {
    let mut error = of_engine(error, During::GetRecords);
    if error.code == INTERNAL_FAILURE {
        error.code = "InternalFailureException".into();
    }
    error
}

/// A record's sentence in PutRecords, and a put's or a read's error.
pub fn throttled_sentence(stream: &StreamArn, shard: ShardId, during: During) -> String {
    match during {
        During::GetRecords => {
            format!("Rate exceeded for Shard - {}/{}/{shard}", stream.account(), stream.name())
        }
        _ => format!("Rate exceeded for shard {shard} in stream {}.", under(stream)),
    }
}

pub fn stream_not_found(stream: &StreamArn) -> ServiceError {
    not_found(format!("Stream {} not found.", under(stream)))
}

/// Of GetShardIterator and GetRecords, for shards and for streams that are not there.
pub fn shard_does_not_exist(stream: &StreamArn, shard: ShardId) -> ServiceError {
    not_found(format!("Shard {shard} in stream {} does not exist", under(stream)))
}

/// A shard id that can't be read; `text` as it came.
pub fn could_not_find_shard(stream: &StreamArn, text: &str) -> ServiceError {
    not_found(format!("Could not find shard {text} in stream {}.", under(stream)))
}

/// Ours.
pub fn no_stream_named() -> ServiceError {
    invalid("Either StreamName or StreamARN must be provided.")
}

/// Ours.
pub fn names_disagree(name: &str, arn: &str) -> ServiceError {
    invalid(format!("StreamName {name} and StreamARN {arn} do not name the same stream."))
}

/// Ours.
pub fn arn_invalid(error: &ArnError) -> ServiceError {
    invalid(format!("The ARN is not valid: {error}."))
}

fn consumer_missing(stream: &StreamArn, consumer: &StreamName) -> ServiceError {
    not_found(format!("Consumer {consumer}, account {} not found.", stream.account()))
}

/// Ours.
pub fn no_consumer_named() -> ServiceError {
    invalid("Either ConsumerARN, or StreamARN and ConsumerName must be provided.")
}

/// Ours.
pub fn consumers_disagree(consumer_arn: &str) -> ServiceError {
    invalid(format!(
        "StreamARN and ConsumerName do not name the same consumer as ConsumerARN {consumer_arn}."
    ))
}

/// Ours.
pub fn encryption_type_not_kms() -> ServiceError {
    invalid("EncryptionType must be KMS.")
}

/// Ours, in words and in kind.
pub fn policy_invalid(fault: &str) -> ServiceError {
    ServiceError::validation(format!("The resource policy is not valid: {fault}."))
}

/// The sentence is that of the decision.
pub fn access_denied(sentence: String) -> ServiceError {
    model::access_denied(sentence)
}

/// Ours: neither a stream nor a consumer.
pub fn resource_not_found(arn: &str) -> ServiceError {
    not_found(format!("Resource {arn} not found."))
}

pub fn next_token_with(other: &str) -> ServiceError {
    invalid(format!("NextToken and {other} cannot be provided together."))
}

pub fn next_token_or_stream() -> ServiceError {
    invalid("Either NextToken or StreamName should be provided.")
}

/// Ours. `filter` is the filter's type.
pub fn filter_needs(filter: &str, member: &str) -> ServiceError {
    invalid(format!("{member} must be provided with the ShardFilter type {filter}."))
}

/// Ours.
pub fn filter_takes_no(filter: &str, member: &str) -> ServiceError {
    invalid(format!("{member} cannot be provided with the ShardFilter type {filter}."))
}

/// Ours: an ARN that no queue can have.
pub fn no_queue_of(arn: &str) -> ServiceError {
    not_found(format!("Queue {arn} not found."))
}

/// Ours in words; that there is exactly one is the guide's.
pub fn one_stream_per_queue() -> ServiceError {
    violation("Value at 'streamConfigurationList'", "length less than or equal to 1".to_owned())
}

/// Ours in words, the kind is the model's.
pub fn queue_start_needs_timestamp() -> ServiceError {
    ServiceError::validation("Timestamp must be provided with the StartingPosition AT_TIMESTAMP.")
}

/// As above.
pub fn queue_start_takes_no_timestamp(kind: &str) -> ServiceError {
    ServiceError::validation(format!(
        "Timestamp cannot be provided with the StartingPosition {kind}."
    ))
}

/// Ours in words; that it is required is the model's.
pub fn max_receive_count_missing() -> ServiceError {
    ServiceError::validation("MaxReceiveCount must be provided with the TargetType BUILT_IN.")
}

/// Ours.
pub fn max_receive_count_unexpected() -> ServiceError {
    ServiceError::validation("MaxReceiveCount cannot be provided with the TargetType NONE.")
}

/// The sign of success of a dry run (ours in words, AWS's in kind).
pub fn dry_run() -> ServiceError {
    ServiceError::new(
        "DryRunOperationException",
        400,
        "Request would have succeeded, but DryRun flag is set.",
    )
}

fn tags(stream: &StreamArn, error: &TagError, during: During) -> ServiceError {
    tags_of(&format!("stream {}", under(stream)), error, during)
}

/// `resource`: `stream X under account A`.
fn tags_of(resource: &str, error: &TagError, during: During) -> ServiceError {
    let attempt = match during {
        During::RemoveTags => "remove tags from",
        _ => "add tags to",
    };
    match error {
        TagError::InvalidCharacters { .. } => invalid(
            "Some tags contain invalid characters. Valid characters: Unicode letters, digits, \
             white space, _ . / = + - % @.",
        ),
        TagError::IllegalCharacters { .. } => invalid(format!(
            "Failed to {attempt} {resource} because some tags contained illegal characters. The \
             allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'."
        )),
        // Ours.
        TagError::Reserved { .. } => invalid(format!(
            "Failed to {attempt} {resource} because tag keys with the prefix 'aws:' are reserved."
        )),
        TagError::Length { min, max, .. } => invalid(format!(
            "Failed to {attempt} {resource} because some tags are not {min} to {max} characters \
             long."
        )),
        TagError::TooMany { .. } => invalid(format!(
            "Failed to {attempt} {resource} because a given stream cannot have more than {} tags \
             associated with it.",
            limits::TAGS_PER_RESOURCE_MAX
        )),
    }
}

fn retention_out_of_bounds(error: RetentionError) -> ServiceError {
    match error {
        RetentionError::TooShort { hours } => invalid(format!(
            "Minimum allowed retention period is {} hours. Requested retention period ({hours} \
             hours) is too short.",
            limits::RETENTION_HOURS_MIN
        )),
        RetentionError::TooLong { hours } => invalid(format!(
            "Maximum allowed retention period is {} hours. Requested retention period ({hours} \
             hours) is too long.",
            limits::RETENTION_HOURS_MAX
        )),
    }
}

fn pairing(kind: IteratorType, given: &str) -> ServiceError {
    invalid(format!(
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
         StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. \
         Request specified {} {given}",
        kind.as_str()
    ))
}

fn starting_number_invalid(stream: &StreamArn, shard: ShardId, number: &str) -> String {
    format!(
        "StartingSequenceNumber {number} used in GetShardIterator on shard {shard} in stream {} \
         is invalid",
        under(stream)
    )
}

fn null_value(path: &str) -> ServiceError {
    ServiceError::validation(format!(
        "1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member \
         must not be null"
    ))
}

fn violation(value: &str, bound: String) -> ServiceError {
    ServiceError::validation(format!(
        "1 validation error detected: {value} failed to satisfy constraint: Member must have \
         {bound}"
    ))
}

/// `data` of a put, `records.1.member.data` of a batch.
fn record_member(during: During, index: usize, member: &str) -> String {
    match during {
        During::PutRecords => format!("records.{}.member.{member}", index + 1),
        _ => member.to_owned(),
    }
}

/// `X under account A`
fn under(stream: &StreamArn) -> impl Display {
    format!("{} under account {}", stream.name(), stream.account())
}

/// As Java prints dates: `Thu Jan 22 01:22:02 UTC 2015`.
fn java_date(at: Timestamp) -> String {
    let ms = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(t) => t.strftime("%a %b %d %H:%M:%S UTC %Y").to_string(),
        Err(_) => at.to_string(),
    }
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::new("InvalidArgumentException", 400, message)
}

fn not_found(message: String) -> ServiceError {
    ServiceError::new("ResourceNotFoundException", 400, message)
}

fn in_use(message: String) -> ServiceError {
    ServiceError::new("ResourceInUseException", 400, message)
}

fn limit_exceeded(message: String) -> ServiceError {
    ServiceError::new("LimitExceededException", 400, message)
}

//! What can go wrong, with the values that AWS's sentences need; the sentences themselves stand
//! where the API is spoken.

use std::time::Duration;

use millstream_base::{
    AccountId, HashKeyRange, QueueArn, ResourceArn, Retention, RetentionError, Scope, ShardId,
    StreamArn, StreamName, TagError, Timestamp,
};
use millstream_log::{AppendError, LogError, ReadError};
use millstream_meta::MetaError;
use millstream_secrets::KeyError;

use crate::model::{IteratorType, StreamStatus};
use crate::queue_model::QueueStatus;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Change the request.
    Invalid,
    /// Name something else, or make it first.
    NotFound,
    /// Wait until the thing is in another state.
    Conflict,
    /// Ask for less, or for a higher quota.
    LimitExceeded,
    /// Come back more slowly.
    Throttled,
    /// Come back with a fresh iterator or token.
    Expired,
    /// Retry later.
    Unavailable,
    /// Look at the node.
    Internal,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    // Streams and shards.
    #[error("stream {stream} does not exist")]
    StreamNotFound { stream: StreamArn },
    #[error("stream {stream} exists already")]
    StreamExists { stream: StreamArn },
    #[error("stream {stream} is {status}, not ACTIVE")]
    StreamNotActive { stream: StreamArn, status: StreamStatus },
    /// Also for an iterator of a stream that is gone or was made anew.
    #[error("shard {shard} of stream {stream} does not exist")]
    ShardNotFound { stream: StreamArn, shard: ShardId },

    // Quotas.
    #[error("{requested} more shards than {current} in {scope} are more than {limit}")]
    ShardLimit { scope: Scope, current: u32, requested: u32, limit: u32 },
    #[error("{requested} shards are more than the {limit} of a stream")]
    ShardsPerStream { requested: u32, limit: u32 },
    #[error("account {account} has {limit} streams CREATING or DELETING already")]
    StreamsChanging { account: AccountId, limit: u32 },
    #[error("{scope} has {limit} on-demand streams already")]
    OnDemandStreams { scope: Scope, limit: u32 },

    // Settings of streams.
    #[error("a provisioned stream needs a shard count")]
    ShardCountMissing,
    #[error("an on-demand stream takes no shard count")]
    ShardCountUnexpected,
    #[error(transparent)]
    Retention(#[from] RetentionError),
    #[error("retention of {stream} can't be raised from {existing} to {requested}")]
    RetentionShorter { stream: StreamArn, requested: Retention, existing: Retention },
    #[error("retention of {stream} can't be lowered from {existing} to {requested}")]
    RetentionLonger { stream: StreamArn, requested: Retention, existing: Retention },
    #[error("records of up to {kib} KiB are not within {min} to {max} KiB")]
    RecordSizeOutOfBounds { kib: i64, min: u32, max: u32 },
    #[error("a provisioned stream can't distribute its records itself")]
    AutoNeedsOnDemand,
    #[error("warm throughput needs an on-demand stream")]
    WarmThroughputNeedsOnDemand,
    #[error("warm throughput needs the account's commitment to a minimum throughput")]
    WarmThroughputNeedsCommitment,
    #[error("warm throughput of {mibps} MiB/s is more than {max}")]
    WarmThroughputTooLarge { mibps: u32, max: u32 },
    #[error("tags of {stream}: {error}")]
    Tags { stream: StreamArn, error: TagError },

    // Resharding.
    /// Of an operation that changes shards, which AWS words differently.
    #[error("there is no shard {shard} in stream {stream}")]
    ShardMissing { stream: StreamArn, shard: ShardId },
    #[error("shard {shard} of stream {stream} is closed")]
    ShardClosed { stream: StreamArn, shard: ShardId },
    #[error("hash key {hash_key} does not split {range} of {shard} in stream {stream}")]
    SplitOutside { stream: StreamArn, shard: ShardId, hash_key: String, range: HashKeyRange },
    #[error("shards {lower} and {upper} of stream {stream} are not neighbours in this order")]
    ShardsNotAdjacent { stream: StreamArn, lower: ShardId, upper: ShardId },
    #[error("stream {stream} is in on-demand mode")]
    StreamOnDemand { stream: StreamArn },
    #[error("{target} shards are not half to twice the {current} of stream {stream}")]
    ShardCountStep { stream: StreamArn, current: u32, target: u32 },
    #[error("the shard count of stream {stream} was updated {max} times in 24 hours")]
    ShardCountUpdates { stream: StreamArn, max: usize },

    // Capacity modes.
    #[error("the mode of {stream} was switched {limit} times within 24 hours")]
    ModeSwitches { stream: StreamArn, limit: usize },

    // Consumers and subscriptions.
    #[error("consumer {consumer} of stream {stream} does not exist")]
    ConsumerNotFound { stream: StreamArn, consumer: StreamName },
    #[error("consumer {consumer} of stream {stream} exists already")]
    ConsumerExists { stream: StreamArn, consumer: StreamName },
    #[error("consumer {consumer} of stream {stream}, registered at {created}, is not ACTIVE")]
    ConsumerNotActive { stream: StreamArn, consumer: StreamName, created: Timestamp },
    #[error("stream {stream} has {limit} consumers already")]
    ConsumerLimit { stream: StreamArn, limit: u32 },
    #[error("{limit} consumers of stream {stream} are CREATING already")]
    ConsumersCreating { stream: StreamArn, limit: u32 },
    #[error("stream {stream} has consumers")]
    StreamHasConsumers { stream: StreamArn },
    #[error("consumer {consumer} has another subscription to {shard} of stream {stream}")]
    SubscriptionActive { stream: StreamArn, shard: ShardId, consumer: StreamName },
    #[error("no room for a subscription of consumer {consumer}")]
    SubscriptionsFull { consumer: StreamName },

    // Queues.
    #[error("queue {queue} does not exist")]
    QueueNotFound { queue: QueueArn },
    #[error("a queue {name} exists in {scope} already")]
    QueueExists { scope: Scope, name: StreamName },
    #[error("queue {queue} is {status}, not ACTIVE")]
    QueueNotActive { queue: QueueArn, status: QueueStatus },
    #[error("queue {queue} is asked for more at once than it can do")]
    QueueThrottled { queue: QueueArn },
    #[error("stream {stream} has {limit} consumers and queues already")]
    QueuesPerStream { stream: StreamArn, limit: u32 },
    #[error("account {account} has {limit} queues CREATING or DELETING already")]
    QueuesChanging { account: AccountId, limit: u32 },
    #[error("stream {stream} is provisioned, and queues need an on-demand stream")]
    QueueNeedsOnDemand { stream: StreamArn },
    #[error("stream {stream} has {count} queues")]
    StreamHasQueues { stream: StreamArn, count: usize },
    #[error("stream {stream} has queues and can't become provisioned")]
    QueuesKeepMode { stream: StreamArn },
    #[error("queue {queue} has no policy")]
    QueuePolicyNotFound { queue: QueueArn },
    #[error("a filter of {count} streams is longer than {max}")]
    QueueFilterTooLong { count: usize, max: usize },
    #[error("tags of {queue}: {error}")]
    QueueTags { queue: QueueArn, error: TagError },

    // Encryption, policies, monitoring.
    #[error("{key_id:?} names no key")]
    KeyNotFound { key_id: String },
    /// The key that a stream is encrypted under can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("encryption of {stream} was changed {limit} times in 24 hours already")]
    EncryptionChanges { stream: StreamArn, limit: usize },
    #[error("resource {resource} has no policy")]
    PolicyNotFound { resource: ResourceArn },

    // Puts.
    /// The data alone is above the stream's bound.
    #[error("data of record {index} has {bytes} bytes, more than {max}")]
    DataTooLarge { index: usize, bytes: usize, max: usize },
    /// The data fits, data and partition key together do not.
    #[error("record {index} with its key has {bytes} bytes, more than {max}")]
    RecordTooLarge { index: usize, bytes: usize, max: usize },
    #[error("{bytes} bytes in one request are more than {max}")]
    RequestTooLarge { bytes: usize, max: usize },
    #[error("{count} records in one request are not within 1 to {max}")]
    RecordCount { count: usize, max: usize },
    #[error("record {index} has no partition key")]
    PartitionKeyMissing { index: usize },
    #[error("explicit hash key {text} is not in [0, 2^128-1]")]
    ExplicitHashKey { text: String },
    #[error("sequence number {number} can't order records of {stream}")]
    OrderingNumber { stream: StreamArn, number: String },
    #[error("stream {stream} distributes its records itself and can't order them")]
    OrderingWithAuto { stream: StreamArn },
    #[error("throughput of {shard} of stream {stream} is used up")]
    Throttled { stream: StreamArn, shard: ShardId },

    // Rates.
    #[error("an operation was called too often by account {account}")]
    CallRate { account: AccountId },
    #[error("an operation was called too often on stream {stream}")]
    StreamCallRate { stream: StreamArn },

    // Iterators and tokens.
    #[error("an iterator {} needs a sequence number", kind.as_str())]
    SequenceNumberMissing { kind: IteratorType },
    #[error("an iterator {} takes no sequence number", kind.as_str())]
    SequenceNumberUnexpected { kind: IteratorType },
    #[error("an iterator AT_TIMESTAMP needs a time")]
    TimestampMissing,
    #[error("the time {at} lies after now, {now}")]
    TimestampInFuture { at: Timestamp, now: Timestamp },
    #[error("the sequence number is of {encoded}, not of {shard}")]
    SequenceNumberOfOtherShard { encoded: ShardId, shard: ShardId },
    #[error("sequence number {number} is invalid for {shard} of {stream}")]
    SequenceNumberInvalid { stream: StreamArn, shard: ShardId, number: String },
    #[error("sequence number {number} did not come from {stream}")]
    SequenceNumberOfOtherStream { stream: StreamArn, shard: ShardId, number: String },
    /// AWS answers these with an internal failure.
    #[error("sequence number {number} has the layout of 2013")]
    SequenceNumberOldLayout { number: String },
    #[error("not an iterator from here")]
    IteratorInvalid,
    #[error("an iterator of {issued} is older than {} s at {now}", life.as_secs())]
    IteratorExpired { issued: Timestamp, now: Timestamp, life: Duration },
    #[error("not a token from here")]
    NextTokenInvalid,
    #[error("a token of {issued} is older than {} s at {now}", life.as_secs())]
    NextTokenExpired { issued: Timestamp, now: Timestamp, life: Duration },
    #[error("{limit} records are not within 1 to {max}")]
    LimitOutOfBounds { limit: usize, max: usize },

    // Below.
    /// Nothing was stored, or it is not known; a retry may succeed.
    #[error("not available: {reason}")]
    Unavailable { reason: String },
    #[error("damaged data: {reason}")]
    Corrupt { reason: String },
}

impl Error {
    pub fn kind(&self) -> ErrorKind {
        use Error::*;
        match self {
            StreamNotFound { .. } | ShardNotFound { .. } | ShardMissing { .. } => {
                ErrorKind::NotFound
            }
            StreamExists { .. } | StreamNotActive { .. } => ErrorKind::Conflict,
            ConsumerNotFound { .. } => ErrorKind::NotFound,
            ConsumerExists { .. }
            | ConsumerNotActive { .. }
            | StreamHasConsumers { .. }
            | SubscriptionActive { .. } => ErrorKind::Conflict,
            ConsumerLimit { .. } | ConsumersCreating { .. } | SubscriptionsFull { .. } => {
                ErrorKind::LimitExceeded
            }
            ShardLimit { .. } | ShardsPerStream { .. } | StreamsChanging { .. } => {
                ErrorKind::LimitExceeded
            }
            QueueNotFound { .. } | QueuePolicyNotFound { .. } => ErrorKind::NotFound,
            QueueExists { .. } | QueueNotActive { .. } => ErrorKind::Conflict,
            StreamHasQueues { .. } | QueuesKeepMode { .. } => ErrorKind::Conflict,
            QueuesPerStream { .. } | QueuesChanging { .. } => ErrorKind::LimitExceeded,
            QueueNeedsOnDemand { .. } | QueueFilterTooLong { .. } | QueueTags { .. } => {
                ErrorKind::Invalid
            }
            QueueThrottled { .. } => ErrorKind::Throttled,
            OnDemandStreams { .. } | ShardCountUpdates { .. } => ErrorKind::LimitExceeded,
            ModeSwitches { .. } | EncryptionChanges { .. } => ErrorKind::LimitExceeded,
            KeyNotFound { .. } | PolicyNotFound { .. } => ErrorKind::NotFound,
            Key(error) => of_key(error),
            Throttled { .. } | CallRate { .. } | StreamCallRate { .. } => ErrorKind::Throttled,
            IteratorExpired { .. } | NextTokenExpired { .. } => ErrorKind::Expired,
            Unavailable { .. } => ErrorKind::Unavailable,
            SequenceNumberOldLayout { .. } | Corrupt { .. } => ErrorKind::Internal,
            ShardCountMissing
            | ShardCountUnexpected
            | Retention(_)
            | RetentionShorter { .. }
            | RetentionLonger { .. }
            | RecordSizeOutOfBounds { .. }
            | AutoNeedsOnDemand
            | WarmThroughputNeedsOnDemand
            | WarmThroughputNeedsCommitment
            | WarmThroughputTooLarge { .. }
            | Tags { .. }
            | ShardClosed { .. }
            | SplitOutside { .. }
            | ShardsNotAdjacent { .. }
            | StreamOnDemand { .. }
            | ShardCountStep { .. }
            | DataTooLarge { .. }
            | RecordTooLarge { .. }
            | RequestTooLarge { .. }
            | RecordCount { .. }
            | PartitionKeyMissing { .. }
            | ExplicitHashKey { .. }
            | OrderingNumber { .. }
            | OrderingWithAuto { .. }
            | SequenceNumberMissing { .. }
            | SequenceNumberUnexpected { .. }
            | TimestampMissing
            | TimestampInFuture { .. }
            | SequenceNumberOfOtherShard { .. }
            | SequenceNumberInvalid { .. }
            | SequenceNumberOfOtherStream { .. }
            | IteratorInvalid
            | NextTokenInvalid
            | LimitOutOfBounds { .. } => ErrorKind::Invalid,
        }
    }
}

fn of_key(error: &KeyError) -> ErrorKind {
    match error {
        KeyError::NotFound { .. } => ErrorKind::NotFound,
        KeyError::Disabled { .. } | KeyError::InvalidState { .. } => ErrorKind::Conflict,
        KeyError::AccessDenied { .. } | KeyError::OptInRequired { .. } => ErrorKind::Invalid,
        KeyError::Throttled { .. } => ErrorKind::Throttled,
        KeyError::InvalidCiphertext { .. } => ErrorKind::Internal,
        KeyError::Unavailable { .. } => ErrorKind::Unavailable,
    }
}

impl From<MetaError> for Error {
    fn from(e: MetaError) -> Self {
        match e {
            MetaError::Corrupt { .. } => Error::Corrupt { reason: e.to_string() },
            _ => Error::Unavailable { reason: e.to_string() },
        }
    }
}

impl From<LogError> for Error {
    fn from(e: LogError) -> Self {
        Error::Unavailable { reason: e.to_string() }
    }
}

impl From<AppendError> for Error {
    fn from(e: AppendError) -> Self {
        Error::Unavailable { reason: e.to_string() }
    }
}

impl From<ReadError> for Error {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::Corrupt { .. } => Error::Corrupt { reason: e.to_string() },
            _ => Error::Unavailable { reason: e.to_string() },
        }
    }
}

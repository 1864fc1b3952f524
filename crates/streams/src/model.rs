//! What callers give and get: the domain's terms of Data Streams, without any wire's shapes.

use bytes::Bytes;
use millstream_base::{
    HashKeyRange, Retention, Scope, SequenceNumber, ShardId, StreamArn, StreamName, Tags, Timestamp,
};
use serde::{Deserialize, Serialize};

/// How a stream's life stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StreamStatus {
    Creating,
    Deleting,
    Active,
    Updating,
}

impl StreamStatus {
    /// The name that AWS's answers and sentences carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            StreamStatus::Creating => "CREATING",
            StreamStatus::Deleting => "DELETING",
            StreamStatus::Active => "ACTIVE",
            StreamStatus::Updating => "UPDATING",
        }
    }
}

impl std::fmt::Display for StreamStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who looks after the number of shards: the user, or the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StreamMode {
    Provisioned,
    OnDemand,
}

/// Who decides in which shard a record goes: its partition key, or the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecordDistribution {
    #[default]
    UserPartitionKey,
    Auto,
}

/// How new records are kept at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encryption {
    #[default]
    None,
    /// With a data key under this key, named as the user named it.
    Kms { key_id: String },
}

/// A metric that can be had per shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ShardMetric {
    IncomingBytes,
    IncomingRecords,
    OutgoingBytes,
    OutgoingRecords,
    WriteProvisionedThroughputExceeded,
    ReadProvisionedThroughputExceeded,
    IteratorAgeMilliseconds,
}

impl ShardMetric {
    pub const ALL: [ShardMetric; 7] = [
        ShardMetric::IncomingBytes,
        ShardMetric::IncomingRecords,
        ShardMetric::OutgoingBytes,
        ShardMetric::OutgoingRecords,
        ShardMetric::WriteProvisionedThroughputExceeded,
        ShardMetric::ReadProvisionedThroughputExceeded,
        ShardMetric::IteratorAgeMilliseconds,
    ];
}

/// A stream to be made.
#[derive(Clone, Debug)]
pub struct CreateStream {
    pub stream: StreamArn,
    /// `None`: [`StreamMode::Provisioned`].
    pub mode: Option<StreamMode>,
    pub shard_count: Option<u32>,
    pub tags: Tags,
    pub max_record_kib: Option<u32>,
    pub warm_throughput_mibps: Option<u32>,
    pub distribution: Option<RecordDistribution>,
}

impl CreateStream {
    /// A provisioned stream with everything else as it comes.
    pub fn provisioned(stream: StreamArn, shard_count: u32) -> Self {
        CreateStream {
            stream,
            mode: Some(StreamMode::Provisioned),
            shard_count: Some(shard_count),
            tags: Tags::new(),
            max_record_kib: None,
            warm_throughput_mibps: None,
            distribution: None,
        }
    }
}

/// A shard as descriptions and lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardDescription {
    pub shard: ShardId,
    pub parent: Option<ShardId>,
    /// The second parent of a merged shard.
    pub adjacent_parent: Option<ShardId>,
    pub range: HashKeyRange,
    pub starting_sequence_number: SequenceNumber,
    /// Present in closed shards.
    pub ending_sequence_number: Option<SequenceNumber>,
}

/// What DescribeStream shows.
#[derive(Clone, Debug)]
pub struct StreamDescription {
    pub stream: StreamArn,
    pub status: StreamStatus,
    pub mode: StreamMode,
    /// Whole seconds.
    pub created: Timestamp,
    pub retention: Retention,
    pub encryption: Encryption,
    pub shard_metrics: Vec<ShardMetric>,
    pub shards: Vec<ShardDescription>,
    pub has_more_shards: bool,
}

/// What DescribeStreamSummary shows.
#[derive(Clone, Debug)]
pub struct StreamSummary {
    pub stream: StreamArn,
    pub status: StreamStatus,
    pub mode: StreamMode,
    /// Whole seconds.
    pub created: Timestamp,
    pub retention: Retention,
    pub encryption: Encryption,
    pub shard_metrics: Vec<ShardMetric>,
    /// 0 while the stream is being made.
    pub open_shard_count: u32,
    pub consumer_count: u32,
    pub queue_count: u32,
    pub max_record_kib: u32,
    pub distribution: RecordDistribution,
    pub warm_throughput: Option<WarmThroughput>,
}

/// Throughput kept ready for an on-demand stream, MiB per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmThroughput {
    pub target_mibps: u32,
    pub current_mibps: u32,
}

/// A page of streams to be listed.
#[derive(Clone, Copy, Debug)]
pub struct ListStreams<'a> {
    pub scope: &'a Scope,
    /// More than 100 gives 100.
    pub limit: Option<usize>,
    pub exclusive_start: Option<&'a StreamName>,
    /// Stands above `exclusive_start`.
    pub next_token: Option<&'a str>,
}

/// One line of ListStreams.
#[derive(Clone, Debug)]
pub struct ListedStream {
    pub stream: StreamArn,
    pub status: StreamStatus,
    pub mode: StreamMode,
    /// Whole seconds.
    pub created: Timestamp,
}

/// Streams in the order of their names.
#[derive(Clone, Debug)]
pub struct StreamsPage {
    pub streams: Vec<ListedStream>,
    pub has_more: bool,
    /// Present exactly when `has_more`.
    pub next_token: Option<String>,
}

/// What ListShards is asked for: a stream's shards from the beginning, or the next page.
#[derive(Clone, Copy, Debug)]
pub enum ListShards<'a> {
    Stream {
        stream: &'a StreamArn,
        /// If it is not the stream's own creation time, another stream of that name is meant.
        created: Option<Timestamp>,
        exclusive_start: Option<ShardId>,
        filter: ShardFilter,
        /// More than 1,000 gives 1,000.
        max_results: Option<usize>,
    },
    Next {
        /// The caller's; a token serves only where it was given.
        scope: &'a Scope,
        next_token: &'a str,
        max_results: Option<usize>,
    },
}

/// Which shards ListShards shows. Every `At…` answer covers the ring without hole or overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShardFilter {
    /// Open or closed, with larger numbers.
    AfterShardId(ShardId),
    AtTrimHorizon,
    /// All that are not expired.
    #[default]
    FromTrimHorizon,
    AtLatest,
    AtTimestamp(Timestamp),
    FromTimestamp(Timestamp),
}

/// Shards in the order of their numbers.
#[derive(Clone, Debug)]
pub struct ShardsPage {
    pub stream: StreamArn,
    pub shards: Vec<ShardDescription>,
    pub next_token: Option<String>,
}

/// A record to be put. The adapter has checked lengths and patterns; what depends on the stream is
/// checked here.
#[derive(Clone, Debug)]
pub struct NewRecord<'a> {
    /// UTF-8. May be absent where the service distributes records.
    pub partition_key: Option<Bytes>,
    /// Up to 39 decimal digits.
    pub explicit_hash_key: Option<&'a str>,
    pub data: Bytes,
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub shard: ShardId,
    pub sequence_number: SequenceNumber,
}

/// One record's fate in PutRecords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutResult {
    Stored(Stored),
    /// The shard's throughput is used up: ProvisionedThroughputExceededException.
    Throttled {
        shard: ShardId,
    },
    /// Could not be stored now; a retry may succeed: InternalFailure. `reason` is for the log.
    Failed {
        reason: String,
    },
}

/// What PutRecords tells, in the order of the request.
#[derive(Clone, Debug)]
pub struct PutOutcome {
    pub results: Vec<PutResult>,
    pub failed_count: usize,
    pub encryption: Encryption,
}

/// Where reading starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IteratorType {
    AtSequenceNumber,
    AfterSequenceNumber,
    TrimHorizon,
    Latest,
    AtTimestamp,
}

impl IteratorType {
    /// The name that AWS's requests and sentences carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            IteratorType::AtSequenceNumber => "AT_SEQUENCE_NUMBER",
            IteratorType::AfterSequenceNumber => "AFTER_SEQUENCE_NUMBER",
            IteratorType::TrimHorizon => "TRIM_HORIZON",
            IteratorType::Latest => "LATEST",
            IteratorType::AtTimestamp => "AT_TIMESTAMP",
        }
    }
}

/// A starting position as the caller gave it: whether type, number and time go together is looked
/// at after the stream and the shard were found, as on AWS.
#[derive(Clone, Copy, Debug)]
pub struct StartingPosition<'a> {
    pub kind: IteratorType,
    pub sequence_number: Option<&'a str>,
    pub timestamp: Option<Timestamp>,
}

impl StartingPosition<'_> {
    pub const TRIM_HORIZON: StartingPosition<'static> = StartingPosition {
        kind: IteratorType::TrimHorizon,
        sequence_number: None,
        timestamp: None,
    };
    pub const LATEST: StartingPosition<'static> =
        StartingPosition { kind: IteratorType::Latest, sequence_number: None, timestamp: None };
}

/// Records to be read at an iterator.
#[derive(Clone, Copy, Debug)]
pub struct GetRecords<'a> {
    pub iterator: &'a str,
    /// 1 to 10,000.
    pub limit: Option<usize>,
    /// Account and region of the caller.
    pub caller: &'a Scope,
    /// The stream that the caller named besides; it must be the iterator's.
    pub stream: Option<&'a StreamArn>,
}

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub sequence_number: SequenceNumber,
    pub arrived: Timestamp,
    /// UTF-8.
    pub partition_key: Option<Bytes>,
    pub data: Bytes,
    /// Whether it was stored while its stream was encrypted.
    pub encrypted: bool,
}

/// A shard that goes on where another ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildShard {
    pub shard: ShardId,
    /// All of them: two after a merge.
    pub parents: Vec<ShardId>,
    pub range: HashKeyRange,
}

/// What GetRecords answers. `next_iterator` is absent exactly when `child_shards` is not empty.
#[derive(Clone, Debug)]
pub struct RecordsPage {
    pub stream: StreamArn,
    pub shard: ShardId,
    pub records: Vec<Record>,
    pub next_iterator: Option<String>,
    pub millis_behind_latest: u64,
    pub child_shards: Vec<ChildShard>,
}

/// What DescribeLimits shows for one account and region: live counts and their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLimits {
    pub shard_limit: u32,
    pub open_shard_count: u32,
    pub on_demand_stream_count: u32,
    pub on_demand_stream_limit: u32,
    pub channel_count: u32,
    pub channel_limit: u32,
}

/// The account's commitment to pay for a minimum of throughput (On-demand Advantage).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSettings {
    pub commitment: Commitment,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub earliest_allowed_end_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Commitment {
    Enabled,
    #[default]
    Disabled,
    EnabledUntilEarliestAllowedEnd,
}

/// Tags in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsPage {
    pub tags: Vec<(String, String)>,
    pub has_more: bool,
}

//! Every quota of the product, each with its source.
//!
//! "Model" is AWS's service model of API version 2013-12-02 (botocore 1.44.5), "guide" the
//! developer guide and API reference (read 2026).

use std::time::Duration;

// Records.

/// Most bytes of one record (data before base64, plus the partition key's UTF-8 bytes) in a stream
/// that was not told otherwise. Source: guide, "Quotas and limits"; model, MaxRecordSizeInKiB.
pub const RECORD_KIB_DEFAULT: u32 = 1024;
/// Bounds of a stream's MaxRecordSizeInKiB. Source: model.
pub const RECORD_KIB_MIN: u32 = 1024;
pub const RECORD_KIB_MAX: u32 = 10_240;
/// Most bytes of one PutRecords call, partition keys included. Source: model, PutRecords.
pub const PUT_RECORDS_BYTES_MAX: usize = 10 << 20;
/// Most records of one PutRecords call. Source: model.
pub const PUT_RECORDS_COUNT_MAX: usize = 500;
/// Most Unicode characters of a partition key. Source: model, PartitionKey.
pub const PARTITION_KEY_CHARS_MAX: usize = 256;

// Reading.

/// Most records of one GetRecords answer, and the default. Source: model, GetRecords Limit.
pub const GET_RECORDS_COUNT_MAX: usize = 10_000;
/// Most bytes of one GetRecords answer; a first record is returned whatever its size.
/// Source: model, GetRecords.
pub const GET_RECORDS_BYTES_MAX: usize = 10 << 20;
/// How long a shard iterator can be used. Source: model, GetShardIterator.
pub const ITERATOR_LIFE: Duration = Duration::from_secs(300);
/// Most characters of a shard iterator. Source: model, ShardIterator.
pub const ITERATOR_CHARS_MAX: usize = 512;

// Retention.

/// Source: model, Increase/DecreaseStreamRetentionPeriod.
pub const RETENTION_HOURS_MIN: u32 = 24;
pub const RETENTION_HOURS_MAX: u32 = 8760;

// Lists.

/// How long a list's NextToken can be used. Source: model, ListShards.
pub const NEXT_TOKEN_LIFE: Duration = Duration::from_secs(300);
/// Shards on one page of ListShards: default and most. Source: model, ListShards MaxResults.
pub const LIST_SHARDS_PAGE_MAX: usize = 1000;
/// Shards in one DescribeStream answer: default and most. Source: model, DescribeStream Limit.
pub const DESCRIBE_STREAM_PAGE_MAX: usize = 100;
/// Streams on one page of ListStreams: default and most. Source: model, ListStreams Limit.
pub const LIST_STREAMS_PAGE_MAX: usize = 100;
/// Consumers on one page of ListStreamConsumers: default and most. Source: model, MaxResults.
pub const LIST_CONSUMERS_PAGE_MAX: usize = 100;
/// Tags on one page of ListTagsForStream. Source: model, Limit.
pub const LIST_TAGS_PAGE_MAX: usize = 50;

// Tags.

/// Source: guide, "Tagging your streams".
pub const TAGS_PER_RESOURCE_MAX: usize = 50;
/// Source: model, TagKey and TagValue.
pub const TAG_KEY_CHARS_MAX: usize = 128;
pub const TAG_VALUE_CHARS_MAX: usize = 256;

// Streams and shards.

/// Shards of a new stream that names no count. Source: guide, on-demand mode.
pub const SHARD_COUNT_DEFAULT: u32 = 4;
/// Most shards of one stream. Source: model, UpdateShardCount.
pub const SHARDS_PER_STREAM_MAX: u32 = 10_000;
/// UpdateShardCount calls of a stream in 24 hours. Source: model, UpdateShardCount.
pub const SHARD_COUNT_UPDATES_PER_DAY_MAX: usize = 10;
/// Shards of provisioned streams per account and region. Source: guide, "Quotas and limits", the
/// largest regions.
pub const SHARDS_PER_ACCOUNT_DEFAULT: u32 = 20_000;
/// On-demand streams per account and region. Source: guide, "Quotas and limits".
pub const ON_DEMAND_STREAMS_DEFAULT: u32 = 50;
/// Streams of an account that can be CREATING or DELETING at once. Source: model, CreateStream,
/// and the service's own sentence, which counts both.
pub const STREAMS_CHANGING_MAX: u32 = 5;
/// Fan-out consumers of a stream. Source: model, RegisterStreamConsumer.
pub const CONSUMERS_PER_STREAM_MAX: u32 = 20;
/// The same for an account that has committed itself to a minimum throughput. Source: model,
/// RegisterStreamConsumer.
pub const CONSUMERS_PER_STREAM_COMMITTED_MAX: u32 = 50;
/// Consumers of a stream that can be CREATING at once. Source: model, RegisterStreamConsumer.
pub const CONSUMERS_CREATING_MAX: u32 = 5;
/// Channels of an account: two per stream, one of each kind. Source: guide, channels.
pub const CHANNELS_PER_STREAM_MAX: u32 = 2;
/// Most MiB/s of warm throughput. Source: model, UpdateStreamWarmThroughput.
pub const WARM_THROUGHPUT_MIBPS_MAX: u32 = 10_240;

// Capacity modes.

/// Times a stream's mode can be switched in 24 hours. Source: model, UpdateStreamMode.
pub const MODE_SWITCHES_PER_DAY: usize = 2;
/// How long an account that commits to a minimum of throughput stays committed at least.
/// Source: guide, On-demand Advantage.
pub const COMMITMENT_TIME_MIN: Duration = Duration::from_secs(24 * 3600);
/// How long an on-demand stream remembers its peak. Source: guide, on-demand mode.
pub const ON_DEMAND_PEAK_DAYS: u64 = 30;
/// How many times its remembered peak an on-demand stream takes at once. Source: guide.
pub const ON_DEMAND_HEADROOM: f64 = 2.0;
/// The part of a shard's write budget beyond which an on-demand stream splits it. Source: guide,
/// "more than 500 KB/s".
pub const ON_DEMAND_SPLIT_ABOVE: f64 = 0.5;
/// Most MiB/s that an on-demand stream grows to by itself. Source: guide, "200 MB/s" (in the
/// largest regions 10 GB/s on request).
pub const ON_DEMAND_WRITE_MIBPS_DEFAULT: u32 = 200;

// Throughput of one shard.

/// Source: guide, "Quotas and limits".
pub const SHARD_WRITE_RECORDS_PER_SECOND: u32 = 1000;
pub const SHARD_WRITE_BYTES_PER_SECOND: u32 = 1 << 20;
pub const SHARD_READ_BYTES_PER_SECOND: u32 = 2 << 20;
pub const SHARD_READ_CALLS_PER_SECOND: u32 = 5;
/// GetShardIterator calls, per open shard. Source: model, GetShardIterator.
pub const SHARD_ITERATORS_PER_SECOND: u32 = 5;
/// What a shard gives each fan-out consumer. Source: model, SubscribeToShard.
pub const CONSUMER_READ_BYTES_PER_SECOND: u32 = 2 << 20;
/// SubscribeToShard calls, per consumer and shard. Source: model, SubscribeToShard.
pub const SUBSCRIPTIONS_PER_SECOND: u32 = 1;
/// What a shard keeps ready for records that are larger than its bytes of a second. The guide says
/// that there is such a budget and that it refills steadily, not how large it is: the largest
/// record there can be must fit.
pub const LARGE_RECORDS_BURST_BYTES: u32 = RECORD_KIB_MAX * 1024;
/// How that budget refills. Ours: as fast as the shard writes otherwise.
pub const LARGE_RECORDS_BYTES_PER_SECOND: u32 = SHARD_WRITE_BYTES_PER_SECOND;

// Subscriptions of fan-out consumers.

/// How long a subscription lasts. Source: model, SubscribeToShard.
pub const SUBSCRIPTION_LIFE: Duration = Duration::from_secs(300);
/// How long after a subscription began the same consumer can't subscribe to the same shard again;
/// after that a new one takes over. Source: model, SubscribeToShard.
pub const SUBSCRIPTION_TAKEOVER_AFTER: Duration = Duration::from_secs(5);
/// How long after the initial response the first event of a subscription comes at the earliest.
/// lifion-kinesis can't read two messages that arrive as one. Source: ours; AWS takes longer.
pub const SUBSCRIPTION_FIRST_EVENT_AFTER: Duration = Duration::from_millis(20);
/// How often a subscription without records tells where it is. Source: recorded by others.
pub const SUBSCRIPTION_IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// How long a subscription goes on after its consumer was deregistered. Flink's connector
/// deregisters first and stops its subscribers up to ten seconds later; told meanwhile that the
/// consumer is not there, it takes each shard as read to its end and says so in its savepoint; told
/// nothing at all, it does not stop. Source: ours; AWS takes seconds to delete a consumer.
pub const SUBSCRIPTION_LINGER: Duration = Duration::from_secs(30);

// Settings that may change only so often.

/// StartStreamEncryption and StopStreamEncryption of a stream within 24 hours. Source: model.
pub const ENCRYPTION_CHANGES_PER_DAY_MAX: usize = 25;
/// Most characters of an identity's policy, blanks not counted. Source: IAM guide, "IAM and AWS STS
/// quotas": managed policies 6,144; inline policies of a role 10,240 in all, of a group 5,120, of a
/// user 2,048.
pub const MANAGED_POLICY_CHARS_MAX: usize = 6_144;
pub const ROLE_INLINE_CHARS_MAX: usize = 10_240;
pub const GROUP_INLINE_CHARS_MAX: usize = 5_120;
pub const USER_INLINE_CHARS_MAX: usize = 2_048;
/// Most characters of a role's trust policy, blanks not counted. Source: IAM guide, "IAM and AWS STS
/// quotas": 2,048, which can be raised to 4,096; here it is raised.
pub const TRUST_POLICY_CHARS_MAX: usize = 4_096;
/// Most characters of a session policy. Source: STS model, AssumeRole Policy: "The plaintext that
/// you use for both inline and managed session policies can't exceed 2,048 characters."
pub const SESSION_POLICY_CHARS_MAX: usize = 2_048;
/// Most characters of an endpoint policy, blanks not counted. Source: VPC guide, "Amazon VPC
/// quotas": VPC endpoint policy size, 20,480 characters.
pub const ENDPOINT_POLICY_CHARS_MAX: usize = 20_480;
/// Most bytes of any policy document's text, blanks included. Source: IAM model,
/// policyDocumentType.
pub const POLICY_TEXT_BYTES_MAX: usize = 131_072;
/// Most bytes of a resource policy. Ours: the API's text names no bound; 20 KiB is what AWS's
/// other services with resource policies take.
pub const POLICY_BYTES_MAX: usize = 20 << 10;

// Metrics (CloudWatch).

/// How long one-minute points are kept. Source: CloudWatch user guide, "Metrics retention".
pub const METRIC_RETENTION: Duration = Duration::from_secs(15 * 24 * 3600);
/// Most metrics (name, dimensions, unit) that a node keeps. Ours: some 1 KiB of memory each.
pub const METRIC_SERIES_MAX: usize = 50_000;
/// Most different values of one minute that percentiles are told from. Ours.
pub const METRIC_VALUES_MAX: usize = 500;
/// Bounds of a datum's time. Source: API reference of CloudWatch, MetricDatum Timestamp.
pub const METRIC_PAST_MAX: Duration = Duration::from_secs(14 * 24 * 3600);
pub const METRIC_FUTURE_MAX: Duration = Duration::from_secs(2 * 3600);
/// Bounds of one PutMetricData call: body, data, and values of one datum.
/// Source: API reference of CloudWatch, PutMetricData.
pub const PUT_METRIC_DATA_BYTES_MAX: usize = 1 << 20;
pub const PUT_METRIC_DATA_COUNT_MAX: usize = 1000;
pub const METRIC_DATUM_VALUES_MAX: usize = 150;
/// Bounds of a datum's value. Source: API reference of CloudWatch, MetricDatum: -2^360 to 2^360.
pub const METRIC_VALUE_MAX: f64 = 2.348_542_582_773_833_2e108;
/// Most data points of a GetMetricStatistics answer. Source: API reference of CloudWatch.
pub const METRIC_STATISTICS_POINTS_MAX: u64 = 1440;
/// Most queries of a GetMetricData call, and most data points of its answer, which is the default
/// too. Source: API reference of CloudWatch.
pub const GET_METRIC_DATA_QUERIES_MAX: usize = 500;
pub const GET_METRIC_DATA_POINTS_MAX: usize = 100_800;
/// Metrics in one ListMetrics answer. Source: API reference of CloudWatch.
pub const LIST_METRICS_MAX: usize = 500;

// Queues.

/// Queues of an account and region that can be CREATING or DELETING at once. How many a stream can
/// have: as many as consumers, counted together. Source: guide, "Quotas and limits for queues".
pub const QUEUES_CHANGING_MAX: u32 = 5;
/// Records of a queue that were received and neither acknowledged nor set aside. Source: as above.
pub const QUEUE_IN_FLIGHT_MAX: usize = 120_000;
/// What the metrics of visible records stop at. Source: as above.
pub const QUEUE_VISIBLE_COUNT_MAX: u64 = 1_000_000;
/// Queues on one page of ListQueues: default and most. Ours: the model names none.
pub const LIST_QUEUES_PAGE_MAX: usize = 100;
/// Streams that one ListQueues filter can name. Ours, so that its tokens stay small.
pub const LIST_QUEUES_FILTER_MAX: usize = 1000;
/// Records of one receive. Source: model, ReceiveQueueRecords Limit.
pub const QUEUE_RECEIVE_COUNT_MAX: usize = 10;
/// Most bytes of one receive; a first record is returned whatever its size. Ours, as GetRecords.
pub const QUEUE_RECEIVE_BYTES_MAX: usize = 10 << 20;
/// How long a receive waits for records. Source: model, WaitTimeSeconds.
pub const QUEUE_WAIT_DEFAULT: Duration = Duration::from_secs(9);
pub const QUEUE_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long a received record is hidden from others. Source: model, VisibilityTimeoutSeconds.
pub const VISIBILITY_TIMEOUT_SECS_DEFAULT: u32 = 30;
pub const VISIBILITY_TIMEOUT_SECS_MAX: u32 = 43_200;
/// Receives after which a record becomes a dead-letter record. Source: model, MaxReceiveCount.
pub const MAX_RECEIVE_COUNT_DEFAULT: u32 = 6;
pub const MAX_RECEIVE_COUNT_MAX: u32 = 1000;
/// Most characters of a receipt handle. Source: model, ReceiptHandle.
pub const RECEIPT_HANDLE_CHARS_MAX: usize = 1024;

/// Most bytes of one LookupEvents call. Ours: one attribute of 2,000 characters, two times and a
/// token fit many times over.
pub const LOOKUP_EVENTS_BYTES_MAX: usize = 64 << 10;
// Keys (KMS).

/// Keys of an account and region, those that wait for deletion included. Source: developer guide of
/// KMS, "Resource quotas": 100,000.
pub const KMS_KEYS_MAX: usize = 100_000;
/// Aliases of one key. Source: as above.
pub const KMS_ALIASES_PER_KEY_MAX: usize = 50;
/// Bytes of a key policy. Source: as above: 32 KB.
pub const KMS_POLICY_BYTES_MAX: usize = 32 << 10;
/// Rotations on demand in the life of a key. Source: as above: 25.
pub const KMS_ROTATIONS_ON_DEMAND_MAX: usize = 25;
/// Bytes of all names and values of an encryption context. Source: developer guide of KMS,
/// "Encryption context": 8,192.
pub const KMS_CONTEXT_BYTES_MAX: usize = 8192;
/// Bytes of a plaintext that Encrypt takes. Source: model, PlaintextType.
pub const KMS_PLAINTEXT_BYTES_MAX: usize = 4096;
/// Bytes of a ciphertext. Source: model, CiphertextType.
pub const KMS_CIPHERTEXT_BYTES_MAX: usize = 6144;
/// How long a key waits for its deletion. Source: API reference, ScheduleKeyDeletion: "between 7
/// and 30, inclusive. If you do not include a value, it defaults to 30."
pub const KMS_DELETION_WINDOW_DAYS_MIN: u32 = 7;
pub const KMS_DELETION_WINDOW_DAYS_MAX: u32 = 30;
/// Days between automatic rotations if none are given. Source: API reference, EnableKeyRotation.
pub const KMS_ROTATION_PERIOD_DAYS_DEFAULT: u32 = 365;
/// Entries on one page of a list: default and most. Source: API reference, ListKeys and ListAliases
/// (both 100 and 1,000), ListResourceTags and ListKeyRotations (50 by default, and 1,000).
pub const KMS_PAGE_DEFAULT: usize = 100;
pub const KMS_PAGE_MAX: usize = 1000;
/// Body of one KMS request. Ours: a policy of 128 KiB (the model's bound) in JSON's escapes and
/// 50 tags fit.
pub const KMS_BODY_BYTES_MAX: usize = 1 << 20;
// Identities. Source, where nothing else is named: IAM guide, "IAM and AWS STS quotas" (read 2026),
// the default quotas. Quotas of an account that AWS raises on request are bounds of ours: memory and
// lookups are sized for them.

/// Access keys of one user.
pub const IAM_ACCESS_KEYS_PER_USER_MAX: usize = 2;
/// Managed policies attached to one user, group or role.
pub const IAM_ATTACHED_POLICIES_MAX: usize = 10;
/// Groups that one user is a member of.
pub const IAM_GROUPS_PER_USER_MAX: usize = 10;
/// Versions of one managed policy.
pub const IAM_POLICY_VERSIONS_MAX: usize = 5;
/// Users of one account.
pub const IAM_USERS_PER_ACCOUNT_MAX: usize = 5000;
/// Groups of one account (AWS: 300, up to 500).
pub const IAM_GROUPS_PER_ACCOUNT_MAX: usize = 500;
/// Roles of one account (AWS: 1,000, up to 5,000).
pub const IAM_ROLES_PER_ACCOUNT_MAX: usize = 5000;
/// Managed policies of one account (AWS: 1,500, up to 5,000).
pub const IAM_POLICIES_PER_ACCOUNT_MAX: usize = 5000;
/// OpenID Connect providers of one account.
pub const IAM_OIDC_PROVIDERS_PER_ACCOUNT_MAX: usize = 100;
/// Audiences of one OpenID Connect provider.
pub const IAM_OIDC_CLIENT_IDS_MAX: usize = 100;
/// Items on one page of IAM's lists. Source: model, MaxItems ("defaults to 100").
pub const IAM_PAGE_DEFAULT: usize = 100;
/// Longest session of GetSessionToken for the root of an account. Source: model, GetSessionToken.
pub const STS_ROOT_SESSION_SECS_MAX: u32 = 3600;
/// Life of GetSessionToken's credentials when none is asked for: 12 hours. Source: model.
pub const STS_SESSION_TOKEN_SECS_DEFAULT: u32 = 43_200;
/// Life of a role's session when none is asked for. Source: model, AssumeRole.
pub const STS_ROLE_SESSION_SECS_DEFAULT: u32 = 3600;
/// Longest session of a role that another role assumed. Source: model, AssumeRole.
pub const STS_CHAINED_SESSION_SECS_MAX: u32 = 3600;
/// Longest session a role can allow, and the default. Source: model, MaxSessionDuration.
pub const IAM_ROLE_SESSION_SECS_MAX: u32 = 43_200;
pub const IAM_ROLE_SESSION_SECS_DEFAULT: u32 = 3600;
/// Managed policies of one session. Source: model, AssumeRole PolicyArns.
pub const STS_SESSION_POLICY_ARNS_MAX: usize = 10;
/// Tags of one session. Source: model, AssumeRole Tags.
pub const STS_SESSION_TAGS_MAX: usize = 50;
/// Most bytes of one request to IAM or STS. Ours: the largest document in percent encoding, and room.
pub const IAM_REQUEST_BYTES_MAX: usize = 1 << 20;

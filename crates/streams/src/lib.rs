//! Kinesis Data Streams: shard maps, placement, iterators, retention.
//!
//! [`Streams`] is the engine: every operation of the API has its method, in domain terms and with
//! AWS's order of checks. State lives in the metadata store (one row per stream) and in the log
//! store (one log per shard); a process keeps only a copy of the rows that a watch keeps true.
//!
//! | file | idea |
//! |---|---|
//! | `engine` | what all operations share: finding a stream, changing its row |
//! | `stream_row`, `shard_map`, `cache`, `route` | a stream as it is stored, and as it is looked up |
//! | `encryption`, `data_keys` | encryption at rest |
//! | `monitoring`, `policies` | more settings |
//! | `encryption`, `monitoring`, `policies`, `policy_copy`, `guard` | more settings |
//! | `create`, `describe`, `settings`, `tags`, `account`, `list_shards` | control |
//! | `consumers`, `consumer_row`, `consumer_stats` | fan-out consumers |
//! | `put`, `iterator`, `get`, `reader`, `throttle`, `token`, `tokens` | records |
//! | `queues`, `queue` | the operations on queues, and what serves one |
//! | `consumers`, `consumer_stats` | fan-out consumers |
//! | `subscribe`, `subscriptions`, `feed`, `pace` | records pushed to them |
//! | `put`, `iterator`, `get`, `reader`, `token`, `tokens` | records |
//! | `quotas`, `control_call`, `bucket`, `throttle`, `admit` | throughput and rates |
//! | `reshard`, `resharding`, `reshard_plan`, `shard_count` | changes of the shards |
//! | `modes`, `scaling`, `hot` | capacity: modes, growing and shrinking, hot shards and keys |
//! | `start`, `sweep`, `trim` | the start and the background work |
//!
//! Invariant: knows no HTTP, no AWS shapes and no wire format.
//! Invariant: nothing here supposes that this process is the only one: rows change by
//! compare-and-set, and no lock is held across an await.

mod account;
mod admit;
mod bucket;
mod cache;
mod consumer_row;
mod consumer_stats;
mod consumers;
mod control_call;
mod create;
mod data_keys;
mod describe;
mod encryption;
mod engine;
pub mod error;
mod feed;
mod get;
mod guard;
mod hot;
mod hot_keys;
mod iterator;
mod list_shards;
pub mod model;
mod modes;
mod monitoring;
mod options;
mod pace;
mod policies;
mod policy_copy;
mod put;
mod queue;
mod queue_model;
mod queues;
mod quotas;
mod reader;
mod reshard;
mod reshard_plan;
mod resharding;
mod route;
mod samples;
mod scaling;
mod scaling_options;
mod scaling_policy;
mod settings;
mod shard_count;
pub mod shard_map;
mod shard_state;
mod start;
mod stats;
mod stream_row;
mod subscribe;
mod subscriptions;
mod sweep;
mod tags;
mod throttle;
mod token;
mod tokens;
pub mod trial;
mod trim;

#[cfg(test)]
mod tests;

pub use bucket::PerSecond;
pub use consumer_row::{Consumer, ConsumerRef, ConsumerStatus};
pub use consumer_stats::{ConsumerCounts, ConsumerSamples};
pub use consumers::{ConsumersPage, ListConsumers};
pub use control_call::{ControlCall, ControlRates, Per};
pub use engine::Streams;
pub use error::{Error, ErrorKind, Result};
pub use feed::{EVENT_BYTES_MAX, EVENT_RECORDS_MAX, RENDERINGS, SubscriptionEvent};
pub use guard::Guard;
pub use hot::{HotKey, HotReport, HotShard};
pub use model::*;
pub use monitoring::MonitoringChange;
#[cfg(feature = "planted-bugs")]
#[doc(hidden)]
pub use options::PlantedBug;
pub use options::{DataKeyOptions, Options, Ring, StateDurations, SubscriptionOptions};
pub use queue_model::*;
pub use quotas::{QuotaMode, QuotaSettings, Quotas, StreamQuotas};
pub use reader::{ReaderPage, ShardReader};
pub use samples::{CallSamples, ShardCounts, ShardSamples, StreamSamples};
pub use scaling_options::{Autoscale, AutoscaleRules, AutoscaleStream, ScalingOptions};
pub use shard_count::ShardCountUpdate;
pub use stats::{CallCounts, Sample, StreamCounts};
pub use subscribe::Subscription;

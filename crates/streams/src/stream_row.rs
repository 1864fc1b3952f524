//! A stream as the metadata store keeps it: one row with everything that changes together.

use std::time::Duration;

use millstream_base::{QueueId, Retention, ShardId, StreamArn, Tags, Timestamp};
use millstream_log::LogId;
use millstream_meta::{Document, Key};
use serde::{Deserialize, Serialize};

use crate::consumer_row::Consumers;
use crate::data_keys::CurrentKey;
use crate::model::{
    Encryption, RecordDistribution, ShardMetric, StreamMode, StreamStatus, WarmThroughput,
};
use crate::reshard_plan::Reshard;
use crate::shard_map::ShardMap;

/// What the keys of all stream rows start with.
pub(crate) const PREFIX: &str = "stream/";

/// `stream/ACCOUNT/REGION/NAME`: names have no slashes, so keys sort as names do.
pub(crate) fn key_of(stream: &StreamArn) -> Key {
    Key::new(format!("{PREFIX}{}/{}/{}", stream.account(), stream.region(), stream.name()))
}

/// The stream that a row's key names.
pub(crate) fn stream_of(key: &Key) -> Option<StreamArn> {
    use millstream_base::{AccountId, Region, Scope, StreamName};
    let mut parts = key.as_str().strip_prefix(PREFIX)?.splitn(3, '/');
    let account = AccountId::new(parts.next()?).ok()?;
    let region = Region::new(parts.next()?).ok()?;
    let name = StreamName::new(parts.next()?).ok()?;
    Some(StreamArn::new(Scope::new(account, region), name))
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamRow {
    /// The upper half of its logs' numbers; another for every stream ever made.
    pub(crate) family: u32,
    /// Whole seconds.
    pub(crate) created: Timestamp,
    /// As written; [`StreamRow::status_at`] says what it is now.
    pub(crate) status: StreamStatus,
    /// When `status` ends by itself.
    pub(crate) due: Timestamp,
    /// The logs of all shards exist.
    pub(crate) logs_made: bool,
    pub(crate) mode: StreamMode,
    pub(crate) retention: Retention,
    /// Records that came before are gone for good, whatever the retention is now.
    pub(crate) horizon: Timestamp,
    pub(crate) max_record_kib: u32,
    pub(crate) distribution: RecordDistribution,
    pub(crate) warm_throughput: Option<WarmThroughput>,
    pub(crate) encryption: Encryption,
    /// What new records are sealed with, once the first came.
    #[serde(default)]
    pub(crate) data_key: Option<CurrentKey>,
    pub(crate) shard_metrics: Vec<ShardMetric>,
    pub(crate) tags: Tags,
    pub(crate) shards: ShardMap,
    /// Expired shards, not shown any more, whose logs may still be there.
    pub(crate) doomed: Vec<ShardId>,
    /// Changes that are counted over a day.
    #[serde(default)]
    pub(crate) changes: Changes,
    /// The queues that deliver this stream; as long as there are any, it can't be deleted.
    #[serde(default)]
    pub(crate) queues: Vec<QueueId>,
    /// Fan-out consumers.
    #[serde(default)]
    pub(crate) consumers: Consumers,
    /// A change of the shards that was begun; until it is done, the stream is UPDATING.
    #[serde(default)]
    pub(crate) reshard: Option<Reshard>,
}

/// When something was done that may be done only so often in 24 hours; older times are forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes {
    pub(crate) shard_count: Vec<Timestamp>,
    pub(crate) mode: Vec<Timestamp>,
    pub(crate) encryption: Vec<Timestamp>,
}

impl Document for StreamRow {
    const KIND: &'static str = "stream";
    const VERSION: u32 = 3;

    /// Versions 2 and 3 have members more, with defaults that say what older ones meant. A program
    /// that knows no data keys must not write to a stream that has one.
    fn upgrade(version: u32, old: serde_json::Value) -> Result<serde_json::Value, String> {
        match version {
            1 | 2 => Ok(old),
            other => Err(format!("there is no version {other}")),
        }
    }
}

impl Changes {
    /// Notes one more in `times`, if they are not `max` within the 24 hours before `now` already.
    pub(crate) fn admit(times: &mut Vec<Timestamp>, now: Timestamp, max: usize) -> bool {
        times.retain(|at| now.since(*at) < DAY);
        let admitted = times.len() < max;
        if admitted {
            times.push(now);
        }
        admitted
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl StreamRow {
    /// `None`: deleted, even if it was not swept yet.
    pub(crate) fn status_at(&self, now: Timestamp) -> Option<StreamStatus> {
        match self.status {
            StreamStatus::Creating if !self.logs_made || now < self.due => {
                Some(StreamStatus::Creating)
            }
            _ if self.reshard.is_some() && self.status != StreamStatus::Deleting => {
                Some(StreamStatus::Updating)
            }
            StreamStatus::Updating if now < self.due => Some(StreamStatus::Updating),
            StreamStatus::Deleting if now < self.due => Some(StreamStatus::Deleting),
            StreamStatus::Deleting => None,
            _ => Some(StreamStatus::Active),
        }
    }

    /// The time of the oldest records that are still there.
    pub(crate) fn horizon_at(&self, now: Timestamp) -> Timestamp {
        self.horizon.max(now.minus(self.retention.as_duration()))
    }

    /// Goes over to UPDATING for `duration`.
    pub(crate) fn begin_update(&mut self, now: Timestamp, duration: Duration) {
        if !duration.is_zero() {
            self.status = StreamStatus::Updating;
            self.due = now.plus(duration);
        }
    }

    /// Writes down what time has done.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        if let Some(status) = self.status_at(now) {
            self.status = status;
        }
        self.consumers.settle(now);
    }

    pub(crate) fn log_of(&self, shard: ShardId) -> LogId {
        LogId::new(self.family, shard.number())
    }

    /// All logs that may exist.
    pub(crate) fn logs(&self) -> Vec<LogId> {
        let shards = self.shards.all().iter().map(|s| s.id);
        let begun = self.reshard.as_ref().and_then(|r| r.plan(&self.shards).ok());
        let begun = begun.into_iter().flat_map(|plan| plan.new);
        let shards = shards.chain(self.doomed.iter().copied()).chain(begun);
        shards.map(|shard| self.log_of(shard)).collect()
    }
}

//! The engine's stories, each told against a log store in memory and a clock that is moved by hand.

mod consumers;
mod encryption;
mod fan_out;
mod listing;
mod memory_log;
mod modes;
mod policies;
mod queues;
mod quotas;
mod reading;
mod resharding;
mod scaling;
mod streams;
mod tokens;
mod writing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millstream_base::{
    AccountId, HashKey, Region, Scope, ShardId, StreamArn, StreamName, Timestamp,
};
use millstream_env::{Clock, Env};
use millstream_log::{LogId, LogStore};
use millstream_meta::{MemoryMeta, MetaStore};

use crate::trial::{KeyState, TrialRing};
use crate::*;
use memory_log::MemoryLog;

/// An engine in a world of its own.
struct World {
    clock: Arc<HandClock>,
    env: Env,
    log: Arc<dyn LogStore>,
    meta: Arc<dyn MetaStore>,
    ring: Arc<TrialRing>,
    streams: Streams,
}

/// A clock that stands until it is moved.
struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Half a second past a whole one, so that rounding shows.
const START: Timestamp = Timestamp::from_millis(1_700_000_000_500);

impl World {
    async fn new() -> World {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> World {
        Self::on(Arc::new(MemoryLog::default()), options).await
    }

    async fn on(log: Arc<dyn LogStore>, options: Options) -> World {
        let ring = Arc::new(TrialRing::default());
        let options = Options { key_ring: Ring(ring.clone()), ..options };
        let clock = Arc::new(HandClock(AtomicU64::new(START.as_millis())));
        let env = Env { clock: clock.clone(), ..Env::real(".") };
        let meta: Arc<dyn MetaStore> = Arc::new(MemoryMeta::new(env.clone()));
        let streams = Streams::new(env.clone(), log.clone(), meta.clone(), options).await.unwrap();
        World { clock, env, log, meta, ring, streams }
    }

    /// A second engine over the same stores, as another process would be.
    async fn another(&self) -> Streams {
        let (log, meta) = (self.log.clone(), self.meta.clone());
        let options = Options { key_ring: Ring(self.ring.clone()), ..Options::default() };
        Streams::new(self.env.clone(), log, meta, options).await.unwrap()
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A stream with so many shards.
    async fn stream(&self, name: &str, shards: u32) -> StreamArn {
        let stream = arn(name);
        let request = CreateStream::provisioned(stream.clone(), shards);
        self.streams.create_stream(request).await.unwrap();
        stream
    }

    /// Puts records `texts` with hash keys that lead to `shard`; returns their numbers.
    async fn put(&self, stream: &StreamArn, shard: u32, texts: &[&str]) -> Vec<String> {
        let key = self.key_of(stream, shard).await;
        let records = texts.iter().map(|text| record("k", text, Some(&key))).collect();
        let outcome = self.streams.put_records(stream, records).await.unwrap();
        let number = |result| match result {
            PutResult::Stored(stored) => {
                assert_eq!(stored.shard, ShardId::new(shard));
                stored.sequence_number.to_string()
            }
            other => panic!("{other:?}"),
        };
        outcome.results.into_iter().map(number).collect()
    }

    async fn key_of(&self, stream: &StreamArn, shard: u32) -> String {
        let found = self.streams.look_up(stream).await.unwrap().unwrap();
        found.row.shards.get(ShardId::new(shard)).unwrap().range.start.to_string()
    }

    async fn iterator(&self, stream: &StreamArn, shard: u32, from: StartingPosition<'_>) -> String {
        self.streams.get_shard_iterator(stream, ShardId::new(shard), from).await.unwrap()
    }

    async fn get(&self, iterator: &str) -> Result<RecordsPage> {
        let caller = scope();
        let request = GetRecords { iterator, limit: None, caller: &caller, stream: None };
        self.streams.get_records(request).await
    }

    /// Everything from a position on, as text.
    async fn texts(
        &self,
        stream: &StreamArn,
        shard: u32,
        from: StartingPosition<'_>,
    ) -> Vec<String> {
        let iterator = self.iterator(stream, shard, from).await;
        texts(&self.get(&iterator).await.unwrap())
    }

    /// Splits a shard in the middle.
    async fn split(&self, stream: &StreamArn, shard: u32) -> [u32; 2] {
        let found = self.streams.look_up(stream).await.unwrap().unwrap();
        let range = found.row.shards.get(ShardId::new(shard)).unwrap().range;
        let at = HashKey(range.start.0 + (range.end.0 - range.start.0) / 2 + 1).to_string();
        let next = found.row.shards.next();
        self.streams.split_shard(stream, ShardId::new(shard), &at).await.unwrap();
        [next, next + 1]
    }

    async fn merge(&self, stream: &StreamArn, lower: u32, upper: u32) -> u32 {
        let next = self.streams.look_up(stream).await.unwrap().unwrap().row.shards.next();
        let (lower, upper) = (ShardId::new(lower), ShardId::new(upper));
        self.streams.merge_shards(stream, lower, upper).await.unwrap();
        next
    }
}

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap())
}

fn arn(name: &str) -> StreamArn {
    StreamArn::new(scope(), StreamName::new(name).unwrap())
}

fn record<'a>(key: &str, data: &str, hash_key: Option<&'a str>) -> NewRecord<'a> {
    NewRecord {
        partition_key: Some(Bytes::copy_from_slice(key.as_bytes())),
        explicit_hash_key: hash_key,
        data: Bytes::copy_from_slice(data.as_bytes()),
    }
}

fn texts(page: &RecordsPage) -> Vec<String> {
    page.records.iter().map(|r| String::from_utf8(r.data.to_vec()).unwrap()).collect()
}

fn at(number: &str) -> StartingPosition<'_> {
    let kind = IteratorType::AtSequenceNumber;
    StartingPosition { kind, sequence_number: Some(number), timestamp: None }
}

fn after(number: &str) -> StartingPosition<'_> {
    StartingPosition { kind: IteratorType::AfterSequenceNumber, ..at(number) }
}

fn at_time(t: Timestamp) -> StartingPosition<'static> {
    let kind = IteratorType::AtTimestamp;
    StartingPosition { kind, sequence_number: None, timestamp: Some(t) }
}

const HOUR: Duration = Duration::from_secs(3600);

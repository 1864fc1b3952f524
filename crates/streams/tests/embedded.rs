//! The engine on the stores that a node has: records, numbers and iterators survive restarts.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millstream_base::{AccountId, Region, Scope, ShardId, StreamArn, StreamName};
use millstream_env::Env;
use millstream_log::EmbeddedLog;
use millstream_meta::RedbMeta;
use millstream_streams::{
    CreateStream, GetRecords, IteratorType, ListShards, NewRecord, Options, PutResult, ShardFilter,
    StartingPosition, Streams,
};

/// A node without a server.
struct Node {
    log: EmbeddedLog,
    meta: Arc<RedbMeta>,
    streams: Streams,
}

impl Node {
    async fn start(dir: &Path) -> Node {
        let env = Env::real(dir);
        let options = millstream_log::Options::tiny();
        let (log, _) = EmbeddedLog::open(env.clone(), options).await.unwrap();
        let meta = RedbMeta::open(env.clone(), Path::new("meta/meta.redb")).await.unwrap();
        let meta = Arc::new(meta);
        let store = Arc::new(log.clone());
        let streams = Streams::new(env, store, meta.clone(), Options::default()).await.unwrap();
        Node { log, meta, streams }
    }

    async fn stop(self, how: How) {
        self.streams.shutdown().await;
        match how {
            How::Orderly => self.log.shutdown().await,
            How::AtOnce => self.log.crash().await,
        }
        self.meta.close().await;
    }

    /// All records of a shard from a position on: their numbers and data.
    async fn read(&self, shard: u32, from: StartingPosition<'_>) -> Vec<(String, Bytes)> {
        let shard = ShardId::new(shard);
        let iterator = self.streams.get_shard_iterator(&stream(), shard, from).await.unwrap();
        self.read_on(iterator).await
    }

    async fn read_on(&self, mut iterator: String) -> Vec<(String, Bytes)> {
        let mut found = Vec::new();
        loop {
            let caller = scope();
            let request =
                GetRecords { iterator: &iterator, limit: Some(100), caller: &caller, stream: None };
            let page = self.streams.get_records(request).await.unwrap();
            if page.records.is_empty() {
                assert_eq!(page.millis_behind_latest, 0);
                return found;
            }
            found.extend(page.records.into_iter().map(|r| (r.sequence_number.to_string(), r.data)));
            iterator = page.next_iterator.unwrap();
        }
    }
}

enum How {
    Orderly,
    AtOnce,
}

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap())
}

fn stream() -> StreamArn {
    StreamArn::new(scope(), StreamName::new("orders").unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_records_survive_restarts_in_order() {
    const SHARDS: usize = 3;
    let dir = tempfile::tempdir().unwrap();
    let mut expected = vec![Vec::new(); SHARDS];
    let mut iterators = Vec::new();
    for round in 0..6 {
        let node = Node::start(dir.path()).await;
        if round == 0 {
            let request = CreateStream::provisioned(stream(), SHARDS as u32);
            node.streams.create_stream(request).await.unwrap();
            for shard in 0..SHARDS as u32 {
                let (shard, from) = (ShardId::new(shard), StartingPosition::LATEST);
                let iterator = node.streams.get_shard_iterator(&stream(), shard, from).await;
                iterators.push(iterator.unwrap());
            }
        }
        for batch in 0..10 {
            let record = |i: usize| {
                let key = Bytes::from(format!("{round}-{batch}-{i}"));
                let data = [&key[..], &vec![b'.'; 40 * i]].concat().into();
                NewRecord { partition_key: Some(key), explicit_hash_key: None, data }
            };
            let records: Vec<NewRecord<'_>> = (0..50).map(record).collect();
            let data: Vec<Bytes> = records.iter().map(|r| r.data.clone()).collect();
            let outcome = node.streams.put_records(&stream(), records).await.unwrap();
            for (result, data) in outcome.results.into_iter().zip(data) {
                let PutResult::Stored(stored) = result else { panic!("{result:?}") };
                let number = stored.sequence_number.to_string();
                expected[stored.shard.number() as usize].push((number, data));
            }
        }
        node.stop(if round % 2 == 0 { How::AtOnce } else { How::Orderly }).await;

        let node = Node::start(dir.path()).await;
        for (shard, expected) in (0..).zip(&expected) {
            assert!(expected.windows(2).all(|pair| pair[0].0 < pair[1].0), "numbers rise");
            assert_eq!(node.read(shard, StartingPosition::TRIM_HORIZON).await, *expected);
            let iterator = iterators[shard as usize].clone();
            assert_eq!(node.read_on(iterator).await, *expected, "an iterator of the first life");
            let middle = expected.len() / 2;
            let from = StartingPosition {
                kind: IteratorType::AfterSequenceNumber,
                sequence_number: Some(&expected[middle].0),
                timestamp: None,
            };
            assert_eq!(node.read(shard, from).await, expected[middle + 1..]);
        }
        node.stop(How::Orderly).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_shards_are_made_found_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path()).await;
    node.streams.create_stream(CreateStream::provisioned(stream(), 10_000)).await.unwrap();
    node.stop(How::Orderly).await;
    let node = Node::start(dir.path()).await;
    let request = ListShards::Stream {
        stream: &stream(),
        created: None,
        exclusive_start: Some(ShardId::new(9_998)),
        filter: ShardFilter::AtLatest,
        max_results: None,
    };
    let page = node.streams.list_shards(request).await.unwrap();
    assert_eq!(page.shards[0].shard, ShardId::new(9_999));
    node.streams.delete_stream(&stream(), false).await.unwrap();
    assert!(node.streams.describe_stream_summary(&stream()).await.is_err());
    node.stop(How::Orderly).await;
}

//! A node whose streams are split, merged, scaled and deleted under writers: what was acknowledged
//! is read once and in order, and what is listed covers the ring.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Client, Request, TestNode};

const WRITERS: usize = 4;
const KEYS_PER_WRITER: usize = 4;
const RESHARDS: u32 = 24;

async fn ask(client: &mut Client, operation: &str, input: &Value) -> Value {
    let answer = client.send(&Request::json(operation, input)).await;
    assert_eq!(answer.status, 200, "{operation} {input}: {answer:?}");
    answer.json()
}

/// Open shards by their first hash keys; together they are the whole ring.
async fn open_shards(client: &mut Client, stream: &str) -> Vec<(u128, u128, String)> {
    let input = json!({"StreamName": stream, "ShardFilter": {"Type": "AT_LATEST"}});
    let shards = ask(client, "ListShards", &input).await;
    let key = |s: &Value, end: &str| s["HashKeyRange"][end].as_str().unwrap().parse().unwrap();
    let shard = |s: &Value| {
        let id = s["ShardId"].as_str().unwrap().to_owned();
        (key(s, "StartingHashKey"), key(s, "EndingHashKey"), id)
    };
    let mut open: Vec<(u128, u128, String)> =
        shards["Shards"].as_array().unwrap().iter().map(shard).collect();
    open.sort();
    assert_eq!((open[0].0, open[open.len() - 1].1), (0, u128::MAX), "{open:?}");
    assert!(open.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{open:?}");
    open
}

/// Puts one record after the other under each of its keys; returns how many.
async fn write(mut client: Client, writer: usize, done: Arc<AtomicBool>) -> u32 {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let record = |key| json!({"PartitionKey": format!("{writer}-{key}"), "Data": base64(&count.to_string())});
        let records: Vec<Value> = (0..KEYS_PER_WRITER).map(record).collect();
        let put = json!({"StreamName": "s", "Records": records});
        let put = ask(&mut client, "PutRecords", &put).await;
        assert_eq!(put["FailedRecordCount"], 0, "{put}");
        count += 1;
    }
    count
}

async fn reshard(mut client: Client) {
    for round in 0..RESHARDS {
        let open = open_shards(&mut client, "s").await;
        let at = (round as usize * 7) % open.len();
        let (start, end, id) = &open[at];
        match round % 4 {
            0 | 2 if open.len() > 1 => {
                let at = at.min(open.len() - 2);
                let input = json!({"StreamName": "s", "ShardToMerge": open[at].2,
                    "AdjacentShardToMerge": open[at + 1].2});
                ask(&mut client, "MergeShards", &input).await;
            }
            3 if round % 12 == 3 => {
                // Ten in a day are allowed.
                let target = if open.len() > 6 { open.len() / 2 + 1 } else { open.len() + 2 };
                let target = target.min(2 * open.len());
                let input = json!({"StreamName": "s", "TargetShardCount": target,
                    "ScalingType": "UNIFORM_SCALING"});
                ask(&mut client, "UpdateShardCount", &input).await;
            }
            _ => {
                let middle = start + (end - start) / 2 + 1;
                let input = json!({"StreamName": "s", "ShardToSplit": id,
                    "NewStartingHashKey": middle.to_string()});
                ask(&mut client, "SplitShard", &input).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_read_once_and_in_order_through_splits_and_merges() {
    let node = TestNode::start().await;
    node.stream("s", 2).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        writers.push(tokio::spawn(write(node.connect().await, writer, done.clone())));
    }
    let (mut watcher, watched) = (node.connect().await, done.clone());
    let watch = tokio::spawn(async move {
        while !watched.load(Ordering::Relaxed) {
            open_shards(&mut watcher, "s").await;
        }
    });
    reshard(node.connect().await).await;
    done.store(true, Ordering::Relaxed);
    watch.await.unwrap();
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }

    // Twice, the second time from what a start finds on disk.
    let found = read_parent_first(&node).await;
    check(&found, &written);
    let node = node.restart().await;
    assert_eq!(read_parent_first(&node).await, found);
    node.stop().await;
}

/// Sequence numbers and data by partition key. Parents have lower numbers than their children.
async fn read_parent_first(node: &TestNode) -> BTreeMap<String, Vec<(String, u32)>> {
    let shards = node.ok("ListShards", json!({"StreamName": "s"})).await;
    let mut found: BTreeMap<String, Vec<(String, u32)>> = BTreeMap::new();
    for shard in shards["Shards"].as_array().unwrap() {
        for record in node.read_all("s", shard["ShardId"].as_str().unwrap()).await {
            let text = |member: &str| record[member].as_str().unwrap().to_owned();
            let number = format!("{:0>64}", text("SequenceNumber"));
            let count = base64_simd::STANDARD.decode_to_vec(text("Data")).unwrap();
            let count = String::from_utf8(count).unwrap().parse().unwrap();
            found.entry(text("PartitionKey")).or_default().push((number, count));
        }
    }
    found
}

fn check(found: &BTreeMap<String, Vec<(String, u32)>>, written: &[u32]) {
    assert_eq!(found.len(), WRITERS * KEYS_PER_WRITER);
    for (key, records) in found {
        let writer: usize = key.split('-').next().unwrap().parse().unwrap();
        assert!(written[writer] > RESHARDS, "{written:?}: there was little to lose");
        let counts: Vec<u32> = records.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, (0..written[writer]).collect::<Vec<_>>(), "key {key}");
        assert!(records.windows(2).all(|pair| pair[0].0 < pair[1].0), "numbers of key {key}");
    }
}

/// Whoever puts while a stream is deleted hears that there is no such stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_races_the_deletion_finds_no_stream() {
    let node = TestNode::start().await;
    for _ in 0..15 {
        node.stream("s", 3).await;
        let mut writers = Vec::new();
        for writer in 0..3 {
            let mut client = node.connect().await;
            writers.push(tokio::spawn(async move {
                loop {
                    let records: Vec<Value> = (0..20)
                        .map(|key| json!({"PartitionKey": format!("{writer}{key}"), "Data": ""}))
                        .collect();
                    let input = json!({"StreamName": "s", "Records": records});
                    let answer = client.send(&Request::json("PutRecords", &input)).await;
                    if answer.status != 200 {
                        return answer.error();
                    }
                    assert_eq!(answer.json()["FailedRecordCount"], 0, "{answer:?}");
                }
            }));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        node.ok("DeleteStream", json!({"StreamName": "s"})).await;
        for writer in writers {
            let error = writer.await.unwrap();
            assert!(error.starts_with("ResourceNotFoundException"), "{error}");
        }
    }
    node.stop().await;
}

fn base64(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(text)
}

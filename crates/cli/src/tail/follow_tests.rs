//! The follower against a fake stream that splits, merges, throttles and forgets iterators.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use millstream_client::{Client, RetryPolicy};
use millstream_env::Env;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::follow::{Follower, Options, Poll};
use super::position::From;
use crate::fake::{Answer, Fake, Seen, error, ok};

/// A shard of the fake: its records, its parents, and whether it is closed.
struct Shard {
    id: &'static str,
    parents: &'static [&'static str],
    records: &'static [&'static str],
    closed: bool,
}

/// A split parent, its children, and the shard that they merged into.
const FAMILY: [Shard; 4] = [
    Shard { id: "0", parents: &["expired"], records: &["a", "b", "c"], closed: true },
    Shard { id: "1", parents: &["0"], records: &["d", "e"], closed: true },
    Shard { id: "2", parents: &["0"], records: &["f"], closed: true },
    Shard { id: "3", parents: &["1", "2"], records: &["g", "h"], closed: false },
];

/// Iterators are `SHARD/POSITION`; a page holds at most two records.
fn stream(seen: &Seen, names_children: bool) -> Answer {
    let request = seen.json();
    match seen.operation() {
        "ListShards" => {
            ok(json!({"Shards": FAMILY.iter().map(listed).collect::<Vec<_>>()}).to_string())
        }
        "GetShardIterator" => {
            let shard = find(request["ShardId"].as_str().unwrap());
            let position = match request["ShardIteratorType"].as_str().unwrap() {
                "TRIM_HORIZON" => 0,
                "LATEST" => shard.records.len(),
                "AFTER_SEQUENCE_NUMBER" => {
                    let after = request["StartingSequenceNumber"].as_str().unwrap();
                    after.parse::<usize>().unwrap() + 1
                }
                other => panic!("no such iterator: {other}"),
            };
            ok(json!({"ShardIterator": format!("{}/{position}", shard.id)}).to_string())
        }
        "GetRecords" => page(&request, names_children),
        other => panic!("not an operation of a reader: {other}"),
    }
}

fn find(id: &str) -> &'static Shard {
    FAMILY.iter().find(|s| s.id == id).unwrap()
}

fn listed(shard: &Shard) -> Value {
    json!({
        "ShardId": shard.id,
        "ParentShardId": shard.parents.first(),
        "AdjacentParentShardId": shard.parents.get(1),
        "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "1"},
        "SequenceNumberRange": {
            "StartingSequenceNumber": "0",
            "EndingSequenceNumber": shard.closed.then_some("9"),
        },
    })
}

fn page(request: &Value, names_children: bool) -> Answer {
    let iterator = request["ShardIterator"].as_str().unwrap();
    let (id, position) = iterator.split_once('/').unwrap();
    let (shard, position) = (find(id), position.parse::<usize>().unwrap());
    let end = (position + 2).min(shard.records.len());
    let record = |i: usize| {
        json!({
            "Data": base64_simd::STANDARD.encode_to_string(shard.records[i]),
            "PartitionKey": "k",
            "SequenceNumber": i.to_string(),
        })
    };
    let mut answer = json!({
        "Records": (position..end).map(record).collect::<Vec<_>>(),
        "MillisBehindLatest": if end < shard.records.len() { 1 } else { 0 },
    });
    if end < shard.records.len() || !shard.closed {
        answer["NextShardIterator"] = format!("{id}/{end}").into();
    } else if names_children {
        let child = |s: &Shard| json!({"ShardId": s.id, "ParentShards": s.parents});
        let children = FAMILY.iter().filter(|s| s.parents.contains(&id)).map(child);
        answer["ChildShards"] = children.collect::<Vec<_>>().into();
    }
    ok(answer.to_string())
}

async fn follower(fake: &Fake, from: From, follow: bool) -> anyhow::Result<Follower> {
    let client = Client::builder()
        .endpoint(fake.endpoint.clone())
        .region("us-east-1")
        .unsigned()
        .retries(RetryPolicy::never());
    let options = Options { stream: "orders".into(), from, follow, poll: Poll::NEAR, limit: None };
    Follower::start(Env::real("."), Arc::new(client.build().await?), options).await
}

/// All data in the order in which it came.
async fn read_all(mut follower: Follower) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    while let Some(page) = follower.next().await? {
        let data = page.records.iter().map(|r| String::from_utf8(r.data.to_vec()).unwrap());
        all.extend(data);
    }
    Ok(all)
}

fn assert_order(all: &[String]) {
    let place = |data: &str| all.iter().position(|d| d == data).unwrap();
    for (earlier, later) in [
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
        ("c", "f"),
        ("d", "e"),
        ("e", "g"),
        ("f", "g"),
        ("g", "h"),
    ] {
        assert!(place(earlier) < place(later), "{earlier} before {later} in {all:?}");
    }
    assert_eq!(all.len(), 8, "each record once: {all:?}");
}

#[tokio::test]
async fn children_come_after_their_parents_whether_or_not_the_end_names_them() {
    for names_children in [true, false] {
        let fake = Fake::start(move |_, seen| stream(seen, names_children)).await;
        let follower = follower(&fake, From::TrimHorizon, false).await.unwrap();
        assert_order(&read_all(follower).await.unwrap());
    }
}

#[tokio::test]
async fn an_expired_iterator_goes_on_after_the_last_record() {
    let reads = AtomicUsize::new(0);
    let fake = Fake::start(move |_, seen| {
        let second = seen.operation() == "GetRecords" && reads.fetch_add(1, Ordering::Relaxed) == 1;
        if second { error(400, "ExpiredIteratorException") } else { stream(seen, true) }
    })
    .await;
    let follower = follower(&fake, From::TrimHorizon, false).await.unwrap();
    assert_order(&read_all(follower).await.unwrap());
}

#[tokio::test]
async fn failures_in_between_are_tried_again_and_a_wrong_call_is_told() {
    let fake = Fake::start(|n, seen| match n {
        0 | 3 | 5 => error(500, "InternalFailure"),
        _ => stream(seen, true),
    })
    .await;
    let reading = follower(&fake, From::TrimHorizon, false).await.unwrap();
    assert_order(&read_all(reading).await.unwrap());

    let fake = Fake::start(|_, _| error(400, "ResourceNotFoundException")).await;
    let told = follower(&fake, From::Latest, true).await.err().unwrap();
    assert!(format!("{told:#}").contains("ResourceNotFoundException"), "{told:#}");
}

#[tokio::test]
async fn who_throttles_is_read_five_times_a_second_from_then_on() {
    let fake = Fake::start(|n, seen| match seen.operation() {
        "GetRecords" if n == 2 => error(400, "ProvisionedThroughputExceededException"),
        _ => stream(seen, true),
    })
    .await;
    let mut following = follower(&fake, From::Latest, true).await.unwrap();
    following.started().await.unwrap();
    let nothing = timeout(Duration::from_millis(1000), following.next()).await;
    assert!(nothing.is_err(), "the only open shard gets no records");
    let reads = fake.seen().iter().filter(|s| s.operation() == "GetRecords").count();
    assert!((2..=6).contains(&reads), "{reads} reads in a second");
}

#[tokio::test]
async fn from_latest_only_the_open_shard_is_read() {
    let fake = Fake::start(|_, seen| stream(seen, true)).await;
    let reading = follower(&fake, From::Latest, false).await.unwrap();
    assert_eq!(read_all(reading).await.unwrap(), [""; 0]);
    let started = fake.seen().iter().filter(|s| s.operation() == "GetShardIterator").count();
    assert_eq!(started, 1);
}

//! Many subscribers, and hostile ones: they never read, reset at once, connect in a loop. What
//! they cost is bounded, and nobody else pays for it.
#![allow(clippy::disallowed_methods)]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use millstream_server::config::units::Span;
use serde_json::{Value, json};
use support::events::{EventReader, subscribe_request};
use support::{AUTHORIZATION, JSON, TestNode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Longest wait for what must happen by itself.
const PATIENCE: Duration = Duration::from_secs(30);

fn shard_id(n: usize) -> String {
    format!("shardId-{n:012}")
}

fn horizon() -> Value {
    json!({"Type": "TRIM_HORIZON"})
}

fn latest() -> Value {
    json!({"Type": "LATEST"})
}

/// Puts so many records of 100 KiB, spread over the shards.
async fn fill(node: &TestNode, stream: &str, shards: usize, records: usize) {
    let data = base64_simd::STANDARD.encode_to_string(vec![b'x'; 100 << 10]);
    for first in (0..records).step_by(10) {
        let record = |n: usize| {
            let key = u128::MAX / shards as u128 * (n % shards) as u128 + 1000;
            json!({"PartitionKey": "k", "ExplicitHashKey": key.to_string(), "Data": data})
        };
        let entries: Vec<Value> = (first..(first + 10).min(records)).map(record).collect();
        let answer = node.ok("PutRecords", json!({"StreamName": stream, "Records": entries})).await;
        assert_eq!(answer["FailedRecordCount"], 0);
    }
}

/// Memory that this process has in use, node and test together.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscriptions_at_once_each_get_their_record() {
    const SHARDS: usize = 50;
    const CONSUMERS: usize = 20;
    let node = TestNode::start().await;
    node.stream("s", SHARDS as u32).await;
    let mut readers = Vec::new();
    for c in 0..CONSUMERS {
        let consumer = node.consumer("s", &format!("c{c}")).await;
        for s in 0..SHARDS {
            readers.push(node.subscribe(&consumer, &shard_id(s), latest()).await);
        }
    }
    assert_eq!(node.node.subscription_count(), SHARDS * CONSUMERS);
    let started = Instant::now();
    let all = readers.into_iter().map(|mut reader| {
        tokio::spawn(
            async move { (reader.news().await["Records"].as_array().unwrap().len(), reader) },
        )
    });
    let all: Vec<_> = all.collect();
    let record = |s: usize| {
        let key = u128::MAX / SHARDS as u128 * s as u128 + 1000;
        json!({"PartitionKey": "k", "ExplicitHashKey": key.to_string(), "Data": "AAAA"})
    };
    let records: Vec<Value> = (0..SHARDS).map(record).collect();
    node.ok("PutRecords", json!({"StreamName": "s", "Records": records})).await;
    let mut readers = Vec::new();
    for one in all {
        let (records, reader) = one.await.unwrap();
        assert_eq!(records, 1);
        readers.push(reader);
    }
    println!("1,000 subscribers had their record after {:?}", started.elapsed());
    drop(readers);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_that_never_read_cost_bounded_memory_and_the_others_nothing() {
    const SHARDS: usize = 4;
    const RECORDS: usize = 240;
    let node = TestNode::start().await;
    node.stream("s", SHARDS as u32).await;
    fill(&node, "s", SHARDS, RECORDS).await;
    let before = resident_bytes();
    let mut silent = Vec::new();
    for c in 0..19 {
        let consumer = node.consumer("s", &format!("c{c}")).await;
        for s in 0..SHARDS {
            let request = subscribe_request(&consumer, &shard_id(s), horizon());
            let mut stream = TcpStream::connect(node.addr()).await.unwrap();
            stream.write_all(&request.bytes()).await.unwrap();
            silent.push(stream);
        }
    }
    eventually("all subscribe", || node.node.subscription_count() == silent.len()).await;
    let good = node.consumer("s", "good").await;
    let reading = async {
        for s in 0..SHARDS {
            let mut reader = node.subscribe(&good, &shard_id(s), horizon()).await;
            let mut got = 0;
            while got < RECORDS / SHARDS {
                got += reader.news().await["Records"].as_array().unwrap().len();
            }
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(15), reading).await;
    read.expect("the one that reads is not held up");
    // What is kept for all who follow (64 MiB), and for each silent one what hyper holds of its
    // frames: at most two of a third of a MiB.
    let bound = (96 << 20) + silent.len() * (1 << 20);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < bound, "{grown} bytes for {} who do not read", silent.len());
    drop(silent);
    eventually("their places are free again", || node.node.subscription_count() == 0).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_that_reset_at_once_or_come_in_a_loop_leave_nothing_behind() {
    let node = TestNode::start().await;
    node.stream("s", 4).await;
    fill(&node, "s", 4, 20).await;
    let consumer = node.consumer("s", "c").await;
    for round in 0..200 {
        let request = subscribe_request(&consumer, &shard_id(round % 4), horizon());
        let mut stream = TcpStream::connect(node.addr()).await.unwrap();
        stream.write_all(&request.bytes()).await.unwrap();
        let socket = socket2_linger(stream);
        drop(socket);
    }
    eventually("resets are noticed", || node.node.open_connections() == 0).await;
    assert_eq!(node.node.subscription_count(), 0);
    let looping = node.consumer("s", "looping").await;
    let (mut begun, mut refused) = (0, 0);
    for _ in 0..200 {
        let request = subscribe_request(&looping, &shard_id(0), latest());
        match EventReader::open(node.addr(), &request).await.status {
            200 => begun += 1,
            400 => refused += 1,
            status => panic!("status {status}"),
        }
    }
    assert!(begun <= 2 && refused >= 198, "{begun} begun, {refused} refused");
    eventually("they are gone", || node.node.subscription_count() == 0).await;
    node.stop().await;
}

/// Makes the close a reset.
fn socket2_linger(stream: TcpStream) -> TcpStream {
    #[allow(deprecated)]
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_http2_that_are_left_alone_cost_their_connection_in_the_end() {
    let node = TestNode::start_with(|c| {
        c.limits.stream_stall_time = Span::from_millis(1500);
        c.streams.subscription_idle_interval = Span::from_millis(300);
    })
    .await;
    node.stream("s", 1).await;
    fill(&node, "s", 1, 40).await;
    let alone = node.consumer("s", "alone").await;
    let reading = node.consumer("s", "reading").await;
    let (mut left, _first) = http2_subscription(&node, &alone).await;
    let (mut read, mut body) = http2_subscription(&node, &reading).await;
    eventually("both are there", || node.node.subscription_count() == 2).await;
    let reading = tokio::spawn(async move {
        let mut bytes = 0;
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            bytes += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
        bytes
    });
    let ended = tokio::time::timeout(PATIENCE, left.join_next()).await;
    ended.expect("the connection of the one that does not read is cut");
    assert!(reading.await.unwrap() > 4 << 20, "the one that reads goes on");
    read.abort_all();
    eventually("nothing is left", || node.node.subscription_count() == 0).await;
    node.stop().await;
}

/// A subscription over HTTP/2, its initial response read. The connection runs in the set.
async fn http2_subscription(
    node: &TestNode,
    consumer: &str,
) -> (tokio::task::JoinSet<()>, hyper::body::Incoming) {
    let stream = TcpStream::connect(node.addr()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let input = json!({
        "ConsumerARN": consumer, "ShardId": shard_id(0), "StartingPosition": horizon(),
    });
    let request = http::Request::post(format!("http://{}/", node.addr()))
        .header("x-amz-target", "Kinesis_20131202.SubscribeToShard")
        .header("content-type", JSON)
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", AUTHORIZATION)
        .body(Full::new(Bytes::from(input.to_string())))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    driver.spawn(async move {
        // Keeps the connection open for as long as the server does.
        while sender.ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    (driver, body)
}

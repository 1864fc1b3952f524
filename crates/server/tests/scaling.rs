//! Streams that follow their load, on a real node with short windows; and its page about hot shards.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millstream_server::Config;
use millstream_server::config::units::Span;
use millstream_server::config::{AccessKey, AuthMode};
use serde_json::{Value, json};
use support::{Request, TestNode};

const KEYS: u64 = 20;
/// In one request; a tenth of a second later comes the next one.
const BATCH: u64 = 100;
/// How long a loaded machine may take for what should take three windows.
const PATIENCE: Duration = Duration::from_secs(60);

fn quickly(config: &mut Config) {
    config.streams.scaling.sample_interval = Span::from_millis(100);
    config.streams.scaling.window = Span::from_millis(1000);
    config.streams.scaling.cool_down = Span::from_millis(1000);
    // Shards that take less, so that a busy machine can still load them.
    config.quotas.write_records_per_sec = 100;
}

/// Puts numbered records under twenty keys in the lowest quarter of the ring, up to 1000 a second.
struct Producer<'a> {
    node: &'a TestNode,
    stream: &'a str,
    put: BTreeMap<String, Vec<u64>>,
    next: u64,
}

impl Producer<'_> {
    async fn batch(&mut self) {
        let records: Vec<Value> = (self.next..self.next + BATCH)
            .map(|n| {
                let key = n % KEYS;
                let hash_key = u128::MAX / 4 / u128::from(KEYS) * u128::from(key);
                self.put.entry(format!("key-{key}")).or_default().push(n);
                json!({
                    "PartitionKey": format!("key-{key}"),
                    "ExplicitHashKey": hash_key.to_string(),
                    "Data": base64(&n.to_string()),
                })
            })
            .collect();
        self.next += BATCH;
        let input = json!({"StreamName": self.stream, "Records": records});
        let answer = self.node.ok("PutRecords", input).await;
        assert_eq!(answer["FailedRecordCount"], 0, "{answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn base64(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(text)
}

async fn open_shards(node: &TestNode, stream: &str) -> u64 {
    let summary = node.ok("DescribeStreamSummary", json!({"StreamName": stream})).await;
    summary["StreamDescriptionSummary"]["OpenShardCount"].as_u64().unwrap()
}

/// Every key's records in the order in which a reader gets them that reads parents before children.
async fn read_all(node: &TestNode, stream: &str) -> BTreeMap<String, Vec<u64>> {
    let shards = node.ok("ListShards", json!({"StreamName": stream})).await;
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for shard in shards["Shards"].as_array().unwrap() {
        for record in node.read_all(stream, shard["ShardId"].as_str().unwrap()).await {
            let data = record["Data"].as_str().unwrap();
            let data = base64_simd::STANDARD.decode_to_vec(data).unwrap();
            let n = String::from_utf8(data).unwrap().parse().unwrap();
            let key = record["PartitionKey"].as_str().unwrap().to_owned();
            found.entry(key).or_default().push(n);
        }
    }
    found
}

#[tokio::test]
async fn an_on_demand_stream_grows_under_load_and_loses_nothing() {
    let node = TestNode::start_with(quickly).await;
    let input = json!({"StreamName": "s", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
    node.ok("CreateStream", input).await;
    let mut producer = Producer { node: &node, stream: "s", put: BTreeMap::new(), next: 0 };
    let began = Instant::now();
    while open_shards(&node, "s").await < 7 {
        assert!(began.elapsed() < PATIENCE, "{} shards", open_shards(&node, "s").await);
        producer.batch().await;
    }
    for _ in 0..5 {
        producer.batch().await; // into the children
    }
    assert_eq!(read_all(&node, "s").await, producer.put);
    let shards = node.ok("ListShards", json!({"StreamName": "s"})).await;
    let untouched = |id: &str| {
        let shards = shards["Shards"].as_array().unwrap();
        let shard = shards.iter().find(|s| s["ShardId"] == id).unwrap();
        shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none()
    };
    for cold in ["shardId-000000000001", "shardId-000000000002", "shardId-000000000003"] {
        assert!(untouched(cold), "only what is hot is split: {shards}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_provisioned_stream_grows_if_its_settings_say_so() {
    let node = TestNode::start_with(|config| {
        quickly(config);
        let autoscale = "[[streams.autoscale.streams]]\nstream = \"scaled\"\nmax_shards = 2\n";
        let read = Config::from_text("", autoscale, &[]).unwrap();
        config.streams.autoscale = read.streams.autoscale;
    })
    .await;
    node.stream("scaled", 1).await;
    node.stream("fixed", 1).await;
    let mut scaled = Producer { node: &node, stream: "scaled", put: BTreeMap::new(), next: 0 };
    let mut fixed = Producer { node: &node, stream: "fixed", put: BTreeMap::new(), next: 0 };
    let began = Instant::now();
    while open_shards(&node, "scaled").await < 2 {
        assert!(began.elapsed() < PATIENCE);
        tokio::join!(scaled.batch(), fixed.batch());
    }
    assert_eq!(open_shards(&node, "fixed").await, 1);
    assert_eq!(read_all(&node, "scaled").await, scaled.put);
    node.stop().await;
}

#[tokio::test]
async fn a_page_tells_hot_shards_and_keys() {
    let node = TestNode::start_with(|config| {
        quickly(config);
        config.streams.scaling.on_demand = false;
    })
    .await;
    node.stream("s", 2).await;
    let mut producer = Producer { node: &node, stream: "s", put: BTreeMap::new(), next: 0 };
    let page = |path: &'static str| {
        let signed = Request::new("GET", path).with("Authorization", support::AUTHORIZATION);
        let signed = signed.with("X-Amz-Date", "20260101T000000Z");
        let node = &node;
        async move { node.connect().await.send(&signed).await }
    };
    let began = Instant::now();
    let shards = loop {
        producer.batch().await;
        let answer = page("/hot?stream=s").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let shards = answer.json()["Shards"].as_array().unwrap().clone();
        if shards[0]["Share"].as_f64().unwrap() > 0.9 {
            break shards;
        }
        assert!(began.elapsed() < PATIENCE, "{shards:?}");
    };
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[0]["ShardId"], "shardId-000000000000");
    assert!(shards[0]["Utilisation"].as_f64().unwrap() > 0.0);
    assert!(shards[0]["SplitAt"].is_string(), "{shards:?}");
    let keys = shards[0]["Keys"].as_array().unwrap();
    assert_eq!(keys.len(), 10, "the hottest ten: {keys:?}");
    assert!(keys.iter().all(|k| (0.03..0.07).contains(&k["ShareOfStream"].as_f64().unwrap())));
    assert_eq!(shards[1]["Keys"], json!([]));

    let missing = page("/hot?stream=none").await;
    assert_eq!(missing.status, 400);
    let said = "ResourceNotFoundException: Stream none under account 000000000000 not found.";
    assert_eq!(missing.error(), said);
    let unnamed = page("/hot").await;
    assert!(unnamed.error().starts_with("InvalidArgumentException"), "{unnamed:?}");
    let arn = page("/hot?stream=arn%3Aaws%3Akinesis%3Aus-east-1%3A000000000000%3Astream%2Fs").await;
    assert_eq!(arn.json()["StreamName"], "s");
    let unsigned = node.connect().await.send(&Request::new("GET", "/hot?stream=s")).await;
    assert!(unsigned.error().starts_with("MissingAuthenticationToken"), "{unsigned:?}");
    let posted = Request::json("ListStreams", &json!({}));
    let posted = Request { path: "/hot?stream=s".into(), ..posted };
    let listed = node.connect().await.send(&posted).await;
    assert_eq!(listed.json()["StreamNames"], json!(["s"]), "other methods are AWS's");
    node.stop().await;
}

#[tokio::test]
async fn the_page_is_for_those_who_can_sign() {
    let node = TestNode::start_with(|config| {
        config.auth.mode = AuthMode::Keys;
        config.auth.keys = vec![AccessKey {
            access_key_id: "AKID".into(),
            secret_access_key: "secret".into(),
            account: None,
        }];
    })
    .await;
    let forged = Request::new("GET", "/hot?stream=s")
        .with("Authorization", support::AUTHORIZATION)
        .with("X-Amz-Date", "20260101T000000Z");
    let refused = node.connect().await.send(&forged).await;
    assert!(refused.error().starts_with("UnrecognizedClientException"), "{refused:?}");
    node.stop().await;
}

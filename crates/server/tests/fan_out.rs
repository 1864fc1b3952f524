//! Enhanced fan-out over real sockets: subscriptions as a client sees them, frame by frame.
#![allow(clippy::disallowed_methods)]

mod support;

use std::time::{Duration, Instant};

use millstream_server::config::units::Span;
use millstream_wire::Codec;
use millstream_wire::events::Frame;
use serde_json::{Value, json};
use support::events::{EventReader, subscribe_request};
use support::{CBOR, Request, TestNode};

const SHARD: &str = "shardId-000000000000";

fn horizon() -> Value {
    json!({"Type": "TRIM_HORIZON"})
}

fn latest() -> Value {
    json!({"Type": "LATEST"})
}

fn after(number: &Value) -> Value {
    json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number})
}

async fn put(node: &TestNode, stream: &str, data: &str) -> Value {
    let input = json!({"StreamName": stream, "PartitionKey": "k", "Data": base64(data)});
    node.ok("PutRecord", input).await["SequenceNumber"].clone()
}

fn base64(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(text)
}

fn data(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().unwrap();
    records.iter().map(|r| r["Data"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn records_of_before_and_of_later_are_pushed() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let consumer = node.consumer("s", "c").await;
    let first = put(&node, "s", "one").await;
    let mut events = node.subscribe(&consumer, SHARD, horizon()).await;
    assert!(events.head.contains("application/vnd.amazon.eventstream"), "{}", events.head);
    let event = events.news().await;
    assert_eq!(data(&event), [base64("one")]);
    assert_eq!(event["ContinuationSequenceNumber"], first);
    assert_eq!(event["MillisBehindLatest"], 0);
    let mut keys: Vec<&String> = event.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["ContinuationSequenceNumber", "MillisBehindLatest", "Records"]);
    let started = Instant::now();
    put(&node, "s", "two").await;
    assert_eq!(data(&events.news().await), [base64("two")]);
    assert!(started.elapsed() < Duration::from_secs(2), "pushed, not polled");
    node.stop().await;
}

#[tokio::test]
async fn every_starting_position_leads_where_an_iterator_would() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let first = put(&node, "s", "one").await;
    let second = put(&node, "s", "two").await;
    let at = json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": second});
    let time = json!({"Type": "AT_TIMESTAMP", "Timestamp": 1.5});
    for (name, from, expected) in [
        ("horizon", horizon(), vec!["one", "two"]),
        ("at", at, vec!["two"]),
        ("after", after(&first), vec!["two"]),
        ("time", time, vec!["one", "two"]),
        ("latest", latest(), vec!["three"]),
    ] {
        let consumer = node.consumer("s", name).await;
        let mut events = node.subscribe(&consumer, SHARD, from).await;
        if name == "latest" {
            put(&node, "s", "three").await;
        }
        let expected: Vec<String> = expected.into_iter().map(base64).collect();
        assert_eq!(data(&events.news().await), expected, "{name}");
    }
    node.stop().await;
}

#[tokio::test]
async fn errors_before_the_stream_are_plain_answers() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let consumer = node.consumer("s", "c").await;
    let gone = consumer.replace("consumer/c:", "consumer/d:");
    let old = format!("{}1", &consumer[..consumer.rfind(':').unwrap() + 1]);
    let in_future = json!({"Type": "AT_TIMESTAMP", "Timestamp": 99_999_999_999u64});
    for (arn, shard, from, expected) in [
        (&gone, SHARD, latest(), "ResourceNotFoundException: Consumer d, account 000000000000"),
        (&old, SHARD, latest(), "ResourceNotFoundException: Consumer c, account 000000000000"),
        (&consumer, "shardId-000000000001", latest(), "ResourceNotFoundException: Shard shardId-"),
        (&consumer, "x", latest(), "ResourceNotFoundException: Could not find shard x"),
        (&consumer, SHARD, in_future, "InvalidArgumentException: The timestampInMillis"),
        (&consumer, SHARD, after(&json!("1")), "InvalidArgumentException: StartingSequenceNumber"),
        (&consumer, SHARD, json!({"Type": "NO"}), "ValidationException: 1 validation error"),
    ] {
        let request = subscribe_request(arn, shard, from);
        let answer = node.connect().await.send(&request).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.error().starts_with(expected), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some(support::JSON));
    }
    let mut input = json!({"ConsumerARN": consumer, "ShardId": SHARD, "DryRun": true});
    input["StartingPosition"] = latest();
    let refused = node.refused("SubscribeToShard", input.clone()).await;
    assert!(refused.starts_with("DryRunOperationException"), "{refused}");
    let refused = node.refused("SubscribeToShard", input).await;
    assert!(refused.starts_with("DryRunOperationException"), "a dry run begins nothing: {refused}");
    node.stop().await;
}

#[tokio::test]
async fn a_second_subscription_waits_and_then_takes_over() {
    let takeover = Duration::from_millis(700);
    let node =
        TestNode::start_with(|c| c.streams.subscription_takeover_after = Span(takeover)).await;
    node.stream("s", 1).await;
    let consumer = node.consumer("s", "c").await;
    let mut old = node.subscribe(&consumer, SHARD, latest()).await;
    let sentence = format!(
        "ResourceInUseException: Another active subscription exists for this consumer: \
         000000000000:s:{SHARD}:c"
    );
    let request = subscribe_request(&consumer, SHARD, latest());
    assert_eq!(node.connect().await.send(&request).await.error(), sentence);
    tokio::time::sleep(takeover).await;
    let mut new = node.subscribe(&consumer, SHARD, latest()).await;
    assert_eq!(old.exception().await, sentence);
    assert!(old.frame().await.is_none(), "the exception is the last frame");
    put(&node, "s", "to the new one").await;
    assert_eq!(data(&new.news().await), [base64("to the new one")]);
    node.stop().await;
}

#[tokio::test]
async fn a_subscription_ends_in_order_after_its_life_and_is_continued() {
    let node = TestNode::start_with(|c| {
        c.streams.subscription_life = Span::from_millis(600);
        c.streams.subscription_idle_interval = Span::from_millis(100);
        c.streams.subscription_takeover_after = Span::from_millis(1);
    })
    .await;
    node.stream("s", 1).await;
    let consumer = node.consumer("s", "c").await;
    let mut events = node.subscribe(&consumer, SHARD, latest()).await;
    let mut continuation = Value::Null;
    let mut beats = 0;
    while let Some(frame) = events.frame().await {
        let event: Value = serde_json::from_slice(&frame.payload).unwrap();
        assert_eq!(event["Records"], json!([]));
        continuation = event["ContinuationSequenceNumber"].clone();
        beats += 1;
    }
    assert!((2..=6).contains(&beats), "{beats} idle events in 600 ms, one in 100 ms");
    put(&node, "s", "between").await;
    let mut events = node.subscribe(&consumer, SHARD, after(&continuation)).await;
    assert_eq!(data(&events.news().await), [base64("between")]);
    node.stop().await;
}

#[tokio::test]
async fn a_consumer_or_stream_that_goes_ends_its_subscriptions_with_an_exception() {
    let node = TestNode::start_with(|c| {
        c.streams.subscription_idle_interval = Span::from_millis(100);
        c.streams.subscription_linger = Span::from_millis(500);
    })
    .await;
    node.stream("s", 1).await;
    let consumer = node.consumer("s", "c").await;
    let other = node.consumer("s", "other").await;
    let mut events = node.subscribe(&consumer, SHARD, latest()).await;
    let mut others = node.subscribe(&other, SHARD, latest()).await;
    node.ok("DeregisterStreamConsumer", json!({"ConsumerARN": consumer})).await;
    // It goes on for a while: who reads may want to stop before it is told.
    put(&node, "s", "late").await;
    assert_eq!(data(&events.news().await), [base64("late")]);
    let gone = "ResourceNotFoundException: Consumer c, account 000000000000 not found.";
    assert_eq!(events.exception().await, gone);
    let input = json!({"StreamName": "s"});
    let refused = node.refused("DeleteStream", input).await;
    assert!(refused.contains("because there are consumers associated with"), "{refused}");
    node.ok("DeleteStream", json!({"StreamName": "s", "EnforceConsumerDeletion": true})).await;
    let gone = "ResourceNotFoundException: Stream s under account 000000000000 not found.";
    assert_eq!(others.exception().await, gone);
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_stops_ends_subscriptions_at_once_and_in_order() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let consumer = node.consumer("s", "c").await;
    let mut events = node.subscribe(&consumer, SHARD, latest()).await;
    let started = Instant::now();
    let reading = tokio::spawn(async move {
        while events.frame().await.is_some() {}
        started.elapsed()
    });
    node.stop().await;
    assert!(reading.await.unwrap() < Duration::from_secs(3));
}

#[tokio::test]
async fn cbor_requests_get_cbor_events() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let consumer = node.consumer("s", "c").await;
    put(&node, "s", "bytes").await;
    let input = millstream_api::kinesis::SubscribeToShardInput {
        consumer_arn: consumer,
        shard_id: SHARD.to_owned(),
        starting_position: millstream_api::kinesis::StartingPosition {
            r#type: millstream_api::kinesis::ShardIteratorType::TrimHorizon,
            ..Default::default()
        },
        ..Default::default()
    };
    let body = Codec::Cbor.encode(&input).to_vec();
    let request = Request::operation("SubscribeToShard", CBOR, body);
    let mut events = EventReader::open(node.addr(), &request).await;
    let first = events.frame().await.unwrap();
    assert_eq!(first.header(":event-type"), Some("initial-response"));
    assert_eq!(&first.payload[..], [0xa0]);
    let event = cbor_event(&events.frame().await.unwrap());
    assert_eq!(&event.records[0].data[..], b"bytes");
    assert!(event.continuation_sequence_number.is_some());
    node.stop().await;
}

fn cbor_event(frame: &Frame) -> millstream_api::kinesis::SubscribeToShardEvent {
    use millstream_api::kinesis::SubscribeToShardEventStream as Stream;
    match frame.event::<Stream>(Codec::Cbor).unwrap().unwrap() {
        Stream::SubscribeToShardEvent(event) => event,
    }
}

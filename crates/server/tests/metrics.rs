//! What streams do is told by CloudWatch's API and by the page for collectors.
#![allow(clippy::disallowed_methods)]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millstream_server::config::units::Span;
use serde_json::{Value, json};
use support::{Request, TestNode};

const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
     Credential=AKIDEXAMPLE/20260101/us-east-1/monitoring/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=00";

/// A node that takes its figures every tenth of a second.
async fn node() -> TestNode {
    TestNode::start_with(|config| config.monitoring.flush_interval = Span::from_millis(100)).await
}

async fn cloudwatch(node: &TestNode, operation: &str, input: Value) -> Value {
    let request = Request::new("POST", "/")
        .with("X-Amz-Date", "20260101T000000Z")
        .with("Authorization", AUTHORIZATION)
        .with("X-Amz-Target", &format!("GraniteServiceVersion20100801.{operation}"))
        .with("Content-Type", "application/x-amz-json-1.0")
        .body(input.to_string().as_bytes());
    let answer = node.connect().await.send(&request).await;
    assert_eq!(answer.status, 200, "{operation} {input}: {answer:?}");
    answer.json()
}

/// One statistic of the last hour and the next, over all units.
async fn told(node: &TestNode, name: &str, dimensions: &[(&str, &str)], statistic: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let dimensions: Vec<_> =
        dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
    let input = json!({
        "Namespace": "AWS/Kinesis", "MetricName": name, "Dimensions": dimensions,
        "StartTime": now / 60 * 60 - 3600, "EndTime": now + 3600, "Period": 86_400,
        "Statistics": [statistic],
    });
    let told = cloudwatch(node, "GetMetricStatistics", input).await;
    told["Datapoints"].get(0).map_or(Value::Null, |point| point[statistic].clone())
}

/// Asks until the answer is `expected`, for some seconds.
async fn await_told(
    node: &TestNode,
    name: &str,
    dimensions: &[(&str, &str)],
    statistic: &str,
    expected: f64,
) {
    let mut found = Value::Null;
    for _ in 0..100 {
        found = told(node, name, dimensions, statistic).await;
        if found == json!(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} {dimensions:?} {statistic} is {found}, not {expected}");
}

async fn put_records(node: &TestNode, count: usize) {
    let one = json!({"Data": "YWJj", "PartitionKey": "key"});
    let records = vec![one; count];
    node.ok("PutRecords", json!({"StreamName": "orders", "Records": records})).await;
}

const STREAM: [(&str, &str); 1] = [("StreamName", "orders")];

#[tokio::test]
async fn puts_and_gets_become_metrics_that_outlive_a_restart() {
    let node = node().await;
    node.stream("orders", 1).await;
    put_records(&node, 5).await;
    put_records(&node, 7).await;
    let one = json!({"StreamName": "orders", "Data": "YQ==", "PartitionKey": "k"});
    node.ok("PutRecord", one).await;
    let read = node.read_all("orders", "shardId-000000000000").await;
    assert_eq!(read.len(), 13);
    await_told(&node, "IncomingRecords", &STREAM, "Sum", 13.0).await;
    let node = node.restart().await;
    for (name, statistic, expected) in [
        ("IncomingRecords", "Sum", 13.0),
        ("IncomingRecords", "SampleCount", 3.0),
        ("IncomingRecords", "Maximum", 7.0),
        ("IncomingBytes", "Sum", 12.0 * 6.0 + 2.0),
        ("PutRecord.Success", "Sum", 1.0),
        ("PutRecord.Bytes", "Sum", 2.0),
        ("PutRecords.Success", "Average", 1.0),
        ("PutRecords.Bytes", "Sum", 72.0),
        ("PutRecords.TotalRecords", "Sum", 12.0),
        ("PutRecords.SuccessfulRecords", "Minimum", 5.0),
        ("PutRecords.FailedRecords", "Sum", 0.0),
        ("PutRecords.ThrottledRecords", "Sum", 0.0),
        ("GetRecords.Records", "Sum", 13.0),
        ("GetRecords.Bytes", "Sum", 74.0),
        ("GetRecords.Success", "Average", 1.0),
        ("GetRecords.IteratorAgeMilliseconds", "Minimum", 0.0),
        ("WriteProvisionedThroughputExceeded", "Sum", 0.0),
        ("ReadProvisionedThroughputExceeded", "Sum", 0.0),
    ] {
        assert_eq!(told(&node, name, &STREAM, statistic).await, json!(expected), "{name}");
    }
    for name in ["PutRecord.Latency", "PutRecords.Latency", "GetRecords.Latency"] {
        let latency = told(&node, name, &STREAM, "Maximum").await.as_f64().unwrap();
        assert!(latency > 0.0 && latency < 60_000.0, "{name} {latency} ms");
    }
    put_records(&node, 2).await;
    let node = node.restart().await; // figures that were not taken yet are taken at the end
    assert_eq!(told(&node, "IncomingRecords", &STREAM, "Sum").await, json!(15.0));
    node.stop().await;
}

#[tokio::test]
async fn failures_are_metrics_too() {
    let node = node().await;
    node.stream("orders", 1).await;
    let large = "A".repeat(4 << 20 >> 1);
    let input = json!({"StreamName": "orders", "Data": large, "PartitionKey": "k"});
    node.refused("PutRecord", input).await;
    put_records(&node, 1).await;
    await_told(&node, "IncomingRecords", &STREAM, "Sum", 1.0).await;
    assert_eq!(told(&node, "PutRecord.Success", &STREAM, "Average").await, json!(0.0));
    assert_eq!(told(&node, "PutRecord.Bytes", &STREAM, "Sum").await, Value::Null);
    node.stop().await;
}

#[tokio::test]
async fn shards_are_told_apart_where_enhanced_monitoring_is_on() {
    let node = node().await;
    node.stream("orders", 2).await;
    put_records(&node, 3).await;
    await_told(&node, "IncomingRecords", &STREAM, "Sum", 3.0).await;
    let metrics = json!(["IncomingRecords", "OutgoingBytes"]);
    let input = json!({"StreamName": "orders", "ShardLevelMetrics": metrics});
    node.ok("EnableEnhancedMonitoring", input).await;
    put_records(&node, 4).await;
    let mut sums = 0.0;
    await_told(&node, "IncomingRecords", &STREAM, "Sum", 7.0).await;
    for shard in ["shardId-000000000000", "shardId-000000000001"] {
        node.read_all("orders", shard).await;
        let of_shard = [STREAM[0], ("ShardId", shard)];
        sums += told(&node, "IncomingRecords", &of_shard, "Sum").await.as_f64().unwrap_or(0.0);
        assert_eq!(told(&node, "IncomingBytes", &of_shard, "Sum").await, Value::Null);
    }
    assert_eq!(sums, 4.0, "what was before is not counted");
    await_told(&node, "GetRecords.Bytes", &STREAM, "Sum", 42.0).await;

    let page = node.connect().await.send(&Request::new("GET", "/metrics")).await;
    for line in [
        "kinesis_IncomingRecords_total{account=\"000000000000\",region=\"us-east-1\",\
         StreamName=\"orders\"} 7",
        "kinesis_PutRecords_Calls_total{account=\"000000000000\",region=\"us-east-1\",\
         StreamName=\"orders\"} 2",
        "kinesis_shard_OutgoingBytes_total{account=\"000000000000\",region=\"us-east-1\",\
         StreamName=\"orders\",ShardId=\"shardId-00000000000",
        "millstream_monitoring_series ",
    ] {
        assert!(page.text().contains(line), "{line} is not in\n{}", page.text());
    }
    node.stop().await;
}

#[tokio::test]
async fn metrics_of_streams_are_listed() {
    let node = node().await;
    node.stream("orders", 1).await;
    put_records(&node, 1).await;
    await_told(&node, "IncomingRecords", &STREAM, "Sum", 1.0).await;
    let input = json!({"Namespace": "AWS/Kinesis", "MetricName": "IncomingBytes"});
    let listed = cloudwatch(&node, "ListMetrics", input).await;
    let expected = json!([{
        "Namespace": "AWS/Kinesis", "MetricName": "IncomingBytes",
        "Dimensions": [{"Name": "StreamName", "Value": "orders"}],
    }]);
    assert_eq!(listed["Metrics"], expected);
    node.stop().await;
}

//! Who did what stands in the trail before the answer is there, and nothing secret stands there.
#![allow(clippy::disallowed_methods)]

mod support;

use std::path::Path;
use std::time::Duration;

use millstream_audit::{trail_files, verify};
use millstream_env::RealDisk;
use millstream_server::config::{AccessKey, AuthMode, Management};
use serde_json::{Value, json};
use support::{Request, TestNode};

const CLOUDTRAIL: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";

/// All events of a node's trail, oldest first.
fn events(dir: &Path) -> Vec<Value> {
    let dir = dir.join("audit");
    let mut events = Vec::new();
    for name in trail_files(&RealDisk::new(&dir)).unwrap() {
        let text = std::fs::read_to_string(dir.join(name.path())).unwrap();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            events.extend(line["entry"].get("event").cloned());
        }
    }
    events
}

fn named(dir: &Path, name: &str) -> Vec<Value> {
    events(dir).into_iter().filter(|event| event["eventName"] == name).collect()
}

async fn lookup(node: &TestNode, input: Value) -> support::Answer {
    let request = Request::json("X", &input).replace("X-Amz-Target", CLOUDTRAIL);
    node.connect().await.send(&request).await
}

#[tokio::test]
async fn a_call_is_in_the_trail_when_its_answer_is_there() {
    let node = TestNode::start().await;
    let input = json!({"StreamName": "s", "ShardCount": 1, "Tags": {"Team": "a"}});
    let request = Request::json("CreateStream", &input).with("User-Agent", "tester/1.0");
    let answer = node.connect().await.send(&request).await;
    assert_eq!(answer.status, 200);
    let found = named(node.dir.path(), "CreateStream");
    let [event] = &found[..] else { panic!("{found:?}") };
    assert_eq!(event["requestID"], answer.header("x-amzn-requestid").unwrap());
    let expected = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "Root",
            "principalId": "000000000000",
            "arn": "arn:aws:iam::000000000000:root",
            "accountId": "000000000000",
            "accessKeyId": "AKIDEXAMPLE",
        },
        "eventTime": event["eventTime"],
        "eventSource": "kinesis.amazonaws.com",
        "eventName": "CreateStream",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "tester/1.0",
        "requestParameters": {"streamName": "s", "shardCount": 1, "tags": {"Team": "a"}},
        "responseElements": null,
        "requestID": event["requestID"],
        "eventID": event["eventID"],
        "readOnly": false,
        "resources": [{
            "accountId": "000000000000",
            "type": "AWS::Kinesis::Stream",
            "ARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
        }],
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "000000000000",
        "eventCategory": "Management",
    });
    assert_eq!(event, &expected);
    assert_ne!(event["eventID"], event["requestID"]);

    // Reading calls as well, and calls that are refused.
    node.refused("DescribeStream", json!({"StreamName": "t"})).await;
    let event = named(node.dir.path(), "DescribeStream").pop().unwrap();
    assert_eq!(event["errorCode"], "ResourceNotFoundException");
    assert_eq!(event["errorMessage"], "Stream t under account 000000000000 not found.");
    assert_eq!(event["readOnly"], true);

    // What a call that changes something answered.
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    node.ok("RegisterStreamConsumer", json!({"StreamARN": arn, "ConsumerName": "c"})).await;
    let event = named(node.dir.path(), "RegisterStreamConsumer").pop().unwrap();
    assert_eq!(event["responseElements"]["consumer"]["consumerName"], "c");

    // Data calls only on request.
    let put = json!({"StreamName": "s", "Data": "YQ==", "PartitionKey": "k"});
    node.ok("PutRecord", put).await;
    assert!(named(node.dir.path(), "PutRecord").is_empty());
    let dir = node.dir.path().join("audit");
    node.node.shutdown().await;
    let report = verify(&RealDisk::new(dir), None).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[tokio::test]
async fn data_calls_of_named_streams() {
    let node = TestNode::start_with(|c| c.audit.data_events = vec!["wanted".to_owned()]).await;
    for stream in ["wanted", "other"] {
        node.stream(stream, 1).await;
        let put = json!({"StreamName": stream, "Data": "YQ==", "PartitionKey": "k"});
        node.ok("PutRecord", put).await;
        node.read_all(stream, "shardId-000000000000").await;
    }
    let puts = named(node.dir.path(), "PutRecord");
    assert_eq!(puts.len(), 1);
    assert_eq!(puts[0]["requestParameters"]["streamName"], "wanted");
    assert_eq!(puts[0]["eventCategory"], "Data");
    assert_eq!(puts[0]["managementEvent"], false);
    assert_eq!(puts[0]["responseElements"]["shardId"], "shardId-000000000000");
    assert_eq!(named(node.dir.path(), "GetShardIterator").len(), 1);
    // The iterator names no stream: rather one too many.
    assert!(named(node.dir.path(), "GetRecords").len() >= 2);
    node.stop().await;
}

#[tokio::test]
async fn reading_calls_can_be_left_out() {
    let node = TestNode::start_with(|c| c.audit.management = Management::Write).await;
    node.stream("s", 1).await;
    let names: Vec<Value> =
        events(node.dir.path()).iter().map(|e| e["eventName"].clone()).collect();
    assert_eq!(names, ["CreateStream"]);
    node.stop().await;
}

#[tokio::test]
async fn calls_of_nobody_are_recorded_up_to_a_rate() {
    let node = TestNode::start_with(|c| {
        c.auth.mode = AuthMode::Keys;
        c.auth.keys = vec![AccessKey {
            access_key_id: "AKREAL".to_owned(),
            secret_access_key: "hush".to_owned(),
            account: None,
        }];
        c.audit.unauthenticated_per_sec_max = 3;
    })
    .await;
    let token = "token-that-is-secret";
    for _ in 0..20 {
        let request = Request::json("ListStreams", &json!({})).with("X-Amz-Security-Token", token);
        assert_eq!(node.connect().await.send(&request).await.status, 400);
    }
    let wrong = Request::json("ListStreams", &json!({}));
    let wrong =
        wrong.replace("Authorization", &support::AUTHORIZATION.replace("AKIDEXAMPLE", "AKREAL"));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(node.connect().await.send(&wrong).await.status, 400);
    let dir = node.dir.path().join("audit");
    node.node.shutdown().await;
    let text = std::fs::read_to_string(dir.join("audit-00000001.jsonl")).unwrap();
    let found = events(dir.parent().unwrap());
    assert!((4..=9).contains(&found.len()), "{found:?}");
    assert_eq!(found[0]["userIdentity"], json!({"type": "Unknown", "accessKeyId": "AKIDEXAMPLE"}));
    assert_eq!(found[0]["errorCode"], "UnrecognizedClientException");
    assert!(text.contains("unauthenticated_calls"), "{text}");
    assert!(!text.contains(token) && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn lookup_events_finds_the_callers_own() {
    let node = TestNode::start().await;
    for i in 0..5 {
        node.stream(&format!("s{i}"), 1).await;
    }
    let other = Request::json("CreateStream", &json!({"StreamName": "theirs", "ShardCount": 1}));
    let signature = support::AUTHORIZATION.replace("AKIDEXAMPLE", "123456789012");
    let other = other.replace("Authorization", &signature);
    assert_eq!(node.connect().await.send(&other).await.status, 200);

    let created = json!([{"AttributeKey": "EventName", "AttributeValue": "CreateStream"}]);
    let mut input = json!({"LookupAttributes": created, "MaxResults": 2});
    let mut names = Vec::new();
    loop {
        let answer = lookup(&node, input.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        for event in page["Events"].as_array().unwrap() {
            assert_eq!(event["ReadOnly"], "false");
            assert_eq!(event["Username"], "root");
            assert_eq!(event["EventSource"], "kinesis.amazonaws.com");
            assert!(event["EventTime"].as_f64().unwrap() > 1.7e9, "{event}");
            let whole: Value =
                serde_json::from_str(event["CloudTrailEvent"].as_str().unwrap()).unwrap();
            assert_eq!(whole["eventID"], event["EventId"]);
            names.push(event["Resources"][0]["ResourceName"].as_str().unwrap().to_owned());
        }
        let Some(token) = page["NextToken"].as_str() else { break };
        input["NextToken"] = token.into();
    }
    assert_eq!(names, ["s4", "s3", "s2", "s1", "s0"], "newest first, none of another account");

    for (attribute, value, count) in [
        ("ResourceName", "s3", 2), // made, and described at least once
        ("EventName", "DeleteStream", 0),
        ("AccessKeyId", "AKIDEXAMPLE", 10),
        ("Username", "nobody", 0),
        ("EventSource", "kinesis.amazonaws.com", 10),
    ] {
        let input =
            json!({"LookupAttributes": [{"AttributeKey": attribute, "AttributeValue": value}]});
        let found = lookup(&node, input).await.json()["Events"].as_array().unwrap().len();
        assert!(
            if count == 0 { found == 0 } else { found >= count },
            "{attribute}={value}: {found}"
        );
    }
    for (input, error) in [
        (json!({"StartTime": 2, "EndTime": 1}), "InvalidTimeRangeException"),
        (json!({"NextToken": "x"}), "InvalidNextTokenException"),
        (json!({"EventCategory": "x"}), "ValidationException"),
        (json!({"MaxResults": 51}), "ValidationException"),
        (
            json!({"LookupAttributes": [
                {"AttributeKey": "EventName", "AttributeValue": "a"},
                {"AttributeKey": "Username", "AttributeValue": "a"}]}),
            "InvalidLookupAttributesException",
        ),
    ] {
        let answer = lookup(&node, input.clone()).await;
        assert_eq!(answer.status, 400, "{input}");
        assert!(answer.error().starts_with(error), "{input}: {}", answer.error());
    }
    let past = lookup(&node, json!({"EndTime": 1_000_000_000})).await.json();
    assert_eq!(past["Events"], json!([]));
    node.stop().await;
}

#[tokio::test]
async fn events_go_to_a_stream_of_our_own() {
    let node = TestNode::start_with(|c| c.audit.stream = "trail".to_owned()).await;
    node.stream("trail", 1).await;
    node.ok(
        "UpdateStreamMode",
        json!({
            "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/trail",
            "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
        }),
    )
    .await;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut names = Vec::new();
        for shard in 0..1 {
            for record in node.read_all("trail", &format!("shardId-{shard:012}")).await {
                let data = record["Data"].as_str().unwrap();
                let data = base64_simd::STANDARD.decode_to_vec(data).unwrap();
                let event: Value = serde_json::from_slice(&data).unwrap();
                names.push(event["eventName"].as_str().unwrap().to_owned());
            }
        }
        if names.iter().any(|name| name == "UpdateStreamMode") {
            node.stop().await;
            return;
        }
    }
    panic!("no event came");
}

#[tokio::test]
async fn a_trail_survives_its_node_and_goes_on() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let before = events(node.dir.path()).len();
    let node = node.restart().await;
    node.ok("DeleteStream", json!({"StreamName": "s"})).await;
    assert_eq!(events(node.dir.path()).len(), before + 1);
    let report = verify(&RealDisk::new(node.dir.path().join("audit")), None).unwrap();
    assert!(report.is_sound() && report.repairs.is_empty(), "{report:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_node_without_a_trail_says_so() {
    let node = TestNode::start_with(|c| c.audit.enabled = false).await;
    node.stream("s", 1).await;
    assert!(!node.dir.path().join("audit").exists());
    let error = lookup(&node, json!({})).await.error();
    assert_eq!(error, "UnsupportedOperationException: This node keeps no audit trail.");
    node.stop().await;
}

/// A call that has begun can't be kept out of the trail by going away at once.
#[tokio::test]
async fn going_away_does_not_hide_a_call() {
    let node = TestNode::start().await;
    for i in 0..40 {
        let input = json!({"StreamName": format!("s{i}"), "ShardCount": 1});
        let mut client = node.connect().await;
        client.write(&Request::json("CreateStream", &input).bytes()).await;
        tokio::time::sleep(Duration::from_micros(100 * i)).await;
        drop(client);
    }
    // A stream is seen before its call is over: the events may come a little later.
    let mut untold = vec![String::new()];
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let names = node.ok("ListStreams", json!({"Limit": 100})).await["StreamNames"].clone();
        let created = named(node.dir.path(), "CreateStream");
        let told = |name: &Value| {
            created.iter().any(|event| event["requestParameters"]["streamName"] == *name)
        };
        let names = names.as_array().unwrap().iter().filter(|name| !told(name));
        untold = names.map(|name| name.as_str().unwrap().to_owned()).collect();
        if untold.is_empty() {
            break;
        }
    }
    assert!(untold.is_empty(), "{untold:?} were made and nobody says so");
    node.stop().await;
}

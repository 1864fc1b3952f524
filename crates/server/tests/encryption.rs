//! Encryption at rest: what a node writes holds nothing of the records of an encrypted stream, and
//! nothing comes out of it without the key.
#![allow(clippy::disallowed_methods)]

mod support;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use millstream_server::Config;
use serde_json::{Value, json};
use support::{AUTHORIZATION, Request, TestNode};

/// In data and in partition keys of encrypted streams, and nowhere else.
const PLANTED: &[u8] = b"planted-plaintext";
/// The same as the API's JSON carries it.
const PLANTED_BASE64: &[u8] = b"cGxhbnRlZC1wbGFpbnRleHQ";
const DATA: &str = "cGxhbnRlZC1wbGFpbnRleHQhISEh";
const KEY: &str = "planted-plaintext-key";

/// What the node logs, all of it, in memory.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The root key lies in a directory of its own.
async fn start(dir: tempfile::TempDir, secrets: &Path) -> TestNode {
    let root = format!("file:{}", secrets.join("root.key").display());
    TestNode::start_in(dir, |config: &mut Config| config.keys.root = root).await
}

async fn kms(node: &TestNode, operation: &str, input: Value) -> Value {
    let request = Request::new("POST", "/")
        .with("X-Amz-Target", &format!("TrentService.{operation}"))
        .with("Content-Type", support::JSON)
        .with("X-Amz-Date", "20260101T000000Z")
        .with("Authorization", AUTHORIZATION)
        .body(input.to_string().as_bytes());
    let answer = node.connect().await.send(&request).await;
    assert_eq!(answer.status, 200, "{operation} {input}: {answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

async fn make_key(node: &TestNode) -> String {
    let made = kms(node, "CreateKey", json!({})).await;
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

fn start_input(stream: &str, key: &str) -> Value {
    json!({"StreamName": stream, "EncryptionType": "KMS", "KeyId": key})
}

fn one(stream: &str) -> Value {
    json!({"StreamName": stream, "PartitionKey": KEY, "Data": DATA})
}

fn many(stream: &str, count: usize) -> Value {
    let record = json!({"PartitionKey": KEY, "Data": DATA});
    json!({"StreamName": stream, "Records": vec![record; count]})
}

/// Every file below `dir` that holds `needle`.
fn holders(dir: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holders(&path, needle));
        } else if holds(&std::fs::read(&path).unwrap(), needle) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|w| w[0] == needle[0] && w == needle)
}

fn assert_nothing_in(dir: &Path, when: &str) {
    for needle in [PLANTED, PLANTED_BASE64] {
        assert_eq!(holders(dir, needle), Vec::<String>::new(), "{when}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_plaintext_reaches_neither_disk_nor_log() {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let secrets = tempfile::tempdir().unwrap();
    let node = start(tempfile::tempdir().unwrap(), secrets.path()).await;
    let key = make_key(&node).await;
    for stream in ["sealed", "managed"] {
        node.stream(stream, 2).await;
    }
    node.ok("StartStreamEncryption", start_input("sealed", &key)).await;
    node.ok("StartStreamEncryption", start_input("managed", "alias/aws/kinesis")).await;
    let mut written = 0;
    for round in 0..3 {
        for stream in ["sealed", "managed"] {
            let put = node.ok("PutRecord", one(stream)).await;
            assert_eq!(put["EncryptionType"], "KMS");
            let put = node.ok("PutRecords", many(stream, 200)).await;
            assert_eq!(put["FailedRecordCount"], 0);
            written += 201;
        }
        assert_nothing_in(node.dir.path(), &format!("in the write-ahead log, round {round}"));
    }
    // A child shard, and an answer that names the key on its way.
    let split = json!({"StreamName": "sealed", "ShardToSplit": "shardId-000000000000",
        "NewStartingHashKey": "85070591730234615865843651857942052864"});
    node.ok("SplitShard", split).await;
    let refused = json!({"StreamName": "sealed", "PartitionKey": KEY, "Data": DATA,
        "ExplicitHashKey": "no number"});
    node.call("PutRecord", refused).await;
    let node = start_again(node, secrets.path(), true).await;
    assert_nothing_in(node.dir.path(), "in segment files");
    node.ok("PutRecords", many("sealed", 200)).await;
    let node = start_again(node, secrets.path(), false).await;
    assert_nothing_in(node.dir.path(), "after a crash");
    let mut read = 0;
    for (stream, shards) in [("sealed", 4), ("managed", 2)] {
        for shard in 0..shards {
            let records = node.read_all(stream, &format!("shardId-{shard:012}")).await;
            for record in &records {
                assert_eq!(
                    (&record["Data"], &record["EncryptionType"]),
                    (&json!(DATA), &json!("KMS"))
                );
                assert_eq!(record["PartitionKey"], KEY);
            }
            read += records.len();
        }
    }
    assert_eq!(read, written + 200);
    let dir = node.dir.path().to_owned();
    let open = json!({"StreamName": "open", "ShardCount": 1});
    node.ok("CreateStream", open).await;
    node.ok("PutRecord", one("open")).await;
    assert!(!holders(&dir, PLANTED).is_empty(), "the search would find it");
    node.stop().await;
    let log = captured.0.lock().unwrap();
    let ours = String::from_utf8_lossy(&log).lines().filter(|l| l.contains("millstream")).count();
    assert!(ours > 0, "the log was captured");
    for needle in [PLANTED, PLANTED_BASE64] {
        let line = log.split(|b| *b == b'\n').find(|l| holds(l, needle));
        assert_eq!(line.map(String::from_utf8_lossy), None, "in the log");
    }
}

/// The same data after a clean end, or as a crash at this moment would leave it.
async fn start_again(node: TestNode, secrets: &Path, clean: bool) -> TestNode {
    let image = tempfile::tempdir().unwrap();
    if !clean {
        copy(node.dir.path(), image.path());
    }
    let TestNode { node, dir } = node;
    assert!(node.shutdown().await, "nothing is left to drain");
    start(if clean { dir } else { image }, secrets).await
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = {
            let e = entry.unwrap();
            (e.path(), to.join(e.file_name()))
        };
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_disabled_or_wait_for_deletion_stop_puts_and_reads() {
    let secrets = tempfile::tempdir().unwrap();
    let node = start(tempfile::tempdir().unwrap(), secrets.path()).await;
    let key = make_key(&node).await;
    node.stream("s", 1).await;
    node.ok("StartStreamEncryption", start_input("s", &key)).await;
    let iterator = json!({"StreamName": "s", "ShardId": "shardId-000000000000",
        "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = node.ok("GetShardIterator", iterator).await["ShardIterator"].clone();
    let get = json!({"ShardIterator": iterator});
    node.ok("PutRecord", one("s")).await;

    let named = json!({"KeyId": key});
    kms(&node, "DisableKey", named.clone()).await;
    let disabled = format!("KMSDisabledException: {key} is disabled.");
    assert_eq!(node.refused("PutRecord", one("s")).await, disabled);
    assert_eq!(node.refused("PutRecords", many("s", 2)).await, disabled);
    assert_eq!(node.refused("GetRecords", get.clone()).await, disabled);
    node.stream("other", 1).await;
    let start = start_input("other", &key);
    assert_eq!(node.refused("StartStreamEncryption", start.clone()).await, disabled);
    node.ok("DescribeStream", json!({"StreamName": "s"})).await;

    kms(&node, "EnableKey", named.clone()).await;
    node.ok("PutRecord", one("s")).await;
    let page = node.ok("GetRecords", get.clone()).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 2);

    let deletion = json!({"KeyId": key, "PendingWindowInDays": 7});
    kms(&node, "ScheduleKeyDeletion", deletion).await;
    let pending = format!("KMSInvalidStateException: {key} is pending deletion.");
    assert_eq!(node.refused("PutRecord", one("s")).await, pending);
    assert_eq!(node.refused("GetRecords", get.clone()).await, pending);
    kms(&node, "CancelKeyDeletion", named.clone()).await;
    kms(&node, "EnableKey", named).await;
    let page = node.ok("GetRecords", get).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_records_stay_readable_after_another_key_and_after_rotation() {
    let secrets = tempfile::tempdir().unwrap();
    let node = start(tempfile::tempdir().unwrap(), secrets.path()).await;
    let (first, second) = (make_key(&node).await, make_key(&node).await);
    node.stream("s", 1).await;
    node.ok("StartStreamEncryption", start_input("s", &first)).await;
    node.ok("PutRecord", one("s")).await;
    kms(&node, "RotateKeyOnDemand", json!({"KeyId": first})).await;
    node.ok("PutRecord", one("s")).await;
    node.ok("StartStreamEncryption", start_input("s", &second)).await;
    node.ok("PutRecord", one("s")).await;
    node.ok("StopStreamEncryption", start_input("s", &second)).await;
    node.ok("PutRecord", one("s")).await;
    let node = start_again(node, secrets.path(), false).await;
    let records = node.read_all("s", "shardId-000000000000").await;
    let sealed: Vec<bool> = records.iter().map(|r| r["EncryptionType"] == "KMS").collect();
    assert_eq!(sealed, [true, true, true, false]);
    node.stop().await;
}

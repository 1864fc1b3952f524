//! Keys of a node over its real doors: restarts, the root key and its holders, and other nodes that
//! use this one's KMS as theirs.
#![allow(clippy::disallowed_methods)]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use millstream_base::{AccountId, Region, Scope};
use millstream_keyring::{AwsKms, AwsKmsOptions};
use millstream_secrets::{EncryptionContext, KeyError, KeyRing};
use millstream_server::Config;
use millstream_server::config::units::Span;
use serde_json::{Value, json};
use support::{Answer, Request, TestNode, start_when_free};

async fn call(node: &TestNode, operation: &str, input: Value) -> Answer {
    let target = format!("TrentService.{operation}");
    let request = Request::json("X", &input).replace("X-Amz-Target", &target);
    node.connect().await.send(&request).await
}

async fn ok(node: &TestNode, operation: &str, input: Value) -> Value {
    let answer = call(node, operation, input.clone()).await;
    assert_eq!(answer.status, 200, "{operation} {input}: {answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

async fn make_key(node: &TestNode) -> String {
    let made = ok(node, "CreateKey", json!({})).await;
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

async fn encrypt(node: &TestNode, key: &str) -> Value {
    let input = json!({ "KeyId": key, "Plaintext": "aGVsbG8=" });
    ok(node, "Encrypt", input).await["CiphertextBlob"].clone()
}

async fn opens(node: &TestNode, blob: &Value) -> bool {
    let answer = call(node, "Decrypt", json!({ "CiphertextBlob": blob })).await;
    answer.status == 200 && answer.json()["Plaintext"] == "aGVsbG8="
}

/// Keeps the root key in `file`.
fn held_by(file: &Path) -> impl Fn(&mut Config) + use<> {
    let root = format!("file:{}", file.display());
    move |config| config.keys.root = root.clone()
}

/// A directory for root keys, outside of all data.
fn outside() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("root.key");
    (dir, file)
}

/// Stops a node and keeps its directory.
async fn stop(node: TestNode) -> tempfile::TempDir {
    assert!(node.node.shutdown().await);
    node.dir
}

async fn refusal(dir: &Path, change: impl FnOnce(&mut Config)) -> String {
    let mut config = support::config(dir);
    change(&mut config);
    match start_when_free(config).await {
        Ok(_) => panic!("the node should not have started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn keys_live_over_restarts_and_only_with_their_root_key() {
    let (_outside, file) = outside();
    let node = TestNode::start_with(held_by(&file)).await;
    assert!(!file.exists(), "a node that keeps no secret needs no root key");
    let key = make_key(&node).await;
    let blob = encrypt(&node, &key).await;
    assert!(file.exists());
    let dir = stop(node).await;

    let (_elsewhere, other) = outside();
    let missing = refusal(dir.path(), held_by(&other)).await;
    assert!(missing.contains("there is no root key in file"), "{missing}");
    assert!(!other.exists(), "another one would be of no use");
    millstream_keyring::make_file(&other).unwrap();
    let wrong = refusal(dir.path(), held_by(&other)).await;
    assert!(wrong.contains("sealed with another root key"), "{wrong}");

    let node = TestNode::start_in(dir, held_by(&file)).await;
    assert!(opens(&node, &blob).await);
    stop(node).await;
}

#[tokio::test]
async fn a_new_holder_takes_over_from_the_old_one() {
    let (_outside, old) = outside();
    let new = old.with_file_name("new.key");
    let node = TestNode::start_with(held_by(&old)).await;
    let key = make_key(&node).await;
    let blob = encrypt(&node, &key).await;
    let dir = stop(node).await;

    let both = |config: &mut Config| {
        held_by(&new)(config);
        config.keys.old_roots = vec![format!("file:{}", old.display())];
    };
    let node = TestNode::start_in(dir, both).await;
    assert!(opens(&node, &blob).await);
    let dir = stop(node).await;

    std::fs::remove_file(&old).unwrap();
    let node = TestNode::start_in(dir, held_by(&new)).await;
    assert!(opens(&node, &blob).await, "the old one is not needed any more");
    stop(node).await;
}

/// What is encrypted, and the keys themselves, stand nowhere in the directory.
#[tokio::test]
async fn nothing_of_a_key_or_a_plaintext_is_in_the_data_directory() {
    let (_outside, file) = outside();
    let node = TestNode::start_with(held_by(&file)).await;
    let key = make_key(&node).await;
    let data = ok(&node, "GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})).await;
    let secret = data["Plaintext"].as_str().unwrap().to_owned();
    let plain = "cGxhbnRlZCBwbGFpbnRleHQ=";
    ok(&node, "Encrypt", json!({"KeyId": key, "Plaintext": plain})).await;
    let dir = stop(node).await;
    let root = std::fs::read_to_string(&file).unwrap();
    let decoded = |text: &str| base64_simd::STANDARD.decode_to_vec(text.trim()).unwrap();
    let mut wanted = vec![b"planted plaintext".to_vec(), decoded(&secret), decoded(&root)];
    wanted.extend([plain, &secret, root.trim()].map(|text| text.as_bytes().to_vec()));
    let mut folders = vec![dir.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            for wanted in &wanted {
                let found = memchr::memmem::find(&bytes, wanted);
                assert_eq!(found, None, "{} holds a secret", path.display());
            }
        }
    }
    assert!(files > 3, "{files} files were searched");
}

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap())
}

/// AWS KMS as a key ring, its counterpart being our own node's KMS API.
#[tokio::test]
async fn the_ring_of_aws_kms_works_against_a_nodes_kms() {
    let (_outside, file) = outside();
    let node = TestNode::start_with(held_by(&file)).await;
    let options = AwsKmsOptions {
        endpoint: Some(node.node.endpoint()),
        region: Some("us-east-1".to_owned()),
        refresh_interval: Duration::from_millis(100),
        ..AwsKmsOptions::default()
    };
    let ring = AwsKms::connect(options).await.unwrap();
    let scope = scope();
    let key = ring.resolve(&scope, "alias/aws/kinesis").await.unwrap();
    assert!(key.as_str().starts_with("arn:aws:kms:us-east-1:"), "{key}");
    let arn = make_key(&node).await;
    let key = ring.resolve(&scope, &arn).await.unwrap();
    let context: EncryptionContext = [("stream".to_owned(), "orders".to_owned())].into();
    let made = ring.generate_data_key(&key, &context).await.unwrap();
    assert_eq!(made.plaintext.len(), 32);
    let opened = ring.unwrap_data_key(&key, &made.wrapped, &context).await;
    assert_eq!(opened.unwrap(), made.plaintext);
    let wrong = ring.unwrap_data_key(&key, &made.wrapped, &EncryptionContext::new()).await;
    assert!(matches!(wrong, Err(KeyError::InvalidCiphertext { .. })), "{wrong:?}");
    let missing = ring.resolve(&scope, "alias/nobody").await;
    assert!(matches!(missing, Err(KeyError::NotFound { .. })), "{missing:?}");

    // What happens to the key elsewhere is heard of without a call of ours.
    assert_eq!(ring.usable(&key), Ok(()));
    ok(&node, "DisableKey", json!({ "KeyId": arn })).await;
    while ring.usable(&key).is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(ring.usable(&key), Err(KeyError::Disabled { .. })));
    let refused = ring.unwrap_data_key(&key, &made.wrapped, &context).await;
    assert!(matches!(refused, Err(KeyError::Disabled { .. })), "{refused:?}");
    ok(&node, "EnableKey", json!({ "KeyId": arn })).await;
    while ring.usable(&key).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop(node).await;
}

/// A node whose root key is held by another node's KMS starts only while that key is usable.
#[tokio::test]
async fn a_root_key_can_be_held_by_another_nodes_kms() {
    let (_outside, file) = outside();
    let holder = TestNode::start_with(held_by(&file)).await;
    let arn = make_key(&holder).await;
    let endpoint = holder.node.endpoint();
    let held = |config: &mut Config| {
        config.keys.root = format!("aws-kms:{arn}");
        config.keys.aws_endpoint = endpoint.clone();
        config.keys.aws_region = "us-east-1".to_owned();
        config.keys.refresh_interval = Span::from_secs(1);
    };
    let node = TestNode::start_with(held).await;
    let key = make_key(&node).await;
    let blob = encrypt(&node, &key).await;
    let dir = stop(node).await;

    ok(&holder, "DisableKey", json!({ "KeyId": arn })).await;
    let refused = refusal(dir.path(), held).await;
    assert!(refused.contains("DisabledException"), "{refused}");
    ok(&holder, "EnableKey", json!({ "KeyId": arn })).await;
    let node = TestNode::start_in(dir, held).await;
    assert!(opens(&node, &blob).await);
    stop(node).await;
    stop(holder).await;
}

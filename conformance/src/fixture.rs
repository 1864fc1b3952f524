//! Data directories of older releases: made once per format, opened by every later release.
//!
//! [`make`] writes a small story through the real binary and packs the data directory beside a
//! description of what is in it; [`open`] unpacks one, starts the binary on it and compares.
//! `cargo run -p conformance --bin make-fixture -- v1` makes a committed one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::base64;
use crate::client::{Call, Client, Codec};
use crate::matcher::decimal_key;
use crate::raw::{Raw, Version};
use crate::scene;
use crate::server::{Options, Server};

/// Hours the records of a fixture are kept, the longest there is.
const RETENTION_HOURS: u32 = 8760;

/// Where the committed ones are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The committed ones' names, in order.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.strip_suffix(".tar.gz").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

/// Makes `<name>.tar.gz` and `<name>.json` in `folder`.
///
/// # Errors
/// The server fails, or `tar` does.
pub fn make(folder: &Path, name: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut server = Server::start(Options::default())?;
    let mut caller = Caller::new(&server)?;
    for (stream, shards) in [("plain", 2), ("wide", 5)] {
        caller.call("CreateStream", json!({"StreamName": stream, "ShardCount": shards}))?;
        caller.wait_active(stream)?;
        let hours = json!({"StreamName": stream, "RetentionPeriodHours": RETENTION_HOURS});
        caller.call("IncreaseStreamRetentionPeriod", hours)?;
        caller.wait_active(stream)?;
        caller.call("AddTagsToStream", json!({"StreamName": stream, "Tags": {"made": name}}))?;
        caller.put(stream, "stopped")?;
    }
    caller.call("CreateStream", json!({"StreamName": "deleted", "ShardCount": 1}))?;
    caller.wait_active("deleted")?;
    caller.call("DeleteStream", json!({"StreamName": "deleted"}))?;
    // Once through a clean end and once through a crash, so that both kinds of files are there.
    server.stop()?;
    server.restart()?;
    let mut caller = Caller::new(&server)?;
    caller.put("plain", "crashed")?;
    let content = caller.content()?;
    server.kill()?;
    std::fs::write(folder.join(format!("{name}.json")), serde_json::to_vec_pretty(&content)?)?;
    let status = Command::new("tar")
        .arg("--sort=name")
        .arg("-czf")
        .arg(folder.join(format!("{name}.tar.gz")))
        .arg("-C")
        .arg(server.data_dir().parent().context("the data directory has a parent")?)
        .arg("data")
        .status()?;
    ensure!(status.success(), "tar fails");
    Ok(())
}

/// Opens one with the binary under test: everything is there, and puts go on above it.
///
/// # Errors
/// The first difference.
pub fn open(folder: &Path, name: &str) -> Result<()> {
    let home = tempfile::tempdir()?;
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(folder.join(format!("{name}.tar.gz")))
        .arg("-C")
        .arg(home.path())
        .status()?;
    ensure!(status.success(), "tar fails");
    let promised: Value =
        serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json")))?)?;
    let mut server = Server::start_in(Arc::new(home), Options::default())?;
    let mut caller = Caller::new(&server)?;
    let content = caller.content()?;
    ensure!(
        holds(&content["streams"], &promised["streams"]),
        "streams differ:\n{}\n{}",
        promised["streams"],
        content["streams"]
    );
    let age = scene::now() - promised["made"].as_f64().context("no time")?;
    if age < f64::from(RETENTION_HOURS) * 3600.0 {
        let (old, new) = (&promised["records"], &content["records"]);
        ensure!(old == new, "records differ:\n{old}\n{new}");
    }
    caller.put("plain", "after the upgrade")?;
    let after = caller.content()?;
    for (shard, records) in promised["records"].as_object().context("no records")? {
        let last = |records: &Value| {
            let last = records.as_array().and_then(|all| all.last()?["SequenceNumber"].as_str());
            last.map(str::to_owned)
        };
        let (old, new) = (last(records), last(&after["records"][shard]));
        if let (true, Some(old)) = (shard.starts_with("plain"), old) {
            let new = new.with_context(|| format!("{shard} is empty"))?;
            ensure!(decimal_key(&new) > decimal_key(&old), "{shard}: {new} after {old}");
        }
    }
    server.stop()
}

/// Whether `found` has all that `promised` has; later releases tell more of the same things.
fn holds(found: &Value, promised: &Value) -> bool {
    match (found, promised) {
        (Value::Object(found), Value::Object(promised)) => promised
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|found| holds(found, value))),
        (Value::Array(found), Value::Array(promised)) => {
            found.len() == promised.len() && found.iter().zip(promised).all(|(f, p)| holds(f, p))
        }
        _ => found == promised,
    }
}

struct Caller(Raw);

impl Caller {
    fn new(server: &Server) -> Result<Self> {
        Ok(Self(Raw::new(server.address(), Codec::Json, Version::Http1)?))
    }

    fn call(&mut self, operation: &str, params: Value) -> Result<Value> {
        let answer = self.0.call(&Call {
            operation: operation.to_owned(),
            params,
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
        })?;
        match answer.fault {
            None => Ok(answer.body),
            Some(fault) => bail!("{operation}: {fault:?}"),
        }
    }

    fn wait_active(&mut self, stream: &str) -> Result<()> {
        for _ in 0..1000 {
            let out = self.call("DescribeStreamSummary", json!({"StreamName": stream}))?;
            if scene::part(&out, "StreamDescriptionSummary.StreamStatus")? == "ACTIVE" {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        bail!("{stream} does not become ACTIVE")
    }

    fn put(&mut self, stream: &str, word: &str) -> Result<()> {
        let record = |index: usize| {
            let data = base64::encode(format!("{word} {index} ").repeat(1 + index * 10));
            json!({"PartitionKey": format!("key-{index}"), "Data": data})
        };
        let records: Vec<Value> = (0..40).map(record).collect();
        let out = self.call("PutRecords", json!({"StreamName": stream, "Records": records}))?;
        ensure!(out["FailedRecordCount"] == 0, "{out}");
        Ok(())
    }

    /// All streams with their settings, all shards with their records.
    fn content(&mut self) -> Result<Value> {
        let mut streams = Vec::new();
        let mut records = serde_json::Map::new();
        let names = self.call("ListStreams", json!({}))?["StreamNames"].clone();
        for name in names.as_array().context("no names")? {
            let told = self.call("DescribeStream", json!({"StreamName": name}))?;
            let tags = self.call("ListTagsForStream", json!({"StreamName": name}))?;
            let shards = scene::part(&told, "StreamDescription.Shards")?.clone();
            for shard in shards.as_array().context("no shards")? {
                let id = shard["ShardId"].as_str().context("no shard id")?;
                let place = format!("{} {id}", scene::as_text(name));
                records.insert(place, self.records(name, id)?);
            }
            streams.push(json!({"stream": told, "tags": tags}));
        }
        Ok(json!({"made": scene::now(), "streams": streams, "records": records}))
    }

    fn records(&mut self, stream: &Value, shard: &str) -> Result<Value> {
        let start = json!({
            "StreamName": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
        });
        let iterator = self.call("GetShardIterator", start)?["ShardIterator"].clone();
        Ok(self.call("GetRecords", json!({"ShardIterator": iterator}))?["Records"].clone())
    }
}

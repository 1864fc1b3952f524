//! The writing side of the story: a stream, its reshards, and records with known keys.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::kpl::{self, UserRecord};
use crate::base64;
use crate::client::{Call, Client, Codec};
use crate::raw::{Raw, Version};
use crate::server::Server;

/// The access key id, which is the account here.
pub const ACCOUNT: &str = "123456789012";
/// The region of everything.
pub const REGION: &str = "us-east-1";
/// Partition keys in use.
const KEYS: usize = 40;
/// Longest wait for ACTIVE.
const ACTIVE_MAX: Duration = Duration::from_secs(60);

/// How a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One Kinesis record each.
    Plain,
    /// Every second number aggregated, one aggregate per shard.
    Mixed,
}

/// A stream and everything put into it.
pub struct Stream {
    client: Raw,
    name: String,
    arn: String,
    put: BTreeSet<String>,
    next: usize,
}

struct Shard {
    id: String,
    first: u128,
    last: u128,
}

impl Stream {
    /// Creates it and waits until it is ACTIVE.
    ///
    /// # Errors
    /// The server refuses, or it takes too long.
    pub fn create(server: &Server, name: &str, shards: usize) -> Result<Self> {
        let client = Raw::new(server.address(), Codec::Json, Version::Http1)?;
        let (name, arn) = (name.to_owned(), String::new());
        let mut stream = Self { client, name, arn, put: BTreeSet::new(), next: 0 };
        stream.call("CreateStream", json!({"ShardCount": shards}))?;
        stream.wait_active()?;
        let summary = stream.call("DescribeStreamSummary", json!({}))?;
        let arn = summary["StreamDescriptionSummary"]["StreamARN"].as_str();
        stream.arn = arn.context("a stream has an ARN")?.to_owned();
        Ok(stream)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The data of every record put until now.
    pub fn put_so_far(&self) -> &BTreeSet<String> {
        &self.put
    }

    /// Puts `numbers` records under each key, number after number; tells their data.
    ///
    /// # Errors
    /// The server does not take each of them.
    pub fn put(&mut self, numbers: usize, form: Form) -> Result<BTreeSet<String>> {
        let mut batch = BTreeSet::new();
        for _ in 0..numbers {
            let number = self.next;
            self.next += 1;
            let records: Vec<UserRecord> = (0..KEYS)
                .map(|key| UserRecord {
                    key: format!("k{key}"),
                    data: format!("k{key}/{number}").into_bytes(),
                })
                .collect();
            if form == Form::Mixed && number.is_multiple_of(2) {
                self.put_aggregated(&records)?;
            } else {
                self.put_plain(&records)?;
            }
            batch.extend((0..KEYS).map(|key| format!("k{key}/{number}")));
        }
        self.put.extend(batch.iter().cloned());
        Ok(batch)
    }

    /// Splits the open shard that begins the hash space in its middle; tells the two children.
    /// The stream may still be UPDATING afterwards.
    ///
    /// # Errors
    /// The server refuses or shows no two children.
    pub fn split_first(&mut self) -> Result<[String; 2]> {
        let parent = self.open_shards()?.into_iter().min_by_key(|shard| shard.first);
        let parent = parent.context("a stream has open shards")?;
        let middle = parent.first + (parent.last - parent.first) / 2;
        let split = json!({"ShardToSplit": parent.id, "NewStartingHashKey": middle.to_string()});
        self.call("SplitShard", split)?;
        let begin = Instant::now();
        loop {
            let all = self.call("ListShards", json!({}))?;
            let all = all["Shards"].as_array().context("Shards is a list")?;
            let mut children =
                all.iter().filter(|shard| shard["ParentShardId"] == parent.id.as_str());
            if let (Some(one), Some(two)) = (children.next(), children.next()) {
                let id = |shard: &Value| shard["ShardId"].as_str().unwrap_or_default().to_owned();
                return Ok([id(one), id(two)]);
            }
            ensure!(begin.elapsed() < ACTIVE_MAX, "no children of {} appear", parent.id);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Merges two neighbours.
    ///
    /// # Errors
    /// The server refuses.
    pub fn merge(&mut self, one: &str, other: &str) -> Result<()> {
        let merge = json!({"ShardToMerge": one, "AdjacentShardToMerge": other});
        self.call("MergeShards", merge).map(drop)
    }

    /// Waits until the stream is ACTIVE.
    ///
    /// # Errors
    /// It takes too long.
    pub fn wait_active(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let summary = self.call("DescribeStreamSummary", json!({}))?;
            let status = &summary["StreamDescriptionSummary"]["StreamStatus"];
            if status == "ACTIVE" {
                return Ok(());
            }
            ensure!(begin.elapsed() < ACTIVE_MAX, "{} stays {status}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The data of all records, shard after shard.
    ///
    /// # Errors
    /// The server refuses, or data is no text.
    pub fn read_all(&mut self) -> Result<Vec<String>> {
        let answer = self.call("ListShards", json!({}))?;
        let shards = answer["Shards"].as_array().context("Shards is a list")?.clone();
        let mut out = Vec::new();
        for shard in shards {
            let start = json!({"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
            let mut iterator = self.call("GetShardIterator", start)?["ShardIterator"].clone();
            while iterator.is_string() {
                let page = self.call_plain("GetRecords", json!({"ShardIterator": iterator}))?;
                let records = page["Records"].as_array().context("Records is a list")?;
                for record in records {
                    let data = record["Data"].as_str().and_then(base64::decode);
                    out.push(String::from_utf8(data.context("Data is base64")?)?);
                }
                let at_tip = records.is_empty() && page["MillisBehindLatest"] == 0;
                iterator = if at_tip { Value::Null } else { page["NextShardIterator"].clone() };
            }
        }
        Ok(out)
    }

    fn put_plain(&mut self, records: &[UserRecord]) -> Result<()> {
        let records = records
            .iter()
            .map(|record| json!({"PartitionKey": record.key, "Data": base64::encode(&record.data)}))
            .collect();
        self.put_records(records)
    }

    /// One aggregate per open shard. The shard map is read before each put, as the KPL's is fresh
    /// but for a moment; when a reshard comes between, readers drop what went astray, so it is not
    /// used while the stream is UPDATING.
    fn put_aggregated(&mut self, records: &[UserRecord]) -> Result<()> {
        self.wait_active()?;
        let mut out = Vec::new();
        for shard in self.open_shards()? {
            let own: Vec<UserRecord> = records
                .iter()
                .filter(|record| (shard.first..=shard.last).contains(&kpl::hash_key(&record.key)))
                .cloned()
                .collect();
            let Some(first) = own.first() else { continue };
            out.push(json!({
                "PartitionKey": "a", "ExplicitHashKey": kpl::hash_key(&first.key).to_string(),
                "Data": base64::encode(kpl::aggregate(&own)),
            }));
        }
        self.put_records(out)
    }

    fn put_records(&mut self, records: Vec<Value>) -> Result<()> {
        let answer = self.call("PutRecords", json!({"Records": records}))?;
        ensure!(answer["FailedRecordCount"] == 0, "{answer}");
        Ok(())
    }

    fn open_shards(&mut self) -> Result<Vec<Shard>> {
        let answer = self.call("ListShards", json!({"ShardFilter": {"Type": "AT_LATEST"}}))?;
        let shards = answer["Shards"].as_array().context("Shards is a list")?;
        shards.iter().map(shard).collect()
    }

    /// One call on this stream, which has to succeed.
    fn call(&mut self, operation: &str, mut params: Value) -> Result<Value> {
        params["StreamName"] = json!(self.name);
        self.call_plain(operation, params)
    }

    fn call_plain(&mut self, operation: &str, params: Value) -> Result<Value> {
        let answer = self.client.call(&Call {
            operation: operation.to_owned(),
            params,
            account: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
        })?;
        ensure!(answer.fault.is_none(), "{operation}: {:?}", answer.fault);
        Ok(answer.body)
    }
}

fn shard(value: &Value) -> Result<Shard> {
    let bound = |name: &str| -> Result<u128> {
        let text = value["HashKeyRange"][name].as_str();
        Ok(text.with_context(|| format!("no {name} in {value}"))?.parse()?)
    };
    Ok(Shard {
        id: value["ShardId"].as_str().with_context(|| format!("no id in {value}"))?.to_owned(),
        first: bound("StartingHashKey")?,
        last: bound("EndingHashKey")?,
    })
}

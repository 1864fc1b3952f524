//! The story of the product: create, put, crash, start again, get everything back.

use std::process::Command;

use conformance::client::{Call, Client, Codec};
use conformance::driver::Driver;
use conformance::raw::{Raw, Version};
use conformance::scene::part;
use conformance::server::{Options, Server};
use conformance::{base64, peers};
use serde_json::{Value, json};

/// Shards of the stream.
const SHARDS: usize = 3;

type Connect<'a> = dyn Fn(&Server) -> Box<dyn Client> + 'a;

struct Caller(Box<dyn Client>);

impl Caller {
    fn call(&mut self, operation: &str, params: Value) -> Value {
        let call = Call {
            operation: operation.to_owned(),
            params,
            account: "123456789012".to_owned(),
            region: "eu-central-1".to_owned(),
        };
        let answer = self.0.call(&call).unwrap_or_else(|error| panic!("{operation}: {error:#}"));
        assert!(answer.fault.is_none(), "{operation}: {answer:?}");
        answer.body
    }

    /// Puts records one by one and in batches; tells shard, sequence number and data of each.
    fn put(&mut self, from: usize) -> Vec<[String; 3]> {
        let text = |value: &Value, path: &str| {
            part(value, path).expect("a part of the answer").as_str().expect("a text").to_owned()
        };
        let mut placed = Vec::new();
        for number in from..from + 10 {
            let data = base64::encode(format!("single {number}"));
            let params =
                json!({"StreamName": "story", "PartitionKey": number.to_string(), "Data": data});
            let out = self.call("PutRecord", params);
            placed.push([text(&out, "ShardId"), text(&out, "SequenceNumber"), data]);
        }
        let data: Vec<String> =
            (from..from + 50).map(|number| base64::encode(format!("batch {number}"))).collect();
        let records: Vec<Value> =
            data.iter().map(|data| json!({"PartitionKey": data, "Data": data})).collect();
        let out = self.call("PutRecords", json!({"StreamName": "story", "Records": records}));
        assert_eq!(out["FailedRecordCount"], json!(0));
        for (index, data) in data.into_iter().enumerate() {
            let at = |name: &str| text(&out, &format!("Records.{index}.{name}"));
            placed.push([at("ShardId"), at("SequenceNumber"), data]);
        }
        placed
    }

    fn get_all(&mut self) -> Vec<[String; 3]> {
        let mut found = Vec::new();
        for shard in 0..SHARDS {
            let shard = format!("shardId-{shard:012}");
            let params = json!({"StreamName": "story", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
            let iterator = self.call("GetShardIterator", params)["ShardIterator"].clone();
            let out = self.call("GetRecords", json!({"ShardIterator": iterator}));
            for record in out["Records"].as_array().expect("records") {
                let text = |name: &str| record[name].as_str().expect("a text").to_owned();
                found.push([shard.clone(), text("SequenceNumber"), text("Data")]);
            }
        }
        found
    }
}

fn tell(connect: &Connect) {
    let mut server = Server::start(Options::default()).expect("the server starts");
    let mut caller = Caller(connect(&server));
    caller.call("CreateStream", json!({"StreamName": "story", "ShardCount": SHARDS}));
    while part(
        &caller.call("DescribeStreamSummary", json!({"StreamName": "story"})),
        "StreamDescriptionSummary.StreamStatus",
    )
    .expect("a status")
        != "ACTIVE"
    {}
    caller.call("AddTagsToStream", json!({"StreamName": "story", "Tags": {"a": "b"}}));
    let mut placed = caller.put(0);

    server.kill().expect("a crash");
    server.restart().expect("it starts again");
    let mut caller = Caller(connect(&server));
    same(&placed, &caller.get_all());
    let tags = caller.call("ListTagsForStream", json!({"StreamName": "story"}));
    assert_eq!(tags["Tags"], json!([{"Key": "a", "Value": "b"}]));

    placed.extend(caller.put(100));
    server.stop().expect("a clean end");
    server.restart().expect("it starts a third time");
    let mut caller = Caller(connect(&server));
    let found = caller.get_all();
    same(&placed, &found);
    for pair in found.windows(2) {
        let [[shard, number, _], [next_shard, next_number, _]] = pair else { unreachable!() };
        assert!(shard < next_shard || number < next_number, "{number} before {next_number}");
    }
    server.stop().expect("a clean end");
}

fn same(placed: &[[String; 3]], found: &[[String; 3]]) {
    let sorted = |records: &[[String; 3]]| {
        let mut records = records.to_vec();
        records.sort();
        records
    };
    assert_eq!(sorted(placed), sorted(found));
}

#[test]
fn through_boto3() {
    let Some(python) = peers::python() else { return peers::skip("boto3") };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/run_cases.py");
    tell(&|server| {
        let mut command = Command::new(&python);
        command.arg(script).arg(server.endpoint());
        Box::new(Driver::start("boto3", "boto3", command).expect("boto3 starts"))
    });
}

#[test]
fn over_raw_http() {
    tell(&|server| {
        Box::new(Raw::new(server.address(), Codec::Cbor, Version::Http2).expect("a runtime"))
    });
}

/// The options an operator types first.
#[test]
fn an_ephemeral_node_needs_no_directory() {
    let options = Options { args: vec!["--ephemeral".to_owned()], ..Options::default() };
    let mut server = Server::start(options).expect("the server starts");
    server.stop().expect("a clean end");
}

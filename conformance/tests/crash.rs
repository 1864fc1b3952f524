//! SIGKILL under load, again and again: nothing acknowledged is lost, changed, moved or doubled.
//!
//! Several writers put records one by one and in batches into several streams while another
//! creates, tags and deletes streams; the process is killed at a random moment, started again on
//! its data, and everything is read. `MILLSTREAM_CRASH_ROUNDS` sets the rounds (20),
//! `MILLSTREAM_CRASH_SEED` repeats a run's choices.

#[path = "crash/oracle.rs"]
mod oracle;
#[path = "crash/writers.rs"]
mod writers;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use conformance::chance::{self, Chance};
use conformance::client::{Answer, Call, Client, Codec};
use conformance::raw::{Raw, Version};
use conformance::scene::part;
use conformance::server::{Options, Server};
use oracle::{Oracle, STREAMS, Shard, shards};
use serde_json::{Value, json};
use writers::{Writer, controller};

/// Rounds of an ordinary run.
const ROUNDS: u64 = 20;
/// Rounds after which everything is read from the beginning and new streams are used.
const EPOCH: u64 = 20;
/// Longest time under load before the crash.
const LOAD_MAX: Duration = Duration::from_millis(700);

/// Small files, so that segments and checkpoints are in play within a round.
const SMALL_FILES: &str = r#"
[storage]
wal_file_bytes = "4MiB"
wal_bytes_max = "16MiB"
checkpoint_bytes = "256KiB"
segment_bytes_max = "2MiB"
"#;

#[test]
fn nothing_acknowledged_is_lost() {
    let rounds = chance::rounds(ROUNDS);
    let mut chance = Chance::of_run(rounds);
    let config = SMALL_FILES.to_owned();
    let mut server =
        Server::start(Options { config, ..Options::default() }).expect("the server starts");
    let mut oracle = Oracle::default();
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        if round % EPOCH == 0 {
            create_streams(server.address());
        }
        let load = Duration::from_millis(50 + chance.below(LOAD_MAX.as_millis() as u64 - 50));
        write_and_crash(&mut server, &mut oracle, round, load, &mut chance);
        let start = Instant::now();
        server.restart().unwrap_or_else(|error| panic!("round {round}: {error:#}"));
        slowest = slowest.max(start.elapsed());
        let last = round % EPOCH == EPOCH - 1 || round + 1 == rounds;
        if let Err(error) = check(server.address(), &mut oracle, last) {
            panic!("round {round}: {error}\n{}", server.log());
        }
        if last {
            delete_streams(server.address());
            oracle.forget_records();
        }
    }
    println!("{}, slowest start {slowest:?}", oracle.summary());
    assert!(oracle.acknowledged() > rounds, "hardly anything was written");
    server.stop().expect("a clean end");
}

fn write_and_crash(
    server: &mut Server,
    oracle: &mut Oracle,
    round: u64,
    load: Duration,
    chance: &mut Chance,
) {
    let address = server.address();
    let crashed = AtomicBool::new(false);
    let shared = Mutex::new(oracle);
    std::thread::scope(|scope| {
        for id in 0..writers::COUNT {
            let writer = Writer::new(id, round, chance.split());
            let (crashed, shared) = (&crashed, &shared);
            scope.spawn(move || writer.run(address, crashed, shared));
        }
        scope.spawn(|| controller(address, round, &crashed, &shared));
        std::thread::sleep(load);
        server.assert_alive().expect("the server works under load");
        crashed.store(true, Ordering::SeqCst);
        server.kill().expect("a crash");
    });
}

/// Reads what is new since the last check, or everything, and lets the oracle judge.
fn check(address: SocketAddr, oracle: &mut Oracle, everything: bool) -> Result<(), String> {
    let mut client = connect(address);
    for stream in STREAMS {
        for shard in shards(stream) {
            let after = if everything { None } else { oracle.last_checked(&shard) };
            let records = read(&mut client, &shard, after.as_deref());
            oracle.judge(&shard, &records, after.is_some())?;
        }
    }
    let names = stream_names(&mut client);
    oracle.judge_streams(&names)
}

fn connect(address: SocketAddr) -> Raw {
    Raw::new(address, Codec::Cbor, Version::Http1).expect("a runtime")
}

/// One record as it was read: number, key, data.
pub type Found = (String, String, Vec<u8>);

fn read(client: &mut Raw, shard: &Shard, after: Option<&str>) -> Vec<Found> {
    let mut params = json!({"StreamName": shard.stream, "ShardId": shard.id});
    match after {
        None => params["ShardIteratorType"] = "TRIM_HORIZON".into(),
        Some(number) => {
            params["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
            params["StartingSequenceNumber"] = number.into();
        }
    }
    let out = must(client, "GetShardIterator", &params);
    let mut iterator = out["ShardIterator"].clone();
    let mut found = Vec::new();
    loop {
        let out = must(client, "GetRecords", &json!({"ShardIterator": iterator}));
        for record in out["Records"].as_array().expect("records") {
            let text = |name: &str| record[name].as_str().expect("a text").to_owned();
            let data = conformance::base64::decode(&text("Data")).expect("base64");
            found.push((text("SequenceNumber"), text("PartitionKey"), data));
        }
        if out["MillisBehindLatest"] == 0 {
            return found;
        }
        iterator = out["NextShardIterator"].clone();
    }
}

fn stream_names(client: &mut Raw) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let mut params = json!({"Limit": 1000});
        if let Some(last) = names.last() {
            params["ExclusiveStartStreamName"] = last.as_str().into();
        }
        let out = must(client, "ListStreams", &params);
        let page = out["StreamNames"].as_array().expect("names");
        names.extend(page.iter().map(|name| name.as_str().expect("a text").to_owned()));
        if out["HasMoreStreams"] == false {
            return names;
        }
    }
}

fn create_streams(address: SocketAddr) {
    let mut client = connect(address);
    for (stream, count) in STREAMS.map(|stream| (stream, shards(stream).len())) {
        must(&mut client, "CreateStream", &json!({"StreamName": stream, "ShardCount": count}));
        wait_for(&mut client, stream, |answer| {
            let status = part(&answer.body, "StreamDescriptionSummary.StreamStatus");
            status.is_ok_and(|status| status == "ACTIVE")
        });
    }
}

fn delete_streams(address: SocketAddr) {
    let mut client = connect(address);
    for stream in STREAMS {
        must(&mut client, "DeleteStream", &json!({"StreamName": stream}));
        wait_for(&mut client, stream, |answer| answer.fault.is_some());
    }
    // The creation time is part of every number, in whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
}

fn wait_for(client: &mut Raw, stream: &str, until: impl Fn(&Answer) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let params = json!({"StreamName": stream});
        let answer = send(client, "DescribeStreamSummary", &params).expect("an answer");
        if until(&answer) {
            return;
        }
        assert!(Instant::now() < deadline, "{stream}: {answer:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// One call in the account of this test.
pub fn send(client: &mut Raw, operation: &str, params: &Value) -> anyhow::Result<Answer> {
    client.call(&Call {
        operation: operation.to_owned(),
        params: params.clone(),
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
    })
}

/// One call that succeeds, perhaps after waiting for throughput.
fn must(client: &mut Raw, operation: &str, params: &Value) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = send(client, operation, params).expect("an answer");
        match answer.fault {
            None => return answer.body,
            Some(fault)
                if fault.kind == "ProvisionedThroughputExceededException"
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(100));
            }
            Some(fault) => panic!("{operation} {params}: {fault:?}"),
        }
    }
}

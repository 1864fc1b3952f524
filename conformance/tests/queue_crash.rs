//! SIGKILL under consumers of a queue, again and again: nothing acknowledged comes back, nothing
//! else is lost, and receives that were answered count.
//!
//! Writers put records, consumers receive them and acknowledge some; the process is killed at a
//! random moment and started again on its data. At the end everything is drained.
//! `MILLSTREAM_CRASH_ROUNDS` sets the rounds (5), `MILLSTREAM_CRASH_SEED` repeats a run's choices.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use conformance::base64;
use conformance::chance::{self, Chance};
use conformance::client::{Answer, Call, Client, Codec};
use conformance::raw::{Raw, Version};
use conformance::server::{Options, Server};
use serde_json::{Value, json};

const ROUNDS: u64 = 5;
const WRITERS: u64 = 2;
const CONSUMERS: u64 = 3;
/// Longest time under load before the crash.
const LOAD_MAX: Duration = Duration::from_millis(700);
/// Records are soon visible again, so that the same ones are met in many rounds.
const VISIBILITY_SECS: u64 = 1;

/// What answers have told, over all rounds. Data are texts of our own.
#[derive(Default)]
struct Known {
    stored: BTreeSet<String>,
    done: BTreeSet<String>,
    /// Acknowledgements without an answer.
    perhaps_done: BTreeSet<String>,
    counts: BTreeMap<String, u64>,
    faults: Vec<String>,
}

impl Known {
    /// A record that was received.
    fn judge(&mut self, data: &str, receive_count: u64) {
        if self.done.contains(data) {
            self.faults.push(format!("{data} was acknowledged and came back"));
        }
        let before = self.counts.insert(data.to_owned(), receive_count).unwrap_or(0);
        if receive_count <= before {
            self.faults.push(format!("{data}: receive {receive_count} after {before}"));
        }
    }
}

#[test]
fn nothing_acknowledged_comes_back() {
    let rounds = chance::rounds(ROUNDS);
    let mut chance = Chance::of_run(rounds);
    let mut server = Server::start(Options::default()).expect("the server starts");
    let queue = create(server.address());
    let known = Mutex::new(Known::default());
    for round in 0..rounds {
        let load = Duration::from_millis(100 + chance.below(LOAD_MAX.as_millis() as u64 - 100));
        let address = server.address();
        let crashed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for id in 0..WRITERS {
                let (crashed, known) = (&crashed, &known);
                scope.spawn(move || write(address, round, id, crashed, known));
            }
            for _ in 0..CONSUMERS {
                let chance = chance.split();
                let (crashed, known, queue) = (&crashed, &known, &queue);
                scope.spawn(move || consume(address, queue, chance, crashed, known));
            }
            std::thread::sleep(load);
            server.assert_alive().expect("the server works under load");
            crashed.store(true, Ordering::SeqCst);
            server.kill().expect("a crash");
        });
        server.restart().unwrap_or_else(|error| panic!("round {round}: {error:#}"));
        let faults = std::mem::take(&mut known.lock().expect("no holder panics").faults);
        assert!(faults.is_empty(), "round {round}: {faults:?}\n{}", server.log());
    }
    let found = drain(server.address(), &queue, &known);
    let known = known.into_inner().expect("no holder panics");
    assert!(known.faults.is_empty(), "{:?}\n{}", known.faults, server.log());
    let owed = known.stored.difference(&known.done);
    let lost: Vec<_> =
        owed.filter(|r| !found.contains(*r) && !known.perhaps_done.contains(*r)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost\n{}", server.log());
    let (stored, done) = (known.stored.len(), known.done.len());
    println!("{stored} stored, {done} acknowledged, {} drained", found.len());
    assert!(done as u64 > rounds, "hardly anything was acknowledged");
    server.stop().expect("a clean end");
}

fn create(address: SocketAddr) -> String {
    let mut client = connect(address);
    let stream = json!({"StreamName": "orders", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
    must(&mut client, "CreateStream", &stream);
    let out = must(
        &mut client,
        "CreateQueue",
        &json!({
            "QueueName": "q",
            "StreamConfigurationList": [{
                "StreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
                "StartingPosition": {"Type": "TRIM_HORIZON"},
            }],
            "QueueAttributes": {
                "VisibilityTimeoutSeconds": VISIBILITY_SECS,
                "DeadLetterConfiguration": {"TargetType": "NONE"},
            },
        }),
    );
    out["QueueDescription"]["QueueARN"].as_str().expect("an ARN").to_owned()
}

/// Puts records until the crash.
fn write(address: SocketAddr, round: u64, id: u64, crashed: &AtomicBool, known: &Mutex<Known>) {
    let mut client = connect(address);
    for call in 0.. {
        let data = format!("{round}-{id}-{call}");
        let params = json!({
            "StreamName": "orders", "PartitionKey": data, "Data": base64::encode(data.as_bytes()),
        });
        match send(&mut client, "PutRecord", &params) {
            Ok(answer) if answer.fault.is_none() => {
                known.lock().expect("no holder panics").stored.insert(data);
            }
            Ok(_) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) if crashed.load(Ordering::SeqCst) => return,
            Err(error) => panic!("writer {id}: {error:#}"),
        }
    }
}

/// Receives, and acknowledges two of three, until the crash.
fn consume(
    address: SocketAddr,
    queue: &str,
    mut chance: Chance,
    crashed: &AtomicBool,
    known: &Mutex<Known>,
) {
    let mut client = connect(address);
    loop {
        let ended = |error: anyhow::Error| match crashed.load(Ordering::SeqCst) {
            true => (),
            false => panic!("consumer: {error:#}"),
        };
        let params = json!({"QueueARN": queue, "WaitTimeSeconds": 1});
        let answer = match send(&mut client, "ReceiveQueueRecords", &params) {
            Ok(answer) => answer,
            Err(error) => return ended(error),
        };
        assert!(answer.fault.is_none(), "{:?}", answer.fault);
        let received = records(&answer.body);
        let mut chosen = Vec::new();
        {
            let mut known = known.lock().expect("no holder panics");
            for (data, handle, count) in received {
                known.judge(&data, count);
                if chance.below(3) > 0 {
                    known.perhaps_done.insert(data.clone());
                    chosen.push((data, handle));
                }
            }
        }
        if chosen.is_empty() {
            continue;
        }
        let entries: Vec<Value> =
            chosen.iter().map(|(_, handle)| json!({"ReceiptHandle": handle})).collect();
        let params = json!({"QueueARN": queue, "Entries": entries});
        let answer = match send(&mut client, "AcknowledgeQueueRecords", &params) {
            Ok(answer) => answer,
            Err(error) => return ended(error),
        };
        assert!(answer.fault.is_none(), "{:?}", answer.fault);
        let good = answer.body["Successful"].as_array().expect("a list");
        let mut known = known.lock().expect("no holder panics");
        for (data, handle) in chosen {
            known.perhaps_done.remove(&data);
            if good.iter().any(|entry| entry["ReceiptHandle"] == *handle) {
                known.done.insert(data);
            }
        }
    }
}

/// Everything that is left, until nothing comes for longer than records are hidden.
fn drain(address: SocketAddr, queue: &str, known: &Mutex<Known>) -> BTreeSet<String> {
    let mut client = connect(address);
    let mut found = BTreeSet::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let wait = 2 * VISIBILITY_SECS + 1;
        let params = json!({
            "QueueARN": queue, "WaitTimeSeconds": wait, "VisibilityTimeoutSeconds": 3600,
        });
        let out = must(&mut client, "ReceiveQueueRecords", &params);
        let received = records(&out);
        if received.is_empty() {
            return found;
        }
        let mut known = known.lock().expect("no holder panics");
        for (data, _, count) in received {
            known.judge(&data, count);
            found.insert(data);
        }
        assert!(Instant::now() < deadline, "the queue does not run dry");
    }
}

/// Data, handle and receive count of what an answer holds.
fn records(out: &Value) -> Vec<(String, String, u64)> {
    let one = |record: &Value| {
        let text = |name: &str| record[name].as_str().expect("a text").to_owned();
        let data = base64::decode(&text("Data")).expect("base64");
        let data = String::from_utf8(data).expect("our own text");
        (data, text("ReceiptHandle"), record["ReceiveCount"].as_u64().expect("a count"))
    };
    out["QueueRecords"].as_array().expect("records").iter().map(one).collect()
}

fn connect(address: SocketAddr) -> Raw {
    Raw::new(address, Codec::Json, Version::Http1).expect("a runtime")
}

fn send(client: &mut Raw, operation: &str, params: &Value) -> anyhow::Result<Answer> {
    client.call(&Call {
        operation: operation.to_owned(),
        params: params.clone(),
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
    })
}

fn must(client: &mut Raw, operation: &str, params: &Value) -> Value {
    let answer = send(client, operation, params).expect("an answer");
    match answer.fault {
        None => answer.body,
        Some(fault) => panic!("{operation} {params}: {fault:?}"),
    }
}

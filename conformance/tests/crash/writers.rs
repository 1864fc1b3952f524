//! The load: writers of single records, writers of batches, and one that makes and deletes streams.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use conformance::base64;
use conformance::chance::Chance;
use conformance::client::{Answer, Codec};
use conformance::raw::{Raw, Version};
use serde_json::{Value, json};

use crate::oracle::{Oracle, RecordId, STREAMS};
use crate::send;

/// Writers side by side; every second one sends batches.
pub const COUNT: u64 = 6;
/// Most records of one batch.
const BATCH_MAX: u64 = 60;
/// Keys of one writer of batches.
const KEYS: u64 = 5;

/// One writer: one connection, one call at a time, keys of its own.
pub struct Writer {
    id: u64,
    round: u64,
    chance: Chance,
    call: u64,
}

impl Writer {
    pub fn new(id: u64, round: u64, chance: Chance) -> Self {
        Self { id, round, chance, call: 0 }
    }

    /// Writes until the crash.
    ///
    /// # Panics
    /// When a call fails before it.
    pub fn run(mut self, address: SocketAddr, crashed: &AtomicBool, oracle: &Mutex<&mut Oracle>) {
        let mut client = Raw::new(address, Codec::Json, Version::Http1).expect("a runtime");
        let stream = STREAMS[(self.id % STREAMS.len() as u64) as usize];
        loop {
            self.call += 1;
            let batch = self.id % 2 == 1;
            let count = if batch { 1 + self.chance.below(BATCH_MAX) } else { 1 };
            let ids: Vec<RecordId> = (0..count).map(|index| self.record(index)).collect();
            {
                let mut oracle = oracle.lock().expect("no holder panics");
                ids.iter().for_each(|id| oracle.attempt(id));
            }
            let sent = if batch {
                let records: Vec<Value> = ids.iter().map(entry).collect();
                send(&mut client, "PutRecords", &json!({"StreamName": stream, "Records": records}))
            } else {
                let mut params = entry(&ids[0]);
                params["StreamName"] = stream.into();
                send(&mut client, "PutRecord", &params)
            };
            let answer = match sent {
                Ok(answer) => answer,
                Err(_) if crashed.load(Ordering::SeqCst) => return,
                Err(error) => panic!("writer {}: {error:#}", self.id),
            };
            let throttled =
                note(&answer, &ids, stream, &mut oracle.lock().expect("no holder panics"));
            if throttled {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn record(&self, index: u64) -> RecordId {
        let key = format!("writer-{}-{}", self.id, index % KEYS);
        RecordId { key, round: self.round, call: self.call, index }
    }
}

fn entry(id: &RecordId) -> Value {
    json!({"PartitionKey": id.key, "Data": base64::encode(id.data())})
}

/// Tells the oracle what became of the records; whether some were throttled.
fn note(answer: &Answer, ids: &[RecordId], stream: &str, oracle: &mut Oracle) -> bool {
    if let Some(fault) = &answer.fault {
        assert_eq!(fault.kind, "ProvisionedThroughputExceededException", "{answer:?}");
        ids.iter().for_each(|id| oracle.refuse(id));
        return true;
    }
    let single = [answer.body.clone()];
    let results = match answer.body.get("Records").and_then(Value::as_array) {
        Some(results) => results.as_slice(),
        None => &single,
    };
    assert_eq!(results.len(), ids.len(), "results and records differ in number");
    let mut throttled = false;
    for (id, result) in ids.iter().zip(results) {
        match (result["ShardId"].as_str(), result["SequenceNumber"].as_str()) {
            (Some(shard), Some(number)) => oracle.acknowledge(id, stream, shard, number),
            _ => {
                assert_eq!(result["ErrorCode"], "ProvisionedThroughputExceededException");
                oracle.refuse(id);
                throttled = true;
            }
        }
    }
    throttled
}

/// Makes streams and deletes some of them again, until the crash.
///
/// # Panics
/// When a call fails before it.
pub fn controller(
    address: SocketAddr,
    round: u64,
    crashed: &AtomicBool,
    oracle: &Mutex<&mut Oracle>,
) {
    let mut client = Raw::new(address, Codec::Json, Version::Http2).expect("a runtime");
    for number in 0..8_u64 {
        let name = format!("made-{round}-{number}");
        let mut act = |operation: &str, params: &Value| match send(&mut client, operation, params) {
            Ok(answer) => {
                assert!(answer.fault.is_none(), "{operation}: {answer:?}");
                true
            }
            Err(_) if crashed.load(Ordering::SeqCst) => false,
            Err(error) => panic!("{operation} {params}: {error:#}"),
        };
        if !act("CreateStream", &json!({"StreamName": name, "ShardCount": 1})) {
            return;
        }
        oracle.lock().expect("no holder panics").created(&name);
        if number % 2 == 0 {
            oracle.lock().expect("no holder panics").deleting(&name);
            if !act("DeleteStream", &json!({"StreamName": name})) {
                return;
            }
            oracle.lock().expect("no holder panics").deleted(&name);
        }
        std::thread::sleep(Duration::from_millis(40));
    }
}

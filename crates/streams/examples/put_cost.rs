//! What the engine itself costs per record: PutRecords x 500 against a log that only answers.
//!
//! Counts processor time (as Linux keeps it), so that a busy machine does not disturb.
//!
//! `cargo run --release -p millstream-streams --example put_cost`
#![allow(clippy::disallowed_methods)]

#[path = "support/no_log.rs"]
mod no_log;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millstream_base::{AccountId, Region, Scope, StreamArn, StreamName};
use millstream_env::Env;
use millstream_meta::MemoryMeta;
use millstream_streams::{CreateStream, NewRecord, Options, PutResult, Streams};
use no_log::{NoLog, processor_time};

const RECORDS: usize = 500;
const ROUNDS: usize = 2000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let env = Env::real(".");
    let meta = Arc::new(MemoryMeta::new(env.clone()));
    let streams = Streams::new(env, Arc::new(NoLog), meta, Options::default()).await.unwrap();
    let body = Bytes::from(vec![b'x'; RECORDS * 1100]);
    for shards in [1, 4, 16, 256] {
        let name = StreamName::new(&format!("s{shards}")).unwrap();
        let scope = Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap());
        let stream = StreamArn::new(scope, name);
        streams.create_stream(CreateStream::provisioned(stream.clone(), shards)).await.unwrap();
        let keys: Vec<Bytes> = (0..RECORDS).map(|i| format!("key-{i:08}").into()).collect();
        let record = |i: usize| NewRecord {
            partition_key: Some(keys[i].clone()),
            explicit_hash_key: None,
            data: body.slice(i * 1024..(i + 1) * 1024),
        };
        let begun = processor_time();
        let mut last = Vec::new();
        for _ in 0..ROUNDS {
            let outcome =
                streams.put_records(&stream, (0..RECORDS).map(record).collect()).await.unwrap();
            last = outcome.results;
        }
        let put = processor_time() - begun;
        let begun = processor_time();
        for _ in 0..ROUNDS {
            for result in &last {
                if let PutResult::Stored(stored) = result {
                    black_box(black_box(stored).sequence_number.digits());
                }
            }
        }
        let print = processor_time() - begun;
        let per = |d: Duration| d.as_nanos() as f64 / (RECORDS * ROUNDS) as f64;
        let (put, print) = (per(put), per(print));
        println!("{shards:>4} shards: {put:5.0} ns a record, {print:4.0} ns to print its number");
    }
}

//! What the engine itself costs per record: PutRecords x 500 against a log that only answers.
//!
//! Counts processor time (as Linux keeps it), so that a busy machine does not disturb.
//!
//! `cargo run --release -p millstream-streams --example put_cost`
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millstream_base::{AccountId, Region, Scope, StreamArn, StreamName, Timestamp};
use millstream_env::{BoxFuture, Env};
use millstream_log::{
    AppendError, Batch, Entries, LogError, LogId, LogStore, Position, PositionRange, ReadError,
    ReadLimit, Tail,
};
use millstream_meta::MemoryMeta;
use millstream_streams::{CreateStream, NewRecord, Options, PutResult, Streams};
use tokio::sync::watch;

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

/// What this thread has used so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let used = stat.split(' ').next().expect("its first number is the time used");
    Duration::from_nanos(used.parse().expect("in nanoseconds"))
}

/// Takes everything and keeps nothing.
struct NoLog;

impl LogStore for NoLog {
    fn create(&self, _: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Ok(()) })
    }
    fn append(
        &self,
        batches: Vec<(LogId, Batch)>,
    ) -> BoxFuture<'_, Vec<Result<PositionRange, AppendError>>> {
        let first = Position::new(77, 0);
        let range = |(_, b): (_, Batch)| {
            Ok(PositionRange { first, count: b.entries.len() as u32, at: b.at })
        };
        let ranges = batches.into_iter().map(range).collect();
        Box::pin(async { ranges })
    }
    fn read(
        &self,
        log: LogId,
        _: Position,
        _: ReadLimit,
    ) -> BoxFuture<'_, Result<Entries, ReadError>> {
        Box::pin(async move { Err(ReadError::NotFound { log }) })
    }
    fn find(&self, log: LogId, _: Timestamp) -> BoxFuture<'_, Result<Position, ReadError>> {
        Box::pin(async move { Err(ReadError::NotFound { log }) })
    }
    fn tail(&self, log: LogId) -> Result<watch::Receiver<Tail>, LogError> {
        Err(LogError::NotFound { log })
    }
    fn trim(&self, _: LogId, _: Position) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Ok(()) })
    }
    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Tail, LogError>> {
        Box::pin(async move { Err(LogError::NotFound { log }) })
    }
    fn delete(&self, _: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async { Ok(()) })
    }
}

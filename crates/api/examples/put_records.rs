//! Times decoding and encoding of a PutRecords request of 500 records of 1 KiB, both codecs.
//!
//! `cargo run --release -p millstream-api --example put_records`

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millstream_api::kinesis::{
    GetRecordsOutput, PutRecordsInput, PutRecordsRequestEntry, Record, SERVICE,
};
use millstream_wire::{Codec, Time, check};

const ROUNDS: usize = 2000;

fn main() {
    let input = PutRecordsInput {
        records: (0..500).map(entry).collect(),
        stream_name: Some("orders".to_owned()),
        ..Default::default()
    };
    let output = GetRecordsOutput {
        records: (0..500).map(record).collect(),
        next_shard_iterator: Some("AAAA".repeat(60)),
        ..Default::default()
    };
    for codec in [Codec::Json, Codec::Cbor] {
        let body = codec.encode(&input);
        let decode = best(|| codec.decode::<PutRecordsInput>(black_box(&body)).expect("a body"));
        let (value, missing) = codec.decode::<PutRecordsInput>(&body).expect("a body");
        let validate = best(|| check::validate(&value, &missing, SERVICE.namespace));
        let encode = best(|| codec.encode(black_box(&output)));
        println!(
            "{codec:?}: {} bytes, decode {decode:?}, validate {validate:?}, encode {encode:?}",
            body.len()
        );
    }
}

/// The median of many rounds.
fn best<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

fn entry(i: usize) -> PutRecordsRequestEntry {
    PutRecordsRequestEntry {
        data: data(i),
        partition_key: Some(format!("partition-key-{i}").into()),
        explicit_hash_key: None,
    }
}

fn record(i: usize) -> Record {
    Record {
        data: data(i),
        partition_key: Some(format!("partition-key-{i}").into()),
        sequence_number: format!("{:056}", i).into(),
        approximate_arrival_timestamp: Some(Time::from_millis(1_700_000_000_123)),
        ..Default::default()
    }
}

fn data(i: usize) -> Bytes {
    (0..1024).map(|j| (i * 7 + j * 31) as u8).collect()
}

//! What quotas cost per record: PutRecords x 500 against a log that only answers, without quotas,
//! within them, beyond them where they are only measured, and refused.
//!
//! Rounds are interleaved and the least of each counts, in processor time (as Linux keeps it).
//!
//! `cargo run --release -p millstream-streams --example quota_cost`
#![allow(clippy::disallowed_methods)]

#[path = "support/no_log.rs"]
mod no_log;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millstream_base::{AccountId, Region, Scope, StreamArn, StreamName};
use millstream_env::Env;
use millstream_meta::MemoryMeta;
use millstream_streams::{
    CreateStream, NewRecord, Options, PerSecond, QuotaMode, QuotaSettings, Quotas, Streams,
};
use no_log::{NoLog, processor_time};

const RECORDS: usize = 500;
const CALLS: usize = 200;
const ROUNDS: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let body = Bytes::from(vec![b'x'; RECORDS * 1100]);
    let keys: Vec<Bytes> = (0..RECORDS).map(|i| format!("key-{i:08}").into()).collect();
    let record = |i: usize| NewRecord {
        partition_key: Some(keys[i].clone()),
        explicit_hash_key: None,
        data: body.slice(i * 1024..(i + 1) * 1024),
    };
    let aws = Quotas::default();
    let most = PerSecond::of(u32::MAX);
    let wide = Quotas { write_records: most, write_bytes: most, ..aws };
    let kinds = [
        ("without quotas", Quotas { mode: QuotaMode::Off, ..aws }),
        ("within quotas", Quotas { mode: QuotaMode::Enforced, ..wide }),
        ("beyond, measured", Quotas { mode: QuotaMode::Measured, ..aws }),
        ("beyond, refused", Quotas { mode: QuotaMode::Enforced, ..aws }),
    ];
    for shards in [1, 4, 16] {
        let mut engines = Vec::new();
        for (_, quotas) in kinds {
            engines.push(engine(quotas, shards).await);
        }
        let mut least = [Duration::MAX; 4];
        for _ in 0..ROUNDS {
            for ((streams, stream), least) in engines.iter().zip(&mut least) {
                let begun = processor_time();
                for _ in 0..CALLS {
                    let records = (0..RECORDS).map(record).collect();
                    streams.put_records(stream, records).await.unwrap();
                }
                *least = processor_time().saturating_sub(begun).min(*least);
            }
        }
        let per = |d: Duration| d.as_nanos() as f64 / (RECORDS * CALLS) as f64;
        println!("{shards} shards");
        for ((name, _), d) in kinds.iter().zip(least) {
            println!("  {name:<17} {:6.1} ns a record, {:+5.1}", per(d), per(d) - per(least[0]));
        }
    }
}

async fn engine(quotas: Quotas, shards: u32) -> (Streams, StreamArn) {
    let env = Env::real(".");
    let meta = Arc::new(MemoryMeta::new(env.clone()));
    let quotas = QuotaSettings { default: quotas, ..QuotaSettings::default() };
    let options = Options { quotas, ..Options::default() };
    let streams = Streams::new(env, Arc::new(NoLog), meta, options).await.unwrap();
    let scope = Scope::new(AccountId::DEFAULT, Region::new("us-east-1").unwrap());
    let stream = StreamArn::new(scope, StreamName::new("s").unwrap());
    streams.create_stream(CreateStream::provisioned(stream.clone(), shards)).await.unwrap();
    (streams, stream)
}

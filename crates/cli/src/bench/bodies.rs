//! Requests with random records, written once before a run.

use anyhow::bail;
use bytes::Bytes;
use millstream_api::kinesis::{PutRecordInput, PutRecordsInput, PutRecordsRequestEntry, ops};
use millstream_client::Client;
use millstream_env::Env;

/// Most bytes of all requests that are kept ready.
const BYTES_MAX: u64 = 512 << 20;
/// Different batches, if there are not more streams than that.
const BATCHES: usize = 8;
/// Different single records, likewise.
const SINGLES: usize = 1024;

/// What the records are like.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    /// `None`: PutRecord.
    pub per_request: Option<u32>,
    pub bytes: u32,
}

/// Requests that put random records with random keys, in turn into each of `streams`.
///
/// # Errors
/// They would take more memory than a load generator should.
pub fn requests(
    env: &Env,
    client: &Client,
    streams: &[String],
    records: Records,
) -> anyhow::Result<Vec<http::Request<Bytes>>> {
    let count = streams.len().max(if records.per_request.is_some() { BATCHES } else { SINGLES });
    // JSON needs a third more, and each is kept with its head beside its body.
    let each = u64::from(records.per_request.unwrap_or(1)) * u64::from(records.bytes) * 3;
    let count = match (BYTES_MAX / each.max(1)) as usize {
        most if most < streams.len() => bail!(
            "requests for {} streams would take more than {} MiB: fewer streams, records, or \
             bytes, please",
            streams.len(),
            BYTES_MAX >> 20
        ),
        most => count.min(most),
    };
    Ok((0..count)
        .map(|i| {
            let stream = streams[i % streams.len()].clone();
            match records.per_request {
                Some(n) => batch(env, client, stream, n, records.bytes),
                None => single(env, client, stream, records.bytes),
            }
        })
        .collect())
}

fn batch(env: &Env, client: &Client, stream: String, n: u32, bytes: u32) -> http::Request<Bytes> {
    let entry = |_| PutRecordsRequestEntry {
        data: data(env, bytes),
        partition_key: Some(key(env).into()),
        ..PutRecordsRequestEntry::default()
    };
    client.encode::<ops::PutRecords>(&PutRecordsInput {
        stream_name: Some(stream),
        records: (0..n).map(entry).collect(),
        ..PutRecordsInput::default()
    })
}

fn single(env: &Env, client: &Client, stream: String, bytes: u32) -> http::Request<Bytes> {
    client.encode::<ops::PutRecord>(&PutRecordInput {
        stream_name: Some(stream),
        data: data(env, bytes),
        partition_key: Some(key(env)),
        ..PutRecordInput::default()
    })
}

fn data(env: &Env, bytes: u32) -> Bytes {
    let mut data = vec![0; bytes as usize];
    env.chance.fill(&mut data);
    data.into()
}

fn key(env: &Env) -> String {
    format!("{:016x}", env.random_u64())
}

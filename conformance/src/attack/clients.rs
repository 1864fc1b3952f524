//! Good clients: each puts and gets on a connection of its own, at a steady pace, and is timed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Field, GOOD_CLIENTS};

/// The stream of the good ones: a shard each.
const STREAM: &str = "good";
/// A stream full of records for those who ask for much.
pub(super) const HEAVY: &str = "heavy";
/// How often each does something.
const PACE: Duration = Duration::from_millis(20);
/// Every so many puts a get: shards give five reads per second.
const GET_EVERY: u64 = 20;
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What the good ones saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) times_us: Vec<u64>,
    pub(super) errors: u64,
    pub(super) error: Option<String>,
}

pub(super) struct Good {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Makes the streams and fills the heavy one.
pub(super) async fn prepare(address: SocketAddr) -> Result<()> {
    let mut client = Client::connect(address).await?;
    for (name, shards) in [(STREAM, GOOD_CLIENTS), (HEAVY, 1)] {
        let input = json!({"StreamName": name, "ShardCount": shards});
        client.call("CreateStream", &input).await?;
    }
    let data = "A".repeat(1 << 20);
    for _ in 0..6 {
        let input = json!({"StreamName": HEAVY, "Data": data, "PartitionKey": "k"});
        for _ in 0..50 {
            if client.call("PutRecord", &input).await.is_ok() {
                break;
            }
            client = Client::connect(address).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

/// An iterator at the beginning of the heavy stream.
pub(super) async fn heavy_iterator(address: SocketAddr) -> Result<Value> {
    iterator(&mut Client::connect(address).await?, HEAVY, 0, "TRIM_HORIZON").await
}

async fn iterator(client: &mut Client, stream: &str, shard: usize, kind: &str) -> Result<Value> {
    let input = json!({
        "StreamName": stream, "ShardId": format!("shardId-{shard:012}"), "ShardIteratorType": kind,
    });
    Ok(client.call("GetShardIterator", &input).await?["ShardIterator"].clone())
}

pub(super) fn start(field: &Field) -> Good {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let work = |shard| tokio::spawn(work(field.clone(), shard, seen.clone()));
    Good { tasks: (0..GOOD_CLIENTS).map(work).collect(), seen }
}

impl Good {
    /// Begins anew.
    pub(super) fn forget(&self) {
        *self.seen.lock().expect("no client panics") = Seen::default();
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().expect("no client panics").clone()
    }

    pub(super) async fn join(self) {
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

async fn work(field: Field, shard: usize, seen: Arc<Mutex<Seen>>) {
    let mut client = None;
    let mut turn = shard as u64;
    while !field.stop.is_set() {
        let started = Instant::now();
        turn += 1;
        let done = one(&mut client, field.address, shard, turn).await;
        let took = started.elapsed();
        {
            let mut seen = seen.lock().expect("no client panics");
            seen.times_us.push(took.as_micros() as u64);
            if let Err(error) = done {
                client = None;
                seen.errors += 1;
                seen.error.get_or_insert(format!("{error:#}").chars().take(160).collect());
            }
        }
        tokio::time::sleep(PACE.saturating_sub(took)).await;
    }
}

struct Working {
    client: Client,
    iterator: Value,
}

async fn one(
    client: &mut Option<Working>,
    address: SocketAddr,
    shard: usize,
    turn: u64,
) -> Result<()> {
    if client.is_none() {
        let mut fresh = Client::connect(address).await?;
        let iterator = iterator(&mut fresh, STREAM, shard, "LATEST").await?;
        *client = Some(Working { client: fresh, iterator });
    }
    let working = client.as_mut().expect("made above");
    if turn.is_multiple_of(GET_EVERY) {
        let input = json!({"ShardIterator": working.iterator, "Limit": 1000});
        let page = working.client.call("GetRecords", &input).await?;
        working.iterator = page["NextShardIterator"].clone();
        return Ok(());
    }
    // The middle of the shard's range of hash keys.
    let key = (u128::MAX / GOOD_CLIENTS as u128) * shard as u128 + (1 << 100);
    let data = "QUJD".repeat(256);
    let input = json!({
        "StreamName": STREAM, "Data": data, "PartitionKey": "k", "ExplicitHashKey": key.to_string(),
    });
    working.client.call("PutRecord", &input).await.map(drop)
}

/// One HTTP/1.1 connection.
pub(super) struct Client {
    stream: TcpStream,
    seen: Vec<u8>,
}

/// A request as an SDK sends it, but for the signature's proof.
pub(super) fn request(operation: &str, body: &[u8], more: &str) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: Kinesis_20131202.{operation}\r\n\
         Content-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20260101T000000Z\r\n\
         Authorization: {AUTHORIZATION}\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(super) const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
    Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, \
    Signature=00";

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Result<Client> {
        let stream = tokio::time::timeout(ANSWER_MAX, TcpStream::connect(address)).await;
        let stream = stream.context("no connection in time")??;
        stream.set_nodelay(true)?;
        Ok(Client { stream, seen: Vec::new() })
    }

    pub(super) async fn call(&mut self, operation: &str, input: &Value) -> Result<Value> {
        self.stream.write_all(&request(operation, input.to_string().as_bytes(), "")).await?;
        let answered = tokio::time::timeout(ANSWER_MAX, self.answer()).await;
        let (status, body) = answered.context("no answer in time")??;
        if status != 200 {
            bail!("{operation}: {status} {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Sends bytes as they are; `false` when nobody takes them.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        let written = tokio::time::timeout(ANSWER_MAX, self.stream.write_all(bytes)).await;
        matches!(written, Ok(Ok(())))
    }

    /// Status and body.
    pub(super) async fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let head = loop {
            if let Some(end) = self.seen.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(self.stream.read_buf(&mut self.seen).await? > 0, "closed before an answer");
        };
        let text = String::from_utf8_lossy(&self.seen[..head]).to_ascii_lowercase();
        let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
        while self.seen.len() < head + length {
            ensure!(self.stream.read_buf(&mut self.seen).await? > 0, "closed within an answer");
        }
        let body = self.seen[head..head + length].to_vec();
        self.seen.drain(..head + length);
        Ok((status, body))
    }
}

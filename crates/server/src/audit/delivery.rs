//! A copy of each event in a stream of our own, for those who want to follow.
//!
//! Never blocks and never fails a call: what the stream does not take in time is dropped and
//! counted. The files are the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use millstream_base::{Scope, StreamArn, StreamName};
use millstream_env::{Env, Task};
use millstream_streams::{NewRecord, PutResult, Streams};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Events that may wait for the stream: some 2 KiB each.
const QUEUE_EVENTS_MAX: usize = 4096;
/// Events of one put; Data Streams takes 500.
const BATCH_EVENTS_MAX: usize = 500;
/// How often a put is tried; the stream may be short of throughput, or not be there yet.
const ATTEMPTS_MAX: u32 = 5;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Puts events into a stream.
pub struct Delivery {
    queue: mpsc::Sender<Bytes>,
    counts: Arc<Counts>,
    task: Mutex<Option<Task>>,
}

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    dropped: AtomicU64,
}

impl Delivery {
    /// Starts delivering to `stream`: a name, of the account and region of `home`, or an ARN.
    ///
    /// # Errors
    /// It is neither.
    pub fn start(
        env: &Env,
        streams: &Streams,
        home: Scope,
        stream: &str,
    ) -> Result<Delivery, String> {
        let named = match stream.starts_with("arn:") {
            true => StreamArn::parse(stream).map_err(|e| e.to_string()),
            false => StreamName::new(stream)
                .map(|name| StreamArn::new(home, name))
                .map_err(|e| e.to_string()),
        };
        let stream = named.map_err(|why| format!("audit.stream is `{stream}`: {why}"))?;
        let (queue, events) = mpsc::channel(QUEUE_EVENTS_MAX);
        let counts = Arc::<Counts>::default();
        let run = run(env.clone(), streams.clone(), stream, events, counts.clone());
        let task = Mutex::new(Some(env.spawn("audit-delivery", run)));
        Ok(Delivery { queue, counts, task })
    }

    pub fn offer(&self, event: &str) {
        if self.queue.try_send(Bytes::copy_from_slice(event.as_bytes())).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that the stream took, and those that were dropped.
    pub fn counts(&self) -> (u64, u64) {
        let counts = &self.counts;
        (counts.delivered.load(Ordering::Relaxed), counts.dropped.load(Ordering::Relaxed))
    }

    pub fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

async fn run(
    env: Env,
    streams: Streams,
    stream: StreamArn,
    mut events: mpsc::Receiver<Bytes>,
    counts: Arc<Counts>,
) {
    let mut batch = Vec::new();
    let mut told = false;
    while events.recv_many(&mut batch, BATCH_EVENTS_MAX).await > 0 {
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                env.sleep(RETRY_PAUSE).await;
            }
            match put(&env, &streams, &stream, &mut batch).await {
                Ok(delivered) => {
                    counts.delivered.fetch_add(delivered, Ordering::Relaxed);
                }
                Err(error) if !told => {
                    tracing::warn!(%stream, %error, "audit events can't be put into their stream");
                    told = true;
                }
                Err(_) => {}
            }
            if batch.is_empty() {
                told = false;
                break;
            }
        }
        counts.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
        batch.clear();
    }
}

/// Puts the batch; what the stream did not take stays in it.
async fn put(
    env: &Env,
    streams: &Streams,
    stream: &StreamArn,
    batch: &mut Vec<Bytes>,
) -> Result<u64, millstream_streams::Error> {
    // Spread over the shards: nobody relies on an order here, each event has its time.
    let keys: Vec<String> = batch.iter().map(|_| format!("{:016x}", env.random_u64())).collect();
    let records = batch.iter().zip(keys).map(|(event, key)| NewRecord {
        partition_key: Some(Bytes::from(key)),
        explicit_hash_key: None,
        data: event.clone(),
    });
    let outcome = streams.put_records(stream, records.collect()).await?;
    let before = batch.len();
    let mut results = outcome.results.iter();
    batch.retain(|_| !matches!(results.next(), Some(PutResult::Stored(_))));
    Ok((before - batch.len()) as u64)
}

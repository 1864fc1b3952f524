//! How long until a following reader has a record that was put: the same reader as `tail --follow`.
//!
//! Puts go out on a schedule, and the time counts from when the put was sent; each record carries
//! that moment.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use millstream_api::kinesis::{PutRecordInput, ops};
use millstream_client::Client;
use millstream_env::Env;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::load::Span;
use super::record::Tally;
use crate::tail::follow::{Follower, Options, Page, Poll};
use crate::tail::position::From;

/// Puts per second if no rate is given.
pub const RATE: f64 = 100.0;
/// How long after the last put its record may still come.
const STRAGGLER_MAX: Duration = Duration::from_secs(5);
/// Puts that wait for their answer at a time.
const PUTS_MAX: usize = 256;

/// What the records say and how much padding they carry.
pub struct Lag {
    pub env: Env,
    pub client: Arc<Client>,
    /// Does not repeat calls; see [`Follower::start`].
    pub reader: Arc<Client>,
    pub stream: String,
    pub record_bytes: u32,
    pub warmup: Duration,
    pub duration: Duration,
    pub rate: f64,
}

/// From put to seen, and from put to acknowledged.
pub struct Lags {
    pub seen: Tally,
    pub acknowledged: Tally,
}

impl Lag {
    /// # Errors
    /// The stream can't be followed.
    pub async fn run(self) -> anyhow::Result<Lags> {
        let options = Options {
            stream: self.stream.clone(),
            from: From::Latest,
            follow: true,
            poll: Poll::fitting(&self.reader),
            limit: None,
        };
        let mut follower = Follower::start(self.env.clone(), self.reader.clone(), options).await?;
        follower.started().await?;
        let span = Span::new(self.warmup, self.duration, Some(self.rate));
        let (acknowledged, seen) = tokio::join!(self.put(&span), self.read(&mut follower, &span));
        let (acknowledged, mut seen) = (acknowledged, seen?);
        let missing = acknowledged.records.saturating_sub(seen.records);
        seen.requests = acknowledged.requests;
        seen.requests_failed = acknowledged.requests_failed;
        seen.records_failed = missing;
        seen.error("NotSeenInTime", missing);
        for (code, times) in &acknowledged.errors {
            seen.error(code, *times);
        }
        Ok(Lags { seen, acknowledged })
    }

    /// Puts on the schedule; tells how long acknowledgements took.
    pub async fn put(&self, span: &Span) -> Tally {
        use futures_util::StreamExt;
        let every = Duration::from_secs_f64(1.0 / self.rate);
        let due = (0..).map(|n| span.start + every.mul_f64(f64::from(n)));
        let due = due.take_while(|due| *due < span.end);
        let puts = futures_util::stream::iter(due)
            .then(|due| async move {
                if Instant::now() >= due {
                    return due;
                }
                sleep_until(due).await;
                Instant::now()
            })
            .map(|due| async move { (due, self.put_one(span, due).await) })
            .buffer_unordered(PUTS_MAX);
        let mut puts = std::pin::pin!(puts);
        let mut tally = Tally::new();
        while let Some((due, outcome)) = puts.next().await {
            if due < span.measure {
                continue;
            }
            tally.requests += 1;
            match outcome {
                Ok(()) => {
                    tally.records += 1;
                    tally.latency(due.elapsed());
                }
                Err(e) => {
                    tally.requests_failed += 1;
                    tally.error(e.code().unwrap_or("NoAnswer"), 1);
                }
            }
        }
        tally
    }

    async fn put_one(&self, span: &Span, due: Instant) -> Result<(), millstream_client::Error> {
        let mut data = vec![b'.'; self.record_bytes as usize];
        let nanos = (due - span.start).as_nanos() as u64;
        data[..8].copy_from_slice(&nanos.to_le_bytes());
        let input = PutRecordInput {
            stream_name: Some(self.stream.clone()),
            data: Bytes::from(data),
            partition_key: Some(format!("{:016x}", self.env.random_u64())),
            ..PutRecordInput::default()
        };
        self.client.send::<ops::PutRecord>(&input).await.map(drop)
    }

    async fn read(&self, follower: &mut Follower, span: &Span) -> anyhow::Result<Tally> {
        let every = Duration::from_secs_f64(1.0 / self.rate);
        let expected = (self.duration.as_secs_f64() / every.as_secs_f64()).floor() as u64;
        let mut tally = Tally::new();
        while tally.records < expected {
            match timeout_at(span.end + STRAGGLER_MAX, follower.next()).await {
                Err(_) => break,
                Ok(page) => match page.context("following")? {
                    None => break,
                    Some(page) => count(&page, span, &mut tally),
                },
            }
        }
        Ok(tally)
    }
}

fn count(page: &Page, span: &Span, tally: &mut Tally) {
    let now = Instant::now();
    for record in &page.records {
        let Some(nanos) = record.data.first_chunk::<8>() else { continue };
        let put = span.start + Duration::from_nanos(u64::from_le_bytes(*nanos));
        if put >= span.measure {
            tally.records += 1;
            tally.latency(now.saturating_duration_since(put));
        }
    }
}

//! The load itself: connections that each send their script's requests, on a schedule or as fast as
//! answers come.
//!
//! On a schedule a request's latency counts from when it was due. A request that was due and could
//! not be sent is counted with the time it waited, never left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context;
use hyper_util::rt::TokioIo;
use millstream_client::{Client, Connector, Stream};
use millstream_env::Env;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::http::{Answer, Connection};
use super::record::Tally;
use super::script::Script;

/// One connection of the load generator.
pub type Wire = Connection<TokioIo<Stream>>;

/// How long one request may take.
const EXCHANGE_MAX: Duration = Duration::from_secs(60);
/// How long requests that are due are still sent after the end of a run on a schedule.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// The pause before a broken connection is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

/// When a run counts and when it is over.
#[derive(Clone, Debug)]
pub struct Span {
    pub start: Instant,
    /// From here on requests count.
    pub measure: Instant,
    pub end: Instant,
    /// Requests per second of all connections; `None`: closed loop.
    pub rate: Option<f64>,
    /// The run is also over when so many records went well.
    pub records_left: Option<Arc<AtomicI64>>,
}

impl Span {
    pub fn new(warmup: Duration, duration: Duration, rate: Option<f64>) -> Self {
        let start = Instant::now();
        let measure = start + warmup;
        Span { start, measure, end: measure + duration, rate, records_left: None }
    }

    fn is_full(&self) -> bool {
        self.records_left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) <= 0)
    }
}

/// Opens one connection.
///
/// # Errors
/// Nobody listens, or no trust.
pub async fn open(client: &Client, connector: &Connector) -> anyhow::Result<Wire> {
    let stream = connector.connect(client.endpoint()).await?;
    Ok(Connection::new(TokioIo::new(stream)))
}

/// Runs one connection per script and adds up what they measured.
///
/// # Errors
/// A connection can't be opened at the start, or a script can't go on.
pub async fn run(
    env: &Env,
    client: &Arc<Client>,
    scripts: Vec<Script>,
    span: &Span,
) -> anyhow::Result<Tally> {
    let connector = client.connector()?;
    let count = scripts.len();
    let mut results = Vec::with_capacity(count);
    for (index, script) in scripts.into_iter().enumerate() {
        let wire = open(client, &connector).await.context("opening the connections")?;
        let (tx, rx) = oneshot::channel();
        let worker = Worker {
            client: client.clone(),
            connector: connector.clone(),
            pace: Pace::new(span, index, count),
            span: span.clone(),
            script,
            wire: Some(wire),
            tally: Tally::new(),
            ignored: Tally::new(),
        };
        env.spawn("bench-connection", async move {
            let _ = tx.send(worker.run().await);
        });
        results.push(rx);
    }
    let mut all = Tally::new();
    for result in results {
        all.add(&result.await.context("a connection's task ended early")??);
    }
    Ok(all)
}

/// When a connection's requests are due.
struct Pace {
    next: Instant,
    /// `None`: at once.
    every: Option<Duration>,
}

impl Pace {
    /// Connection `index` of `count` takes every `count`-th request of the schedule.
    fn new(span: &Span, index: usize, count: usize) -> Self {
        let every = span.rate.map(|rate| Duration::from_secs_f64(count as f64 / rate));
        let offset = every.map_or(Duration::ZERO, |e| e.mul_f64(index as f64 / count as f64));
        Pace { next: span.start + offset, every }
    }

    fn due(&mut self) -> Instant {
        match self.every {
            None => Instant::now(),
            Some(every) => {
                let due = self.next;
                self.next += every;
                due
            }
        }
    }
}

struct Worker {
    client: Arc<Client>,
    connector: Connector,
    pace: Pace,
    span: Span,
    script: Script,
    wire: Option<Wire>,
    tally: Tally,
    /// What happens outside of the measured time.
    ignored: Tally,
}

impl Worker {
    async fn run(mut self) -> anyhow::Result<Tally> {
        loop {
            let due = self.pace.due();
            if due >= self.span.end || self.span.is_full() {
                return Ok(self.tally);
            }
            let mut from = due;
            if self.pace.every.is_some() {
                if Instant::now() > self.span.end + DRAIN_MAX {
                    self.not_sent(due);
                    continue;
                }
                if Instant::now() < due {
                    sleep_until(due).await;
                    // The connection was free: that the timer rings up to 1 ms late is our own doing.
                    from = Instant::now();
                }
            }
            self.request(due, from).await?;
        }
    }

    async fn request(&mut self, due: Instant, from: Instant) -> anyhow::Result<()> {
        let request = self.script.next(&self.client).await?;
        let sent = Instant::now();
        let outcome = self.exchange(&request).await;
        let done = Instant::now();
        let from = if self.pace.every.is_some() { from } else { sent };
        // A schedule is measured by what was due, a closed loop by what came back in the time.
        let at = if self.pace.every.is_some() { due } else { done };
        let counts = at >= self.span.measure && at < self.span.end;
        let tally = if counts { &mut self.tally } else { &mut self.ignored };
        tally.requests += 1;
        tally.latency(done - from);
        let records = match outcome {
            Ok(answer) => {
                let wire = self.wire.as_ref().expect("an answer came over it");
                self.script.absorb(answer.status, wire.body(), tally)
            }
            Err(code) => {
                tally.requests_failed += 1;
                tally.error(code, 1);
                0
            }
        };
        if let Some(left) = &self.span.records_left {
            left.fetch_sub(records as i64, Ordering::Relaxed);
        }
        if outcome.is_ok_and(|answer| answer.closes) {
            self.wire = None;
        }
        if outcome.is_err() {
            self.wire = None;
            tokio::time::sleep(REOPEN_PAUSE).await;
        }
        Ok(())
    }

    /// The answer, or the code to count.
    async fn exchange(&mut self, request: &[u8]) -> Result<Answer, &'static str> {
        if self.wire.is_none() {
            self.wire = open(&self.client, &self.connector).await.ok();
        }
        let wire = self.wire.as_mut().ok_or("CannotConnect")?;
        match timeout(EXCHANGE_MAX, wire.exchange(request)).await {
            Err(_) => Err("NoAnswerInTime"),
            Ok(Err(_)) => Err("ConnectionBroke"),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    fn not_sent(&mut self, due: Instant) {
        if due >= self.span.measure {
            self.tally.requests += 1;
            self.tally.requests_failed += 1;
            self.tally.latency(due.elapsed());
            self.tally.error("NotSentInTime", 1);
        }
    }
}

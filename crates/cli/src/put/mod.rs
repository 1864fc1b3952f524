//! `millstream put`: lines to records, gathered, sent, repeated, counted.

mod batch;
mod deliver;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use millstream_client::RetryPolicy;
use millstream_env::Env;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::args::{Global, Output};
use crate::{connect, output};
use batch::{BATCH_BYTES_MAX, Batcher, NewRecord};
use deliver::{Delivery, Outcome};
use source::{Line, RECORD_BYTES_MAX, Source};

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream put orders 'first record' 'second record'
  tail -f app.log | millstream put orders
  millstream put orders --file orders.jsonl --key-field customerId
  millstream put orders --file big.txt --in-flight 16 --output json

Each argument or line is one record; empty lines are left out. Records go out in batches, at most
100 ms after they were read. A record that is throttled or fails inside the service is sent again.
A call whose answer got lost is repeated too, so that a record can arrive twice, never not at all
without a word: the exit code is 0 only if every record was accepted.")]
pub struct PutArgs {
    /// The stream's name
    stream: String,

    /// Records [default: the lines of standard input]
    #[arg(conflicts_with = "file")]
    data: Vec<String>,

    /// Read lines from this file (`-`: standard input)
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,

    /// The partition key of all records [default: a random one for each, over all shards]
    #[arg(long, conflicts_with = "key_field")]
    key: Option<String>,

    /// Lines are JSON objects: take this member's value as the partition key
    #[arg(long, value_name = "NAME")]
    key_field: Option<String>,

    /// Batches under way at a time; with more than 1 they can overtake each other [default: 4, or 1
    /// with --key or --key-field]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    in_flight: Option<u16>,
}

/// How long a record waits for others.
const LINGER: Duration = Duration::from_millis(100);

/// For records that are throttled: a busy shard takes a second's worth each second.
const RECORD_RETRIES: RetryPolicy = RetryPolicy {
    attempts_max: 12,
    pause: Duration::from_millis(100),
    pause_max: Duration::from_secs(5),
};

const IN_FLIGHT: u16 = 4;

/// # Errors
/// No connection, no such stream, unreadable input. Records that were refused are not an error here
/// but a summary and the exit code 1.
pub async fn run(global: &Global, args: PutArgs) -> anyhow::Result<ExitCode> {
    let env = Env::real(".");
    let client = connect::client(global).await?;
    let start = Instant::now();
    let progress = progress();
    let delivery =
        Delivery { env: &env, client: &client, stream: &args.stream, policy: RECORD_RETRIES };
    let ordered = args.key.is_some() || args.key_field.is_some();
    let in_flight = args.in_flight.unwrap_or(if ordered { 1 } else { IN_FLIGHT });

    let source = Source::open(args.data, args.file).await?;
    let keys = Keys { env: &env, fixed: args.key, field: args.key_field };
    let reading = Reading { source, keys, batcher: Batcher::default(), line: 0, ended: false };
    let batches = futures_util::stream::unfold(reading, |mut reading| async move {
        reading.next().await.map(|batch| (batch, reading))
    });
    let mut sent = batches
        .map(async |batch| {
            let (records, mut unsendable) = batch?;
            unsendable.add(delivery.send(records).await?);
            anyhow::Ok(unsendable)
        })
        .buffer_unordered(usize::from(in_flight))
        .boxed_local();

    let mut total = Outcome::default();
    let mut broken = None;
    while let Some(outcome) = sent.next().await {
        match outcome {
            Ok(outcome) => total.add(outcome),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
        progress.set_message(format!("{} records", output::grouped(total.records)));
        progress.tick();
    }
    progress.finish_and_clear();
    report(global.output, &args.stream, &total, start.elapsed());
    match broken {
        Some(error) => Err(error.context(format!("stopped after {} records", total.records))),
        None if total.failed > 0 => Ok(ExitCode::FAILURE),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Shown when stderr is a terminal.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} in {elapsed}").expect("a template"),
    );
    bar
}

/// Turns lines into batches.
struct Reading<'a> {
    source: Source,
    keys: Keys<'a>,
    batcher: Batcher,
    /// Records or lines so far, for messages.
    line: u64,
    ended: bool,
}

type Batch = anyhow::Result<(Vec<NewRecord>, Outcome)>;

impl Reading<'_> {
    /// The next batch and what of the input can't be sent; `None` at the end.
    async fn next(&mut self) -> Option<Batch> {
        let mut unsendable = Outcome::default();
        let mut since = (!self.batcher.is_empty()).then(Instant::now);
        while !self.ended {
            let line = match since {
                None => self.source.next().await,
                Some(first) => {
                    let left = LINGER.saturating_sub(Instant::elapsed(&first));
                    match timeout(left, self.source.next()).await {
                        Ok(line) => line,
                        Err(_) => return Some(Ok((self.batcher.take(), unsendable))),
                    }
                }
            };
            let line = match line {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            };
            self.line += 1;
            since.get_or_insert_with(Instant::now);
            match self.keys.record(line) {
                Ok(record) => {
                    if let Some(full) = self.batcher.push(record) {
                        return Some(Ok((full, unsendable)));
                    }
                }
                Err(reason) => {
                    unsendable.fail("NotSent", &format!("record {}: {reason}", self.line));
                }
            }
        }
        let nothing = self.batcher.is_empty() && unsendable.failed == 0;
        (!nothing).then(|| Ok((self.batcher.take(), unsendable)))
    }
}

/// Which partition key a record gets.
struct Keys<'a> {
    env: &'a Env,
    fixed: Option<String>,
    field: Option<String>,
}

impl Keys<'_> {
    fn record(&self, line: Line) -> Result<NewRecord, String> {
        let Line::Data(data) = line else {
            return Err(format!("longer than {}", output::bytes(RECORD_BYTES_MAX as u64)));
        };
        let key = match (&self.fixed, &self.field) {
            (Some(key), _) => key.clone(),
            (None, Some(field)) => field_text(&data, field)?,
            (None, None) => format!("{:016x}", self.env.random_u64()),
        };
        if data.len() + key.len() > BATCH_BYTES_MAX {
            return Err(format!("longer than {}", output::bytes(BATCH_BYTES_MAX as u64)));
        }
        Ok(NewRecord { data, key })
    }
}

/// Strings as they are, numbers and booleans as JSON writes them.
fn field_text(data: &[u8], field: &str) -> Result<String, String> {
    let value: serde_json::Value =
        serde_json::from_slice(data).map_err(|e| format!("not JSON: {e}"))?;
    match value.get(field) {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(plain @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
            Ok(plain.to_string())
        }
        Some(_) => Err(format!("member {field:?} is not a string, number or boolean")),
        None => Err(format!("no member {field:?}")),
    }
}

fn report(format: Output, stream: &str, total: &Outcome, took: Duration) {
    let seconds = took.as_secs_f64();
    if format == Output::Json {
        let errors: serde_json::Map<_, _> = total
            .errors
            .iter()
            .map(|(code, (times, message))| {
                (code.clone(), json!({"records": times, "message": message}))
            })
            .collect();
        output::print_json(&json!({
            "stream": stream,
            "records": total.records,
            "bytes": total.bytes,
            "failed": total.failed,
            "errors": errors,
            "seconds": seconds,
        }));
        return;
    }
    println!(
        "{} records, {} in {seconds:.1} s into {stream}",
        output::grouped(total.records),
        output::bytes(total.bytes),
    );
    for (code, (times, message)) in &total.errors {
        eprintln!("{} records failed with {code}: {message}", output::grouped(*times));
    }
}

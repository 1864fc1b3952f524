//! `millstream tail`: the records of all shards, from where one likes, as they come.

mod family;
pub mod follow;
#[cfg(test)]
mod follow_tests;
pub mod position;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use millstream_api::kinesis::Record;
use millstream_client::{Client, RetryPolicy};
use millstream_env::Env;

use crate::args::{Global, Output, positive_duration};
use crate::connect;
use crate::output::time_text;
use follow::{Follower, Options, Page, Poll};
use position::From;

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream tail orders                                 all that is there, then end
  millstream tail orders --follow                        what comes from now on
  millstream tail orders --from 15m --follow --json      the last quarter of an hour, and on
  millstream tail orders --from 2026-11-21T08:00:00Z --max 100

In text each record is its data and a line break. With --json (or --output json) each is one line:
  {\"ShardId\", \"SequenceNumber\", \"PartitionKey\", \"ApproximateArrivalTimestamp\", \"Data\"}
with Data as text, or DataBase64 instead where the data is not UTF-8. Records of one shard come in
their order, those of a child shard after those of its parents.")]
pub struct TailArgs {
    /// The stream's name
    stream: String,

    /// trim-horizon, latest, a time, or a duration before now [default: latest with --follow, else
    /// trim-horizon]
    #[arg(long, value_name = "POSITION")]
    from: Option<From>,

    /// Go on when all is read
    #[arg(long, short)]
    follow: bool,

    /// One JSON object per line
    #[arg(long)]
    json: bool,

    /// End after so many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,

    /// Time between two reads of a shard at its tip [default: 4ms for an endpoint on this machine,
    /// else 200ms, which is all that AWS allows]
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    poll_interval: Option<Duration>,
}

/// # Errors
/// No such stream, or the endpoint is out of reach for a minute.
pub async fn run(global: &Global, args: TailArgs) -> anyhow::Result<ExitCode> {
    let builder = Client::builder().retries(RetryPolicy::never());
    let client = Arc::new(connect::from(global, builder).await?);
    let mut poll = Poll::fitting(&client);
    if let Some(interval) = args.poll_interval {
        poll = Poll { interval, ..poll };
    }
    let from = args.from.unwrap_or(if args.follow { From::Latest } else { From::TrimHorizon });
    let options = Options { stream: args.stream, from, follow: args.follow, poll, limit: None };
    let mut follower = Follower::start(Env::real("."), client, options).await?;
    let json = args.json || global.output == Output::Json;
    let mut out = BufWriter::new(io::stdout());
    let mut left = args.max.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(page) = follower.next().await? else { break };
        match print(&mut out, &page, json, left) {
            Ok(printed) => left -= printed,
            // Who read us has enough, as `head` does.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => break,
            Err(e) => return Err(e).context("standard output"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes at most `most` records and shows them at once; says how many.
fn print(out: &mut impl Write, page: &Page, json: bool, most: u64) -> io::Result<u64> {
    let mut printed = 0;
    for record in page.records.iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
        if json {
            serde_json::to_writer(&mut *out, &line(&page.shard_id, record))?;
        } else {
            out.write_all(&record.data)?;
        }
        out.write_all(b"\n")?;
        printed += 1;
    }
    out.flush()?;
    Ok(printed)
}

/// One line of `--json`.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    shard_id: &'a str,
    sequence_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_arrival_timestamp: Option<String>,
    #[serde(flatten)]
    data: Data<'a>,
}

#[derive(serde::Serialize)]
enum Data<'a> {
    Data(&'a str),
    DataBase64(String),
}

fn line<'a>(shard_id: &'a str, record: &'a Record) -> Line<'a> {
    let data = match std::str::from_utf8(&record.data) {
        Ok(text) => Data::Data(text),
        Err(_) => Data::DataBase64(base64_simd::STANDARD.encode_to_string(&record.data)),
    };
    Line {
        shard_id,
        sequence_number: &record.sequence_number,
        partition_key: record.partition_key.as_deref(),
        approximate_arrival_timestamp: record.approximate_arrival_timestamp.map(time_text),
        data,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn page(data: &[&[u8]]) -> Page {
        let record = |data: &&[u8]| Record {
            data: data.to_vec().into(),
            partition_key: Some("k".into()),
            sequence_number: "49".into(),
            ..Record::default()
        };
        Page { shard_id: "shardId-000000000000".into(), records: data.iter().map(record).collect() }
    }

    #[test]
    fn text_is_the_data_and_a_line_break() {
        let mut out = Vec::new();
        assert_eq!(print(&mut out, &page(&[b"a", b"\xff", b"c"]), false, 2).unwrap(), 2);
        assert_eq!(out, b"a\n\xff\n");
    }

    #[test]
    fn json_has_text_or_base64() {
        let mut out = Vec::new();
        print(&mut out, &page(&[b"\"hi\"", b"\xff\x00"]), true, u64::MAX).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines[0]["Data"], "\"hi\"");
        assert_eq!(lines[0]["SequenceNumber"], "49");
        assert_eq!(lines[1]["DataBase64"], "/wA=");
        assert_eq!(lines[1].get("Data"), None);
    }
}

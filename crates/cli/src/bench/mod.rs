//! `millstream bench`: a load generator for any endpoint.
//!
//! Costs little itself: requests are written, hashed and signed before they are sent, connections
//! are bare HTTP/1.1, and of an answer only the status and a number are read.

pub mod args;
mod bodies;
mod calibrate;
mod fan_out;
mod http;
mod lag;
mod load;
mod process;
mod record;
mod report;
mod scan;
mod script;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use millstream_client::{Client, Codec, HttpVersion, RetryPolicy};
use millstream_env::Env;

use crate::args::{Global, Output};
use crate::streams::{self, wait};
use crate::{connect, output};
use args::{BenchArgs, BodyCodec, Op};
use bodies::Records;
use calibrate::Calibrator;
use load::Span;
use process::Process;
use record::{Latencies, Tally};
use report::Report;
use script::{Reader, Requests, SIGNATURE_AGE_MAX, Script, Writer};
use watch::Watch;

/// How long filling the streams may take before get-records reads them.
const PREFILL_MAX: Duration = Duration::from_secs(600);
/// Connections that fill the streams, and records of their requests.
const PREFILL_CONNECTIONS: u32 = 8;
const PREFILL_RECORDS: u32 = 100;

/// # Errors
/// No connection, streams that can't be created, an unwritable directory to calibrate in. Requests
/// that fail are counted, not an error; the exit code is 1 if none succeeded.
pub async fn run(global: &Global, args: BenchArgs) -> anyhow::Result<ExitCode> {
    let bench = Bench::new(global, args).await?;
    let mut created = Vec::new();
    let outcome = bench.prepare_and_measure(&mut created).await;
    if !bench.args.keep {
        for name in &created {
            if let Err(e) = streams::delete(&bench.client, name, true).await {
                eprintln!("note: stream {name} could not be deleted: {e:#}");
            }
        }
    }
    let report = outcome?;
    match global.output {
        Output::Json => {
            let mut json = serde_json::to_value(&report).expect("a report is plain data");
            json["lone_put_ratio"] = report.lone_put_ratio().into();
            output::print_json(&json);
        }
        Output::Text => println!("{}", report.text()),
    }
    Ok(if report.records > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Bench {
    env: Env,
    args: BenchArgs,
    client: Arc<Client>,
    /// Does not repeat calls by itself, for the follower.
    reader: Arc<Client>,
    codec: Codec,
}

impl Bench {
    async fn new(global: &Global, args: BenchArgs) -> anyhow::Result<Bench> {
        let codec = match args.codec {
            BodyCodec::Json => Codec::Json,
            BodyCodec::Cbor => Codec::Cbor,
        };
        let builder = || {
            let builder = Client::builder().codec(codec).http(HttpVersion::Http1);
            if args.signs() { builder } else { builder.unsigned() }
        };
        let client = Arc::new(connect::from(global, builder()).await?);
        let reader = builder().retries(RetryPolicy::never());
        let reader = Arc::new(connect::quietly(global, reader).await?);
        Ok(Bench { env: Env::real("."), args, client, reader, codec })
    }

    async fn prepare_and_measure(&self, created: &mut Vec<String>) -> anyhow::Result<Report> {
        let mut calibrator = Calibrator::new();
        self.calibrate(&mut calibrator).await?;
        let names = self.args.stream_names();
        for name in &names {
            if self.create(name).await? {
                created.push(name.clone());
            }
        }
        for name in &names {
            wait::until_active(&self.env, &self.client, name).await?;
        }
        let mut report = self.report();
        match self.args.op {
            Op::TailLatency => self.lag(&names, &mut report).await?,
            Op::FanOut => match self.args.rate {
                Some(rate) => self.time_fan_out(&names[0], rate, &mut report).await?,
                None => self.load_fan_out(&names[..1], &mut report).await?,
            },
            Op::PutRecords | Op::PutRecord => {
                let (scripts, requests) = self.writers(&names).await?;
                self.load(scripts, Some(requests), &mut report).await?;
            }
            Op::GetRecords => {
                self.prefill(&names).await.context("filling the streams")?;
                let scripts = self.readers(&names).await?;
                self.load(scripts, None, &mut report).await?;
            }
        }
        self.calibrate(&mut calibrator).await?;
        report.calibration = self.args.calibrate.then(|| calibrator.result());
        Ok(report)
    }

    async fn calibrate(&self, calibrator: &mut Calibrator) -> anyhow::Result<()> {
        if !self.args.calibrate {
            return Ok(());
        }
        let dir = &self.args.calibrate_dir;
        calibrator.measure(&self.client, dir, &self.env).await.context("--calibrate")
    }

    /// Says whether the stream is new. One that an earlier run is still deleting is waited for.
    async fn create(&self, name: &str) -> anyhow::Result<bool> {
        let one_hot = self.args.op == Op::FanOut;
        let shards = Some(if one_hot { 1 } else { self.args.shards });
        if streams::create(&self.client, name, shards).await? {
            return Ok(true);
        }
        if !wait::is_going(&self.client, name).await? {
            return Ok(false);
        }
        wait::until_gone(&self.env, &self.client, name).await?;
        streams::create(&self.client, name, shards).await
    }

    fn report(&self) -> Report {
        let args = &self.args;
        Report {
            op: args.op.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default(),
            endpoint: self.client.endpoint().to_string(),
            codec: if self.codec.is_cbor() { "cbor" } else { "json" }.to_owned(),
            signed: args.signs(),
            streams: args.streams,
            connections: args.connections,
            records_per_request: match args.op {
                Op::PutRecords => args.records_per_request,
                Op::FanOut if args.rate.is_none() => args.records_per_request,
                _ => 1,
            },
            record_bytes: args.record_bytes,
            rate: args.rate,
            seconds: 0.0,
            requests: 0,
            requests_failed: 0,
            records: 0,
            records_failed: 0,
            requests_per_second: 0.0,
            records_per_second: 0.0,
            mib_per_second: 0.0,
            answer_bytes: 0,
            latency_us: Latencies::default(),
            acknowledged_us: None,
            fan_out: None,
            errors: Default::default(),
            generator: None,
            generator_cpu_us_per_record: None,
            server: None,
            server_cpu_us_per_record: None,
            calibration: None,
        }
    }

    async fn writers(&self, names: &[String]) -> anyhow::Result<(Vec<Script>, Arc<Requests>)> {
        let batches = matches!(self.args.op, Op::PutRecords | Op::FanOut);
        let records = Records {
            per_request: batches.then_some(self.args.records_per_request),
            bytes: self.args.record_bytes,
        };
        let requests = bodies::requests(&self.env, &self.client, names, records)?;
        let count = u64::from(records.per_request.unwrap_or(1));
        let requests = Requests::new(&self.client, requests, count, batches).await?;
        let writer = |i| Script::Write(Box::new(Writer::new(requests.clone(), i as usize)));
        Ok(((0..self.args.connections).map(writer).collect(), requests))
    }

    async fn readers(&self, names: &[String]) -> anyhow::Result<Vec<Script>> {
        let mut shards = Vec::new();
        for name in names {
            for shard in streams::shards(&self.client, name).await? {
                shards.push((name.clone(), shard.shard_id));
            }
        }
        anyhow::ensure!(!shards.is_empty(), "the streams have no shards");
        let reader = |i: u32| {
            let (name, shard_id) = shards[i as usize % shards.len()].clone();
            Script::Read(Box::new(Reader::new(self.codec, name, shard_id, self.args.limit)))
        };
        Ok((0..self.args.connections).map(reader).collect())
    }

    /// Puts records until there are as many bytes as were asked for.
    async fn prefill(&self, names: &[String]) -> anyhow::Result<()> {
        let bytes = self.args.record_bytes;
        let wanted = (self.args.prefill_mib << 20).div_ceil(u64::from(bytes));
        if wanted == 0 {
            return Ok(());
        }
        let per_request = PREFILL_RECORDS.min((8 << 20) / bytes).max(1);
        let records = Records { per_request: Some(per_request), bytes };
        let requests = bodies::requests(&self.env, &self.client, names, records)?;
        let requests = Requests::new(&self.client, requests, u64::from(per_request), true).await?;
        let writer = |i| Script::Write(Box::new(Writer::new(requests.clone(), i as usize)));
        let left = Arc::new(AtomicI64::new(wanted as i64));
        let mut span = Span::new(Duration::ZERO, PREFILL_MAX, None);
        span.records_left = Some(left);
        let scripts = (0..PREFILL_CONNECTIONS).map(writer).collect();
        let tally = self.drive(scripts, Some(requests), &span, "filling the streams").await?;
        anyhow::ensure!(
            tally.records >= wanted,
            "only {} of {wanted} records were accepted: {:?}",
            tally.records,
            tally.errors
        );
        Ok(())
    }

    async fn load(
        &self,
        scripts: Vec<Script>,
        requests: Option<Arc<Requests>>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let span = Span::new(self.args.warmup, self.args.duration, self.args.rate);
        let (own, server) = self.watches(&span);
        let tally = self.drive(scripts, requests, &span, "measuring").await?;
        self.finish(report, &tally, &span, own, server).await;
        Ok(())
    }

    async fn lag(&self, names: &[String], report: &mut Report) -> anyhow::Result<()> {
        let rate = self.args.rate.unwrap_or(lag::RATE);
        let span = Span::new(self.args.warmup, self.args.duration, Some(rate));
        let (own, server) = self.watches(&span);
        let bar = self.bar("measuring");
        let lags = lag::Lag {
            env: self.env.clone(),
            client: self.client.clone(),
            reader: self.reader.clone(),
            stream: names[0].clone(),
            record_bytes: self.args.record_bytes,
            warmup: self.args.warmup,
            duration: self.args.duration,
            rate,
        }
        .run()
        .await?;
        bar.finish_and_clear();
        report.rate = Some(rate);
        report.connections = 1;
        report.acknowledged_us = Some(lags.acknowledged.latencies());
        self.finish(report, &lags.seen, &span, own, server).await;
        Ok(())
    }

    /// Puts alone, then the same with consumers.
    async fn load_fan_out(&self, names: &[String], report: &mut Report) -> anyhow::Result<()> {
        let (scripts, requests) = self.writers(names).await?;
        let span = Span::new(self.args.warmup, self.args.duration, None);
        let alone = self.drive(scripts, Some(requests), &span, "putting alone").await?;
        let subscribers = fan_out::subscribe(&self.client, &names[0], self.args.consumers).await?;
        let (scripts, requests) = self.writers(names).await?;
        let span = Span::new(self.args.warmup, self.args.duration, None);
        let (own, server) = self.watches(&span);
        let count = |subscriber: fan_out::Subscriber| subscriber.count(span.clone());
        let (put, had) = tokio::join!(
            self.drive(scripts, Some(requests), &span, "measuring"),
            fan_out::all(&self.env, subscribers, count),
        );
        let (put, had) = (put?, had?);
        let seconds = (span.end - span.measure).as_secs_f64();
        report.fan_out = Some(fan_out::Figures {
            consumers: self.args.consumers,
            payload_bytes_per_second: had.records as f64 * f64::from(self.args.record_bytes)
                / seconds,
            puts_alone_per_second: Some(alone.records as f64 / seconds),
            puts_per_second: Some(put.records as f64 / seconds),
        });
        let mut tally = put;
        tally.records = had.records;
        tally.answer_bytes = had.answer_bytes;
        self.finish(report, &tally, &span, own, server).await;
        Ok(())
    }

    /// Single records on a schedule, and when each consumer had them.
    async fn time_fan_out(&self, name: &str, rate: f64, report: &mut Report) -> anyhow::Result<()> {
        let subscribers = fan_out::subscribe(&self.client, name, self.args.consumers).await?;
        let lag = lag::Lag {
            env: self.env.clone(),
            client: self.client.clone(),
            reader: self.reader.clone(),
            stream: name.to_owned(),
            record_bytes: self.args.record_bytes,
            warmup: self.args.warmup,
            duration: self.args.duration,
            rate,
        };
        let span = Span::new(self.args.warmup, self.args.duration, Some(rate));
        let (own, server) = self.watches(&span);
        let expected = (self.args.duration.as_secs_f64() * rate).floor() as u64;
        let time = |subscriber: fan_out::Subscriber| subscriber.time(span.clone(), expected);
        let (acknowledged, had) =
            tokio::join!(lag.put(&span), fan_out::all(&self.env, subscribers, time));
        let mut had = had?;
        had.requests = acknowledged.requests;
        had.requests_failed = acknowledged.requests_failed;
        for (code, times) in &acknowledged.errors {
            had.error(code, *times);
        }
        report.acknowledged_us = Some(acknowledged.latencies());
        report.fan_out = Some(fan_out::Figures {
            consumers: self.args.consumers,
            payload_bytes_per_second: had.records as f64 * f64::from(self.args.record_bytes)
                / self.args.duration.as_secs_f64(),
            puts_alone_per_second: None,
            puts_per_second: None,
        });
        self.finish(report, &had, &span, own, server).await;
        Ok(())
    }

    fn watches(&self, span: &Span) -> (Watch, Option<Watch>) {
        let own = Watch::start(&self.env, Process::own(), span);
        let server = self.args.server_pid.map(Process::by_id);
        (own, server.map(|process| Watch::start(&self.env, process, span)))
    }

    async fn finish(
        &self,
        report: &mut Report,
        tally: &Tally,
        span: &Span,
        own: Watch,
        server: Option<Watch>,
    ) {
        report.count(tally, (span.end - span.measure).as_secs_f64());
        let server = match server {
            Some(watch) => watch.finish().await,
            None => None,
        };
        report.used(own.finish().await, server);
        if self.args.server_pid.is_some() && report.server.is_none() {
            eprintln!("note: process {:?} could not be looked at", self.args.server_pid);
        }
    }

    /// Runs the scripts, and keeps the signatures of `requests` young meanwhile.
    async fn drive(
        &self,
        scripts: Vec<Script>,
        requests: Option<Arc<Requests>>,
        span: &Span,
        what: &'static str,
    ) -> anyhow::Result<Tally> {
        let bar = self.bar(what);
        let client = self.client.clone();
        let signing = self.env.spawn("bench-sign", async move {
            let Some(requests) = requests else { return };
            loop {
                tokio::time::sleep(SIGNATURE_AGE_MAX).await;
                if let Err(error) = requests.sign(&client).await {
                    tracing::warn!(%error, "requests could not be signed anew");
                }
            }
        });
        let tally = load::run(&self.env, &self.client, scripts, span).await;
        signing.abort();
        bar.finish_and_clear();
        tally
    }

    fn bar(&self, what: &'static str) -> ProgressBar {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}").expect("a template");
        bar.set_style(style);
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    }
}

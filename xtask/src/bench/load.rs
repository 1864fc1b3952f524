//! One run of the load generator, `millstream bench`, and what it reports.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::server::{ACCESS_KEY, SECRET_KEY, Server};
use crate::run::Child;

/// How much longer than its measurement a run may take: making streams, filling them, warming up.
const EXTRA_MAX: Duration = Duration::from_secs(180);

const MIB: f64 = 1_048_576.0;

/// The load generator.
#[derive(Debug)]
pub struct Load {
    pub binary: PathBuf,
    /// Seconds of each measurement.
    pub seconds: u64,
}

/// What clients do during a run.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub op: &'static str,
    pub connections: u32,
    pub codec: &'static str,
    pub prefill_mib: u64,
    pub streams: u32,
    pub shards: u32,
    /// Requests per second; 0: as many as go.
    pub rate: u32,
    pub calibrate: bool,
}

impl Shape {
    pub const PUT_RECORDS_JSON: Shape = Shape {
        op: "put-records",
        connections: 16,
        codec: "json",
        prefill_mib: 0,
        streams: 1,
        shards: 4,
        rate: 0,
        calibrate: false,
    };
    pub const PUT_RECORDS_CBOR: Shape = Shape { codec: "cbor", ..Shape::PUT_RECORDS_JSON };
    pub const PUT_RECORD: Shape =
        Shape { op: "put-record", connections: 64, ..Shape::PUT_RECORDS_JSON };
    pub const LONE_PUT: Shape = Shape { connections: 1, calibrate: true, ..Shape::PUT_RECORD };
    pub const GET_RECORDS: Shape =
        Shape { op: "get-records", connections: 4, prefill_mib: 64, ..Shape::PUT_RECORDS_JSON };
    pub const TAIL: Shape =
        Shape { op: "tail-latency", connections: 4, rate: 100, ..Shape::PUT_RECORDS_JSON };

    pub const FAN_OUT: Shape =
        Shape { op: "fan-out", connections: 4, codec: "cbor", ..Shape::PUT_RECORDS_JSON };
    pub const FAN_OUT_TIMED: Shape = Shape { rate: 200, codec: "json", ..Shape::FAN_OUT };

    /// `16 connections, json, 1 KiB records`
    pub fn says(self) -> String {
        format!("{} connections, {}, 1 KiB records", self.connections, self.codec)
    }

    fn args(self) -> Vec<String> {
        let mut args = vec![
            format!("--op={}", self.op),
            format!("--connections={}", self.connections),
            format!("--codec={}", self.codec),
            format!("--streams={}", self.streams),
            format!("--shards={}", self.shards),
        ];
        if self.prefill_mib > 0 {
            args.push(format!("--prefill-mib={}", self.prefill_mib));
        }
        if self.rate > 0 {
            args.push(format!("--rate={}", self.rate));
        }
        args
    }
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Measured {
    pub records_per_s: f64,
    /// Of the records' data.
    pub bytes_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub server_cpu_us_per_record: f64,
    /// The whole report.
    pub report: Value,
}

impl Load {
    /// Loads `server` with `shape`; fails when the run takes too long or any request failed.
    pub fn run(&self, server: &Server, shape: Shape) -> Result<Measured> {
        let mut command = self.command(server, shape, self.seconds);
        let mut child = Child::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let said = collect(&mut child, Duration::from_secs(self.seconds) + EXTRA_MAX)?;
        let report: Value =
            serde_json::from_str(&said).with_context(|| format!("no JSON report: {said}"))?;
        Measured::read(report)
    }

    /// The load generator's command line, `seconds` long.
    pub fn command(&self, server: &Server, shape: Shape, seconds: u64) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["bench", "--output=json", "--warmup=1s"]).args(shape.args());
        command.args(["--endpoint-url", &server.endpoint(), "--region=us-east-1"]);
        command.arg(format!("--duration={seconds}s")).arg(format!("--server-pid={}", server.id()));
        if shape.calibrate {
            let beside = self.binary.parent().expect("the binary lies in a folder");
            command.arg("--calibrate").arg("--calibrate-dir").arg(beside);
        }
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.env_remove("AWS_SESSION_TOKEN").env_remove("AWS_PROFILE").stdin(Stdio::null());
        command
    }
}

impl Measured {
    fn read(report: Value) -> Result<Measured> {
        let failed = number(&report, "/requests_failed")? + number(&report, "/records_failed")?;
        if failed > 0.0 {
            bail!("{failed} requests or records failed: {}", report["errors"]);
        }
        Ok(Measured {
            records_per_s: number(&report, "/records_per_second")?,
            bytes_per_s: number(&report, "/mib_per_second")? * MIB,
            p50_us: number(&report, "/latency_us/p50")?,
            p99_us: number(&report, "/latency_us/p99")?,
            server_cpu_us_per_record: number(&report, "/server_cpu_us_per_record")?,
            report,
        })
    }

    /// One figure of the report, by its JSON pointer.
    pub fn figure(&self, pointer: &str) -> Result<f64> {
        number(&self.report, pointer)
    }
}

fn number(report: &Value, pointer: &str) -> Result<f64> {
    let found = report.pointer(pointer).and_then(Value::as_f64);
    found.with_context(|| format!("the report has no number at {pointer}: {report}"))
}

/// Waits for the end, at most `limit`; what the process printed on success.
fn collect(child: &mut Child, limit: Duration) -> Result<String> {
    let process = child.process();
    let out = reader(process.stdout.take().expect("it is piped"));
    let err = reader(process.stderr.take().expect("it is piped"));
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.process().try_wait()? {
            break status;
        }
        if begin.elapsed() > limit {
            bail!("the load generator did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (out, err) = (out.join(), err.join());
    let text = |read: std::thread::Result<String>| read.unwrap_or_default();
    if !status.success() {
        bail!("the load generator failed ({status}): {}", text(err).trim());
    }
    Ok(text(out))
}

fn reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        // A pipe that breaks has said all it will say.
        let _ = pipe.read_to_string(&mut text);
        text
    })
}

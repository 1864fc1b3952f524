//! What a run of the load generator is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::args::{duration, positive_duration};

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  millstream bench                                        PutRecords x 500 over 16 connections
  millstream bench --op put-record --connections 64 --duration 30s
  millstream bench --op put-record --rate 5000            open loop: latency from the schedule
  millstream bench --op get-records --prefill-mib 1024
  millstream bench --op tail-latency --rate 100
  millstream bench --op fan-out --codec cbor             as much as goes, to 20 consumers
  millstream bench --op fan-out --rate 200               and how soon each has a record
  millstream bench --op put-record --connections 1 --calibrate --calibrate-dir /var/lib/millstream
  millstream bench --server-pid $(pidof millstream) --output json

With --rate, request number n is due n/rate seconds after the start, and its latency counts from
then on, whether or not its connection was free: a server that stalls can't hide it. Without it,
each connection sends as soon as its answer is there, and latency is per request.

Stream names are --stream, or --stream-0, --stream-1 … with --streams; those that are missing are
created, and deleted at the end unless --keep is given. Against AWS this costs money.")]
pub struct BenchArgs {
    /// What to do all the time
    #[arg(long, value_enum, default_value_t)]
    pub op: Op,

    /// Connections, each with one request in flight
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,

    /// Records of one PutRecords request
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub records_per_request: u32,

    /// Bytes of data of one record
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(8..=10_485_760))]
    pub record_bytes: u32,

    /// The text of the bodies
    #[arg(long, value_enum, default_value_t)]
    pub codec: BodyCodec,

    /// How long to measure
    #[arg(long, default_value = "10s", value_parser = positive_duration)]
    pub duration: Duration,

    /// How long to run before measuring
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub warmup: Duration,

    /// Requests per second over all connections (open loop) [default: as many as go]
    #[arg(long, value_parser = positive_rate)]
    pub rate: Option<f64>,

    /// Name of the stream, or the prefix of several
    #[arg(long, default_value = "millstream-bench")]
    pub stream: String,

    /// Streams
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub streams: u32,

    /// Shards of each stream that is created
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub shards: i32,

    /// Keep the streams that were created
    #[arg(long)]
    pub keep: bool,

    /// Sign requests (the default)
    #[arg(long, overrides_with = "no_sign")]
    pub sign: bool,

    /// Send requests without a signature
    #[arg(long, overrides_with = "sign")]
    pub no_sign: bool,

    /// Records put before get-records reads them, MiB over all streams
    #[arg(long, default_value_t = 256)]
    pub prefill_mib: u64,

    /// Consumers that fan-out pushes to
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub consumers: u32,

    /// Records asked for by one GetRecords
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub limit: i32,

    /// Threads of the load generator [default: half of the cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Process of the server on this machine: its CPU per record and its memory over time (Linux)
    #[arg(long)]
    pub server_pid: Option<u32>,

    /// Measure a bare HTTP round trip and a 4 KiB write with fdatasync too, before and after
    #[arg(long)]
    pub calibrate: bool,

    /// Where --calibrate writes: a directory in the file system of the server's data
    #[arg(long, default_value = ".")]
    pub calibrate_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Op {
    /// Write batches
    #[default]
    PutRecords,
    /// Write single records
    PutRecord,
    /// Read the streams from the start, again and again
    GetRecords,
    /// Put single records and time them until a following reader has them
    TailLatency,
    /// Push what is put to the consumers of one shard: all that goes, or with --rate timed
    FanOut,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BodyCodec {
    #[default]
    Json,
    Cbor,
}

impl BenchArgs {
    pub fn signs(&self) -> bool {
        !self.no_sign
    }

    /// Half of the cores, so that a server on the same machine has the other half.
    pub fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or((cores / 2).max(1), usize::from)
    }

    pub fn stream_names(&self) -> Vec<String> {
        match self.streams {
            1 => vec![self.stream.clone()],
            n => (0..n).map(|i| format!("{}-{i}", self.stream)).collect(),
        }
    }
}

fn positive_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("expected requests per second, such as 1000 or 0.5".into()),
    }
}

//! The command line's first level: which commands there are.

use clap::{Parser, Subcommand};

use crate::args::Global;
use crate::audit::AuditArgs;
use crate::bench::args::BenchArgs;
use crate::fsck::FsckArgs;
use crate::iam::IamArgs;
use crate::keys::KeysArgs;
use crate::put::PutArgs;
use crate::serve::ServeArgs;
use crate::streams::StreamsArgs;
use crate::tail::TailArgs;

#[derive(Parser)]
#[command(
    name = "millstream",
    version,
    about = "Amazon Kinesis that you run yourself, and the tools for any Kinesis",
    after_help = "Examples:
  millstream serve                                  a server with ./millstream-data
  millstream streams create orders --shards 4
  tail -f app.log | millstream put orders
  millstream tail orders --from trim-horizon --follow
  millstream streams list --endpoint-url aws        the same against AWS

Client commands go to http://127.0.0.1:4567 unless --endpoint-url, AWS_ENDPOINT_URL_KINESIS or
AWS_ENDPOINT_URL says otherwise; `aws` stands for AWS's own endpoint in the region."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a server until Ctrl-C or SIGTERM
    Serve(ServeArgs),
    /// Create, list, describe and delete streams
    Streams(StreamsArgs),
    /// Manage users, keys, groups, roles and policies
    Iam(IamArgs),
    /// Put lines as records
    Put(PutArgs),
    /// Show the records of all shards, as they come
    Tail(TailArgs),
    /// Load a stream and measure: throughput, latency, CPU, memory
    Bench(BenchArgs),
    /// Check a data directory; say what is lost; repair it on request
    Fsck(FsckArgs),
    /// Prove, show and search the audit trail of a node
    Audit(AuditArgs),
    /// Make root keys; tell and change who holds that of a data directory
    Keys(KeysArgs),
}

/// Client commands wait for the network; two threads do.
const TOOL_THREADS: usize = 2;

impl Command {
    /// Threads of the runtime; `None`: one per core.
    pub fn threads(&self) -> Option<usize> {
        match self {
            Command::Serve(_) => None,
            Command::Bench(args) => Some(args.threads()),
            Command::Streams(_)
            | Command::Iam(_)
            | Command::Put(_)
            | Command::Tail(_)
            | Command::Fsck(_)
            | Command::Audit(_)
            | Command::Keys(_) => Some(TOOL_THREADS),
        }
    }
}

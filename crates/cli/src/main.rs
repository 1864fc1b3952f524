//! The one binary: serve, streams, put, tail, bench, fsck, audit.
//!
//! This file parses, starts the runtime, and turns the outcome into an exit code: 0 done, 1 not
//! done or done in part (said on stderr), 2 wrong usage.

mod args;
mod audit;
mod bench;
mod command;
mod connect;
#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests run their fake service on tokio itself
#[path = "../../client/tests/fake/mod.rs"]
mod fake;
mod fsck;
mod iam;
mod keys;
mod logging;
mod output;
mod put;
mod serve;
mod streams;
mod tail;

use std::process::ExitCode;

use clap::Parser;

use command::{Cli, Command};

/// The default allocator of the C library costs a quarter of the throughput with large bodies.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = cli.command.threads() {
        runtime.worker_threads(threads);
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&anyhow::Error::new(e).context("the runtime can't start")),
    };
    let outcome = runtime.block_on(run(cli));
    // A thread that waits for standard input can't be woken; it must not hold up the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(e) => failed(&e),
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if !matches!(cli.command, Command::Serve(_)) {
        logging::of_tools();
    }
    match cli.command {
        Command::Serve(args) => serve::run(&cli.global, args).await,
        Command::Streams(args) => streams::run(&cli.global, args).await,
        Command::Iam(args) => iam::run(&cli.global, args).await,
        Command::Put(args) => put::run(&cli.global, args).await,
        Command::Tail(args) => tail::run(&cli.global, args).await,
        Command::Audit(args) => audit::run(&cli.global, args).await,
        Command::Fsck(args) => fsck::run(&cli.global, args).await,
        Command::Keys(args) => keys::run(&cli.global, args).await,
        Command::Bench(args) => bench::run(&cli.global, args).await,
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

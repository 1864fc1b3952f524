//! `cargo xtask`: see `cargo xtask --help`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use xtask::{
    attack, bench, codegen, crash, fuzz, interop, models, operations, serve, sim, test, tidy,
};

/// Millstream's own tasks. A fresh clone needs two of them: `cargo xtask serve` and `cargo xtask test`
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Serve(serve::Args),
    Test(test::Args),
    Interop(interop::Args),
    Tidy(tidy::Args),
    Sim(sim::Args),
    Crash(crash::Args),
    Fuzz(fuzz::Args),
    Attack(attack::Args),
    Bench(bench::Args),
    /// Fetch AWS's service models and keep what we need of them in models/
    Models(models::Args),
    /// Turn models/ into crates/api/src/gen/
    Codegen(codegen::Args),
    Operations(operations::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Serve(args) => args.run(),
        Task::Test(args) => args.run(),
        Task::Interop(args) => args.run(),
        Task::Tidy(args) => args.run(),
        Task::Sim(args) => args.run(),
        Task::Crash(args) => args.run(),
        Task::Fuzz(args) => args.run(),
        Task::Attack(args) => args.run(),
        Task::Bench(args) => args.run(),
        Task::Models(args) => models::run(&args),
        Task::Codegen(args) => codegen::run(&args),
        Task::Operations(args) => args.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! `millstream-sim`: runs seeds and says which one broke a promise.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use millstream_sim::{Options, Outcome, Planted, Scenario, Stats, run_seed, run_seed_twice};

/// Runs the real server components on a simulated machine, seed by seed.
#[derive(Parser)]
#[command(name = "millstream-sim")]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 300)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Run this one seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// Print every event of the runs.
    #[arg(long)]
    trace: bool,
    /// Run every seed twice and compare the traces.
    #[arg(long)]
    twice: bool,
    /// Only this scenario: tables, log or streams. By default the seed decides.
    #[arg(long, value_parser = scenario)]
    scenario: Option<Scenario>,
    /// Build a bug in, to see it found: skip-sync, torn-frame or early-children.
    #[arg(long, value_parser = planted)]
    planted: Option<Planted>,
    /// Go on after a failure, and print one line for each.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let options = Options {
        scenario: args.scenario,
        planted: args.planted,
        trace: args.trace,
        ..Options::default()
    };
    let seeds = match args.seed {
        Some(seed) => seed..seed + 1,
        None => args.start..args.start + args.seeds,
    };
    if !args.trace {
        // Panics are caught and reported with their seed; redb's on rotten pages are no news.
        std::panic::set_hook(Box::new(|_| {}));
    }
    let began = Instant::now();
    let mut total = Stats::default();
    let mut failed = Vec::new();
    for (done, seed) in seeds.clone().enumerate() {
        let run = if args.twice { run_seed_twice } else { run_seed };
        let outcome = run(seed, &options);
        total.add(&outcome.stats);
        if args.seed.is_some() {
            println!("seed {seed}: trace {:016x}; {}", outcome.trace_hash, outcome.stats);
        }
        if report(&outcome, args.keep_going) {
            failed.push(seed);
            if !args.keep_going {
                break;
            }
        }
        if (done + 1) % 100 == 0 {
            let rate = (done + 1) as f64 / began.elapsed().as_secs_f64();
            eprintln!("{} of {} seeds, {rate:.1} a second", done + 1, seeds.end - seeds.start);
        }
    }
    println!("{total}");
    println!("{} failures in {:.1} s: {failed:?}", failed.len(), began.elapsed().as_secs_f64());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(outcome: &Outcome, brief: bool) -> bool {
    match &outcome.failure {
        None => false,
        Some(failure) if brief => {
            println!("seed {}: {}", failure.seed, failure.what[0]);
            true
        }
        Some(failure) => {
            println!("{failure}");
            true
        }
    }
}

fn scenario(name: &str) -> Result<Scenario, String> {
    match name {
        "streams" => Ok(Scenario::Streams),
        "log" => Ok(Scenario::Log),
        "tables" => Ok(Scenario::Tables),
        _ => Err(format!("{name} is no scenario")),
    }
}

fn planted(name: &str) -> Result<Planted, String> {
    match name {
        "skip-sync" => Ok(Planted::SkipSync { one_in: 10 }),
        "early-children" => Ok(Planted::ChildrenBeforeSeal),
        "torn-frame" => Ok(Planted::AcceptTornFrame),
        _ => Err(format!("{name} is no planted bug")),
    }
}

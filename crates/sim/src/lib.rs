//! The simulated world's scenarios: the real server components, on simulated doors, with an oracle.
//!
//! A seed decides everything: what the clients do, how their steps interleave, when the node
//! crashes, what its disk forgets, when it fills up, fails or rots, and how the clock steps. The
//! oracle knows what was acknowledged and what is uncertain, and every answer is held against it:
//!
//! - nothing acknowledged is lost or changed, nothing is there that nobody wrote;
//! - order: positions and sequence numbers strictly increase, are never used twice, and the
//!   acknowledged puts of one writer and key are read in their order;
//! - what is damaged is reported (a read error, a refusal to open, an entry in the check's report)
//!   and never served as if it were sound.
//!
//! [`run_seed`] runs one seed and tells how to replay it if it failed. Two runs of a seed have the
//! same trace, or that is a failure too ([`run_seed_twice`]).
//!
//! Never finds what lies outside the node's process: sockets, HTTP and the real file system are
//! tried elsewhere.

mod lives;
mod log;
mod options;
mod plan;
mod streams;
mod tables;
mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};

use millstream_env::sim::{self, SimWorld};

pub use options::{Faults, Options, Planted, Scenario};
pub use verdict::{Failure, Outcome, Stats};

use plan::Plan;
use verdict::Judge;

/// Runs one seed.
pub fn run_seed(seed: u64, options: &Options) -> Outcome {
    let judge = Judge::default();
    let kept_world = parking_lot::Mutex::new(None::<SimWorld>);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        sim::run(seed, |world| {
            world.print_trace(options.trace);
            *kept_world.lock() = Some(world.clone());
            scenario(world, judge.clone(), *options)
        })
    }));
    let world = kept_world.into_inner();
    match ran {
        Ok(report) => judge.outcome(seed, world, report.trace_hash, report.panics),
        Err(panic) => {
            judge.fail(format!("the scenario itself panicked: {}", verdict::message(&*panic)));
            judge.outcome(seed, world, 0, Vec::new())
        }
    }
}

/// Runs one seed twice and fails if the traces differ.
pub fn run_seed_twice(seed: u64, options: &Options) -> Outcome {
    let first = run_seed(seed, options);
    let mut second = run_seed(seed, options);
    if first.trace_hash != second.trace_hash && second.failure.is_none() {
        let what = format!(
            "two runs of the seed differ: trace {:016x} and {:016x}",
            first.trace_hash, second.trace_hash
        );
        second.failure = Some(Failure { seed, what: vec![what], tail: Vec::new() });
    }
    second
}

async fn scenario(world: SimWorld, judge: Judge, options: Options) {
    let plan = Plan::draw(&mut world.rng("plan"), options.faults);
    world.note(format_args!("plan {plan:?}"));
    let any =
        [Scenario::Tables, Scenario::Log, Scenario::Log, Scenario::Streams, Scenario::Streams];
    match options.scenario.unwrap_or_else(|| *world.rng("scenario").pick(&any)) {
        Scenario::Streams => streams::run(world, judge, plan, options).await,
        Scenario::Log => log::run(world, judge, plan, options).await,
        Scenario::Tables => tables::run(world, judge, plan, options).await,
    }
}

//! Lives of a node, and runs of many seeds: what every crash test is made of.

use std::future::Future;

use super::{CrashKind, DiskOptions, SimNode, SimWorld, run};
use crate::Env;

/// Runs `live` again and again on one node, each time until it ends or the node is torn down at a
/// drawn disk operation, the `operations_max`th at the latest; a kill and a loss of power are as
/// likely. Then `check` runs on what is left, and nothing stops the node any more.
///
/// # Panics
/// As `check` does.
pub async fn lives<F, G>(
    world: &SimWorld,
    count: u32,
    operations_max: u64,
    live: impl Fn(SimWorld, Env) -> F,
    check: impl FnOnce(Env) -> G,
) where
    F: Future<Output = ()> + Send + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let node: SimNode = world.node("node", DiskOptions::default());
    let mut env = node.env();
    for _ in 0..count {
        let (n, power) = world.draw(|rng| (rng.below(operations_max) + 1, rng.one_in(2)));
        let kind = if power { CrashKind::PowerLoss } else { CrashKind::Kill };
        node.disk().crash_at(n, kind);
        let _ = node.call("live", live(world.clone(), env)).await;
        env = node.restart().await;
    }
    node.call("check", check(env)).await.expect("nothing stops the node now");
}

/// Runs the scenario with the seeds from 0 to below `count`.
///
/// # Panics
/// As a run does, or one of its nodes.
pub fn check_seeds<F: Future<Output = ()>>(count: u64, scenario: impl Fn(SimWorld) -> F) {
    for seed in 0..count {
        let report = run(seed, &scenario);
        assert!(report.panics.is_empty(), "seed {seed}: {:?}", report.panics);
    }
}

/// Runs the scenario twice with one seed.
///
/// # Panics
/// The runs differ: something decides that does not come from the seed.
pub fn check_repeats<F: Future<Output = ()>>(scenario: impl Fn(SimWorld) -> F) {
    let runs = [0, 1].map(|_| run(7, &scenario));
    assert_eq!(runs[0].trace_hash, runs[1].trace_hash, "two runs of seed 7");
}

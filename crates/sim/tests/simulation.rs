//! The simulation itself, and the proof that it would find something.
#![allow(clippy::disallowed_methods)]

use millstream_sim::{Options, Planted, Scenario, Stats, run_seed, run_seed_twice};

/// Seeds of an ordinary test run, over all scenarios.
const SEEDS: u64 = 300;
/// Within so many seeds a planted bug must be found.
const SEEDS_TO_FIND: u64 = 60;

#[test]
fn no_promise_is_broken_in_any_of_the_seeds() {
    std::panic::set_hook(Box::new(|_| {})); // panics are caught and reported with their seed
    let mut total = Stats::default();
    for seed in 0..SEEDS {
        let outcome = run_seed(seed, &Options::default());
        if let Some(failure) = &outcome.failure {
            let _ = std::panic::take_hook(); // speak again
            panic!("{failure}");
        }
        total.add(&outcome.stats);
    }
    println!("{total}");
    // A simulation in which nothing happens proves nothing.
    assert!(total.crashes > SEEDS, "{total}");
    assert!(total.acknowledged > 50 * SEEDS, "{total}");
    assert!(total.entries_read > 500 * SEEDS, "{total}");
    assert!(total.uncertain > SEEDS, "{total}");
    assert!(total.reshards > SEEDS && total.events > SEEDS, "{total}");
    assert!(total.damage_reported > 0 && total.full_reported > 0, "{total}");
}

#[test]
fn a_seed_runs_the_same_twice() {
    for scenario in [Scenario::Tables, Scenario::Log, Scenario::Streams] {
        let options = Options { scenario: Some(scenario), ..Options::default() };
        for seed in 500..510 {
            let outcome = run_seed_twice(seed, &options);
            assert!(outcome.failure.is_none(), "{scenario:?}: {:?}", outcome.failure);
        }
    }
}

#[test]
fn different_seeds_are_different_runs() {
    let hashes: std::collections::BTreeSet<u64> =
        (0..20).map(|seed| run_seed(seed, &Options::default()).trace_hash).collect();
    assert_eq!(hashes.len(), 20);
}

#[test]
fn a_disk_that_skips_syncs_is_found_out_by_every_scenario() {
    for scenario in [Scenario::Tables, Scenario::Log, Scenario::Streams] {
        let found = first_seed_that_finds(Planted::SkipSync { one_in: 10 }, scenario);
        assert!(found.is_some(), "{scenario:?} does not notice that syncs are skipped");
    }
}

#[test]
fn a_recovery_that_takes_torn_frames_is_found_out() {
    let found = first_seed_that_finds(Planted::AcceptTornFrame, Scenario::Log);
    assert!(found.is_some(), "torn frames are not noticed");
}

#[test]
fn children_that_open_before_their_parents_are_sealed_are_found_out() {
    let found = first_seed_that_finds(Planted::ChildrenBeforeSeal, Scenario::Streams);
    assert!(found.is_some(), "records that land in closed shards are not noticed");
}

fn first_seed_that_finds(planted: Planted, scenario: Scenario) -> Option<u64> {
    let options =
        Options { scenario: Some(scenario), planted: Some(planted), ..Options::default() };
    let found = (0..SEEDS_TO_FIND).find(|seed| run_seed(*seed, &options).failure.is_some())?;
    // Without the bug the same seed must be sound, or it was not the bug that was found.
    let sound = run_seed(found, &Options { planted: None, ..options });
    assert!(sound.failure.is_none(), "{:?}", sound.failure);
    println!("{planted:?} is found by {scenario:?} seed {found}");
    Some(found)
}

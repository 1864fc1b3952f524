//! The attack suite works: each attack in short; good clients see no error, memory is bounded.
//!
//! Latency is measured, not tested: `cargo xtask attack` tells it.
#![allow(clippy::disallowed_methods, reason = "a test program stands outside the house")]

use std::time::Duration;

use conformance::attack::{ATTACKS, GOOD_CLIENTS, overload, suite};

#[test]
fn good_clients_go_on_under_every_attack() {
    let outcome = suite(Duration::from_millis(1200), &[], |row| println!("{row}")).unwrap();
    assert_eq!(outcome.rows.len(), 1 + ATTACKS.len());
    for row in &outcome.rows {
        assert_eq!(row.errors, 0, "{row}");
        assert!(row.good_requests >= GOOD_CLIENTS as u64, "{row}");
        assert!(row.memory_peak_mib <= outcome.memory_max_mib, "{row}");
        assert!(row.attack == "(quiet)" || row.deeds > 0, "{row}");
    }
}

#[test]
fn an_overloaded_node_sheds_and_recovers_by_itself() {
    let outcome = overload(64, Duration::from_secs(4)).unwrap();
    println!("{outcome:?}");
    assert!(outcome.served > 0, "{outcome:?}");
    assert!(outcome.shed > 0, "there was no overload: {outcome:?}");
    assert_eq!(outcome.other, 0, "{outcome:?}");
    assert!(outcome.memory_peak_mib <= outcome.memory_max_mib, "{outcome:?}");
    assert!(outcome.recovered < Duration::from_secs(10), "{outcome:?}");
}

//! The house is tidy: every check of `cargo xtask tidy` on the tree as it is.
#![allow(clippy::disallowed_methods)]

use xtask::run;
use xtask::tidy::{CHECKS, House};

#[test]
fn the_house_is_tidy() {
    let house = House::open(&run::root()).expect("the tree can be read");
    let mut found = vec![];
    for (name, check) in CHECKS {
        let problems = check(&house).expect("the check can read what it needs");
        found.extend(problems.iter().map(|problem| format!("{problem} [{name}]")));
    }
    assert!(found.is_empty(), "{} problems:\n{}", found.len(), found.join("\n"));
}

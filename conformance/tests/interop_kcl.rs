//! The official Java KCL, polling and with enhanced fan-out.
//!
//! Heavy: runs when `MILLSTREAM_INTEROP` asks for `kcl` (`cargo xtask interop kcl`). Needs a JDK,
//! Maven, and moto for the lease tables.

use conformance::consume::{Software, check, programs};
use conformance::peers;

fn kcl(mode: &str) {
    if peers::heavy("kcl") {
        check(&Software {
            name: "Java KCL",
            command: &programs::kcl,
            mode,
            takes_apart: true,
            in_order: true,
            resumes: true,
        });
    }
}

#[test]
fn polling() {
    kcl("polling");
}

#[test]
fn fan_out() {
    kcl("fan-out");
}

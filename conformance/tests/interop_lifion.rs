//! lifion-kinesis, a consumer for Node: polling and with enhanced fan-out, state in DynamoDB.
//!
//! Heavy, as a second run waits 40 s for the leases of the first: runs when `MILLSTREAM_INTEROP` asks
//! for `lifion` (`cargo xtask interop lifion`). Needs Node, and Python for moto.

use conformance::consume::{Software, check, programs};
use conformance::peers;

fn lifion(mode: &str) {
    if peers::heavy("lifion") {
        check(&Software {
            name: "lifion-kinesis",
            command: &|| programs::node("lifion.cjs"),
            mode,
            takes_apart: true,
            in_order: true,
            resumes: true,
        });
    }
}

#[test]
fn polling() {
    lifion("polling");
}

#[test]
fn fan_out() {
    lifion("fan-out");
}

//! vmware-go-kcl-v2, polling and with enhanced fan-out.
//!
//! Heavy: runs when `MILLSTREAM_INTEROP` asks for `go-kcl` (`cargo xtask interop go-kcl`). Needs Go,
//! and moto for the lease table.

use conformance::consume::{Software, check, programs};
use conformance::peers;

fn go_kcl(mode: &str) {
    if peers::heavy("go-kcl") {
        let folder = tempfile::tempdir().expect("a temporary folder");
        check(&Software {
            name: "vmware-go-kcl-v2",
            command: &|| programs::go_kcl(folder.path()),
            mode,
            takes_apart: true,
            in_order: true,
            resumes: true,
        });
    }
}

#[test]
fn polling() {
    go_kcl("polling");
}

#[test]
fn fan_out() {
    go_kcl("fan-out");
}

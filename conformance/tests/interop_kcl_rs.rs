//! kcl-rs, a KCL written in Rust, through its Python bindings: polling and with enhanced fan-out.
//!
//! Heavy, as its workers wait long for leases: runs when `MILLSTREAM_INTEROP` asks for `kcl-rs`
//! (`cargo xtask interop kcl-rs`). Needs Python, and moto for the lease table.

use conformance::consume::{Software, check, programs};
use conformance::peers;

fn kcl_rs(mode: &str) {
    if peers::heavy("kcl-rs") {
        check(&Software {
            name: "kcl-rs",
            command: &|| programs::python("kcl_rs_reader.py"),
            mode,
            takes_apart: true,
            in_order: true,
            resumes: true,
        });
    }
}

#[test]
fn polling() {
    kcl_rs("polling");
}

#[test]
fn fan_out() {
    kcl_rs("fan-out");
}

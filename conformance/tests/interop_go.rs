//! The catalogue through the AWS SDK for Go v2.
//!
//! Heavy: runs when `MILLSTREAM_INTEROP` asks for `go` (`cargo xtask interop go`). Needs Go.

use std::path::Path;
use std::process::Command;

use conformance::client::Client;
use conformance::driver::Driver;
use conformance::peers;
use conformance::runner::play_catalogue;

/// Drivers side by side.
const PLAYERS: usize = 2;

#[test]
fn catalogue_through_go() {
    if !peers::interop("go") {
        eprintln!("SKIPPED: Go; `cargo xtask interop go` runs it");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let driver = folder.path().join("driver");
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&driver)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("go"))
        .status()
        .expect("Go starts");
    assert!(status.success(), "the Go driver does not build");
    play_catalogue(
        &|address| {
            let mut command = Command::new(&driver);
            command.arg(format!("http://{address}"));
            Ok(Box::new(Driver::start("go", "go", command)?) as Box<dyn Client>)
        },
        PLAYERS,
    );
}

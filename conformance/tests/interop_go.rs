//! The catalogue through the AWS SDK for Go v2.
//!
//! Heavy: runs when `MILLSTREAM_INTEROP` asks for `go` (`cargo xtask interop go`). Needs Go.

use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::client::Client;
use conformance::doors::play_doors;
use conformance::driver::Driver;
use conformance::peers;
use conformance::runner::play_catalogue;
use tempfile::TempDir;

/// Drivers side by side.
const PLAYERS: usize = 2;

/// The driver, in a folder that goes with the value.
fn build() -> (TempDir, PathBuf) {
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
    (folder, driver)
}

#[test]
fn catalogue_through_go() {
    if !peers::heavy("go") {
        return;
    }
    let (_folder, driver) = build();
    play_catalogue(
        &|address| {
            let mut command = Command::new(&driver);
            command.arg(format!("http://{address}"));
            Ok(Box::new(Driver::start("go", "go", command)?) as Box<dyn Client>)
        },
        PLAYERS,
    );
}

/// Over HTTP/2, as Go agrees on it by ALPN.
#[test]
fn tls_through_go() {
    if !peers::heavy("go") {
        return;
    }
    let (_folder, driver) = build();
    play_doors(&|server| {
        let mut command = Command::new(&driver);
        command.arg(server.endpoint()).env("SSL_CERT_FILE", server.ca_file());
        Ok(Box::new(Driver::start("go", "go", command)?) as Box<dyn Client>)
    })
    .expect("Go over TLS");
}

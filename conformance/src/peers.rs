//! Where the real clients are.
//!
//! `cargo xtask test` installs them under `.peers/` and names them in the environment. Without
//! that, a laptop skips what is missing, in words; CI (`CI` is set) fails.

use std::path::PathBuf;
use std::process::Command;

use crate::server::workspace;

/// The Python interpreter with boto3 and the AWS CLI in its environment.
pub fn python() -> Option<PathBuf> {
    find("MILLSTREAM_PYTHON", &["venv/bin/python", "python/bin/python"])
}

/// The AWS CLI beside that interpreter.
pub fn aws_cli() -> Option<PathBuf> {
    let aws = python()?.parent()?.join("aws");
    aws.exists().then_some(aws)
}

/// The folder `node_modules` with the JavaScript SDK.
pub fn node_modules() -> Option<PathBuf> {
    find("MILLSTREAM_NODE_MODULES", &["node_modules", "js/node_modules"])
        .filter(|_| runs("node", "--version"))
}

/// The Python interpreter with consumer libraries and moto, which gives them their DynamoDB.
pub fn consumers_python() -> Option<PathBuf> {
    find("MILLSTREAM_CONSUMERS_PYTHON", &["consumers/bin/python"])
}

/// The folder `node_modules` with consumer libraries.
pub fn consumers_node_modules() -> Option<PathBuf> {
    find("MILLSTREAM_CONSUMERS_NODE_MODULES", &["consumers-js/node_modules"])
        .filter(|_| runs("node", "--version"))
}

/// The Python interpreter with the AWS Encryption SDK.
pub fn encryption_python() -> Option<PathBuf> {
    find("MILLSTREAM_ENCRYPTION_PYTHON", &["encryption/bin/python"])
}

/// Whether `MILLSTREAM_INTEROP` (a list such as `java,go`, or `all`) asks for a heavy client.
pub fn interop(name: &str) -> bool {
    let asked = std::env::var("MILLSTREAM_INTEROP").unwrap_or_default();
    asked.split(',').any(|one| one.trim() == name || one.trim() == "all")
}

/// Whether to run the test of a heavy client; says so when not.
pub fn heavy(name: &str) -> bool {
    let asked = interop(name);
    if !asked {
        eprintln!("SKIPPED: {name}; `cargo xtask interop {name}` runs it");
    }
    asked
}

/// Says that `what` is not tested here.
///
/// # Panics
/// When `CI` is set: there every peer must be present.
pub fn skip(what: &str) {
    let ci = std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false");
    assert!(!ci, "{what} is missing: run the tests with `cargo xtask test`, which installs it");
    eprintln!("SKIPPED: {what} is missing; `cargo xtask test` installs it");
}

fn find(variable: &str, beneath_peers: &[&str]) -> Option<PathBuf> {
    if let Ok(path) = std::env::var(variable) {
        return Some(PathBuf::from(path));
    }
    let peers = workspace().join(".peers");
    beneath_peers.iter().map(|path| peers.join(path)).find(|path| path.exists())
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

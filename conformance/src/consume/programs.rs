//! The consumer programs of `conformance/consumers`, ready to be started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::java;
use crate::peers;

/// What Flink's serializers reach into since Java 17.
const FLINK_OPENS: [&str; 3] = [
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.time=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
];

/// A script for the Python of the consumer libraries.
///
/// # Errors
/// That Python is not installed.
pub fn python(script: &str) -> Result<Command> {
    let mut command = Command::new(peers::consumers_python().context("no Python for consumers")?);
    command.arg(folder("python").join(script));
    Ok(command)
}

/// A script for Node with the consumer libraries.
///
/// # Errors
/// They are not installed.
pub fn node(script: &str) -> Result<Command> {
    let modules = peers::consumers_node_modules().context("no Node packages for consumers")?;
    let mut command = Command::new("node");
    command.arg("--no-deprecation").arg(folder("js").join(script)).env("NODE_PATH", modules);
    Ok(command)
}

/// The KCL's application, built.
///
/// # Errors
/// Maven fails.
pub fn kcl() -> Result<Command> {
    let path = java::package("consumers/kcl", "consumer.jar")?;
    let mut command = java::command();
    command.arg("-cp").arg(path).arg("Consume");
    Ok(command)
}

/// The Flink jobs, built.
///
/// # Errors
/// Maven fails.
pub fn flink() -> Result<Command> {
    let path = java::package("consumers/flink", "jobs.jar")?;
    let mut command = java::command();
    command.args(FLINK_OPENS).arg("-cp").arg(path).arg("Jobs");
    Ok(command)
}

/// The application of the KCL for Go, built into `folder_for_binary`.
///
/// # Errors
/// Go fails.
pub fn go_kcl(folder_for_binary: &Path) -> Result<Command> {
    let binary = folder_for_binary.join("reader");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&binary).arg(".").current_dir(folder("go"));
    let status = build.status().context("Go can't be started")?;
    anyhow::ensure!(status.success(), "the Go program does not build");
    Ok(Command::new(binary))
}

fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("consumers").join(language)
}

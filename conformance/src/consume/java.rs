//! Building the Java programs, and starting small virtual machines.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

/// A virtual machine that shares a small computer with others, and speaks only of what is wrong.
pub fn command() -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    command
}

/// Builds the Maven project in `folder` of `conformance` and returns its class path.
///
/// # Errors
/// Maven is missing or fails.
pub fn package(folder: &str, jar: &str) -> Result<OsString> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().expect("no holder panics");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut maven = Command::new("mvn");
    maven.args(["-B", "-q", "package"]).env("MAVEN_OPTS", "-Xmx512m").current_dir(&folder);
    if let Ok(repository) = std::env::var("MILLSTREAM_MAVEN_REPOSITORY") {
        maven.arg(format!("-Dmaven.repo.local={repository}"));
    }
    let status = maven.status().context("Maven can't be started")?;
    ensure!(status.success(), "{} does not build", folder.display());
    let target = folder.join("target");
    let mut path = target.join(jar).into_os_string();
    path.push(":");
    path.push(target.join("dependency/*"));
    Ok(path)
}

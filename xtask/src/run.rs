//! Running other programs: where the tree is, one named and timed step at a time, and children
//! that never outlive us.
//!
//! Promises: a failing program becomes an error that shows its command line; a [`Child`] is stopped by
//! its process id when it is dropped. Never does: read a shell, match processes by name.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The root of the working tree.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies one folder below the root").to_path_buf()
}

/// Where cargo puts what it builds (`CARGO_TARGET_DIR`, or `target` in the tree).
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// True on a build server (`CI=true`): there a missing tool is a failure, not a skip.
pub fn on_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// The cargo that runs us, started in the root of the tree.
pub fn cargo<I, S>(args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root());
    // Set by the `cargo run` that started us; not for the crates that the nested cargo builds.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"]
    {
        command.env_remove(name);
    }
    command
}

/// `cargo test` over the whole workspace, in which clippy is the compiler of our own crates: what it
/// warns of is an error. `cargo clippy` by itself would go through all dependencies once more, and a
/// single package would be built with other features; so everything that tests goes through here.
pub fn cargo_test<I, S>(args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut command = cargo(["test", "--workspace", "--locked"]);
    command.args(args);
    if let Some(driver) = which("clippy-driver") {
        command.env("RUSTC_WORKSPACE_WRAPPER", driver);
        // How `cargo clippy -- -D warnings` tells the driver.
        command.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    }
    command
}

/// The server in which [`cargo_test`]'s black-box tests run.
pub fn tested_server() -> PathBuf {
    target_dir().join("debug/millstream")
}

/// Runs `command` with our own input and output, and fails unless it exits with 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    succeed(command, status)
}

/// Runs `command` and returns what it printed; its errors go to the terminal.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    succeed(command, out.status)?;
    String::from_utf8(out.stdout).with_context(|| format!("{} printed no text", shown(command)))
}

/// Runs `command` without a word, unless it fails: then everything that it said is in the error.
pub fn quietly(command: &mut Command) -> Result<()> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !out.status.success() {
        let said = [out.stdout, out.stderr].concat();
        bail!("{} failed ({}):\n{}", shown(command), out.status, String::from_utf8_lossy(&said));
    }
    Ok(())
}

/// Does one named step and prints how long it took.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let begin = Instant::now();
    let result = work();
    let word = if result.is_ok() { "done" } else { "FAILED" };
    println!("    {name}: {word} in {}", seconds(begin.elapsed()));
    result.with_context(|| format!("step '{name}' failed"))
}

/// `12.3 s`, or `4 min 05 s` from two minutes on.
pub fn seconds(took: Duration) -> String {
    let all = took.as_secs();
    if all < 120 {
        return format!("{:.1} s", took.as_secs_f64());
    }
    format!("{} min {:02} s", all / 60, all % 60)
}

/// The program `name` on the search path, if there is one.
pub fn which(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A child process that is stopped, by its id, when this value goes away.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
}

impl Child {
    /// Starts `command` in the background.
    pub fn start(command: &mut Command) -> Result<Child> {
        let inner = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
        Ok(Child { inner })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// The process itself, for its pipes and its exit status.
    pub fn process(&mut self) -> &mut std::process::Child {
        &mut self.inner
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        // Both fail only when the process is gone already, which is what we want.
        let _ = self.inner.kill();
        let _ = self.inner.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn succeed(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_shows_its_command_line_and_its_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 3"]);
        let error = quietly(&mut command).expect_err("exit 3 is a failure").to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("why"), "{error}");
    }

    #[test]
    fn a_child_is_gone_when_its_value_is() {
        let child = Child::start(Command::new("sleep").arg("60")).expect("sleep starts");
        let process = PathBuf::from(format!("/proc/{}", child.id()));
        assert!(process.exists());
        drop(child);
        assert!(!process.exists());
    }

    #[test]
    fn long_times_are_shown_in_minutes() {
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(seconds(Duration::from_secs(245)), "4 min 05 s");
    }
}

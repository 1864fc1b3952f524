//! A running consumer program: its records, its complaints, its end.
//!
//! Invariant: only the process started here is stopped, by its handle; it also ends by itself when
//! the test dies, as its standard input ends then.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longest wait for a graceful end; libraries finish polls and hand leases back.
const END_MAX: Duration = Duration::from_secs(60);
/// Lines of its complaints kept.
const COMPLAINTS_MAX: usize = 120;

/// A running program.
pub struct Application {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Arc<Mutex<VecDeque<String>>>,
}

impl Application {
    /// Starts it, with credentials that no one checks and without the caller's AWS settings.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        for (variable, _) in std::env::vars() {
            if variable.starts_with("AWS_") {
                command.env_remove(variable);
            }
        }
        let mut child = command
            .env("AWS_ACCESS_KEY_ID", super::stream::ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", super::stream::REGION)
            .env("AWS_DEFAULT_REGION", super::stream::REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} can't be started: {command:?}"))?;
        let stdin = child.stdin.take();
        let (sender, lines) = channel();
        let complaints = Arc::new(Mutex::new(VecDeque::new()));
        let kept = complaints.clone();
        each_line(child.stdout.take().expect("stdout is piped"), move |line| {
            if line.starts_with('{') { drop(sender.send(line)) } else { keep(&kept, line) }
        });
        let kept = complaints.clone();
        each_line(child.stderr.take().expect("stderr is piped"), move |line| keep(&kept, line));
        Ok(Self { name: name.to_owned(), child, stdin, lines, complaints })
    }

    /// The records printed since the last call.
    pub fn lines(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// What it said last beside its records.
    pub fn complaints(&self) -> String {
        let lines = self.complaints.lock().expect("no holder panics");
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Fails when it has ended by itself.
    ///
    /// # Errors
    /// Says how, with its complaints.
    pub fn assert_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended by itself: {status}\n{}", self.name, self.complaints());
        }
        Ok(())
    }

    /// Ends its standard input and waits for a clean end.
    ///
    /// # Errors
    /// No end within a minute, or an exit code other than 0.
    pub fn stop(&mut self) -> Result<()> {
        drop(self.stdin.take());
        let deadline = Instant::now() + END_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                let name = &self.name;
                ensure!(status.success(), "{name} ended with {status}\n{}", self.complaints());
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{}: no end within {END_MAX:?}\n{}", self.name, self.complaints())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(kept: &Mutex<VecDeque<String>>, line: String) {
    let mut kept = kept.lock().expect("no holder panics");
    kept.push_back(line);
    if kept.len() > COMPLAINTS_MAX {
        kept.pop_front();
    }
}

fn each_line(output: impl Read + Send + 'static, mut work: impl FnMut(String) + Send + 'static) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            work(line);
        }
    });
}

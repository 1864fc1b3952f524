//! An SDK of another language, behind a small generic program.
//!
//! The program gets the endpoint as its argument, reads one call per line from its standard input
//! (`{"op", "in", "account", "region"}`) and prints one answer per line: `{"status", "out"}`,
//! `{"status", "error", "message"}`, or `{"trouble"}` when the SDK itself failed. Calls and outputs
//! are in the neutral form; the program translates them by the SDK's own model.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Answer, Call, Client, Fault};

/// Longest wait for one answer; the first includes the program's own start.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Lines of the program's complaints kept.
const COMPLAINTS_MAX: usize = 60;

/// A running driver program.
pub struct Driver {
    name: String,
    family: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
    complaints: Arc<Mutex<VecDeque<String>>>,
}

#[derive(Deserialize)]
struct Line {
    status: Option<u16>,
    out: Option<Value>,
    error: Option<String>,
    message: Option<String>,
    trouble: Option<String>,
}

impl Driver {
    /// Starts the program.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(name: &str, family: &'static str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} can't be started: {command:?}"))?;
        let stdin = child.stdin.take();
        let (lines, answers) = channel();
        let stdout = child.stdout.take().expect("stdout is piped");
        each_line(stdout, move |line| drop(lines.send(line)));
        let complaints = Arc::new(Mutex::new(VecDeque::new()));
        let kept = complaints.clone();
        each_line(child.stderr.take().expect("stderr is piped"), move |line| {
            let mut kept = kept.lock().expect("no holder panics");
            kept.push_back(line);
            if kept.len() > COMPLAINTS_MAX {
                kept.pop_front();
            }
        });
        Ok(Self { name: name.to_owned(), family, child, stdin, answers, complaints })
    }

    fn complaints(&self) -> String {
        let lines = self.complaints.lock().expect("no holder panics");
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Client for Driver {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn family(&self) -> &'static str {
        self.family
    }

    fn call(&mut self, call: &Call) -> Result<Answer> {
        let line = json!({
            "op": call.operation, "in": call.params, "account": call.account, "region": call.region,
        });
        let stdin = self.stdin.as_mut().context("stdin is piped")?;
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).with_context(|| {
            std::thread::sleep(Duration::from_millis(200));
            format!("{} does not listen any more\n{}", self.name, self.complaints())
        })?;
        let answer = match self.answers.recv_timeout(ANSWER_MAX) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                bail!("{}: no answer\n{}", self.name, self.complaints())
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("{} ended\n{}", self.name, self.complaints())
            }
        };
        let line: Line = serde_json::from_str(&answer)
            .with_context(|| format!("{} printed {answer}", self.name))?;
        if let Some(trouble) = line.trouble {
            bail!("{} has trouble of its own: {trouble}", self.name);
        }
        let message = line.message;
        let fault = line.error.map(|kind| Fault { kind, message });
        let body = line.out.unwrap_or_default();
        Ok(Answer { status: line.status, fault, body, ..Answer::default() })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn each_line(output: impl Read + Send + 'static, mut with: impl FnMut(String) + Send + 'static) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            with(line);
        }
    });
}

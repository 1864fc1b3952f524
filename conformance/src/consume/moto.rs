//! DynamoDB (and CloudWatch) for the libraries' leases and metrics: moto's server, from PyPI.
//!
//! Invariant: listens on loopback; ends with the test, also when the test is killed, as it watches
//! its standard input.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{peers, server};

/// Longest wait for its port; it imports a large package.
const START_MAX: Duration = Duration::from_secs(60);

/// A running peer.
pub struct Moto {
    child: Child,
    port: u16,
}

impl Moto {
    /// Starts it on a port of its own.
    ///
    /// # Errors
    /// It is not installed, or no port is heard of in time.
    pub fn start() -> Result<Self> {
        let python = peers::consumers_python().context("moto is not installed")?;
        let script = server::workspace().join("conformance/consumers/python/moto_peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("moto does not start")?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut moto = Self { child, port: 0 };
        let (sender, line) = channel();
        std::thread::spawn(move || {
            let mut first = String::new();
            let _ = BufReader::new(stdout).read_line(&mut first);
            let _ = sender.send(first);
        });
        let line = line.recv_timeout(START_MAX).context("moto tells no port in time")?;
        moto.port = line.trim().parse().with_context(|| format!("moto's port is {line:?}"))?;
        Ok(moto)
    }

    /// The endpoint URL for all of its services.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

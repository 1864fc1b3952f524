//! A server to be measured: started on loopback, awaited, stopped by its process id, data removed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::run::Child;

/// Longest wait for a server's first answer; the Python ones take seconds.
const START_MAX: Duration = Duration::from_secs(60);
/// How often a starting server is asked.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// The access key of all runs; our own node checks signatures with it.
pub const ACCESS_KEY: &str = "AKIDBENCH";
/// Its secret: a word for loopback, not a secret.
pub const SECRET_KEY: &str = "bench-on-loopback";

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    /// From the start of the process to its first good answer.
    pub started_in: Duration,
    data: Option<PathBuf>,
}

/// How our own node is started.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// `storage.sync`.
    pub sync: bool,
}

impl Node {
    /// A node on a fresh data directory below `home`.
    pub fn start(self, binary: &Path, home: &Path) -> Result<Server> {
        let data = home.join("millstream");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        self.start_on(binary, &data)
    }

    /// A node on the data directory `data`, with whatever is in it.
    pub fn start_on(self, binary: &Path, data: &Path) -> Result<Server> {
        let config = data.with_extension("toml");
        std::fs::write(&config, self.config())?;
        let address = free_address()?;
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", &address.to_string()]);
        command.arg("--config").arg(&config).arg("--data-dir").arg(data);
        Server::start(&mut command, address, Some("/readyz"), Some(data.to_path_buf()))
    }

    fn config(self) -> String {
        format!(
            "[auth]\nmode = \"keys\"\n[[auth.keys]]\naccess_key_id = \"{ACCESS_KEY}\"\n\
             secret_access_key = \"{SECRET_KEY}\"\n[logging]\nlevel = \"warn\"\n\
             [storage]\nsync = {}\n",
            self.sync
        )
    }
}

impl Server {
    /// Starts `command`, which will listen on `address`, and waits for an answer: 200 to `GET` of
    /// `path`, or any accepted connection. Its output goes nowhere but into the error.
    pub fn start(
        command: &mut Command,
        address: SocketAddr,
        path: Option<&str>,
        data: Option<PathBuf>,
    ) -> Result<Server> {
        let begin = Instant::now();
        let child =
            Child::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
        let mut server = Server { child, address, started_in: Duration::ZERO, data };
        while !answers(address, path) {
            if let Some(status) = server.child.process().try_wait()? {
                bail!("{:?} ended by itself: {status}", command.get_program());
            }
            if begin.elapsed() > START_MAX {
                bail!("{:?} did not answer within {START_MAX:?}", command.get_program());
            }
            std::thread::sleep(ASK_EVERY);
        }
        server.started_in = begin.elapsed();
        Ok(server)
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory now, in bytes.
    pub fn resident_bytes(&self) -> Result<f64> {
        let file = format!("/proc/{}/status", self.id());
        let status =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS")?;
        Ok(kib.trim().parse::<f64>()? * 1024.0)
    }

    /// SIGKILL, the data stays: a crash.
    pub fn crash(mut self) -> PathBuf {
        self.child.kill();
        self.data.take().expect("only a node with data is crashed")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill();
        if let Some(data) = &self.data {
            // What stays is removed by the next run.
            let _ = std::fs::remove_dir_all(data);
        }
    }
}

/// A loopback address that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn answers(address: SocketAddr, path: Option<&str>) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let Some(path) = path else { return true };
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut head = [0; 12];
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && &head == b"HTTP/1.1 200"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_at_once_is_an_error_and_not_a_wait() {
        let address = free_address().expect("loopback has a free port");
        let begin = Instant::now();
        let error = Server::start(&mut Command::new("false"), address, None, None);
        assert!(error.expect_err("false ends").to_string().contains("ended by itself"));
        assert!(begin.elapsed() < START_MAX / 2);
    }

    #[test]
    fn the_configuration_of_a_node_is_toml() {
        let table: toml::Table = Node { sync: false }.config().parse().expect("it is TOML");
        assert_eq!(table["storage"]["sync"].as_bool(), Some(false));
    }
}

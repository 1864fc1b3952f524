//! The process under test: the real binary, on a data directory of its own, on a loopback port.
//!
//! [`Server::start`] waits until `/healthz` answers; [`Server::stop`] sends SIGTERM and demands
//! exit code 0; [`Server::kill`] sends SIGKILL; [`Server::restart`] serves the same data again.
//! Both output streams are kept and shown when something goes wrong.
//!
//! Invariant: only the process started here is signalled, by its id; dropping the server kills it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// Longest wait for the port and for `/healthz`, also on a machine busy with other builds.
pub const START_MAX: Duration = Duration::from_secs(60);
/// Longest wait for an exit after SIGTERM.
pub const STOP_MAX: Duration = Duration::from_secs(40);
/// Lines of output kept per server.
const LOG_LINES_MAX: usize = 2_000;

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration file's text (TOML); empty means no file.
    pub config: String,
    /// Further arguments of `serve`.
    pub args: Vec<String>,
}

/// The argument that makes a server speak TLS.
pub const SELF_SIGNED: &str = "--tls-self-signed";

impl Options {
    fn speaks_tls(&self) -> bool {
        self.args.iter().any(|argument| argument == SELF_SIGNED)
    }
}

/// A running server and its data directory.
#[derive(Debug)]
pub struct Server {
    options: Options,
    home: Arc<TempDir>,
    process: Process,
}

#[derive(Debug)]
struct Process {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts the binary on a fresh data directory.
    ///
    /// # Errors
    /// The binary can't be built or started, or does not answer within [`START_MAX`]; the error
    /// carries what it printed.
    pub fn start(options: Options) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("millstream-conformance-").tempdir()?;
        Self::start_in(Arc::new(home), options)
    }

    /// Starts the binary on `home`, whose `data` folder is the data directory.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_in(home: Arc<TempDir>, options: Options) -> Result<Self> {
        let process = Process::start(home.path(), &options)?;
        Ok(Self { options, home, process })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// The endpoint URL clients are given.
    pub fn endpoint(&self) -> String {
        let scheme = if self.options.speaks_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.process.address)
    }

    /// The file that clients of a server with [`SELF_SIGNED`] must trust.
    pub fn ca_file(&self) -> PathBuf {
        self.data_dir().join("tls").join("ca.pem")
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Everything printed so far, both streams, for a failure's message.
    pub fn log(&self) -> String {
        self.process.log_text()
    }

    /// SIGTERM, and wait for the end.
    ///
    /// # Errors
    /// No exit within [`STOP_MAX`], or an exit code other than 0.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.process.terminate()?;
        ensure!(status.success(), "exit after SIGTERM is {status}\n{}", self.log());
        Ok(())
    }

    /// SIGKILL, and wait for the end: a crash.
    ///
    /// # Errors
    /// The process can't be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.process.child.kill()?;
        self.process.child.wait()?;
        Ok(())
    }

    /// Starts again on the same data directory, on a new port.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.process = Process::start(self.home.path(), &self.options)?;
        Ok(())
    }

    /// As [`Server::restart`], with other options from now on.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart_with(&mut self, options: Options) -> Result<()> {
        self.options = options;
        self.restart()
    }

    /// Fails when the process has ended by itself or logged a panic.
    ///
    /// # Errors
    /// Says which, with the log.
    pub fn assert_alive(&mut self) -> Result<()> {
        if let Some(status) = self.process.child.try_wait()? {
            bail!("the server ended by itself: {status}\n{}", self.log());
        }
        let log = self.log();
        ensure!(!log.contains("panicked at"), "the server panicked:\n{log}");
        Ok(())
    }

    /// Resident memory in bytes, as the kernel counts it.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn resident_bytes(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.pid()))?;
        let pages = text.split_whitespace().nth(1).context("statm has no second field")?;
        Ok(pages.parse::<u64>()? * 4096)
    }

    /// Open file descriptors, sockets included.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn open_files(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }
}

impl Process {
    fn start(home: &Path, options: &Options) -> Result<Self> {
        let mut command = Command::new(binary()?);
        command.arg("serve").arg("--data-dir").arg(home.join("data"));
        command.arg("--listen").arg("127.0.0.1:0");
        if !options.config.is_empty() {
            let file = home.join("millstream.toml");
            std::fs::write(&file, &options.config)?;
            command.arg("--config").arg(file);
        }
        command.args(&options.args).env_remove("AWS_PROFILE").current_dir(home);
        for (name, _) in std::env::vars() {
            if name.starts_with("MILLSTREAM_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("the server does not start")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let address = Arc::new(OnceLock::new());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        follow(stdout, log.clone(), Some(address.clone()));
        follow(stderr, log.clone(), None);
        let unspecified = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { child, address: unspecified, log };
        process.wait_ready(&address, options.speaks_tls())?;
        Ok(process)
    }

    fn wait_ready(&mut self, address: &OnceLock<SocketAddr>, tls: bool) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                std::thread::sleep(Duration::from_millis(50));
                bail!("the server ended while starting: {status}\n{}", self.log_text());
            }
            if let Some(address) = address.get() {
                self.address = *address;
                // The line with the address comes when the server answers; a plain question proves
                // it where it is understood.
                if tls || healthy(*address) {
                    return Ok(());
                }
            }
            ensure!(Instant::now() < deadline, "no /healthz in time\n{}", self.log_text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn terminate(&mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).context("process id")?;
        let pid = rustix::process::Pid::from_raw(pid).context("process id 0")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + STOP_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("no exit within {STOP_MAX:?} after SIGTERM\n{}", self.log_text())
    }

    fn log_text(&self) -> String {
        self.log.lock().expect("no holder panics").join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies lines into `log`, the oldest going first, and tells the first address seen.
fn follow(
    output: impl Read + Send + 'static,
    log: Arc<Mutex<Vec<String>>>,
    address: Option<Arc<OnceLock<SocketAddr>>>,
) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            if let (Some(cell), Some(found)) = (&address, address_in(&line)) {
                let _ = cell.set(found);
            }
            let mut log = log.lock().expect("no holder panics");
            if log.len() == LOG_LINES_MAX {
                log.remove(0);
            }
            log.push(line);
        }
    });
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let digits = line.split("127.0.0.1:").nth(1)?;
    let port: String = digits.chars().take_while(char::is_ascii_digit).collect();
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn healthy(address: SocketAddr) -> bool {
    let wait = Duration::from_millis(500);
    let Ok(mut socket) = TcpStream::connect_timeout(&address, wait) else { return false };
    let mut head = [0; 12];
    socket.set_read_timeout(Some(wait)).is_ok()
        && socket
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .is_ok()
        && socket.read_exact(&mut head).is_ok()
        && head.ends_with(b"200")
}

/// The binary under test: `MILLSTREAM_BIN`, else the one beside this test's own folder, built
/// when a source is newer than it.
///
/// # Errors
/// It is not there and can't be built.
pub fn binary() -> Result<PathBuf> {
    static FOUND: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| find_or_build().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

fn find_or_build() -> Result<PathBuf> {
    if let Ok(path) = std::env::var("MILLSTREAM_BIN") {
        return Ok(PathBuf::from(path));
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a program lies in a folder")?;
    // Tests lie in target/<profile>/deps, other programs of ours one above.
    let profile_dir = match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().context("deps lies in a folder")?,
        _ => folder,
    };
    let binary = profile_dir.join("millstream");
    let built = modified(&binary);
    if built.is_none_or(|built| newest_source().is_none_or(|source| source > built)) {
        build(profile_dir)?;
    }
    ensure!(binary.exists(), "no binary at {}", binary.display());
    Ok(binary)
}

fn build(profile_dir: &Path) -> Result<()> {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.args(["build", "--quiet", "--package", "millstream"]).current_dir(workspace());
    if profile_dir.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    let status = command.status().context("cargo can't be started")?;
    ensure!(status.success(), "the server does not build");
    Ok(())
}

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("conformance lies in it").to_owned()
}

fn newest_source() -> Option<SystemTime> {
    let mut newest = modified(&workspace().join("Cargo.lock"))?;
    let mut folders = vec![workspace().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs" || ext == "toml") {
                newest = newest.max(modified(&path)?);
            }
        }
    }
    Some(newest)
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

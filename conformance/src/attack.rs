//! Attacks on a running server over loopback, and good clients beside them whose answers are timed.
//!
//! [`suite`] plays each attack for a while and tells what it cost the good ones: errors, their 99th
//! percentile against that of quiet times, and the server's peak memory. Every attack is bounded in
//! connections and stops when its time is over.
//!
//! Invariant: only loopback addresses are attacked.

mod clients;
mod deeds;
mod frames;
mod hello;
mod overload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::server::{Options, Server};
pub use deeds::ATTACKS;
pub use overload::{Overload, overload};

/// Clients that put and get while attacks run.
pub const GOOD_CLIENTS: usize = 8;

/// Memory for request bodies of the attacked server, in MiB.
const BODIES_MIB: u64 = 64;
/// Memory for answers.
const ANSWERS_MIB: u64 = 64;
/// Memory of the log store for recent records, and as much again while it is written out.
const STORE_MIB: u64 = 2 * 32;
/// Connections of the attacked server, and what each may take: buffers of both directions.
const CONNECTIONS_MAX: u64 = 2_500;
const CONNECTION_KIB: u64 = 64;
/// A server that does nothing, tables and allocator included.
const BASE_MIB: u64 = 160;

/// What the server may take in memory, in bytes: the sum of what its configuration allows.
pub const MEMORY_MAX: u64 =
    (BODIES_MIB + ANSWERS_MIB + STORE_MIB + BASE_MIB + CONNECTIONS_MAX * CONNECTION_KIB / 1024)
        << 20;

/// What one attack did to the good clients and to the server.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub attack: &'static str,
    /// What the attackers did: connections, requests or frames, as the attack counts.
    pub deeds: u64,
    pub good_requests: u64,
    pub errors: u64,
    /// What the first error was.
    pub error: Option<String>,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Against quiet times.
    pub p99_ratio: f64,
    pub memory_peak_mib: u64,
}

/// All attacks, and the quiet before them.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub seconds: f64,
    pub memory_max_mib: u64,
    pub rows: Vec<Row>,
}

/// Told to stop.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What attackers share.
#[derive(Clone)]
pub(crate) struct Field {
    address: SocketAddr,
    /// Where TLS is spoken.
    tls: SocketAddr,
    stop: Stop,
    deeds: Arc<AtomicU64>,
}

/// A loopback port that is free now.
fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The settings of a server that is to be attacked: TLS at its first address, plain at `plain`.
/// `memory_wait`: how long a body may wait for memory.
fn options(plain: SocketAddr, memory_wait: &str) -> Options {
    let config = format!(
        "[[listener]]\nlisten = \"{plain}\"\ntls = false\n[limits]\nbodies_bytes_max = \"{BODIES_MIB}MiB\"\nanswers_bytes_max = \"{ANSWERS_MIB}MiB\"\n\
         connections_max = {CONNECTIONS_MAX}\nconnections_per_address_max = 2000\n\
         header_read_time = \"5s\"\nwrite_stall_time = \"5s\"\nbody_grace_time = \"3s\"\n\
         memory_wait = \"{memory_wait}\"\n\
         [storage]\nmemory_bytes = \"32MiB\"\ncheckpoint_bytes = \"8MiB\"\nwal_file_bytes = \"64MiB\"\n"
    );
    Options { config, args: vec!["--tls-self-signed".to_owned()] }
}

/// Plays the attacks of `names` (all if none is given), each for `time`.
///
/// # Errors
/// The server can't be started, or ended by itself.
pub fn suite(time: Duration, names: &[String], tell: impl Fn(&Row)) -> Result<Outcome> {
    let address = free_address()?;
    let mut server = Server::start(options(address, "1s"))?;
    ensure!(server.address().ip().is_loopback(), "{} is not this machine", server.address());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(clients::prepare(address))?;
    let mut rows: Vec<Row> = Vec::new();
    let quiet = deeds::QUIET;
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    for attack in std::iter::once(&quiet).chain(ATTACKS.iter().filter(|a| wanted(a.name))) {
        let mut row = runtime.block_on(play(attack, &server, address, time))?;
        server.assert_alive()?;
        row.p99_ratio = row.p99_ms / rows.first().map_or(row.p99_ms, |quiet| quiet.p99_ms);
        tell(&row);
        rows.push(row);
        std::thread::sleep(time.min(Duration::from_secs(1)) / 2);
    }
    drop(runtime);
    server.stop()?;
    Ok(Outcome { seconds: time.as_secs_f64(), memory_max_mib: MEMORY_MAX >> 20, rows })
}

async fn play(
    attack: &deeds::Attack,
    server: &Server,
    address: SocketAddr,
    time: Duration,
) -> Result<Row> {
    let field =
        Field { address, tls: server.address(), stop: Stop::default(), deeds: Arc::default() };
    let good = clients::start(&field);
    // The good ones are connected and at work before the others come.
    tokio::time::sleep(Duration::from_millis(300)).await;
    good.forget();
    let bad = tokio::spawn((attack.run)(field.clone()));
    let started = std::time::Instant::now();
    let mut memory = 0;
    while started.elapsed() < time {
        memory = memory.max(server.resident_bytes()?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = good.seen();
    field.stop.set();
    let _ = tokio::time::timeout(Duration::from_secs(20), bad).await;
    good.join().await;
    let mut times = seen.times_us;
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |us| *us as f64 / 1000.0)
    };
    Ok(Row {
        attack: attack.name,
        deeds: field.deeds.load(Ordering::Relaxed),
        good_requests: times.len() as u64,
        errors: seen.errors,
        error: seen.error,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        p99_ratio: 1.0,
        memory_peak_mib: memory >> 20,
    })
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:<20} {:>9} {:>8} {:>6} {:>9.2} {:>9.2} {:>6.2} {:>8}",
            self.attack,
            self.deeds,
            self.good_requests,
            self.errors,
            self.p50_ms,
            self.p99_ms,
            self.p99_ratio,
            self.memory_peak_mib,
        )?;
        match &self.error {
            Some(error) => write!(f, "  {error}"),
            None => Ok(()),
        }
    }
}

/// The line above the rows.
pub const TITLES: &str =
    "attack                   deeds requests errors    p50 ms    p99 ms  ratio  RSS MiB";

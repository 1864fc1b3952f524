//! More than the node can bear: large puts from many clients, far beyond its memory for bodies.
//!
//! What it can't take it sheds with errors that SDKs retry, its memory stays below its bound, and
//! when the load is gone it serves as before, by itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::clients::{Client, HEAVY, prepare, request};
use super::{MEMORY_MAX, free_address, options};
use crate::server::Server;

/// Bytes of one record in base64, and records of one put.
const RECORD_BYTES: usize = 1 << 20;
const RECORDS: usize = 4;
/// Short, so that a fast machine is overloaded too.
const MEMORY_WAIT: &str = "100ms";
/// Longest wait for the node to serve again.
const RECOVERY_MAX: Duration = Duration::from_secs(20);

/// What came of an overload.
#[derive(Debug, Default)]
pub struct Overload {
    pub served: u64,
    /// With errors that SDKs retry.
    pub shed: u64,
    /// With any other answer; the first of them.
    pub other: u64,
    pub first_other: Option<String>,
    /// Connections that ended without an answer.
    pub cut: u64,
    pub memory_peak_mib: u64,
    pub memory_max_mib: u64,
    /// From the end of the load to the first put that was served.
    pub recovered: Duration,
}

#[derive(Default)]
struct Counts {
    served: AtomicU64,
    shed: AtomicU64,
    other: AtomicU64,
    cut: AtomicU64,
    first_other: Mutex<Option<String>>,
}

/// Puts with `clients` connections, each as fast as it is answered, for `time`.
///
/// # Errors
/// The server ended, or does not recover.
pub fn overload(clients: usize, time: Duration) -> Result<Overload> {
    let address = free_address()?;
    let mut server = Server::start(options(address, MEMORY_WAIT))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let counts = Arc::<Counts>::default();
    let mut outcome = Overload { memory_max_mib: MEMORY_MAX >> 20, ..Overload::default() };
    runtime.block_on(async {
        prepare(address).await?;
        let until = Instant::now() + time;
        let load = |_| tokio::spawn(load(address, until, counts.clone()));
        let loads: Vec<_> = (0..clients).map(load).collect();
        while Instant::now() < until {
            outcome.memory_peak_mib = outcome.memory_peak_mib.max(server.resident_bytes()? >> 20);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for load in loads {
            let _ = load.await;
        }
        outcome.recovered = recover(address).await?;
        anyhow::Ok(())
    })?;
    server.assert_alive()?;
    server.stop().context("after the overload")?;
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    outcome.served = count(&counts.served);
    outcome.shed = count(&counts.shed);
    outcome.other = count(&counts.other);
    outcome.cut = count(&counts.cut);
    outcome.first_other = counts.first_other.lock().expect("no holder panics").clone();
    Ok(outcome)
}

async fn recover(address: SocketAddr) -> Result<Duration> {
    let ended = Instant::now();
    let input = json!({"StreamName": HEAVY, "Data": "YQ==", "PartitionKey": "k"});
    loop {
        let mut client = Client::connect(address).await?;
        match client.call("PutRecord", &input).await {
            Ok(_) => return Ok(ended.elapsed()),
            Err(error) if ended.elapsed() > RECOVERY_MAX => {
                return Err(error.context("no recovery"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn load(address: SocketAddr, until: Instant, counts: Arc<Counts>) {
    let record = json!({"Data": "A".repeat(RECORD_BYTES), "PartitionKey": "k"});
    let body = json!({"StreamName": HEAVY, "Records": vec![record; RECORDS]}).to_string();
    let put = request("PutRecords", body.as_bytes(), "");
    let mut client = None;
    while Instant::now() < until {
        if client.is_none() {
            client = Client::connect(address).await.ok();
        }
        let Some(open) = &mut client else { continue };
        // The server may answer before it has read all; then the rest can't be sent.
        open.send(&put).await;
        let answer = tokio::time::timeout(Duration::from_secs(30), open.answer()).await;
        if !matches!(answer, Ok(Ok((200, _)))) {
            client = None;
        }
        counts.of(answer.ok().and_then(Result::ok)).fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    fn of(&self, answer: Option<(u16, Vec<u8>)>) -> &AtomicU64 {
        let Some((status, body)) = answer else { return &self.cut };
        let text = String::from_utf8_lossy(&body);
        match status {
            200 => &self.served,
            500.. => &self.shed,
            _ if text.contains("ThroughputExceeded") => &self.shed,
            _ => {
                let mut first = self.first_other.lock().expect("no holder panics");
                first.get_or_insert(format!("{status} {text}"));
                &self.other
            }
        }
    }
}

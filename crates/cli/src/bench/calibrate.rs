//! What this machine can do at best: a bare HTTP round trip, and one synced 4 KiB write.
//!
//! The figures that a durable put is judged by; all measured in the same run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use millstream_client::Client;
use millstream_env::disk::{ALIGNMENT, AlignedBuf};
use millstream_env::{Disk, Env, OpenMode, RealDisk};
use tokio::time::Instant;

use super::http::render;
use super::load::open;
use super::record::{Latencies, Tally};

/// How long each of the two is measured, before and after.
const SPAN: Duration = Duration::from_secs(1);

/// The file that is written and removed again.
const FILE: &str = ".millstream-calibrate";
/// Its size: long enough that writing it round is not the same block all the time.
const FILE_BYTES: u64 = 16 << 20;

#[derive(Clone, Debug, serde::Serialize)]
pub struct Calibration {
    /// GET /healthz on one connection, closed loop.
    pub round_trip_us: Latencies,
    /// 4 KiB written into a preallocated file and synced, around the page cache where possible.
    pub sync_us: Latencies,
}

/// Both, measured before and after a run: a shared disk has its moods.
#[derive(Clone, Debug)]
pub struct Calibrator {
    round_trip: Tally,
    sync: Tally,
}

impl Calibrator {
    pub fn new() -> Self {
        Calibrator { round_trip: Tally::new(), sync: Tally::new() }
    }

    /// Measures both, one after the other; the server should be idle.
    ///
    /// # Errors
    /// No connection, or the directory can't be written to.
    pub async fn measure(&mut self, client: &Client, dir: &Path, env: &Env) -> anyhow::Result<()> {
        self.round_trip.add(&round_trip(client).await.context("GET /healthz")?);
        let (shown, dir) = (dir.display().to_string(), dir.to_owned());
        self.sync.add(&env.blocking(move || syncs(dir)).await.with_context(|| shown)?);
        Ok(())
    }

    pub fn result(&self) -> Calibration {
        Calibration { round_trip_us: self.round_trip.latencies(), sync_us: self.sync.latencies() }
    }
}

async fn round_trip(client: &Client) -> anyhow::Result<Tally> {
    let mut connection = open(client, &client.connector()?).await?;
    let uri = client.endpoint().uri("/healthz".parse().expect("a path"));
    let request = render(&http::Request::get(uri).body(&b""[..]).expect("a plain request"));
    let mut tally = Tally::new();
    let end = Instant::now() + SPAN;
    while Instant::now() < end {
        let start = Instant::now();
        let answer = connection.exchange(&request).await?;
        tally.latency(start.elapsed());
        if answer.closes {
            connection = open(client, &client.connector()?).await?;
        }
    }
    Ok(tally)
}

fn syncs(dir: PathBuf) -> std::io::Result<Tally> {
    let disk = RealDisk::new(dir);
    let name = Path::new(FILE);
    let measured = measure_syncs(&disk, name);
    disk.remove(name)?;
    measured
}

fn measure_syncs(disk: &dyn Disk, name: &Path) -> std::io::Result<Tally> {
    disk.open(name, OpenMode::Create)?.preallocate(FILE_BYTES)?;
    let file = disk.open(name, OpenMode::WriteDirect)?;
    let mut block = AlignedBuf::with_capacity(ALIGNMENT);
    block.extend_from_slice(&[7; ALIGNMENT]);
    // Once round, so that no measured write has to turn a reserved block into a written one.
    for offset in (0..FILE_BYTES).step_by(ALIGNMENT) {
        file.write_all_at(&block, offset)?;
    }
    file.sync_data()?;
    let mut tally = Tally::new();
    let end = Instant::now() + SPAN;
    let mut offset = 0;
    while Instant::now() < end {
        let start = Instant::now();
        file.write_all_at(&block, offset)?;
        file.sync_data()?;
        tally.latency(start.elapsed());
        offset = (offset + ALIGNMENT as u64) % FILE_BYTES;
    }
    Ok(tally)
}

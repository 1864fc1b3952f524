//! Runs of the log store: clients that append to, read, trim, seal and delete the same logs.

mod client;
mod oracle;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_env::sim::SimWorld;
use millstream_env::{Disk, Env};
use millstream_log::{ChunkKey, ChunkKeys, EmbeddedLog, KeyNumber, LogStore};
use millstream_secrets::DataKey;

use crate::lives::{self, OpenError, System};
use crate::options::{Options, Planted};
use crate::plan::Plan;
use crate::verdict::Judge;
use client::LogClient;
use oracle::LogOracle;

pub(crate) async fn run(world: SimWorld, judge: Judge, plan: Plan, options: Options) {
    let oracle = Rc::new(RefCell::new(LogOracle::new(world.seed())));
    let clients = (0..plan.clients).map(|_| LogClient::new(oracle.clone())).collect();
    lives::run(&world, &judge, &plan, options, clients).await;
}

/// The system under test.
#[derive(Clone)]
pub(crate) struct Logs {
    log: EmbeddedLog,
    /// The same, with the keys of what is sealed.
    keyed: Arc<dyn LogStore>,
    cut_off: u64,
}

impl System for Logs {
    async fn open(env: Env, options: Options) -> Result<Self, OpenError> {
        let (log, cut_off) = open(env, options).await?;
        let keyed = log.with_keys(Arc::new(AllKeys));
        Ok(Logs { log, keyed, cut_off })
    }

    async fn close(self) {
        self.log.shutdown().await;
    }

    fn check(disk: Arc<dyn Disk>) -> Option<Result<Vec<String>, String>> {
        Some(check(disk))
    }

    fn cut_off(&self) -> u64 {
        self.cut_off
    }
}

/// A few keys that never change.
struct AllKeys;

const KEYS: u64 = 3;

fn key(number: u64) -> ChunkKey {
    ChunkKey::new(KeyNumber::from_u64(number), DataKey::from_bytes(&[number as u8; 32]))
}

impl ChunkKeys for AllKeys {
    fn get(&self, key: KeyNumber) -> Option<ChunkKey> {
        (key.as_u64() < KEYS).then(|| self::key(key.as_u64()))
    }
}

/// Opens the log where a node has it, with bounds so small that a run sees every stage of its life.
/// Tells how many bytes of an unfinished write were cut off.
pub(crate) async fn open(env: Env, options: Options) -> Result<(EmbeddedLog, u64), OpenError> {
    let bounds = millstream_log::Options {
        planted_bug: (options.planted == Some(Planted::AcceptTornFrame))
            .then_some(millstream_log::PlantedBug::AcceptTornFrame),
        ..millstream_log::Options::tiny()
    };
    match EmbeddedLog::open(env, bounds).await {
        Ok((log, report)) => Ok((log, report.torn_bytes)),
        Err(e) => Err(refusal(e)),
    }
}

fn refusal(e: millstream_log::OpenError) -> OpenError {
    use millstream_log::OpenError as E;
    match &e {
        E::Damaged { .. } => OpenError::Damaged(e.to_string()),
        _ => OpenError::Io(e.to_string()),
    }
}

/// What `millstream fsck` finds in a log.
pub(crate) fn check(disk: Arc<dyn Disk>) -> Result<Vec<String>, String> {
    let report = millstream_log::fsck::check(disk).map_err(|e| e.to_string())?;
    Ok(report.findings.iter().map(|finding| finding.damage.to_string()).collect())
}

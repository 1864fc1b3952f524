//! Runs of the log store: clients that append to, read, trim, seal and delete the same logs.

mod client;
mod oracle;

use std::cell::RefCell;
use std::rc::Rc;

use millstream_env::Env;
use millstream_env::sim::SimWorld;
use millstream_log::EmbeddedLog;

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
pub(crate) struct Logs(EmbeddedLog);

impl System for Logs {
    async fn open(env: Env, options: Options) -> Result<Self, OpenError> {
        open(env, options).await.map(Logs)
    }

    async fn close(self) {
        self.0.shutdown().await;
    }

    fn may_rot(path: &str) -> bool {
        may_rot(path)
    }
}

/// Opens the log where a node has it, with bounds so small that a run sees every stage of its life.
pub(crate) async fn open(env: Env, options: Options) -> Result<EmbeddedLog, OpenError> {
    let bounds = millstream_log::Options {
        planted_bug: (options.planted == Some(Planted::AcceptTornFrame))
            .then_some(millstream_log::PlantedBug::AcceptTornFrame),
        ..millstream_log::Options::tiny()
    };
    match EmbeddedLog::open(env, bounds).await {
        Ok((log, _)) => Ok(log),
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

/// A write-ahead log's last frame that rots can't be told from one that was torn by a crash: rot
/// comes to the files that are at rest.
pub(crate) fn may_rot(path: &str) -> bool {
    !path.starts_with("wal/")
}

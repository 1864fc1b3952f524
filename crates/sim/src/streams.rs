//! Runs of Data Streams as a node serves them, from the decoded request down: the handler of the
//! API's operations, the engine, the tables and the log store.

mod client;
mod encryption;
mod fan_out;
mod lineage;
mod modes;
mod number;
mod oracle;
mod reshard;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_base::{AccountId, Region, Scope};
use millstream_env::sim::SimWorld;
use millstream_env::{Disk, Env};
use millstream_log::EmbeddedLog;
use millstream_meta::RedbMeta;
use millstream_server::auth::Caller;
use millstream_server::ids::RequestIds;
use millstream_server::services::{Call, kinesis::DataStreams};
use millstream_streams::trial::TrialRing;
use millstream_streams::{Ring, Streams};

use crate::lives::{self, OpenError, System};
use crate::options::{Options, Planted};
use crate::plan::Plan;
use crate::verdict::Judge;
use crate::{log, tables};
use client::StreamClient;
use oracle::StreamOracle;

pub(crate) async fn run(world: SimWorld, judge: Judge, plan: Plan, options: Options) {
    let oracle = Rc::new(RefCell::new(StreamOracle::new(world.seed())));
    let clients = (0..plan.clients).map(|i| StreamClient::new(i, oracle.clone())).collect();
    lives::run(&world, &judge, &plan, options, clients).await;
}

/// A node without its sockets.
#[derive(Clone)]
pub(crate) struct Node(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) service: DataStreams,
    engine: Streams,
    log: EmbeddedLog,
    meta: Arc<RedbMeta>,
    /// Begins with every life anew: all its keys are enabled.
    ring: Arc<TrialRing>,
    ids: RequestIds,
    scope: Scope,
    cut_off: u64,
}

impl Node {
    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }
}

impl Parts {
    /// A call as the pipeline makes it.
    pub(crate) fn call(&self) -> Call {
        let access_key_id = "AKIASIMULATED".into();
        let caller = Caller { access_key_id, scope: self.scope.clone(), who: None };
        Call { id: self.ids.next(), caller, origin: None }
    }
}

impl System for Node {
    async fn open(env: Env, options: Options) -> Result<Self, OpenError> {
        let (log, cut_off) = log::open(env.clone(), options).await?;
        let meta = Arc::new(tables::open(env.clone()).await?);
        let ring = encryption::ring();
        let bounds = millstream_streams::Options {
            key_ring: Ring(ring.clone()),
            data_keys: encryption::DATA_KEYS,
            planted_bug: (options.planted == Some(Planted::ChildrenBeforeSeal))
                .then_some(millstream_streams::PlantedBug::ChildrenBeforeSeal),
            ..millstream_streams::Options::default()
        };
        let engine = Streams::new(env.clone(), Arc::new(log.clone()), meta.clone(), bounds).await;
        let engine = engine.map_err(|e| match &e {
            millstream_streams::Error::Corrupt { .. } => OpenError::Damaged(e.to_string()),
            _ => OpenError::Io(e.to_string()),
        })?;
        let account = AccountId::new("000000000000").expect("twelve digits");
        let region = Region::new("us-east-1").expect("a region");
        Ok(Node(Arc::new(Parts {
            service: DataStreams::new(engine.clone()),
            engine,
            log,
            meta,
            ring,
            ids: RequestIds::new(&env),
            scope: Scope::new(account, region),
            cut_off,
        })))
    }

    async fn close(self) {
        self.0.engine.shutdown().await;
        self.0.log.shutdown().await;
        self.0.meta.close().await;
    }

    fn check(disk: Arc<dyn Disk>) -> Option<Result<Vec<String>, String>> {
        Some(log::check(disk))
    }

    fn cut_off(&self) -> u64 {
        self.0.cut_off
    }
}

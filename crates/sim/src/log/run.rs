//! One run: some lives of a node that holds a log store and a metadata store.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use millstream_env::sim::{DiskOptions, PlantedBug, Rng, SimNode, SimWorld, Stopped};
use millstream_log::LogStore;
use millstream_meta::{MetaError, MetaStore};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::client::LogClient;
use super::meta::{Counter, MetaClient};
use super::oracle::LogOracle;
use crate::options::{Options, Planted};
use crate::plan::{End, Plan};
use crate::stores::{self, OpenError, Stores};
use crate::trouble::{self, Trouble};
use crate::verdict::Judge;

/// The node stopped before the answer came.
pub(crate) type Reply<T> = Result<T, Stopped>;

/// No single call takes longer than this of virtual time, whatever the disk does.
const HANG: Duration = Duration::from_secs(300);

/// How long a store may take to go on after a full disk has room again.
const RECOVERY_MAX: Duration = Duration::from_secs(120);

pub(crate) async fn run(world: SimWorld, judge: Judge, plan: Plan, options: Options) {
    let planted_bug = match options.planted {
        Some(Planted::SkipSync { one_in }) => Some(PlantedBug::SkipSync { one_in }),
        _ => None,
    };
    let node = world.node("node", DiskOptions { planted_bug, ..DiskOptions::default() });
    let oracle = Arc::new(Mutex::new(LogOracle::new(world.seed())));
    let mut clients: Vec<Client> = (0..plan.clients).map(|i| Client::new(&world, i)).collect();
    let counter = Counter::default();
    let mut trouble = Trouble::default();
    for (number, life) in plan.lives.iter().enumerate() {
        let run = Run { world: &world, node: &node, judge: &judge, oracle: &oracle, options };
        clients = run.life(life, trouble, clients, &counter).await;
        trouble::between_lives(&world, &node, life, &mut trouble).await;
        if judge.failed() || trouble.ended {
            return;
        }
        world.note(format_args!("life {number} is over"));
    }
    let run = Run { world: &world, node: &node, judge: &judge, oracle: &oracle, options };
    run.final_check(trouble, clients).await;
}

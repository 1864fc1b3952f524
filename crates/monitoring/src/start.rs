//! The start: what the stores hold is read, what was begun is finished, the work at the side begins.

use std::sync::Arc;

use millstream_env::Env;
use millstream_log::{LogId, LogStore, Position};
use millstream_meta::{Document, Expect, Key, MetaError, MetaStore};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::block::BlockReader;
use crate::catalogue::{CATALOGUE, JOURNAL};
use crate::engine::{Inner, Monitoring, State};
use crate::error::{Error, Result};
use crate::layout::{NodeRow, read_log};
use crate::options::Options;
use crate::points::Points;
use crate::upkeep;

/// Families of nodes are counted down from here; those of streams are counted up from 1.
const LAST_FAMILY: u32 = u32::MAX;
/// Requests that wait for the work at the side.
const REQUESTS_MAX: usize = 16;

impl Monitoring {
    /// Reads what the node `options.node` left in the stores, and starts the work at the side.
    ///
    /// # Errors
    /// A store does not answer, or what it holds can't be read.
    pub async fn open(
        env: Env,
        log: Arc<dyn LogStore>,
        meta: Arc<dyn MetaStore>,
        options: Options,
    ) -> Result<Monitoring> {
        let key = Key::new(format!("monitoring/node/{}", options.node));
        let node = claim(&*meta, &key).await?;
        let logs = [CATALOGUE, JOURNAL].map(|member| LogId::new(node.family, member));
        log.create(logs.to_vec()).await?;
        let mut state = State { settled: node.settled.into(), ..State::default() };
        let catalogue = &mut state.catalogue;
        read_log(&*log, logs[0], Position::START, Position::END, |entry| {
            catalogue.apply(&entry.value)
        })
        .await?;
        let begun = node.settling.map_or(state.settled, Position::from);
        let settling = read_journal(&*log, logs[1], state.settled, begun).await?;
        state.settling = node.settling.map(|_| Arc::new(settling));
        state.unsettled = read_journal(&*log, logs[1], begun, Position::END).await?;
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let inner = Arc::new(Inner {
            env: env.clone(),
            log,
            meta,
            options,
            node: key,
            family: node.family,
            state: Mutex::new(state),
            requests,
            task: Mutex::new(None),
        });
        let task = env.spawn("monitoring", upkeep::run(Arc::downgrade(&inner), inbox));
        *inner.task.lock() = Some(task);
        Ok(Monitoring { inner })
    }
}

async fn read_journal(
    log: &dyn LogStore,
    journal: LogId,
    from: Position,
    until: Position,
) -> Result<Points> {
    let mut points = Points::default();
    read_log(log, journal, from, until, |entry| {
        let mut block = BlockReader::new(&entry.value)?;
        while let Some((series, minute, point)) = block.next_of()? {
            points.add(series, minute, &point);
        }
        Ok(())
    })
    .await?;
    Ok(points)
}

/// The node's row; made if there is none.
async fn claim(meta: &dyn MetaStore, key: &Key) -> Result<NodeRow> {
    if let Some(row) = meta.get(key).await? {
        return Ok(NodeRow::decode(&row.key, &row.value)?);
    }
    let node = NodeRow { family: next_family(meta).await?, ..NodeRow::default() };
    match meta.put(key.clone(), node.encode(), Expect::Absent).await {
        Ok(_) => Ok(node),
        Err(MetaError::Conflict { .. }) => {
            let reason = format!("{key} was made by another node of the same name");
            Err(Error::Meta(MetaError::Unavailable { reason }))
        }
        Err(error) => Err(error.into()),
    }
}

/// A family that no node had before.
async fn next_family(meta: &dyn MetaStore) -> Result<u32> {
    let key = Key::new("counter/monitoring-family");
    loop {
        let (given, expect) = match meta.get(&key).await? {
            None => (0, Expect::Absent),
            Some(row) => (Given::decode(&row.key, &row.value)?.given, Expect::At(row.revision)),
        };
        match meta.put(key.clone(), Given { given: given + 1 }.encode(), expect).await {
            Ok(_) => return Ok(LAST_FAMILY - given),
            Err(MetaError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How many families were given to nodes.
#[derive(Serialize, Deserialize)]
struct Given {
    given: u32,
}

impl Document for Given {
    const KIND: &'static str = "counter of monitoring's log families";
    const VERSION: u32 = 1;
}

//! The start: what the stores hold is read, what was begun is finished, the work at the side begins.

use std::sync::Arc;

use bytes::Bytes;
use millstream_env::Env;
use millstream_log::{Entry, LogId, LogStore, Position, ReadLimit};
use millstream_meta::{Document, Expect, Key, MetaError, MetaStore};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::block::BlockReader;
use crate::catalogue::{CATALOGUE, JOURNAL};
use crate::engine::{Inner, Monitoring, State};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::points::Points;
use crate::upkeep;

/// Families of nodes are counted down from here; those of streams are counted up from 1.
const LAST_FAMILY: u32 = u32::MAX;
/// Requests that wait for the work at the side.
const REQUESTS_MAX: usize = 16;
/// How much one read brings.
pub(crate) const PAGE: ReadLimit = ReadLimit { entries_max: 4096, bytes_max: 1 << 20 };

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

/// Shows every entry from `from` on and before `until` to `look`.
pub(crate) async fn read_log(
    log: &dyn LogStore,
    id: LogId,
    from: Position,
    until: Position,
    mut look: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let tail = log.tail(id)?.borrow().next.min(until);
    let mut at = from;
    while at < tail {
        let page = log.read(id, at, PAGE).await?;
        for entry in page.entries {
            if entry.position >= tail {
                return Ok(());
            }
            look(entry)?;
        }
        assert!(page.next > at, "reading log {id} goes on from {at:?}, not {:?}", page.next);
        at = page.next;
    }
    Ok(())
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

/// A node and how far its points have settled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NodeRow {
    pub(crate) family: u32,
    /// The journal before this is in blocks.
    pub(crate) settled: At,
    /// The journal from `settled` to this is being made into blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settling: Option<At>,
}

impl Document for NodeRow {
    const KIND: &'static str = "node's metrics";
    const VERSION: u32 = 1;
}

/// A position in the journal, as rows and blocks have it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct At {
    lsn: u64,
    index: u32,
}

impl From<Position> for At {
    fn from(position: Position) -> Self {
        At { lsn: position.lsn, index: position.index }
    }
}

impl From<At> for Position {
    fn from(at: At) -> Self {
        Position::new(at.lsn, at.index)
    }
}

impl At {
    /// The key of a block: where the journal's part begins that it was made from.
    pub(crate) fn key(self) -> Bytes {
        let mut key = self.lsn.to_be_bytes().to_vec();
        key.extend_from_slice(&self.index.to_be_bytes());
        key.into()
    }

    pub(crate) fn of_key(key: &[u8]) -> Result<Position> {
        let parts = key.split_first_chunk().and_then(|(lsn, index)| {
            Some((u64::from_be_bytes(*lsn), u32::from_be_bytes(index.try_into().ok()?)))
        });
        let (lsn, index) = parts
            .ok_or_else(|| Error::Corrupt { reason: "a block without its place".to_owned() })?;
        Ok(Position::new(lsn, index))
    }
}

//! This process's copy of the queue rows, kept true by a watch.
//!
//! As with streams: one task alone writes the copy, who changed a row waits until the copy has it,
//! and what is not in the copy may still be in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millstream_base::{QueueArn, QueueId, Scope, StreamName};
use millstream_env::Env;
use millstream_meta::{Change, Document, Key, MetaError, MetaStore, Revision, Row, Watch};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::row::{PREFIX, QueueRow, key_of, name_of};
use super::stats::QueueStats;
use crate::error::{Error, Result};

/// Rows that one scan of the store asks for.
const SCAN_PAGE: usize = 100;
/// How long a writer waits for its own change to come back.
const ECHO_WAIT_MAX: Duration = Duration::from_secs(5);

/// A queue's row at one revision.
pub(crate) struct QueueSnapshot {
    pub(crate) queue: QueueArn,
    pub(crate) name: StreamName,
    pub(crate) revision: Revision,
    pub(crate) row: QueueRow,
    pub(crate) stats: Arc<QueueStats>,
}

impl QueueSnapshot {
    /// `before`: the queue's snapshot until now, whose counts go on.
    fn new(
        scope: &Scope,
        name: StreamName,
        row: &Row,
        before: Option<&QueueSnapshot>,
    ) -> Result<Self> {
        let revision = row.revision;
        let row = QueueRow::decode(&row.key, &row.value).map_err(MetaError::from)?;
        let before = before.filter(|b| b.row.family == row.family);
        let stats = before.map(|b| b.stats.clone()).unwrap_or_default();
        let queue = QueueArn { scope: scope.clone(), id: row.id.clone() };
        Ok(QueueSnapshot { queue, name, revision, row, stats })
    }
}

#[derive(Default)]
struct Copy {
    queues: BTreeMap<Scope, BTreeMap<StreamName, Arc<QueueSnapshot>>>,
    names: BTreeMap<(Scope, QueueId), StreamName>,
}

pub(crate) struct Directory {
    meta: Arc<dyn MetaStore>,
    copy: RwLock<Copy>,
    /// The newest revision that the copy has.
    seen: watch::Sender<Revision>,
}

impl Directory {
    /// Reads all rows; then [`Directory::follow`] keeps them true.
    pub(crate) async fn load(meta: Arc<dyn MetaStore>) -> Result<(Arc<Directory>, Watch)> {
        let watch = meta.watch(PREFIX);
        let (seen, _) = watch::channel(Revision(0));
        let directory = Directory { meta, copy: RwLock::default(), seen };
        directory.rescan().await?;
        Ok((Arc::new(directory), watch))
    }

    /// Applies changes until the store or the engine ends.
    pub(crate) async fn follow(
        self: Arc<Self>,
        env: Env,
        mut changes: Watch,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let change = tokio::select! {
                biased;
                change = changes.recv() => change,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            match change {
                None => return,
                Some(Change::Gap) => {
                    while let Err(error) = self.rescan().await {
                        tracing::warn!(%error, "queues can't be read; trying again");
                        env.sleep(Duration::from_secs(1)).await;
                    }
                }
                Some(Change::Put(row)) => {
                    if let Err(error) = self.apply(&row) {
                        tracing::error!(%error, "a queue's row can't be read");
                    }
                    self.saw(row.revision);
                }
                Some(Change::Deleted { key, revision }) => {
                    self.remove(&key, revision);
                    self.saw(revision);
                }
            }
        }
    }

    /// The queue as this process last saw it, or, if it never did, as the store has it.
    pub(crate) async fn find(&self, queue: &QueueArn) -> Result<Option<Arc<QueueSnapshot>>> {
        if let Some(found) = self.get(queue) {
            return Ok(Some(found));
        }
        // Another node may have made it just now.
        let prefix = format!("{PREFIX}{}/{}/", queue.scope.account, queue.scope.region);
        let mut after: Option<Key> = None;
        loop {
            let page = self.meta.scan(&prefix, after.as_ref(), SCAN_PAGE).await?;
            for row in &page {
                let Some((scope, name)) = name_of(&row.key) else { continue };
                let found = QueueSnapshot::new(&scope, name, row, None)?;
                if found.queue == *queue {
                    return Ok(Some(Arc::new(found)));
                }
            }
            match page.last() {
                Some(last) if page.len() == SCAN_PAGE => after = Some(last.key.clone()),
                _ => return Ok(None),
            }
        }
    }

    /// The queue as this process last saw it.
    pub(crate) fn get(&self, queue: &QueueArn) -> Option<Arc<QueueSnapshot>> {
        let copy = self.copy.read();
        let name = copy.names.get(&(queue.scope.clone(), queue.id.clone()))?;
        let found = copy.queues.get(&queue.scope)?.get(name)?;
        (found.queue.id == queue.id).then(|| found.clone())
    }

    /// The queue of that name as the store has it.
    pub(crate) async fn fetch(
        &self,
        scope: &Scope,
        name: &StreamName,
    ) -> Result<Option<Arc<QueueSnapshot>>> {
        let Some(row) = self.meta.get(&key_of(scope, name)).await? else { return Ok(None) };
        let known = self.named(scope, name);
        Ok(Some(Arc::new(QueueSnapshot::new(scope, name.clone(), &row, known.as_deref())?)))
    }

    fn named(&self, scope: &Scope, name: &StreamName) -> Option<Arc<QueueSnapshot>> {
        self.copy.read().queues.get(scope)?.get(name).cloned()
    }

    /// Waits until the copy has `revision`.
    pub(crate) async fn caught_up(&self, revision: Revision) {
        let mut seen = self.seen.subscribe();
        let there = seen.wait_for(|seen| *seen >= revision);
        if tokio::time::timeout(ECHO_WAIT_MAX, there).await.is_err() {
            tracing::warn!(?revision, "a change of ours has not come back from the store");
        }
    }

    /// News of any queue.
    pub(crate) fn news(&self) -> watch::Receiver<Revision> {
        self.seen.subscribe()
    }

    /// Queues of one scope whose names come after `after`, in order.
    pub(crate) fn after(
        &self,
        scope: &Scope,
        after: Option<&StreamName>,
    ) -> Vec<Arc<QueueSnapshot>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let copy = self.copy.read();
        let Some(queues) = copy.queues.get(scope) else { return Vec::new() };
        let from = after.map_or(Unbounded, Excluded);
        queues.range::<StreamName, _>((from, Unbounded)).map(|(_, q)| q.clone()).collect()
    }

    /// All queues, by account, region and name.
    pub(crate) fn all(&self) -> Vec<Arc<QueueSnapshot>> {
        self.copy.read().queues.values().flat_map(BTreeMap::values).cloned().collect()
    }

    fn apply(&self, row: &Row) -> Result<Key> {
        let (scope, name) = name_of(&row.key)
            .ok_or_else(|| Error::Corrupt { reason: format!("row {} names no queue", row.key) })?;
        let known = self.named(&scope, &name);
        if known.as_ref().is_none_or(|k| k.revision < row.revision) {
            let found = QueueSnapshot::new(&scope, name.clone(), row, known.as_deref())?;
            let mut copy = self.copy.write();
            if let Some(known) = known {
                copy.names.remove(&(scope.clone(), known.row.id.clone()));
            }
            copy.names.insert((scope.clone(), found.row.id.clone()), name.clone());
            copy.queues.entry(scope).or_default().insert(name, Arc::new(found));
        }
        Ok(row.key.clone())
    }

    fn remove(&self, key: &Key, revision: Revision) {
        let Some((scope, name)) = name_of(key) else { return };
        let mut copy = self.copy.write();
        let Some(queues) = copy.queues.get_mut(&scope) else { return };
        if queues.get(&name).is_some_and(|q| q.revision < revision) {
            let gone = queues.remove(&name).expect("it was there just now");
            if queues.is_empty() {
                copy.queues.remove(&scope);
            }
            copy.names.remove(&(scope, gone.row.id.clone()));
        }
    }

    fn saw(&self, revision: Revision) {
        self.seen.send_if_modified(|seen| {
            let newer = revision > *seen;
            *seen = revision.max(*seen);
            newer
        });
    }

    /// Reads all rows anew and drops queues that are not among them.
    async fn rescan(&self) -> Result<()> {
        let before: Vec<(Key, Revision)> =
            self.all().iter().map(|q| (key_of(&q.queue.scope, &q.name), q.revision)).collect();
        let mut found = BTreeSet::new();
        let mut after: Option<Key> = None;
        loop {
            let page = self.meta.scan(PREFIX, after.as_ref(), SCAN_PAGE).await?;
            for row in &page {
                found.insert(self.apply(row)?);
                self.saw(row.revision);
            }
            match page.last() {
                Some(last) if page.len() == SCAN_PAGE => after = Some(last.key.clone()),
                _ => break,
            }
        }
        for (key, revision) in before {
            if !found.contains(&key) {
                self.remove(&key, Revision(revision.0 + 1));
            }
        }
        Ok(())
    }
}

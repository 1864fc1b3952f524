//! This process's copy of the queue rows, kept true by a watch.
//!
//! A [`Mirror`], as of streams: what is not in the copy may still be in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_base::{QueueArn, QueueId, Scope, StreamName};
use millstream_env::{Env, Task};
use millstream_meta::{Document, Key, MetaError, MetaStore, Mirror, Revision, Row, mirror};
use millstream_policy::Policy;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::row::{PREFIX, QueueRow, key_of, name_of};
use super::stats::QueueStats;
use crate::error::{Error, Result};
use crate::policy_copy;

/// Rows that one scan of the store asks for.
const SCAN_PAGE: usize = 100;

/// A queue's row at one revision.
pub(crate) struct QueueSnapshot {
    pub(crate) queue: QueueArn,
    pub(crate) name: StreamName,
    pub(crate) revision: Revision,
    pub(crate) row: QueueRow,
    pub(crate) stats: Arc<QueueStats>,
    /// The row's policy, compiled.
    pub(crate) policy: Option<Arc<Policy>>,
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
        let policy = row.policy.as_deref().and_then(|text| policy_copy::compile(&queue, text));
        Ok(QueueSnapshot { queue, name, revision, row, stats, policy })
    }
}

#[derive(Default)]
struct Queues {
    by_name: BTreeMap<Scope, BTreeMap<StreamName, Arc<QueueSnapshot>>>,
    names: BTreeMap<(Scope, QueueId), StreamName>,
}

#[derive(Default)]
pub(crate) struct Copy(RwLock<Queues>);

pub(crate) struct Directory(Arc<Mirror<Copy>>);

impl std::ops::Deref for Directory {
    type Target = Mirror<Copy>;

    fn deref(&self) -> &Mirror<Copy> {
        &self.0
    }
}

impl Directory {
    /// Reads all rows, and keeps them true in a task until `stop` says so.
    ///
    /// # Errors
    /// As [`Mirror::load`].
    pub(crate) async fn start(
        env: &Env,
        meta: Arc<dyn MetaStore>,
        stop: watch::Receiver<bool>,
    ) -> Result<(Arc<Directory>, Task)> {
        let copy = Copy::default();
        let (mirror, task) = Mirror::start(env, "queues-follow", meta, PREFIX, copy, stop).await?;
        Ok((Arc::new(Directory(mirror)), task))
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
            let page = self.0.store().scan(&prefix, after.as_ref(), SCAN_PAGE).await?;
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
        let queues = self.0.0.read();
        let name = queues.names.get(&(queue.scope.clone(), queue.id.clone()))?;
        let found = queues.by_name.get(&queue.scope)?.get(name)?;
        (found.queue.id == queue.id).then(|| found.clone())
    }

    /// The queue of that name as the store has it.
    pub(crate) async fn fetch(
        &self,
        scope: &Scope,
        name: &StreamName,
    ) -> Result<Option<Arc<QueueSnapshot>>> {
        let Some(row) = self.0.store().get(&key_of(scope, name)).await? else { return Ok(None) };
        let known = self.0.named(scope, name);
        Ok(Some(Arc::new(QueueSnapshot::new(scope, name.clone(), &row, known.as_deref())?)))
    }

    /// Queues of one scope whose names come after `after`, in order.
    pub(crate) fn after(
        &self,
        scope: &Scope,
        after: Option<&StreamName>,
    ) -> Vec<Arc<QueueSnapshot>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let queues = self.0.0.read();
        let Some(queues) = queues.by_name.get(scope) else { return Vec::new() };
        let from = after.map_or(Unbounded, Excluded);
        queues.range::<StreamName, _>((from, Unbounded)).map(|(_, q)| q.clone()).collect()
    }

    /// All queues, by account, region and name.
    pub(crate) fn all(&self) -> Vec<Arc<QueueSnapshot>> {
        self.0.0.read().by_name.values().flat_map(BTreeMap::values).cloned().collect()
    }
}

impl Copy {
    fn named(&self, scope: &Scope, name: &StreamName) -> Option<Arc<QueueSnapshot>> {
        self.0.read().by_name.get(scope)?.get(name).cloned()
    }
}

impl mirror::Copy for Copy {
    const WHAT: &'static str = "queue";
    const SCAN_PAGE: usize = SCAN_PAGE;
    type Error = Error;

    fn apply(&self, row: &Row) -> Result<()> {
        let (scope, name) = name_of(&row.key)
            .ok_or_else(|| Error::Corrupt { reason: format!("row {} names no queue", row.key) })?;
        let known = self.named(&scope, &name);
        if known.as_ref().is_none_or(|k| k.revision < row.revision) {
            let found = QueueSnapshot::new(&scope, name.clone(), row, known.as_deref())?;
            let mut queues = self.0.write();
            if let Some(known) = known {
                queues.names.remove(&(scope.clone(), known.row.id.clone()));
            }
            queues.names.insert((scope.clone(), found.row.id.clone()), name.clone());
            queues.by_name.entry(scope).or_default().insert(name, Arc::new(found));
        }
        Ok(())
    }

    fn remove(&self, key: &Key, revision: Revision) {
        let Some((scope, name)) = name_of(key) else { return };
        let mut queues = self.0.write();
        let Some(of_scope) = queues.by_name.get_mut(&scope) else { return };
        if of_scope.get(&name).is_some_and(|q| q.revision < revision) {
            let gone = of_scope.remove(&name).expect("it was there just now");
            if of_scope.is_empty() {
                queues.by_name.remove(&scope);
            }
            queues.names.remove(&(scope, gone.row.id.clone()));
        }
    }

    fn held(&self) -> Vec<(Key, Revision)> {
        let queues = self.0.read();
        let all = queues.by_name.values().flat_map(BTreeMap::values);
        all.map(|q| (key_of(&q.queue.scope, &q.name), q.revision)).collect()
    }
}

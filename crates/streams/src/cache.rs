//! This process's copy of the stream rows, kept true by a watch.
//!
//! A [`Mirror`]: a caller sees its own writes, nothing older ever comes back, and a stream that is
//! not in the copy may still exist.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::{Scope, ShardId, StreamArn, StreamName, Timestamp};
use millstream_env::{Env, Task};
use millstream_log::LogId;
use millstream_meta::{Document, Key, MetaError, MetaStore, Mirror, Revision, Row, mirror};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::consumer_stats::ConsumerStats;
use crate::error::{Error, Result};
use crate::hot_keys::HotKeys;
use crate::route::Route;
use crate::shard_map::Shard;
use crate::shard_state::ShardState;
use crate::stats::StreamStats;
use crate::stream_row::{PREFIX, StreamRow, key_of, stream_of};
use crate::throttle::StreamBudget;

/// A stream's row at one revision, and what is derived from it.
pub(crate) struct Snapshot {
    pub(crate) stream: StreamArn,
    pub(crate) revision: Revision,
    pub(crate) row: StreamRow,
    pub(crate) route: Route,
    pub(crate) stats: Arc<StreamStats>,
    pub(crate) hot: Arc<HotKeys>,
    /// Outlives the snapshot, as `stats` do.
    pub(crate) budget: Arc<StreamBudget>,
    /// By the shards' places in the map; they outlive the snapshot.
    states: Box<[Arc<ShardState>]>,
    /// Of all consumers in the row; they outlive the snapshot as well.
    pub(crate) consumer_stats: BTreeMap<StreamName, Arc<ConsumerStats>>,
    /// When the first closed shard was closed.
    pub(crate) oldest_closing: Option<Timestamp>,
}

impl Snapshot {
    /// `before`: the stream's snapshot until now, whose counts and budgets go on.
    fn new(stream: StreamArn, row: &Row, before: Option<&Snapshot>) -> Result<Self> {
        let revision = row.revision;
        let row = StreamRow::decode(&row.key, &row.value).map_err(MetaError::from)?;
        let before = before.filter(|b| b.row.family == row.family);
        let stats = before.map(|b| b.stats.clone()).unwrap_or_default();
        let hot = before.map(|b| b.hot.clone()).unwrap_or_default();
        let budget = before.map(|b| b.budget.clone()).unwrap_or_default();
        let state = |s: &Shard| before.and_then(|b| b.state(s.id)).cloned().unwrap_or_default();
        let states = row.shards.all().iter().map(state).collect();
        let consumer_stats = consumer_stats(&row, before);
        let route = Route::new(&row.shards);
        let oldest_closing = row.shards.oldest_closing();
        Ok(Snapshot {
            stream,
            revision,
            row,
            route,
            stats,
            hot,
            budget,
            states,
            consumer_stats,
            oldest_closing,
        })
    }

    /// An open shard by its place in the route.
    pub(crate) fn open_shard(&self, open: usize) -> &Shard {
        &self.row.shards.all()[self.route.place(open)]
    }

    /// What this process keeps of an open shard, by its place in the route.
    pub(crate) fn open_state(&self, open: usize) -> &ShardState {
        &self.states[self.route.place(open)]
    }

    /// What this process keeps of a shard. `None`: there is no such shard.
    pub(crate) fn state(&self, shard: ShardId) -> Option<&Arc<ShardState>> {
        Some(&self.states[self.row.shards.place(shard)?])
    }

    pub(crate) fn log_of(&self, shard: ShardId) -> LogId {
        self.row.log_of(shard)
    }
}

/// The figures of a row's consumers; one that was registered anew begins anew.
fn consumer_stats(
    row: &StreamRow,
    before: Option<&Snapshot>,
) -> BTreeMap<StreamName, Arc<ConsumerStats>> {
    let same = |name: &StreamName, secs: u64| {
        let known =
            |b: &&Snapshot| b.row.consumers.all().any(|(n, c)| n == name && c.created_secs == secs);
        before.filter(known).and_then(|b| b.consumer_stats.get(name)).cloned()
    };
    let all = row.consumers.all();
    all.map(|(n, c)| (n.clone(), same(n, c.created_secs).unwrap_or_default())).collect()
}

#[derive(Default)]
pub(crate) struct Copy(RwLock<BTreeMap<Scope, BTreeMap<StreamName, Arc<Snapshot>>>>);

pub(crate) struct Cache(Arc<Mirror<Copy>>);

impl std::ops::Deref for Cache {
    type Target = Mirror<Copy>;

    fn deref(&self) -> &Mirror<Copy> {
        &self.0
    }
}

impl Cache {
    /// Reads all rows, and keeps them true in a task until `stop` says so.
    ///
    /// # Errors
    /// As [`Mirror::load`].
    pub(crate) async fn start(
        env: &Env,
        meta: Arc<dyn MetaStore>,
        stop: watch::Receiver<bool>,
    ) -> Result<(Arc<Cache>, Task)> {
        let copy = Copy::default();
        let (mirror, task) = Mirror::start(env, "streams-follow", meta, PREFIX, copy, stop).await?;
        Ok((Arc::new(Cache(mirror)), task))
    }

    /// The stream as this process last saw it.
    pub(crate) fn get(&self, stream: &StreamArn) -> Option<Arc<Snapshot>> {
        self.0.get(stream)
    }

    /// The stream as the store has it.
    pub(crate) async fn fetch(&self, stream: &StreamArn) -> Result<Option<Arc<Snapshot>>> {
        let Some(row) = self.0.store().get(&key_of(stream)).await? else { return Ok(None) };
        let cached = self.get(stream);
        if let Some(cached) = &cached
            && cached.revision == row.revision
        {
            return Ok(Some(cached.clone()));
        }
        Ok(Some(Arc::new(Snapshot::new(stream.clone(), &row, cached.as_deref())?)))
    }

    /// Waits until the copy of `stream` is newer than `revision`, at most `wait`.
    pub(crate) async fn newer_than(&self, stream: &StreamArn, revision: Revision, wait: Duration) {
        let mut seen = self.news();
        let newer = async {
            while self.get(stream).is_none_or(|s| s.revision <= revision) {
                if seen.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(wait, newer).await;
    }

    /// Calls `look` with every stream of `scope` whose name comes after `after`, in order, while
    /// it returns true.
    pub(crate) fn walk(
        &self,
        scope: &Scope,
        after: Option<&StreamName>,
        mut look: impl FnMut(&Arc<Snapshot>) -> bool,
    ) {
        use std::ops::Bound::{Excluded, Unbounded};
        let streams = self.0.0.read();
        let Some(streams) = streams.get(scope) else { return };
        let from = after.map_or(Unbounded, Excluded);
        for snapshot in streams.range::<StreamName, _>((from, Unbounded)).map(|(_, s)| s) {
            if !look(snapshot) {
                return;
            }
        }
    }

    /// All streams, by account, region and name.
    pub(crate) fn all(&self) -> Vec<Arc<Snapshot>> {
        self.0.0.read().values().flat_map(BTreeMap::values).cloned().collect()
    }
}

impl Copy {
    fn get(&self, stream: &StreamArn) -> Option<Arc<Snapshot>> {
        self.0.read().get(stream.scope())?.get(stream.name()).cloned()
    }
}

impl mirror::Copy for Copy {
    const WHAT: &'static str = "stream";
    /// A large stream's row takes a megabyte.
    const SCAN_PAGE: usize = 32;
    type Error = Error;

    fn apply(&self, row: &Row) -> Result<()> {
        let stream = stream_of(&row.key)
            .ok_or_else(|| Error::Corrupt { reason: format!("row {} names no stream", row.key) })?;
        let cached = self.get(&stream);
        if cached.as_ref().is_none_or(|c| c.revision < row.revision) {
            let snapshot = Arc::new(Snapshot::new(stream.clone(), row, cached.as_deref())?);
            let mut streams = self.0.write();
            let scope = streams.entry(stream.scope().clone()).or_default();
            scope.insert(stream.name().clone(), snapshot);
        }
        Ok(())
    }

    fn remove(&self, key: &Key, revision: Revision) {
        let Some(stream) = stream_of(key) else { return };
        let mut streams = self.0.write();
        if let Some(scope) = streams.get_mut(stream.scope())
            && scope.get(stream.name()).is_some_and(|s| s.revision < revision)
        {
            scope.remove(stream.name());
            if scope.is_empty() {
                streams.remove(stream.scope());
            }
        }
    }

    fn held(&self) -> Vec<(Key, Revision)> {
        let streams = self.0.read();
        let all = streams.values().flat_map(BTreeMap::values);
        all.map(|s| (key_of(&s.stream), s.revision)).collect()
    }
}

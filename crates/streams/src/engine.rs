//! The engine's heart: what all operations share.

use std::sync::Arc;

use millstream_base::{StreamArn, Timestamp};
use millstream_env::{Env, Task};
use millstream_log::LogStore;
use millstream_meta::{Document, Expect, MetaError, MetaStore};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cache::{Cache, Snapshot};
use crate::data_keys::{DataKeys, Records};
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::model::StreamStatus;
use crate::options::Options;
use crate::policy_copy::PolicyCopy;
use crate::queue::registry::Queues;
use crate::resharding::Resharding;
use crate::stats::StreamCounts;
use crate::stream_row::{StreamRow, key_of};
use crate::subscriptions::Subscriptions;
use crate::throttle::Throttle;
use crate::token::TokenKey;

/// How often a change is tried against others who change the same row.
const CONFLICTS_MAX: usize = 50;

/// Kinesis Data Streams over a log store and a metadata store. Cheap to clone.
///
/// Every method is one operation of the API (or its dry run), with AWS's order of checks.
#[derive(Clone)]
pub struct Streams {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) log: Arc<dyn LogStore>,
    /// The log again, with the keys of what is sealed in it.
    pub(crate) records: Records,
    pub(crate) keys: Arc<DataKeys>,
    pub(crate) meta: Arc<dyn MetaStore>,
    pub(crate) options: Options,
    pub(crate) cache: Arc<Cache>,
    pub(crate) policies: Arc<PolicyCopy>,
    pub(crate) token_key: TokenKey,
    pub(crate) throttle: Throttle,
    pub(crate) queues: Queues,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) feed: Feed,
    pub(crate) resharding: Resharding,
    /// Ends the background work when it says `true`.
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) tasks: Mutex<Vec<Task>>,
}

impl Streams {
    /// Ends the background work and waits for it. Operations go on working until the stores end.
    pub async fn shutdown(&self) {
        self.inner.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            task.join().await;
        }
        self.inner.queues.shutdown().await;
    }

    /// What every stream did since the process started.
    pub fn counts(&self) -> Vec<StreamCounts> {
        let count = |s: Arc<Snapshot>| s.stats.counts(s.stream.clone(), s.route.len() as u64);
        self.inner.cache.all().into_iter().map(count).collect()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.env.now()
    }

    /// The stream, in whatever state; `None` if it does not exist (any more).
    pub(crate) async fn look_up(&self, stream: &StreamArn) -> Result<Option<Arc<Snapshot>>> {
        let found = match self.inner.cache.get(stream) {
            Some(found) => Some(found),
            None => self.inner.cache.fetch(stream).await?,
        };
        Ok(found.filter(|s| s.row.status_at(self.now()).is_some()))
    }

    /// The stream and its present state.
    pub(crate) async fn find(&self, stream: &StreamArn) -> Result<(Arc<Snapshot>, StreamStatus)> {
        let missing = || Error::StreamNotFound { stream: stream.clone() };
        let found = self.look_up(stream).await?.ok_or_else(missing)?;
        let status = found.row.status_at(self.now()).ok_or_else(missing)?;
        Ok((found, status))
    }

    /// The stream, if records can be written to it and read from it.
    pub(crate) async fn find_serving(&self, stream: &StreamArn) -> Result<Arc<Snapshot>> {
        match self.find(stream).await? {
            (_, StreamStatus::Creating) => Err(Error::StreamNotFound { stream: stream.clone() }),
            (found, _) => Ok(found),
        }
    }

    /// Changes a stream's row by compare-and-set. `change` sees the row as time has left it and
    /// may be called more than once; if it changes nothing, nothing is written.
    pub(crate) async fn change<T>(
        &self,
        stream: &StreamArn,
        mut change: impl FnMut(&mut StreamRow, StreamStatus, Timestamp) -> Result<T>,
    ) -> Result<T> {
        let missing = || Error::StreamNotFound { stream: stream.clone() };
        let mut found = self.look_up(stream).await?.ok_or_else(missing)?;
        for _ in 0..CONFLICTS_MAX {
            let now = self.now();
            let status = found.row.status_at(now).ok_or_else(missing)?;
            let mut row = found.row.clone();
            row.settle(now);
            let result = change(&mut row, status, now)?;
            if row == found.row {
                // Only if the store has the same row: the copy misses a write whose answer was lost,
                // and what another node wrote just now.
                let fresh = self.inner.cache.fetch(stream).await?.ok_or_else(missing)?;
                if fresh.revision == found.revision {
                    return Ok(result);
                }
                found = fresh;
                continue;
            }
            let expect = Expect::At(found.revision);
            match self.inner.meta.put(key_of(stream), row.encode(), expect).await {
                Ok(revision) => {
                    self.inner.cache.caught_up(revision).await;
                    return Ok(result);
                }
                Err(MetaError::Conflict { .. }) => {
                    found = self.inner.cache.fetch(stream).await?.ok_or_else(missing)?;
                }
                Err(e) => return Err(e.into()),
            }
        }
        let reason = format!("{stream} was changed by others {CONFLICTS_MAX} times in a row");
        Err(Error::Unavailable { reason })
    }

    /// As [`Streams::change`], for changes that need an ACTIVE stream.
    pub(crate) async fn change_active<T>(
        &self,
        stream: &StreamArn,
        mut change: impl FnMut(&mut StreamRow, Timestamp) -> Result<T>,
    ) -> Result<T> {
        self.change(stream, |row, status, now| match status {
            StreamStatus::Active => change(row, now),
            _ => Err(Error::StreamNotActive { stream: stream.clone(), status }),
        })
        .await
    }
}

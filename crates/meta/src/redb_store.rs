//! Rows in one redb file of the data directory.
//!
//! All calls to redb are made by one task on a thread of its own. It answers the reads that wait,
//! then writes all changes that wait in one transaction: many writers share the two syncs of a
//! commit. Commits are two-phased, so that a damaged page is reported and never taken for a torn
//! commit that can be rolled back.
//!
//! Invariant: a change is answered and told to watchers when it is durable, never before.
//! Invariant: every row's checksum is verified when it is read, and all are when the file is
//! opened.

mod backend;
mod worker;

use std::path::Path;

use bytes::Bytes;
use millstream_env::{BoxFuture, Env, Task};
use tokio::sync::{mpsc, oneshot};

use crate::memory::check_size;
use crate::store::{Expect, Key, MetaError, MetaStore, Revision, Row, Watch};
use crate::watchers::Watchers;
use worker::Worker;

/// Calls that wait before callers have to.
const QUEUE_MAX: usize = 256;

/// A [`MetaStore`] on redb. One process at a time may have a file open: the data directory's lock
/// sees to that.
pub struct RedbMeta {
    queue: mpsc::Sender<Call>,
    watchers: Watchers,
    worker: parking_lot::Mutex<Option<Task>>,
}

type Reply<T> = oneshot::Sender<Result<T, MetaError>>;

enum Call {
    Get {
        key: Key,
        reply: Reply<Option<Row>>,
    },
    Scan {
        prefix: String,
        after: Option<Key>,
        limit: usize,
        reply: Reply<Vec<Row>>,
    },
    /// A put, or, without a value, a removal.
    Write {
        key: Key,
        value: Option<Bytes>,
        expect: Expect,
        reply: Reply<Revision>,
    },
    Close,
}

impl RedbMeta {
    /// Opens `path` (such as `meta/meta.redb`) on the environment's disk; makes it if it is not
    /// there. All rows are read and verified.
    ///
    /// # Errors
    /// [`MetaError::Corrupt`] names the file and what is wrong with it; nothing was changed then.
    pub async fn open(env: Env, path: &Path) -> Result<RedbMeta, MetaError> {
        let watchers = Watchers::new(env.clone());
        let (queue, calls) = mpsc::channel(QUEUE_MAX);
        let (path, disk, heard) = (path.to_owned(), env.disk.clone(), watchers.clone());
        let worker = env.blocking(move || Worker::open(disk, path, heard)).await?;
        let worker = env.spawn_thread("meta", worker.run(env.clone(), calls));
        Ok(RedbMeta { queue, watchers, worker: parking_lot::Mutex::new(Some(worker)) })
    }

    /// Waits for what was begun, and closes the file. Later calls are answered as unavailable.
    pub async fn close(&self) {
        let worker = self.worker.lock().take();
        if let Some(worker) = worker {
            let _ = self.queue.send(Call::Close).await;
            worker.join().await;
        }
    }

    async fn call<T>(&self, make: impl FnOnce(Reply<T>) -> Call) -> Result<T, MetaError> {
        let stopped = || MetaError::Unavailable { reason: "the store has stopped".into() };
        let (reply, answer) = oneshot::channel();
        self.queue.send(make(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl MetaStore for RedbMeta {
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<Option<Row>, MetaError>> {
        let key = key.clone();
        Box::pin(self.call(|reply| Call::Get { key, reply }))
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, MetaError>> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        Box::pin(self.call(move |reply| Call::Scan { prefix, after, limit, reply }))
    }

    fn put(
        &self,
        key: Key,
        value: Bytes,
        expect: Expect,
    ) -> BoxFuture<'_, Result<Revision, MetaError>> {
        Box::pin(async move {
            check_size(&key, &value)?;
            let value = Some(value);
            self.call(|reply| Call::Write { key, value, expect, reply }).await
        })
    }

    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<Revision, MetaError>> {
        Box::pin(self.call(move |reply| Call::Write { key, value: None, expect, reply }))
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.watchers.add(prefix)
    }
}

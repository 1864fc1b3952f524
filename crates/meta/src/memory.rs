//! Rows that live as long as the process: for tests, and for nodes that keep nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use millstream_env::{BoxFuture, Env};
use parking_lot::Mutex;

use crate::store::{Change, Expect, Key, MetaError, MetaStore, Revision, Row, Watch};
use crate::watchers::Watchers;

/// A [`MetaStore`] in memory. Clones share their rows.
#[derive(Clone)]
pub struct MemoryMeta {
    rows: Arc<Mutex<Rows>>,
    watchers: Watchers,
}

#[derive(Default)]
struct Rows {
    revision: u64,
    rows: BTreeMap<Key, Row>,
}

impl MemoryMeta {
    /// `env` runs what tells slow watchers of gaps.
    pub fn new(env: Env) -> Self {
        MemoryMeta { rows: Arc::default(), watchers: Watchers::new(env) }
    }

    fn change(
        &self,
        key: Key,
        value: Option<Bytes>,
        expect: Expect,
    ) -> Result<Revision, MetaError> {
        let mut rows = self.rows.lock();
        let found = rows.rows.get(&key).map(|r| r.revision);
        if !fits(expect, found) {
            return Err(MetaError::Conflict { key });
        }
        if value.is_none() && found.is_none() {
            return Ok(Revision(rows.revision));
        }
        rows.revision += 1;
        let revision = Revision(rows.revision);
        let change = match value {
            Some(value) => {
                let row = Row { key: key.clone(), value, revision };
                rows.rows.insert(key, row.clone());
                Change::Put(row)
            }
            None => {
                rows.rows.remove(&key);
                Change::Deleted { key, revision }
            }
        };
        // Under the lock, so that watchers hear in the order of the revisions.
        self.watchers.publish(&change);
        Ok(revision)
    }
}

pub(crate) fn fits(expect: Expect, found: Option<Revision>) -> bool {
    match expect {
        Expect::Anything => true,
        Expect::Absent => found.is_none(),
        Expect::At(revision) => found == Some(revision),
    }
}

/// Most bytes of one row's value.
pub(crate) const ROW_BYTES_MAX: usize = 16 << 20;

pub(crate) fn check_size(key: &Key, value: &Bytes) -> Result<(), MetaError> {
    match value.len() {
        bytes if bytes > ROW_BYTES_MAX => {
            Err(MetaError::TooLarge { key: key.clone(), bytes, max: ROW_BYTES_MAX })
        }
        _ => Ok(()),
    }
}

impl MetaStore for MemoryMeta {
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<Option<Row>, MetaError>> {
        let row = self.rows.lock().rows.get(key).cloned();
        Box::pin(async { Ok(row) })
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, MetaError>> {
        let rows = self.rows.lock();
        let found = rows
            .rows
            .values()
            .filter(|r| r.key.as_str().starts_with(prefix) && after.is_none_or(|a| r.key > *a))
            .take(limit)
            .cloned()
            .collect();
        Box::pin(async { Ok(found) })
    }

    fn put(
        &self,
        key: Key,
        value: Bytes,
        expect: Expect,
    ) -> BoxFuture<'_, Result<Revision, MetaError>> {
        let done = check_size(&key, &value).and_then(|()| self.change(key, Some(value), expect));
        Box::pin(async { done })
    }

    fn delete(&self, key: Key, expect: Expect) -> BoxFuture<'_, Result<Revision, MetaError>> {
        let done = self.change(key, None, expect);
        Box::pin(async { done })
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.watchers.add(prefix)
    }
}

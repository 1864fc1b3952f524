//! A process's own copy of the rows under one prefix, kept true by a watch.
//!
//! One task alone writes the copy, in the order in which rows changed; who changed a row waits
//! until the copy has it ([`Mirror::caught_up`]). So a caller sees its own writes, and nothing older
//! ever comes back. What is not in the copy may still be in the store (another node wrote it just
//! now): who needs to be sure asks the store.
//!
//! What the copy is made of, and how rows become that, is its owner's: a [`Copy`].

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use millstream_env::{Env, Task};
use tokio::sync::watch;

use crate::store::{Change, Key, MetaError, MetaStore, Revision, Row, Watch};

/// How long a writer waits for its own change to come back.
const ECHO_WAIT_MAX: Duration = Duration::from_secs(5);
/// Pause before rows that could not be read are read again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What rows become in memory.
pub trait Copy: Send + Sync + 'static {
    /// What one row is, for logs: "stream".
    const WHAT: &'static str;
    /// Rows that one scan of the store asks for: as many as make some hundred kilobytes.
    const SCAN_PAGE: usize;
    type Error: From<MetaError> + Display + Send;

    /// Takes a row in, unless the copy has it as new already.
    ///
    /// # Errors
    /// The row can't be read; the copy stays as it was.
    fn apply(&self, row: &Row) -> Result<(), Self::Error>;

    /// Drops what the row under `key` became, unless that is of `revision` or newer.
    fn remove(&self, key: &Key, revision: Revision);

    /// The rows that the copy has.
    fn held(&self) -> Vec<(Key, Revision)>;
}

/// A copy and what keeps it true.
pub struct Mirror<C> {
    meta: Arc<dyn MetaStore>,
    prefix: String,
    copy: C,
    /// The newest revision that the copy has.
    seen: watch::Sender<Revision>,
}

impl<C> std::ops::Deref for Mirror<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.copy
    }
}

impl<C: Copy> Mirror<C> {
    /// Reads all rows whose keys begin with `prefix`; then [`Mirror::follow`] keeps them true.
    ///
    /// # Errors
    /// A row that can't be read, or was written by a newer program, is one: better not to start
    /// than to forget something.
    pub async fn load(
        meta: Arc<dyn MetaStore>,
        prefix: impl Into<String>,
        copy: C,
    ) -> Result<(Self, Watch), C::Error> {
        let prefix = prefix.into();
        let watch = meta.watch(&prefix);
        let (seen, _) = watch::channel(Revision(0));
        let mirror = Mirror { meta, prefix, copy, seen };
        mirror.rescan().await?;
        Ok((mirror, watch))
    }

    /// Reads all rows, and keeps them true in a task of this name until `stop` says so.
    ///
    /// # Errors
    /// As [`Mirror::load`].
    pub async fn start(
        env: &Env,
        name: &'static str,
        meta: Arc<dyn MetaStore>,
        prefix: impl Into<String>,
        copy: C,
        stop: watch::Receiver<bool>,
    ) -> Result<(Arc<Self>, Task), C::Error> {
        let (mirror, changes) = Self::load(meta, prefix, copy).await?;
        let mirror = Arc::new(mirror);
        let (following, doors) = (mirror.clone(), env.clone());
        let follow = async move { following.follow(&doors, changes, stop).await };
        Ok((mirror, env.spawn(name, follow)))
    }

    /// Applies changes until the store ends or `stop` says so.
    pub async fn follow(&self, env: &Env, mut changes: Watch, mut stop: watch::Receiver<bool>) {
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
                        tracing::warn!(%error, what = C::WHAT, "rows can't be read; trying again");
                        env.sleep(RETRY_PAUSE).await;
                    }
                }
                Some(Change::Put(row)) => {
                    if let Err(error) = self.copy.apply(&row) {
                        tracing::error!(%error, what = C::WHAT, "a row can't be read");
                    }
                    self.saw(row.revision);
                }
                Some(Change::Deleted { key, revision }) => {
                    self.copy.remove(&key, revision);
                    self.saw(revision);
                }
            }
        }
    }

    /// The store that the rows are in.
    pub fn store(&self) -> &Arc<dyn MetaStore> {
        &self.meta
    }

    /// Waits until the copy has `revision`.
    pub async fn caught_up(&self, revision: Revision) {
        let mut seen = self.seen.subscribe();
        let there = seen.wait_for(|seen| *seen >= revision);
        if tokio::time::timeout(ECHO_WAIT_MAX, there).await.is_err() {
            tracing::warn!(
                ?revision,
                what = C::WHAT,
                "a change of ours has not come back from the store"
            );
        }
    }

    /// News of any row.
    pub fn news(&self) -> watch::Receiver<Revision> {
        self.seen.subscribe()
    }

    fn saw(&self, revision: Revision) {
        self.seen.send_if_modified(|seen| {
            let newer = revision > *seen;
            *seen = revision.max(*seen);
            newer
        });
    }

    /// Reads all rows anew and drops what is not among them.
    async fn rescan(&self) -> Result<(), C::Error> {
        let before = self.copy.held();
        let mut found = BTreeSet::new();
        let mut after: Option<Key> = None;
        loop {
            let page = self.meta.scan(&self.prefix, after.as_ref(), C::SCAN_PAGE).await?;
            for row in &page {
                let applied = self.copy.apply(row);
                self.saw(row.revision);
                applied?;
                found.insert(row.key.clone());
            }
            match page.last() {
                Some(last) if page.len() == C::SCAN_PAGE => after = Some(last.key.clone()),
                _ => break,
            }
        }
        for (key, revision) in before {
            if !found.contains(&key) {
                self.copy.remove(&key, Revision(revision.0 + 1));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use parking_lot::Mutex;

    use super::*;
    use crate::{Expect, MemoryMeta};

    /// Rows whose value is "bad" can't be read.
    #[derive(Default)]
    struct Texts(Mutex<BTreeMap<Key, (Revision, Bytes)>>);

    impl Copy for Texts {
        const WHAT: &'static str = "text";
        const SCAN_PAGE: usize = 2;
        type Error = MetaError;

        fn apply(&self, row: &Row) -> Result<(), MetaError> {
            if row.value == "bad" {
                return Err(MetaError::Conflict { key: row.key.clone() });
            }
            let mut texts = self.0.lock();
            if texts.get(&row.key).is_none_or(|(have, _)| *have < row.revision) {
                texts.insert(row.key.clone(), (row.revision, row.value.clone()));
            }
            Ok(())
        }

        fn remove(&self, key: &Key, revision: Revision) {
            let mut texts = self.0.lock();
            if texts.get(key).is_some_and(|(have, _)| *have < revision) {
                texts.remove(key);
            }
        }

        fn held(&self) -> Vec<(Key, Revision)> {
            self.0.lock().iter().map(|(key, (revision, _))| (key.clone(), *revision)).collect()
        }
    }

    impl Texts {
        fn all(&self) -> Vec<String> {
            let texts = self.0.lock();
            texts.values().map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect()
        }
    }

    async fn put(meta: &MemoryMeta, key: &str, value: &'static str) -> Revision {
        meta.put(Key::new(key), Bytes::from_static(value.as_bytes()), Expect::Anything)
            .await
            .unwrap()
    }

    fn store() -> Arc<MemoryMeta> {
        Arc::new(MemoryMeta::new(Env::real(".")))
    }

    #[tokio::test]
    async fn a_copy_has_what_was_there_and_what_changes() {
        let meta = store();
        for (key, value) in [("a/1", "one"), ("a/2", "two"), ("a/3", "three"), ("b/1", "other")] {
            put(&meta, key, value).await;
        }
        let (mirror, changes) = Mirror::load(meta.clone(), "a/", Texts::default()).await.unwrap();
        assert_eq!(mirror.all(), ["one", "two", "three"]);

        let (stop, stopped) = watch::channel(false);
        let env = Env::real(".");
        let changing = async {
            put(&meta, "a/2", "bad").await; // told in the log, and passed over
            let revision = put(&meta, "a/1", "uno").await;
            mirror.caught_up(revision).await;
            assert_eq!(mirror.all(), ["uno", "two", "three"]);
            meta.delete(Key::new("a/3"), Expect::Anything).await.unwrap();
            let revision = put(&meta, "a/0", "nought").await;
            mirror.caught_up(revision).await;
            assert_eq!(mirror.all(), ["nought", "uno", "two"]);
            stop.send(true).unwrap();
        };
        tokio::join!(mirror.follow(&env, changes, stopped), changing);
    }

    #[tokio::test]
    async fn after_a_gap_the_copy_is_as_the_store() {
        let meta = store();
        put(&meta, "a/1", "one").await;
        put(&meta, "a/2", "two").await;
        let (mirror, _) = Mirror::load(meta.clone(), "a/", Texts::default()).await.unwrap();
        meta.delete(Key::new("a/1"), Expect::Anything).await.unwrap();
        put(&meta, "a/3", "three").await;

        let (gap, changes) = tokio::sync::mpsc::channel(1);
        gap.send(Change::Gap).await.unwrap();
        drop(gap);
        let (_stop, stopped) = watch::channel(false);
        mirror.follow(&Env::real("."), changes, stopped).await;
        assert_eq!(mirror.all(), ["two", "three"]);
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_stops_the_start() {
        let meta = store();
        put(&meta, "a/1", "bad").await;
        assert!(Mirror::load(meta, "a/", Texts::default()).await.is_err());
    }
}

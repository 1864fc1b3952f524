//! The engine: its parts, and how a row is changed.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use millstream_base::{AccountId, Timestamp};
use millstream_env::{Env, Task};
use millstream_meta::mirror::Mirror;
use millstream_meta::{Document, Expect, Key, MetaError, MetaStore, Revision};
use millstream_secrets::{Root, SealingKey};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::oidc::Issuer;
use crate::rows::{PREFIX, RowName};
use crate::tokens::Sessions;

/// How often a change is tried anew when others change the same row.
const ATTEMPTS_MAX: usize = 32;

/// How an engine works.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often last uses of keys are written down.
    pub last_used_interval: Duration,
    /// OpenID Connect issuers whose tokens are taken.
    pub issuers: Vec<Issuer>,
}

impl Default for Options {
    fn default() -> Self {
        Options { last_used_interval: Duration::from_secs(60), issuers: Vec::new() }
    }
}

/// All identities. Cheap to clone.
#[derive(Clone)]
pub struct Identities {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) meta: Arc<dyn MetaStore>,
    pub(crate) directory: Arc<Mirror<Directory>>,
    root: Root,
    sealing: OnceLock<Sealing>,
    pub(crate) sessions: Sessions,
    pub(crate) issuers: Vec<Issuer>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<Task>>,
}

/// The keys that secrets are sealed with.
pub(crate) struct Sealing {
    pub(crate) keys: SealingKey,
    pub(crate) tokens: SealingKey,
}

impl Identities {
    /// Reads all identities and follows their changes.
    ///
    /// # Errors
    /// The store does not answer, or a row can't be read.
    pub async fn open(
        env: Env,
        meta: Arc<dyn MetaStore>,
        root: Root,
        options: Options,
    ) -> Result<Identities> {
        let (stop, stopped) = watch::channel(false);
        let copy = Directory::default();
        let (directory, follow) =
            Mirror::start(&env, "identities", meta.clone(), PREFIX, copy, stopped).await?;
        let inner = Arc::new(Inner {
            env: env.clone(),
            meta,
            directory,
            root,
            sealing: OnceLock::new(),
            sessions: Sessions::default(),
            issuers: options.issuers,
            stop,
            tasks: Mutex::new(vec![follow]),
        });
        let identities = Identities { inner };
        let noting = identities.clone().note_uses(options.last_used_interval);
        identities.inner.tasks.lock().push(env.spawn("access-keys-last-used", noting));
        Ok(identities)
    }

    /// Fetches the root key: from then on secrets can be opened. Done by itself when something is to
    /// be sealed.
    ///
    /// # Errors
    /// [`Error::Root`].
    pub async fn unlock(&self) -> Result<()> {
        self.sealing().await.map(drop)
    }

    pub(crate) async fn sealing(&self) -> Result<&Sealing> {
        if self.inner.sealing.get().is_none() {
            let root = self.inner.root.key().await.map_err(|e| Error::Root(e.to_string()))?;
            let keys = root.derive("iam secret access keys");
            let tokens = root.derive("sts session tokens");
            let _ = self.inner.sealing.set(Sealing { keys, tokens });
        }
        Ok(self.inner.sealing.get().expect("it was set above"))
    }

    /// The keys, if they were needed before.
    pub(crate) fn unsealing(&self) -> Option<&Sealing> {
        self.inner.sealing.get()
    }

    /// Stops following, and writes down when keys were last used.
    pub async fn shutdown(&self) {
        let _ = self.inner.stop.send(true);
        let tasks: Vec<Task> = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            task.join().await;
        }
        self.write_uses().await;
    }

    /// All accounts that have identities.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.inner.directory.accounts()
    }

    /// Resolves when some identity has changed since the last call on the same receiver.
    pub fn news(&self) -> watch::Receiver<Revision> {
        self.inner.directory.news()
    }

    pub(crate) fn now(&self) -> Timestamp {
        // Whole seconds, as AWS's lists and documents have them.
        Timestamp::from_secs(self.inner.env.now().as_secs())
    }

    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.inner.stop.subscribe()
    }

    /// Writes a row that is not there yet.
    ///
    /// # Errors
    /// What `exists` says, if it is there.
    pub(crate) async fn create<D: Document>(
        &self,
        name: &RowName,
        document: &D,
        exists: impl FnOnce() -> Error,
    ) -> Result<()> {
        let put = self.inner.meta.put(name.key(), document.encode(), Expect::Absent).await;
        match put {
            Ok(revision) => {
                self.inner.directory.caught_up(revision).await;
                Ok(())
            }
            Err(MetaError::Conflict { .. }) => Err(exists()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a row, lets `edit` change it, and writes it if nobody else changed it meanwhile, else
    /// begins anew. An edit that changes nothing writes nothing.
    ///
    /// # Errors
    /// What `edit` says; `missing`, if there is no row.
    pub(crate) async fn change<D: Document + Clone + PartialEq, T>(
        &self,
        name: &RowName,
        missing: impl Fn() -> Error,
        mut edit: impl FnMut(&mut D) -> Result<T>,
    ) -> Result<T> {
        for _ in 0..ATTEMPTS_MAX {
            let row = self.inner.meta.get(&name.key()).await?.ok_or_else(&missing)?;
            let before = D::decode(&row.key, &row.value).map_err(MetaError::from)?;
            let mut after = before.clone();
            let told = edit(&mut after)?;
            if after == before {
                return Ok(told);
            }
            self.inner.env.hesitate("identity-edited").await;
            let expect = Expect::At(row.revision);
            match self.inner.meta.put(row.key, after.encode(), expect).await {
                Ok(revision) => {
                    self.inner.directory.caught_up(revision).await;
                    return Ok(told);
                }
                Err(MetaError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Busy)
    }

    /// Removes a row, if `look` allows it and nobody changes it meanwhile.
    ///
    /// # Errors
    /// What `look` says; `missing`, if there is no row.
    pub(crate) async fn remove<D: Document>(
        &self,
        name: &RowName,
        missing: impl Fn() -> Error,
        mut look: impl FnMut(&D) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            let row = self.inner.meta.get(&name.key()).await?.ok_or_else(&missing)?;
            look(&D::decode(&row.key, &row.value).map_err(MetaError::from)?)?;
            self.inner.env.hesitate("identity-judged").await;
            match self.inner.meta.delete(row.key, Expect::At(row.revision)).await {
                Ok(revision) => {
                    self.inner.directory.caught_up(revision).await;
                    return Ok(());
                }
                Err(MetaError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Busy)
    }

    async fn note_uses(self, interval: Duration) {
        let mut stopped = self.stopped();
        loop {
            let stop = stopped.wait_for(|stop| *stop);
            if tokio::time::timeout(interval, stop).await.is_ok() {
                return;
            }
            self.write_uses().await;
        }
    }

    /// Last uses are no part of what identities are: they have rows of their own, which no watch of
    /// the directory sees.
    async fn write_uses(&self) {
        for key in self.inner.directory.used_keys() {
            let used = key.used();
            if !used.dirty.swap(false, Ordering::Relaxed) {
                continue;
            }
            let place = used.place.lock().clone();
            let Some((service, region)) = place else { continue };
            let row = LastUse { secs: used.secs.load(Ordering::Relaxed), service, region };
            let name = last_use_key(&key.id);
            if let Err(error) = self.inner.meta.put(name, row.encode(), Expect::Anything).await {
                tracing::warn!(%error, access_key_id = %key.id, "its last use is not written down");
            }
        }
    }

    /// When and for what a key was last used, as far as it was noted.
    pub(crate) async fn read_use(&self, access_key_id: &str) -> Result<Option<LastUse>> {
        let name = last_use_key(access_key_id);
        let Some(row) = self.inner.meta.get(&name).await? else { return Ok(None) };
        Ok(Some(LastUse::decode(&row.key, &row.value).map_err(MetaError::from)?))
    }

    pub(crate) async fn forget_use(&self, access_key_id: &str) {
        let name = last_use_key(access_key_id);
        if let Err(error) = self.inner.meta.delete(name, Expect::Anything).await {
            tracing::debug!(%error, access_key_id, "its last use remains written down");
        }
    }
}

/// The last use of an access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    /// Since the epoch; exact to a minute.
    pub secs: u64,
    pub service: String,
    pub region: String,
}

impl Document for LastUse {
    const KIND: &'static str = "last use of an access key";
    const VERSION: u32 = 1;
}

fn last_use_key(access_key_id: &str) -> Key {
    Key::new(format!("identity-use/{access_key_id}"))
}

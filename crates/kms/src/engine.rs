//! The engine's handle: what it is made of, how a name becomes a key, how a row is changed.

use std::sync::Arc;
use std::time::Duration;

use millstream_base::{Scope, Timestamp};
use millstream_env::{Env, Task};
use millstream_meta::{Document, Expect, MetaError, MetaStore};
use millstream_secrets::{Root, SealingKey};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::directory::{Directory, Key};
use crate::error::{Error, Result};
use crate::names::{AliasName, KeyArn, KeyName, NameProblem};
use crate::row::{KeyRow, State, row_of_key};

/// What can be set.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often it is looked for keys whose deletion or rotation is due. A key whose time has come
    /// counts as gone at once; this is how long its row may outlive it.
    pub upkeep_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { upkeep_interval: Duration::from_secs(60) }
    }
}

/// The keys of all accounts and regions. Cheap to clone.
#[derive(Clone)]
pub struct Kms {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) root: Root,
    pub(crate) directory: Arc<Directory>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<Task>>,
}

/// How often a change is tried against others' changes of the same row.
const CHANGE_ATTEMPTS_MAX: u32 = 32;

impl Kms {
    /// Reads all keys. The root key is asked for when material is first sealed or opened.
    ///
    /// # Errors
    /// The store can't be read, or a row in it.
    pub async fn open(
        env: Env,
        meta: Arc<dyn MetaStore>,
        root: Root,
        options: Options,
    ) -> Result<Kms> {
        let (stop, stopped) = watch::channel(false);
        let (directory, following) = Directory::start(&env, meta, stopped.clone()).await?;
        let tasks = Mutex::new(vec![following]);
        let kms = Kms { inner: Arc::new(Inner { env, root, directory, stop, tasks }) };
        let upkeep = kms.clone().upkeep(options.upkeep_interval, stopped);
        let upkeep = kms.inner.env.spawn("kms-upkeep", upkeep);
        kms.inner.tasks.lock().push(upkeep);
        Ok(kms)
    }

    /// Ends the tasks at the side.
    pub async fn shutdown(&self) {
        let _ = self.inner.stop.send(true);
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            task.join().await;
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.env.now()
    }

    /// The key that seals materials.
    pub(crate) async fn sealing(&self) -> Result<SealingKey> {
        Ok(self.inner.root.key().await?.derive("kms key material"))
    }

    /// The key that `text` means to a caller of `scope`, in whatever state.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::NotFound`], [`Error::AliasNotFound`].
    pub async fn find(&self, scope: &Scope, text: &str) -> Result<Arc<Key>> {
        match KeyName::parse(scope, text) {
            Ok(KeyName::Key(arn)) => self.find_key(&arn).await,
            Ok(KeyName::Alias(alias)) => self.find_target(&alias).await,
            Err(NameProblem::MultiRegion(arn)) => Err(Error::NotFound { arn }),
            Err(problem) => Err(Error::Name(problem)),
        }
    }

    /// As [`Kms::find`], of a key that can be used.
    ///
    /// # Errors
    /// As [`Kms::find`], [`Error::Disabled`], [`Error::PendingDeletion`].
    pub async fn find_usable(&self, scope: &Scope, text: &str) -> Result<Arc<Key>> {
        let key = self.find(scope, text).await?;
        check_usable(&key)?;
        Ok(key)
    }

    pub(crate) async fn find_key(&self, arn: &KeyArn) -> Result<Arc<Key>> {
        let there = |key: &Arc<Key>| !key.row.is_gone(self.now());
        if let Some(key) = self.inner.directory.key(arn) {
            return Some(key).filter(there).ok_or_else(|| not_found(arn));
        }
        let key = self.inner.directory.fetch_key(arn).await?;
        key.filter(there).ok_or_else(|| not_found(arn))
    }

    async fn find_target(&self, alias: &AliasName) -> Result<Arc<Key>> {
        let known = self.inner.directory.alias(alias);
        let entry = match known {
            Some(entry) => Some(entry),
            None => self.inner.directory.fetch_alias(alias).await?,
        };
        let missing = || Error::AliasNotFound { arn: alias.arn() };
        let target = KeyArn::new(alias.scope.clone(), entry.ok_or_else(missing)?.target);
        self.find_key(&target).await.map_err(|error| match error {
            Error::NotFound { .. } => missing(),
            error => error,
        })
    }

    /// Changes a key's row; durable, and seen by everyone who asks this engine, when it returns.
    pub(crate) async fn change(
        &self,
        arn: &KeyArn,
        change: impl Fn(&mut KeyRow, Timestamp) -> Result<()> + Send + Sync,
    ) -> Result<Arc<Key>> {
        let directory = &self.inner.directory;
        for _ in 0..CHANGE_ATTEMPTS_MAX {
            let now = self.now();
            let key = directory.fetch_key(arn).await?.filter(|key| !key.row.is_gone(now));
            let mut key = Arc::unwrap_or_clone(key.ok_or_else(|| not_found(arn))?);
            let before = key.row.clone();
            change(&mut key.row, now)?;
            if key.row == before {
                return Ok(Arc::new(key));
            }
            let expect = Expect::At(key.revision);
            match directory.meta().put(row_of_key(arn), key.row.encode(), expect).await {
                Ok(revision) => {
                    directory.caught_up(revision).await;
                    return Ok(Arc::new(Key { revision, ..key }));
                }
                Err(MetaError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(contended(arn))
    }
}

/// # Errors
/// [`Error::Disabled`], [`Error::PendingDeletion`].
pub(crate) fn check_usable(key: &Key) -> Result<()> {
    let arn = || key.arn.to_string();
    match key.row.state {
        State::Enabled => Ok(()),
        State::Disabled => Err(Error::Disabled { arn: arn() }),
        State::PendingDeletion { .. } => Err(Error::PendingDeletion { arn: arn() }),
    }
}

/// # Errors
/// [`Error::PendingDeletion`].
pub(crate) fn check_stays(arn: &KeyArn, row: &KeyRow) -> Result<()> {
    match row.state {
        State::PendingDeletion { .. } => Err(Error::PendingDeletion { arn: arn.to_string() }),
        State::Enabled | State::Disabled => Ok(()),
    }
}

pub(crate) fn not_found(arn: &KeyArn) -> Error {
    Error::NotFound { arn: arn.to_string() }
}

pub(crate) fn contended(what: &impl std::fmt::Display) -> Error {
    let reason = format!("{what} is changed by others all the time");
    Error::Meta(MetaError::Unavailable { reason })
}

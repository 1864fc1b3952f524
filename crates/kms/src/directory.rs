//! This process's copy of all keys and aliases, kept true by a [`Mirror`].

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use millstream_base::{Scope, Tags, Timestamp};
use millstream_env::{Env, Task};
use millstream_meta::mirror::{Copy, Mirror};
use millstream_meta::{Document, Key as RowKey, MetaStore, Revision, Row};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::names::{AliasName, KeyArn, KeyId};
use crate::row::{AliasRow, KeyRow, Manager, Material, Named, PREFIX, RotationSchedule, State};
use crate::row::{named, row_of_alias, row_of_key};

/// A key as it stood at one moment. Its material is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub arn: KeyArn,
    pub(crate) revision: Revision,
    pub(crate) row: KeyRow,
}

impl Key {
    pub fn made(&self) -> Timestamp {
        self.row.made
    }
    pub fn state(&self) -> State {
        self.row.state
    }
    pub fn manager(&self) -> Manager {
        self.row.manager
    }
    pub fn description(&self) -> &str {
        &self.row.description
    }
    /// The policy as it was given. `None`: the default one.
    pub fn policy(&self) -> Option<&str> {
        self.row.policy.as_deref()
    }
    pub fn tags(&self) -> &Tags {
        &self.row.tags
    }
    /// The first is the oldest, the last encrypts.
    pub fn materials(&self) -> &[Material] {
        &self.row.materials
    }
    pub fn current(&self) -> &Material {
        self.row.current()
    }
    pub fn rotation(&self) -> Option<RotationSchedule> {
        self.row.rotation
    }

    pub(crate) fn read(arn: KeyArn, row: &Row) -> Result<Key> {
        let document = KeyRow::decode(&row.key, &row.value)?;
        if document.materials.is_empty() {
            return Err(Error::Corrupt { reason: format!("{arn} has no material") });
        }
        Ok(Key { arn, revision: row.revision, row: document })
    }
}

/// An alias as it stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AliasEntry {
    pub(crate) revision: Revision,
    pub(crate) target: KeyId,
    pub(crate) made: Timestamp,
    pub(crate) changed: Timestamp,
}

impl AliasEntry {
    pub(crate) fn read(name: &AliasName, row: &Row) -> Result<AliasEntry> {
        let document = AliasRow::decode(&row.key, &row.value)?;
        let target = document.target.parse().map_err(|()| Error::Corrupt {
            reason: format!("{} points to {:?}", name.arn(), document.target),
        })?;
        let AliasRow { made, changed, .. } = document;
        Ok(AliasEntry { revision: row.revision, target, made, changed })
    }
}

#[derive(Default)]
struct Owned {
    keys: BTreeMap<KeyId, Arc<Key>>,
    /// By `alias/NAME`.
    aliases: BTreeMap<String, Arc<AliasEntry>>,
}

pub(crate) struct Directory(Arc<Mirror<Copies>>);

impl std::ops::Deref for Directory {
    type Target = Mirror<Copies>;

    fn deref(&self) -> &Mirror<Copies> {
        &self.0
    }
}

#[derive(Default)]
pub(crate) struct Copies(RwLock<BTreeMap<Scope, Owned>>);

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
        let copy = Copies::default();
        let (mirror, task) = Mirror::start(env, "kms-directory", meta, PREFIX, copy, stop).await?;
        Ok((Arc::new(Directory(mirror)), task))
    }

    pub(crate) fn meta(&self) -> &Arc<dyn MetaStore> {
        self.0.store()
    }

    pub(crate) fn key(&self, arn: &KeyArn) -> Option<Arc<Key>> {
        self.0.0.read().get(&arn.scope)?.keys.get(&arn.id).cloned()
    }

    pub(crate) fn alias(&self, name: &AliasName) -> Option<Arc<AliasEntry>> {
        self.0.0.read().get(&name.scope)?.aliases.get(name.as_str()).cloned()
    }

    /// The key as the store has it.
    pub(crate) async fn fetch_key(&self, arn: &KeyArn) -> Result<Option<Arc<Key>>> {
        let row = self.meta().get(&row_of_key(arn)).await?;
        row.map(|row| Key::read(arn.clone(), &row).map(Arc::new)).transpose()
    }

    /// The alias as the store has it.
    pub(crate) async fn fetch_alias(&self, name: &AliasName) -> Result<Option<Arc<AliasEntry>>> {
        let row = self.meta().get(&row_of_alias(name)).await?;
        row.map(|row| AliasEntry::read(name, &row).map(Arc::new)).transpose()
    }

    pub(crate) fn key_count(&self, scope: &Scope) -> usize {
        self.0.0.read().get(scope).map_or(0, |owned| owned.keys.len())
    }

    /// Keys of `scope` after `after`, in the order of their ids, at most `limit`.
    pub(crate) fn keys_after(
        &self,
        scope: &Scope,
        after: Option<KeyId>,
        limit: usize,
        wanted: impl Fn(&Key) -> bool,
    ) -> Vec<Arc<Key>> {
        let owned = self.0.0.read();
        let Some(owned) = owned.get(scope) else { return Vec::new() };
        let from = after.map_or(Unbounded, Excluded);
        let keys = owned.keys.range((from, Unbounded)).map(|(_, key)| key);
        keys.filter(|key| wanted(key)).take(limit).cloned().collect()
    }

    /// Aliases of `scope` after `after`, in the order of their names, at most `limit`; `wanted` sees
    /// the alias and the key behind it.
    pub(crate) fn aliases_after(
        &self,
        scope: &Scope,
        after: Option<&str>,
        limit: usize,
        wanted: impl Fn(&AliasEntry, Option<&Arc<Key>>) -> bool,
    ) -> Vec<(String, Arc<AliasEntry>)> {
        let owned = self.0.0.read();
        let Some(owned) = owned.get(scope) else { return Vec::new() };
        let from = after.map_or(Unbounded, Excluded);
        let aliases = owned.aliases.range::<str, _>((from, Unbounded));
        let wanted = aliases.filter(|(_, alias)| wanted(alias, owned.keys.get(&alias.target)));
        wanted.take(limit).map(|(name, alias)| (name.clone(), alias.clone())).collect()
    }

    /// Keys, of whatever scope, that `wanted` takes.
    pub(crate) fn all_keys(&self, wanted: impl Fn(&Key) -> bool) -> Vec<Arc<Key>> {
        let owned = self.0.0.read();
        let keys = owned.values().flat_map(|owned| owned.keys.values());
        keys.filter(|key| wanted(key)).cloned().collect()
    }
}

impl Copy for Copies {
    const WHAT: &'static str = "key";
    const SCAN_PAGE: usize = 256;
    type Error = Error;

    fn apply(&self, row: &Row) -> Result<()> {
        match named(&row.key) {
            Some(Named::Key(arn)) => {
                let key = Arc::new(Key::read(arn.clone(), row)?);
                let mut owned = self.0.write();
                let keys = &mut owned.entry(arn.scope).or_default().keys;
                if keys.get(&arn.id).is_none_or(|known| known.revision < key.revision) {
                    keys.insert(arn.id, key);
                }
            }
            Some(Named::Alias(name)) => {
                let entry = Arc::new(AliasEntry::read(&name, row)?);
                let mut owned = self.0.write();
                let aliases = &mut owned.entry(name.scope.clone()).or_default().aliases;
                if aliases.get(name.as_str()).is_none_or(|known| known.revision < entry.revision) {
                    aliases.insert(name.as_str().to_owned(), entry);
                }
            }
            None => return Err(Error::Corrupt { reason: format!("row {} is no key", row.key) }),
        }
        Ok(())
    }

    fn remove(&self, row: &RowKey, revision: Revision) {
        let mut owned = self.0.write();
        match named(row) {
            Some(Named::Key(arn)) => {
                if let Some(owned) = owned.get_mut(&arn.scope)
                    && owned.keys.get(&arn.id).is_some_and(|known| known.revision < revision)
                {
                    owned.keys.remove(&arn.id);
                }
            }
            Some(Named::Alias(name)) => {
                if let Some(owned) = owned.get_mut(&name.scope)
                    && let known = owned.aliases.get(name.as_str())
                    && known.is_some_and(|known| known.revision < revision)
                {
                    owned.aliases.remove(name.as_str());
                }
            }
            None => {}
        }
    }

    fn held(&self) -> Vec<(RowKey, Revision)> {
        let mut rows = Vec::new();
        for (scope, owned) in self.0.read().iter() {
            rows.extend(owned.keys.values().map(|key| (row_of_key(&key.arn), key.revision)));
            let aliases = owned.aliases.iter().filter_map(|(name, entry)| {
                Some((row_of_alias(&AliasName::new(scope.clone(), name)?), entry.revision))
            });
            rows.extend(aliases);
        }
        rows
    }
}

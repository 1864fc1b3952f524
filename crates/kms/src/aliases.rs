//! Aliases: names that can be moved from one key to another.

use std::sync::Arc;

use millstream_base::limits::KMS_ALIASES_PER_KEY_MAX;
use millstream_base::{Scope, Timestamp};
use millstream_meta::{Document, Expect, MetaError, Revision};

use crate::directory::{AliasEntry, Key};
use crate::engine::{Kms, check_stays, contended};
use crate::error::{Error, Result};
use crate::keys::NewKey;
use crate::names::{AliasName, KeyArn, KeyId};
use crate::row::{AliasRow, Manager, row_of_alias};

/// An alias as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub name: AliasName,
    pub target: KeyId,
    pub made: Timestamp,
    pub changed: Timestamp,
}

impl Kms {
    /// Gives `target`, a key of the alias's account and region, one more name.
    ///
    /// # Errors
    /// [`Error::AliasExists`], [`Error::PendingDeletion`], [`Error::TooManyAliases`].
    pub async fn create_alias(&self, name: &AliasName, target: &Key) -> Result<()> {
        check_stays(&target.arn, &target.row)?;
        let of_target = |alias: &AliasEntry, _: Option<&Arc<Key>>| alias.target == target.arn.id;
        let max = KMS_ALIASES_PER_KEY_MAX;
        let directory = &self.inner.directory;
        if directory.aliases_after(&name.scope, None, max, of_target).len() >= max {
            return Err(Error::TooManyAliases { arn: target.arn.to_string(), max });
        }
        let now = self.now();
        let row = AliasRow { target: target.arn.id.to_string(), made: now, changed: now };
        self.put_alias(name, row, Expect::Absent).await.map_err(|error| match error {
            Error::Meta(MetaError::Conflict { .. }) => Error::AliasExists { arn: name.arn() },
            error => error,
        })
    }

    /// Makes an alias mean another key.
    ///
    /// # Errors
    /// [`Error::AliasNotFound`], [`Error::PendingDeletion`] of the new target.
    pub async fn update_alias(&self, name: &AliasName, target: &Key) -> Result<()> {
        check_stays(&target.arn, &target.row)?;
        let entry = self.alias_entry(name).await?;
        let target = target.arn.id.to_string();
        let row = AliasRow { target, made: entry.made, changed: self.now() };
        self.put_alias(name, row, Expect::At(entry.revision)).await.map_err(|e| lost(e, name))
    }

    /// # Errors
    /// [`Error::AliasNotFound`].
    pub async fn delete_alias(&self, name: &AliasName) -> Result<()> {
        let entry = self.alias_entry(name).await?;
        self.remove_alias(name, entry.revision).await.map_err(|e| lost(e, name))
    }

    /// Up to `limit` aliases after `after`, in the order of their names; of one key, if wanted.
    pub fn list_aliases(
        &self,
        scope: &Scope,
        target: Option<KeyId>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Alias> {
        let now = self.now();
        let wanted = |alias: &AliasEntry, key: Option<&Arc<Key>>| {
            target.is_none_or(|id| id == alias.target) && key.is_some_and(|k| !k.row.is_gone(now))
        };
        let entries = self.inner.directory.aliases_after(scope, after, limit, wanted);
        let alias = |(name, entry): (String, Arc<AliasEntry>)| {
            let name = AliasName::new(scope.clone(), &name)?;
            let AliasEntry { target, made, changed, .. } = *entry;
            Some(Alias { name, target, made, changed })
        };
        entries.into_iter().filter_map(alias).collect()
    }

    /// The key behind `alias/aws/SERVICE`, made if it is not there.
    ///
    /// The alias's row is written first and names the key to be: whoever finds one without its key,
    /// because its maker ended between the two, makes the key that it names.
    pub(crate) async fn managed_key(&self, name: &AliasName) -> Result<Arc<Key>> {
        for _ in 0..2 {
            let entry = match self.inner.directory.fetch_alias(name).await? {
                Some(entry) => entry,
                None => {
                    let id = KeyId::from_random(self.inner.env.random_bytes());
                    let now = self.now();
                    let row = AliasRow { target: id.to_string(), made: now, changed: now };
                    match self.put_alias(name, row, Expect::Absent).await {
                        Ok(()) | Err(Error::Meta(MetaError::Conflict { .. })) => continue,
                        Err(error) => return Err(error),
                    }
                }
            };
            let arn = KeyArn::new(name.scope.clone(), entry.target);
            if let Some(key) = self.inner.directory.fetch_key(&arn).await? {
                return Ok(key);
            }
            let service = name.as_str().rsplit('/').next().unwrap_or_default();
            let description =
                format!("Default key that protects my {service} data when no other key is defined");
            let new = NewKey { description, ..NewKey::default() };
            match self.store_new(arn.clone(), new, Manager::Service).await {
                Err(Error::Meta(MetaError::Conflict { .. })) => return self.find_key(&arn).await,
                made => return made,
            }
        }
        Err(contended(&name.arn()))
    }

    pub(crate) async fn alias_entry(&self, name: &AliasName) -> Result<Arc<AliasEntry>> {
        let entry = self.inner.directory.fetch_alias(name).await?;
        entry.ok_or_else(|| Error::AliasNotFound { arn: name.arn() })
    }

    async fn put_alias(&self, name: &AliasName, row: AliasRow, expect: Expect) -> Result<()> {
        let directory = &self.inner.directory;
        let revision = directory.meta().put(row_of_alias(name), row.encode(), expect).await?;
        directory.caught_up(revision).await;
        Ok(())
    }

    pub(crate) async fn remove_alias(&self, name: &AliasName, at: Revision) -> Result<()> {
        let directory = &self.inner.directory;
        let revision = directory.meta().delete(row_of_alias(name), Expect::At(at)).await?;
        directory.caught_up(revision).await;
        Ok(())
    }
}

/// Someone else changed or deleted the alias in between; the caller may try again.
fn lost(error: Error, name: &AliasName) -> Error {
    match error {
        Error::Meta(MetaError::Conflict { .. }) => contended(&name.arn()),
        error => error,
    }
}

//! Keys as their owners manage them: made, described, listed, switched off and on, tagged.

use std::sync::Arc;

use millstream_base::limits::KMS_KEYS_MAX;
use millstream_base::tags::{check_added, check_removed};
use millstream_base::{Scope, Tags};
use millstream_meta::{Document, Expect};

use crate::crypto::new_material;
use crate::directory::Key;
use crate::engine::{Kms, check_stays};
use crate::error::{Error, Result};
use crate::names::{KeyArn, KeyId};
use crate::row::{KeyRow, Manager, Origin, State, row_of_key};

/// What a key begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    pub description: String,
    /// `None`: the default policy.
    pub policy: Option<String>,
    pub tags: Tags,
}

impl Kms {
    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Tag`], [`Error::TooManyKeys`], or the root key or the store can't be had.
    pub async fn create_key(&self, scope: &Scope, new: NewKey) -> Result<Arc<Key>> {
        let pairs = new.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        check_added(&Tags::new(), pairs)?;
        if self.inner.directory.key_count(scope) >= KMS_KEYS_MAX {
            return Err(Error::TooManyKeys { max: KMS_KEYS_MAX });
        }
        let id = KeyId::from_random(self.inner.env.random_bytes());
        let arn = KeyArn::new(scope.clone(), id);
        self.store_new(arn, new, Manager::Customer).await
    }

    pub(crate) async fn store_new(
        &self,
        arn: KeyArn,
        new: NewKey,
        manager: Manager,
    ) -> Result<Arc<Key>> {
        let now = self.now();
        let sealing = self.sealing().await?;
        let row = KeyRow {
            made: now,
            state: State::Enabled,
            manager,
            description: new.description,
            policy: new.policy,
            tags: new.tags,
            materials: vec![new_material(&sealing, &arn, 1, now, Origin::Creation)],
            rotation: None,
        };
        let directory = &self.inner.directory;
        let put = directory.meta().put(row_of_key(&arn), row.encode(), Expect::Absent);
        let revision = put.await?;
        directory.caught_up(revision).await;
        Ok(Arc::new(Key { arn, revision, row }))
    }

    /// Up to `limit` keys after `after`, in the order of their ids.
    pub fn list_keys(&self, scope: &Scope, after: Option<KeyId>, limit: usize) -> Vec<Arc<Key>> {
        let now = self.now();
        self.inner.directory.keys_after(scope, after, limit, |key| !key.row.is_gone(now))
    }

    /// Lets a key be used again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Managed`], [`Error::PendingDeletion`].
    pub async fn enable_key(&self, arn: &KeyArn) -> Result<()> {
        self.switch(arn, State::Enabled).await
    }

    /// Lets nobody use a key until it is enabled again. What it encrypted stays.
    ///
    /// # Errors
    /// As [`Kms::enable_key`].
    pub async fn disable_key(&self, arn: &KeyArn) -> Result<()> {
        self.switch(arn, State::Disabled).await
    }

    async fn switch(&self, arn: &KeyArn, state: State) -> Result<()> {
        let changed = self.change(arn, |row, _| {
            check_owned(arn, row)?;
            check_stays(arn, row)?;
            row.state = state;
            Ok(())
        });
        changed.await.map(drop)
    }

    /// # Errors
    /// As [`Kms::enable_key`].
    pub async fn update_description(&self, arn: &KeyArn, description: &str) -> Result<()> {
        let changed = self.change(arn, |row, _| {
            check_owned(arn, row)?;
            check_stays(arn, row)?;
            row.description = description.to_owned();
            Ok(())
        });
        changed.await.map(drop)
    }

    /// Stores a policy, which was looked at by the caller.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Managed`].
    pub async fn put_policy(&self, arn: &KeyArn, policy: &str) -> Result<()> {
        let changed = self.change(arn, |row, _| {
            check_owned(arn, row)?;
            row.policy = Some(policy.to_owned());
            Ok(())
        });
        changed.await.map(drop)
    }

    /// # Errors
    /// As [`Kms::enable_key`], and [`Error::Tag`].
    pub async fn tag(&self, arn: &KeyArn, tags: &Tags) -> Result<()> {
        let changed = self.change(arn, |row, _| {
            check_owned(arn, row)?;
            check_stays(arn, row)?;
            check_added(&row.tags, tags.iter().map(|(k, v)| (k.as_str(), v.as_str())))?;
            row.tags.extend(tags.clone());
            Ok(())
        });
        changed.await.map(drop)
    }

    /// # Errors
    /// As [`Kms::tag`].
    pub async fn untag(&self, arn: &KeyArn, keys: &[String]) -> Result<()> {
        let changed = self.change(arn, |row, _| {
            check_owned(arn, row)?;
            check_stays(arn, row)?;
            check_removed(keys.iter().map(String::as_str))?;
            row.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        });
        changed.await.map(drop)
    }
}

/// # Errors
/// [`Error::Managed`].
pub(crate) fn check_owned(arn: &KeyArn, row: &KeyRow) -> Result<()> {
    match row.manager {
        Manager::Customer => Ok(()),
        Manager::Service => Err(Error::Managed { arn: arn.to_string() }),
    }
}

//! The end of keys, and what is done at the side.
//!
//! A key waits for days before it goes, and everything encrypted under it with it. From the moment
//! on that its time has come it counts as gone; its row, with the material, is removed soon after.

use std::sync::Arc;
use std::time::Duration;

use millstream_base::Timestamp;
use millstream_meta::{Expect, MetaError};
use tokio::sync::watch;

use crate::directory::{AliasEntry, Key};
use crate::engine::{Kms, check_stays};
use crate::error::{Error, Result};
use crate::keys::check_owned;
use crate::names::{AliasName, KeyArn};
use crate::row::{State, days, row_of_key};

/// Aliases that are removed in one go.
const ALIASES_PAGE: usize = 100;

impl Kms {
    /// Lets a key go in `window_days` days; returns when. Until then nobody can use it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Managed`], [`Error::PendingDeletion`] if it waits already.
    pub async fn schedule_deletion(&self, arn: &KeyArn, window_days: u32) -> Result<Timestamp> {
        let changed = self.change(arn, |row, now| {
            check_owned(arn, row)?;
            check_stays(arn, row)?;
            row.state = State::PendingDeletion { at: now.plus(days(window_days)), window_days };
            Ok(())
        });
        match changed.await?.state() {
            State::PendingDeletion { at, .. } => Ok(at),
            state => unreachable!("the change has just made it wait, not {state:?}"),
        }
    }

    /// Keeps a key that waits for its deletion. It is disabled then.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotPendingDeletion`].
    pub async fn cancel_deletion(&self, arn: &KeyArn) -> Result<()> {
        let changed = self.change(arn, |row, _| {
            let State::PendingDeletion { .. } = row.state else {
                return Err(Error::NotPendingDeletion { arn: arn.to_string() });
            };
            row.state = State::Disabled;
            Ok(())
        });
        changed.await.map(drop)
    }

    /// Deletes and rotates what is due, until the engine ends.
    pub(crate) async fn upkeep(self, interval: Duration, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.delete_due().await {
                tracing::warn!(%error, "keys whose time has come can't be deleted; trying again");
            }
            if let Err(error) = self.rotate_due().await {
                tracing::warn!(%error, "keys can't be rotated; trying again");
            }
            tokio::select! {
                _ = self.inner.env.sleep(interval) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Removes the keys that are gone, and their aliases first: none shall point to nothing.
    pub(crate) async fn delete_due(&self) -> Result<()> {
        let now = self.now();
        for key in self.inner.directory.all_keys(|key| key.row.is_gone(now)) {
            self.delete_aliases(&key).await?;
            let directory = &self.inner.directory;
            match directory.meta().delete(row_of_key(&key.arn), Expect::At(key.revision)).await {
                Ok(revision) => {
                    directory.caught_up(revision).await;
                    tracing::info!(key = %key.arn, "deleted, as scheduled");
                }
                // Someone else deletes it too; or the copy is old, and the next time is soon.
                Err(MetaError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn delete_aliases(&self, key: &Key) -> Result<()> {
        let of_key = |alias: &AliasEntry, _: Option<&Arc<Key>>| alias.target == key.arn.id;
        let scope = &key.arn.scope;
        let aliases = self.inner.directory.aliases_after(scope, None, ALIASES_PAGE, of_key);
        for (name, entry) in aliases {
            let Some(name) = AliasName::new(scope.clone(), &name) else { continue };
            match self.remove_alias(&name, entry.revision).await {
                Ok(()) | Err(Error::Meta(MetaError::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

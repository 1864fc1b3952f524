//! Access keys of users, and of the root of an account where that was asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_base::AccountId;
use millstream_base::limits::IAM_ACCESS_KEYS_PER_USER_MAX;
use millstream_secrets::Secret;

use crate::engine::{Identities, LastUse};
use crate::entities::Subject;
use crate::error::{Error, Quota, Result, What};
use crate::held::{Held, seal_secret};
use crate::ids;
use crate::model::AccessKey;

/// A key that was just made: the only time that its secret is told.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub key: AccessKey,
    pub secret: Arc<Secret>,
}

/// The id and the secret of a key that nobody has yet, for who must write them down first.
pub fn fresh_key() -> (String, Secret) {
    (ids::access_key_id("AKIA"), ids::secret_access_key())
}

impl Identities {
    /// Whether anyone could sign at all.
    pub fn has_keys(&self) -> bool {
        self.inner.directory.has_keys()
    }

    /// # Errors
    /// There is no such user; it has as many keys as it may.
    pub async fn create_key(&self, subject: Subject<'_>) -> Result<NewKey> {
        let id = ids::access_key_id("AKIA");
        self.add_key(subject, &id, ids::secret_access_key(), false).await
    }

    /// Gives a user a key that was made elsewhere.
    ///
    /// # Errors
    /// As [`Identities::create_key`]; and someone else has this key.
    pub async fn import_key(
        &self,
        subject: Subject<'_>,
        id: &str,
        secret: Secret,
    ) -> Result<NewKey> {
        if self.inner.directory.key(id).is_some() {
            return Err(Error::Exists { what: What::AccessKey, name: id.to_owned() });
        }
        self.add_key(subject, id, secret, true).await
    }

    async fn add_key(
        &self,
        subject: Subject<'_>,
        id: &str,
        secret: Secret,
        declared: bool,
    ) -> Result<NewKey> {
        let secret = Arc::new(secret);
        let sealing = self.sealing().await?;
        let created = self.now();
        let key = self
            .edit(subject, |entity| {
                let (quota, max) = (Quota::AccessKeysPerUser, IAM_ACCESS_KEYS_PER_USER_MAX);
                if entity.keys.len() >= max {
                    return Err(Error::Limit { quota, max });
                }
                let sealed_secret = seal_secret(&sealing.keys, &entity.id, id, &secret);
                let id = id.to_owned();
                let key = AccessKey { id, sealed_secret, active: true, created, declared };
                entity.keys.push(key.clone());
                Ok(key)
            })
            .await?;
        Ok(NewKey { key, secret })
    }

    /// Makes a key usable or unusable.
    ///
    /// # Errors
    /// There is no such user or key.
    pub async fn set_key_active(&self, subject: Subject<'_>, id: &str, active: bool) -> Result<()> {
        self.edit(subject, |entity| {
            let key = entity.keys.iter_mut().find(|key| key.id == id);
            key.ok_or_else(|| missing(id))?.active = active;
            Ok(())
        })
        .await
    }

    /// # Errors
    /// There is no such user or key.
    pub async fn delete_key(&self, subject: Subject<'_>, id: &str) -> Result<()> {
        self.edit(subject, |entity| {
            let before = entity.keys.len();
            entity.keys.retain(|key| key.id != id);
            if entity.keys.len() < before { Ok(()) } else { Err(missing(id)) }
        })
        .await?;
        self.forget_use(id).await;
        Ok(())
    }

    /// The owner of a key, and when it was last used.
    ///
    /// # Errors
    /// There is no such key in the account.
    pub async fn key_last_used(
        &self,
        account: AccountId,
        id: &str,
    ) -> Result<(Arc<Held>, Option<LastUse>)> {
        let key = self.inner.directory.key(id).filter(|key| key.owner.account == account);
        let key = key.ok_or_else(|| missing(id))?;
        let used = key.used();
        let secs = used.secs.load(Ordering::Relaxed);
        let place = used.place.lock().clone();
        let last = match place {
            Some((service, region)) => Some(LastUse { secs, service, region }),
            None => self.read_use(id).await?,
        };
        Ok((key.owner.clone(), last))
    }

    /// The owner of a key of this account.
    pub fn key_owner(&self, account: AccountId, id: &str) -> Option<Arc<Held>> {
        let key = self.inner.directory.key(id)?;
        (key.owner.account == account).then(|| key.owner.clone())
    }

    /// The account of a key, whoever asks.
    pub fn key_account(&self, id: &str) -> Option<AccountId> {
        self.inner.directory.key(id).map(|key| key.owner.account)
    }
}

fn missing(id: &str) -> Error {
    Error::NotFound { what: What::AccessKey, name: id.to_owned() }
}

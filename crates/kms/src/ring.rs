//! The node's own keys as a key ring.

use std::sync::Arc;

use millstream_base::Scope;
use millstream_secrets::{
    BoxFuture, EncryptionContext, KEY_BYTES, KeyError, KeyRef, KeyRing, NewDataKey, Secret,
};

use crate::directory::Key;
use crate::engine::{Kms, check_usable};
use crate::error::{Error, Result, as_key_error};
use crate::names::{AliasName, KeyArn, KeyName};

/// Data Streams' own key, made at its first use.
const MANAGED: &str = "alias/aws/kinesis";

impl KeyRing for Kms {
    fn resolve<'a>(
        &'a self,
        scope: &'a Scope,
        name: &'a str,
    ) -> BoxFuture<'a, std::result::Result<KeyRef, KeyError>> {
        Box::pin(async move {
            let found = self.find_or_make(scope, name).await;
            let key = found.and_then(|key| check_usable(&key).map(|()| key));
            let key = key.map_err(|error| as_key_error(error, name))?;
            Ok(KeyRef::new(key.arn.to_string()))
        })
    }

    fn usable(&self, key: &KeyRef) -> std::result::Result<(), KeyError> {
        let usable = || {
            let arn = KeyArn::parse(key.as_str()).ok_or_else(|| missing(key))?;
            let known = self.inner.directory.key(&arn);
            let known = known.filter(|key| !key.row.is_gone(self.now()));
            check_usable(&*known.ok_or_else(|| missing(key))?)
        };
        usable().map_err(|error| as_key_error(error, key.as_str()))
    }

    fn generate_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, std::result::Result<NewDataKey, KeyError>> {
        Box::pin(async move {
            let generated = async {
                let found = self.find_ref(key).await?;
                self.new_data_key(&found, context, KEY_BYTES).await
            };
            let generated = generated.await.map_err(|error| as_key_error(error, key.as_str()));
            let (plaintext, encrypted) = generated?;
            Ok(NewDataKey { plaintext, wrapped: encrypted.ciphertext })
        })
    }

    fn unwrap_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        wrapped: &'a [u8],
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, std::result::Result<Secret, KeyError>> {
        Box::pin(async move {
            let opened = async {
                let arn = KeyArn::parse(key.as_str()).ok_or_else(|| missing(key))?;
                self.decrypt(&arn.scope, Some(&arn), context, wrapped).await
            };
            let opened = opened.await.map_err(|error| as_key_error(error, key.as_str()))?;
            Ok(opened.plaintext)
        })
    }
}

impl Kms {
    /// The key that `name` means, in whatever state; that of `alias/aws/kinesis` is made if it is
    /// not there.
    ///
    /// # Errors
    /// As [`Kms::find`].
    pub async fn find_or_make(&self, scope: &Scope, name: &str) -> Result<Arc<Key>> {
        match self.find(scope, name).await {
            Err(Error::AliasNotFound { .. }) if is_managed(scope, name) => {
                let alias = AliasName::new(scope.clone(), MANAGED).expect("the name of an alias");
                self.managed_key(&alias).await
            }
            found => found,
        }
    }

    async fn find_ref(&self, key: &KeyRef) -> Result<Arc<Key>> {
        let arn = KeyArn::parse(key.as_str()).ok_or_else(|| missing(key))?;
        self.find_key(&arn).await
    }
}

/// By its name or its ARN; another account's is not made for it by strangers.
fn is_managed(scope: &Scope, name: &str) -> bool {
    let Ok(KeyName::Alias(alias)) = KeyName::parse(scope, name) else { return false };
    alias.as_str() == MANAGED && alias.scope == *scope
}

fn missing(key: &KeyRef) -> Error {
    Error::NotFound { arn: key.as_str().to_owned() }
}

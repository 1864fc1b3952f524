//! Key rings: who makes data keys and opens them again under keys that stay with him.
//!
//! Records are sealed with data keys; a data key is stored beside them wrapped under a key that has
//! a name, a state and an owner. Whether that key is one of this node's own KMS, of AWS KMS or of a
//! Vault makes no difference here.
//!
//! Contract: what was wrapped opens with the same context only, for as long as its key is usable,
//! whatever rotations came between.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millstream_base::Scope;

use crate::root_source::BoxFuture;
use crate::secret::Secret;

/// Names what is encrypted: authenticated with it, stored nowhere, shown in audit logs.
pub type EncryptionContext = BTreeMap<String, String>;

/// A key as its ring names it: for the node's own KMS and for AWS KMS the key's ARN. Goes into rows
/// and files; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRef(Arc<str>);

impl KeyRef {
    /// What [`KeyRing::resolve`] gave, read from where it was stored.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        KeyRef(name.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A new data key: use the plaintext, store what is wrapped.
#[derive(Clone, Debug)]
pub struct NewDataKey {
    /// 32 bytes: [`crate::DataKey::from_slice`].
    pub plaintext: Secret,
    /// At most [`WRAPPED_BYTES_MAX`] bytes; tells its ring under which key and version it is.
    pub wrapped: Vec<u8>,
}

/// Longest wrapped data key, in bytes.
///
/// Source: API reference of KMS, CiphertextBlob: "Length Constraints: … Maximum length of 6144".
pub const WRAPPED_BYTES_MAX: usize = 6144;

/// Why a key can't be used; each is one of the KMS errors in the models of other services.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// KMSNotFoundException.
    #[error("key {key} does not exist")]
    NotFound { key: String },
    /// KMSDisabledException.
    #[error("key {key} is disabled")]
    Disabled { key: String },
    /// KMSInvalidStateException: waits for its deletion, most of all.
    #[error("key {key} is {state}")]
    InvalidState { key: String, state: String },
    /// KMSAccessDeniedException.
    #[error("no access to key {key}: {reason}")]
    AccessDenied { key: String, reason: String },
    /// KMSThrottlingException: try again.
    #[error("too many requests for key {key}")]
    Throttled { key: String },
    /// KMSOptInRequired.
    #[error("key {key}: the account may not use the key service: {reason}")]
    OptInRequired { key: String, reason: String },
    /// What was wrapped is not what was stored, or belongs to another context or ring.
    #[error("a wrapped data key can't be opened: {reason}")]
    InvalidCiphertext { reason: String },
    /// The ring can't be asked: try again.
    #[error("the key ring does not answer: {reason}")]
    Unavailable { reason: String },
}

/// Makes and opens data keys.
pub trait KeyRing: Send + Sync + 'static {
    /// The key that `name` means to a caller of `scope` now: a key's id, its ARN, `alias/NAME`, an
    /// alias's ARN, or `alias/aws/kinesis`, which is made at its first use. It is usable now.
    ///
    /// # Errors
    /// Why there is no such key, or it can't be used.
    fn resolve<'a>(
        &'a self,
        scope: &'a Scope,
        name: &'a str,
    ) -> BoxFuture<'a, Result<KeyRef, KeyError>>;

    /// Whether a key is usable as far as is known without asking anyone: for every put and get.
    /// Takes less than a microsecond. What happens to a key elsewhere is known some time later.
    ///
    /// # Errors
    /// Why it can't be used.
    fn usable(&self, key: &KeyRef) -> Result<(), KeyError>;

    /// A new data key of 32 bytes under `key`.
    ///
    /// # Errors
    /// Why `key` can't be used.
    fn generate_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<NewDataKey, KeyError>>;

    /// A data key that [`KeyRing::generate_data_key`] made under `key` in `context`.
    ///
    /// # Errors
    /// Why `key` can't be used, or [`KeyError::InvalidCiphertext`].
    fn unwrap_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        wrapped: &'a [u8],
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<Secret, KeyError>>;
}

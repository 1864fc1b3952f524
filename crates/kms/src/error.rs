//! What can go wrong.

use millstream_base::TagError;
use millstream_meta::{DocumentError, MetaError};
use millstream_secrets::{KeyError, RootUnavailable};

use crate::names::NameProblem;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What the caller gave names no key.
    #[error("{0:?} names no key")]
    Name(NameProblem),
    #[error("key {arn} does not exist")]
    NotFound { arn: String },
    #[error("alias {arn} does not exist")]
    AliasNotFound { arn: String },
    #[error("alias {arn} exists already")]
    AliasExists { arn: String },
    #[error("key {arn} has {max} aliases already")]
    TooManyAliases { arn: String, max: usize },
    #[error("there are {max} keys already")]
    TooManyKeys { max: usize },
    #[error("key {arn} is disabled")]
    Disabled { arn: String },
    #[error("key {arn} waits for its deletion")]
    PendingDeletion { arn: String },
    #[error("key {arn} does not wait for its deletion")]
    NotPendingDeletion { arn: String },
    /// A key that a service made for itself is not the account's to change.
    #[error("key {arn} belongs to a service")]
    Managed { arn: String },
    #[error("key {arn} was rotated on demand {max} times already")]
    TooManyRotations { arn: String, max: usize },
    #[error(transparent)]
    Tag(#[from] TagError),
    /// Not made here, damaged, or made in another encryption context.
    #[error("the ciphertext can't be opened")]
    InvalidCiphertext,
    /// The ciphertext was made under another key than the caller says.
    #[error("the ciphertext is of another key than {arn}")]
    IncorrectKey { arn: String },
    #[error(transparent)]
    Root(#[from] RootUnavailable),
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// What was read is not what was written.
    #[error("damaged key: {reason}")]
    Corrupt { reason: String },
}

impl From<DocumentError> for Error {
    fn from(error: DocumentError) -> Self {
        Error::Meta(error.into())
    }
}

/// As who seals records sees it. `key` is the key as it was named.
pub(crate) fn as_key_error(error: Error, key: &str) -> KeyError {
    let key = key.to_owned();
    match error {
        Error::Name(_) | Error::NotFound { .. } | Error::AliasNotFound { .. } => {
            KeyError::NotFound { key }
        }
        Error::Disabled { .. } => KeyError::Disabled { key },
        Error::PendingDeletion { .. } => {
            KeyError::InvalidState { key, state: "pending deletion".to_owned() }
        }
        Error::InvalidCiphertext | Error::IncorrectKey { .. } => {
            KeyError::InvalidCiphertext { reason: error.to_string() }
        }
        error => KeyError::Unavailable { reason: error.to_string() },
    }
}

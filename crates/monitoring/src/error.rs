//! What can go wrong.

use millstream_log::{AppendError, LogError, ReadError};
use millstream_meta::{DocumentError, MetaError};

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A bound of ours, not of the caller's request: more names than the node may keep.
    #[error("{max} metrics are kept already, further ones are refused")]
    TooManySeries { max: usize },
    /// Points arrive faster than they can be written; a retry succeeds later.
    #[error("{max} points wait to be written")]
    Overloaded { max: usize },
    #[error(transparent)]
    Meta(#[from] MetaError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read is not what was written.
    #[error("damaged metrics: {reason}")]
    Corrupt { reason: String },
}

impl From<DocumentError> for Error {
    fn from(error: DocumentError) -> Self {
        Error::Meta(error.into())
    }
}

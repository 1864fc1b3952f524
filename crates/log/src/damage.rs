//! What is wrong with a file, and where.

use std::fmt;
use std::io;

use crate::store::ReadError;

/// Bytes on disk that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// Path below the data directory.
    pub file: String,
    /// First byte that can't be trusted.
    pub offset: u64,
    pub what: String,
}

impl Damage {
    pub(crate) fn new(file: impl fmt::Display, offset: u64, what: impl fmt::Display) -> Self {
        Damage { file: file.to_string(), offset, what: what.to_string() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.file, self.offset, self.what)
    }
}

/// Why bytes are not what a reader expected at a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    /// Torn, overwritten, rotten, or never written.
    #[error("{0}")]
    Broken(String),
    /// Intact, but of a kind that a newer program wrote: never to be cut off or repaired.
    #[error("{0}")]
    Unknown(String),
}

impl Wrong {
    pub(crate) fn broken<T>(what: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong::Broken(what.into()))
    }
    pub(crate) fn unknown<T>(what: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong::Unknown(what.into()))
    }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("damaged data in {0}")]
    Damaged(Damage),
    #[error("{file}: {error}")]
    Io { file: String, error: io::Error },
}

impl FileError {
    pub(crate) fn io(file: impl fmt::Display, error: io::Error) -> Self {
        FileError::Io { file: file.to_string(), error }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, FileError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The disk (or the quota) has no room: the one write error that passes by itself.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<Damage> for FileError {
    fn from(damage: Damage) -> Self {
        FileError::Damaged(damage)
    }
}

impl From<FileError> for ReadError {
    fn from(e: FileError) -> Self {
        match e {
            FileError::Damaged(d) => {
                ReadError::Corrupt { file: d.file, offset: d.offset, what: d.what }
            }
            e @ FileError::Io { .. } => ReadError::Io { reason: e.to_string() },
        }
    }
}

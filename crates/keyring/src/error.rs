//! Why a holder of the root key gives nothing out.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    #[error("{}: {reason}", path.display())]
    Io { path: PathBuf, reason: String },
    #[error(
        "{} has mode {mode:o}: others may read or change it; `chmod 600` it, and if they could, \
         make a new one and rotate", path.display()
    )]
    Unsafe { path: PathBuf, mode: u32 },
    /// Never shows what is there instead.
    #[error("{place} holds no root key: 32 bytes in base64, or 64 hexadecimal digits")]
    NoKey { place: String },
    #[error("there is no root key in {place}")]
    Missing { place: String },
    #[error("{name} is not set in the environment")]
    NotSet { name: String },
    #[error("neither XDG_CONFIG_HOME nor HOME is set: set [keys] root = \"file:PATH\"")]
    NoConfigDir,
    #[error("`{line}`: {reason}")]
    Command { line: String, reason: String },
    #[error("{service}: {reason}")]
    Service { service: &'static str, reason: String },
    /// Wrapped by someone else.
    #[error("the root key is wrapped by {wrapped_by}, and this is {this}")]
    OtherHolder { wrapped_by: String, this: String },
}

impl HolderError {
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        HolderError::Io { path: path.to_owned(), reason: error.to_string() }
    }
}

//! Who keeps a data directory's root key: it is wrapped by him, and he alone unwraps it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use millstream_secrets::{EncryptionContext, Fingerprint, KEY_BYTES, RootKey, Secret};

use crate::aws_kms::{AwsKms, AwsKmsOptions};
use crate::error::HolderError;
use crate::vault::{Vault, VaultOptions};
use crate::{command, file};

/// A holder as settings name it: `file:PATH`, `env:NAME`, `command:LINE`, `aws-kms:KEY`,
/// `vault:KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderSpec {
    /// A file of the user's configuration; made when it is first needed.
    DefaultFile,
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// A program that prints the key; run in a shell.
    Command(String),
    /// A key of AWS KMS (or of another Millstream), in any form that KMS takes.
    AwsKms(String),
    /// A key of Vault's transit engine.
    Vault(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not file:PATH, env:NAME, command:LINE, aws-kms:KEY or vault:KEY")]
pub struct SpecError {
    text: String,
}

impl FromStr for HolderSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        if text.is_empty() {
            return Ok(HolderSpec::DefaultFile);
        }
        let wrong = || SpecError { text: text.to_owned() };
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let rest = Some(rest.to_owned()).filter(|rest| !rest.is_empty()).ok_or_else(wrong)?;
        match kind {
            "file" => Ok(HolderSpec::File(rest.into())),
            "env" => Ok(HolderSpec::Env(rest)),
            "command" => Ok(HolderSpec::Command(rest)),
            "aws-kms" => Ok(HolderSpec::AwsKms(rest)),
            "vault" => Ok(HolderSpec::Vault(rest)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for HolderSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HolderSpec::DefaultFile => match file::default_path() {
                Some(path) => write!(f, "file:{}", path.display()),
                None => f.write_str("file: (no directory for configuration)"),
            },
            HolderSpec::File(path) => write!(f, "file:{}", path.display()),
            HolderSpec::Env(name) => write!(f, "env:{name}"),
            HolderSpec::Command(line) => write!(f, "command:{line}"),
            HolderSpec::AwsKms(key) => write!(f, "aws-kms:{key}"),
            HolderSpec::Vault(key) => write!(f, "vault:{key}"),
        }
    }
}

/// How the holders that are services are reached.
#[derive(Clone, Debug, Default)]
pub struct HolderOptions {
    pub aws_kms: AwsKmsOptions,
    pub vault: VaultOptions,
}

/// A holder that can be asked.
pub enum Holder {
    /// A key that the holder gives out.
    Local {
        key: RootKey,
        shown: String,
        made: bool,
    },
    AwsKms {
        ring: AwsKms,
        key: String,
    },
    Vault {
        ring: Vault,
        key: String,
    },
}

/// Whether a key file may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    IfMissing,
    Never,
}

/// What a wrapped root key is authenticated with.
const PLACE: &[u8] = b"root key of a data directory";

fn context() -> EncryptionContext {
    [("millstream".to_owned(), "root key".to_owned())].into()
}

impl Holder {
    /// Gets hold of the key, or a connection to who has it.
    ///
    /// # Errors
    /// [`HolderError`].
    pub async fn open(
        spec: &HolderSpec,
        options: &HolderOptions,
        make: Make,
    ) -> Result<Holder, HolderError> {
        let local = |key, made| Holder::Local { key, shown: spec.to_string(), made };
        match spec {
            HolderSpec::DefaultFile => {
                let path = file::default_path().ok_or(HolderError::NoConfigDir)?;
                let (key, made) = from_file(path, make).await?;
                Ok(local(key, made))
            }
            HolderSpec::File(path) => {
                let (key, made) = from_file(path.clone(), make).await?;
                Ok(local(key, made))
            }
            HolderSpec::Env(name) => {
                let text =
                    std::env::var(name).map_err(|_| HolderError::NotSet { name: name.clone() })?;
                let text = Secret::from(text);
                let no_key = || HolderError::NoKey { place: format!("the variable {name}") };
                crate::text::parse(text.expose()).map(|k| local(k, false)).ok_or_else(no_key)
            }
            HolderSpec::Command(line) => Ok(local(command::read(line).await?, false)),
            HolderSpec::AwsKms(key) => {
                let ring = AwsKms::connect(options.aws_kms.clone()).await?;
                Ok(Holder::AwsKms { ring, key: key.clone() })
            }
            HolderSpec::Vault(key) => {
                let ring = Vault::connect(options.vault.clone()).await?;
                Ok(Holder::Vault { ring, key: key.clone() })
            }
        }
    }

    /// The file of the key, if it was made just now.
    pub fn made(&self) -> Option<&str> {
        match self {
            Holder::Local { shown, made: true, .. } => Some(shown),
            _ => None,
        }
    }

    /// What names the holder's key without telling anything of it.
    pub fn id(&self) -> String {
        match self {
            Holder::Local { key, .. } => local_id(key.fingerprint()),
            Holder::AwsKms { .. } => "aws-kms".to_owned(),
            Holder::Vault { key, .. } => format!("vault:{key}"),
        }
    }

    /// # Errors
    /// The service that holds the key does not wrap.
    pub(crate) async fn wrap(&self, root: &RootKey) -> Result<Vec<u8>, HolderError> {
        match self {
            Holder::Local { key, .. } => Ok(key.derive(PURPOSE).seal(PLACE, root.expose())),
            Holder::AwsKms { ring, key } => ring.encrypt(key, root.expose(), &context()).await,
            Holder::Vault { ring, key } => ring.encrypt(key, root.expose(), &context()).await,
        }
    }

    /// # Errors
    /// [`HolderError::OtherHolder`], or the service does not unwrap.
    pub(crate) async fn unwrap(
        &self,
        wrapped: &[u8],
        wrapped_by: &str,
    ) -> Result<RootKey, HolderError> {
        let other =
            || HolderError::OtherHolder { wrapped_by: wrapped_by.to_owned(), this: self.id() };
        let kind = |id: &str| id.split(':').next().map(str::to_owned);
        if kind(wrapped_by) != kind(&self.id()) {
            return Err(other());
        }
        let plain = match self {
            Holder::Local { key, .. } => {
                key.derive(PURPOSE).open(PLACE, wrapped).map_err(|_| other())?
            }
            Holder::AwsKms { ring, .. } => ring.decrypt(wrapped, &context()).await?,
            Holder::Vault { ring, key } => ring.decrypt(key, wrapped, &context()).await?,
        };
        let bytes: &[u8; KEY_BYTES] = plain.expose().try_into().map_err(|_| other())?;
        Ok(RootKey::from_bytes(*bytes))
    }
}

const PURPOSE: &str = "wrapping of a root key";

fn local_id(fingerprint: Fingerprint) -> String {
    format!("key:{fingerprint}")
}

async fn from_file(path: PathBuf, make: Make) -> Result<(RootKey, bool), HolderError> {
    // Small, and read once at a start: not worth a thread.
    if let Some(key) = file::read(&path)? {
        return Ok((key, false));
    }
    match make {
        Make::IfMissing => Ok((file::make(&path)?, true)),
        Make::Never => Err(HolderError::Missing { place: format!("file {}", path.display()) }),
    }
}

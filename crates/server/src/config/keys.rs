//! The section about keys: who holds the root key, and which ring wraps the data keys of streams.

use millstream_keyring::{AwsKmsOptions, HolderOptions, HolderSpec, Trust, VaultOptions};
use serde::Deserialize;

use super::section::{TomlValue, quoted, section};
use super::units::Span;

/// Whose keys StartStreamEncryption names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ring {
    /// This node's own KMS.
    #[default]
    Embedded,
    AwsKms,
    Vault,
}

impl TomlValue for Ring {
    fn toml(&self) -> String {
        quoted(match self {
            Ring::Embedded => "embedded",
            Ring::AwsKms => "aws-kms",
            Ring::Vault => "vault",
        })
    }
}

section! {
    /// Keys. Whatever is secret on disk is sealed under a root key that someone outside the data
    /// directory holds; without it the directory can't be read.
    pub struct Keys = "keys" {
        /// Who holds it: "file:PATH" (mode 0600), "env:NAME", "command:LINE" (its output),
        /// "aws-kms:KEY", "vault:KEY". "": a file of the user's configuration
        /// (~/.config/millstream/root.key), made when something is first sealed.
        pub root: String = String::new(),
        /// Holders before that one. What one of them sealed is taken over at the start.
        pub old_roots: Vec<String> = Vec::new(),
        /// Whose keys streams are encrypted under: "embedded": this node's KMS, "aws-kms", "vault".
        pub ring: Ring = Ring::Embedded,
        /// Where AWS KMS is, if not at AWS: "http://127.0.0.1:4567" is another node.
        pub aws_endpoint: String = String::new(),
        /// The region of AWS KMS; "": of the environment or the profile.
        pub aws_region: String = String::new(),
        /// How old the known state of a key elsewhere may become.
        pub refresh_interval: Span = Span(AwsKmsOptions::default().refresh_interval),
        /// Where Vault is.
        pub vault_address: String = VaultOptions::default().address,
        /// Where its transit engine is mounted.
        pub vault_mount: String = VaultOptions::default().mount,
        /// Its token: "env:NAME", or "file:PATH", read at each call.
        pub vault_token: String = VaultOptions::default().token,
        /// Certificates that AWS KMS and Vault are believed by: a PEM file. "": the system's.
        pub ca_bundle: String = String::new(),
    }
}

impl Keys {
    /// # Errors
    /// What names no holder.
    pub(super) fn check(&self) -> Result<(), String> {
        self.holders().map(drop)
    }

    /// Who holds the root key, and who did.
    ///
    /// # Errors
    /// What names no holder.
    pub fn holders(&self) -> Result<(HolderSpec, Vec<HolderSpec>), String> {
        let read = |key: &str, text: &str| -> Result<HolderSpec, String> {
            text.parse().map_err(|error| format!("{key}: {error}"))
        };
        let old = self.old_roots.iter().map(|text| read("keys.old_roots", text));
        Ok((read("keys.root", &self.root)?, old.collect::<Result<_, _>>()?))
    }

    /// How holders that are services are reached.
    pub fn holder_options(&self) -> HolderOptions {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let trust = given(&self.ca_bundle).map_or(Trust::System, |path| Trust::Bundle(path.into()));
        HolderOptions {
            aws_kms: AwsKmsOptions {
                endpoint: given(&self.aws_endpoint),
                region: given(&self.aws_region),
                refresh_interval: self.refresh_interval.0,
                trust: trust.clone(),
            },
            vault: VaultOptions {
                address: self.vault_address.clone(),
                mount: self.vault_mount.clone(),
                token: self.vault_token.clone(),
                trust,
            },
        }
    }
}

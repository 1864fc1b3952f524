//! The section about identities.

use std::path::PathBuf;

use super::section::section;
use super::units::Span;

section! {
    /// Identities, for auth.mode = "iam". They are managed with IAM's API, `millstream iam`, and the
    /// file.
    pub struct Identity = "identity" {
        /// A TOML file that declares identities; what it says is made true at the start, on SIGHUP and
        /// whenever the file changes. Empty: none.
        pub file: PathBuf = PathBuf::new(),
        /// How often the file is looked at.
        pub file_interval: Span = Span::from_secs(10),
        /// Where the key of the first administrator is written (mode 0600) when a node in mode "iam"
        /// starts without any access key. Empty: beside the root key, in the user's configuration
        /// directory.
        pub admin_key_file: PathBuf = PathBuf::new(),
        /// How often last uses of access keys are written down.
        pub last_used_interval: Span = Span::from_secs(60),
    }
    tables {
        /// Whose tokens AssumeRoleWithWebIdentity takes.
        pub oidc: Oidc,
    }
}

section! {
    /// An OpenID Connect issuer, whose tokens AssumeRoleWithWebIdentity takes.
    pub struct Oidc = "identity.oidc" {
        /// As in the tokens' `iss`: "https://issuer.example.com". Empty: none.
        pub issuer: String = String::new(),
        /// Audiences that every account takes; an account's OpenID Connect provider adds its own.
        pub audiences: Vec<String> = Vec::new(),
        /// The issuer's keys (JWKS): a file, or a URL (https, or http on this machine).
        pub jwks: String = String::new(),
        /// How often the keys are fetched.
        pub jwks_interval: Span = Span::from_secs(3600),
    }
}

impl Identity {
    /// What types can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        let oidc = &self.oidc;
        if oidc.issuer.is_empty() != oidc.jwks.is_empty() {
            return Err("identity.oidc needs both issuer and jwks, or neither".to_owned());
        }
        Ok(())
    }
}

//! What is known of a session: whose it is, until when, and what narrows it.

use std::collections::BTreeSet;

use millstream_base::{AccountId, Tags, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::Kind;

/// What a session token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub account: AccountId12,
    pub of: Source,
    pub issued: Timestamp,
    pub expires: Timestamp,
    /// Inline session policies.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Managed session policies.
    #[serde(default)]
    pub policy_arns: Vec<String>,
    #[serde(default)]
    pub tags: Tags,
    /// Keys of the tags that follow into the sessions of roles assumed from this one.
    #[serde(default)]
    pub transitive: BTreeSet<String>,
    #[serde(default)]
    pub source_identity: Option<String>,
    /// Whose token was shown for it.
    #[serde(default)]
    pub web: Option<WebIdentity>,
}

/// Whose rights a session has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub kind: Kind,
    pub name: String,
    /// Its unique id: another role of the same name is not meant.
    pub id: String,
    /// Of a role's session.
    #[serde(default)]
    pub session_name: String,
}

/// Whom an OpenID Connect token was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebIdentity {
    /// The issuer, without `https://`.
    pub provider: String,
    pub subject: String,
    pub audience: String,
}

/// An account as it stands in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountId12(pub AccountId);

impl Serialize for AccountId12 {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for AccountId12 {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        AccountId::new(&text).map(AccountId12).map_err(serde::de::Error::custom)
    }
}

//! What identities are: the documents that the metadata store keeps, one row each.
//!
//! Memberships and attachments name their target by its unique id, which is never given twice: one
//! that dangles (its target was deleted at the same moment) means nothing, whatever is made later
//! under the old name.

use std::collections::{BTreeMap, BTreeSet};

use millstream_base::{AccountId, Tags, Timestamp};
use millstream_meta::Document;
use serde::{Deserialize, Serialize};

/// What can carry policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    User,
    Group,
    Role,
    /// The account itself; there is at most one, and only if its keys were asked for.
    Root,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::User, Kind::Group, Kind::Role, Kind::Root];

    /// As it stands in ARNs and in AWS's sentences.
    pub fn name(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Group => "group",
            Kind::Role => "role",
            Kind::Root => "root",
        }
    }

    /// What its unique ids start with. Source: IAM guide, "Unique identifiers".
    pub(crate) fn id_prefix(self) -> &'static str {
        match self {
            Kind::User => "AIDA",
            Kind::Group => "AGPA",
            Kind::Role => "AROA",
            Kind::Root => "",
        }
    }
}

/// A user, group or role, or the root of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    pub kind: Kind,
    /// Unique for ever.
    pub id: String,
    pub name: String,
    /// `/`, or `/division/team/`.
    pub path: String,
    pub created: Timestamp,
    #[serde(default)]
    pub tags: Tags,
    /// Documents by name.
    #[serde(default)]
    pub inline: BTreeMap<String, String>,
    #[serde(default)]
    pub attached: Vec<Attachment>,
    /// Of users and roles.
    #[serde(default)]
    pub boundary: Option<Attachment>,
    /// Of users and the root.
    #[serde(default)]
    pub keys: Vec<AccessKey>,
    /// The ids of a user's groups.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Of roles.
    #[serde(default)]
    pub role: Option<RoleFacts>,
    /// Made by the declarative file, which alone removes it.
    #[serde(default)]
    pub declared: bool,
}

/// What only roles have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleFacts {
    /// Who may assume it: a document.
    pub trust: String,
    pub description: Option<String>,
    pub session_secs_max: u32,
}

/// A managed policy that an entity carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The policy's unique id.
    pub id: String,
    pub arn: String,
}

/// An access key. Its secret is sealed for this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    pub id: String,
    /// Base64.
    pub sealed_secret: String,
    pub active: bool,
    pub created: Timestamp,
    /// Of the declarative file: which text was sealed is not compared, but where it came from.
    #[serde(default)]
    pub declared: bool,
}

impl Document for Entity {
    const KIND: &'static str = "identity";
    const VERSION: u32 = 1;
}

/// A managed policy with its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    pub id: String,
    pub name: String,
    pub path: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub tags: Tags,
    /// Oldest first; at least one.
    pub versions: Vec<PolicyVersion>,
    /// The number of the version that counts.
    pub default: u32,
    /// The number of the next version: numbers are not given twice.
    pub next: u32,
    #[serde(default)]
    pub declared: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    pub number: u32,
    pub created: Timestamp,
    pub document: String,
}

impl ManagedPolicy {
    pub fn version(&self, number: u32) -> Option<&PolicyVersion> {
        self.versions.iter().find(|v| v.number == number)
    }

    /// The document that counts.
    pub fn document(&self) -> &str {
        self.version(self.default).map_or("", |v| &v.document)
    }
}

impl Document for ManagedPolicy {
    const KIND: &'static str = "managed policy";
    const VERSION: u32 = 1;
}

/// An OpenID Connect issuer whose tokens can be turned into sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcProvider {
    /// Without `https://`.
    pub url: String,
    pub client_ids: BTreeSet<String>,
    pub thumbprints: Vec<String>,
    pub created: Timestamp,
    #[serde(default)]
    pub tags: Tags,
    #[serde(default)]
    pub declared: bool,
}

impl Document for OidcProvider {
    const KIND: &'static str = "OpenID Connect provider";
    const VERSION: u32 = 1;
}

/// What an account has beside its identities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFacts {
    #[serde(default)]
    pub alias: Option<String>,
    #[serde(default)]
    pub declared: bool,
}

impl Document for AccountFacts {
    const KIND: &'static str = "account";
    const VERSION: u32 = 1;
}

/// `arn:aws:iam::ACCOUNT:user/division/ada`.
pub fn entity_arn(account: AccountId, kind: Kind, path: &str, name: &str) -> String {
    match kind {
        Kind::Root => format!("arn:aws:iam::{account}:root"),
        _ => format!("arn:aws:iam::{account}:{}{path}{name}", kind.name()),
    }
}

/// `arn:aws:iam::ACCOUNT:policy/division/read-orders`.
pub fn policy_arn(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:policy{path}{name}")
}

/// `arn:aws:iam::ACCOUNT:oidc-provider/issuer.example.com`.
pub fn oidc_arn(account: AccountId, url: &str) -> String {
    format!("arn:aws:iam::{account}:oidc-provider/{url}")
}

impl Entity {
    pub fn arn(&self, account: AccountId) -> String {
        entity_arn(account, self.kind, &self.path, &self.name)
    }
}

impl ManagedPolicy {
    pub fn arn(&self, account: AccountId) -> String {
        policy_arn(account, &self.path, &self.name)
    }
}

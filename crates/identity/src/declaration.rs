//! Identities as a file declares them: read and checked, with nothing done yet.
//!
//! Secrets and documents may stand elsewhere: `env:NAME` and `file:PATH` are references, which who
//! applies the declaration looks up. Secrets must: a declaration holds no secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use millstream_base::{AccountId, Tags};
use serde::Deserialize;

/// Most bytes of a declaration: ten thousand identities with policies fit in.
pub const DECLARATION_BYTES_MAX: usize = 64 << 20;

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declaration {
    pub account: Vec<DeclaredAccount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredAccount {
    /// Twelve digits.
    pub id: String,
    #[serde(default)]
    pub alias: Option<String>,
    /// A key of the account's root, which has none unless it is asked for here.
    #[serde(default)]
    pub root_key: Option<DeclaredKey>,
    #[serde(default)]
    pub policy: Vec<DeclaredPolicy>,
    #[serde(default)]
    pub group: Vec<DeclaredEntity>,
    #[serde(default)]
    pub role: Vec<DeclaredEntity>,
    #[serde(default)]
    pub user: Vec<DeclaredEntity>,
    #[serde(default)]
    pub oidc: Vec<DeclaredProvider>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredPolicy {
    pub name: String,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    /// JSON, or a reference.
    pub document: String,
    #[serde(default)]
    pub tags: Tags,
}

/// A user, group or role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredEntity {
    pub name: String,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub tags: Tags,
    /// Managed policies: ARNs, names of the account's own, or of those that every account has.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Inline policies by name: JSON, or references.
    #[serde(default)]
    pub inline: BTreeMap<String, String>,
    /// Of users and roles: as in `policies`.
    #[serde(default)]
    pub boundary: Option<String>,
    /// Of users: names of groups.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Of users.
    #[serde(default)]
    pub key: Vec<DeclaredKey>,
    /// Of roles, which must have it: JSON, or a reference.
    #[serde(default)]
    pub trust: Option<String>,
    /// Of roles.
    #[serde(default)]
    pub description: Option<String>,
    /// Of roles: 3600 to 43200.
    #[serde(default)]
    pub session_seconds_max: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredKey {
    pub id: String,
    /// A reference.
    pub secret: String,
    #[serde(default = "yes")]
    pub active: bool,
}

/// Should someone have written the secret itself where a reference belongs, it is not shown.
impl fmt::Debug for DeclaredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeclaredKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredProvider {
    pub url: String,
    #[serde(default)]
    pub client_ids: BTreeSet<String>,
    #[serde(default)]
    pub tags: Tags,
}

fn yes() -> bool {
    true
}

/// Why a text declares nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    #[error("{0}")]
    Syntax(String),
    #[error("it has {bytes} bytes, more than {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("account {account}: {reason}")]
    Account { account: String, reason: String },
}

impl Declaration {
    /// Reads TOML.
    ///
    /// # Errors
    /// Not TOML, an unknown key, or something that can't be: an account that is none, a name twice,
    /// a role without trust, a secret that is no reference.
    pub fn parse(text: &str) -> Result<Declaration, DeclarationError> {
        let (bytes, max) = (text.len(), DECLARATION_BYTES_MAX);
        if bytes > max {
            return Err(DeclarationError::TooLarge { bytes, max });
        }
        // The whole message shows lines of the text, in which a secret may stand.
        let declaration: Declaration = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| {
                let start = span.start.min(text.len());
                text.as_bytes()[..start].iter().filter(|b| **b == b'\n').count() + 1
            });
            DeclarationError::Syntax(format!("line {line}: {}", error.message()))
        })?;
        for account in &declaration.account {
            account.check().map_err(|reason| {
                let account = account.id.chars().take(64).collect();
                DeclarationError::Account { account, reason }
            })?;
        }
        let mut seen = BTreeSet::new();
        match declaration.account.iter().find(|account| !seen.insert(&account.id)) {
            Some(twice) => Err(DeclarationError::Account {
                account: twice.id.clone(),
                reason: "it is declared twice".to_owned(),
            }),
            None => Ok(declaration),
        }
    }

    /// All references in it, each once.
    pub fn references(&self) -> BTreeSet<&str> {
        let mut all = BTreeSet::new();
        for account in &self.account {
            all.extend(account.root_key.iter().map(|key| key.secret.as_str()));
            all.extend(account.policy.iter().map(|policy| policy.document.as_str()));
            for entity in account.entities() {
                all.extend(entity.key.iter().map(|key| key.secret.as_str()));
                all.extend(entity.inline.values().map(String::as_str));
                all.extend(entity.trust.as_deref());
            }
        }
        all.retain(|text| is_reference(text));
        all
    }
}

/// `env:NAME` or `file:PATH`.
pub(crate) fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

impl DeclaredAccount {
    pub(crate) fn account(&self) -> Option<AccountId> {
        AccountId::new(&self.id).ok()
    }

    fn entities(&self) -> impl Iterator<Item = &DeclaredEntity> {
        self.group.iter().chain(&self.role).chain(&self.user)
    }

    fn check(&self) -> Result<(), String> {
        self.account().ok_or("an account has 12 digits")?;
        let unique = |what: &str, names: Vec<&str>| {
            let mut seen = BTreeSet::new();
            for name in names {
                let shown: String = name.chars().take(128).collect();
                if !is_name(name) {
                    return Err(format!("{what} {shown:?}: no name"));
                }
                if !seen.insert(name.to_ascii_lowercase()) {
                    return Err(format!("{what} {shown} is declared twice"));
                }
            }
            Ok(())
        };
        let names = |entities: &'_ [DeclaredEntity]| -> Vec<String> {
            entities.iter().map(|entity| entity.name.clone()).collect()
        };
        for (what, entities) in [("group", &self.group), ("role", &self.role), ("user", &self.user)]
        {
            let names = names(entities);
            unique(what, names.iter().map(String::as_str).collect())?;
        }
        unique("policy", self.policy.iter().map(|policy| policy.name.as_str()).collect())?;
        for role in &self.role {
            if role.trust.is_none() {
                return Err(format!("role {} has no trust", role.name));
            }
            let secs = role.session_seconds_max.unwrap_or(3600);
            if !(3600..=43_200).contains(&secs) {
                return Err(format!("role {}: session_seconds_max is 3600 to 43200", role.name));
            }
        }
        for path in self.entities().filter_map(|entity| entity.path.as_deref()) {
            if !path.starts_with('/') || !path.ends_with('/') {
                return Err("a path begins and ends with /".to_owned());
            }
        }
        let keys = self.user.iter().flat_map(|user| &user.key).chain(&self.root_key);
        for key in keys {
            if !is_reference(&key.secret) {
                return Err(format!(
                    "key {}: its secret must be a reference, env:NAME or file:PATH",
                    key.id.chars().take(128).collect::<String>()
                ));
            }
            let chars = key.id.len();
            if !(16..=128).contains(&chars) || !key.id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err("the id of a key has 16 to 128 letters and digits".to_owned());
            }
        }
        Ok(())
    }
}

/// Source: IAM model, the pattern of names.
fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        [[account]]
        id = "000000000007"
        alias = "seven"
        [[account.policy]]
        name = "read"
        document = "file:read.json"
        [[account.role]]
        name = "reader"
        trust = '{"Statement":[]}'
        [[account.user]]
        name = "ada"
        groups = ["staff"]
        policies = ["AdministratorAccess"]
        key = [{ id = "AKIA0000000000000001", secret = "env:ADA" }]
        tags = { team = "blue" }
        [[account.oidc]]
        url = "https://issuer.test"
    "#;

    #[test]
    fn a_file_is_read() {
        let read = Declaration::parse(WHOLE).unwrap();
        assert_eq!(read.account[0].user[0].tags["team"], "blue");
        assert_eq!(read.references(), BTreeSet::from(["env:ADA", "file:read.json"]));
        assert_eq!(Declaration::parse("").unwrap(), Declaration::default());
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for (from, to, told) in [
            ("000000000007", "7", "12 digits"),
            ("env:ADA", "wJalrXUtnFEMI", "must be a reference"),
            ("name = \"reader\"", "name = \"re/ader\"", "no name"),
            ("trust = '{\"Statement\":[]}'", "", "has no trust"),
            ("groups", "grupos", "unknown field"),
        ] {
            let error = Declaration::parse(&WHOLE.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
            assert!(!error.contains("wJalrXUtnFEMI"), "{error}");
        }
        let twice = format!("{WHOLE}\n[[account.user]]\nname = \"Ada\"\n");
        assert!(Declaration::parse(&twice).unwrap_err().to_string().contains("declared twice"));
    }

    #[test]
    fn fuzz_declarations() {
        bolero::check!().with_type::<(Vec<u8>, u16)>().for_each(|(bytes, at)| {
            let text = String::from_utf8_lossy(bytes);
            let _ = Declaration::parse(&text).map(|read| read.references().len());
            let mut at = usize::from(*at) % WHOLE.len();
            while !WHOLE.is_char_boundary(at) {
                at -= 1;
            }
            let (before, after) = WHOLE.split_at(at);
            let _ = Declaration::parse(&format!("{before}{text}{after}"));
        });
    }
}

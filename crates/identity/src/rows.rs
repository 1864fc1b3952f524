//! The keys of identities' rows.
//!
//! `identity/ACCOUNT/user/ada`: names are unique without regard to case (IAM guide, "IAM
//! identifiers"), so keys hold them in lower case.

use millstream_base::AccountId;
use millstream_meta::Key;

use crate::model::Kind;

/// What the keys of all rows of identities start with.
pub(crate) const PREFIX: &str = "identity/";

/// What a row's key names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowName {
    pub(crate) account: AccountId,
    pub(crate) table: Table,
    /// In lower case.
    pub(crate) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    Entity(Kind),
    Policy,
    Oidc,
    Account,
}

impl Table {
    const ALL: [Table; 7] = [
        Table::Entity(Kind::User),
        Table::Entity(Kind::Group),
        Table::Entity(Kind::Role),
        Table::Entity(Kind::Root),
        Table::Policy,
        Table::Oidc,
        Table::Account,
    ];

    fn name(self) -> &'static str {
        match self {
            Table::Entity(kind) => kind.name(),
            Table::Policy => "policy",
            Table::Oidc => "oidc",
            Table::Account => "account",
        }
    }
}

impl RowName {
    pub(crate) fn new(account: AccountId, table: Table, name: &str) -> Self {
        RowName { account, table, name: name.to_ascii_lowercase() }
    }

    pub(crate) fn entity(account: AccountId, kind: Kind, name: &str) -> Self {
        Self::new(account, Table::Entity(kind), name)
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(format!("{PREFIX}{}/{}/{}", self.account, self.table.name(), self.name))
    }

    pub(crate) fn of(key: &Key) -> Option<Self> {
        let mut parts = key.as_str().strip_prefix(PREFIX)?.splitn(3, '/');
        let account = AccountId::new(parts.next()?).ok()?;
        let table = parts.next()?;
        let table = Table::ALL.into_iter().find(|t| t.name() == table)?;
        Some(RowName { account, table, name: parts.next()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_rows_and_back() {
        for table in Table::ALL {
            let name = RowName::new(AccountId::DEFAULT, table, "Ada/x");
            assert_eq!(RowName::of(&name.key()), Some(name));
        }
        for other in ["stream/a", "identity/1/user/a", "identity/000000000000/cat/a"] {
            assert_eq!(RowName::of(&Key::new(other)), None, "{other}");
        }
    }
}

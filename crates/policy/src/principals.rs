//! The `Principal` or `NotPrincipal` of a statement, and how closely it names who asks.

use millstream_base::AccountId;

use crate::fault::{Fault, Result, wrong};
use crate::json::{Node, texts};
use crate::principal::{Principal, PrincipalKind};

/// Whom a statement is about.
#[derive(Clone, Debug)]
pub(crate) struct Principals {
    names: Box<[Name]>,
    /// `NotPrincipal`
    inverted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Everyone,
    /// An account's number, or the ARN of its root.
    Account(AccountId),
    /// The ARN of a user or of a role's session.
    Arn(Box<str>),
    RoleArn(Box<str>),
    /// What is left of a user or role that is gone: its id.
    Id(Box<str>),
    Service(Box<str>),
    Federated(Box<str>),
    /// Of S3's access control lists; nobody here has one.
    Canonical,
}

/// How closely a statement names who asks; later ones are closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closeness {
    /// Its account: what is allowed so is allowed only to whom the account allows it too.
    Account,
    /// Everyone, or its role.
    Role,
    /// Itself.
    Itself,
}

impl Principals {
    pub(crate) fn parse(at: &str, value: &Node, inverted: bool) -> Result<Principals> {
        let mut names = vec![];
        match value {
            Node::Text(everyone) if everyone == "*" => names.push(Name::Everyone),
            Node::Object(kinds) if !kinds.is_empty() => {
                for (kind, value) in kinds {
                    let at = format!("{at}.{kind}");
                    for (at, text) in texts(&at, value)? {
                        names.push(name_of(&at, kind, text)?);
                    }
                }
            }
            _ => return wrong(at, "\"*\" or an object of principals"),
        }
        Ok(Principals { names: names.into(), inverted })
    }

    /// How closely a statement that allows names `who`.
    pub(crate) fn allowed(&self, who: &Principal) -> Option<Closeness> {
        let closest = self.names.iter().filter_map(|name| name.closeness(who)).max();
        match self.inverted {
            false => closest,
            true => closest.is_none().then_some(Closeness::Role),
        }
    }

    /// Whether a statement that denies is about `who`. Of `NotPrincipal` only those are spared who
    /// are named in every form they have: account, role and session; and nobody with a permissions
    /// boundary is.
    pub(crate) fn denied(&self, who: &Principal, bounded: bool) -> bool {
        match self.inverted {
            false => self.names.iter().any(|name| name.closeness(who).is_some()),
            true => bounded || !self.spares(who),
        }
    }

    fn spares(&self, who: &Principal) -> bool {
        let named = |wanted: Closeness| {
            self.names.iter().any(|name| {
                *name == Name::Everyone || name.closeness(who).is_some_and(|found| found == wanted)
            })
        };
        match who.kind {
            PrincipalKind::Root => named(Closeness::Itself),
            PrincipalKind::User { .. } => named(Closeness::Account) && named(Closeness::Itself),
            PrincipalKind::AssumedRole { .. } => {
                [Closeness::Account, Closeness::Role, Closeness::Itself].into_iter().all(named)
            }
            _ => named(Closeness::Itself),
        }
    }
}

impl Name {
    fn closeness(&self, who: &Principal) -> Option<Closeness> {
        let when = |holds: bool, closeness: Closeness| holds.then_some(closeness);
        match (self, &who.kind) {
            (Name::Everyone, _) => Some(Closeness::Role),
            (Name::Account(account), PrincipalKind::Root) => {
                when(who.account == Some(*account), Closeness::Itself)
            }
            (Name::Account(account), _) => when(who.account == Some(*account), Closeness::Account),
            (Name::RoleArn(arn), PrincipalKind::AssumedRole { role_arn }) => {
                when(arn == role_arn, Closeness::Role)
            }
            (Name::Id(id), PrincipalKind::AssumedRole { .. }) => {
                let role = who.user_id.split(':').next();
                when(role == Some(id), Closeness::Role)
            }
            (Name::Id(id), PrincipalKind::User { .. }) => {
                when(*id == who.user_id, Closeness::Itself)
            }
            (Name::Arn(arn), PrincipalKind::User { .. } | PrincipalKind::AssumedRole { .. })
            | (Name::Service(arn), PrincipalKind::Service)
            | (Name::Federated(arn), PrincipalKind::WebIdentity) => {
                when(*arn == who.arn, Closeness::Itself)
            }
            _ => None,
        }
    }
}

fn name_of(at: &str, kind: &str, text: &str) -> Result<Name> {
    match kind {
        "AWS" => aws(at, text),
        "Service" | "Federated" | "CanonicalUser" if text.is_empty() => wrong(at, "a name"),
        "Service" if text == "*" => wrong(at, "the name of one service"),
        "Service" => Ok(Name::Service(text.into())),
        "Federated" => Ok(Name::Federated(text.into())),
        "CanonicalUser" => Ok(Name::Canonical),
        _ => Err(Fault::Unknown { at: at.to_owned() }),
    }
}

/// Everyone, an account, the ARN of an identity, or the id that is left of one that is gone.
fn aws(at: &str, text: &str) -> Result<Name> {
    if text == "*" {
        return Ok(Name::Everyone);
    }
    if let Ok(account) = AccountId::new(text) {
        return Ok(Name::Account(account));
    }
    let is_id = (16..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if is_id {
        return Ok(Name::Id(text.into()));
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let wanted = "\"*\", an account, or the ARN of an identity";
    let ["arn", partition, service @ ("iam" | "sts"), "", account, name] = parts[..] else {
        return wrong(at, wanted);
    };
    let Ok(account) = AccountId::new(account) else { return wrong(at, wanted) };
    if !partition.starts_with("aws") || name.contains(['*', '?']) {
        return wrong(at, wanted);
    }
    let has_name = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    match service {
        "iam" if name == "root" => Ok(Name::Account(account)),
        "iam" if has_name("role/") => Ok(Name::RoleArn(text.into())),
        "iam" if has_name("user/") => Ok(Name::Arn(text.into())),
        "sts" if has_name("assumed-role/") || has_name("federated-user/") => {
            Ok(Name::Arn(text.into()))
        }
        _ => wrong(at, wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_base::Tags;

    const ROLE: &str = "arn:aws:iam::000000000001:role/team/reader";

    fn session() -> Principal {
        let account = AccountId::new("000000000001").unwrap();
        Principal::assumed_role(account, ROLE, "AROAEXAMPLE12345678", "s1", Tags::new())
    }

    fn principals(json: &str, inverted: bool) -> Principals {
        Principals::parse("Principal", &Node::parse(json).unwrap(), inverted).unwrap()
    }

    #[test]
    fn a_session_is_named_by_account_role_and_itself() {
        for (json, expected) in [
            (r#""*""#, Some(Closeness::Role)),
            (r#"{"AWS":"*"}"#, Some(Closeness::Role)),
            (r#"{"AWS":"000000000001"}"#, Some(Closeness::Account)),
            (r#"{"AWS":"arn:aws:iam::000000000001:root"}"#, Some(Closeness::Account)),
            (r#"{"AWS":"000000000002"}"#, None),
            (r#"{"AWS":"arn:aws:iam::000000000001:role/team/reader"}"#, Some(Closeness::Role)),
            (r#"{"AWS":"arn:aws:iam::000000000001:role/reader"}"#, None),
            (r#"{"AWS":"AROAEXAMPLE12345678"}"#, Some(Closeness::Role)),
            (
                r#"{"AWS":["000000000001","arn:aws:sts::000000000001:assumed-role/reader/s1"]}"#,
                Some(Closeness::Itself),
            ),
            (r#"{"AWS":"arn:aws:sts::000000000001:assumed-role/reader/s2"}"#, None),
            (r#"{"Service":"firehose.amazonaws.com"}"#, None),
        ] {
            assert_eq!(principals(json, false).allowed(&session()), expected, "{json}");
            assert_eq!(principals(json, false).denied(&session(), false), expected.is_some());
        }
    }

    #[test]
    fn not_principal_spares_only_whom_it_names_in_every_form() {
        let forms = ["000000000001", ROLE, "arn:aws:sts::000000000001:assumed-role/reader/s1"];
        let all = format!(r#"{{"AWS":["{}"]}}"#, forms.join("\",\""));
        assert!(!principals(&all, true).denied(&session(), false));
        assert!(principals(&all, true).denied(&session(), true));
        for left_out in 0..3 {
            let mut some = forms.to_vec();
            some.remove(left_out);
            let some = format!(r#"{{"AWS":["{}"]}}"#, some.join("\",\""));
            assert!(principals(&some, true).denied(&session(), false), "{some}");
        }
        assert_eq!(principals(&all, true).allowed(&session()), None);
        assert!(principals(r#"{"AWS":"000000000002"}"#, true).allowed(&session()).is_some());
    }
}

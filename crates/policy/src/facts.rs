//! Condition keys, and where conditions and variables find their values.

use crate::context::{Context, Found, tag_of};
use crate::principal::{Principal, PrincipalKind};

/// A condition key: its name, or a family and a tag's key. Neither minds the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    name: Box<str>,
    tag: Option<Box<str>>,
    own: Option<Own>,
}

/// Keys that follow from the principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Arn,
    Account,
    Type,
    Tag,
    Username,
    UserId,
    IsService,
    ServiceName,
}

/// Where conditions and variables look for values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'f> {
    pub principal: &'f Principal,
    pub context: &'f Context<'f>,
}

impl Facts<'_> {
    pub(crate) fn find(&self, key: &Key) -> Option<Found<'_>> {
        let given = self.context.find(&key.name, key.tag.as_deref());
        given.or_else(|| self.own(key)).filter(|found| !found.is_empty())
    }

    fn own(&self, key: &Key) -> Option<Found<'_>> {
        let who = self.principal;
        let Some(own) = key.own else {
            let name = (key.name.as_ref(), key.tag.is_none());
            let fact =
                who.facts.iter().find(|(fact, _)| name.1 && fact.eq_ignore_ascii_case(name.0));
            return fact.map(|(_, value)| Found::Text(value));
        };
        let is_service = who.kind == PrincipalKind::Service;
        Some(match own {
            Own::Arn if is_service => return None,
            Own::Arn => Found::Text(who.principal_arn()),
            Own::Account => Found::Text(who.account.as_ref()?.as_str()),
            Own::Type => Found::Text(match who.kind {
                PrincipalKind::Root => "Account",
                PrincipalKind::User { .. } => "User",
                PrincipalKind::AssumedRole { .. } => "AssumedRole",
                PrincipalKind::WebIdentity => "FederatedUser",
                PrincipalKind::Anonymous => "Anonymous",
                PrincipalKind::Service => return None,
            }),
            Own::Tag => Found::Text(tag_of(&who.tags, key.tag.as_deref()?)?),
            Own::Username => match &who.kind {
                PrincipalKind::User { name } => Found::Text(name),
                _ => return None,
            },
            Own::UserId if who.user_id.is_empty() => return None,
            Own::UserId => Found::Text(&who.user_id),
            Own::IsService => Found::Flag(is_service),
            Own::ServiceName if is_service => Found::Text(&who.arn),
            Own::ServiceName => return None,
        })
    }
}

impl Key {
    pub(crate) fn of(text: &str) -> Key {
        let (name, tag) = match text.split_once('/') {
            Some((name, tag)) => (name, Some(tag.into())),
            None => (text, None),
        };
        let own = match (&*name.to_ascii_lowercase(), &tag) {
            ("aws:principalarn", None) => Some(Own::Arn),
            ("aws:principalaccount", None) => Some(Own::Account),
            ("aws:principaltype", None) => Some(Own::Type),
            ("aws:principaltag", Some(_)) => Some(Own::Tag),
            ("aws:username", None) => Some(Own::Username),
            ("aws:userid", None) => Some(Own::UserId),
            ("aws:principalisawsservice", None) => Some(Own::IsService),
            ("aws:principalservicename", None) => Some(Own::ServiceName),
            _ => None,
        };
        Key { name: name.into(), tag, own }
    }

    /// As the policy writes it.
    pub(crate) fn text(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}/{tag}", self.name),
            None => self.name.to_string(),
        }
    }
}

//! From an identity to its rights: the policies of a user, of its groups, its boundary.

use std::sync::Arc;

use millstream_base::{AccountId, Tags};
use millstream_policy::{Principal, Rights};

use crate::built_in;
use crate::directory::Directory;
use crate::held::{Held, HeldPolicy};
use crate::model::{Attachment, Kind};
use crate::who::{Authenticated, Resolved, parse};

/// The partition of all ARNs here.
pub(crate) const PARTITION: &str = "aws";

impl Directory {
    /// What `held` may do, as its policies stand now.
    pub(crate) fn resolve(&self, held: &Held) -> Arc<Resolved> {
        held.resolved(|generation| {
            let rights = self.rights_of(held).unwrap_or_else(nothing);
            let who = principal(held).map(|principal| {
                let rights = rights.clone();
                Arc::new(Authenticated { principal, rights, session: None })
            });
            Resolved { generation, rights, who }
        })
    }

    /// `None`: one of its policies can't be read. What it denied is unknown, so nothing is allowed.
    fn rights_of(&self, held: &Held) -> Option<Rights> {
        let mut identity = Vec::new();
        let entity = &held.entity;
        for (name, document) in &entity.inline {
            identity.push(parse(name, document)?);
        }
        for attachment in &entity.attached {
            // One that was deleted meanwhile says nothing any more.
            if let Some(policy) = self.attached(held.account, attachment) {
                identity.push(policy.parsed()?);
            }
        }
        if !entity.groups.is_empty() {
            for group in self.entities(held.account, Kind::Group) {
                if entity.groups.contains(&group.entity.id) {
                    identity.extend(self.resolve(&group).rights.identity.iter().cloned());
                }
            }
        }
        let boundary = match &entity.boundary {
            None => None,
            // A boundary that is gone bounds everything.
            Some(boundary) => Some(self.attached(held.account, boundary)?.parsed()?),
        };
        Some(Rights { identity, boundary, session: None })
    }

    /// The policy that an attachment means, if it is still there.
    pub(crate) fn attached(
        &self,
        account: AccountId,
        attachment: &Attachment,
    ) -> Option<Arc<HeldPolicy>> {
        let policy = self.policy_by_arn(account, &attachment.arn)?;
        (policy.policy.id == attachment.id).then_some(policy)
    }

    /// A policy that `account` can attach.
    pub(crate) fn policy_by_arn(&self, account: AccountId, arn: &str) -> Option<Arc<HeldPolicy>> {
        if arn.starts_with(built_in::ARN_PREFIX) {
            return built_in::find(arn);
        }
        let name = arn.rsplit('/').next()?;
        self.policy(account, name).filter(|held| held.arn == arn)
    }
}

/// The rights of whom nothing is known: everything is denied, resource policies or not.
fn nothing() -> Rights {
    const NOTHING: &str =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    let identity = parse("unreadable", NOTHING).into_iter().collect();
    Rights { identity, ..Rights::default() }
}

fn principal(held: &Held) -> Option<Principal> {
    let (entity, account) = (&held.entity, held.account);
    Some(match entity.kind {
        Kind::User => Principal::user(
            PARTITION,
            account,
            &entity.path,
            &entity.name,
            &entity.id,
            entity.tags.clone(),
        ),
        Kind::Root => Principal::root(PARTITION, account),
        Kind::Group | Kind::Role => return None,
    })
}

/// The tags of a role's session: the session's win over the role's.
pub(crate) fn session_tags(role: &Tags, session: &Tags) -> Tags {
    let mut tags = role.clone();
    for (key, value) in session {
        tags.retain(|known, _| !known.eq_ignore_ascii_case(key));
        tags.insert(key.clone(), value.clone());
    }
    tags
}

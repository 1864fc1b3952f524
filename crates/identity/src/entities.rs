//! Users, groups and roles: make, look up, change, delete; their tags, inline policies, attached
//! policies, boundaries and memberships.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_base::limits::{
    IAM_ATTACHED_POLICIES_MAX, IAM_GROUPS_PER_ACCOUNT_MAX, IAM_GROUPS_PER_USER_MAX,
    IAM_ROLES_PER_ACCOUNT_MAX, IAM_USERS_PER_ACCOUNT_MAX, TAGS_PER_RESOURCE_MAX,
};
use millstream_base::{AccountId, Tags};

use crate::documents;
use crate::engine::Identities;
use crate::error::{Error, Obstacle, Quota, Result, What};
use crate::held::{Held, HeldPolicy};
use crate::ids;
use crate::model::{Attachment, Entity, Kind, RoleFacts};
use crate::rows::{RowName, Table};

/// Which user, group or role of which account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    pub account: AccountId,
    pub kind: Kind,
    pub name: &'a str,
}

impl<'a> Subject<'a> {
    pub fn new(account: AccountId, kind: Kind, name: &'a str) -> Self {
        Subject { account, kind, name }
    }

    pub(crate) fn row(self) -> RowName {
        RowName::entity(self.account, self.kind, self.name)
    }

    pub(crate) fn missing(self) -> Error {
        Error::NotFound { what: self.kind.into(), name: self.name.to_owned() }
    }
}

/// What a user, group or role is made of.
#[derive(Clone, Debug, Default)]
pub struct NewEntity {
    /// Default: `/`.
    pub path: Option<String>,
    pub tags: Tags,
    /// An ARN.
    pub boundary: Option<String>,
    /// Of roles, which must have them.
    pub role: Option<RoleFacts>,
    pub declared: bool,
}

impl Identities {
    /// Makes a user, group or role.
    ///
    /// # Errors
    /// It exists; the boundary does not; a trust policy that is none; too many of them.
    pub async fn create_entity(&self, subject: Subject<'_>, new: NewEntity) -> Result<Arc<Held>> {
        let Subject { account, kind, name } = subject;
        if let Some(role) = &new.role {
            documents::check_trust(&role.trust)?;
        }
        check_tags(new.tags.len())?;
        let boundary = new.boundary.as_deref().map(|arn| self.boundary(account, arn));
        let boundary = boundary.transpose()?;
        let (max, quota) = match kind {
            Kind::User | Kind::Root => (IAM_USERS_PER_ACCOUNT_MAX, Quota::Users),
            Kind::Group => (IAM_GROUPS_PER_ACCOUNT_MAX, Quota::Groups),
            Kind::Role => (IAM_ROLES_PER_ACCOUNT_MAX, Quota::Roles),
        };
        let exists = || Error::Exists { what: kind.into(), name: name.to_owned() };
        if self.inner.directory.entity(account, kind, name).is_some() {
            return Err(exists());
        }
        if self.inner.directory.count(account, Table::Entity(kind)) >= max {
            return Err(Error::Limit { quota, max });
        }
        let id = match kind {
            Kind::Root => account.as_str().to_owned(),
            _ => ids::unique_id(kind.id_prefix()),
        };
        let entity = Entity {
            kind,
            id,
            name: name.to_owned(),
            path: new.path.unwrap_or_else(|| "/".to_owned()),
            created: self.now(),
            tags: new.tags,
            inline: BTreeMap::new(),
            attached: Vec::new(),
            boundary,
            keys: Vec::new(),
            groups: BTreeSet::new(),
            role: new.role,
            declared: new.declared,
        };
        self.create(&subject.row(), &entity, exists).await?;
        self.entity(subject)
    }

    /// # Errors
    /// There is none.
    pub fn entity(&self, subject: Subject<'_>) -> Result<Arc<Held>> {
        let Subject { account, kind, name } = subject;
        self.inner.directory.entity(account, kind, name).ok_or_else(|| subject.missing())
    }

    /// All of a kind, by name.
    pub fn entities(&self, account: AccountId, kind: Kind) -> Vec<Arc<Held>> {
        self.inner.directory.entities(account, kind)
    }

    /// Lets `edit` change the row of a user, group or role.
    ///
    /// # Errors
    /// There is none; or what `edit` says.
    pub(crate) async fn edit<T>(
        &self,
        subject: Subject<'_>,
        edit: impl FnMut(&mut Entity) -> Result<T>,
    ) -> Result<T> {
        self.change(&subject.row(), || subject.missing(), edit).await
    }

    /// Gives another path or name.
    ///
    /// # Errors
    /// There is none; the new name is taken.
    pub async fn rename_entity(
        &self,
        subject: Subject<'_>,
        new_path: Option<&str>,
        new_name: Option<&str>,
    ) -> Result<()> {
        let moved = new_name.filter(|new| !new.eq_ignore_ascii_case(subject.name));
        let Some(new) = moved else {
            return self
                .edit(subject, |entity| {
                    entity.path = new_path.unwrap_or(&entity.path).to_owned();
                    entity.name = new_name.unwrap_or(&entity.name).to_owned();
                    Ok(())
                })
                .await;
        };
        // Two rows can't change at once: the new one comes first, without keys, so that at no moment
        // a key has two owners; a crash in between leaves both, and the call can be repeated.
        let old = self.entity(subject)?;
        let target = Subject { name: new, ..subject };
        let exists = || Error::Exists { what: subject.kind.into(), name: new.to_owned() };
        if self.inner.directory.entity(target.account, target.kind, new).is_some() {
            return Err(exists());
        }
        let mut renamed = old.entity.clone();
        renamed.name = new.to_owned();
        renamed.path = new_path.unwrap_or(&renamed.path).to_owned();
        let keys = std::mem::take(&mut renamed.keys);
        self.create(&target.row(), &renamed, exists).await?;
        self.remove(&subject.row(), || subject.missing(), |_: &Entity| Ok(())).await?;
        self.edit(target, |entity| {
            entity.keys = keys.clone();
            Ok(())
        })
        .await
    }

    /// Deletes a user, group or role.
    ///
    /// # Errors
    /// There is none; it still has keys, policies or members.
    pub async fn delete_entity(&self, subject: Subject<'_>) -> Result<()> {
        let Subject { account, kind, name } = subject;
        let directory = &self.inner.directory;
        self.remove(
            &subject.row(),
            || subject.missing(),
            |entity: &Entity| {
                let in_use = |obstacle| {
                    Err(Error::InUse { what: kind.into(), name: name.to_owned(), obstacle })
                };
                let mut attached = entity.attached.iter();
                let mut groups = entity.groups.iter();
                if !entity.keys.is_empty() {
                    return in_use(Obstacle::AccessKeys);
                }
                if !entity.inline.is_empty() {
                    return in_use(Obstacle::InlinePolicies);
                }
                if attached.any(|a| directory.attached(account, a).is_some()) {
                    return in_use(Obstacle::AttachedPolicies);
                }
                if groups.any(|id| self.group_by_id(account, id).is_some()) {
                    return in_use(Obstacle::Groups);
                }
                if kind == Kind::Group && !self.members(account, &entity.id).is_empty() {
                    return in_use(Obstacle::Users);
                }
                Ok(())
            },
        )
        .await
    }

    /// Adds tags, or gives them new values.
    ///
    /// # Errors
    /// There is no such entity; too many tags.
    pub async fn tag_entity(&self, subject: Subject<'_>, tags: &Tags) -> Result<()> {
        self.edit(subject, |entity| {
            add_tags(&mut entity.tags, tags);
            check_tags(entity.tags.len())
        })
        .await
    }

    /// Removes tags; ones that are not there are no fault.
    ///
    /// # Errors
    /// There is no such entity.
    pub async fn untag_entity(&self, subject: Subject<'_>, keys: &[String]) -> Result<()> {
        self.edit(subject, |entity| {
            entity.tags.retain(|key, _| !keys.iter().any(|k| k.eq_ignore_ascii_case(key)));
            Ok(())
        })
        .await
    }

    /// Sets an inline policy.
    ///
    /// # Errors
    /// There is no such entity; the document is none, or too long with the others.
    pub async fn put_inline(
        &self,
        subject: Subject<'_>,
        policy: &str,
        document: &str,
    ) -> Result<()> {
        self.entity(subject)?;
        documents::check_inline(document)?;
        self.edit(subject, |entity| {
            entity.inline.insert(policy.to_owned(), document.to_owned());
            documents::check_inline_sum(entity)
        })
        .await
    }

    /// # Errors
    /// There is no such entity or policy.
    pub fn inline(&self, subject: Subject<'_>, policy: &str) -> Result<String> {
        let held = self.entity(subject)?;
        held.entity.inline.get(policy).cloned().ok_or_else(|| no_inline(policy))
    }

    /// # Errors
    /// There is no such entity or policy.
    pub async fn delete_inline(&self, subject: Subject<'_>, policy: &str) -> Result<()> {
        self.edit(subject, |entity| match entity.inline.remove(policy) {
            Some(_) => Ok(()),
            None => Err(no_inline(policy)),
        })
        .await
    }

    /// Attaches a managed policy; one that is attached already stays so.
    ///
    /// # Errors
    /// There is no such entity or policy; too many are attached.
    pub async fn attach(&self, subject: Subject<'_>, arn: &str) -> Result<()> {
        self.entity(subject)?;
        let attachment = self.attachment(subject.account, arn)?;
        self.edit(subject, |entity| {
            let there =
                |a: &Attachment| self.inner.directory.attached(subject.account, a).is_some();
            entity.attached.retain(|a| a.id != attachment.id && there(a));
            entity.attached.push(attachment.clone());
            let max = IAM_ATTACHED_POLICIES_MAX;
            let quota = match entity.kind {
                Kind::User | Kind::Root => Quota::PoliciesPerUser,
                Kind::Group => Quota::PoliciesPerGroup,
                Kind::Role => Quota::PoliciesPerRole,
            };
            if entity.attached.len() > max { Err(Error::Limit { quota, max }) } else { Ok(()) }
        })
        .await
    }

    /// # Errors
    /// There is no such entity, or the policy is not attached.
    pub async fn detach(&self, subject: Subject<'_>, arn: &str) -> Result<()> {
        self.edit(subject, |entity| {
            let before = entity.attached.len();
            entity.attached.retain(|a| a.arn != arn);
            match entity.attached.len() < before {
                true => Ok(()),
                false => Err(Error::NotFound { what: What::Attachment, name: arn.to_owned() }),
            }
        })
        .await
    }

    /// The managed policies that an entity carries, by name.
    ///
    /// # Errors
    /// There is no such entity.
    pub fn attached(&self, subject: Subject<'_>) -> Result<Vec<Arc<HeldPolicy>>> {
        let held = self.entity(subject)?;
        let attached = held.entity.attached.iter();
        let mut all: Vec<_> =
            attached.filter_map(|a| self.inner.directory.attached(held.account, a)).collect();
        all.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
        Ok(all)
    }

    /// Sets the permissions boundary of a user or role, or removes it.
    ///
    /// # Errors
    /// There is no such entity or policy; there is no boundary to remove.
    pub async fn set_boundary(&self, subject: Subject<'_>, arn: Option<&str>) -> Result<()> {
        self.entity(subject)?;
        let boundary = arn.map(|arn| self.boundary(subject.account, arn)).transpose()?;
        self.edit(subject, |entity| {
            if boundary.is_none() && entity.boundary.is_none() {
                let name = subject.name.to_owned();
                return Err(Error::NotFound { what: What::Boundary, name });
            }
            entity.boundary = boundary.clone();
            Ok(())
        })
        .await
    }

    /// Makes a user a member of a group; one who is a member already stays so.
    ///
    /// # Errors
    /// There is no such user or group; the user is in too many.
    pub async fn add_to_group(&self, account: AccountId, group: &str, user: &str) -> Result<()> {
        let group = self.entity(Subject::new(account, Kind::Group, group))?;
        self.edit(Subject::new(account, Kind::User, user), |entity| {
            entity.groups.retain(|id| self.group_by_id(account, id).is_some());
            entity.groups.insert(group.entity.id.clone());
            let (quota, max) = (Quota::GroupsPerUser, IAM_GROUPS_PER_USER_MAX);
            if entity.groups.len() > max { Err(Error::Limit { quota, max }) } else { Ok(()) }
        })
        .await
    }

    /// # Errors
    /// There is no such user or group, or the user is no member.
    pub async fn remove_from_group(
        &self,
        account: AccountId,
        group: &str,
        user: &str,
    ) -> Result<()> {
        let held = self.entity(Subject::new(account, Kind::Group, group))?;
        self.edit(Subject::new(account, Kind::User, user), |entity| {
            match entity.groups.remove(&held.entity.id) {
                true => Ok(()),
                false => Err(Error::NotFound { what: What::Membership, name: group.to_owned() }),
            }
        })
        .await
    }

    /// The groups of a user, by name.
    ///
    /// # Errors
    /// There is no such user.
    pub fn groups_of(&self, account: AccountId, user: &str) -> Result<Vec<Arc<Held>>> {
        let user = self.entity(Subject::new(account, Kind::User, user))?;
        let mut groups = self.entities(account, Kind::Group);
        groups.retain(|group| user.entity.groups.contains(&group.entity.id));
        Ok(groups)
    }

    /// The members of the group with this id, by name.
    pub fn members(&self, account: AccountId, group_id: &str) -> Vec<Arc<Held>> {
        let mut users = self.entities(account, Kind::User);
        users.retain(|user| user.entity.groups.contains(group_id));
        users
    }

    /// Changes who may assume a role, what it is for, or how long its sessions may last.
    ///
    /// # Errors
    /// There is no such role; a trust policy that is none.
    pub async fn edit_role(
        &self,
        account: AccountId,
        name: &str,
        change: RoleChange<'_>,
    ) -> Result<()> {
        let subject = Subject::new(account, Kind::Role, name);
        self.entity(subject)?;
        if let Some(trust) = change.trust {
            documents::check_trust(trust)?;
        }
        self.edit(subject, |entity| {
            let Some(role) = &mut entity.role else { return Err(subject.missing()) };
            if let Some(trust) = change.trust {
                role.trust = trust.to_owned();
            }
            if let Some(description) = change.description {
                role.description = Some(description.to_owned()).filter(|d| !d.is_empty());
            }
            if let Some(secs) = change.session_secs_max {
                role.session_secs_max = secs;
            }
            Ok(())
        })
        .await
    }

    fn group_by_id(&self, account: AccountId, id: &str) -> Option<Arc<Held>> {
        self.entities(account, Kind::Group).into_iter().find(|group| group.entity.id == id)
    }

    pub(crate) fn attachment(&self, account: AccountId, arn: &str) -> Result<Attachment> {
        let policy = self.policy(account, arn)?;
        Ok(Attachment { id: policy.policy.id.clone(), arn: policy.arn.clone() })
    }

    fn boundary(&self, account: AccountId, arn: &str) -> Result<Attachment> {
        self.attachment(account, arn)
    }
}

/// What changes of a role; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoleChange<'a> {
    pub trust: Option<&'a str>,
    /// An empty one removes it.
    pub description: Option<&'a str>,
    pub session_secs_max: Option<u32>,
}

pub(crate) fn add_tags(tags: &mut Tags, added: &Tags) {
    for (key, value) in added {
        tags.retain(|known, _| !known.eq_ignore_ascii_case(key));
        tags.insert(key.clone(), value.clone());
    }
}

pub(crate) fn check_tags(count: usize) -> Result<()> {
    let max = TAGS_PER_RESOURCE_MAX;
    if count > max { Err(Error::Limit { quota: Quota::TagsPerResource, max }) } else { Ok(()) }
}

fn no_inline(policy: &str) -> Error {
    Error::NotFound { what: What::InlinePolicy, name: policy.to_owned() }
}

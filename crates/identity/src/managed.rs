//! Managed policies and their versions.

use std::collections::HashMap;
use std::sync::Arc;

use millstream_base::limits::{IAM_POLICIES_PER_ACCOUNT_MAX, IAM_POLICY_VERSIONS_MAX};
use millstream_base::{AccountId, Tags};

use crate::built_in;
use crate::documents;
use crate::engine::Identities;
use crate::entities::{add_tags, check_tags};
use crate::error::{Error, Obstacle, Quota, Result, What};
use crate::held::{Held, HeldPolicy};
use crate::ids;
use crate::model::{Kind, ManagedPolicy, PolicyVersion, policy_arn};
use crate::rows::{RowName, Table};

/// What a managed policy is made of.
#[derive(Clone, Debug, Default)]
pub struct NewPolicy {
    pub name: String,
    /// Default: `/`.
    pub path: Option<String>,
    pub document: String,
    pub description: Option<String>,
    pub tags: Tags,
    pub declared: bool,
}

/// Who carries a policy.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    pub attached: Vec<Arc<Held>>,
    pub bounded: Vec<Arc<Held>>,
}

/// How often policies are attached and bound, by their ids.
pub type Usage = HashMap<String, (i32, i32)>;

impl Identities {
    /// # Errors
    /// It exists; the document is none; too many of them.
    pub async fn create_policy(
        &self,
        account: AccountId,
        new: NewPolicy,
    ) -> Result<Arc<HeldPolicy>> {
        documents::check_managed(&new.document)?;
        check_tags(new.tags.len())?;
        let row = RowName::new(account, Table::Policy, &new.name);
        let path = new.path.unwrap_or_else(|| "/".to_owned());
        let arn = policy_arn(account, &path, &new.name);
        let exists = || Error::Exists { what: What::Policy, name: new.name.clone() };
        if self.inner.directory.policy(account, &new.name).is_some() {
            return Err(exists());
        }
        if self.inner.directory.count(account, Table::Policy) >= IAM_POLICIES_PER_ACCOUNT_MAX {
            return Err(Error::Limit { quota: Quota::Policies, max: IAM_POLICIES_PER_ACCOUNT_MAX });
        }
        let created = self.now();
        let policy = ManagedPolicy {
            id: ids::unique_id("ANPA"),
            name: new.name.clone(),
            path,
            created,
            updated: created,
            description: new.description,
            tags: new.tags,
            versions: vec![PolicyVersion { number: 1, created, document: new.document }],
            default: 1,
            next: 2,
            declared: new.declared,
        };
        self.create(&row, &policy, exists).await?;
        self.policy(account, &arn)
    }

    /// A policy by its ARN; those that every account has among them.
    ///
    /// # Errors
    /// There is none.
    pub fn policy(&self, account: AccountId, arn: &str) -> Result<Arc<HeldPolicy>> {
        self.inner.directory.policy_by_arn(account, arn).ok_or_else(|| missing(arn))
    }

    /// The account's own, by name.
    pub fn policies(&self, account: AccountId) -> Vec<Arc<HeldPolicy>> {
        self.inner.directory.policies(account)
    }

    /// Those that every account has, by name.
    pub fn built_in_policies(&self) -> &'static [Arc<HeldPolicy>] {
        built_in::all()
    }

    /// # Errors
    /// There is none; it is attached; it has versions beside the default one.
    pub async fn delete_policy(&self, account: AccountId, arn: &str) -> Result<()> {
        let row = self.own(account, arn)?;
        let in_use = |obstacle| Error::InUse { what: What::Policy, name: arn.to_owned(), obstacle };
        self.remove(
            &row,
            || missing(arn),
            |policy: &ManagedPolicy| {
                let holders = self.holders(account, &policy.id);
                if !holders.attached.is_empty() || !holders.bounded.is_empty() {
                    return Err(in_use(Obstacle::Attached));
                }
                if policy.versions.len() > 1 {
                    return Err(in_use(Obstacle::Versions));
                }
                Ok(())
            },
        )
        .await
    }

    /// Adds a version, and makes it the one that counts if that is wanted.
    ///
    /// # Errors
    /// There is no such policy; the document is none; too many versions.
    pub async fn create_version(
        &self,
        account: AccountId,
        arn: &str,
        document: &str,
        as_default: bool,
    ) -> Result<PolicyVersion> {
        let row = self.own(account, arn)?;
        documents::check_managed(document)?;
        let created = self.now();
        self.edit_policy(&row, arn, |policy| {
            let max = IAM_POLICY_VERSIONS_MAX;
            if policy.versions.len() >= max {
                return Err(Error::Limit { quota: Quota::VersionsPerPolicy, max });
            }
            let version =
                PolicyVersion { number: policy.next, created, document: document.to_owned() };
            policy.versions.push(version.clone());
            policy.next += 1;
            policy.updated = created;
            if as_default {
                policy.default = version.number;
            }
            Ok(version)
        })
        .await
    }

    /// # Errors
    /// There is no such policy or version.
    pub async fn set_default_version(
        &self,
        account: AccountId,
        arn: &str,
        version: &str,
    ) -> Result<()> {
        let row = self.own(account, arn)?;
        let now = self.now();
        self.edit_policy(&row, arn, |policy| {
            policy.default = find_version(policy, arn, version)?.number;
            policy.updated = now;
            Ok(())
        })
        .await
    }

    /// # Errors
    /// There is no such policy or version; it is the default one.
    pub async fn delete_version(&self, account: AccountId, arn: &str, version: &str) -> Result<()> {
        let row = self.own(account, arn)?;
        self.edit_policy(&row, arn, |policy| {
            let number = find_version(policy, arn, version)?.number;
            if number == policy.default {
                let (what, name) = (What::PolicyVersion, version.to_owned());
                return Err(Error::InUse { what, name, obstacle: Obstacle::DefaultVersion });
            }
            policy.versions.retain(|v| v.number != number);
            Ok(())
        })
        .await
    }

    /// # Errors
    /// There is no such policy; too many tags.
    pub async fn tag_policy(&self, account: AccountId, arn: &str, tags: &Tags) -> Result<()> {
        let row = self.own(account, arn)?;
        self.edit_policy(&row, arn, |policy| {
            add_tags(&mut policy.tags, tags);
            check_tags(policy.tags.len())
        })
        .await
    }

    /// # Errors
    /// There is no such policy.
    pub async fn untag_policy(&self, account: AccountId, arn: &str, keys: &[String]) -> Result<()> {
        let row = self.own(account, arn)?;
        self.edit_policy(&row, arn, |policy| {
            policy.tags.retain(|key, _| !keys.iter().any(|k| k.eq_ignore_ascii_case(key)));
            Ok(())
        })
        .await
    }

    /// Who carries the policy with this id.
    pub fn holders(&self, account: AccountId, id: &str) -> Holders {
        let mut holders = Holders::default();
        for kind in Kind::ALL {
            for held in self.entities(account, kind) {
                if held.entity.attached.iter().any(|a| a.id == id) {
                    holders.attached.push(held.clone());
                }
                if held.entity.boundary.as_ref().is_some_and(|b| b.id == id) {
                    holders.bounded.push(held);
                }
            }
        }
        holders
    }

    /// How often each policy is attached, and serves as a boundary.
    pub fn policy_usage(&self, account: AccountId) -> Usage {
        let mut usage = Usage::new();
        for kind in Kind::ALL {
            for held in self.entities(account, kind) {
                for attachment in &held.entity.attached {
                    usage.entry(attachment.id.clone()).or_default().0 += 1;
                }
                if let Some(boundary) = &held.entity.boundary {
                    usage.entry(boundary.id.clone()).or_default().1 += 1;
                }
            }
        }
        usage
    }

    pub(crate) async fn edit_policy<T>(
        &self,
        row: &RowName,
        arn: &str,
        edit: impl FnMut(&mut ManagedPolicy) -> Result<T>,
    ) -> Result<T> {
        self.change(row, || missing(arn), edit).await
    }

    /// The row of a policy that can be changed.
    pub(crate) fn own(&self, account: AccountId, arn: &str) -> Result<RowName> {
        if built_in::find(arn).is_some() {
            return Err(Error::Unmodifiable { what: What::Policy, name: arn.to_owned() });
        }
        let policy = self.policy(account, arn)?;
        Ok(RowName::new(account, Table::Policy, &policy.policy.name))
    }
}

/// The version that `v3` names.
///
/// # Errors
/// There is none.
pub fn find_version<'a>(
    policy: &'a ManagedPolicy,
    arn: &str,
    version: &str,
) -> Result<&'a PolicyVersion> {
    let number = version.strip_prefix('v').and_then(|n| n.parse().ok());
    number.and_then(|number| policy.version(number)).ok_or_else(|| {
        let name = format!("{arn} {version}");
        Error::NotFound { what: What::PolicyVersion, name }
    })
}

fn missing(arn: &str) -> Error {
    Error::NotFound { what: What::Policy, name: arn.to_owned() }
}

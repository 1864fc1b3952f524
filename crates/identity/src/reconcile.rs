//! Makes true what a declaration says.
//!
//! What it names is made, or changed to be as declared. What an earlier declaration made and this
//! one does not name is removed; what was made otherwise never is. Applying the same declaration
//! again changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use millstream_base::AccountId;
use millstream_base::limits::{IAM_POLICY_VERSIONS_MAX, IAM_ROLE_SESSION_SECS_DEFAULT};
use millstream_secrets::Secret;

use crate::built_in;
use crate::declaration::{
    Declaration, DeclaredAccount, DeclaredEntity, DeclaredKey, DeclaredPolicy, is_reference,
};
use crate::documents;
use crate::engine::Identities;
use crate::entities::{NewEntity, Subject};
use crate::error::{Error, Result, What};
use crate::held::{open_secret, seal_secret};
use crate::managed::NewPolicy;
use crate::model::{
    AccessKey, Attachment, Entity, Kind, ManagedPolicy, OidcProvider, PolicyVersion, RoleFacts,
    oidc_arn, policy_arn,
};
use crate::oidc::provider_of;
use crate::providers::NewProvider;
use crate::rows::{RowName, Table};

/// What references lead to.
pub type References = BTreeMap<String, Secret>;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub deed: Deed,
    pub what: What,
    pub account: AccountId,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Made,
    Changed,
    Removed,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { deed, what, account, name } = self;
        let deed = match deed {
            Deed::Made => "made",
            Deed::Changed => "changed",
            Deed::Removed => "removed",
        };
        write!(f, "{deed} {what} {name} of account {account}")
    }
}

impl Identities {
    /// Applies `declaration`, and returns what had to be done.
    ///
    /// # Errors
    /// A document that is none, a reference that leads nowhere, a policy or group that is neither
    /// declared nor there. What was done before stays done; applying it again goes on.
    pub async fn reconcile(
        &self,
        declaration: &Declaration,
        references: &References,
    ) -> Result<Vec<Done>> {
        let mut done = Vec::new();
        for account in &declaration.account {
            let Some(id) = account.account() else { continue };
            let apply = Apply { identities: self, account: id, references };
            apply.all(account, &mut done).await?;
        }
        for account in self.accounts() {
            let declared = declaration.account.iter().find(|a| a.account() == Some(account));
            self.remove_undeclared(account, declared, &mut done).await?;
        }
        Ok(done)
    }

    async fn remove_undeclared(
        &self,
        account: AccountId,
        declared: Option<&DeclaredAccount>,
        done: &mut Vec<Done>,
    ) -> Result<()> {
        let mut note = |what: What, name: &str| {
            done.push(Done { deed: Deed::Removed, what, account, name: name.to_owned() });
        };
        for kind in [Kind::User, Kind::Role, Kind::Group, Kind::Root] {
            let named: BTreeSet<String> = declared.map_or_else(BTreeSet::new, |declared| {
                let entities: &[DeclaredEntity] = match kind {
                    Kind::User => &declared.user,
                    Kind::Role => &declared.role,
                    Kind::Group => &declared.group,
                    Kind::Root => &[],
                };
                let root = (kind == Kind::Root && declared.root_key.is_some()).then_some("root");
                let names = entities.iter().map(|entity| entity.name.as_str()).chain(root);
                names.map(str::to_ascii_lowercase).collect()
            });
            for held in self.entities(account, kind) {
                let name = &held.entity.name;
                if held.entity.declared && !named.contains(&name.to_ascii_lowercase()) {
                    let row = RowName::entity(account, kind, name);
                    self.remove(&row, || Error::Busy, |_: &Entity| Ok(())).await?;
                    note(kind.into(), name);
                }
            }
        }
        for held in self.policies(account) {
            let name = &held.policy.name;
            let is_named = |p: &DeclaredPolicy| p.name.eq_ignore_ascii_case(name);
            if held.policy.declared && !declared.is_some_and(|d| d.policy.iter().any(is_named)) {
                let row = RowName::new(account, Table::Policy, name);
                self.remove(&row, || Error::Busy, |_: &ManagedPolicy| Ok(())).await?;
                note(What::Policy, name);
            }
        }
        for provider in self.providers(account) {
            let named = declared.is_some_and(|declared| {
                declared
                    .oidc
                    .iter()
                    .any(|p| provider_of(&p.url).eq_ignore_ascii_case(&provider.url))
            });
            if provider.declared && !named {
                self.delete_provider(account, &oidc_arn(account, &provider.url)).await?;
                note(What::OidcProvider, &provider.url);
            }
        }
        Ok(())
    }
}

/// One account's declaration on its way.
struct Apply<'a> {
    identities: &'a Identities,
    account: AccountId,
    references: &'a References,
}

impl Apply<'_> {
    async fn all(&self, declared: &DeclaredAccount, done: &mut Vec<Done>) -> Result<()> {
        let (identities, account) = (self.identities, self.account);
        if let Some(alias) = &declared.alias
            && identities.alias(account).as_ref() != Some(alias)
        {
            identities.set_alias(account, alias).await?;
            self.note(done, Deed::Changed, What::AccountAlias, alias);
        }
        for policy in &declared.policy {
            self.policy(policy, done).await?;
        }
        for (kind, entities) in [
            (Kind::Group, &declared.group),
            (Kind::Role, &declared.role),
            (Kind::User, &declared.user),
        ] {
            for entity in entities {
                self.entity(kind, entity, done).await?;
            }
        }
        if let Some(key) = &declared.root_key {
            let root = DeclaredEntity {
                name: "root".to_owned(),
                key: vec![key.clone()],
                ..DeclaredEntity::default()
            };
            self.entity(Kind::Root, &root, done).await?;
        }
        for provider in &declared.oidc {
            let arn = oidc_arn(account, provider_of(&provider.url));
            if identities.provider(account, &arn).is_err() {
                let new = NewProvider {
                    url: provider.url.clone(),
                    client_ids: provider.client_ids.clone(),
                    thumbprints: Vec::new(),
                    tags: provider.tags.clone(),
                    declared: true,
                };
                identities.create_provider(account, new).await?;
                self.note(done, Deed::Made, What::OidcProvider, &provider.url);
                continue;
            }
            let mut changed = false;
            identities
                .edit_provider(account, &arn, |known: &mut OidcProvider| {
                    changed =
                        known.client_ids != provider.client_ids || known.tags != provider.tags;
                    known.client_ids = provider.client_ids.clone();
                    known.tags = provider.tags.clone();
                })
                .await?;
            if changed {
                self.note(done, Deed::Changed, What::OidcProvider, &provider.url);
            }
        }
        Ok(())
    }

    async fn policy(&self, declared: &DeclaredPolicy, done: &mut Vec<Done>) -> Result<()> {
        let document = self.text(&declared.document)?;
        let Some(held) = self.identities.inner.directory.policy(self.account, &declared.name)
        else {
            let new = NewPolicy {
                name: declared.name.clone(),
                path: declared.path.clone(),
                document,
                description: declared.description.clone(),
                tags: declared.tags.clone(),
                declared: true,
            };
            self.identities.create_policy(self.account, new).await?;
            self.note(done, Deed::Made, What::Policy, &declared.name);
            return Ok(());
        };
        documents::check_managed(&document)?;
        let now = self.identities.now();
        let row = RowName::new(self.account, Table::Policy, &declared.name);
        let edit = |policy: &mut ManagedPolicy| {
            let before = policy.clone();
            policy.tags = declared.tags.clone();
            policy.description = declared.description.clone();
            if policy.document() != document {
                let default = policy.default;
                while policy.versions.len() >= IAM_POLICY_VERSIONS_MAX {
                    let oldest = policy.versions.iter().position(|v| v.number != default);
                    policy.versions.remove(oldest.unwrap_or(0));
                }
                let (number, document) = (policy.next, document.clone());
                policy.versions.push(PolicyVersion { number, created: now, document });
                policy.default = number;
                policy.next += 1;
                policy.updated = now;
            }
            Ok(*policy != before)
        };
        if self.identities.edit_policy(&row, &held.arn, edit).await? {
            self.note(done, Deed::Changed, What::Policy, &declared.name);
        }
        Ok(())
    }

    async fn entity(
        &self,
        kind: Kind,
        declared: &DeclaredEntity,
        done: &mut Vec<Done>,
    ) -> Result<()> {
        let subject = Subject::new(self.account, kind, &declared.name);
        let role = self.role(declared)?;
        let inline = self.inline(declared)?;
        let mut deed = None;
        if self.identities.entity(subject).is_err() {
            let new = NewEntity {
                path: declared.path.clone(),
                role: role.clone(),
                declared: true,
                ..NewEntity::default()
            };
            self.identities.create_entity(subject, new).await?;
            deed = Some(Deed::Made);
        }
        let attached = self.attachments(&declared.policies)?;
        let boundary =
            declared.boundary.as_deref().map(|name| self.attachment(name)).transpose()?;
        let groups = self.groups(declared)?;
        let keys = self.keys(declared).await?;
        let sealing = self.identities.unsealing();
        let edit = |entity: &mut Entity| {
            let before = entity.clone();
            if let Some(path) = &declared.path {
                entity.path = path.clone();
            }
            entity.tags = declared.tags.clone();
            entity.inline = inline.clone();
            documents::check_inline_sum(entity)?;
            entity.attached = attached.clone();
            entity.boundary = boundary.clone();
            entity.groups = groups.clone();
            if role.is_some() {
                entity.role = role.clone();
            }
            entity.keys.retain(|key| !key.declared || keys.iter().any(|(k, _)| k.id == key.id));
            for (key, secret) in &keys {
                let Some(sealing) = sealing else { return Err(Error::Busy) };
                let known = entity.keys.iter_mut().find(|known| known.id == key.id);
                let sealed = || seal_secret(&sealing.keys, &before.id, &key.id, secret);
                match known {
                    None => entity.keys.push(AccessKey {
                        id: key.id.clone(),
                        sealed_secret: sealed(),
                        active: key.active,
                        created: self.identities.now(),
                        declared: true,
                    }),
                    Some(known) => {
                        let open = &known.sealed_secret;
                        let open = open_secret(&sealing.keys, &before.id, &key.id, open);
                        if open.as_ref() != Some(secret) {
                            known.sealed_secret = sealed();
                        }
                        known.active = key.active;
                    }
                }
            }
            Ok(*entity != before)
        };
        let changed = self.identities.edit(subject, edit).await?;
        if let Some(deed) = deed.or(changed.then_some(Deed::Changed)) {
            self.note(done, deed, kind.into(), &declared.name);
        }
        Ok(())
    }

    fn role(&self, declared: &DeclaredEntity) -> Result<Option<RoleFacts>> {
        let Some(trust) = &declared.trust else { return Ok(None) };
        let trust = self.text(trust)?;
        documents::check_trust(&trust)?;
        let session_secs_max =
            declared.session_seconds_max.unwrap_or(IAM_ROLE_SESSION_SECS_DEFAULT);
        let description = declared.description.clone();
        Ok(Some(RoleFacts { trust, description, session_secs_max }))
    }

    fn inline(&self, declared: &DeclaredEntity) -> Result<BTreeMap<String, String>> {
        let mut inline = BTreeMap::new();
        for (name, document) in &declared.inline {
            let document = self.text(document)?;
            documents::check_inline(&document)?;
            inline.insert(name.clone(), document);
        }
        Ok(inline)
    }

    /// The declared keys of a user with their secrets; a key of someone else is refused.
    async fn keys<'d>(
        &self,
        declared: &'d DeclaredEntity,
    ) -> Result<Vec<(&'d DeclaredKey, Secret)>> {
        let mut keys = Vec::new();
        for key in &declared.key {
            self.identities.sealing().await?;
            let owner = self.identities.inner.directory.key(&key.id);
            if owner.is_some_and(|known| {
                known.owner.account != self.account
                    || !known.owner.entity.name.eq_ignore_ascii_case(&declared.name)
            }) {
                return Err(Error::Exists { what: What::AccessKey, name: key.id.clone() });
            }
            keys.push((key, self.secret(&key.secret)?));
        }
        Ok(keys)
    }

    fn groups(&self, declared: &DeclaredEntity) -> Result<BTreeSet<String>> {
        let id = |name: &String| {
            let group = Subject::new(self.account, Kind::Group, name);
            Ok(self.identities.entity(group)?.entity.id.clone())
        };
        declared.groups.iter().map(id).collect()
    }

    fn attachments(&self, names: &[String]) -> Result<Vec<Attachment>> {
        names.iter().map(|name| self.attachment(name)).collect()
    }

    /// A policy by its ARN, or by its name: the account's own first.
    fn attachment(&self, name: &str) -> Result<Attachment> {
        if name.starts_with("arn:") {
            return self.identities.attachment(self.account, name);
        }
        let own = self.identities.inner.directory.policy(self.account, name);
        match own {
            Some(held) => {
                let arn = policy_arn(self.account, &held.policy.path, &held.policy.name);
                Ok(Attachment { id: held.policy.id.clone(), arn })
            }
            None => {
                let arn = format!("{}/{name}", built_in::ARN_PREFIX);
                self.identities.attachment(self.account, &arn)
            }
        }
    }

    /// A document, where it stands.
    fn text(&self, text: &str) -> Result<String> {
        if !is_reference(text) {
            return Ok(text.to_owned());
        }
        let found = self.secret(text)?;
        let found = found.expose_text().ok_or_else(|| unresolved(text))?;
        Ok(found.to_owned())
    }

    fn secret(&self, reference: &str) -> Result<Secret> {
        self.references.get(reference).cloned().ok_or_else(|| unresolved(reference))
    }

    fn note(&self, done: &mut Vec<Done>, deed: Deed, what: What, name: &str) {
        done.push(Done { deed, what, account: self.account, name: name.to_owned() });
    }
}

fn unresolved(reference: &str) -> Error {
    Error::Invalid { reason: format!("{reference} leads to nothing that can be read") }
}

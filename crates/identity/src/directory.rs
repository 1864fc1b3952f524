//! This process's copy of all identities, kept true by a watch on their rows.
//!
//! Readers take a lock for the time of a map lookup; nothing is decoded, unsealed or parsed under
//! it, so that ten thousand rows can come at once and no request waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_base::AccountId;
use millstream_meta::{Document, Key, MetaError, Revision, Row, mirror};
use parking_lot::RwLock;

use crate::error::{Error, Result};
use crate::held::{Held, HeldKey, HeldPolicy, Shared};
use crate::model::{AccountFacts, Entity, Kind, OidcProvider};
use crate::rows::{RowName, Table};

#[derive(Default)]
pub(crate) struct Directory {
    accounts: RwLock<HashMap<AccountId, Account>>,
    /// By access key id.
    keys: RwLock<HashMap<Box<str>, Arc<HeldKey>>>,
}

/// One account's identities, by their names in lower case.
#[derive(Default)]
struct Account {
    entities: BTreeMap<Kind, BTreeMap<String, Arc<Held>>>,
    policies: BTreeMap<String, Arc<HeldPolicy>>,
    oidc: BTreeMap<String, (Revision, Arc<OidcProvider>)>,
    facts: Option<(Revision, Arc<AccountFacts>)>,
    shared: Arc<Shared>,
}

/// What a row holds.
enum Content {
    Entity(Arc<Held>),
    Policy(Arc<HeldPolicy>),
    Oidc(Arc<OidcProvider>),
    Facts(Arc<AccountFacts>),
}

impl Directory {
    pub(crate) fn key(&self, access_key_id: &str) -> Option<Arc<HeldKey>> {
        self.keys.read().get(access_key_id).cloned()
    }

    pub(crate) fn entity(&self, account: AccountId, kind: Kind, name: &str) -> Option<Arc<Held>> {
        let accounts = self.accounts.read();
        let entities = accounts.get(&account)?.entities.get(&kind)?;
        match entities.get(name) {
            Some(held) => Some(held.clone()),
            None => entities.get(&name.to_ascii_lowercase()).cloned(),
        }
    }

    /// All of a kind, by name.
    pub(crate) fn entities(&self, account: AccountId, kind: Kind) -> Vec<Arc<Held>> {
        let accounts = self.accounts.read();
        let entities = accounts.get(&account).and_then(|a| a.entities.get(&kind));
        entities.map(|e| e.values().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn count(&self, account: AccountId, table: Table) -> usize {
        let accounts = self.accounts.read();
        let Some(account) = accounts.get(&account) else { return 0 };
        match table {
            Table::Entity(kind) => account.entities.get(&kind).map_or(0, BTreeMap::len),
            Table::Policy => account.policies.len(),
            Table::Oidc => account.oidc.len(),
            Table::Account => usize::from(account.facts.is_some()),
        }
    }

    pub(crate) fn policy(&self, account: AccountId, name: &str) -> Option<Arc<HeldPolicy>> {
        let accounts = self.accounts.read();
        accounts.get(&account)?.policies.get(&name.to_ascii_lowercase()).cloned()
    }

    pub(crate) fn policies(&self, account: AccountId) -> Vec<Arc<HeldPolicy>> {
        let accounts = self.accounts.read();
        accounts.get(&account).map(|a| a.policies.values().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn oidc(&self, account: AccountId, url: &str) -> Option<Arc<OidcProvider>> {
        let accounts = self.accounts.read();
        accounts.get(&account)?.oidc.get(&url.to_ascii_lowercase()).map(|(_, p)| p.clone())
    }

    pub(crate) fn oidc_providers(&self, account: AccountId) -> Vec<Arc<OidcProvider>> {
        let accounts = self.accounts.read();
        let providers = accounts.get(&account).map(|a| &a.oidc);
        providers.map(|p| p.values().map(|(_, p)| p.clone()).collect()).unwrap_or_default()
    }

    pub(crate) fn facts(&self, account: AccountId) -> Option<Arc<AccountFacts>> {
        let accounts = self.accounts.read();
        accounts.get(&account)?.facts.as_ref().map(|(_, facts)| facts.clone())
    }

    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.read().is_empty()
    }

    /// The keys whose last use is not in the store yet.
    pub(crate) fn used_keys(&self) -> Vec<Arc<HeldKey>> {
        let keys = self.keys.read();
        let dirty = |key: &&Arc<HeldKey>| key.used().dirty.load(Ordering::Relaxed);
        keys.values().filter(dirty).cloned().collect()
    }

    /// All accounts that have anything.
    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        let mut all: Vec<AccountId> = self.accounts.read().keys().copied().collect();
        all.sort();
        all
    }

    fn take(&self, row: &Row) -> Result<()> {
        let name = RowName::of(&row.key).ok_or_else(|| MetaError::Corrupt {
            reason: format!("row {} names no identity", row.key),
        })?;
        let shared = self.shared(name.account);
        let held = match name.table {
            Table::Entity(_) => {
                let entity = decode::<Entity>(row)?;
                Content::Entity(Held::new(name.account, entity, row.revision, shared))
            }
            Table::Policy => {
                Content::Policy(HeldPolicy::new(name.account, decode(row)?, row.revision))
            }
            Table::Oidc => Content::Oidc(Arc::new(decode::<OidcProvider>(row)?)),
            Table::Account => Content::Facts(Arc::new(decode::<AccountFacts>(row)?)),
        };
        self.put(&name, held, row.revision);
        Ok(())
    }

    fn shared(&self, account: AccountId) -> Arc<Shared> {
        if let Some(known) = self.accounts.read().get(&account) {
            return known.shared.clone();
        }
        self.accounts.write().entry(account).or_default().shared.clone()
    }

    /// Puts what a row holds in the place of what it held before, if that was older.
    fn put(&self, name: &RowName, new: Content, revision: Revision) {
        let mut replaced = None;
        let mut arrived = None;
        {
            let mut accounts = self.accounts.write();
            let account = accounts.entry(name.account).or_default();
            let key = name.name.clone();
            let newer = |old: Option<Revision>| old.is_none_or(|old| old < revision);
            match new {
                Content::Entity(held) => {
                    let entities = account.entities.entry(held.entity.kind).or_default();
                    if newer(entities.get(&key).map(|h| h.revision)) {
                        arrived = Some(held.clone());
                        replaced = entities.insert(key, held);
                    }
                }
                Content::Policy(policy) => {
                    if newer(account.policies.get(&key).map(|p| p.revision)) {
                        account.policies.insert(key, policy);
                    }
                }
                Content::Oidc(provider) => {
                    if newer(account.oidc.get(&key).map(|(r, _)| *r)) {
                        account.oidc.insert(key, (revision, provider));
                    }
                }
                Content::Facts(facts) => {
                    if newer(account.facts.as_ref().map(|(r, _)| *r)) {
                        account.facts = Some((revision, facts));
                    }
                }
            }
            if matches!(name.table, Table::Policy | Table::Entity(Kind::Group)) {
                account.shared.generation.fetch_add(1, Ordering::Release);
            }
        }
        if arrived.is_some() || replaced.is_some() {
            self.exchange_keys(replaced.as_ref(), arrived.as_ref());
        }
    }

    fn drop_row(&self, key: &Key, revision: Revision) {
        if let Some(name) = RowName::of(key) {
            let mut removed = None;
            let mut accounts = self.accounts.write();
            if let Some(account) = accounts.get_mut(&name.account) {
                let older = |held: Revision| held < revision;
                match name.table {
                    Table::Entity(kind) => {
                        if let Some(entities) = account.entities.get_mut(&kind)
                            && entities.get(&name.name).is_some_and(|h| older(h.revision))
                        {
                            removed = entities.remove(&name.name);
                        }
                    }
                    Table::Policy => {
                        if account.policies.get(&name.name).is_some_and(|p| older(p.revision)) {
                            account.policies.remove(&name.name);
                        }
                    }
                    Table::Oidc => {
                        if account.oidc.get(&name.name).is_some_and(|(r, _)| older(*r)) {
                            account.oidc.remove(&name.name);
                        }
                    }
                    Table::Account => account.facts = None,
                }
                account.shared.generation.fetch_add(1, Ordering::Release);
            }
            drop(accounts);
            self.exchange_keys(removed.as_ref(), None);
        }
    }

    /// Makes the keys of `new` known instead of those of `old`.
    fn exchange_keys(&self, old: Option<&Arc<Held>>, new: Option<&Arc<Held>>) {
        let before = old.map(|held| held.entity.keys.as_slice()).unwrap_or_default();
        let after: Vec<Arc<HeldKey>> = new.map(HeldKey::all_of).unwrap_or_default();
        if before.is_empty() && after.is_empty() {
            if let Some(old) = old {
                old.retire();
            }
            return;
        }
        let mut keys = self.keys.write();
        for gone in before {
            // A key can't move to another entity; one that did was made by hand and is new.
            if let Some(known) = keys.get(gone.id.as_str())
                && old.is_some_and(|old| known.belongs_to(old))
            {
                let known = keys.remove(gone.id.as_str());
                if let (Some(known), Some(heir)) =
                    (known, after.iter().find(|key| key.id == gone.id))
                {
                    heir.inherit(&known);
                }
            }
        }
        for key in after {
            keys.insert(key.id.clone().into(), key);
        }
        drop(keys);
        if let Some(old) = old {
            old.retire();
        }
    }
}

impl mirror::Copy for Directory {
    const WHAT: &'static str = "identity";
    const SCAN_PAGE: usize = 256;
    type Error = Error;

    fn apply(&self, row: &Row) -> Result<()> {
        let taken = self.take(row);
        if taken.is_err() {
            // Whose row can't be read has no rights any more.
            self.drop_row(&row.key, row.revision);
        }
        taken
    }

    fn remove(&self, key: &Key, revision: Revision) {
        self.drop_row(key, revision);
    }

    fn held(&self) -> Vec<(Key, Revision)> {
        let accounts = self.accounts.read();
        let mut all = Vec::new();
        for (id, account) in accounts.iter() {
            for (kind, entities) in &account.entities {
                all.extend(
                    entities.iter().map(|(n, h)| (RowName::entity(*id, *kind, n), h.revision)),
                );
            }
            let row = |table, name: &str| RowName::new(*id, table, name);
            all.extend(account.policies.iter().map(|(n, p)| (row(Table::Policy, n), p.revision)));
            all.extend(account.oidc.iter().map(|(n, (r, _))| (row(Table::Oidc, n), *r)));
            all.extend(account.facts.iter().map(|(r, _)| (row(Table::Account, "facts"), *r)));
        }
        all.into_iter().map(|(name, revision)| (name.key(), revision)).collect()
    }
}

fn decode<D: Document>(row: &Row) -> Result<D, MetaError> {
    D::decode(&row.key, &row.value).map_err(MetaError::from)
}

//! Identities as memory holds them: the rows, and what is made of them at first need.
//!
//! A [`Held`] never changes; when its row changes, another takes its place and the old one is
//! retired, so that whoever kept it (a session of a role) knows to look again.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use millstream_base::{AccountId, Timestamp};
use millstream_meta::Revision;
use millstream_policy::NamedPolicy;
use millstream_secrets::{SealingKey, Secret};
use parking_lot::Mutex;

use crate::model::{AccessKey, Entity, ManagedPolicy};
use crate::who::{self, Resolved};

/// What all identities of an account hold on to.
#[derive(Default)]
pub(crate) struct Shared {
    /// Raised when something changed that others' rights are made of: groups, managed policies.
    pub(crate) generation: AtomicU64,
}

/// An entity at one revision of its row.
pub struct Held {
    pub account: AccountId,
    pub entity: Entity,
    pub(crate) revision: Revision,
    shared: Arc<Shared>,
    retired: AtomicBool,
    resolved: ArcSwapOption<Resolved>,
}

impl Held {
    pub(crate) fn new(
        account: AccountId,
        entity: Entity,
        revision: Revision,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        let retired = AtomicBool::new(false);
        Arc::new(Held {
            account,
            entity,
            revision,
            shared,
            retired,
            resolved: ArcSwapOption::empty(),
        })
    }

    pub fn arn(&self) -> String {
        self.entity.arn(self.account)
    }

    /// Whether its row has changed since, or is gone.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Counts the changes of groups and managed policies in the account.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// What it may do, made anew with `make` if groups or managed policies have changed.
    pub(crate) fn resolved(&self, make: impl FnOnce(u64) -> Resolved) -> Arc<Resolved> {
        let generation = self.generation();
        let known = self.resolved.load();
        if let Some(known) = &*known
            && known.generation == generation
        {
            return known.clone();
        }
        let resolved = Arc::new(make(generation));
        self.resolved.store(Some(resolved.clone()));
        resolved
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn())
    }
}

/// A managed policy at one revision of its row.
pub struct HeldPolicy {
    pub arn: String,
    pub policy: ManagedPolicy,
    pub(crate) revision: Revision,
    parsed: OnceLock<Option<Arc<NamedPolicy>>>,
}

impl HeldPolicy {
    pub(crate) fn new(account: AccountId, policy: ManagedPolicy, revision: Revision) -> Arc<Self> {
        let arn = policy.arn(account);
        Arc::new(HeldPolicy { arn, policy, revision, parsed: OnceLock::new() })
    }

    /// One that every account has.
    pub(crate) fn built_in(arn: String, policy: ManagedPolicy) -> Arc<Self> {
        Arc::new(HeldPolicy { arn, policy, revision: Revision(0), parsed: OnceLock::new() })
    }

    /// `None`: its document can't be read.
    pub(crate) fn parsed(&self) -> Option<Arc<NamedPolicy>> {
        let parse = || who::parse(&self.arn, self.policy.document());
        self.parsed.get_or_init(parse).clone()
    }
}

/// An access key, ready to be looked up.
pub(crate) struct HeldKey {
    pub(crate) id: String,
    pub(crate) active: bool,
    pub(crate) owner: Arc<Held>,
    sealed: String,
    /// Opened at first need: secrets of keys that nobody uses are not in memory.
    secret: OnceLock<Option<Arc<Secret>>>,
    used: ArcSwap<Used>,
}

impl HeldKey {
    pub(crate) fn all_of(owner: &Arc<Held>) -> Vec<Arc<HeldKey>> {
        let key = |key: &AccessKey| {
            Arc::new(HeldKey {
                id: key.id.clone(),
                active: key.active,
                owner: owner.clone(),
                sealed: key.sealed_secret.clone(),
                secret: OnceLock::new(),
                used: ArcSwap::default(),
            })
        };
        owner.entity.keys.iter().map(key).collect()
    }

    pub(crate) fn belongs_to(&self, owner: &Arc<Held>) -> bool {
        Arc::ptr_eq(&self.owner, owner)
    }

    /// Takes over what memory knows of the key at an earlier revision.
    pub(crate) fn inherit(&self, before: &HeldKey) {
        self.used.store(before.used.load_full());
        if self.sealed == before.sealed
            && let Some(secret) = before.secret.get()
        {
            let _ = self.secret.set(secret.clone());
        }
    }

    /// `None`: sealed with another key, or damaged.
    pub(crate) fn secret(&self, sealing: &SealingKey) -> Option<Arc<Secret>> {
        let open = || {
            let opened = open_secret(sealing, &self.owner.entity.id, &self.id, &self.sealed);
            if opened.is_none() {
                tracing::error!(access_key_id = %self.id, "the secret of a key can't be opened");
            }
            opened.map(Arc::new)
        };
        self.secret.get_or_init(open).clone()
    }

    pub(crate) fn used(&self) -> Arc<Used> {
        self.used.load_full()
    }

    /// Notes a use, at most once in [`USE_INTERVAL_SECS`].
    pub(crate) fn note_use(&self, now: Timestamp, service: &str, region: &str) {
        let used = self.used.load();
        let last = used.secs.load(Ordering::Relaxed);
        if now.as_secs() < last.saturating_add(USE_INTERVAL_SECS) && last != 0 {
            return;
        }
        used.secs.store(now.as_secs(), Ordering::Relaxed);
        used.dirty.store(true, Ordering::Relaxed);
        *used.place.lock() = Some((service.to_owned(), region.to_owned()));
    }
}

/// How exactly the last use of a key is known.
const USE_INTERVAL_SECS: u64 = 60;

/// When a key was last used, and for what.
#[derive(Default)]
pub(crate) struct Used {
    /// Seconds since the epoch; 0: never.
    pub(crate) secs: AtomicU64,
    /// Not yet in the store.
    pub(crate) dirty: AtomicBool,
    /// Service and region.
    pub(crate) place: Mutex<Option<(String, String)>>,
}

/// The place that a secret is sealed for.
fn context(entity_id: &str, access_key_id: &str) -> Vec<u8> {
    format!("access key {access_key_id} of {entity_id}").into_bytes()
}

pub(crate) fn seal_secret(
    sealing: &SealingKey,
    entity_id: &str,
    access_key_id: &str,
    secret: &Secret,
) -> String {
    let sealed = sealing.seal(&context(entity_id, access_key_id), secret.expose());
    base64_simd::STANDARD.encode_to_string(sealed)
}

pub(crate) fn open_secret(
    sealing: &SealingKey,
    entity_id: &str,
    access_key_id: &str,
    sealed: &str,
) -> Option<Secret> {
    let sealed = base64_simd::STANDARD.decode_to_vec(sealed).ok()?;
    sealing.open(&context(entity_id, access_key_id), &sealed).ok()
}

//! A key and an alias as their rows keep them.

use std::time::Duration;

use millstream_base::limits::KMS_ROTATION_PERIOD_DAYS_DEFAULT;
use millstream_base::{AccountId, Region, Scope, Tags, Timestamp};
use millstream_meta::{Document, Key};
use serde::{Deserialize, Serialize};

use crate::names::{AliasName, KeyArn, KeyId};

pub(crate) const PREFIX: &str = "kms/";
const KEYS: &str = "kms/key/";
const ALIASES: &str = "kms/alias/";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a key can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Enabled,
    Disabled,
    /// Gone for ever at `at`; until then it can be kept by CancelKeyDeletion.
    PendingDeletion {
        at: Timestamp,
        window_days: u32,
    },
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manager {
    /// The account's own.
    Customer,
    /// A service's, made at its first use (`alias/aws/…`).
    Service,
}

/// Why there is a material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    Creation,
    Automatic,
    OnDemand,
}

/// One version of what encrypts. Old ones stay, for what was encrypted under them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// 1, 2, 3, …
    pub version: u32,
    /// 64 hexadecimal digits that name it to the outside.
    pub id: String,
    pub made: Timestamp,
    pub origin: Origin,
    /// 32 bytes, sealed under the root key for this key and version; base64.
    pub(crate) sealed: String,
}

/// When the next material comes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationSchedule {
    pub period_days: u32,
    /// The period runs from here: when it was switched on, or the last time it came.
    pub(crate) from: Timestamp,
}

impl RotationSchedule {
    pub(crate) fn starting(now: Timestamp, period_days: Option<u32>) -> Self {
        let period_days = period_days.unwrap_or(KMS_ROTATION_PERIOD_DAYS_DEFAULT);
        RotationSchedule { period_days, from: now }
    }

    pub fn next(&self) -> Timestamp {
        self.from.plus(DAY * self.period_days)
    }
}

pub(crate) fn days(count: u32) -> Duration {
    DAY * count
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyRow {
    pub(crate) made: Timestamp,
    pub(crate) state: State,
    pub(crate) manager: Manager,
    pub(crate) description: String,
    /// As it was given; `None` is the default policy.
    pub(crate) policy: Option<String>,
    pub(crate) tags: Tags,
    /// In the order of their versions; never empty. The last one encrypts.
    pub(crate) materials: Vec<Material>,
    pub(crate) rotation: Option<RotationSchedule>,
}

impl Document for KeyRow {
    const KIND: &'static str = "key";
    const VERSION: u32 = 1;
}

impl KeyRow {
    pub(crate) fn current(&self) -> &Material {
        self.materials.last().expect("a key is made with its first material")
    }

    /// Its time has come: it counts as gone, whether the row is still there or not.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        matches!(self.state, State::PendingDeletion { at, .. } if at <= now)
    }

    /// The schedule rests while the key can't be used.
    pub(crate) fn rotation_is_due(&self, now: Timestamp) -> bool {
        self.state == State::Enabled && self.rotation.is_some_and(|r| r.next() <= now)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AliasRow {
    /// The id of a key in the same account and region.
    pub(crate) target: String,
    pub(crate) made: Timestamp,
    pub(crate) changed: Timestamp,
}

impl Document for AliasRow {
    const KIND: &'static str = "key alias";
    const VERSION: u32 = 1;
}

/// What a row's name says it is.
pub(crate) enum Named {
    Key(KeyArn),
    Alias(AliasName),
}

pub(crate) fn row_of_key(arn: &KeyArn) -> Key {
    Key::new(format!("{KEYS}{}/{}", arn.scope, arn.id))
}

pub(crate) fn row_of_alias(alias: &AliasName) -> Key {
    Key::new(format!("{ALIASES}{}/{}", alias.scope, alias.as_str()))
}

pub(crate) fn named(row: &Key) -> Option<Named> {
    let name = row.as_str();
    if let Some(rest) = name.strip_prefix(KEYS) {
        let (scope, id) = scope_of(rest)?;
        return Some(Named::Key(KeyArn::new(scope, id.parse::<KeyId>().ok()?)));
    }
    let (scope, alias) = scope_of(name.strip_prefix(ALIASES)?)?;
    AliasName::new(scope, alias).map(Named::Alias)
}

fn scope_of(path: &str) -> Option<(Scope, &str)> {
    let (account, rest) = path.split_once('/')?;
    let (region, name) = rest.split_once('/')?;
    Some((Scope::new(AccountId::new(account).ok()?, Region::new(region).ok()?), name))
}

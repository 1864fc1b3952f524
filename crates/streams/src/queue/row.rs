//! A queue as the metadata store keeps it. What happens to its records is in its journal.

use std::time::Duration;

use millstream_base::{AccountId, QueueId, Region, Scope, StreamArn, StreamName, Tags, Timestamp};
use millstream_log::LogId;
use millstream_meta::{Document, Key};
use serde::{Deserialize, Serialize};

use crate::queue_model::{DeadLetters, QueueStart, QueueStatus};

/// What the keys of all queue rows start with.
pub(crate) const PREFIX: &str = "queue/";

/// `queue/ACCOUNT/REGION/NAME`: so a name is taken once.
pub(crate) fn key_of(scope: &Scope, name: &StreamName) -> Key {
    Key::new(format!("{PREFIX}{}/{}/{name}", scope.account, scope.region))
}

/// The scope and name that a row's key holds.
pub(crate) fn name_of(key: &Key) -> Option<(Scope, StreamName)> {
    let mut parts = key.as_str().strip_prefix(PREFIX)?.splitn(3, '/');
    let account = AccountId::new(parts.next()?).ok()?;
    let region = Region::new(parts.next()?).ok()?;
    let name = StreamName::new(parts.next()?).ok()?;
    Some((Scope::new(account, region), name))
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueRow {
    pub(crate) id: QueueId,
    /// The upper half of its log's number; another for every queue and stream ever made.
    pub(crate) family: u32,
    /// Whole seconds.
    pub(crate) created: Timestamp,
    /// As written; [`QueueRow::status_at`] says what it is now.
    pub(crate) status: QueueStatus,
    /// When `status` ends by itself.
    pub(crate) due: Timestamp,
    /// The stream knows of it, and its journal begins where it is to begin.
    pub(crate) made: bool,
    pub(crate) source: Source,
    /// `None`: the caller named none, which means LATEST.
    pub(crate) start: Option<QueueStart>,
    pub(crate) visibility_timeout_secs: u32,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) tags: Tags,
    /// A resource policy, as it came.
    #[serde(default)]
    pub(crate) policy: Option<String>,
}

/// The stream that a queue delivers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    account: AccountId,
    region: Region,
    name: StreamName,
    pub(crate) family: u32,
    /// Whole seconds.
    pub(crate) created: Timestamp,
}

impl Source {
    pub(crate) fn new(stream: &StreamArn, family: u32, created: Timestamp) -> Self {
        let (account, region) = (stream.account(), stream.region().clone());
        Source { account, region, name: stream.name().clone(), family, created }
    }

    pub(crate) fn stream(&self) -> StreamArn {
        StreamArn::new(Scope::new(self.account, self.region.clone()), self.name.clone())
    }
}

impl Document for QueueRow {
    const KIND: &'static str = "queue";
    const VERSION: u32 = 1;
}

impl QueueRow {
    /// `None`: deleted, even if it was not swept yet.
    pub(crate) fn status_at(&self, now: Timestamp) -> Option<QueueStatus> {
        match self.status {
            QueueStatus::Creating if !self.made || now < self.due => Some(QueueStatus::Creating),
            QueueStatus::Updating if now < self.due => Some(QueueStatus::Updating),
            QueueStatus::Deleting if now < self.due => Some(QueueStatus::Deleting),
            QueueStatus::Deleting => None,
            _ => Some(QueueStatus::Active),
        }
    }

    /// Goes over to UPDATING for `duration`.
    pub(crate) fn begin_update(&mut self, now: Timestamp, duration: Duration) {
        if !duration.is_zero() {
            self.status = QueueStatus::Updating;
            self.due = now.plus(duration);
        }
    }

    /// Writes down what time has done.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        if let Some(status) = self.status_at(now) {
            self.status = status;
        }
    }

    pub(crate) fn journal(&self) -> LogId {
        LogId::new(self.family, 0)
    }

    /// The lease of whoever serves the queue.
    pub(crate) fn lease_key(&self) -> Key {
        Key::new(format!("lease/queue/{}", self.family))
    }
}

//! A stream's consumers as its row keeps them, and as the operations show them.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_base::{ConsumerArn, StreamArn, StreamName, Tags, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A consumer as descriptions and lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    pub arn: ConsumerArn,
    pub status: ConsumerStatus,
    /// Whole seconds; part of the ARN.
    pub created: Timestamp,
}

/// How a consumer's life stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConsumerStatus {
    Creating,
    Deleting,
    Active,
}

/// The consumer that a call means: by stream and name, and by its ARN's second if that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRef {
    pub stream: StreamArn,
    pub name: StreamName,
    pub created_secs: Option<u64>,
}

impl From<ConsumerArn> for ConsumerRef {
    fn from(arn: ConsumerArn) -> Self {
        let ConsumerArn { stream, name, created_secs } = arn;
        ConsumerRef { stream, name, created_secs: Some(created_secs) }
    }
}

/// The consumers of one stream, as its row keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consumers {
    /// Those that are gone are passed over by all who look, and dropped at the next change.
    pub(crate) by_name: BTreeMap<StreamName, ConsumerRow>,
    /// The latest second in which a consumer that is gone was made: no later one is made in it or
    /// before, so no two ever have the same ARN.
    gone_secs: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConsumerRow {
    pub(crate) created_secs: u64,
    /// As written; [`ConsumerRow::status_at`] says what it is now.
    status: ConsumerStatus,
    /// When `status` ends by itself.
    due: Timestamp,
    pub(crate) tags: Tags,
}

impl Consumers {
    /// How many there are, in whatever state.
    pub(crate) fn count(&self, now: Timestamp) -> u32 {
        self.after(None, now).count() as u32
    }

    pub(crate) fn get(&self, name: &StreamName, now: Timestamp) -> Option<&ConsumerRow> {
        self.by_name.get(name).filter(|c| c.status_at(now).is_some())
    }

    /// # Errors
    /// [`Error::ConsumerNotFound`], also for the ARN of one that was registered anew since.
    pub(crate) fn find(&self, which: &ConsumerRef, now: Timestamp) -> Result<&ConsumerRow> {
        let meant = |c: &&ConsumerRow| which.created_secs.is_none_or(|s| s == c.created_secs);
        self.get(&which.name, now).filter(meant).ok_or_else(|| which.not_found())
    }

    /// Those that are there, in the order of their names.
    pub(crate) fn after(
        &self,
        name: Option<&StreamName>,
        now: Timestamp,
    ) -> impl Iterator<Item = (&StreamName, &ConsumerRow)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = name.map_or(Unbounded, Excluded);
        let all = self.by_name.range::<StreamName, _>((from, Unbounded));
        all.filter(move |(_, c)| c.status_at(now).is_some())
    }

    /// All rows, gone ones too.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&StreamName, &ConsumerRow)> {
        self.by_name.iter()
    }

    pub(crate) fn add(
        &mut self,
        name: &StreamName,
        tags: Tags,
        creating: Duration,
        now: Timestamp,
    ) {
        self.settle(now);
        let created_secs = now.as_secs().max(self.gone_secs + 1);
        let status = ConsumerStatus::Creating;
        let row = ConsumerRow { created_secs, status, due: now.plus(creating), tags };
        let before = self.by_name.insert(name.clone(), row);
        assert!(before.is_none(), "{name} is there already: {before:?}");
        self.settle(now);
    }

    pub(crate) fn remove(&mut self, name: &StreamName, deleting: Duration, now: Timestamp) {
        if let Some(row) = self.by_name.get_mut(name) {
            row.status = ConsumerStatus::Deleting;
            // At once, whatever the clock does.
            row.due = if deleting.is_zero() { Timestamp::ZERO } else { now.plus(deleting) };
        }
        self.settle(now);
    }

    pub(crate) fn remove_all(&mut self) {
        self.by_name.clear();
    }

    /// Writes down what time has done.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        let gone_secs = &mut self.gone_secs;
        self.by_name.retain(|_, row| match row.status_at(now) {
            Some(status) => {
                row.status = status;
                true
            }
            None => {
                *gone_secs = (*gone_secs).max(row.created_secs);
                false
            }
        });
    }
}

impl ConsumerRow {
    /// `None`: gone.
    pub(crate) fn status_at(&self, now: Timestamp) -> Option<ConsumerStatus> {
        match self.status {
            ConsumerStatus::Creating if now < self.due => Some(ConsumerStatus::Creating),
            ConsumerStatus::Deleting if now < self.due => Some(ConsumerStatus::Deleting),
            ConsumerStatus::Deleting => None,
            _ => Some(ConsumerStatus::Active),
        }
    }

    pub(crate) fn not_active(&self, which: &ConsumerRef) -> Error {
        Error::ConsumerNotActive {
            stream: which.stream.clone(),
            consumer: which.name.clone(),
            created: Timestamp::from_secs(self.created_secs),
        }
    }

    pub(crate) fn show(&self, stream: &StreamArn, name: &StreamName, now: Timestamp) -> Consumer {
        let created_secs = self.created_secs;
        Consumer {
            arn: ConsumerArn { stream: stream.clone(), name: name.clone(), created_secs },
            status: self.status_at(now).unwrap_or(ConsumerStatus::Deleting),
            created: Timestamp::from_secs(created_secs),
        }
    }
}

impl ConsumerRef {
    pub(crate) fn not_found(&self) -> Error {
        let (stream, consumer) = (self.stream.clone(), self.name.clone());
        Error::ConsumerNotFound { stream, consumer }
    }
}

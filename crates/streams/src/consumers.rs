//! Fan-out consumers: registered readers of a stream, each with throughput of its own.
//!
//! A stream's consumers stand in its row: that they are so many, that their names differ and that
//! a stream with consumers is not deleted by accident all hang on one compare-and-set. A stream
//! that is made anew has none, and a crash leaves nothing behind.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_base::limits::{
    CONSUMERS_CREATING_MAX, CONSUMERS_PER_STREAM_COMMITTED_MAX, CONSUMERS_PER_STREAM_MAX,
    LIST_CONSUMERS_PAGE_MAX,
};
use millstream_base::{
    ConsumerArn, ResourceArn, Scope, StreamArn, StreamName, Tags, Timestamp, tags,
};
use serde::{Deserialize, Serialize};

use crate::control_call::ControlCall;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{Commitment, StreamStatus};
use crate::token::ConsumersToken;

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

/// A page of a stream's consumers to be listed.
#[derive(Clone, Copy, Debug)]
pub struct ListConsumers<'a> {
    pub stream: &'a StreamArn,
    /// If it is not the stream's own creation time, another stream of that name is meant.
    pub created: Option<Timestamp>,
    pub next_token: Option<&'a str>,
    /// More than 100 gives 100.
    pub max_results: Option<usize>,
}

/// Consumers in the order of their names.
#[derive(Clone, Debug)]
pub struct ConsumersPage {
    pub consumers: Vec<Consumer>,
    pub next_token: Option<String>,
}

impl From<ConsumerArn> for ConsumerRef {
    fn from(arn: ConsumerArn) -> Self {
        let ConsumerArn { stream, name, created_secs } = arn;
        ConsumerRef { stream, name, created_secs: Some(created_secs) }
    }
}

impl Streams {
    /// Registers a consumer. It is CREATING until [`crate::StateDurations::consumer_creating`] is over.
    ///
    /// # Errors
    /// In this order: the stream exists and is ACTIVE or UPDATING; the name is taken; 20 consumers
    /// are there (50 with the account's commitment) or 5 are CREATING; tags that can't be.
    pub async fn register_stream_consumer(
        &self,
        stream: &StreamArn,
        name: &StreamName,
        tags: &Tags,
    ) -> Result<Consumer> {
        let limit = self.consumer_limit(stream.scope()).await?;
        let creating = self.inner.options.state_durations.consumer_creating;
        self.change(stream, |row, status, now| {
            if !matches!(status, StreamStatus::Active | StreamStatus::Updating) {
                return Err(Error::StreamNotActive { stream: stream.clone(), status });
            }
            let consumers = &mut row.consumers;
            if consumers.get(name, now).is_some() {
                let (stream, consumer) = (stream.clone(), name.clone());
                return Err(Error::ConsumerExists { stream, consumer });
            }
            check_quotas(stream, consumers, limit, now)?;
            let added = tags.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            tags::check_added(&Tags::new(), added)
                .map_err(|error| Error::Tags { stream: stream.clone(), error })?;
            consumers.add(name, tags.clone(), creating, now);
            Ok(consumers.get(name, now).expect("it was added").show(stream, name, now))
        })
        .await
    }

    /// Removes a consumer; its subscriptions go on for
    /// [`crate::SubscriptionOptions::linger`]. It is DELETING until
    /// [`crate::StateDurations::consumer_deleting`] is over. One that is DELETING already stays so.
    ///
    /// # Errors
    /// [`Error::StreamNotFound`], [`Error::ConsumerNotFound`].
    pub async fn deregister_stream_consumer(&self, which: &ConsumerRef) -> Result<()> {
        let deleting = self.inner.options.state_durations.consumer_deleting;
        let (found, _) = self.find(&which.stream).await?;
        self.admit_stream_call(&found, ControlCall::DeregisterStreamConsumer)?;
        let created_secs = self
            .change(&which.stream, |row, _, now| {
                let found = row.consumers.find(which, now)?;
                let (status, created_secs) = (found.status_at(now), found.created_secs);
                if status != Some(ConsumerStatus::Deleting) {
                    row.consumers.remove(&which.name, deleting, now);
                }
                Ok(created_secs)
            })
            .await?;
        self.remove_policy(&ResourceArn::Consumer {
            stream: which.stream.clone(),
            consumer: which.name.clone(),
            created_secs,
        })
        .await
    }

    /// # Errors
    /// [`Error::StreamNotFound`], [`Error::ConsumerNotFound`].
    pub async fn describe_stream_consumer(&self, which: &ConsumerRef) -> Result<Consumer> {
        let (found, _) = self.find(&which.stream).await?;
        self.admit_stream_call(&found, ControlCall::DescribeStreamConsumer)?;
        let now = self.now();
        Ok(found.row.consumers.find(which, now)?.show(&which.stream, &which.name, now))
    }

    /// A page of a stream's consumers.
    ///
    /// # Errors
    /// The token is none, of another stream or expired; the stream does not exist (or is not the
    /// one of that creation time); it is not ACTIVE or UPDATING.
    pub async fn list_stream_consumers(&self, request: ListConsumers<'_>) -> Result<ConsumersPage> {
        let stream = request.stream;
        let token = request.next_token.map(|t| self.open_consumers_token(t, stream)).transpose()?;
        let (found, status) = self.find(stream).await?;
        self.admit_stream_call(&found, ControlCall::ListStreamConsumers)?;
        let created = |at: Timestamp| at.as_secs() == found.row.created.as_secs();
        let other = token.as_ref().is_some_and(|t| t.family != found.row.family);
        if other || !request.created.is_none_or(created) {
            return Err(Error::StreamNotFound { stream: stream.clone() });
        }
        if !matches!(status, StreamStatus::Active | StreamStatus::Updating) {
            return Err(Error::StreamNotActive { stream: stream.clone(), status });
        }
        let now = self.now();
        let limit = request.max_results.unwrap_or(LIST_CONSUMERS_PAGE_MAX);
        let limit = limit.clamp(1, LIST_CONSUMERS_PAGE_MAX);
        let after = token.map(|t| t.after);
        let mut rest = found.row.consumers.after(after.as_ref(), now);
        let consumers: Vec<Consumer> =
            rest.by_ref().take(limit).map(|(name, row)| row.show(stream, name, now)).collect();
        let next_token = match (consumers.last(), rest.next()) {
            (Some(last), Some(_)) => Some(self.seal_token(&ConsumersToken {
                issued: now,
                stream: stream.clone(),
                family: found.row.family,
                after: last.arn.name.clone(),
            })),
            _ => None,
        };
        Ok(ConsumersPage { consumers, next_token })
    }

    /// Adds tags to a consumer; those that are there already get the new value.
    ///
    /// # Errors
    /// [`Error::StreamNotFound`], [`Error::ConsumerNotFound`], [`Error::ConsumerNotActive`] if it
    /// is DELETING, [`Error::Tags`].
    pub async fn add_consumer_tags(&self, which: &ConsumerRef, added: &Tags) -> Result<()> {
        self.change_consumer_tags(which, |tags| {
            tags::check_added(tags, added.iter().map(|(k, v)| (k.as_str(), v.as_str())))?;
            tags.extend(added.iter().map(|(k, v)| (k.clone(), v.clone())));
            Ok(())
        })
        .await
    }

    /// Removes tags of a consumer; keys that are not there are passed over.
    ///
    /// # Errors
    /// As [`Streams::add_consumer_tags`].
    pub async fn remove_consumer_tags(&self, which: &ConsumerRef, keys: &[String]) -> Result<()> {
        self.change_consumer_tags(which, |tags| {
            tags::check_removed(keys.iter().map(String::as_str))?;
            tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await
    }

    /// All tags of a consumer, in the order of their keys: at most 50.
    ///
    /// # Errors
    /// [`Error::StreamNotFound`], [`Error::ConsumerNotFound`].
    pub async fn list_consumer_tags(&self, which: &ConsumerRef) -> Result<Vec<(String, String)>> {
        let (found, _) = self.find(&which.stream).await?;
        let consumer = found.row.consumers.find(which, self.now())?;
        Ok(consumer.tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    async fn change_consumer_tags(
        &self,
        which: &ConsumerRef,
        change: impl Fn(&mut Tags) -> Result<(), millstream_base::TagError>,
    ) -> Result<()> {
        let stream = &which.stream;
        self.change(stream, |row, _, now| {
            let found = row.consumers.find(which, now)?;
            if found.status_at(now) == Some(ConsumerStatus::Deleting) {
                return Err(found.not_active(which));
            }
            let tags = &mut row.consumers.by_name.get_mut(&which.name).expect("just found").tags;
            change(tags).map_err(|error| Error::Tags { stream: stream.clone(), error })
        })
        .await
    }

    async fn consumer_limit(&self, scope: &Scope) -> Result<u32> {
        let settings = self.describe_account_settings(scope).await?;
        Ok(match settings.commitment {
            Commitment::Disabled => CONSUMERS_PER_STREAM_MAX,
            _ => CONSUMERS_PER_STREAM_COMMITTED_MAX,
        })
    }
}

fn check_quotas(
    stream: &StreamArn,
    now_there: &Consumers,
    limit: u32,
    now: Timestamp,
) -> Result<()> {
    let status =
        |s| now_there.after(None, now).filter(|(_, c)| c.status_at(now) == Some(s)).count();
    if now_there.count(now) >= limit {
        return Err(Error::ConsumerLimit { stream: stream.clone(), limit });
    }
    if status(ConsumerStatus::Creating) >= CONSUMERS_CREATING_MAX as usize {
        let limit = CONSUMERS_CREATING_MAX;
        return Err(Error::ConsumersCreating { stream: stream.clone(), limit });
    }
    Ok(())
}

/// The consumers of one stream, as its row keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consumers {
    /// Those that are gone are passed over by all who look, and dropped at the next change.
    by_name: BTreeMap<StreamName, ConsumerRow>,
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
    tags: Tags,
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

    fn add(&mut self, name: &StreamName, tags: Tags, creating: Duration, now: Timestamp) {
        self.settle(now);
        let created_secs = now.as_secs().max(self.gone_secs + 1);
        let status = ConsumerStatus::Creating;
        let row = ConsumerRow { created_secs, status, due: now.plus(creating), tags };
        let before = self.by_name.insert(name.clone(), row);
        assert!(before.is_none(), "{name} is there already: {before:?}");
        self.settle(now);
    }

    fn remove(&mut self, name: &StreamName, deleting: Duration, now: Timestamp) {
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

    fn show(&self, stream: &StreamArn, name: &StreamName, now: Timestamp) -> Consumer {
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

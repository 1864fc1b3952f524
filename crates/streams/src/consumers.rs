//! Fan-out consumers: registered readers of a stream, each with throughput of its own.
//!
//! A stream's consumers stand in its row: that they are so many, that their names differ and that
//! a stream with consumers is not deleted by accident all hang on one compare-and-set. A stream
//! that is made anew has none, and a crash leaves nothing behind.

use millstream_base::limits::{
    CONSUMERS_CREATING_MAX, CONSUMERS_PER_STREAM_COMMITTED_MAX, CONSUMERS_PER_STREAM_MAX,
    LIST_CONSUMERS_PAGE_MAX,
};
use millstream_base::{
    ConsumerArn, ResourceArn, Scope, StreamArn, StreamName, Tags, Timestamp, tags,
};

use crate::consumer_row::{Consumer, ConsumerRef, ConsumerStatus, Consumers};
use crate::consumer_stats::{ConsumerCounts, ConsumerSamples, ConsumerStats};
use crate::control_call::ControlCall;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{Commitment, StreamStatus};
use crate::token::ConsumersToken;

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
            // Queues count as consumers.
            let limit_left = limit.saturating_sub(row.queues.len() as u32);
            if consumers.count(now) >= limit_left {
                return Err(Error::ConsumerLimit { stream: stream.clone(), limit });
            }
            check_quotas(stream, consumers, now)?;
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
        let (stream, name) = (which.stream.clone(), which.name.clone());
        let consumer = ConsumerArn { stream, name, created_secs };
        self.remove_policy(&ResourceArn::Consumer(consumer)).await
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

    /// What every registered consumer did since the last call, by stream and name. What happens
    /// meanwhile may fall on either side.
    pub fn take_consumer_samples(&self) -> Vec<ConsumerSamples> {
        let mut samples = Vec::new();
        for found in self.inner.cache.all() {
            for (name, stats) in &found.consumer_stats {
                samples.push(stats.take(found.stream.clone(), name.clone()));
            }
        }
        samples
    }

    /// Totals since the process started, of at most `limit` consumers.
    pub fn consumer_counts(&self, limit: usize) -> Vec<ConsumerCounts> {
        let all = self.inner.cache.all();
        let counts = all.iter().flat_map(|found| {
            let of = |(name, stats): (&StreamName, &std::sync::Arc<ConsumerStats>)| {
                stats.counts(found.stream.clone(), name.clone())
            };
            found.consumer_stats.iter().map(of)
        });
        counts.take(limit).collect()
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

    /// How many consumers and queues a stream of that account can have.
    pub(crate) async fn consumer_limit(&self, scope: &Scope) -> Result<u32> {
        let settings = self.describe_account_settings(scope).await?;
        Ok(match settings.commitment {
            Commitment::Disabled => CONSUMERS_PER_STREAM_MAX,
            _ => CONSUMERS_PER_STREAM_COMMITTED_MAX,
        })
    }
}

fn check_quotas(stream: &StreamArn, now_there: &Consumers, now: Timestamp) -> Result<()> {
    let status =
        |s| now_there.after(None, now).filter(|(_, c)| c.status_at(now) == Some(s)).count();
    if status(ConsumerStatus::Creating) >= CONSUMERS_CREATING_MAX as usize {
        let limit = CONSUMERS_CREATING_MAX;
        return Err(Error::ConsumersCreating { stream: stream.clone(), limit });
    }
    Ok(())
}

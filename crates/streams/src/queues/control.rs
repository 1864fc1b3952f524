//! CreateQueue, DescribeQueue, UpdateQueue and DeleteQueue.

use std::sync::Arc;

use millstream_base::limits::{
    MAX_RECEIVE_COUNT_DEFAULT, QUEUES_CHANGING_MAX, VISIBILITY_TIMEOUT_SECS_DEFAULT,
};
use millstream_base::{QueueArn, QueueId, Scope, Timestamp, tags};
use millstream_meta::{Document, Expect, MetaError};

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{StreamMode, StreamStatus};
use crate::queue::directory::QueueSnapshot;
use crate::queue::row::{QueueRow, Source, key_of};
use crate::queue_model::{
    CreateQueue, DeadLetters, QueueAttributes, QueueChanges, QueueDescription, QueueStart,
    QueueStatus,
};

/// How often a change is tried against others who change the same row.
const CONFLICTS_MAX: usize = 50;

impl Streams {
    /// Makes a queue. It is CREATING until the state's duration is over. LATEST is fixed by this
    /// call: records that are put after it are delivered.
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE and on demand; the name is taken; a quota is
    /// reached; the time is in the future; tags that can't be.
    pub async fn create_queue(&self, request: CreateQueue) -> Result<QueueDescription> {
        let stream = self.check_source(&request).await?;
        self.check_queue_name(&request).await?;
        self.check_queues_changing(&request.scope)?;
        self.check_room_for_queue(&stream.row, &stream.stream).await?;
        self.check_start(&request)?;
        let id = QueueId::from_random(u128::from_le_bytes(self.inner.env.random_bytes()));
        let queue = QueueArn { scope: request.scope.clone(), id };
        let added = request.tags.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        tags::check_added(&Default::default(), added)
            .map_err(|error| Error::QueueTags { queue: queue.clone(), error })?;

        let family = self.next_family().await?;
        let row = self.new_queue(&request, &stream, queue.id.clone(), family);
        let making = self.inner.queues.begin_making(family);
        let (scope, name) = (&request.scope, &request.name);
        match self.inner.meta.put(key_of(scope, name), row.encode(), Expect::Absent).await {
            Ok(revision) => self.directory().caught_up(revision).await,
            Err(MetaError::Conflict { .. }) => return Err(taken(&request)),
            Err(e) => return Err(e.into()),
        }
        self.inner.env.hesitate("queue-row-written").await;
        if let Err(error) = self.finish_queue_creation(scope, name, &row).await {
            // What this can't do either, the sweeper does.
            let _ = self.abandon_queue(scope, name, family).await;
            return Err(error);
        }
        drop(making);
        let found = self.find_queue(&queue).await?;
        let mut shown = self.show_queue(&found)?;
        // As on AWS: made, whatever time that takes.
        shown.status = QueueStatus::Creating;
        Ok(shown)
    }

    /// # Errors
    /// [`Error::QueueNotFound`].
    pub async fn describe_queue(&self, queue: &QueueArn) -> Result<QueueDescription> {
        let found = self.find_queue(queue).await?;
        self.show_queue(&found)
    }

    /// Changes attributes, for records that are received later. Those that are absent stay.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`]; [`Error::QueueNotActive`].
    pub async fn update_queue(
        &self,
        queue: &QueueArn,
        changes: QueueChanges,
    ) -> Result<QueueDescription> {
        let duration = self.inner.options.state_durations.queue_updating;
        self.change_queue(queue, |row, status, now| {
            if status != QueueStatus::Active {
                return Err(Error::QueueNotActive { queue: queue.clone(), status });
            }
            let before = row.clone();
            if let Some(secs) = changes.visibility_timeout_secs {
                row.visibility_timeout_secs = secs;
            }
            if let Some(dead_letters) = changes.dead_letters {
                row.dead_letters = dead_letters;
            }
            if *row != before {
                row.begin_update(now, duration);
            }
            Ok(())
        })
        .await?;
        self.describe_queue(queue).await
    }

    /// Deletes a queue. It is DELETING until the state's duration is over; its records are not
    /// delivered any more, its handles are void. The stream stays as it is. Deleting what is
    /// DELETING already succeeds.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`]; [`Error::QueuesChanging`].
    pub async fn delete_queue(&self, queue: &QueueArn) -> Result<()> {
        let duration = self.inner.options.state_durations.queue_deleting;
        let (family, made) = self
            .change_queue(queue, |row, status, now| {
                if status == QueueStatus::Deleting {
                    return Ok((row.family, row.made));
                }
                if !duration.is_zero() {
                    self.check_queues_changing(&queue.scope)?;
                }
                row.status = QueueStatus::Deleting;
                row.due = if duration.is_zero() { Timestamp::ZERO } else { now.plus(duration) };
                Ok((row.family, row.made))
            })
            .await?;
        // A queue that is not made yet may be in the making: the sweeper deletes it, after that.
        if duration.is_zero() && made {
            self.inner.env.hesitate("queue-marked-deleting").await;
            self.finish_queue_deletion(queue, family).await?;
        }
        Ok(())
    }

    /// The queue, in whatever state.
    pub(super) async fn find_queue(&self, queue: &QueueArn) -> Result<Arc<QueueSnapshot>> {
        let missing = || Error::QueueNotFound { queue: queue.clone() };
        let found = self.directory().find(queue).await?.ok_or_else(missing)?;
        found.row.status_at(self.now()).ok_or_else(missing)?;
        Ok(found)
    }

    /// Changes a queue's row by compare-and-set. `change` sees the row as time has left it and may
    /// be called more than once; if it changes nothing, nothing is written.
    pub(super) async fn change_queue<T>(
        &self,
        queue: &QueueArn,
        mut change: impl FnMut(&mut QueueRow, QueueStatus, Timestamp) -> Result<T>,
    ) -> Result<T> {
        let missing = || Error::QueueNotFound { queue: queue.clone() };
        let name = self.find_queue(queue).await?.name.clone();
        for _ in 0..CONFLICTS_MAX {
            let found = self.directory().fetch(&queue.scope, &name).await?;
            let found = found.filter(|f| f.queue == *queue).ok_or_else(missing)?;
            let now = self.now();
            let status = found.row.status_at(now).ok_or_else(missing)?;
            let mut row = found.row.clone();
            row.settle(now);
            let result = change(&mut row, status, now)?;
            if row == found.row {
                return Ok(result);
            }
            let (key, expect) = (key_of(&queue.scope, &name), Expect::At(found.revision));
            match self.inner.meta.put(key, row.encode(), expect).await {
                Ok(revision) => {
                    self.directory().caught_up(revision).await;
                    return Ok(result);
                }
                Err(MetaError::Conflict { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let reason = format!("{queue} was changed by others {CONFLICTS_MAX} times in a row");
        Err(Error::Unavailable { reason })
    }

    async fn check_source(&self, request: &CreateQueue) -> Result<Arc<Snapshot>> {
        let (found, status) = self.find(&request.stream).await?;
        if status != StreamStatus::Active {
            return Err(Error::StreamNotActive { stream: request.stream.clone(), status });
        }
        match found.row.mode {
            StreamMode::OnDemand => Ok(found),
            StreamMode::Provisioned => {
                Err(Error::QueueNeedsOnDemand { stream: request.stream.clone() })
            }
        }
    }

    async fn check_queue_name(&self, request: &CreateQueue) -> Result<()> {
        let (scope, name) = (&request.scope, &request.name);
        let Some(found) = self.directory().fetch(scope, name).await? else { return Ok(()) };
        match found.row.status_at(self.now()) {
            Some(_) => Err(taken(request)),
            None if self.inner.queues.is_making(found.row.family) => Err(taken(request)),
            None => self.finish_queue_deletion(&found.queue, found.row.family).await,
        }
    }

    fn check_queues_changing(&self, scope: &Scope) -> Result<()> {
        let (now, limit) = (self.now(), QUEUES_CHANGING_MAX);
        let changing = |q: &&Arc<QueueSnapshot>| {
            let status = q.row.status_at(now);
            matches!(status, Some(QueueStatus::Creating | QueueStatus::Deleting)) && q.row.due > now
        };
        let queues = self.directory().after(scope, None);
        match queues.iter().filter(changing).count() < limit as usize {
            true => Ok(()),
            false => Err(Error::QueuesChanging { account: scope.account, limit }),
        }
    }

    fn check_start(&self, request: &CreateQueue) -> Result<()> {
        match request.start {
            Some(QueueStart::AtTimestamp(at)) if at > self.now() => {
                Err(Error::TimestampInFuture { at, now: self.now() })
            }
            _ => Ok(()),
        }
    }

    fn new_queue(
        &self,
        request: &CreateQueue,
        stream: &Snapshot,
        id: QueueId,
        family: u32,
    ) -> QueueRow {
        let now = self.now();
        let built_in = DeadLetters::BuiltIn { max_receive_count: MAX_RECEIVE_COUNT_DEFAULT };
        let asked = request.attributes;
        QueueRow {
            id,
            family,
            created: Timestamp::from_secs(now.as_secs()),
            status: QueueStatus::Creating,
            due: now.plus(self.inner.options.state_durations.queue_creating),
            made: false,
            source: Source::new(&stream.stream, stream.row.family, stream.row.created),
            start: request.start,
            visibility_timeout_secs: asked
                .visibility_timeout_secs
                .unwrap_or(VISIBILITY_TIMEOUT_SECS_DEFAULT),
            dead_letters: asked.dead_letters.unwrap_or(built_in),
            tags: request.tags.clone(),
            policy: None,
        }
    }

    fn show_queue(&self, found: &QueueSnapshot) -> Result<QueueDescription> {
        let row = &found.row;
        let missing = || Error::QueueNotFound { queue: found.queue.clone() };
        let status = row.status_at(self.now()).ok_or_else(missing)?;
        Ok(QueueDescription {
            queue: found.queue.clone(),
            name: found.name.clone(),
            status,
            created: row.created,
            stream: row.source.stream(),
            start: match status {
                QueueStatus::Creating => row.start,
                _ => Some(row.start.unwrap_or_default()),
            },
            attributes: QueueAttributes {
                visibility_timeout_secs: row.visibility_timeout_secs,
                dead_letters: row.dead_letters,
            },
        })
    }
}

fn taken(request: &CreateQueue) -> Error {
    Error::QueueExists { scope: request.scope.clone(), name: request.name.clone() }
}

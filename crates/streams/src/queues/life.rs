//! How queues come and go, in steps that can be repeated.
//!
//! A queue is made in these: its row says CREATING; the stream's row names it, so that the stream
//! stays; its journal says where it begins; its row says that it is made. It goes in these: its row
//! says DELETING; its journal is removed; the stream's row names it no more; its row is removed.
//! Who finds a step undone (the sweeper, after a crash) does it. So a stream never names a queue
//! that has no row, and no journal is left without one.
//!
//! One at a time makes or unmakes a queue in this process: a call that makes it keeps the sweeper
//! off, and what is deleted before it was made is left to the sweeper.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_base::{QueueArn, Scope, ShardId, StreamArn, StreamName, Timestamp};
use millstream_log::{LogError, Position};
use millstream_meta::{Expect, MetaError};

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{StreamMode, StreamStatus};
use crate::queue::directory::Directory;
use crate::queue::journal::Journal;
use crate::queue::row::{QueueRow, key_of};
use crate::queue::state::State;
use crate::queue_model::{QueueStart, QueueStatus};
use crate::stream_row::StreamRow;

impl Streams {
    /// From now on no receive waits for records: called when the node is about to end.
    pub fn stop_waiting(&self) {
        self.inner.queues.stop_waiting();
    }

    pub(crate) async fn sweep_queues(&self) {
        let now = self.now();
        for found in self.directory().all() {
            let (scope, name, row) = (&found.queue.scope, &found.name, &found.row);
            if self.inner.queues.is_making(row.family) {
                continue;
            }
            let work = match row.status {
                QueueStatus::Deleting if row.due <= now => {
                    self.finish_queue_deletion(&found.queue, row.family).await
                }
                QueueStatus::Deleting => Ok(()),
                _ if !row.made => self.sweep_creation(scope, name, row).await,
                _ => Ok(()),
            };
            if let Err(error) = work {
                tracing::warn!(queue = %found.queue, %error, "sweeping failed; trying again later");
            }
        }
    }

    /// What could not be made because its stream is gone or full is given up.
    async fn sweep_creation(&self, scope: &Scope, name: &StreamName, row: &QueueRow) -> Result<()> {
        let _making = self.inner.queues.begin_making(row.family);
        match self.finish_queue_creation(scope, name, row).await {
            Err(Error::Unavailable { reason }) => Err(Error::Unavailable { reason }),
            Err(_) => self.abandon_queue(scope, name, row.family).await,
            Ok(()) => Ok(()),
        }
    }

    /// Makes what a CREATING queue needs and says so in its row.
    pub(super) async fn finish_queue_creation(
        &self,
        scope: &Scope,
        name: &StreamName,
        row: &QueueRow,
    ) -> Result<()> {
        let source = row.source.stream();
        let queue = QueueArn { scope: scope.clone(), id: row.id.clone() };
        self.name_in_stream(&source, row).await?;
        self.inner.env.hesitate("queue-named-in-stream").await;
        let (stream, _) = self.find(&source).await?;
        let state = State::new(self.starts(&stream, row).await?);
        self.inner.log.create(vec![row.journal()]).await?;
        Journal::begin(self.inner.log.clone(), row.journal(), &state, self.now()).await?;
        self.inner.env.hesitate("queue-journal-begun").await;
        let said = self.change_queue(&queue, |found, _, now| {
            if found.family != row.family || found.status == QueueStatus::Deleting {
                return Err(Error::QueueNotFound { queue: queue.clone() });
            }
            found.made = true;
            // Should the clock have been set back since, the queue is not CREATING for longer.
            let creating = self.inner.options.state_durations.queue_creating;
            found.due = found.due.min(now.plus(creating));
            found.settle(now);
            Ok(())
        });
        let said = said.await;
        if let Err(Error::QueueNotFound { .. }) = said {
            // Deleted meanwhile: what was made again above goes too.
            self.remove_parts(row).await?;
            let _ = self.abandon_queue(scope, name, row.family).await;
        }
        said
    }

    /// Gives up a queue that could not be made. If someone else has made it, it stays.
    pub(super) async fn abandon_queue(
        &self,
        scope: &Scope,
        name: &StreamName,
        family: u32,
    ) -> Result<()> {
        let found = self.directory().fetch(scope, name).await?;
        let Some(found) = found.filter(|f| f.row.family == family) else { return Ok(()) };
        self.change_queue(&found.queue, |row, _, _| {
            if row.family == family && !row.made {
                row.status = QueueStatus::Deleting;
                row.due = Timestamp::ZERO; // at once, whatever the clock does
            }
            Ok(())
        })
        .await?;
        self.finish_queue_deletion(&found.queue, family).await
    }

    /// Removes all of a queue whose DELETING is over.
    pub(super) async fn finish_queue_deletion(&self, queue: &QueueArn, family: u32) -> Result<()> {
        let Some(known) = self.directory().find(queue).await? else { return Ok(()) };
        let Some(found) = self.directory().fetch(&queue.scope, &known.name).await? else {
            return Ok(());
        };
        let row = &found.row;
        if row.family != family || row.status_at(self.now()).is_some() {
            return Ok(());
        }
        self.remove_parts(row).await?;
        let key = key_of(&queue.scope, &found.name);
        match self.inner.meta.delete(key, Expect::At(found.revision)).await {
            Ok(revision) => {
                self.directory().caught_up(revision).await;
                Ok(())
            }
            // Someone else has done it.
            Err(MetaError::Conflict { .. }) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Journal, lease and the stream's mention of a queue.
    async fn remove_parts(&self, row: &QueueRow) -> Result<()> {
        self.inner.log.delete(vec![row.journal()]).await?;
        self.inner.meta.delete(row.lease_key(), Expect::Anything).await?;
        self.inner.env.hesitate("queue-journal-deleted").await;
        let source = row.source.stream();
        let forgotten = self.change(&source, |stream, _, _| {
            if stream.family == row.source.family {
                stream.queues.retain(|id| *id != row.id);
            }
            Ok(())
        });
        match forgotten.await {
            Err(Error::StreamNotFound { .. }) => Ok(()),
            forgotten => forgotten,
        }
    }

    async fn name_in_stream(&self, source: &StreamArn, row: &QueueRow) -> Result<()> {
        let limit = self.consumer_limit(source.scope()).await?;
        self.change(source, |stream, status, now| {
            if stream.family != row.source.family || status == StreamStatus::Deleting {
                return Err(Error::StreamNotFound { stream: source.clone() });
            }
            if stream.mode != StreamMode::OnDemand {
                return Err(Error::QueueNeedsOnDemand { stream: source.clone() });
            }
            if !stream.queues.contains(&row.id) {
                check_room(stream, source, limit, now)?;
                stream.queues.push(row.id.clone());
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn check_room_for_queue(
        &self,
        row: &StreamRow,
        stream: &StreamArn,
    ) -> Result<()> {
        check_room(row, stream, self.consumer_limit(stream.scope()).await?, self.now())
    }

    /// Where a new queue begins in every shard that is not read from its start. Shards that are
    /// made later are: what is put into them comes after this.
    async fn starts(
        &self,
        stream: &Arc<Snapshot>,
        row: &QueueRow,
    ) -> Result<BTreeMap<ShardId, Position>> {
        let mut starts = BTreeMap::new();
        let start = row.start.unwrap_or_default();
        for shard in stream.row.shards.all() {
            let log = stream.log_of(shard.id);
            let position = match start {
                QueueStart::TrimHorizon => continue,
                QueueStart::Latest => match self.inner.log.tail(log) {
                    Err(LogError::NotFound { .. }) => continue,
                    tail => tail?.borrow().next,
                },
                QueueStart::AtTimestamp(at) => self.inner.log.find(log, at).await?,
            };
            starts.insert(shard.id, position);
        }
        Ok(starts)
    }

    pub(super) fn directory(&self) -> &Directory {
        self.inner.queues.directory()
    }
}

fn check_room(row: &StreamRow, stream: &StreamArn, limit: u32, now: Timestamp) -> Result<()> {
    // Consumers count too.
    match row.queues.len() as u32 + row.consumers.count(now) < limit {
        true => Ok(()),
        false => Err(Error::QueuesPerStream { stream: stream.clone(), limit }),
    }
}

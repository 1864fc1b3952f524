//! SplitShard and MergeShards, and the one way in which shards change while records come in.
//!
//! ```text
//!  1  the row notes the reshard           writers go on in the parents
//!  2  the new shards' logs are made           "
//!  3  the parents' logs are sealed        writers meet the seal and wait for news of the row
//!  4  the row closes the parents and      writers go on in the children
//!     opens the children, all at once
//! ```
//!
//! Each step can be repeated, by several nodes at once; what a crash leaves undone the sweeper
//! does. Until step 4 the parents own the ring, from it on the children do, so open shards cover it
//! at every moment. No child takes a record before all parents are sealed, so a key's records stay
//! in order; the closing instant lies after the newest record of every parent.
//!
//! Invariant: a parent's log is sealed only while its row notes the reshard that closes it.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use millstream_base::{HashKey, ShardId, StreamArn, Timestamp};
use millstream_log::{LogError, LogId};
use tokio::sync::oneshot;

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{StreamMode, StreamStatus};
use crate::reshard_plan::Reshard;
use crate::shard_map::{ReshardError, Shard};
use crate::stream_row::StreamRow;

/// Logs that are sealed at the same time.
const SEALS_AT_ONCE: usize = 256;

/// The least time between two instants.
const INSTANT: Duration = Duration::from_millis(1);

impl Streams {
    /// Splits a shard in two: the lower child ends before `new_starting_hash_key`, the upper begins
    /// with it. When this returns, both are open.
    ///
    /// # Errors
    /// In this order: the stream exists, is provisioned, is ACTIVE; the shard exists; the account
    /// has room for one shard more; the shard is open; the key lies well inside it.
    ///
    /// After [`Error::Unavailable`] the split may still come about: the stream is UPDATING then.
    pub async fn split_shard(
        &self,
        stream: &StreamArn,
        shard: ShardId,
        new_starting_hash_key: &str,
    ) -> Result<()> {
        let decide = |row: &mut StreamRow, status, _| {
            check_provisioned(stream, row)?;
            check_active(stream, status)?;
            let found = self.find_shard(stream, row, shard)?;
            let is_open = found.is_open();
            let range = found.range;
            self.check_shards(stream.scope(), &self.usage(stream.scope()), 1)?;
            if !is_open {
                return Err(Error::ShardClosed { stream: stream.clone(), shard });
            }
            let key = new_starting_hash_key;
            let outside = || Error::SplitOutside {
                stream: stream.clone(),
                shard,
                hash_key: key.chars().take(64).collect(),
                range,
            };
            let split = Reshard::Split { shard, at: HashKey::parse(key).map_err(|_| outside())? };
            match split.plan(&row.shards) {
                Ok(_) => Ok((Some(split), ())),
                Err(_) => Err(outside()),
            }
        };
        self.reshard(stream, decide).await
    }

    /// Merges two neighbours into one, `shard` being the lower. When this returns, the child is
    /// open.
    ///
    /// # Errors
    /// In this order: the stream exists, is provisioned, is ACTIVE; both shards exist, are open,
    /// are neighbours in this order. As to [`Error::Unavailable`], see [`Streams::split_shard`].
    pub async fn merge_shards(
        &self,
        stream: &StreamArn,
        shard: ShardId,
        adjacent: ShardId,
    ) -> Result<()> {
        let decide = |row: &mut StreamRow, status, _| {
            check_provisioned(stream, row)?;
            check_active(stream, status)?;
            for shard in [shard, adjacent] {
                self.find_shard(stream, row, shard)?;
            }
            let merge = Reshard::Merge { lower: shard, upper: adjacent };
            match merge.plan(&row.shards) {
                Ok(_) => Ok((Some(merge), ())),
                Err(ReshardError::Closed { shard }) => {
                    Err(Error::ShardClosed { stream: stream.clone(), shard })
                }
                Err(_) => Err(Error::ShardsNotAdjacent {
                    stream: stream.clone(),
                    lower: shard,
                    upper: adjacent,
                }),
            }
        };
        self.reshard(stream, decide).await
    }

    /// Carries out what `decide` wants, if anything; returns what it says beside. `decide` sees the
    /// row as [`Streams::change`] shows it and may be called more than once.
    ///
    /// Once noted, the reshard goes on even if this future is dropped.
    pub(crate) async fn reshard<T>(
        &self,
        stream: &StreamArn,
        mut decide: impl FnMut(&mut StreamRow, StreamStatus, Timestamp) -> Result<(Option<Reshard>, T)>,
    ) -> Result<T> {
        // Keeps this process's sweeper from doing the same; another node's may.
        let alone = self.inner.resharding.enter(stream);
        let (begun, said) = self
            .change(stream, |row, status, now| {
                let (reshard, said) = decide(row, status, now)?;
                let begun = reshard.is_some();
                row.reshard = reshard.or(row.reshard.take());
                Ok((begun, said))
            })
            .await?;
        if !begun {
            return Ok(said);
        }
        let (done, result) = oneshot::channel();
        let (streams, stream) = (self.clone(), stream.clone());
        self.inner.env.spawn("streams-reshard", async move {
            let result = streams.carry_out(&stream).await;
            drop(alone);
            let _ = done.send(result);
        });
        let stopped = |_| Error::Unavailable { reason: "the node is stopping".into() };
        result.await.map_err(stopped)??;
        Ok(said)
    }

    /// Carries out the reshard that the row notes, if there is one and nobody here is at it.
    pub(crate) async fn finish_reshard(&self, stream: &StreamArn) -> Result<()> {
        match self.inner.resharding.enter(stream) {
            Some(_alone) => self.carry_out(stream).await,
            None => Ok(()),
        }
    }

    /// Steps 2 to 4.
    async fn carry_out(&self, stream: &StreamArn) -> Result<()> {
        let env = &self.inner.env;
        env.hesitate("reshard-noted").await;
        let Some(found) = self.inner.cache.fetch(stream).await? else { return Ok(()) };
        let (family, next) = (found.row.family, found.row.shards.next());
        let Some(noted) = found.row.reshard.clone() else { return Ok(()) };
        if found.row.status_at(self.now()) != Some(StreamStatus::Updating) {
            return Ok(()); // it is being deleted, together with whatever logs there are
        }
        let broken = |e: ReshardError| Error::Corrupt { reason: format!("{stream}: {e}") };
        let plan = noted.plan(&found.row.shards).map_err(broken)?;
        let logs = |shards: &[ShardId]| -> Vec<LogId> {
            shards.iter().map(|shard| found.row.log_of(*shard)).collect()
        };

        self.inner.log.create(logs(&plan.new)).await?;
        env.hesitate("reshard-logs-made").await;
        let mut ending = logs(&plan.parents);
        ending.extend(logs(&plan.born_closed));
        let (first, late) = match self.inner.options.seals_first() {
            true => (ending, Vec::new()),
            false => (Vec::new(), ending),
        };
        let last_at = self.seal_all(first).await?;
        env.hesitate("reshard-parents-sealed").await;

        let said = self.change(stream, |row, status, now| {
            if row.family != family {
                return Err(Error::StreamNotFound { stream: stream.clone() });
            }
            let due = row.reshard.as_ref() == Some(&noted) && row.shards.next() == next;
            if !due || status != StreamStatus::Updating {
                return Ok(()); // someone else was faster
            }
            // After every record of the parents, and after every instant asked about until now.
            let at = now.max(last_at).plus(INSTANT);
            noted.apply(&mut row.shards, at).map_err(broken)?;
            row.reshard = None;
            row.status = StreamStatus::Updating;
            row.due = now.plus(self.inner.options.state_durations.resharding);
            row.settle(now);
            Ok(())
        });
        let said = said.await;
        self.seal_all(late).await?;
        if let Err(Error::StreamNotFound { .. }) = said {
            // Deleted meanwhile: no row speaks of these logs any more.
            self.inner.log.delete(logs(&plan.new)).await?;
            return Ok(());
        }
        said
    }

    /// Seals logs; returns the time of the newest record in them. One that is gone belonged to a
    /// stream or shard that is gone.
    pub(crate) async fn seal_all(&self, logs: Vec<LogId>) -> Result<Timestamp> {
        let seals = logs.into_iter().map(|log| self.inner.log.seal(log));
        let mut tails = stream::iter(seals).buffer_unordered(SEALS_AT_ONCE);
        let mut last_at = Timestamp::ZERO;
        while let Some(tail) = tails.next().await {
            match tail {
                Ok(tail) => last_at = last_at.max(tail.last_at),
                Err(LogError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(last_at)
    }

    fn find_shard<'a>(
        &self,
        stream: &StreamArn,
        row: &'a StreamRow,
        shard: ShardId,
    ) -> Result<&'a Shard> {
        let horizon = row.horizon_at(self.now());
        let found = row.shards.get(shard).filter(|s| !s.is_expired(horizon));
        found.ok_or_else(|| Error::ShardMissing { stream: stream.clone(), shard })
    }
}

pub(crate) fn check_provisioned(stream: &StreamArn, row: &StreamRow) -> Result<()> {
    match row.mode {
        StreamMode::Provisioned => Ok(()),
        StreamMode::OnDemand => Err(Error::StreamOnDemand { stream: stream.clone() }),
    }
}

pub(crate) fn check_active(stream: &StreamArn, status: StreamStatus) -> Result<()> {
    match status {
        StreamStatus::Active => Ok(()),
        _ => Err(Error::StreamNotActive { stream: stream.clone(), status }),
    }
}

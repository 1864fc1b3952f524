//! Finishing what was begun: streams half made or marked for deletion, reshards, shards past
//! retention.
//!
//! Everything here can be done twice and by several nodes at once: logs are made and removed by
//! number, rows by compare-and-set.

use std::sync::Weak;

use millstream_base::{StreamArn, Timestamp};
use millstream_log::LogId;
use tokio::sync::watch;

use crate::cache::Snapshot;
use crate::engine::{Inner, Streams};
use crate::error::Result;
use crate::model::StreamStatus;

/// Sweeps at once and then at every interval, until the engine ends.
pub(crate) async fn run(engine: Weak<Inner>, mut stop: watch::Receiver<bool>) {
    if let Some(inner) = engine.upgrade() {
        Streams { inner }.seal_closed_shards().await;
    }
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let streams = Streams { inner };
        streams.sweep().await;
        streams.sweep_queues().await;
        streams.inner.keys.drop_unusable();
        let interval = streams.inner.options.sweep_interval;
        drop(streams);
        if tokio::time::timeout(interval, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

impl Streams {
    /// Seals the logs of closed shards again that lost their seal with a damaged file: readers
    /// would wait for their ends for ever.
    async fn seal_closed_shards(&self) {
        for found in self.inner.cache.all() {
            let is_unsealed =
                |log: &LogId| self.inner.log.tail(*log).is_ok_and(|tail| !tail.borrow().sealed);
            let closed = found.row.shards.all().iter().filter(|s| !s.is_open());
            let unsealed: Vec<LogId> =
                closed.map(|s| found.log_of(s.id)).filter(is_unsealed).collect();
            if unsealed.is_empty() {
                continue;
            }
            let logs = unsealed.len();
            tracing::warn!(stream = %found.stream, logs, "closed shards are sealed again");
            if let Err(error) = self.seal_all(unsealed).await {
                tracing::warn!(stream = %found.stream, %error, "sealing failed");
            }
        }
    }

    pub(crate) async fn sweep(&self) {
        let now = self.now();
        for found in self.inner.cache.all() {
            let work = match found.row.status {
                StreamStatus::Deleting if found.row.due <= now => {
                    self.finish_deletion(&found.stream, found.row.family).await
                }
                StreamStatus::Deleting => Ok(()),
                _ if !found.row.logs_made => self.finish_creation(&found.stream, &found.row).await,
                _ if found.row.reshard.is_some() => self.finish_reshard(&found.stream).await,
                _ if has_expired_shards(&found, now) => {
                    self.remove_expired_shards(&found.stream).await
                }
                _ => Ok(()),
            };
            if let Err(error) = work {
                tracing::warn!(stream = %found.stream, %error, "sweeping failed; trying again later");
            }
        }
    }

    /// In two steps, so that the row speaks of a log as long as it is there: shards become doomed,
    /// then their logs go.
    async fn remove_expired_shards(&self, stream: &StreamArn) -> Result<()> {
        let doomed = self.change(stream, |row, _, now| {
            // The clock may step back; what is expired once stays so.
            row.horizon = row.horizon_at(now);
            let gone = row.shards.remove_expired(row.horizon);
            row.doomed.extend(gone);
            Ok((row.family, row.doomed.clone()))
        });
        let (family, doomed) = doomed.await?;
        self.inner.env.hesitate("shards-doomed").await;
        let logs = doomed.iter().map(|shard| LogId::new(family, shard.number())).collect();
        self.inner.log.delete(logs).await?;
        self.change(stream, |row, _, _| {
            if row.family == family {
                row.doomed.retain(|shard| !doomed.contains(shard));
            }
            Ok(())
        })
        .await
    }
}

fn has_expired_shards(found: &Snapshot, now: Timestamp) -> bool {
    let horizon = found.row.horizon_at(now);
    !found.row.doomed.is_empty() || found.oldest_closing.is_some_and(|t| t < horizon)
}

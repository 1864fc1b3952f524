//! Finishing what was begun: streams half made or marked for deletion, shards past retention.
//!
//! Everything here can be done twice and by several nodes at once: logs are made and removed by
//! number, rows by compare-and-set.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use crate::cache::Snapshot;
use crate::engine::{Inner, Streams};
use crate::error::Result;
use crate::model::StreamStatus;

/// Sweeps at once and then at every interval, until the engine ends.
pub(crate) async fn run(engine: Weak<Inner>, mut stop: watch::Receiver<bool>) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let streams = Streams { inner };
        streams.sweep().await;
        let interval = streams.inner.options.sweep_interval;
        drop(streams);
        if tokio::time::timeout(interval, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

impl Streams {
    pub(crate) async fn sweep(&self) {
        let now = self.now();
        for found in self.inner.cache.all() {
            let work = match found.row.status {
                StreamStatus::Deleting if found.row.due <= now => {
                    self.finish_deletion(&found.stream, found.row.family).await
                }
                StreamStatus::Deleting => Ok(()),
                _ if !found.row.logs_made => self.finish_creation(&found.stream, &found.row).await,
                _ if found.oldest_closing.is_some_and(|t| t < found.row.horizon_at(now)) => {
                    self.remove_expired_shards(&found).await
                }
                _ => Ok(()),
            };
            if let Err(error) = work {
                tracing::warn!(stream = %found.stream, %error, "sweeping failed; trying again later");
            }
        }
    }

    /// Logs first: as long as the row speaks of a shard, it can be found again.
    async fn remove_expired_shards(&self, found: &Arc<Snapshot>) -> Result<()> {
        let mut left = found.row.shards.clone();
        let gone = left.remove_expired(found.row.horizon_at(self.now()));
        let logs = gone.iter().map(|shard| found.log_of(*shard)).collect();
        self.inner.log.delete(logs).await?;
        self.change(&found.stream, |row, _, now| {
            if row.family == found.row.family {
                // The clock may step back; what was removed must stay expired.
                row.horizon = row.horizon.max(found.row.horizon_at(now));
                let expired = gone.clone();
                row.shards.remove_all(&expired);
            }
            Ok(())
        })
        .await
    }
}

//! Giving back the space of expired records, slowly.
//!
//! Reading never shows expired records, so nothing here is urgent: shards are looked at one after
//! the other, a few at a time, and one whose oldest record is not due yet is not looked at at all.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Duration;

use millstream_base::{ShardId, Timestamp};
use millstream_log::{LogId, Position, ReadError, ReadLimit};
use tokio::sync::watch;

use crate::cache::Snapshot;
use crate::engine::{Inner, Streams};
use crate::error::Result;

/// Shards that are looked at before the next pause.
const SHARDS_PER_STEP: usize = 16;
/// The pause between two steps.
const STEP_PAUSE: Duration = Duration::from_millis(5);

/// Records are kept this much longer than they are shown: another node may be raising the retention
/// right now, and this one has not heard of it.
const MARGIN: Duration = Duration::from_secs(60);

/// Per log: no record in it is older than this.
type Oldest = HashMap<LogId, Timestamp>;

/// Trims at every interval, until the engine ends.
pub(crate) async fn run(engine: Weak<Inner>, mut stop: watch::Receiver<bool>) {
    let mut oldest = Oldest::new();
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let streams = Streams { inner };
        let interval = streams.inner.options.trim_interval;
        tokio::select! {
            biased;
            () = streams.trim_all(&mut oldest) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        drop(streams);
        if tokio::time::timeout(interval, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

impl Streams {
    async fn trim_all(&self, oldest: &mut Oldest) {
        let mut known = Oldest::with_capacity(oldest.len());
        let mut looked_at = 0;
        for found in self.inner.cache.all() {
            for shard in found.row.shards.all() {
                let log = found.log_of(shard.id);
                let since = oldest.get(&log).copied().unwrap_or(shard.opened_at);
                let since = match since < self.trim_horizon(&found) {
                    false => since,
                    true => {
                        looked_at += 1;
                        if looked_at % SHARDS_PER_STEP == 0 {
                            self.inner.env.sleep(STEP_PAUSE).await;
                        }
                        self.trim_shard(&found, shard.id, since).await
                    }
                };
                known.insert(log, since);
            }
        }
        *oldest = known;
    }

    fn trim_horizon(&self, found: &Snapshot) -> Timestamp {
        found.row.horizon_at(self.now()).minus(MARGIN)
    }

    /// Trims what is expired; returns a time before which there is no record any more.
    async fn trim_shard(&self, found: &Snapshot, shard: ShardId, since: Timestamp) -> Timestamp {
        match self.try_trim(found, shard).await {
            Ok(oldest) => oldest,
            Err(error) => {
                tracing::warn!(stream = %found.stream, %shard, %error, "trimming failed");
                since
            }
        }
    }

    async fn try_trim(&self, found: &Snapshot, shard: ShardId) -> Result<Timestamp> {
        let (log, now) = (found.log_of(shard), self.now());
        let horizon = self.trim_horizon(found);
        let kept = match self.inner.log.find(log, horizon).await {
            // The stream or the shard was removed meanwhile.
            Err(ReadError::NotFound { .. }) => return Ok(now),
            kept => kept?,
        };
        if kept > Position::START {
            self.inner.log.trim(log, kept).await?;
        }
        let first =
            self.inner.records.log.read(log, kept, ReadLimit { entries_max: 1, bytes_max: 1 });
        // What comes into an empty log comes now or later; should the clock step back, its space
        // is given back that much later.
        match first.await {
            // Its time is not worth fetching its key for: it is no older than the horizon.
            Err(ReadError::Locked { .. }) => Ok(horizon),
            first => Ok(first?.entries.first().map_or(now, |e| e.at)),
        }
    }
}

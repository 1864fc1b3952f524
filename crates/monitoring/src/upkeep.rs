//! The work at the side: flushing, settling, forgetting what is expired.

use std::sync::Weak;
use std::time::Duration;

use millstream_base::Timestamp;
use millstream_base::limits::METRIC_FUTURE_MAX;
use millstream_log::{LogError, Position};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::catalogue::{CATALOGUE, SeriesId, gone};
use crate::engine::{Inner, Request};
use crate::error::Result;

/// Blocks are kept this much longer than shown, so that trimming is rare.
const SLACK: Duration = Duration::from_secs(6 * 3600);
/// Series that are looked at before the next pause.
const SERIES_PER_STEP: usize = 32;
/// The pause between two steps.
const STEP_PAUSE: Duration = Duration::from_millis(5);
/// Entries that the log of definitions may have beyond twice the number of series.
const ENTRIES_SPARE: usize = 1000;

/// Works until it is told to stop, or nobody is left who could tell.
pub(crate) async fn run(inner: Weak<Inner>, mut inbox: mpsc::Receiver<Request>) {
    let Some(options) = inner.upgrade().map(|inner| inner.options.clone()) else { return };
    let mut settled_at = Instant::now();
    loop {
        let request = tokio::time::timeout(options.flush_interval, inbox.recv()).await;
        let Some(inner) = inner.upgrade() else { return };
        match request {
            Err(_) => {
                let due = settled_at.elapsed() >= options.settle_interval || inner.is_half_full();
                let work = match due {
                    true => inner.settle_and_forget().await,
                    false => inner.flush().await,
                };
                settled_at = if due { Instant::now() } else { settled_at };
                if let Err(error) = work {
                    tracing::warn!(%error, "metrics can't be written; trying again later");
                }
            }
            Ok(Some(Request::Flush(done))) => drop(done.send(inner.flush().await)),
            Ok(Some(Request::Settle(done))) => drop(done.send(inner.settle_and_forget().await)),
            Ok(Some(Request::Stop(done))) => {
                let _ = done.send(inner.flush().await);
                return;
            }
            Ok(None) => return,
        }
    }
}

impl Inner {
    /// Settling early makes room before recording has to be refused.
    fn is_half_full(&self) -> bool {
        self.state.lock().unsettled.len() > self.options.points_max / 2
    }

    async fn settle_and_forget(&self) -> Result<()> {
        self.settle().await?;
        self.forget().await
    }

    /// Gives back the space of expired blocks, and removes series of which nothing is left.
    async fn forget(&self) -> Result<()> {
        let now = self.env.now();
        let horizon = now.minus(self.options.retention).minus(METRIC_FUTURE_MAX).minus(SLACK);
        let ids: Vec<SeriesId> = self.state.lock().catalogue.all().map(|d| d.id).collect();
        let mut ended = Vec::new();
        for (at, id) in ids.into_iter().enumerate() {
            if at % SERIES_PER_STEP == SERIES_PER_STEP - 1 {
                self.env.sleep(STEP_PAUSE).await;
            }
            if self.end_if_empty(id, horizon) {
                ended.push(id);
                continue;
            }
            self.trim(id, horizon).await?;
        }
        if !ended.is_empty() {
            self.append(CATALOGUE, vec![gone(ended.clone())]).await?;
            self.log.delete(ended.iter().map(|id| self.log_of(id.0)).collect()).await?;
        }
        self.shorten_catalogue().await
    }

    /// Forgets a series that nothing was recorded of since `horizon`.
    fn end_if_empty(&self, id: SeriesId, horizon: Timestamp) -> bool {
        let mut state = self.state.lock();
        let empty = !state.has_points(id) && self.last_recorded(&state, id) < horizon;
        if empty {
            state.catalogue.remove(id);
        }
        empty
    }

    async fn trim(&self, id: SeriesId, horizon: Timestamp) -> Result<()> {
        let log = self.log_of(id.0);
        match self.log.tail(log) {
            Ok(_) => {}
            Err(LogError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let kept = self.log.find(log, horizon).await?;
        let first = self.log.find(log, Timestamp::ZERO).await?;
        if kept > first {
            self.log.trim(log, kept).await?;
        }
        Ok(())
    }

    /// Writes the definitions anew once most of their log is past.
    async fn shorten_catalogue(&self) -> Result<()> {
        let log = self.log_of(CATALOGUE);
        let mut entries = 0;
        crate::layout::read_log(&*self.log, log, Position::START, Position::END, |_| {
            entries += 1;
            Ok(())
        })
        .await?;
        let whole = {
            let state = self.state.lock();
            if entries <= 2 * state.catalogue.len() + ENTRIES_SPARE {
                return Ok(());
            }
            state.catalogue.whole()
        };
        let first = self.append(CATALOGUE, whole).await?;
        self.log.trim(log, first).await?;
        Ok(())
    }
}

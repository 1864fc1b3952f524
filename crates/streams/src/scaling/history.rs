//! What a stream's scaling remembers over restarts: its peaks of the last 30 days, one a day, and
//! when its shards were last changed.
//!
//! A row of its own, so that noting a peak does not disturb the stream's. It is small
//! ([`DAYS_KEPT_MAX`] pairs of numbers) and written only when something in it rises.

use std::time::Duration;

use millstream_base::limits::ON_DEMAND_PEAK_DAYS;
use millstream_base::{StreamArn, Timestamp};
use millstream_meta::{Document, Expect, Key, MetaError, Revision};
use serde::{Deserialize, Serialize};

use crate::engine::Streams;
use crate::error::Result;

/// Days that a row speaks of: those before today, and today.
pub(crate) const DAYS_KEPT_MAX: usize = ON_DEMAND_PEAK_DAYS as usize + 1;
/// A peak is written anew when it is higher by this part: a steady load writes nothing.
const RISE_MIN: f64 = 0.02;
/// How often a write is tried against other nodes'.
const CONFLICTS_MAX: usize = 10;
const DAY_SECS: u64 = 24 * 3600;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    /// Of which stream of that name.
    family: u32,
    /// Days since the epoch and the day's highest load, in thousandths of a shard's write budget.
    peaks: Vec<(u64, u64)>,
    changed_at: Timestamp,
}

impl Document for History {
    const KIND: &'static str = "stream's scaling history";
    const VERSION: u32 = 1;
}

impl History {
    pub(super) fn new(family: u32) -> Self {
        History { family, ..History::default() }
    }

    /// Notes a load; says whether that is worth writing down.
    pub(crate) fn saw(&mut self, load: f64, now: Timestamp) -> bool {
        let day = now.as_secs() / DAY_SECS;
        let milli = (load * 1000.0).round() as u64;
        self.peaks.retain(|(of, _)| of + ON_DEMAND_PEAK_DAYS >= day);
        match self.peaks.iter_mut().find(|(of, _)| *of == day) {
            Some((_, peak)) if milli as f64 > *peak as f64 * (1.0 + RISE_MIN) => *peak = milli,
            Some(_) => return false,
            None if milli == 0 => return false,
            None => self.peaks.push((day, milli)),
        }
        self.peaks.sort_unstable();
        let surplus = self.peaks.len().saturating_sub(DAYS_KEPT_MAX);
        self.peaks.drain(..surplus);
        true
    }

    /// The highest load that is not older than 30 days.
    pub(crate) fn peak(&self, now: Timestamp) -> f64 {
        let day = now.as_secs() / DAY_SECS;
        let young = self.peaks.iter().filter(|(of, _)| of + ON_DEMAND_PEAK_DAYS >= day);
        young.map(|(_, milli)| *milli).max().unwrap_or(0) as f64 / 1000.0
    }

    /// Whether the shards were changed less than `cool_down` ago. A change that lies far ahead is one
    /// of a clock that was set back since, and keeps nobody waiting.
    pub(crate) fn is_cooling(&self, now: Timestamp, cool_down: Duration) -> bool {
        let since = now.since(self.changed_at);
        since < cool_down && self.changed_at < now.plus(cool_down)
    }

    fn merge(&mut self, other: &History) {
        for (day, milli) in &other.peaks {
            match self.peaks.iter_mut().find(|(of, _)| of == day) {
                Some((_, peak)) => *peak = (*peak).max(*milli),
                None => self.peaks.push((*day, *milli)),
            }
        }
        self.peaks.sort_unstable();
        let surplus = self.peaks.len().saturating_sub(DAYS_KEPT_MAX);
        self.peaks.drain(..surplus);
        self.changed_at = self.changed_at.max(other.changed_at);
    }
}

impl Streams {
    /// What is remembered of a stream; nothing of an older one of its name.
    pub(crate) async fn load_history(&self, stream: &StreamArn, family: u32) -> Result<History> {
        Ok(self.read_history(stream, family).await?.0)
    }

    /// Writes `history` down together with what other nodes noted; `changed`: the shards are being
    /// changed now.
    pub(crate) async fn store_history(
        &self,
        stream: &StreamArn,
        history: &mut History,
        changed: bool,
    ) -> Result<()> {
        for _ in 0..CONFLICTS_MAX {
            let (found, revision) = self.read_history(stream, history.family).await?;
            history.merge(&found);
            if changed {
                history.changed_at = self.now();
            }
            let expect = revision.map_or(Expect::Absent, Expect::At);
            match self.inner.meta.put(key_of(stream), history.encode(), expect).await {
                Ok(_) => return Ok(()),
                Err(MetaError::Conflict { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(()) // the others noted theirs, and the next window notes ours
    }

    /// Forgets a stream that is being removed.
    pub(crate) async fn forget_history(&self, stream: &StreamArn) -> Result<()> {
        for key in [key_of(stream), lease_key(stream)] {
            // Most streams have neither, and a look is cheaper than a change.
            if self.inner.meta.get(&key).await?.is_some() {
                self.inner.meta.delete(key, Expect::Anything).await?;
            }
        }
        Ok(())
    }

    async fn read_history(
        &self,
        stream: &StreamArn,
        family: u32,
    ) -> Result<(History, Option<Revision>)> {
        let Some(row) = self.inner.meta.get(&key_of(stream)).await? else {
            return Ok((History::new(family), None));
        };
        let found = History::decode(&row.key, &row.value).map_err(MetaError::from)?;
        let found = if found.family == family { found } else { History::new(family) };
        Ok((found, Some(row.revision)))
    }
}

fn key_of(stream: &StreamArn) -> Key {
    Key::new(format!("scaling/{}/{}/{}", stream.account(), stream.region(), stream.name()))
}

/// The lease of who changes the stream's shards.
pub(crate) fn lease_key(stream: &StreamArn) -> Key {
    Key::new(format!("lease/scaling/{}/{}/{}", stream.account(), stream.region(), stream.name()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(DAY_SECS);

    #[test]
    fn a_peak_is_remembered_for_thirty_days() {
        let mut history = History::new(7);
        assert!(history.saw(4.5, START));
        assert!(!history.saw(4.55, START), "hardly higher");
        assert!(!history.saw(1.0, START));
        assert!(history.saw(1.0, START.plus(DAY)), "another day's");
        assert_eq!(history.peak(START.plus(30 * DAY)), 4.5);
        assert_eq!(history.peak(START.plus(31 * DAY)), 1.0);
        assert_eq!(history.peak(START.plus(32 * DAY)), 0.0);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_scaling_for_long() {
        let history = History { changed_at: START, ..History::new(7) };
        let minute = Duration::from_secs(60);
        assert!(history.is_cooling(START.plus(minute / 2), minute));
        assert!(!history.is_cooling(START.plus(minute), minute));
        assert!(history.is_cooling(START.minus(minute / 2), minute));
        assert!(!history.is_cooling(START.minus(2 * minute), minute));
    }

    proptest! {
        #[test]
        fn the_row_is_bounded_and_keeps_the_highest(
            loads in prop::collection::vec((0u64..400, 0.0f64..500.0), 1..200),
        ) {
            let mut history = History::new(1);
            let mut day = 0;
            for (ahead, load) in &loads {
                day += ahead % 3;
                history.saw(*load, START.plus(DAY * day as u32));
                prop_assert!(history.peaks.len() <= DAYS_KEPT_MAX);
                let peak = history.peak(START.plus(DAY * day as u32));
                prop_assert!(peak * (1.0 + RISE_MIN) + 0.001 >= *load, "{peak} after {load}");
            }
        }
    }
}

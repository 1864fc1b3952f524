//! Rates of a stream's shards as this process measures them: totals that only rise, looked at
//! twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_base::{ShardId, Timestamp};

use crate::cache::Snapshot;
use crate::hot_keys::Rate;
use crate::scaling::history::History;
use crate::scaling_policy::ShardLoad;

/// What is measured of one stream.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) family: u32,
    /// Read from the store when it is first needed.
    pub(crate) history: Option<History>,
    sampled_at: Timestamp,
    window_at: Timestamp,
    shards: BTreeMap<ShardId, Seen>,
    /// Loads of the last windows and when each ended, where merging waits for quiet.
    loads: VecDeque<(Timestamp, f64)>,
    peak_since: Option<Timestamp>,
}

/// A shard's totals.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at_sample: Totals,
    at_window: Totals,
    /// When `at_window` was read.
    window_at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    records: u64,
    bytes: u64,
}

/// Windows that are remembered, however short they are.
const LOADS_MAX: usize = 1440;

impl Track {
    /// Begins to measure. Nothing that came before counts.
    pub(crate) fn new(found: &Snapshot, now: Timestamp) -> Self {
        let mut track = Track {
            family: found.row.family,
            history: None,
            sampled_at: now,
            window_at: now,
            shards: BTreeMap::new(),
            loads: VecDeque::new(),
            peak_since: None,
        };
        for (shard, totals) in totals(found) {
            let seen = Seen { at_sample: totals, at_window: totals, window_at: now };
            track.shards.insert(shard, seen);
        }
        track
    }

    /// Rates since the last sample, told to whoever asks for hot shards. `None`: no time has passed.
    pub(crate) fn sample(&mut self, found: &Snapshot, now: Timestamp) -> Option<()> {
        let time = passed(self.sampled_at, now)?;
        let mut shards = BTreeMap::new();
        let mut rates = BTreeMap::new();
        for (shard, totals) in totals(found) {
            // A shard that is new began with nothing.
            let fresh = Seen {
                at_sample: Totals::default(),
                at_window: Totals::default(),
                window_at: self.sampled_at,
            };
            let mut seen = self.shards.get(&shard).copied().unwrap_or(fresh);
            rates.insert(shard, totals.rate_since(seen.at_sample, time));
            seen.at_sample = totals;
            shards.insert(shard, seen);
        }
        self.shards = shards;
        self.sampled_at = now;
        found.hot.measured(rates, now);
        Some(())
    }

    /// The open shards' loads if a window is over, in the order of their ranges; the next one begins.
    /// `budget`: what a shard takes.
    pub(crate) fn window(
        &mut self,
        found: &Snapshot,
        now: Timestamp,
        window: Duration,
        budget: Rate,
    ) -> Option<Vec<ShardLoad>> {
        if now < self.window_at {
            self.window_at = now; // the clock was set back
        }
        if now.since(self.window_at) < window {
            return None;
        }
        self.window_at = now;
        let mut loads = Vec::with_capacity(found.route.len());
        for open in 0..found.route.len() {
            let shard = found.open_shard(open);
            let Some(seen) = self.shards.get_mut(&shard.id) else { continue };
            let time = passed(seen.window_at, now);
            let rate = time.map(|time| seen.at_sample.rate_since(seen.at_window, time));
            let load = rate.unwrap_or_default().load(budget);
            loads.push(ShardLoad { shard: shard.id, range: shard.range, load });
            (seen.at_window, seen.window_at) = (seen.at_sample, now);
        }
        Some(loads)
    }

    /// The highest load within `time`, this window's `load` included. `None`: it was not asked for
    /// so long yet.
    pub(crate) fn peak_within(&mut self, time: Duration, load: f64, now: Timestamp) -> Option<f64> {
        let since = *self.peak_since.get_or_insert(now);
        self.loads.push_back((now, load));
        while self.loads.len() > LOADS_MAX
            || self.loads.front().is_some_and(|(at, _)| now.since(*at) > time)
        {
            self.loads.pop_front();
        }
        let peak = self.loads.iter().map(|(_, load)| *load).fold(0.0, f64::max);
        (now.since(since) >= time).then_some(peak)
    }
}

impl Totals {
    fn rate_since(self, before: Totals, time: Duration) -> Rate {
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / time.as_secs_f64();
        Rate {
            records: per_second(self.records, before.records),
            bytes: per_second(self.bytes, before.bytes),
        }
    }
}

fn passed(from: Timestamp, to: Timestamp) -> Option<Duration> {
    let time = to.since(from);
    (!time.is_zero()).then_some(time)
}

/// The open shards' totals since the process started.
fn totals(found: &Snapshot) -> impl Iterator<Item = (ShardId, Totals)> {
    (0..found.route.len()).map(|open| {
        let stats = &found.open_state(open).stats;
        let totals = Totals {
            records: stats.incoming_records.load(Ordering::Relaxed),
            bytes: stats.incoming_bytes.load(Ordering::Relaxed),
        };
        (found.open_shard(open).id, totals)
    })
}

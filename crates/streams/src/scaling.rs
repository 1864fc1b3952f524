//! Streams grow and shrink with their load: on-demand ones always, provisioned ones if asked to.
//!
//! ```text
//!  totals of shards --sample--> rates --window--> loads --+
//!  sketch of keys -----------------------------> keys ----+--> policy --> splits or merges
//!  row of peaks --------------------------------> need ---+
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `track` | rates and loads, as this process measures them |
//! | `history` | what must outlive the process: peaks of 30 days, the last change |
//! | `scaling_policy` | which shards to split or merge: pure |
//! | `scaling_options` | what an operator can set |
//!
//! An on-demand stream has room for twice the highest load of the last 30 days, and at least for
//! its warm throughput; a provisioned one that is scaled keeps its shards at up to the target. A
//! stream changes at most once per cool-down, and one node changes it: who wants to takes a lease.
//!
//! Loads are this process's own. Where several nodes take records of one stream, they will have to
//! tell each other their rates first: a node that sees a part of the load splits too late, and
//! merges what is hot elsewhere.

mod history;
mod track;

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use millstream_base::StreamArn;
use millstream_base::limits::{
    ON_DEMAND_HEADROOM, ON_DEMAND_SPLIT_ABOVE, SHARD_COUNT_DEFAULT, SHARDS_PER_STREAM_MAX,
};
use millstream_env::Env;
use millstream_meta::{Lease, LeaseState};
use tokio::sync::watch;

use crate::cache::Snapshot;
use crate::engine::{Inner, Streams};
use crate::error::Result;
use crate::hot::key_loads;
use crate::hot_keys::Rate;
use crate::model::{StreamMode, StreamStatus};
use crate::reshard_plan::Reshard;
use crate::scaling_policy::{Need, Rules, ShardLoad, Step, decide};
use track::Track;

/// Life of the lease under which a stream is scaled; a change takes a small part of it.
const LEASE_LIFE: Duration = Duration::from_secs(30);
/// Rounds of splits in which a stream gets warm; each at least doubles it or takes a whole round.
const WARM_ROUNDS_MAX: usize = 64;

/// Samples at every interval and scales after every window, until the engine ends.
pub(crate) async fn run(engine: Weak<Inner>, env: Env, mut stop: watch::Receiver<bool>) {
    let mut scaler = Scaler::new(&env);
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let streams = Streams { inner };
        let interval = streams.inner.options.scaling.sample_interval;
        tokio::select! {
            biased;
            () = streams.scale_all(&mut scaler) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        drop(streams);
        if tokio::time::timeout(interval, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// What a process keeps between two samples.
pub(crate) struct Scaler {
    tracks: BTreeMap<StreamArn, Track>,
    /// This process, to the others.
    holder: String,
}

impl Scaler {
    pub(crate) fn new(env: &Env) -> Self {
        Scaler { tracks: BTreeMap::new(), holder: format!("{:016x}", env.random_u64()) }
    }
}

impl Streams {
    /// Samples all streams, and changes the shards of those that need it.
    pub(crate) async fn scale_all(&self, scaler: &mut Scaler) {
        let now = self.now();
        let mut before = std::mem::take(&mut scaler.tracks);
        for found in self.inner.cache.all() {
            if found.row.status_at(now).is_none_or(|s| s == StreamStatus::Creating) {
                continue;
            }
            let known = before.remove(&found.stream).filter(|t| t.family == found.row.family);
            let mut track = known.unwrap_or_else(|| Track::new(&found, now));
            track.sample(&found, now);
            let window = self.inner.options.scaling.window;
            if let Some(loads) = track.window(&found, now, window, self.write_budget(&found.stream))
                && let Err(error) = self.scale(&found, &mut track, &loads, &scaler.holder).await
            {
                tracing::warn!(stream = %found.stream, %error, "scaling failed; trying again later");
            }
            scaler.tracks.insert(found.stream.clone(), track);
        }
    }

    /// Notes the load and, if the shards do not suit it, changes them.
    async fn scale(
        &self,
        found: &Snapshot,
        track: &mut Track,
        loads: &[ShardLoad],
        holder: &str,
    ) -> Result<()> {
        let load: f64 = loads.iter().map(|s| s.load).sum();
        let Some((rules, need)) = self.wanted(found, track, load).await? else { return Ok(()) };
        let keys = key_loads(&found.hot.shares(), load);
        let steps = decide(&rules, need, loads, &keys);
        let active = found.row.status_at(self.now()) == Some(StreamStatus::Active);
        if steps.is_empty() || !active || self.is_cooling(track) {
            return Ok(());
        }
        let key = history::lease_key(&found.stream);
        let mut lease = Lease::new(self.inner.meta.clone(), key, holder.to_owned(), LEASE_LIFE);
        let LeaseState::Held { .. } = lease.take().await? else { return Ok(()) };
        // Another node may have changed it since.
        let history = track.history.insert(self.load_history(&found.stream, track.family).await?);
        if !history.is_cooling(self.now(), self.inner.options.scaling.cool_down) {
            self.store_history(&found.stream, history, true).await?;
            let merges = steps.iter().filter(|s| matches!(s, Step::Merge { .. })).count();
            let splits = steps.len() - merges;
            if self.take_steps(&found.stream, track.family, steps).await? {
                let stream = &found.stream;
                tracing::info!(%stream, splits, merges, load, "the stream was scaled");
            }
        }
        lease.release().await?;
        Ok(())
    }

    /// By what rules the stream is scaled, and within which bounds. `None`: not at all.
    async fn wanted(
        &self,
        found: &Snapshot,
        track: &mut Track,
        load: f64,
    ) -> Result<Option<(Rules, Need)>> {
        let options = &self.inner.options.scaling;
        let now = self.now();
        let autoscale = options.autoscale.rules_of(&found.stream);
        let is_scaled = match found.row.mode {
            StreamMode::OnDemand => options.on_demand,
            StreamMode::Provisioned => autoscale.enabled,
        };
        if !is_scaled {
            return Ok(None);
        }
        if track.history.is_none() {
            track.history = Some(self.load_history(&found.stream, track.family).await?);
        }
        let history = track.history.as_mut().expect("it was read just now");
        if history.saw(load, now) {
            self.store_history(&found.stream, history, false).await?;
        }
        let open = found.route.len();
        Ok(Some(match found.row.mode {
            StreamMode::OnDemand => {
                let warm = found.row.warm_throughput.map_or(0, |w| w.target_mibps) as usize;
                let grown = (options.on_demand_write_mibps_max as usize).max(warm);
                let ceiling = grown.min(SHARDS_PER_STREAM_MAX as usize);
                let peak = shards_for(history.peak(now) * ON_DEMAND_HEADROOM);
                // Shards that are split above half of their budgets make room for twice the load by
                // themselves; what was room once is kept.
                let floor = warm.min(ceiling);
                let keep = peak.min(ceiling).max(floor).max(SHARD_COUNT_DEFAULT as usize);
                (Rules::keeping(ON_DEMAND_SPLIT_ABOVE), Need { floor, keep, ceiling })
            }
            StreamMode::Provisioned => {
                let used = self.usage(found.stream.scope()).provisioned_shards;
                let free = self.inner.options.shards_per_account_max.saturating_sub(used) as usize;
                let floor = autoscale.min_shards as usize;
                let ceiling = (autoscale.max_shards as usize).min(open + free);
                let recent = track.peak_within(autoscale.quiet_time, load, now);
                let target = autoscale.target_utilisation;
                let keep = recent.map_or(usize::MAX, |load| shards_for(load / target).max(floor));
                (Rules::keeping(target), Need { floor: floor.min(ceiling), keep, ceiling })
            }
        }))
    }

    /// What a shard of the stream takes.
    pub(crate) fn write_budget(&self, stream: &StreamArn) -> Rate {
        let quotas = self.inner.throttle.quotas(stream);
        Rate {
            records: f64::from(quotas.write_records.get()),
            bytes: f64::from(quotas.write_bytes.get()),
        }
    }

    fn is_cooling(&self, track: &Track) -> bool {
        let cool_down = self.inner.options.scaling.cool_down;
        track.history.as_ref().is_some_and(|h| h.is_cooling(self.now(), cool_down))
    }

    /// Splits shards until the stream has one for each MiB/s of its warm throughput.
    ///
    /// If others change the shards at the same time, the next window goes on with it.
    pub(crate) async fn warm_up(&self, stream: &StreamArn) -> Result<()> {
        for _ in 0..WARM_ROUNDS_MAX {
            let (found, _) = self.find(stream).await?;
            let warm = found.row.warm_throughput.map_or(0, |w| w.target_mibps);
            let ceiling = SHARDS_PER_STREAM_MAX as usize;
            let floor = (warm as usize).min(ceiling);
            let shards = (0..found.route.len()).map(|open| found.open_shard(open));
            let idle: Vec<ShardLoad> =
                shards.map(|s| ShardLoad { shard: s.id, range: s.range, load: 0.0 }).collect();
            if idle.len() >= floor {
                return Ok(());
            }
            let need = Need { floor, keep: floor, ceiling };
            let steps = decide(&Rules::keeping(ON_DEMAND_SPLIT_ABOVE), need, &idle, &[]);
            if !self.take_steps(stream, found.row.family, steps).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Changes the shards; `false` if they are not those any more that were decided about, or are
    /// being changed.
    async fn take_steps(&self, stream: &StreamArn, family: u32, steps: Vec<Step>) -> Result<bool> {
        let reshard = Reshard::Steps(steps.into_iter().map(reshard).collect());
        self.reshard(stream, |row, status, _| {
            let serving = matches!(status, StreamStatus::Active | StreamStatus::Updating);
            let free = serving && row.family == family && row.reshard.is_none();
            match free && reshard.plan(&row.shards).is_ok() {
                true => Ok((Some(reshard.clone()), true)),
                false => Ok((None, false)),
            }
        })
        .await
    }
}

fn reshard(step: Step) -> Reshard {
    match step {
        Step::Split { shard, at } => Reshard::Split { shard, at },
        Step::Merge { lower, upper } => Reshard::Merge { lower, upper },
    }
}

/// Shards that `load` write budgets need.
fn shards_for(load: f64) -> usize {
    load.ceil() as usize
}

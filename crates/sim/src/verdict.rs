//! Where broken promises are collected, and what a run says in the end.

use std::fmt;
use std::sync::Arc;

use millstream_env::sim::SimWorld;
use parking_lot::Mutex;

/// Broken promises of one run that are kept; the first is the one to look at.
const FAILURES_MAX: usize = 8;

/// What oracles say of data that are there and wrong, as opposed to data that are not there.
const WRONG_DATA: [&str; 6] =
    ["nobody wrote", "nobody put there", "was changed", "is given twice", "stands at", "panicked"];

/// What a run was.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub trace_hash: u64,
    pub stats: Stats,
    pub failure: Option<Failure>,
}

/// What a run did, to see that it did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub lives: u64,
    pub crashes: u64,
    pub acknowledged: u64,
    pub uncertain: u64,
    pub refused: u64,
    pub entries_read: u64,
    pub damage_reported: u64,
    pub full_reported: u64,
    pub reshards: u64,
    /// Events of subscriptions.
    pub events: u64,
}

impl Stats {
    pub fn add(&mut self, more: &Stats) {
        self.lives += more.lives;
        self.crashes += more.crashes;
        self.acknowledged += more.acknowledged;
        self.uncertain += more.uncertain;
        self.refused += more.refused;
        self.entries_read += more.entries_read;
        self.damage_reported += more.damage_reported;
        self.full_reported += more.full_reported;
        self.reshards += more.reshards;
        self.events += more.events;
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lives, {} crashes, {} acknowledged, {} uncertain, {} refused, {} entries read, \
             {} damages and {} full disks reported, {} reshards, {} subscription \
             events",
            self.lives,
            self.crashes,
            self.acknowledged,
            self.uncertain,
            self.refused,
            self.entries_read,
            self.damage_reported,
            self.full_reported,
            self.reshards,
            self.events
        )
    }
}

/// A broken promise, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub what: Vec<String>,
    /// The last events.
    pub tail: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.tail {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "seed {} broke a promise:", self.seed)?;
        for what in &self.what {
            writeln!(f, "  {what}")?;
        }
        write!(f, "replay with: cargo run -p millstream-sim -- --seed {} --trace", self.seed)
    }
}

/// Collects what the clients of a run find. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Judge(Arc<Mutex<Found>>);

#[derive(Default)]
struct Found {
    what: Vec<String>,
    /// The latest time that the clock showed before it was set back, in milliseconds.
    clock_peak: i64,
    clock_steps: u64,
    losses_excused: bool,
    stats: Stats,
}

impl Judge {
    pub(crate) fn fail(&self, what: String) {
        let mut found = self.0.lock();
        let wrong = WRONG_DATA.iter().any(|sign| what.contains(sign));
        if found.what.len() < FAILURES_MAX && (wrong || !found.losses_excused) {
            found.what.push(what);
        }
    }

    pub(crate) fn failed(&self) -> bool {
        !self.0.lock().what.is_empty()
    }

    /// From now on only what says that data are wrong counts: something is gone, rightly so.
    pub(crate) fn excuse_losses(&self, excused: bool) {
        self.0.lock().losses_excused = excused;
    }

    /// The clock is about to be set, or was set just now.
    pub(crate) fn clock_is_set(&self, world: &SimWorld) {
        let mut found = self.0.lock();
        found.clock_peak = found.clock_peak.max(world.now().as_millis() as i64);
        found.clock_steps += 1;
    }

    /// How often that happened.
    pub(crate) fn clock_steps(&self) -> u64 {
        self.0.lock().clock_steps
    }

    /// The latest time that the clock has shown until now, in milliseconds.
    pub(crate) fn clock_peak(&self, world: &SimWorld) -> i64 {
        self.0.lock().clock_peak.max(world.now().as_millis() as i64)
    }

    pub(crate) fn count(&self, f: impl FnOnce(&mut Stats)) {
        f(&mut self.0.lock().stats);
    }

    pub(crate) fn outcome(
        &self,
        seed: u64,
        world: Option<SimWorld>,
        trace_hash: u64,
        panics: Vec<String>,
    ) -> Outcome {
        let found = self.0.lock();
        let mut what = found.what.clone();
        what.extend(panics.into_iter().map(|p| format!("panic: {p}")));
        let tail = world.map(|w| w.trace_tail()).unwrap_or_default();
        let failure = (!what.is_empty()).then_some(Failure { seed, what, tail });
        Outcome { seed, trace_hash, stats: found.stats, failure }
    }
}

pub(crate) fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(s), _) => s,
        (_, Some(s)) => s,
        _ => "a panic without a message",
    }
}

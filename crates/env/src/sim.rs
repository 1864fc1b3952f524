//! The simulated doors: a whole run of a node from one seed, on one thread, without the machine.
//!
//! [`run`] gives a scenario a [`SimWorld`]. The world starts [`SimNode`]s; each node has an
//! [`crate::Env`] whose clock is virtual, whose random bits come from the seed, whose tasks (also
//! those on "threads" and the blocking jobs) share one tokio runtime with paused time, and whose
//! files live in a [`SimDisk`] that forgets what was not synced. A node can be stopped at any step
//! and started again on the disk that survived.
//!
//! Invariant: one seed gives one run. Every decision is drawn from the seed and every event goes
//! into the trace, whose hash two runs of a seed can be compared by ([`Report::trace_hash`]).
//! For that, code under simulation must not depend on the order of a `HashMap` with random keys, on
//! `std::time::Instant` or on an unbiased `tokio::select!`.
//!
//! Never touches the system clock, the system's random numbers or the file system.

mod disk;
mod executor;
mod file;
mod lives;
mod names;
mod node;
mod rng;
mod tasks;
mod trace;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millstream_base::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

pub use disk::{CrashKind, Damage, DiskFaults, DiskOptions, PlantedBug, SECTOR, SimDisk};
pub use lives::{check_repeats, check_seeds, lives};
pub use node::{SimNode, Stop, Stopped};
pub use rng::Rng;
pub use tasks::Mood;
pub use trace::TRACE_TAIL;

use crate::{Chance, Clock};
use trace::Trace;

/// What the wall shows when a run begins: 2026-01-01T00:00:00Z.
pub const WALL_START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Runs `scenario` in a world made from `seed`, to its end.
///
/// A panic of the scenario itself goes through to the caller; panics of a node's tasks are in the
/// report.
pub fn run<T, F, S>(seed: u64, scenario: S) -> Report<T>
where
    F: Future<Output = T>,
    S: FnOnce(SimWorld) -> F,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing that could be missing");
    let world = runtime.block_on(async { SimWorld::new(seed) });
    let value = runtime.block_on(scenario(world.clone()));
    let report = Report {
        value,
        trace_hash: world.shared.trace.hash(),
        events: world.shared.trace.events(),
        panics: std::mem::take(&mut *world.shared.panics.lock()),
    };
    world.shared.trace.close(); // what tasks do while the runtime is torn down is no event
    report
}

/// What a run left behind.
#[derive(Debug)]
pub struct Report<T> {
    pub value: T,
    /// A hash of every event in order: equal for two runs of one seed, or the run was not
    /// deterministic.
    pub trace_hash: u64,
    pub events: u64,
    /// Messages of panics in tasks of nodes that had not been stopped.
    pub panics: Vec<String>,
}

/// Everything outside the nodes. Cheap to clone.
#[derive(Clone)]
pub struct SimWorld {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) seed: u64,
    pub(crate) trace: Trace,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) panics: Mutex<Vec<String>>,
    rng: Mutex<Rng>,
}

impl SimWorld {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(SimClock { start: Instant::now(), step_ms: AtomicI64::new(0) });
        let trace = Trace::new(clock.clone());
        let shared = Shared {
            seed,
            trace,
            clock,
            panics: Mutex::new(Vec::new()),
            rng: Mutex::new(Rng::stream(seed, "world")),
        };
        SimWorld { shared: Arc::new(shared) }
    }

    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// A generator of its own for one purpose: the same seed and purpose give the same numbers,
    /// whatever else is drawn meanwhile.
    pub fn rng(&self, purpose: &str) -> Rng {
        Rng::stream(self.shared.seed, purpose)
    }

    /// Draws from the world's own generator (the order of calls matters).
    pub fn draw<T>(&self, f: impl FnOnce(&mut Rng) -> T) -> T {
        f(&mut self.shared.rng.lock())
    }

    /// A new node with an empty disk.
    pub fn node(&self, name: &'static str, options: DiskOptions) -> SimNode {
        SimNode::new(self.shared.clone(), name, options)
    }

    /// Writes an event into the trace.
    pub fn note(&self, event: std::fmt::Arguments<'_>) {
        self.shared.trace.note(event);
    }

    /// Prints every event to standard error as it happens.
    pub fn print_trace(&self, on: bool) {
        self.shared.trace.print(on);
    }

    /// The last events, at most [`TRACE_TAIL`], oldest first.
    pub fn trace_tail(&self) -> Vec<String> {
        self.shared.trace.tail()
    }

    pub fn trace_hash(&self) -> u64 {
        self.shared.trace.hash()
    }

    /// What the wall shows now.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Virtual time since the run began; never steps.
    pub fn elapsed(&self) -> Duration {
        self.shared.clock.start.elapsed()
    }

    /// Moves the wall clock by `ms` (backwards if negative), as an operator or NTP would; durations
    /// are not concerned.
    pub fn step_clock(&self, ms: i64) {
        self.shared.clock.step_ms.fetch_add(ms, Ordering::Relaxed);
        self.note(format_args!("clock steps by {ms} ms"));
    }

    /// Messages of panics so far in tasks of nodes that had not been stopped.
    pub fn panics(&self) -> Vec<String> {
        self.shared.panics.lock().clone()
    }
}

/// [`WALL_START`], plus virtual time, plus the steps someone made.
pub(crate) struct SimClock {
    start: Instant,
    step_ms: AtomicI64,
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let virtual_ms = WALL_START.as_millis() + self.start.elapsed().as_millis() as u64;
        let step = self.step_ms.load(Ordering::Relaxed);
        Timestamp::from_millis(virtual_ms.saturating_add_signed(step))
    }
}

impl SimClock {
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A node's random bits.
pub(crate) struct SimChance(pub(crate) Mutex<Rng>);

impl Chance for SimChance {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill(bytes);
    }
}

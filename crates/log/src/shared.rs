//! What the parts of a running store share: doors, bounds, memory, files, health, counters.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use millstream_env::Env;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::damage::Damage;
use crate::frame::Incarnation;
use crate::manifest::Manifest;
use crate::memory::Memory;
use crate::opened::Opened;
use crate::options::Options;
use crate::segment::Segments;
use crate::wal::WalFiles;

pub(crate) struct Shared {
    pub env: Env,
    pub options: Options,
    pub incarnation: Incarnation,
    pub memory: Mutex<Memory>,
    pub wal: Mutex<WalFiles>,
    pub segments: Segments,
    pub opened: Opened,
    /// The manifest as it is on disk. Held while a new one is made.
    pub catalog: tokio::sync::Mutex<Manifest>,
    /// Room in the queue, in units of [`QUEUE_UNIT`].
    pub queue: Semaphore,
    /// A checkpoint ended, well or badly, or the store stops.
    pub room: Notify,
    /// A checkpoint is wanted.
    pub checkpoint_due: Notify,
    /// A frame was written that no marker proves yet.
    pub unproven: Notify,
    /// The writer took the prepared file.
    pub prepare: Notify,
    pub health: Health,
    pub counters: Counters,
    /// The last handle was dropped.
    pub abandoned: AtomicBool,
    /// Keeps other processes out of the data directory.
    pub _lock: Box<dyn Send + Sync>,
}

impl Shared {
    /// No promise can be kept any more: the process ends. Once the last handle is gone nobody was
    /// promised anything that is not on disk, and the store just ends.
    pub(crate) async fn fatal(&self, reason: &str) {
        self.health.stop(reason);
        self.room.notify_waiters();
        if self.abandoned.load(Ordering::SeqCst) {
            tracing::warn!(reason, "a store that nobody uses any more ended badly");
            return;
        }
        self.env.fatal(reason).await;
    }
}

/// Bytes that one permit of the queue stands for.
pub(crate) const QUEUE_UNIT: u64 = 1024;

#[derive(Default)]
pub(crate) struct Counters {
    pub frames: AtomicU64,
    pub syncs: AtomicU64,
    pub entries: AtomicU64,
    /// Payload bytes acknowledged, and bytes written to the write-ahead log for them.
    pub bytes: AtomicU64,
    pub wal_bytes: AtomicU64,
    pub group_bytes_largest: AtomicU64,
    pub calls: AtomicU64,
    pub checkpoints: AtomicU64,
    pub merges: AtomicU64,
    pub scrubbed_bytes: AtomicU64,
    pub scrub_rounds: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Damage found while running is remembered up to this many places; all are counted.
const DAMAGE_PLACES_MAX: usize = 1000;

#[derive(Default)]
pub(crate) struct Health {
    state: Mutex<HealthState>,
}

#[derive(Default)]
struct HealthState {
    wal_full: Option<String>,
    checkpoint_error: Option<String>,
    merge_error: Option<String>,
    stopped: Option<String>,
    damage: Vec<Damage>,
    damage_count: u64,
}

/// How a store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// Why appends get [`crate::AppendError::Full`] at the moment.
    pub full: Option<String>,
    /// Why the last checkpoint failed; it is tried again.
    pub checkpoint_error: Option<String>,
    /// Why the last merge failed; it is tried again.
    pub merge_error: Option<String>,
    /// Why the store has stopped.
    pub stopped: Option<String>,
    /// Places of damage found by reads, merges and the background check since the start; the first
    /// thousand.
    pub damage: Vec<Damage>,
    pub damage_count: u64,
}

impl Health {
    pub(crate) fn set_wal_full(&self, reason: Option<String>) {
        let mut state = self.state.lock();
        if state.wal_full.is_some() != reason.is_some() {
            match &reason {
                Some(reason) => tracing::warn!(reason, "appends are refused: no space"),
                None => tracing::info!("there is space again: appends go on"),
            }
        }
        state.wal_full = reason;
    }

    pub(crate) fn set_checkpoint_error(&self, reason: Option<String>) {
        if let Some(reason) = &reason {
            tracing::error!(reason, "a checkpoint failed and will be tried again");
        }
        self.state.lock().checkpoint_error = reason;
    }
    pub(crate) fn checkpoint_error(&self) -> Option<String> {
        self.state.lock().checkpoint_error.clone()
    }

    pub(crate) fn set_merge_error(&self, reason: Option<String>) {
        if let Some(reason) = &reason {
            tracing::warn!(reason, "merging segments failed and will be tried again");
        }
        self.state.lock().merge_error = reason;
    }

    /// Notes why the store stops; the first reason stays.
    pub(crate) fn stop(&self, reason: &str) {
        self.state.lock().stopped.get_or_insert_with(|| reason.to_string());
    }
    pub(crate) fn stopped(&self) -> Option<String> {
        self.state.lock().stopped.clone()
    }

    pub(crate) fn damaged(&self, damage: &Damage) {
        let mut state = self.state.lock();
        if state.damage.contains(damage) {
            return;
        }
        tracing::error!(
            file = damage.file,
            offset = damage.offset,
            what = damage.what,
            "damaged data; run `millstream fsck`"
        );
        state.damage_count += 1;
        if state.damage.len() < DAMAGE_PLACES_MAX {
            state.damage.push(damage.clone());
        }
    }

    pub(crate) fn report(&self) -> HealthReport {
        let state = self.state.lock();
        HealthReport {
            full: state.wal_full.clone(),
            checkpoint_error: state.checkpoint_error.clone(),
            merge_error: state.merge_error.clone(),
            stopped: state.stopped.clone(),
            damage: state.damage.clone(),
            damage_count: state.damage_count,
        }
    }
}

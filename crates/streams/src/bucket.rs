//! Buckets of tokens that refill as time passes: one atomic number each, no locks, no floats.
//!
//! A bucket keeps the moment at which it will be full again. Taking moves that moment into the
//! future by what the taken tokens take to refill; what would move it further away than the bucket
//! is deep is refused.
//!
//! ```text
//!  now            full again        now + depth
//!   |------------------|-----------------|
//!    taken, refilling    still there
//! ```
//!
//! Invariant: within any stretch of time no more is admitted than a full bucket and what refills
//! meanwhile. A clock that steps back takes tokens away, at most all, and never gives any; one that
//! steps forward fills the bucket.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream_base::Timestamp;

/// So many records, bytes or calls per second; never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerSecond(NonZeroU32);

impl PerSecond {
    /// `None` for zero.
    pub const fn new(count: u32) -> Option<PerSecond> {
        match NonZeroU32::new(count) {
            Some(count) => Some(PerSecond(count)),
            None => None,
        }
    }

    /// A rate that is known not to be zero, as the constants of `base::limits` are.
    pub const fn of(count: u32) -> PerSecond {
        PerSecond::new(count).expect("a rate is at least one per second")
    }

    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// What `count` take, rounded up: so nothing is admitted too early.
    pub(crate) const fn cost_of(self, count: u64) -> Cost {
        Cost(count.saturating_mul(SECOND.0).div_ceil(self.0.get() as u64))
    }
}

/// Tokens, as the nanoseconds in which they refill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost(pub(crate) u64);

/// What refills in one second.
pub(crate) const SECOND: Cost = Cost(1_000_000_000);

/// A moment of the wall clock in nanoseconds; good until the year 2554.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Moment(at.as_millis().saturating_mul(1_000_000))
    }
}

/// A bucket; full when it is made.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes `cost` out of a bucket of `depth`, if there is as much.
    pub(crate) fn take(&self, cost: Cost, depth: Cost, now: Moment) -> bool {
        let empty = now.0.saturating_add(depth.0);
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let taken = full_at.max(now.0).saturating_add(cost.0);
            let next = if taken <= empty {
                taken
            } else if full_at > empty.saturating_add(depth.0) {
                // So far ahead only if the clock stepped back: it is empty from now on.
                empty
            } else {
                return false;
            };
            match self.swap(full_at, next) {
                Ok(_) => return taken <= empty,
                Err(found) => full_at = found,
            }
        }
    }

    /// Undoes a [`Bucket::take`].
    pub(crate) fn give_back(&self, cost: Cost) {
        let back = |full_at: u64| Some(full_at.saturating_sub(cost.0));
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// Takes `cost` in any case and says how long to wait until it is there. What is more than the
    /// bucket is deep waits for a full bucket.
    pub(crate) fn reserve(&self, cost: Cost, depth: Cost, now: Moment) -> Cost {
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let from = match full_at.max(now.0) {
                ahead if ahead - now.0 > RESERVED_MAX.0 => now.0.saturating_add(depth.0),
                ahead => ahead,
            };
            let wait = (from - now.0).saturating_add(cost.0.min(depth.0)).saturating_sub(depth.0);
            match self.swap(full_at, from.saturating_add(cost.0)) {
                Ok(_) => return Cost(wait),
                Err(found) => full_at = found,
            }
        }
    }

    /// Whether nothing is missing.
    pub(crate) fn is_full(&self, now: Moment) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now.0
    }

    fn swap(&self, current: u64, next: u64) -> Result<u64, u64> {
        let relaxed = Ordering::Relaxed;
        self.full_at.compare_exchange_weak(current, next, relaxed, relaxed)
    }
}

/// Further ahead nobody has reserved: one reserves, waits, and reserves again. Only a clock that
/// stepped back looks so.
const RESERVED_MAX: Cost = Cost(3600 * SECOND.0);

/// What is taken first and counted afterwards: who took more than a second's worth may come back
/// when all of it is paid off.
#[derive(Debug, Default)]
pub(crate) struct Debt {
    /// When all is paid off; [`OVERDRAWN`] in the lowest bit.
    paid_at: AtomicU64,
}

/// More than a second's worth was taken.
const OVERDRAWN: u64 = 1;

impl Debt {
    /// Whether one may come.
    pub(crate) fn is_open(&self, max: Cost, now: Moment) -> bool {
        let paid_at = self.paid_at.load(Ordering::Relaxed);
        if paid_at & OVERDRAWN == 0 || paid_at <= now.0 {
            return true;
        }
        if paid_at - now.0 <= max.0.saturating_mul(2) {
            return false;
        }
        // The clock stepped back.
        let soon = now.0.saturating_add(SECOND.0) | OVERDRAWN;
        let (relaxed, current) = (Ordering::Relaxed, paid_at);
        let _ = self.paid_at.compare_exchange(current, soon, relaxed, relaxed);
        false
    }

    /// Adds `cost`; never more than `max` is owed.
    pub(crate) fn draw(&self, cost: Cost, max: Cost, now: Moment) {
        let next = |paid_at: u64| {
            let overdrawn = paid_at & OVERDRAWN != 0 && paid_at > now.0;
            let most = now.0.saturating_add(max.0);
            let at = paid_at.max(now.0).saturating_add(cost.0).min(most);
            let overdrawn = overdrawn || at - now.0 > SECOND.0;
            Some(if overdrawn { at | OVERDRAWN } else { at & !OVERDRAWN })
        };
        let _ = self.paid_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

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
//! The idea is the generic cell rate algorithm's, as in the crate `governor`. That one ties a limit
//! to each bucket (here a shard's limits change with its stream's settings), can't give back what it
//! took, and takes its time for monotone, which the wall clock of `env` is not.
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

    /// Whether nothing is missing.
    pub(crate) fn is_full(&self, now: Moment) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now.0
    }

    fn swap(&self, current: u64, next: u64) -> Result<u64, u64> {
        let relaxed = Ordering::Relaxed;
        self.full_at.compare_exchange_weak(current, next, relaxed, relaxed)
    }
}

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
        let found = self.paid_at.load(Ordering::Relaxed);
        let paid_at = found & !OVERDRAWN;
        if found & OVERDRAWN == 0 || paid_at <= now.0 {
            return true;
        }
        if paid_at - now.0 <= max.0.saturating_mul(2) {
            return false;
        }
        // The clock stepped back.
        let soon = now.0.saturating_add(SECOND.0) | OVERDRAWN;
        let (relaxed, current) = (Ordering::Relaxed, found);
        let _ = self.paid_at.compare_exchange(current, soon, relaxed, relaxed);
        false
    }

    /// Adds `cost`; never more than `max` is owed.
    pub(crate) fn draw(&self, cost: Cost, max: Cost, now: Moment) {
        let next = |found: u64| {
            let paid_at = found & !OVERDRAWN;
            let overdrawn = found & OVERDRAWN != 0 && paid_at > now.0;
            let most = now.0.saturating_add(max.0);
            let at = paid_at.max(now.0).saturating_add(cost.0).min(most);
            let overdrawn = overdrawn || at - now.0 > SECOND.0;
            Some(if overdrawn { at | OVERDRAWN } else { at & !OVERDRAWN })
        };
        let _ = self.paid_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // threads of its own
mod tests {
    use std::sync::atomic::AtomicUsize;

    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_700_000_000_000;

    fn at(ms: u64) -> Moment {
        Moment::from(Timestamp::from_millis(ms))
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// So many tokens are asked for.
        Take(u64),
        /// Time passes, in milliseconds.
        Pass(u64),
        /// The clock steps back; no time passes.
        Back(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (1..2000u64).prop_map(Step::Take),
            3 => (0..1500u64).prop_map(Step::Pass),
            1 => (1..100_000u64).prop_map(Step::Back),
        ];
        proptest::collection::vec(step, 1..200)
    }

    /// Plays steps on a bucket of one second's depth; when (in true milliseconds) how much was
    /// admitted, and what the clock shows at the end.
    fn play(bucket: &Bucket, rate: PerSecond, steps: &[Step]) -> (Vec<(u64, u64)>, u64) {
        let (mut time, mut clock) = (0, START);
        let mut admitted = Vec::new();
        for step in steps {
            match step {
                Step::Take(n) => {
                    if bucket.take(rate.cost_of(*n), SECOND, at(clock)) {
                        admitted.push((time, *n));
                    }
                }
                Step::Pass(ms) => {
                    time += ms;
                    clock += ms;
                }
                Step::Back(ms) => clock -= ms,
            }
        }
        (admitted, clock)
    }

    proptest! {
        #[test]
        fn no_window_admits_more_than_a_full_bucket_and_what_refills(
            rate in 1..3000u32,
            steps in steps(),
        ) {
            let (admitted, _) = play(&Bucket::default(), PerSecond::of(rate), &steps);
            for (first, (from, _)) in admitted.iter().enumerate() {
                let mut sum = 0;
                for (to, n) in &admitted[first..] {
                    sum += n;
                    // Times 1,000, so that nothing is rounded.
                    let most = u64::from(rate) * (1000 + to - from);
                    prop_assert!(sum * 1000 <= most, "{sum} from {from} to {to} ms at {rate}/s");
                }
            }
        }

        #[test]
        fn a_bucket_is_full_again_after_a_second_and_after_two_whatever_the_clock_did(
            rate in 1..3000u32,
            steps in steps(),
        ) {
            let rate = PerSecond::of(rate);
            let all = rate.cost_of(rate.get().into());
            let bucket = Bucket::default();
            let (_, clock) = play(&bucket, rate, &steps);
            bucket.take(Cost(0), SECOND, at(clock)); // sees that the clock stepped back
            prop_assert!(bucket.take(all, SECOND, at(clock + 2000)));
            prop_assert!(!bucket.take(Cost(1), SECOND, at(clock + 2000)));
            prop_assert!(!bucket.take(all, SECOND, at(clock + 2999)));
            prop_assert!(bucket.take(all, SECOND, at(clock + 3000)));
        }

        #[test]
        fn what_is_given_back_can_be_taken_again(rate in 1..3000u32, part in 1..3000u32) {
            let rate = PerSecond::of(rate);
            let bucket = Bucket::default();
            let part = rate.cost_of(part.min(rate.get()).into());
            prop_assert!(bucket.take(part, SECOND, at(START)));
            bucket.give_back(part);
            prop_assert!(bucket.take(rate.cost_of(rate.get().into()), SECOND, at(START)));
        }
    }

    #[test]
    fn many_threads_take_no_more_than_there_is() {
        let (bucket, admitted) = (Bucket::default(), AtomicUsize::new(0));
        let rate = PerSecond::of(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let taken = bucket.take(rate.cost_of(1), SECOND, at(START));
                        admitted.fetch_add(usize::from(taken), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 1000);
    }

    #[test]
    fn a_second_that_is_overdrawn_is_paid_off_before_anybody_comes() {
        let rate = PerSecond::of(2 << 20);
        let max = rate.cost_of(10 << 20);
        let drawn = |mib: u64| {
            let debt = Debt::default();
            debt.draw(rate.cost_of(mib << 20), max, at(START));
            debt
        };
        assert!(drawn(1).is_open(max, at(START)));
        assert!(drawn(2).is_open(max, at(START)));
        for (mib, ms) in [(3, 1500), (9, 4500), (10, 5000), (20, 5000)] {
            assert!(!drawn(mib).is_open(max, at(START)), "{mib} MiB");
            assert!(!drawn(mib).is_open(max, at(START + ms - 1)), "{mib} MiB");
            assert!(drawn(mib).is_open(max, at(START + ms)), "{mib} MiB");
        }
        let twice = drawn(1);
        twice.draw(rate.cost_of(3 << 19), max, at(START + 100));
        assert!(!twice.is_open(max, at(START + 1249)));
        assert!(twice.is_open(max, at(START + 1250)));
        // Small answers do not let anybody in earlier.
        let more = drawn(3);
        more.draw(rate.cost_of(1), max, at(START + 1400));
        assert!(!more.is_open(max, at(START + 1500)));
        assert!(more.is_open(max, at(START + 1501)));
    }

    #[test]
    fn a_clock_that_steps_back_keeps_readers_out_for_a_second() {
        let rate = PerSecond::of(2 << 20);
        let max = rate.cost_of(10 << 20);
        let debt = Debt::default();
        debt.draw(max, max, at(START));
        let back = START - 3_600_000;
        assert!(!debt.is_open(max, at(back)));
        assert!(!debt.is_open(max, at(back + 999)));
        assert!(debt.is_open(max, at(back + 1000)));
    }
}

//! Events that many subscribers get: read once, and rendered once, for all who stand at the same
//! place of a shard.
//!
//! The newest events are kept for a moment, bounded in bytes. Who asks for a place that another is
//! just reading waits for that reading. Who stands in the middle of a kept event gets the rest of
//! it, and so stands with the others after it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Shared;
use millstream_base::{SequenceNumber, Timestamp};
use millstream_env::BoxFuture;
use millstream_log::{KeyNumber, LogId, Position, Tail};
use parking_lot::Mutex;

use crate::error::Result;
use crate::model::{ChildShard, Record};

/// Most bytes of an event's records, keys included; a first record is sent whatever its size.
/// Bounds what one subscriber that takes nothing holds. AWS states no figure.
pub const EVENT_BYTES_MAX: usize = 256 << 10;
/// Most records of one event: their names and numbers take a quarter of a kilobyte each.
pub const EVENT_RECORDS_MAX: usize = 1000;
/// What kept events take together, by their weight (see [`SubscriptionEvent::weight`]).
const KEPT_BYTES_MAX: usize = 64 << 20;
/// By how much MillisBehindLatest of a kept event may be off, if it is not a tenth of it.
const LAG_TOLERANCE: Duration = Duration::from_millis(50);
/// Forms in which an event can be rendered.
pub const RENDERINGS: usize = 2;

/// One event of a subscription.
#[derive(Debug)]
pub struct SubscriptionEvent {
    pub records: Vec<Record>,
    pub millis_behind_latest: u64,
    /// Reading AFTER this number goes on behind this event, also if it has no records. `None`
    /// exactly when `child_shards` is not empty: the shard ends here.
    pub continuation: Option<SequenceNumber>,
    pub child_shards: Vec<ChildShard>,
    /// What callers made of it; never looked into here.
    rendered: [OnceLock<Bytes>; RENDERINGS],
}

impl SubscriptionEvent {
    pub(crate) fn new(
        records: Vec<Record>,
        millis_behind_latest: u64,
        continuation: Option<SequenceNumber>,
        child_shards: Vec<ChildShard>,
    ) -> Self {
        let rendered = Default::default();
        SubscriptionEvent { records, millis_behind_latest, continuation, child_shards, rendered }
    }

    /// The event in one of [`RENDERINGS`] forms of the caller's, made at most once for all who
    /// have the event.
    pub fn rendered(&self, form: usize, make: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.rendered[form].get_or_init(|| make(self)).clone()
    }

    /// Bytes of data and partition keys.
    pub fn bytes(&self) -> usize {
        let weight = |r: &Record| r.data.len() + r.partition_key.as_ref().map_or(0, Bytes::len);
        self.records.iter().map(weight).sum()
    }

    /// About what it takes in memory, both renderings included.
    fn weight(&self) -> usize {
        1024 + 3 * self.bytes() + 768 * self.records.len()
    }
}

/// An event, and where it leads.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) event: Arc<SubscriptionEvent>,
    pub(crate) next: Position,
    pub(crate) read_at: Timestamp,
    /// The data keys of its records: it is given to nobody while one of them can't be used.
    pub(crate) keys: Vec<KeyNumber>,
}

impl Stretch {
    /// Whether a subscriber may get it now: all of it is still within retention, and how far it is
    /// behind has hardly changed.
    fn serves(&self, tail: &Tail, horizon: Timestamp, now: Timestamp) -> bool {
        let kept = self.event.records.first().is_none_or(|first| first.arrived >= horizon);
        let at_tip = self.event.millis_behind_latest == 0 && self.next >= tail.next;
        let lag = Duration::from_millis(self.event.millis_behind_latest);
        kept && (at_tip || now.since(self.read_at) <= LAG_TOLERANCE.max(lag / 10))
    }
}

type Reading = Shared<BoxFuture<'static, Result<Arc<Stretch>>>>;
type Place = (LogId, Position);

/// Where a subscriber stands, and what it knows of the shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    pub(crate) log: LogId,
    pub(crate) from: Position,
    pub(crate) tail: Tail,
    pub(crate) horizon: Timestamp,
    pub(crate) now: Timestamp,
}

/// The events of all shards that were read a moment ago.
#[derive(Default)]
pub(crate) struct Feed(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    readings: BTreeMap<Place, (u64, Reading)>,
    /// Done readings from old to new, with their weights.
    done: VecDeque<(Place, u64, usize)>,
    bytes: usize,
    last_id: u64,
}

/// What the feed has for a subscriber.
enum Found {
    /// Someone reads it or has read it.
    Reading(u64, Reading),
    /// The subscriber stands within it.
    Within(Arc<Stretch>),
}

impl Feed {
    /// The next event for a subscriber at `stand`; `read` reads it from the log, and is called only
    /// if nobody else did so a moment ago.
    pub(crate) async fn next(
        &self,
        stand: Stand,
        read: impl FnOnce() -> BoxFuture<'static, Result<Arc<Stretch>>>,
        cut: impl FnOnce(&Stretch) -> Arc<Stretch>,
    ) -> Result<Arc<Stretch>> {
        let place = (stand.log, stand.from);
        if let Some(found) = self.find(stand) {
            match found {
                Found::Within(stretch) => return Ok(cut(&stretch)),
                Found::Reading(id, reading) => match reading.await {
                    Ok(done) if done.serves(&stand.tail, stand.horizon, stand.now) => {
                        return Ok(done);
                    }
                    _ => self.forget(place, id),
                },
            }
        }
        let (id, reading) = self.begin(place, read);
        let waiting = Waiting { feed: self, place, id };
        let done = reading.await;
        std::mem::forget(waiting);
        match &done {
            Ok(stretch) if !stretch.event.records.is_empty() => {
                self.keep(place, id, stretch.event.weight());
            }
            _ => self.forget(place, id),
        }
        done
    }

    fn find(&self, stand: Stand) -> Option<Found> {
        let kept = self.0.lock();
        let place = (stand.log, stand.from);
        let (at, (id, reading)) = kept.readings.range(..=place).next_back()?;
        if *at == place {
            return Some(Found::Reading(*id, reading.clone()));
        }
        let within = |s: &&Arc<Stretch>| {
            s.next > stand.from && s.serves(&stand.tail, stand.horizon, stand.now)
        };
        match reading.peek() {
            Some(Ok(stretch)) if at.0 == stand.log => {
                Some(stretch).filter(within).cloned().map(Found::Within)
            }
            _ => None,
        }
    }

    /// Joins a reading that began meanwhile, or begins one.
    fn begin(
        &self,
        place: Place,
        read: impl FnOnce() -> BoxFuture<'static, Result<Arc<Stretch>>>,
    ) -> (u64, Reading) {
        let mut kept = self.0.lock();
        if let Some((id, reading)) = kept.readings.get(&place) {
            return (*id, reading.clone());
        }
        kept.last_id += 1;
        let id = kept.last_id;
        let reading = read().shared();
        kept.readings.insert(place, (id, reading.clone()));
        (id, reading)
    }

    /// Counts a reading that is done; the oldest make room.
    fn keep(&self, place: Place, id: u64, weight: usize) {
        let mut kept = self.0.lock();
        let counted = |(p, i, _): &(Place, u64, usize)| *p == place && *i == id;
        let current = kept.readings.get(&place).is_some_and(|(i, _)| *i == id);
        if !current || kept.done.iter().rev().any(counted) {
            return;
        }
        kept.done.push_back((place, id, weight));
        kept.bytes += weight;
        while kept.bytes > KEPT_BYTES_MAX
            && let Some((place, id, weight)) = kept.done.pop_front()
        {
            kept.bytes -= weight;
            kept.drop_reading(place, id);
        }
    }

    fn forget(&self, place: Place, id: u64) {
        let mut kept = self.0.lock();
        kept.drop_reading(place, id);
        if let Some(at) = kept.done.iter().rposition(|(p, i, _)| *p == place && *i == id)
            && let Some((_, _, weight)) = kept.done.remove(at)
        {
            kept.bytes -= weight;
        }
    }

    /// Bytes that kept events take, as they are counted.
    #[cfg(test)]
    pub(crate) fn kept_bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

/// Who waits for a reading. If it goes before the reading is done, the feed lets go of that: a
/// reading that nobody waits for is not moved on by anyone.
struct Waiting<'a> {
    feed: &'a Feed,
    place: Place,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.feed.forget(self.place, self.id);
    }
}

impl Kept {
    fn drop_reading(&mut self, place: Place, id: u64) {
        if self.readings.get(&place).is_some_and(|(i, _)| *i == id) {
            self.readings.remove(&place);
        }
    }
}

//! Who is subscribed to what on this node: one active subscription per consumer and shard.
//!
//! Kept in memory: subscriptions do not outlive their connections, so a node that restarts has
//! none. Nodes do not know of each other's: with several, a consumer that moves to another node is
//! served by both until its old connection ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::{ShardId, StreamName};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Entries that are kept before those without a meaning are looked for.
const FORGET_FROM: usize = 1024;

/// One consumer's subscription to one shard of one stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SubscriptionKey {
    pub(crate) family: u32,
    pub(crate) consumer: StreamName,
    pub(crate) created_secs: u64,
    pub(crate) shard: ShardId,
}

/// Why a subscription ends from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    TakenOver,
    StreamGone,
    NodeStops,
}

/// Why a subscription can't begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The last one began a moment ago.
    TooSoon,
    /// As many as this node takes are there.
    Full,
    NodeStops,
}

/// All subscriptions of this node. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Subscriptions(Arc<Mutex<Seats>>);

#[derive(Default)]
struct Seats {
    entries: BTreeMap<SubscriptionKey, Entry>,
    taken: usize,
    last_id: u64,
    forget_from: usize,
    closed: bool,
}

struct Entry {
    id: u64,
    began: Instant,
    /// `None` once it was told to end, or did.
    end: Option<oneshot::Sender<End>>,
}

/// An active subscription's place; given back when dropped.
pub(crate) struct Seat {
    all: Subscriptions,
    key: SubscriptionKey,
    id: u64,
    end: oneshot::Receiver<End>,
}

impl Subscriptions {
    /// Takes the place of `key`; an older subscription there is told to end.
    pub(crate) fn take(
        &self,
        key: SubscriptionKey,
        takeover_after: Duration,
        max: usize,
    ) -> Result<Seat, Refused> {
        let now = Instant::now();
        let mut seats = self.0.lock();
        seats.check(&key, takeover_after, max, now)?;
        seats.forget(takeover_after, now);
        seats.taken += 1;
        seats.last_id += 1;
        let id = seats.last_id;
        let (tell, end) = oneshot::channel();
        let entry = Entry { id, began: now, end: Some(tell) };
        if let Some(before) = seats.entries.insert(key.clone(), entry) {
            before.tell(End::TakenOver);
        }
        Ok(Seat { all: self.clone(), key, id, end })
    }

    /// Whether [`Subscriptions::take`] would succeed now.
    pub(crate) fn check(
        &self,
        key: &SubscriptionKey,
        takeover_after: Duration,
        max: usize,
    ) -> Result<(), Refused> {
        self.0.lock().check(key, takeover_after, max, Instant::now())
    }

    /// Ends all subscriptions to a stream.
    pub(crate) fn end_stream(&self, family: u32) {
        let mut seats = self.0.lock();
        for (_, entry) in seats.entries.extract_if(.., |key, _| key.family == family) {
            entry.tell(End::StreamGone);
        }
    }

    /// Ends all, and takes no more.
    pub(crate) fn close(&self) {
        let mut seats = self.0.lock();
        seats.closed = true;
        for (_, entry) in std::mem::take(&mut seats.entries) {
            entry.tell(End::NodeStops);
        }
    }

    /// Active subscriptions, those included that were told to end and did not yet.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().taken
    }
}

impl Seats {
    fn check(
        &self,
        key: &SubscriptionKey,
        takeover_after: Duration,
        max: usize,
        now: Instant,
    ) -> Result<(), Refused> {
        let soon = |e: &Entry| now.duration_since(e.began) < takeover_after;
        match self.entries.get(key) {
            _ if self.closed => Err(Refused::NodeStops),
            Some(entry) if soon(entry) => Err(Refused::TooSoon),
            _ if self.taken >= max => Err(Refused::Full),
            _ => Ok(()),
        }
    }

    /// Drops entries that say nothing any more, now and then.
    fn forget(&mut self, takeover_after: Duration, now: Instant) {
        if self.entries.len() < self.forget_from.max(FORGET_FROM) {
            return;
        }
        let soon = |e: &Entry| now.duration_since(e.began) < takeover_after;
        self.entries.retain(|_, entry| entry.end.is_some() || soon(entry));
        self.forget_from = 2 * self.entries.len();
    }
}

impl Entry {
    fn tell(self, end: End) {
        if let Some(tell) = self.end {
            let _ = tell.send(end); // who is gone needs no telling
        }
    }
}

impl Seat {
    /// Waits until the subscription has to end. Safe to drop and call again, but not after it
    /// told.
    pub(crate) async fn ended(&mut self) -> End {
        (&mut self.end).await.unwrap_or(End::NodeStops)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.all.0.lock();
        seats.taken -= 1;
        if let Some(entry) = seats.entries.get_mut(&self.key)
            && entry.id == self.id
        {
            entry.end = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(5);

    fn key(consumer: &str, shard: u32) -> SubscriptionKey {
        let consumer = StreamName::new(consumer).unwrap();
        SubscriptionKey { family: 1, consumer, created_secs: 7, shard: ShardId::new(shard) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_held_for_five_seconds_even_if_it_was_left() {
        let all = Subscriptions::default();
        let take = || all.take(key("c", 0), AFTER, 10);
        let mut first = take().ok().unwrap();
        assert_eq!(take().err(), Some(Refused::TooSoon));
        tokio::time::advance(AFTER).await;
        let second = take().ok().unwrap();
        assert_eq!(first.ended().await, End::TakenOver);
        drop((first, second));
        assert_eq!(take().err(), Some(Refused::TooSoon));
        tokio::time::advance(AFTER).await;
        let mut third = take().ok().unwrap();
        all.end_stream(1);
        assert_eq!(third.ended().await, End::StreamGone);
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_only_so_many_and_what_is_over_is_forgotten() {
        let all = Subscriptions::default();
        for shard in 0..10 * FORGET_FROM as u32 {
            drop(all.take(key("c", shard), AFTER, 2).ok().unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(all.0.lock().entries.len() <= FORGET_FROM + 1);
        assert_eq!(all.count(), 0);
        let _two = [all.take(key("a", 0), AFTER, 2), all.take(key("b", 0), AFTER, 2)];
        assert_eq!(all.take(key("d", 0), AFTER, 2).err(), Some(Refused::Full));
        all.close();
        assert_eq!(all.take(key("e", 0), AFTER, 9).err(), Some(Refused::NodeStops));
    }
}

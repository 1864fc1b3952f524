//! What an owner does for its callers: delivering records, and what they wish about them.

use std::time::Duration;

use millstream_base::limits::QUEUE_RECEIVE_BYTES_MAX;
use millstream_log::Entry;

use super::command::{Change, Delivered, Receive, Wish};
use super::event::{Event, Slot};
use super::owner::Owner;
use super::stats;
use crate::error::Result;
use crate::queue_model::{HandleResult, Lane};

/// What one receive collects.
struct Basket {
    limit: usize,
    hide: Duration,
    bytes: usize,
    found: Vec<Delivered>,
}

impl Basket {
    fn room(&self) -> usize {
        self.limit - self.found.len()
    }

    fn takes(&self, entry: &Entry) -> bool {
        let bytes = self.bytes + weight(entry);
        self.found.is_empty() || (self.room() > 0 && bytes <= QUEUE_RECEIVE_BYTES_MAX)
    }
}

fn weight(entry: &Entry) -> usize {
    entry.key.len() + entry.value.len()
}

impl Owner {
    /// Records for a receive: those that are visible again before those that were never delivered,
    /// so that what waits for an acknowledgement stays bounded. An error only if there is nothing.
    pub(super) async fn collect(&mut self, asked: &Receive) -> Result<Vec<Delivered>> {
        let secs = asked.visibility_timeout_secs;
        let secs = secs.unwrap_or(self.queue.row.visibility_timeout_secs);
        let hide = Duration::from_secs(secs.into());
        let mut basket = Basket { limit: asked.limit, hide, bytes: 0, found: Vec::new() };
        let mut collected = self.collect_again(asked.lane, &mut basket).await;
        if collected.is_ok() && asked.lane == Lane::Normal {
            collected = self.collect_fresh(&mut basket).await;
        }
        match collected {
            Err(error) if basket.found.is_empty() => Err(error),
            _ => Ok(basket.found),
        }
    }

    async fn collect_again(&mut self, lane: Lane, basket: &mut Basket) -> Result<()> {
        while basket.room() > 0 {
            let (now, dead_letters) = (self.tools.env.now(), self.queue.row.dead_letters);
            let (slots, aside) = self.state.visible(lane, basket.room(), now, dead_letters);
            self.apply(aside);
            if slots.is_empty() {
                return Ok(());
            }
            let mut entries = self.feed.read_again(&slots, self.horizon()).await?;
            for slot in slots {
                match entries.remove(&slot) {
                    // Its retention is over.
                    None => self.state.forget(slot),
                    Some(entry) if basket.takes(&entry) => self.deliver(slot, entry, basket),
                    Some(_) => return Ok(()),
                }
            }
        }
        Ok(())
    }

    async fn collect_fresh(&mut self, basket: &mut Basket) -> Result<()> {
        while basket.room() > 0 && self.state.has_room() {
            let horizon = self.horizon();
            match self.feed.peek(horizon).await? {
                Some((_, entry)) if basket.takes(entry) => {}
                _ => return Ok(()),
            }
            let (slot, entry) = self.feed.pop().expect("it was there just now");
            self.deliver(slot, entry, basket);
        }
        Ok(())
    }

    fn deliver(&mut self, slot: Slot, entry: Entry, basket: &mut Basket) {
        let Some(origin) = self.feed.origin(slot.shard) else { return };
        let at = self.tools.env.now();
        if slot.position >= self.state.cursor(slot.shard) {
            self.backlog.delivered(slot);
        }
        self.apply(vec![Event::Received { slot, at, visible_at: at.plus(basket.hide) }]);
        let tracked = self.state.tracked(slot).expect("what is received is tracked");
        basket.bytes += weight(&entry);
        basket.found.push(Delivered {
            slot,
            generation: tracked.generation,
            receive_count: tracked.receive_count,
            first_received: tracked.first_received,
            origin,
            entry,
        });
    }

    /// Does what is wished, as far as the handles allow it.
    pub(super) fn change(&mut self, change: &Change) -> Vec<HandleResult> {
        let now = self.tools.env.now();
        let mut results = Vec::with_capacity(change.wishes.len());
        for &(slot, generation, wish) in &change.wishes {
            let event = match wish {
                Wish::Acknowledge => self.state.acknowledge(change.lane, slot, generation),
                Wish::Hide(secs) => {
                    let until = now.plus(Duration::from_secs(secs.into()));
                    self.state.show_at(change.lane, slot, generation, until).map(Some)
                }
                Wish::Restore => self.state.restore(slot, generation, now).map(Some),
            };
            if let (Ok(Some(Event::Done { .. })), Lane::Normal) = (&event, change.lane) {
                stats::add(&self.queue.stats.acknowledged, 1);
            }
            self.apply(event.into_iter().flatten().collect());
            results.push(event.map(drop));
        }
        results
    }
}

//! The state machine of a queue: what is where, and what events make of it.
//!
//! Pure: time comes with the calls, and the same events give the same state, live and when they
//! are read back. What time alone does (a record becoming visible again) is no event; what expires
//! with the stream is forgotten without one, because it can't be delivered anyway.
//!
//! Invariant: a record is tracked exactly if it was delivered and is not done.
//! Invariant: every tracked record waits in exactly one place: hidden or visible, of one lane.

use std::collections::{BTreeMap, BTreeSet};

use millstream_base::limits::QUEUE_IN_FLIGHT_MAX;
use millstream_base::{ShardId, Timestamp};
use millstream_log::Position;

use super::event::{Event, Slot};
use crate::queue_model::{DeadLetters, HandleError, Lane};

/// Most dead-letter records of a queue. Beyond them records are not set aside any more and go on
/// being delivered, so that nothing is lost and memory stays bounded. Ours: AWS names no bound.
pub(crate) const DEAD_LETTERS_MAX: usize = 120_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// Per shard: where the first record stands that was never delivered. A shard that is not here
    /// begins at its start.
    cursors: BTreeMap<ShardId, Position>,
    tracked: BTreeMap<Slot, Tracked>,
    normal: Waiting,
    dead: Waiting,
}

/// A record that was delivered and is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tracked {
    pub(crate) lane: Lane,
    /// Deliveries ever: the last one's receipt handle carries it.
    pub(crate) generation: u32,
    /// Deliveries that count; a restored record begins again at 0.
    pub(crate) receive_count: u32,
    pub(crate) first_received: Timestamp,
    pub(crate) visible_at: Timestamp,
}

/// The records of one lane, by the time they become or became visible.
#[derive(Clone, Debug, Default, PartialEq)]
struct Waiting {
    hidden: BTreeSet<(Timestamp, Slot)>,
    visible: BTreeSet<(Timestamp, Slot)>,
}

impl Waiting {
    fn remove(&mut self, at: Timestamp, slot: Slot) {
        let found = self.hidden.remove(&(at, slot)) || self.visible.remove(&(at, slot));
        assert!(found, "{slot:?} waits nowhere");
    }

    fn len(&self) -> usize {
        self.hidden.len() + self.visible.len()
    }
}

impl State {
    /// A queue that begins at `cursors`, and at the start of all other shards.
    pub(crate) fn new(cursors: BTreeMap<ShardId, Position>) -> Self {
        State { cursors, ..State::default() }
    }

    /// Puts a snapshot together, part by part.
    pub(crate) fn set_cursor(&mut self, shard: ShardId, position: Position) {
        self.cursors.insert(shard, position);
    }

    /// As [`State::set_cursor`].
    pub(crate) fn set_tracked(&mut self, slot: Slot, tracked: Tracked) {
        if let Some(before) = self.tracked.insert(slot, tracked) {
            self.waiting(before.lane).remove(before.visible_at, slot);
        }
        self.waiting(tracked.lane).hidden.insert((tracked.visible_at, slot));
    }

    pub(crate) fn cursors(&self) -> impl Iterator<Item = (ShardId, Position)> {
        self.cursors.iter().map(|(shard, position)| (*shard, *position))
    }

    pub(crate) fn all_tracked(&self) -> impl Iterator<Item = (Slot, Tracked)> {
        self.tracked.iter().map(|(slot, tracked)| (*slot, *tracked))
    }

    pub(crate) fn tracked_count(&self) -> usize {
        self.tracked.len()
    }

    pub(crate) fn cursor(&self, shard: ShardId) -> Position {
        self.cursors.get(&shard).copied().unwrap_or(Position::START)
    }

    pub(crate) fn tracked(&self, slot: Slot) -> Option<&Tracked> {
        self.tracked.get(&slot)
    }

    /// Does what happened. An event of a record that is not there (it expired) does nothing.
    pub(crate) fn apply(&mut self, event: &Event) {
        match *event {
            Event::Received { slot, at, visible_at } => self.receive(slot, at, visible_at),
            Event::Done { slot } => self.forget(slot),
            Event::Shown { slot, visible_at } => {
                self.change(slot, |t| t.visible_at = visible_at);
            }
            Event::SetAside { slot, at } => self.change(slot, |t| {
                t.lane = Lane::DeadLetter;
                t.visible_at = at;
            }),
            Event::Restored { slot, at } => self.change(slot, |t| {
                t.lane = Lane::Normal;
                t.receive_count = 0;
                t.visible_at = at;
            }),
        }
    }

    fn receive(&mut self, slot: Slot, at: Timestamp, visible_at: Timestamp) {
        let cursor = self.cursors.entry(slot.shard).or_insert(Position::START);
        *cursor = (*cursor).max(slot.position.next());
        if self.tracked.contains_key(&slot) {
            self.change(slot, |t| {
                if t.receive_count == 0 {
                    t.first_received = at;
                }
                t.generation += 1;
                t.receive_count += 1;
                t.visible_at = visible_at;
            });
            return;
        }
        let first = Tracked {
            lane: Lane::Normal,
            generation: 1,
            receive_count: 1,
            first_received: at,
            visible_at,
        };
        self.set_tracked(slot, first);
    }

    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Tracked)) {
        let Some(tracked) = self.tracked.get_mut(&slot) else { return };
        let before = *tracked;
        change(tracked);
        let after = *tracked;
        self.waiting(before.lane).remove(before.visible_at, slot);
        self.waiting(after.lane).hidden.insert((after.visible_at, slot));
    }

    /// Forgets a record: it is done, or its stream has it no more.
    pub(crate) fn forget(&mut self, slot: Slot) {
        if let Some(gone) = self.tracked.remove(&slot) {
            self.waiting(gone.lane).remove(gone.visible_at, slot);
        }
    }

    /// Forgets the records of a shard before a place: the stream's retention has taken them.
    pub(crate) fn expire(&mut self, shard: ShardId, before: Position) {
        let first = Slot { shard, position: Position::START };
        let end = Slot { shard, position: before };
        let gone: Vec<Slot> = self.tracked.range(first..end).map(|(slot, _)| *slot).collect();
        for slot in gone {
            self.forget(slot);
        }
    }

    /// Forgets a shard that its stream has no more.
    pub(crate) fn remove_shard(&mut self, shard: ShardId) {
        self.expire(shard, Position::END);
        self.cursors.remove(&shard);
    }

    /// Shards with tracked records, and those that were begun.
    pub(crate) fn shards(&self) -> BTreeSet<ShardId> {
        let tracked = self.tracked.keys().map(|slot| slot.shard);
        tracked.chain(self.cursors.keys().copied()).collect()
    }

    /// Lets time do its work on up to `max` records of each lane: what is due becomes visible, and
    /// what was received too often is set aside, which are the events (applied already). `true`
    /// with it if more is due.
    pub(crate) fn settle(
        &mut self,
        now: Timestamp,
        dead_letters: DeadLetters,
        max: usize,
    ) -> (Vec<Event>, bool) {
        let mut events = Vec::new();
        for lane in [Lane::Normal, Lane::DeadLetter] {
            for _ in 0..max {
                let waiting = self.waiting(lane);
                let Some(&(at, slot)) = waiting.hidden.first() else { break };
                if at > now {
                    break;
                }
                waiting.hidden.remove(&(at, slot));
                waiting.visible.insert((at, slot));
                let room = self.dead.len() < DEAD_LETTERS_MAX;
                if lane == Lane::Normal && room && self.is_exhausted(slot, dead_letters) {
                    let event = Event::SetAside { slot, at: now };
                    self.apply(&event);
                    events.push(event);
                }
            }
        }
        let more = self.next_due().is_some_and(|due| due <= now);
        (events, more)
    }

    /// Up to `max` visible records, those that have been so for the longest time first; and those
    /// met on the way that are to be set aside instead, because the bound was lowered since.
    pub(crate) fn visible(
        &self,
        lane: Lane,
        max: usize,
        now: Timestamp,
        dead_letters: DeadLetters,
    ) -> (Vec<Slot>, Vec<Event>) {
        let mut room = DEAD_LETTERS_MAX.saturating_sub(self.dead.len());
        let (mut found, mut events) = (Vec::new(), Vec::new());
        let waiting = match lane {
            Lane::Normal => &self.normal,
            Lane::DeadLetter => &self.dead,
        };
        for (_, slot) in &waiting.visible {
            if found.len() == max {
                break;
            }
            if lane == Lane::Normal && room > 0 && self.is_exhausted(*slot, dead_letters) {
                room -= 1;
                events.push(Event::SetAside { slot: *slot, at: now });
                continue;
            }
            found.push(*slot);
        }
        (found, events)
    }

    fn is_exhausted(&self, slot: Slot, dead_letters: DeadLetters) -> bool {
        match dead_letters {
            DeadLetters::None => false,
            DeadLetters::BuiltIn { max_receive_count } => {
                self.tracked.get(&slot).is_some_and(|t| t.receive_count >= max_receive_count)
            }
        }
    }

    /// Whether records may be delivered that never were: not while too many wait for their
    /// acknowledgement.
    pub(crate) fn has_room(&self) -> bool {
        self.normal.len() < QUEUE_IN_FLIGHT_MAX
    }

    /// When the next hidden record becomes visible.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let first = |waiting: &Waiting| waiting.hidden.first().map(|(at, _)| *at);
        [first(&self.normal), first(&self.dead)].into_iter().flatten().min()
    }

    /// The event of acknowledging a delivery. `None`: the record is done already, which is what
    /// was asked for.
    pub(crate) fn acknowledge(
        &self,
        lane: Lane,
        slot: Slot,
        generation: u32,
    ) -> Result<Option<Event>, HandleError> {
        match self.tracked.get(&slot) {
            None => Ok(None),
            Some(_) => self.held(lane, slot, generation).map(|_| Some(Event::Done { slot })),
        }
    }

    /// The event of hiding a delivered record until `visible_at`.
    pub(crate) fn show_at(
        &self,
        lane: Lane,
        slot: Slot,
        generation: u32,
        visible_at: Timestamp,
    ) -> Result<Event, HandleError> {
        self.held(lane, slot, generation).map(|_| Event::Shown { slot, visible_at })
    }

    /// The event of restoring a dead-letter record.
    pub(crate) fn restore(
        &self,
        slot: Slot,
        generation: u32,
        at: Timestamp,
    ) -> Result<Event, HandleError> {
        self.held(Lane::DeadLetter, slot, generation).map(|_| Event::Restored { slot, at })
    }

    /// The record, if this delivery of it is the last one and it is still in that lane.
    fn held(&self, lane: Lane, slot: Slot, generation: u32) -> Result<&Tracked, HandleError> {
        let tracked = self.tracked.get(&slot).ok_or(HandleError::Gone)?;
        match tracked.lane == lane && tracked.generation == generation {
            true => Ok(tracked),
            false => Err(HandleError::Gone),
        }
    }

    /// Records of a lane: hidden and visible ones.
    pub(crate) fn count(&self, lane: Lane) -> (usize, usize) {
        let waiting = match lane {
            Lane::Normal => &self.normal,
            Lane::DeadLetter => &self.dead,
        };
        (waiting.hidden.len(), waiting.visible.len())
    }

    fn waiting(&mut self, lane: Lane) -> &mut Waiting {
        match lane {
            Lane::Normal => &mut self.normal,
            Lane::DeadLetter => &mut self.dead,
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;

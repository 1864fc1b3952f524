//! The state machine against a simple model, with journals and snapshots in between.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::queue::codec;

const SHARDS: u32 = 2;
const RECORDS: u32 = 12;
const MAX_RECEIVE_COUNT: u32 = 3;
const POLICY: DeadLetters = DeadLetters::BuiltIn { max_receive_count: MAX_RECEIVE_COUNT };

/// What a test does to a queue.
#[derive(Clone, Copy, Debug)]
enum Step {
    Receive {
        lane: bool,
        count: usize,
        secs: u64,
    },
    /// With the `n`th of the handles that were ever given.
    Acknowledge(usize),
    Show(usize, u64),
    Restore(usize),
    Pass(u64),
    /// The first record of a shard that is there expires.
    Expire(u32),
    /// Everything is written as a snapshot and read again.
    Snapshot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<bool>(), 1usize..4, 0u64..4)
            .prop_map(|(lane, count, secs)| Step::Receive { lane, count, secs }),
        3 => (0usize..40).prop_map(Step::Acknowledge),
        2 => (0usize..40, 0u64..4).prop_map(|(n, secs)| Step::Show(n, secs)),
        2 => (0usize..40).prop_map(Step::Restore),
        3 => (0u64..3).prop_map(Step::Pass),
        1 => (0..SHARDS).prop_map(Step::Expire),
        1 => Just(Step::Snapshot),
    ];
    prop::collection::vec(step, 0..80)
}

/// A record as a newcomer would write it down.
#[derive(Clone, Debug)]
struct Plain {
    done: bool,
    expired: bool,
    dead: bool,
    deliveries: u32,
    count: u32,
    first: u64,
    hidden_until: u64,
}

struct Model {
    now: u64,
    records: BTreeMap<Slot, Plain>,
}

impl Model {
    fn new() -> Self {
        let fresh = Plain {
            done: false,
            expired: false,
            dead: false,
            deliveries: 0,
            count: 0,
            first: 0,
            hidden_until: 0,
        };
        let slots = (0..SHARDS).flat_map(|s| (0..RECORDS).map(move |i| slot(s, i)));
        Model { now: 0, records: slots.map(|slot| (slot, fresh.clone())).collect() }
    }

    fn settle(&mut self) {
        for record in self.records.values_mut().filter(|r| !r.done && !r.expired && !r.dead) {
            if record.count >= MAX_RECEIVE_COUNT && record.hidden_until <= self.now {
                record.dead = true;
                record.hidden_until = self.now;
            }
        }
    }

    fn may_receive(&self, lane: Lane, slot: Slot) -> bool {
        let r = &self.records[&slot];
        let dead = lane == Lane::DeadLetter;
        !r.done && !r.expired && r.dead == dead && r.hidden_until <= self.now
    }
}

fn slot(shard: u32, index: u32) -> Slot {
    // Not dense, as positions are.
    let position = Position::new(u64::from(index / 3) * 5 + 1, index % 3);
    Slot { shard: ShardId::new(shard), position }
}

fn secs(n: u64) -> Timestamp {
    Timestamp::from_secs(n)
}

/// A queue with its journal, over records that are simply there.
struct Queue {
    state: State,
    snapshot: State,
    journal: Vec<u8>,
}

impl Queue {
    fn do_all(&mut self, events: Vec<Event>) {
        for event in &events {
            self.state.apply(event);
        }
        self.write(events);
    }

    fn write(&mut self, events: Vec<Event>) {
        for event in &events {
            codec::write_event(&mut self.journal, event);
        }
    }

    /// What a restart would find.
    fn replayed(&self) -> State {
        let mut state = self.snapshot.clone();
        codec::read_events(&self.journal, |event| state.apply(&event)).unwrap();
        state
    }

    fn settle(&mut self, now: Timestamp) {
        loop {
            let (events, more) = self.state.settle(now, POLICY, 2);
            self.write(events);
            if !more {
                return;
            }
        }
    }

    fn receive(&mut self, lane: Lane, max: usize, now: Timestamp, hide: u64) -> Vec<Slot> {
        let (mut found, aside) = self.state.visible(lane, max, now, POLICY);
        self.do_all(aside);
        if lane == Lane::Normal {
            let fresh = (0..SHARDS).flat_map(|s| (0..RECORDS).map(move |i| slot(s, i)));
            let fresh = fresh.filter(|slot| slot.position >= self.state.cursor(slot.shard));
            let missing = max - found.len();
            found.extend(fresh.take(missing).collect::<Vec<_>>());
        }
        let visible_at = now.plus(Duration::from_secs(hide));
        let received = |slot: &Slot| Event::Received { slot: *slot, at: now, visible_at };
        self.do_all(found.iter().map(received).collect());
        found
    }
}

/// Two states that behave alike: what is visible already may be listed as hidden after a restart.
fn same(a: &State, b: &State) -> bool {
    a.tracked == b.tracked && a.cursors == b.cursors
}

proptest! {
    #[test]
    fn a_queue_does_what_a_simple_model_does(steps in steps()) {
        let mut model = Model::new();
        let mut queue =
            Queue { state: State::default(), snapshot: State::default(), journal: Vec::new() };
        let mut handles: Vec<(Lane, Slot, u32)> = Vec::new();
        for step in steps {
            let now = secs(model.now);
            queue.settle(now);
            model.settle();
            match step {
                Step::Receive { lane, count, secs: hide } => {
                    let lane = if lane { Lane::DeadLetter } else { Lane::Normal };
                    let due = model.records.keys().filter(|s| model.may_receive(lane, **s)).count();
                    let found = queue.receive(lane, count, now, hide);
                    prop_assert_eq!(found.len(), due.min(count), "records are there");
                    for slot in found {
                        prop_assert!(model.may_receive(lane, slot), "{:?} is not visible", slot);
                        let now = model.now;
                        let record = model.records.get_mut(&slot).unwrap();
                        if record.count == 0 {
                            record.first = now;
                        }
                        record.deliveries += 1;
                        record.count += 1;
                        record.hidden_until = now + hide;
                        let tracked = queue.state.tracked(slot).unwrap();
                        prop_assert_eq!(tracked.receive_count, record.count);
                        prop_assert_eq!(tracked.first_received, secs(record.first));
                        handles.push((lane, slot, tracked.generation));
                    }
                }
                Step::Acknowledge(n) => {
                    let Some(&(lane, slot, generation)) = handles.get(n) else { continue };
                    let result = queue.state.acknowledge(lane, slot, generation);
                    queue.do_all(result.into_iter().flatten().collect());
                    let record = model.records.get_mut(&slot).unwrap();
                    let gone = record.done || record.expired;
                    let held = !gone && record.deliveries == generation
                        && record.dead == (lane == Lane::DeadLetter);
                    prop_assert_eq!(result.is_ok(), gone || held);
                    record.done |= held;
                }
                Step::Show(n, hide) => {
                    let Some(&(lane, slot, generation)) = handles.get(n) else { continue };
                    let at = secs(model.now + hide);
                    let result = queue.state.show_at(lane, slot, generation, at);
                    queue.do_all(result.into_iter().collect());
                    let now = model.now;
                    let record = model.records.get_mut(&slot).unwrap();
                    let held = !record.done && !record.expired && record.deliveries == generation
                        && record.dead == (lane == Lane::DeadLetter);
                    prop_assert_eq!(result.is_ok(), held);
                    if held {
                        record.hidden_until = now + hide;
                    }
                }
                Step::Restore(n) => {
                    let Some(&(_, slot, generation)) = handles.get(n) else { continue };
                    let result = queue.state.restore(slot, generation, now);
                    queue.do_all(result.into_iter().collect());
                    let now = model.now;
                    let record = model.records.get_mut(&slot).unwrap();
                    let held = !record.done && !record.expired && record.deliveries == generation
                        && record.dead;
                    prop_assert_eq!(result.is_ok(), held);
                    if held {
                        record.dead = false;
                        record.count = 0;
                        record.hidden_until = now;
                    }
                }
                Step::Pass(time) => model.now += time,
                Step::Expire(shard) => {
                    // Only what was delivered: the rest is the feed's to pass over.
                    let cursor = queue.state.cursor(ShardId::new(shard));
                    let first = model.records.iter_mut().find(|(slot, record)| {
                        slot.shard.number() == shard && !record.expired && slot.position < cursor
                    });
                    if let Some((slot, record)) = first {
                        record.expired = true;
                        queue.state.expire(slot.shard, slot.position.next());
                        queue.snapshot.expire(slot.shard, slot.position.next());
                        let mut whole = State::default();
                        for part in codec::write_state(&queue.state, 64) {
                            codec::read_state(&part, &mut whole).unwrap();
                        }
                        queue.snapshot = whole;
                        queue.journal.clear();
                    }
                }
                Step::Snapshot => {
                    let mut whole = State::default();
                    for part in codec::write_state(&queue.state, 64) {
                        codec::read_state(&part, &mut whole).unwrap();
                    }
                    queue.state = whole.clone();
                    queue.snapshot = whole;
                    queue.journal.clear();
                }
            }
            prop_assert!(same(&queue.state, &queue.replayed()), "a restart finds the same");
            let tracked = queue.state.tracked_count();
            let (h, v) = queue.state.count(Lane::Normal);
            let (dh, dv) = queue.state.count(Lane::DeadLetter);
            prop_assert_eq!(tracked, h + v + dh + dv);
        }
    }
}

#[test]
fn bytes_that_nobody_wrote_are_refused() {
    assert_eq!(codec::read_events(&[9; 30], |_| {}), None);
    assert_eq!(codec::read_events(&[1, 0, 0], |_| {}), None);
    assert_eq!(codec::read_state(&[1; 40], &mut State::default()), None);
}

#[test]
fn beyond_the_bound_nothing_new_is_delivered() {
    let mut state = State::default();
    let at = |i: u64| Slot { shard: ShardId::new(0), position: Position::new(i + 1, 0) };
    for i in 0..QUEUE_IN_FLIGHT_MAX as u64 {
        assert!(state.has_room(), "{i}");
        state.apply(&Event::Received { slot: at(i), at: secs(0), visible_at: secs(30) });
    }
    assert!(!state.has_room());
    state.apply(&Event::Done { slot: at(7) });
    assert!(state.has_room());
}

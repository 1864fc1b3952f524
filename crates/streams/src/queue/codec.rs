//! Events and snapshots as bytes. A byte says what follows; numbers are big-endian.
//!
//! Readers refuse what they do not know: a newer program's journal is not misread by an older one.

use millstream_base::{ShardId, Timestamp};
use millstream_log::Position;

use super::event::{Event, Slot};
use super::state::{State, Tracked};
use crate::queue_model::Lane;

const RECEIVED: u8 = 1;
const DONE: u8 = 2;
const SHOWN: u8 = 3;
const SET_ASIDE: u8 = 4;
const RESTORED: u8 = 5;
const CURSOR: u8 = 16;
const TRACKED: u8 = 17;

pub(crate) fn write_event(out: &mut Vec<u8>, event: &Event) {
    let mut put = |kind: u8, slot: Slot, times: &[Timestamp]| {
        out.push(kind);
        put_slot(out, slot);
        for time in times {
            out.extend_from_slice(&time.as_millis().to_be_bytes());
        }
    };
    match *event {
        Event::Received { slot, at, visible_at } => put(RECEIVED, slot, &[at, visible_at]),
        Event::Done { slot } => put(DONE, slot, &[]),
        Event::Shown { slot, visible_at } => put(SHOWN, slot, &[visible_at]),
        Event::SetAside { slot, at } => put(SET_ASIDE, slot, &[at]),
        Event::Restored { slot, at } => put(RESTORED, slot, &[at]),
    }
}

/// Calls `see` with every event of an entry; `None` if it is not one that this program writes.
pub(crate) fn read_events(bytes: &[u8], mut see: impl FnMut(Event)) -> Option<()> {
    let mut from = Bytes(bytes);
    while let Some(kind) = from.kind() {
        let slot = from.slot()?;
        see(match kind {
            RECEIVED => Event::Received { slot, at: from.time()?, visible_at: from.time()? },
            DONE => Event::Done { slot },
            SHOWN => Event::Shown { slot, visible_at: from.time()? },
            SET_ASIDE => Event::SetAside { slot, at: from.time()? },
            RESTORED => Event::Restored { slot, at: from.time()? },
            _ => return None,
        });
    }
    Some(())
}

/// A state in parts of about `part_bytes` each.
pub(crate) fn write_state(state: &State, part_bytes: usize) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut part = |write: &dyn Fn(&mut Vec<u8>)| {
        if parts.last().is_some_and(|p: &Vec<u8>| p.len() >= part_bytes) {
            parts.push(Vec::new());
        }
        write(parts.last_mut().expect("there is a part"));
    };
    for (shard, position) in state.cursors() {
        part(&|out| {
            out.push(CURSOR);
            put_slot(out, Slot { shard, position });
        });
    }
    for (slot, t) in state.all_tracked() {
        part(&|out| {
            out.push(TRACKED);
            put_slot(out, slot);
            out.push(match t.lane {
                Lane::Normal => 0,
                Lane::DeadLetter => 1,
            });
            out.extend_from_slice(&t.generation.to_be_bytes());
            out.extend_from_slice(&t.receive_count.to_be_bytes());
            out.extend_from_slice(&t.first_received.as_millis().to_be_bytes());
            out.extend_from_slice(&t.visible_at.as_millis().to_be_bytes());
        });
    }
    parts
}

/// Puts a part into a state; `None` if it is not one that this program writes.
pub(crate) fn read_state(bytes: &[u8], state: &mut State) -> Option<()> {
    let mut from = Bytes(bytes);
    while let Some(kind) = from.kind() {
        let slot = from.slot()?;
        match kind {
            CURSOR => state.set_cursor(slot.shard, slot.position),
            TRACKED => {
                let lane = match from.take::<1>()? {
                    [0] => Lane::Normal,
                    [1] => Lane::DeadLetter,
                    _ => return None,
                };
                let tracked = Tracked {
                    lane,
                    generation: from.u32()?,
                    receive_count: from.u32()?,
                    first_received: from.time()?,
                    visible_at: from.time()?,
                };
                state.set_tracked(slot, tracked);
            }
            _ => return None,
        }
    }
    Some(())
}

fn put_slot(out: &mut Vec<u8>, slot: Slot) {
    out.extend_from_slice(&slot.shard.number().to_be_bytes());
    out.extend_from_slice(&slot.position.lsn.to_be_bytes());
    out.extend_from_slice(&slot.position.index.to_be_bytes());
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
    /// `None` at the end.
    fn kind(&mut self) -> Option<u8> {
        self.take::<1>().map(|[kind]| kind)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
    fn time(&mut self) -> Option<Timestamp> {
        self.u64().map(Timestamp::from_millis)
    }
    fn slot(&mut self) -> Option<Slot> {
        let shard = self.u32().filter(|n| *n <= ShardId::NUMBER_MAX).map(ShardId::new)?;
        Some(Slot { shard, position: Position::new(self.u64()?, self.u32()?) })
    }
}

//! What happened in a run, in order: a hash of everything and the text of the last events.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use super::SimClock;

/// Events whose text is kept.
pub const TRACE_TAIL: usize = 400;

pub(crate) struct Trace {
    clock: Arc<SimClock>,
    state: Mutex<State>,
}

struct State {
    hash: u64,
    events: u64,
    tail: VecDeque<String>,
    print: bool,
    closed: bool,
}

impl Trace {
    pub(crate) fn new(clock: Arc<SimClock>) -> Self {
        let state = State {
            hash: 0xcbf2_9ce4_8422_2325,
            events: 0,
            tail: VecDeque::with_capacity(TRACE_TAIL),
            print: false,
            closed: false,
        };
        Trace { clock, state: Mutex::new(state) }
    }

    pub(crate) fn note(&self, event: fmt::Arguments<'_>) {
        let at_us = self.clock.elapsed().as_micros();
        let mut s = self.state.lock();
        if s.closed {
            return;
        }
        let mut line = if s.tail.len() == TRACE_TAIL {
            s.tail.pop_front().expect("a full tail is not empty")
        } else {
            String::with_capacity(80)
        };
        line.clear();
        let _ = write!(line, "{:>9}.{:03} {event}", at_us / 1000, at_us % 1000);
        s.hash = hash(s.hash, line.as_bytes());
        s.events += 1;
        if s.print {
            eprintln!("{line}");
        }
        s.tail.push_back(line);
    }

    pub(crate) fn print(&self, on: bool) {
        self.state.lock().print = on;
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
    }

    pub(crate) fn hash(&self) -> u64 {
        self.state.lock().hash
    }

    pub(crate) fn events(&self) -> u64 {
        self.state.lock().events
    }

    pub(crate) fn tail(&self) -> Vec<String> {
        self.state.lock().tail.iter().cloned().collect()
    }
}

/// FNV-1a over words of eight bytes: not for adversaries, but for comparing two runs.
pub(crate) fn hash(mut h: u64, bytes: &[u8]) -> u64 {
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        h = (h ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3);
        h ^= h >> 29;
    }
    (h ^ bytes.len() as u64).wrapping_mul(0x0100_0000_01b3)
}

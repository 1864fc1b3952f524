//! A queue's own log: what happened, and now and then what it all came to.
//!
//! ```text
//!  begin  part part  end   opened  events  events  events ...   begin  part  end  events ...
//!  '---- snapshot -----'                                        '-- the next: all before is trimmed
//! ```
//!
//! Every entry carries the fencing token of its writer. Who takes a queue over writes an entry of
//! his own first; what an earlier owner writes behind it is passed over by all readers. An owner
//! answers only while it holds its lease after the write, so nothing that was answered is passed
//! over. The first snapshot, written when the queue is made, has token 0 and counts only if no
//! other stands before it: making can be repeated.
//!
//! Invariant: a snapshot counts from its last entry on; half a snapshot is none.

use std::sync::Arc;

use bytes::Bytes;
use millstream_base::Timestamp;
use millstream_log::{Batch, Entry, LogId, LogStore, NewEntry, Position, ReadLimit};

use super::codec;
use super::event::Event;
use super::state::State;
use crate::error::{Error, Result};

/// What an entry is; stands in its attributes.
const EVENTS: u32 = 1;
const BEGIN: u32 = 2;
const PART: u32 = 3;
const END: u32 = 4;
const OPENED: u32 = 5;

/// Bytes of one entry: far below what any store takes at once.
const ENTRY_BYTES: usize = 16 << 10;
/// Entries of a snapshot that are appended together.
const PARTS_PER_APPEND: usize = 16;
/// Events behind a snapshot before the next is due, at least; twice as many as there are tracked
/// records if that is more. So recovery reads a small multiple of what is in flight.
const EVENTS_PER_SNAPSHOT_MIN: usize = 20_000;
const PAGE: ReadLimit = ReadLimit { entries_max: 1000, bytes_max: 1 << 20 };

/// The token of entries that were written when the queue was made.
const MAKER: u64 = 0;

pub(crate) struct Journal {
    log: Arc<dyn LogStore>,
    id: LogId,
    token: u64,
    /// Events since the last snapshot.
    events: usize,
}

impl Journal {
    /// Writes the state a new queue begins with, if nobody has yet. The log must exist.
    pub(crate) async fn begin(
        log: Arc<dyn LogStore>,
        id: LogId,
        state: &State,
        now: Timestamp,
    ) -> Result<()> {
        let journal = Journal { log, id, token: MAKER, events: 0 };
        if journal.read_back().await?.0.is_none() {
            // In one batch: another node may be making the same queue.
            let parts = codec::write_state(state, ENTRY_BYTES).into_iter();
            let parts = parts.map(|part| journal.entry(PART, part));
            let begin = std::iter::once(journal.entry(BEGIN, Vec::new()));
            let end = std::iter::once(journal.entry(END, Vec::new()));
            journal.append(now, begin.chain(parts).chain(end).collect()).await?;
        }
        Ok(())
    }

    /// Takes the journal over: from now on only entries with `token` or a later one count.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: an entry is not one that this program writes, or there is no snapshot.
    pub(crate) async fn open(
        log: Arc<dyn LogStore>,
        id: LogId,
        token: u64,
        now: Timestamp,
    ) -> Result<(Journal, State)> {
        let mut journal = Journal { log, id, token, events: 0 };
        journal.append(now, vec![journal.entry(OPENED, Vec::new())]).await?;
        let (state, events) = journal.read_back().await?;
        journal.events = events;
        let state = state.ok_or_else(|| Error::Corrupt {
            reason: format!("the journal {id} of a queue begins with no snapshot"),
        })?;
        Ok((journal, state))
    }

    /// Writes down what happened, durably.
    pub(crate) async fn write(&mut self, events: &[Event], now: Timestamp) -> Result<()> {
        let mut events = events.iter().peekable();
        while events.peek().is_some() {
            let mut value = Vec::new();
            while value.len() < ENTRY_BYTES
                && let Some(event) = events.next()
            {
                codec::write_event(&mut value, event);
                self.events += 1;
            }
            self.append(now, vec![self.entry(EVENTS, value)]).await?;
        }
        Ok(())
    }

    /// Whether a snapshot is due.
    pub(crate) fn is_long(&self, state: &State) -> bool {
        self.events >= EVENTS_PER_SNAPSHOT_MIN.max(2 * state.tracked_count())
    }

    /// Writes a snapshot and tells where it begins. What stands before may be given back
    /// ([`Journal::trim`]) if the lease was held until here, and not otherwise: a later owner may
    /// have passed this snapshot over.
    pub(crate) async fn write_snapshot(
        &mut self,
        state: &State,
        now: Timestamp,
    ) -> Result<Position> {
        let begin = self.append(now, vec![self.entry(BEGIN, Vec::new())]).await?;
        for parts in codec::write_state(state, ENTRY_BYTES).chunks(PARTS_PER_APPEND) {
            let parts = parts.iter().map(|part| self.entry(PART, part.clone()));
            self.append(now, parts.collect()).await?;
        }
        self.append(now, vec![self.entry(END, Vec::new())]).await?;
        self.events = 0;
        Ok(begin)
    }

    pub(crate) async fn trim(&self, before: Position) -> Result<()> {
        Ok(self.log.trim(self.id, before).await?)
    }

    fn entry(&self, kind: u32, value: Vec<u8>) -> NewEntry {
        let key = Bytes::copy_from_slice(&self.token.to_be_bytes());
        NewEntry { attributes: kind, key, value: value.into() }
    }

    async fn append(&self, at: Timestamp, entries: Vec<NewEntry>) -> Result<Position> {
        let appended = self.log.append(vec![(self.id, Batch { at, entries, seal: None })]).await;
        let range = appended.into_iter().next().expect("one batch, one result")?;
        Ok(range.first)
    }

    /// The state that all entries come to, if there is a snapshot, and the events behind it.
    async fn read_back(&self) -> Result<(Option<State>, usize)> {
        let mut replay = Replay::default();
        let mut from = Position::START;
        loop {
            let page = self.log.read(self.id, from, PAGE).await?;
            if page.entries.is_empty() {
                return Ok((replay.state, replay.events));
            }
            for entry in &page.entries {
                replay.see(entry).ok_or_else(|| Error::Corrupt {
                    reason: format!(
                        "entry {:?} of a queue's journal {} can't be read",
                        entry.position, self.id
                    ),
                })?;
            }
            from = page.next;
        }
    }
}

#[derive(Default)]
struct Replay {
    token: u64,
    state: Option<State>,
    /// A snapshot that is being read.
    half: Option<State>,
    events: usize,
}

impl Replay {
    /// `None`: not an entry that this program writes.
    fn see(&mut self, entry: &Entry) -> Option<()> {
        let token = u64::from_be_bytes(entry.key[..].try_into().ok()?);
        if token < self.token {
            return Some(());
        }
        self.token = token;
        match entry.attributes {
            OPENED => {
                self.half = None;
                // So that a journal which is only ever opened is shortened as well.
                self.events += 1;
            }
            BEGIN => self.half = Some(State::default()),
            PART => {
                if let Some(half) = &mut self.half {
                    codec::read_state(&entry.value, half)?;
                }
            }
            END => {
                let whole = self.half.take();
                if token > MAKER || self.state.is_none() {
                    self.state = whole.or(self.state.take());
                    self.events = 0;
                }
            }
            EVENTS => {
                let (state, events) = (self.state.as_mut(), &mut self.events);
                if let Some(state) = state {
                    codec::read_events(&entry.value, |event| {
                        state.apply(&event);
                        *events += 1;
                    })?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

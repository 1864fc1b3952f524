//! What the clients of a log store know, and what every answer must therefore be.
//!
//! Every entry names the batch it came with and is otherwise a function of that name, so that one
//! read entry alone shows whether someone wrote it, and what it must hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use millstream_base::Timestamp;
use millstream_env::sim::Rng;
use millstream_log::{
    Batch, Entries, Entry, LogId, NewEntry, Position, PositionRange, ReadLimit, Tail,
};

/// A moment of the oracle: grows with everything it learns.
pub(crate) type Tick = u64;

pub(crate) type Verdict = Result<(), String>;

pub(crate) struct LogOracle {
    seed: u64,
    tick: Tick,
    batches: Vec<BatchModel>,
    logs: BTreeMap<LogId, LogModel>,
}

struct BatchModel {
    log: LogId,
    sizes: Vec<u32>,
    state: BatchState,
    began: Tick,
    ended: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchState {
    InFlight,
    /// Acknowledged, or read by someone.
    There {
        first: Position,
        at: Timestamp,
    },
    /// The answer never came, or said that nobody knows.
    Uncertain,
    Refused,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Certainty {
    #[default]
    No,
    Asked,
    Yes,
}

#[derive(Default)]
pub(crate) struct LogModel {
    /// When creating it was asked for, and when it was acknowledged.
    asked_for: Option<Tick>,
    created: Option<Tick>,
    pub(crate) deleted: Certainty,
    pub(crate) sealed: Certainty,
    sealed_at: Option<(Tick, Tail)>,
    /// Entries known to be there, and since when.
    known: BTreeMap<Position, Known>,
    /// Acknowledged trims, and when.
    trims: Vec<(Tick, Position)>,
    trim_asked: Position,
}

struct Known {
    batch: u32,
    index: u32,
    since: Tick,
}

impl LogOracle {
    pub(crate) fn new(seed: u64) -> Self {
        LogOracle { seed, tick: 0, batches: Vec::new(), logs: BTreeMap::new() }
    }

    pub(crate) fn now(&mut self) -> Tick {
        self.tick += 1;
        self.tick
    }

    pub(crate) fn log(&mut self, log: LogId) -> &mut LogModel {
        self.logs.entry(log).or_default()
    }

    pub(crate) fn create_asked(&mut self, log: LogId) {
        let now = self.now();
        self.log(log).asked_for.get_or_insert(now);
    }

    pub(crate) fn created(&mut self, log: LogId) {
        let now = self.now();
        self.log(log).created.get_or_insert(now);
    }

    pub(crate) fn began(&self, batch: u32) -> Tick {
        self.batches[batch as usize].began
    }

    pub(crate) fn ids(&self) -> Vec<LogId> {
        self.logs.keys().copied().collect()
    }

    /// Positions of entries known to be in `log`.
    pub(crate) fn positions(&self, log: LogId) -> Vec<Position> {
        self.logs.get(&log).map(|l| l.known.keys().copied().collect()).unwrap_or_default()
    }

    /// Times of the known entries of `log`.
    pub(crate) fn times(&self, log: LogId) -> Vec<Timestamp> {
        let Some(l) = self.logs.get(&log) else { return Vec::new() };
        l.known.values().filter_map(|k| self.there(k.batch).map(|(_, at)| at)).collect()
    }

    /// A new batch for `log`, from now on in flight.
    pub(crate) fn begin(&mut self, log: LogId, at: Timestamp, sizes: Vec<u32>) -> (u32, Batch) {
        let id = self.batches.len() as u32;
        let began = self.now();
        let entries = (0..sizes.len() as u32).map(|i| self.entry(id, i, sizes[i as usize]));
        // Every second one is sealed, with one of a few keys.
        let seal = (id % 2 == 1).then(|| Arc::new(super::key(u64::from(id) % super::KEYS)));
        let batch = Batch { at, entries: entries.collect(), seal };
        let state = BatchState::InFlight;
        self.batches.push(BatchModel { log, sizes, state, began, ended: Tick::MAX });
        (id, batch)
    }

    pub(crate) fn refused(&mut self, batch: u32) -> Verdict {
        let ended = self.now();
        let b = &mut self.batches[batch as usize];
        b.ended = ended;
        match b.state {
            BatchState::InFlight => {
                b.state = BatchState::Refused;
                Ok(())
            }
            state => Err(format!("batch {batch} was refused, but it is {state:?}")),
        }
    }

    pub(crate) fn uncertain(&mut self, batch: u32) {
        let ended = self.now();
        let b = &mut self.batches[batch as usize];
        b.ended = ended;
        if b.state == BatchState::InFlight {
            b.state = BatchState::Uncertain;
        }
    }

    pub(crate) fn acknowledged(&mut self, batch: u32, range: PositionRange) -> Verdict {
        let ended = self.now();
        let b = &mut self.batches[batch as usize];
        b.ended = ended;
        let (log, count) = (b.log, b.sizes.len() as u32);
        if range.count != count {
            return Err(format!("batch {batch} of {count} entries is acknowledged as {range:?}"));
        }
        if let Some((_, tail)) = self.logs.get(&log).and_then(|l| l.sealed_at)
            && range.first >= tail.next
        {
            return Err(format!("batch {batch} is at {range:?}, {log} was sealed at {tail:?}"));
        }
        self.place(batch, range.first, range.at)
    }

    /// Batch `batch` stands at `first`: the first one to say so fixes it.
    fn place(&mut self, batch: u32, first: Position, at: Timestamp) -> Verdict {
        let b = &self.batches[batch as usize];
        let log = b.log;
        match b.state {
            BatchState::There { first: f, at: a } if (f, a) == (first, at) => return Ok(()),
            BatchState::There { .. } | BatchState::Refused => {
                return Err(format!(
                    "batch {batch} of {log} shows up at {first:?} ({at}), but it is {:?}",
                    b.state
                ));
            }
            BatchState::InFlight | BatchState::Uncertain => {}
        }
        let (count, began, ended) = (b.sizes.len() as u32, b.began, b.ended);
        self.check_order(batch, log, first, at, began, ended)?;
        self.batches[batch as usize].state = BatchState::There { first, at };
        let since = self.now();
        let known = &mut self.log(log).known;
        for index in 0..count {
            let position = Position::new(first.lsn, first.index + index);
            if let Some(other) = known.insert(position, Known { batch, index, since }) {
                return Err(format!(
                    "position {position:?} of {log} is given twice: batches {} and {batch}",
                    other.batch
                ));
            }
        }
        Ok(())
    }

    /// Appends that did not overlap in time stand in the order of their calls; times never fall.
    fn check_order(
        &self,
        batch: u32,
        log: LogId,
        first: Position,
        at: Timestamp,
        began: Tick,
        ended: Tick,
    ) -> Verdict {
        let Some(l) = self.logs.get(&log) else { return Ok(()) };
        for (position, k) in &l.known {
            let other = &self.batches[k.batch as usize];
            let Some((_, other_at)) = self.there(k.batch) else { continue };
            let after = *position < first;
            if (after && (other.began > ended || other_at > at))
                || (!after && (other.ended < began || other_at < at))
            {
                return Err(format!(
                    "order of {log}: batch {batch} at {first:?} (time {at}, calls {began} to \
                     {ended}) and batch {} at {position:?} (time {other_at}, calls {} to {})",
                    k.batch, other.began, other.ended
                ));
            }
        }
        Ok(())
    }

    fn there(&self, batch: u32) -> Option<(Position, Timestamp)> {
        match self.batches[batch as usize].state {
            BatchState::There { first, at } => Some((first, at)),
            _ => None,
        }
    }

    /// An answer to a read of `log` from `from` that was asked at `asked`.
    pub(crate) fn read(
        &mut self,
        log: LogId,
        from: Position,
        limit: ReadLimit,
        asked: Tick,
        got: &Entries,
    ) -> Verdict {
        let trimmed = self.log(log).trimmed_before(asked);
        check_limit(limit, got)?;
        let mut last: Option<&Entry> = None;
        for e in &got.entries {
            if e.position < from || e.position < trimmed || e.position >= got.next {
                return Err(format!(
                    "read of {log} from {from:?} (trimmed to {trimmed:?}) to {:?} returns {:?}",
                    got.next, e.position
                ));
            }
            if let Some(l) = last
                && (l.position >= e.position || l.at > e.at)
            {
                return Err(format!(
                    "{log} is out of order: {:?} at {}, then {:?} at {}",
                    l.position, l.at, e.position, e.at
                ));
            }
            self.check_entry(log, e)?;
            last = Some(e);
        }
        if got.next < from || got.next < trimmed {
            return Err(format!("read of {log} from {from:?} goes back to {:?}", got.next));
        }
        self.check_nothing_missing(log, from, asked, got)
    }

    fn check_entry(&mut self, log: LogId, e: &Entry) -> Verdict {
        let named = e.key.get(..8).map(|k| {
            let half = |r: &[u8]| u32::from_le_bytes([r[0], r[1], r[2], r[3]]);
            (half(&k[..4]), half(&k[4..]))
        });
        let Some((batch, index)) = named else {
            return Err(format!("{log} holds an entry at {:?} nobody wrote", e.position));
        };
        let model = self.batches.get(batch as usize).filter(|b| b.log == log);
        let Some(size) = model.and_then(|b| b.sizes.get(index as usize)).copied() else {
            return Err(format!(
                "{log} holds entry {index} of batch {batch} at {:?}: nobody wrote that here",
                e.position
            ));
        };
        let wrote = self.entry(batch, index, size);
        if (e.attributes, &e.key, &e.value) != (wrote.attributes, &wrote.key, &wrote.value) {
            return Err(format!(
                "entry {index} of batch {batch} at {:?} of {log} was changed: {} bytes, wrote {}",
                e.position,
                e.value.len(),
                wrote.value.len()
            ));
        }
        let Some(first) = e.position.index.checked_sub(index) else {
            return Err(format!("entry {index} of batch {batch} stands at {:?}", e.position));
        };
        self.place(batch, Position::new(e.position.lsn, first), e.at)
    }

    fn check_nothing_missing(
        &mut self,
        log: LogId,
        from: Position,
        asked: Tick,
        got: &Entries,
    ) -> Verdict {
        let l = &self.logs[&log];
        let low = from.max(l.trim_asked);
        if low >= got.next || l.deleted != Certainty::No {
            return Ok(()); // of a log that is being deleted any part may be gone
        }
        let mut read = got.entries.iter().map(|e| e.position).peekable();
        for (position, k) in l.known.range(low..got.next).filter(|(_, k)| k.since < asked) {
            while read.peek().is_some_and(|p| p < position) {
                read.next();
            }
            if read.peek() != Some(position) {
                return Err(format!(
                    "LOST: entry {} of batch {} at {position:?} of {log} is not in the read from \
                     {from:?} to {:?} ({} entries)",
                    k.index,
                    k.batch,
                    got.next,
                    got.entries.len()
                ));
            }
        }
        Ok(())
    }

    /// A read from `from` to the end found the end at `end`.
    pub(crate) fn reached_end(&mut self, log: LogId, end: Position, asked: Tick) -> Verdict {
        let l = &self.logs[&log];
        if l.deleted != Certainty::No {
            return Ok(());
        }
        match l.known.range(end.max(l.trim_asked)..).find(|(_, k)| k.since < asked) {
            Some((position, k)) => Err(format!(
                "LOST: {log} ends at {end:?} for its reader, but batch {} is at {position:?}",
                k.batch
            )),
            None => Ok(()),
        }
    }

    /// An answer to a search for the time `at`.
    pub(crate) fn found(
        &mut self,
        log: LogId,
        at: Timestamp,
        asked: Tick,
        position: Position,
    ) -> Verdict {
        let l = &self.logs[&log];
        for (p, k) in l.known.range(l.trim_asked..).filter(|(_, k)| k.since < asked) {
            let Some((_, time)) = self.there(k.batch) else { continue };
            if (time >= at && *p < position) || (time < at && *p >= position) {
                return Err(format!(
                    "find({at}) in {log} gives {position:?}, but {p:?} has the time {time}"
                ));
            }
        }
        Ok(())
    }

    /// The log's end as the store tells it.
    pub(crate) fn tail(&mut self, log: LogId, asked: Tick, tail: Tail) -> Verdict {
        let l = &self.logs[&log];
        if let Some((position, k)) = l.known.last_key_value()
            && k.since < asked
            && let Some((_, at)) = self.there(k.batch)
            && (*position >= tail.next || at > tail.last_at)
        {
            return Err(format!(
                "the tail of {log} is {tail:?}, but {position:?} is there at {at}"
            ));
        }
        if tail.sealed && l.sealed == Certainty::No {
            return Err(format!("{log} is sealed and nobody asked for it"));
        }
        match l.sealed_at {
            Some((at, sealed)) if at < asked && sealed != tail => {
                Err(format!("{log} was sealed at {sealed:?}, its tail is {tail:?}"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn sealed(&mut self, log: LogId, asked: Tick, tail: Tail) -> Verdict {
        if !tail.sealed {
            return Err(format!("sealing {log} answers with an open tail {tail:?}"));
        }
        self.log(log).sealed = Certainty::Yes;
        self.tail(log, asked, tail)?;
        let now = self.now();
        self.log(log).sealed_at.get_or_insert((now, tail));
        Ok(())
    }

    pub(crate) fn trim_asked(&mut self, log: LogId, before: Position) {
        let l = self.log(log);
        l.trim_asked = l.trim_asked.max(before);
    }

    pub(crate) fn trimmed(&mut self, log: LogId, before: Position) {
        let now = self.now();
        self.log(log).trims.push((now, before));
    }

    /// Entry `index` of `batch`: the same whenever it is asked for.
    fn entry(&self, batch: u32, index: u32, size: u32) -> NewEntry {
        let mut rng = Rng::new(self.seed ^ (batch as u64) << 32 ^ index as u64);
        let mut key = Vec::with_capacity(24);
        key.extend_from_slice(&batch.to_le_bytes());
        key.extend_from_slice(&index.to_le_bytes());
        key.resize(8 + rng.below(16) as usize, b'k');
        let mut value = vec![0; size as usize];
        if !rng.one_in(8) {
            rng.fill(&mut value); // the others are zeroes: what an unwritten sector looks like
        }
        NewEntry { attributes: rng.next_u64() as u32, key: key.into(), value: Bytes::from(value) }
    }
}

impl LogModel {
    /// The trim point that a read asked at `asked` must respect.
    fn trimmed_before(&self, asked: Tick) -> Position {
        let sure = self.trims.iter().filter(|(at, _)| *at < asked);
        sure.map(|(_, p)| *p).max().unwrap_or(Position::START)
    }

    pub(crate) fn may_exist(&self) -> bool {
        self.asked_for.is_some() && self.deleted != Certainty::Yes
    }

    /// For a call that was made at `asked` and is over now.
    pub(crate) fn must_exist(&self, asked: Tick) -> bool {
        self.created.is_some_and(|at| at < asked) && self.deleted == Certainty::No
    }
}

fn check_limit(limit: ReadLimit, got: &Entries) -> Verdict {
    let bytes: usize = got.entries.iter().map(|e| e.key.len() + e.value.len()).sum();
    if got.entries.len() > limit.entries_max || (got.entries.len() > 1 && bytes > limit.bytes_max) {
        return Err(format!(
            "a read with {limit:?} returns {} entries of {bytes} bytes",
            got.entries.len()
        ));
    }
    Ok(())
}

//! Recent entries in memory: what is durable in the write-ahead log and in no segment file yet,
//! and, as far as the budget goes, what was before.
//!
//! ```text
//!   oldest frame                  checkpoint                     newest frame
//!   [ cache: may be evicted ......)[ pinned: only here and in the write-ahead log ]
//! ```
//!
//! Invariant: nothing is in here that is not durable.
//! Invariant: a log's chunks in memory have no gap up to its tail; what is before is in segments.

use std::collections::{BTreeMap, HashMap, VecDeque, btree_map};
use std::sync::Arc;

use bytes::Bytes;
use millstream_base::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader};
use crate::store::{LogId, Position, Tail};
use crate::wal::WalPosition;

/// What a chunk costs beyond its bytes: its row in the log's queue and its share of a frame's.
const CHUNK_OVERHEAD: usize = 128;

/// One log, as readers see it.
pub(crate) struct Log {
    pub id: LogId,
    tail: watch::Sender<Tail>,
    inner: Mutex<LogInner>,
}

pub(crate) struct LogInner {
    pub chunks: VecDeque<MemChunk>,
    /// Nothing before this is readable any more.
    pub trim: Position,
    /// Everything at and after this is in memory.
    pub memory_from: Position,
}

/// A data chunk in memory: header and payload as they are on disk.
#[derive(Clone)]
pub(crate) struct MemChunk {
    pub lsn: u64,
    pub first: u32,
    pub count: u32,
    pub at: Timestamp,
    pub bytes: Bytes,
}

impl MemChunk {
    pub(crate) fn new(header: &ChunkHeader, bytes: Bytes) -> Self {
        MemChunk { lsn: header.lsn, first: header.first, count: header.count, at: header.at, bytes }
    }
    pub(crate) fn first_position(&self) -> Position {
        Position::new(self.lsn, self.first)
    }
    /// The least position after this chunk's entries.
    pub(crate) fn end_position(&self) -> Position {
        Position::new(self.lsn, self.first + self.count)
    }
    pub(crate) fn payload(&self) -> Bytes {
        self.bytes.slice(CHUNK_HEADER_LEN..)
    }
}

impl Log {
    pub(crate) fn new(row: &LogRow) -> Arc<Self> {
        let tail = Tail { next: row.next, last_at: row.last_at, sealed: row.sealed };
        Arc::new(Log {
            id: row.log,
            tail: watch::Sender::new(tail),
            inner: Mutex::new(LogInner {
                chunks: VecDeque::new(),
                trim: row.trim,
                memory_from: row.next,
            }),
        })
    }

    pub(crate) fn tail(&self) -> Tail {
        *self.tail.borrow()
    }
    pub(crate) fn watch(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }
    pub(crate) fn lock(&self) -> MutexGuard<'_, LogInner> {
        self.inner.lock()
    }

    fn row(&self) -> LogRow {
        let tail = self.tail();
        LogRow {
            log: self.id,
            sealed: tail.sealed,
            trim: self.inner.lock().trim,
            next: tail.next,
            last_at: tail.last_at,
        }
    }

    fn evict_through(&self, lsn: u64) {
        let mut inner = self.inner.lock();
        while let Some(c) = inner.chunks.front().filter(|c| c.lsn <= lsn) {
            inner.memory_from = c.end_position();
            inner.chunks.pop_front();
        }
        if inner.chunks.is_empty() {
            inner.chunks.shrink_to_fit();
        }
    }
}

/// What a checkpoint remembers of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogRow {
    pub log: LogId,
    pub sealed: bool,
    pub trim: Position,
    pub next: Position,
    pub last_at: Timestamp,
}

impl LogRow {
    pub(crate) fn empty(log: LogId) -> Self {
        LogRow {
            log,
            sealed: false,
            trim: Position::START,
            next: Position::START,
            last_at: Timestamp::ZERO,
        }
    }
}

/// What a durable frame changes, in its order.
pub(crate) enum Change {
    Create(LogId),
    Data(LogId, MemChunk),
    Seal(LogId),
    Trim(LogId, Position),
    Delete(LogId),
}

/// All logs, and the frames whose chunks are in memory.
pub(crate) struct Memory {
    pub logs: HashMap<LogId, Arc<Log>>,
    frames: VecDeque<FrameRow>,
    budget: u64,
    /// Bytes of all frames, and of those no checkpoint covers.
    bytes: u64,
    pinned_bytes: u64,
    checkpoint_lsn: u64,
    /// The newest frame published, and where it ends.
    pub last_lsn: u64,
    pub wal_end: WalPosition,
    /// Write-ahead bytes since the last checkpoint.
    pub wal_bytes: u64,
    /// Logs trimmed or deleted since segments were last looked over, and from where.
    pub trimmed: HashMap<LogId, Position>,
}

struct FrameRow {
    lsn: u64,
    bytes: u64,
    logs: Box<[Arc<Log>]>,
}

/// What a checkpoint has to write, taken at one moment.
pub(crate) struct Snapshot {
    pub lsn: u64,
    pub wal_end: WalPosition,
    pub rows: Vec<LogRow>,
    /// By log, then by position.
    pub chunks: Vec<(LogId, Vec<MemChunk>)>,
    pub bytes: u64,
    wal_bytes: u64,
}

impl Memory {
    pub(crate) fn new(rows: &[LogRow], checkpoint_lsn: u64, budget: u64) -> Self {
        Memory {
            logs: rows.iter().map(|r| (r.log, Log::new(r))).collect(),
            frames: VecDeque::new(),
            budget,
            bytes: 0,
            pinned_bytes: 0,
            checkpoint_lsn,
            last_lsn: checkpoint_lsn,
            wal_end: WalPosition::default(),
            wal_bytes: 0,
            trimmed: HashMap::new(),
        }
    }

    /// Makes a durable frame visible. `bytes` is what its chunks keep alive.
    pub(crate) fn publish(
        &mut self,
        lsn: u64,
        wal_end: WalPosition,
        wal_bytes: u64,
        bytes: u64,
        changes: Vec<Change>,
    ) {
        let mut touched: BTreeMap<LogId, (Arc<Log>, Tail)> = BTreeMap::new();
        let mut data = 0;
        for change in changes {
            match change {
                Change::Create(id) => {
                    self.logs.entry(id).or_insert_with(|| Log::new(&LogRow::empty(id)));
                }
                Change::Data(id, chunk) => {
                    let Some((log, tail)) = self.touch(&mut touched, id) else { continue };
                    tail.next = chunk.end_position();
                    tail.last_at = chunk.at;
                    data += 1;
                    log.inner.lock().chunks.push_back(chunk);
                }
                Change::Seal(id) => {
                    if let Some((_, tail)) = self.touch(&mut touched, id) {
                        tail.sealed = true;
                    }
                }
                Change::Trim(id, before) => self.trim(id, before),
                Change::Delete(id) => {
                    touched.remove(&id);
                    if let Some(log) = self.logs.remove(&id) {
                        let from = log.lock().trim;
                        self.trimmed.entry(id).or_insert(from);
                    }
                }
            }
        }
        self.last_lsn = lsn;
        self.wal_end = wal_end;
        self.wal_bytes += wal_bytes;
        if data > 0 {
            let bytes = bytes + (data * CHUNK_OVERHEAD) as u64;
            self.bytes += bytes;
            self.pinned_bytes += bytes;
            let logs = touched.values().map(|(log, _)| log.clone()).collect();
            self.frames.push_back(FrameRow { lsn, bytes, logs });
        }
        self.evict();
        for (log, tail) in touched.into_values() {
            log.tail.send_replace(tail);
        }
    }

    fn touch<'a>(
        &self,
        touched: &'a mut BTreeMap<LogId, (Arc<Log>, Tail)>,
        id: LogId,
    ) -> Option<&'a mut (Arc<Log>, Tail)> {
        match touched.entry(id) {
            btree_map::Entry::Occupied(e) => Some(e.into_mut()),
            btree_map::Entry::Vacant(e) => {
                let log = self.logs.get(&id)?.clone();
                let tail = log.tail();
                Some(e.insert((log, tail)))
            }
        }
    }

    fn trim(&mut self, id: LogId, before: Position) {
        let Some(log) = self.logs.get(&id) else { return };
        let mut inner = log.inner.lock();
        if before <= inner.trim {
            return;
        }
        self.trimmed.entry(id).or_insert(inner.trim);
        inner.trim = before;
        while let Some(c) = inner.chunks.front().filter(|c| c.end_position() <= before) {
            inner.memory_from = c.end_position();
            inner.chunks.pop_front();
        }
    }

    fn evict(&mut self) {
        while self.bytes > self.budget
            && let Some(frame) = self.frames.front().filter(|f| f.lsn <= self.checkpoint_lsn)
        {
            for log in &frame.logs {
                log.evict_through(frame.lsn);
            }
            self.bytes -= frame.bytes;
            self.frames.pop_front();
        }
    }

    /// Room for `more` pinned bytes within the budget?
    pub(crate) fn has_room(&self, more: u64) -> bool {
        self.pinned_bytes == 0 || self.pinned_bytes + more <= self.budget
    }
    pub(crate) fn pinned_bytes(&self) -> u64 {
        self.pinned_bytes
    }
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is in no segment file yet, and every log's state at the same moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let pinned = self.frames.iter().filter(|f| f.lsn > self.checkpoint_lsn);
        let mut logs: Vec<&Arc<Log>> = pinned.flat_map(|f| &f.logs).collect();
        logs.sort_unstable_by_key(|log| log.id);
        logs.dedup_by_key(|log| log.id);
        logs.retain(|log| self.logs.contains_key(&log.id));
        let chunks = logs.iter().map(|log| {
            let inner = log.inner.lock();
            let from = inner.chunks.partition_point(|c| c.lsn <= self.checkpoint_lsn);
            (log.id, inner.chunks.range(from..).cloned().collect::<Vec<_>>())
        });
        let mut rows: Vec<LogRow> = self.logs.values().map(|log| log.row()).collect();
        rows.sort_unstable_by_key(|r| r.log);
        Snapshot {
            lsn: self.last_lsn,
            wal_end: self.wal_end,
            rows,
            chunks: chunks.filter(|(_, chunks)| !chunks.is_empty()).collect(),
            bytes: self.pinned_bytes,
            wal_bytes: self.wal_bytes,
        }
    }

    /// The snapshot is in segment files: its frames may be evicted.
    pub(crate) fn checkpointed(&mut self, snapshot: &Snapshot) {
        self.checkpoint_lsn = snapshot.lsn;
        self.pinned_bytes -= snapshot.bytes;
        self.wal_bytes -= snapshot.wal_bytes;
        self.evict();
    }
}

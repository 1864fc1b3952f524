//! The writer: the only place where positions are given and frames are written.
//!
//! It takes whatever queued up while the last sync ran, writes it as one frame, syncs, and only
//! then makes it visible and answers. No timer is involved: the sync itself is the pause in which
//! the next group gathers.
//!
//! Invariant: nothing is published or acknowledged before its sync returned.
//! Invariant: frames are written in the order of their lsn, one at a time.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use millstream_base::Timestamp;
use millstream_env::File;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::blocks::Blocks;
use crate::chunk::{ChunkHeader, ChunkKind, write_chunk, write_entries};
use crate::damage::is_full;
use crate::frame::{FRAME_HEADER_LEN, FrameBuilder, FrameHeader, padded};
use crate::map::Map;
use crate::memory::{Change, LogRow, MemChunk};
use crate::request::{
    Answer, AppendAnswer, ControlOp, PendingBatch, PendingEntries, Request, answer, refuse_all,
};
use crate::shared::{Shared, count};
use crate::store::{AppendError, LogError, LogId, Position, PositionRange, Tail};
use crate::wal::{NextFile, WalPosition};

/// The end of every file is for what frees space: trims, seals and deletes fit even when the disk
/// has no room for another file.
const CONTROL_RESERVE: u64 = 64 << 10;
/// While the disk is full, a file is asked for at most this often.
const FULL_RETRY: Duration = Duration::from_millis(100);
/// Most calls of one group: bounds the answers that one sync delays.
const GROUP_CALLS_MAX: usize = 16_384;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<Request>,
    carry: Option<Request>,
    file: Option<CurrentFile>,
    logs: Map<LogId, LogRow>,
    blocks: Blocks,
    next_lsn: u64,
    durable_lsn: u64,
    epoch: u64,
    unproven: bool,
    full_since: Option<(Instant, String)>,
}

struct CurrentFile {
    seq: u64,
    file: Arc<dyn File>,
    offset: u64,
}

/// Why a group can't be written now.
enum NoRoom {
    Full(String),
    Stopped,
}

/// A frame that is built and not yet written.
struct Built {
    frame: BytesMut,
    body_len: usize,
    states: Map<LogId, Option<LogRow>>,
    changes: Vec<BuiltChange>,
    answers: Vec<Answer>,
    entries: u64,
}

enum BuiltChange {
    Data(ChunkHeader, Range<usize>),
    Other(Change),
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        requests: mpsc::UnboundedReceiver<Request>,
        rows: Vec<LogRow>,
        next_lsn: u64,
        epoch: u64,
    ) -> Self {
        let o = &shared.options;
        let blocks = Blocks::new(o.group_bytes_max, o.memory_bytes);
        Writer {
            shared,
            requests,
            carry: None,
            file: None,
            logs: rows.into_iter().map(|r| (r.log, r)).collect(),
            blocks,
            next_lsn,
            durable_lsn: next_lsn - 1,
            epoch,
            unproven: false,
            full_since: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut stop = None;
        while stop.is_none() {
            let Some(group) = self.next_group(&mut stop).await else { break };
            if self.shared.health.stopped().is_some() {
                self.fail(group);
                break;
            }
            self.write_group(group).await;
        }
        self.requests.close();
        if stop.is_some() && self.unproven && self.shared.health.stopped().is_none() {
            self.write_marker().await;
        }
        self.shared.health.stop("it was shut down");
        while let Ok(request) = self.requests.try_recv() {
            self.fail(vec![request]);
        }
        if let Some(stop) = stop {
            let _ = stop.send(());
        }
    }

    /// Everything that is waiting, up to the bounds of one group. Empty for a marker that came too
    /// late or a stop.
    async fn next_group(&mut self, stop: &mut Option<oneshot::Sender<()>>) -> Option<Vec<Request>> {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = match self.carry.take() {
            Some(request) => Some(request),
            None => Some(self.requests.recv().await?),
        };
        while let Some(request) = next {
            match request {
                Request::Stop(done) => {
                    *stop = Some(done);
                    break;
                }
                Request::Marker => {
                    if group.is_empty() && self.requests.is_empty() {
                        self.write_marker().await;
                    } else {
                        self.shared.unproven.notify_one();
                    }
                }
                request => {
                    let more = request.bytes();
                    let fits = bytes + more <= self.shared.options.group_bytes_max;
                    if !group.is_empty() && (!fits || group.len() >= GROUP_CALLS_MAX) {
                        self.carry = Some(request);
                        break;
                    }
                    bytes += more;
                    group.push(request);
                }
            }
            next = self.requests.try_recv().ok();
        }
        Some(group)
    }

    async fn write_group(&mut self, mut group: Vec<Request>) {
        if group.is_empty() {
            return;
        }
        loop {
            let bytes = group.iter().map(Request::bytes).sum::<u64>();
            let data = group.iter().any(|r| matches!(r, Request::Append(_)));
            match self.make_room(bytes, data).await {
                Ok(()) => break,
                Err(NoRoom::Full(reason)) => {
                    self.refuse(&mut group, &reason, data);
                    if group.is_empty() {
                        return;
                    }
                }
                Err(NoRoom::Stopped) => return self.fail(group),
            }
        }
        let built = self.build(group);
        self.commit(built).await;
    }

    /// Waits until memory and write-ahead file can take a frame.
    async fn make_room(&mut self, bytes: u64, data: bool) -> Result<(), NoRoom> {
        let shared = self.shared.clone();
        loop {
            let woken = shared.room.notified();
            if shared.health.stopped().is_some() {
                return Err(NoRoom::Stopped);
            }
            let room = shared.memory.lock().has_room(bytes);
            if (room || !data) && self.has_file(bytes, data).await? {
                return Ok(());
            }
            if let Some(reason) = shared.health.checkpoint_error() {
                return Err(NoRoom::Full(format!("no checkpoint can be made: {reason}")));
            }
            shared.checkpoint_due.notify_one();
            woken.await;
        }
    }

    /// Is there a file with room? `false`: there will be, after a checkpoint.
    async fn has_file(&mut self, bytes: u64, data: bool) -> Result<bool, NoRoom> {
        let needed = padded(bytes) + if data { CONTROL_RESERVE } else { 0 };
        let len = self.shared.options.wal_file_bytes;
        if self.file.as_ref().is_some_and(|f| f.offset + needed <= len) {
            return Ok(true);
        }
        if let Some((since, reason)) = &self.full_since
            && since.elapsed() < FULL_RETRY
        {
            return Err(NoRoom::Full(reason.clone()));
        }
        self.shared.env.hesitate("wal.next_file").await;
        let next = self.shared.wal.lock().next();
        match next {
            NextFile::File(seq, file) => {
                self.file = Some(CurrentFile { seq, file, offset: 0 });
                self.full_since = None;
                self.shared.health.set_wal_full(None);
                self.shared.prepare.notify_one();
                Ok(true)
            }
            NextFile::Full(reason) => {
                self.full_since = Some((Instant::now(), reason.clone()));
                self.shared.health.set_wal_full(Some(reason.clone()));
                // What is in the older files may be all that keeps them from being used again.
                self.shared.checkpoint_due.notify_one();
                Err(NoRoom::Full(reason))
            }
            NextFile::Bound => Ok(false),
            NextFile::Failed(e) => {
                let reason = format!("the next write-ahead file can't be made: {e}");
                self.die(&reason).await;
                Err(NoRoom::Stopped)
            }
        }
    }

    /// Answers what can't be written: appends first, and all if it was not for them.
    fn refuse(&mut self, group: &mut Vec<Request>, reason: &str, data: bool) {
        for request in std::mem::take(group) {
            match request {
                Request::Append(call) => {
                    self.shared.queue.add_permits(call.permits as usize);
                    let full = || Err(AppendError::Full { reason: reason.into() });
                    let _ = call.reply.send(call.batches.iter().map(|_| full()).collect());
                }
                Request::Control(call) if !data => {
                    let _ = call.reply.send(Err(LogError::Full { reason: reason.into() }));
                }
                other => group.push(other),
            }
        }
    }

    fn fail(&mut self, group: Vec<Request>) {
        let reason = self.shared.health.stopped().unwrap_or_else(|| "it is stopping".into());
        for request in group {
            match request {
                Request::Append(call) => {
                    self.shared.queue.add_permits(call.permits as usize);
                    let stopped = || Err(AppendError::Stopped { reason: reason.clone() });
                    let _ = call.reply.send(call.batches.iter().map(|_| stopped()).collect());
                }
                Request::Control(call) => {
                    let _ = call.reply.send(Err(LogError::Stopped { reason: reason.clone() }));
                }
                Request::Marker => {}
                Request::Stop(done) => drop(done),
            }
        }
    }

    /// Gives positions and encodes; nothing is final before [`Writer::commit`].
    fn build(&mut self, group: Vec<Request>) -> Built {
        let bytes = group.iter().map(Request::bytes).sum::<u64>();
        let mut frame = FrameBuilder::new(self.blocks.take(padded(bytes) as usize));
        let mut built = Built {
            frame: BytesMut::new(),
            body_len: 0,
            states: Map::default(),
            changes: Vec::new(),
            answers: Vec::with_capacity(group.len()),
            entries: 0,
        };
        for request in group {
            match request {
                Request::Append(call) => {
                    self.shared.queue.add_permits(call.permits as usize);
                    let answers = call.batches.into_iter();
                    let answers = answers.map(|b| self.add_batch(b, &mut frame, &mut built));
                    let answers = answers.collect();
                    built.answers.push(Answer::Append(call.reply, answers));
                }
                Request::Control(call) => {
                    let mut answer = Ok(None);
                    for (log, op) in call.ops {
                        answer = answer.and(self.add_control(log, op, &mut frame, &mut built));
                    }
                    built.answers.push(Answer::Control(call.reply, answer));
                }
                Request::Marker | Request::Stop(_) => {}
            }
        }
        built.body_len = frame.buf.len() - FRAME_HEADER_LEN;
        built.frame = frame.finish(self.frame_header());
        built
    }

    fn frame_header(&self) -> FrameHeader {
        FrameHeader {
            incarnation: self.shared.incarnation,
            file_seq: self.file.as_ref().map_or(0, |f| f.seq),
            lsn: self.next_lsn,
            epoch: self.epoch,
            durable_lsn: if self.shared.options.sync { self.durable_lsn } else { 0 },
            file_len: self.shared.options.wal_file_bytes,
            body_len: 0,
            chunks: 0,
            body_crc: 0,
        }
    }

    fn state<'a>(&self, built: &'a mut Built, log: LogId) -> &'a mut Option<LogRow> {
        built.states.entry(log).or_insert_with(|| self.logs.get(&log).copied())
    }

    fn add_batch(
        &self,
        batch: PendingBatch,
        frame: &mut FrameBuilder,
        built: &mut Built,
    ) -> AppendAnswer {
        let log = batch.log;
        let Some(row) = self.state(built, log) else { return Err(AppendError::NotFound { log }) };
        if row.sealed {
            return Err(AppendError::Sealed { log });
        }
        let first = if row.next.lsn == self.next_lsn { row.next.index } else { 0 };
        let count = batch.entries.count();
        let at = batch.at.max(row.last_at);
        row.last_at = at;
        row.next = Position::new(self.next_lsn, first + count);
        let mut header = self.chunk_header(ChunkKind::Data, log, first, count, at);
        let range = match &batch.entries {
            PendingEntries::Plain(entries) => {
                self.put(frame, header, |out| write_entries(out, entries))
            }
            PendingEntries::Sealed(sealed) => {
                header.seal = Some(sealed.seal);
                header.payload_len = sealed.payload_len() as u32;
                self.put(frame, header, |out| sealed.write(&header, out))
            }
        };
        built.changes.push(BuiltChange::Data(header, range));
        built.entries += u64::from(count);
        Ok(PositionRange { first: Position::new(self.next_lsn, first), count, at })
    }

    fn add_control(
        &self,
        log: LogId,
        op: ControlOp,
        frame: &mut FrameBuilder,
        built: &mut Built,
    ) -> Result<Option<Tail>, LogError> {
        let state = self.state(built, log);
        let (kind, change) = match (op, &mut *state) {
            (ControlOp::Create, None) => {
                *state = Some(LogRow::empty(log));
                (ChunkKind::Create, Change::Create(log))
            }
            (ControlOp::Delete, Some(_)) => {
                *state = None;
                (ChunkKind::Delete, Change::Delete(log))
            }
            (ControlOp::Create, Some(_)) | (ControlOp::Delete, None) => return Ok(None),
            (_, None) => return Err(LogError::NotFound { log }),
            (ControlOp::Seal, Some(row)) => {
                let tail = Tail { next: row.next, last_at: row.last_at, sealed: true };
                if row.sealed {
                    return Ok(Some(tail));
                }
                row.sealed = true;
                let header = self.chunk_header(ChunkKind::Seal, log, 0, 0, Timestamp::ZERO);
                self.put(frame, header, |_| {});
                built.changes.push(BuiltChange::Other(Change::Seal(log)));
                return Ok(Some(tail));
            }
            (ControlOp::Trim(before), Some(row)) => {
                let before = before.min(row.next);
                if before <= row.trim {
                    return Ok(None);
                }
                row.trim = before;
                (ChunkKind::Trim, Change::Trim(log, before))
            }
        };
        let mut payload = Vec::new();
        if let Change::Trim(_, before) = &change {
            payload.extend(before.lsn.to_le_bytes());
            payload.extend(before.index.to_le_bytes());
        }
        let header = self.chunk_header(kind, log, 0, 0, Timestamp::ZERO);
        self.put(frame, header, |out| out.extend_from_slice(&payload));
        built.changes.push(BuiltChange::Other(change));
        Ok(None)
    }

    fn chunk_header(
        &self,
        kind: ChunkKind,
        log: LogId,
        first: u32,
        count: u32,
        at: Timestamp,
    ) -> ChunkHeader {
        let lsn = self.next_lsn;
        ChunkHeader { kind, log, lsn, first, count, at, payload_len: 0, payload_crc: 0, seal: None }
    }

    /// Adds a chunk to the frame; its place is counted from the frame's start.
    fn put(
        &self,
        frame: &mut FrameBuilder,
        header: ChunkHeader,
        payload: impl FnOnce(&mut BytesMut),
    ) -> Range<usize> {
        let start = frame.buf.len();
        let sum = write_chunk(&mut frame.buf, header, payload);
        frame.add(sum);
        start..frame.buf.len()
    }

    async fn commit(&mut self, built: Built) {
        if built.changes.is_empty() {
            self.blocks.give_back(built.frame);
            return answer(built.answers);
        }
        match self.write(&built.frame).await {
            Ok(()) => {}
            Err(e) if is_full(&e) => return self.abandon_file(built, &e),
            Err(e) => {
                let reason = format!("writing or syncing the write-ahead log failed: {e}");
                self.shared.health.stop(&reason);
                let stopped = (
                    AppendError::Stopped { reason: reason.clone() },
                    LogError::Stopped { reason: reason.clone() },
                );
                refuse_all(built.answers, &stopped.0, &stopped.1);
                return self.die(&reason).await;
            }
        }
        self.publish(built).await;
    }

    async fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let env = &self.shared.env;
        let current = self.file.as_mut().expect("room was made in a file before building");
        env.hesitate("wal.before_write").await;
        current.file.write_all_at(frame, current.offset)?;
        env.hesitate("wal.before_sync").await;
        if self.shared.options.sync {
            current.file.sync_data()?;
            count(&self.shared.counters.syncs, 1);
        }
        env.hesitate("wal.after_sync").await;
        current.offset += frame.len() as u64;
        Ok(())
    }

    /// The disk had no room after all: nothing of the frame counts, and what of it reached the
    /// file stays behind as a torn end. The next frame begins another file.
    fn abandon_file(&mut self, built: Built, e: &io::Error) {
        self.file = None;
        self.blocks.give_back(built.frame);
        let reason = format!("no room in the write-ahead file: {e}");
        self.full_since = Some((Instant::now(), reason.clone()));
        self.shared.health.set_wal_full(Some(reason.clone()));
        let full = AppendError::Full { reason: reason.clone() };
        refuse_all(built.answers, &full, &LogError::Full { reason });
    }

    async fn publish(&mut self, built: Built) {
        let lsn = self.next_lsn;
        let current = self.file.as_ref().expect("the frame was just written to it");
        let wal_end = WalPosition { seq: current.seq, offset: current.offset };
        let frame_len = built.frame.len() as u64;
        for (log, row) in built.states {
            match row {
                Some(row) => self.logs.insert(log, row),
                None => self.logs.remove(&log),
            };
        }
        let (bytes, kept) = self.blocks.keep(built.frame, FRAME_HEADER_LEN + built.body_len);
        let changes = built.changes.into_iter().map(|c| match c {
            BuiltChange::Data(header, range) => {
                Change::Data(header.log, MemChunk::new(&header, bytes.slice(range)))
            }
            BuiltChange::Other(change) => change,
        });
        let changes = changes.collect();
        let due = {
            let mut memory = self.shared.memory.lock();
            memory.publish(lsn, wal_end, frame_len, kept as u64, changes);
            let o = &self.shared.options;
            memory.pinned_bytes() >= o.checkpoint_bytes || memory.wal_bytes >= o.wal_bytes_max / 2
        };
        if due {
            self.shared.checkpoint_due.notify_one();
        }
        let counters = &self.shared.counters;
        count(&counters.frames, 1);
        count(&counters.entries, built.entries);
        count(&counters.calls, built.answers.len() as u64);
        count(&counters.bytes, built.body_len as u64);
        count(&counters.wal_bytes, frame_len);
        counters.group_bytes_largest.fetch_max(frame_len, Ordering::Relaxed);
        answer(built.answers);
        self.durable_lsn = lsn;
        self.next_lsn = lsn + 1;
        if !self.unproven {
            self.unproven = true;
            self.shared.unproven.notify_one();
        }
    }

    /// Writes an empty frame, which calls the one before durable. A marker itself needs no proof.
    async fn write_marker(&mut self) {
        self.unproven = false;
        if !self.has_file(0, false).await.unwrap_or(false) {
            return;
        }
        let block = self.blocks.take(padded(0) as usize);
        let frame = FrameBuilder::new(block).finish(self.frame_header());
        let written = self.write(&frame).await;
        let len = frame.len() as u64;
        self.blocks.give_back(frame);
        match written {
            Ok(()) => {}
            Err(e) if is_full(&e) => {
                self.file = None;
                return;
            }
            Err(e) => {
                return self.die(&format!("writing the write-ahead log failed: {e}")).await;
            }
        }
        let current = self.file.as_ref().expect("the marker was just written to it");
        let wal_end = WalPosition { seq: current.seq, offset: current.offset };
        self.shared.memory.lock().publish(self.next_lsn, wal_end, len, 0, Vec::new());
        self.durable_lsn = self.next_lsn;
        self.next_lsn += 1;
        count(&self.shared.counters.wal_bytes, len);
    }

    /// After a failed sync nobody knows what is on the disk: no more promises from this process.
    async fn die(&mut self, reason: &str) {
        self.shared.health.stop(reason);
        self.shared.room.notify_waiters();
        self.requests.close();
        let waiting = self.carry.take();
        self.fail(waiting.into_iter().collect());
        while let Ok(request) = self.requests.try_recv() {
            self.fail(vec![request]);
        }
        self.shared.fatal(reason).await;
    }
}

//! Reading: from memory where it can be, else from segment files.
//!
//! ```text
//!   trim point        memory starts here           tail
//!       |---- segment files ----|---- memory ----|
//! ```
//!
//! Segments are looked up after memory's start was seen, so that nothing can fall between the two:
//! a checkpoint adds its segments before its frames may leave memory.

use std::sync::Arc;

use bytes::Bytes;
use millstream_base::Timestamp;

use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader, Walk};
use crate::damage::{Damage, FileError, Wrong};
use crate::key::{ChunkKeys, KeyNumber};
use crate::memory::{Log, MemChunk};
use crate::opened::Content;
use crate::segment::{ChunkReader, Run, SegmentRow, SegmentSet, Segments};
use crate::shared::Shared;
use crate::store::{Entries, Entry, LogId, Position, ReadError, ReadLimit};

/// Entries at and after `from` within `limit`.
pub(crate) async fn read(
    shared: &Arc<Shared>,
    keys: &Arc<dyn ChunkKeys>,
    log: Arc<Log>,
    from: Position,
    limit: ReadLimit,
) -> Result<Entries, ReadError> {
    let mut page = Page::new(from, limit);
    let tail = log.tail();
    while let Some(below) = read_memory(shared, keys.as_ref(), &log, &mut page)? {
        let (job, keys, id) = (shared.clone(), keys.clone(), log.id);
        let (back, result) = shared
            .env
            .blocking(move || {
                let result = read_files(&job, keys.as_ref(), id, below, &mut page);
                (page, result)
            })
            .await;
        page = back;
        match result {
            Ok(Filled::Yes) => break,
            Ok(Filled::No) => page.next = page.next.max(below),
            Err(e) => {
                note(shared, &e);
                if page.entries.is_empty() {
                    return Err(e.into());
                }
                break;
            }
        }
    }
    if page.entries.is_empty() {
        if let Some(key) = page.locked {
            return Err(ReadError::Locked { log: log.id, key });
        }
        page.next = page.next.max(tail.next);
    }
    Ok(Entries { entries: page.entries, next: page.next })
}

/// The first entry of time `at` or later.
pub(crate) async fn find(
    shared: &Arc<Shared>,
    log: Arc<Log>,
    at: Timestamp,
) -> Result<Position, ReadError> {
    let tail = log.tail();
    let (trim, below) = {
        let inner = log.lock();
        let live = |p: Position| p.max(inner.trim);
        let later = inner.chunks.partition_point(|c| c.at < at);
        let found = inner.chunks.get(later).map(|c| live(c.first_position()));
        let older = later > 0 || inner.memory_from <= inner.trim || tail.last_at < at;
        if older {
            return Ok(found.unwrap_or(live(tail.next)));
        }
        (inner.trim, inner.memory_from)
    };
    let (segments, id) = (shared.clone(), log.id);
    let found =
        shared.env.blocking(move || find_in_files(&segments.segments, id, trim, below, at)).await;
    match found {
        Ok(Some(position)) => Ok(position),
        Ok(None) => {
            let inner = log.lock();
            let later = inner.chunks.partition_point(|c| c.at < at);
            let found = inner.chunks.get(later).map_or(tail.next, |c| c.first_position());
            Ok(found.max(inner.trim))
        }
        Err(e) => {
            note(shared, &e);
            Err(e.into())
        }
    }
}

/// Tells the operator of damage that a reader met.
pub(crate) fn note(shared: &Shared, e: &FileError) {
    if let FileError::Damaged(damage) = e {
        shared.health.damaged(damage);
    }
}

struct Page {
    entries: Vec<Entry>,
    bytes_left: usize,
    next: Position,
    limit: ReadLimit,
    /// The key that is missing for what comes next.
    locked: Option<KeyNumber>,
}

#[derive(PartialEq)]
enum Filled {
    Yes,
    No,
}

impl Page {
    fn new(from: Position, limit: ReadLimit) -> Self {
        let bytes_left = limit.bytes_max;
        Page { entries: Vec::new(), bytes_left, next: from, limit, locked: None }
    }

    /// Takes what fits of a checked chunk's entries at and after `next`. A page is filled, too, when
    /// the key of what comes next is missing.
    fn take(
        &mut self,
        shared: &Shared,
        keys: &dyn ChunkKeys,
        header: &ChunkHeader,
        payload: Bytes,
    ) -> Result<Filled, Wrong> {
        let payload = match shared.opened.entries(header, payload, keys)? {
            Content::Entries(payload) => payload,
            Content::Locked(key) => {
                self.locked = Some(key);
                return Ok(Filled::Yes);
            }
        };
        let mut walk = Walk::new(header, &payload);
        while let Some(placed) = walk.place() {
            let (position, placed) = placed?;
            if position < self.next {
                continue;
            }
            let first = self.entries.is_empty();
            let fits = placed.weight() <= self.bytes_left;
            if (!first && !fits) || self.entries.len() >= self.limit.entries_max {
                return Ok(Filled::Yes);
            }
            self.bytes_left = self.bytes_left.saturating_sub(placed.weight());
            self.entries.push(walk.entry(position, &placed));
            self.next = position.next();
        }
        Ok(Filled::No)
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.limit.entries_max
    }
}

/// Chunks that are taken out of memory at once.
const CHUNKS_AT_ONCE: usize = 64;

/// Reads what memory has; `Some(start of memory)` if what is wanted lies before it.
///
/// Nothing is opened under the log's lock, which publishing needs.
fn read_memory(
    shared: &Shared,
    keys: &dyn ChunkKeys,
    log: &Log,
    page: &mut Page,
) -> Result<Option<Position>, ReadError> {
    loop {
        let chunks = match chunks_in_memory(log, page) {
            Ok(chunks) => chunks,
            Err(below) => return Ok(Some(below)),
        };
        if chunks.is_empty() {
            return Ok(None);
        }
        for chunk in chunks {
            let header = ChunkHeader::decode(&chunk.bytes).expect("memory holds what was checked");
            match page.take(shared, keys, &header, chunk.payload()) {
                Ok(Filled::No) if !page.is_full() => {}
                Ok(_) => return Ok(None),
                Err(wrong) => {
                    // Checksums were right, so these bytes came from a file.
                    let damage = Damage::new("memory", chunk.lsn, wrong);
                    shared.health.damaged(&damage);
                    if page.entries.is_empty() {
                        return Err(FileError::from(damage).into());
                    }
                    return Ok(None);
                }
            }
        }
    }
}

/// Some chunks from `page.next` on, about as many as fit; or memory's start, if it lies behind.
fn chunks_in_memory(log: &Log, page: &mut Page) -> Result<Vec<MemChunk>, Position> {
    let inner = log.lock();
    if page.entries.is_empty() {
        page.next = page.next.max(inner.trim);
    }
    if page.next < inner.memory_from {
        return Err(inner.memory_from);
    }
    let from = inner.chunks.partition_point(|c| c.end_position() <= page.next);
    let (mut chunks, mut bytes, mut count) = (Vec::new(), 0, page.entries.len());
    for chunk in inner.chunks.range(from..).take(CHUNKS_AT_ONCE) {
        chunks.push(chunk.clone());
        bytes += chunk.bytes.len();
        count += chunk.count as usize;
        if bytes > page.bytes_left || count >= page.limit.entries_max {
            break;
        }
    }
    Ok(chunks)
}

/// Reads from segments what lies before `below`.
fn read_files(
    shared: &Shared,
    keys: &dyn ChunkKeys,
    log: LogId,
    below: Position,
    page: &mut Page,
) -> Result<Filled, FileError> {
    let segments = &shared.segments;
    with_set(segments, |set| {
        while let Some((row, run)) = next_run(
            segments,
            set,
            log,
            |row| row.max_lsn >= page.next.lsn,
            |run| run.end > page.next,
        )? {
            if run.first >= below {
                break;
            }
            let start = segments.seek(&row, &run, page.next)?;
            let fetch = page.bytes_left.saturating_mul(5) / 4 + (64 << 10);
            let fetch = fetch.min(segments.read_ahead);
            let mut chunks = ChunkReader::new(segments, &row, start, run.offset + run.len, fetch)?;
            while let Some(header) = chunks.peek()? {
                if header.end_position() <= page.next {
                    chunks.skip(&header);
                    continue;
                }
                let Some(chunk) = chunks.next()? else { break };
                check_log(&row, chunk.offset, header.log, log)?;
                let payload = chunk.bytes.slice(CHUNK_HEADER_LEN..);
                let filled = page.take(shared, keys, &header, payload);
                let filled = filled.map_err(|e| Damage::new(row.path(), chunk.offset, e))?;
                if filled == Filled::Yes || page.is_full() {
                    return Ok(Filled::Yes);
                }
            }
            page.next = page.next.max(run.end);
        }
        Ok(Filled::No)
    })
}

fn find_in_files(
    segments: &Segments,
    log: LogId,
    trim: Position,
    below: Position,
    at: Timestamp,
) -> Result<Option<Position>, FileError> {
    with_set(segments, |set| {
        let wanted = |r: &Run| r.end > trim && r.last_at >= at;
        let near = |row: &SegmentRow| row.max_at >= at && row.max_lsn >= trim.lsn;
        let Some((row, run)) = next_run(segments, set, log, near, wanted)? else {
            return Ok(None);
        };
        if run.first >= below {
            return Ok(None);
        }
        let start = segments.seek_time(&row, &run, at)?.max(segments.seek(&row, &run, trim)?);
        let mut chunks = ChunkReader::new(segments, &row, start, run.offset + run.len, 64 << 10)?;
        while let Some(header) = chunks.peek()? {
            check_log(&row, chunks.at, header.log, log)?;
            if header.at >= at && header.end_position() > trim {
                return Ok(Some(header.first_position().max(trim)));
            }
            chunks.skip(&header);
        }
        let what = format!("the run of log {log} ends before the time its table names");
        Err(Damage::new(row.path(), run.offset, what).into())
    })
}

/// The earliest run of `log` that `wanted` accepts, in segments that `near` accepts.
fn next_run(
    segments: &Segments,
    set: &SegmentSet,
    log: LogId,
    near: impl Fn(&SegmentRow) -> bool,
    wanted: impl Fn(&Run) -> bool,
) -> Result<Option<(SegmentRow, Run)>, FileError> {
    let mut best: Option<(SegmentRow, Run)> = None;
    for row in set.rows.iter().filter(|row| row.may_hold(log) && near(row)) {
        if best.is_some_and(|(_, run)| run.first.lsn < row.min_lsn) {
            break;
        }
        let runs = segments.runs_of(row, log, Position::START)?;
        if let Some(run) = runs.into_iter().find(|r| wanted(r))
            && best.is_none_or(|(_, b)| run.first < b.first)
        {
            best = Some((*row, run));
        }
    }
    Ok(best)
}

fn check_log(row: &SegmentRow, offset: u64, found: LogId, wanted: LogId) -> Result<(), FileError> {
    if found == wanted {
        return Ok(());
    }
    let what = format!("a chunk of log {found} stands among those of log {wanted}");
    Err(Damage::new(row.path(), offset, what).into())
}

/// Runs `job` with the current segments, again if they were replaced (and files removed) under it.
fn with_set<T>(
    segments: &Segments,
    mut job: impl FnMut(&SegmentSet) -> Result<T, FileError>,
) -> Result<T, FileError> {
    loop {
        let set = segments.set();
        match job(&set) {
            Err(e) if e.is_not_found() => {
                if Arc::ptr_eq(&set, &segments.set()) {
                    let FileError::Io { file, .. } = e else { return Err(e) };
                    return Err(Damage::new(file, 0, "the file is missing").into());
                }
            }
            result => return result,
        }
    }
}

//! Merging and deleting: few files however old the store is, and no space for what is trimmed.
//!
//! Neighbours (by lsn) of like size become one file; a file that is half dead is written again
//! without the dead half; one that is all dead is deleted. A family that has grown inside a shared
//! file moves to its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checkpoint::{commit, remove, sync_names};
use crate::damage::FileError;
use crate::manifest::Manifest;
use crate::map::{Map, Set};
use crate::read::note;
use crate::segment::{ChunkReader, Run, SegmentRow, SegmentWriter, Segments};
use crate::shared::{Shared, count};
use crate::store::{LogId, Position};

/// Files of at least this part of the largest size are left alone until there are very many.
const LARGE_PART: u64 = 8;
/// Very many files.
const FILES_MANY: usize = 1024;
/// Own files smaller than this many times the least own size go back to the shared ones ..
const OWN_SMALL_TIMES: u64 = 8;
/// .. when there are more of them than this.
const OWN_SMALL_MAX: usize = 64;
/// Segments looked over for dead data in one step.
const LOOK_OVER_MAX: usize = 64;

/// What is known of the segments' liveness.
#[derive(Default)]
pub(crate) struct Merger {
    /// Bytes not trimmed, by segment. One not in here has not been looked over yet.
    live: Map<u64, u64>,
    /// Segments with a damaged chunk: not merged, deleted when all of it is trimmed.
    damaged: Set<u64>,
    /// Segments with a damaged footer: left as they are.
    unreadable: Set<u64>,
}

impl Merger {
    /// One step; `true` if there may be more to do.
    pub(crate) async fn step(&mut self, shared: &Arc<Shared>) -> Result<bool, FileError> {
        let more = self.look_over(shared).await;
        let set = shared.segments.set();
        let dead: Vec<SegmentRow> =
            set.rows.iter().filter(|r| self.live.get(&r.id) == Some(&0)).copied().collect();
        if !dead.is_empty() {
            self.replace(shared, &dead, Vec::new()).await?;
            return Ok(true);
        }
        let Some(inputs) = self.pick(&set.rows, shared) else { return Ok(more) };
        shared.env.hesitate("merge.begin").await;
        let first_id = reserve_ids(shared, &inputs).await;
        let (job, rows) = (shared.clone(), inputs.clone());
        let written = shared.env.blocking(move || merge(&job, &rows, first_id)).await;
        match written {
            Ok(written) => {
                self.replace(shared, &inputs, written).await?;
                count(&shared.counters.merges, 1);
                Ok(true)
            }
            Err(e @ FileError::Damaged(_)) => {
                note(shared, &e);
                self.damaged.extend(inputs.iter().map(|r| r.id));
                Ok(true)
            }
            Err(e) => Err(e),
        }
    }

    /// Finds out what of the segments is dead, as far as trims and deletes may have changed it.
    async fn look_over(&mut self, shared: &Arc<Shared>) -> bool {
        let set = shared.segments.set();
        let trims: Vec<(LogId, Position, Position)> = {
            let mut memory = shared.memory.lock();
            let trimmed = std::mem::take(&mut memory.trimmed);
            let to = |log: &LogId| memory.logs.get(log).map_or(Position::END, |l| l.lock().trim);
            trimmed.into_iter().map(|(log, from)| (log, from, to(&log))).collect()
        };
        for (log, from, to) in trims {
            let touched = set.rows.iter().filter(|r| r.may_hold(log));
            for row in touched.filter(|r| r.max_lsn >= from.lsn && r.min_lsn <= to.lsn) {
                self.live.remove(&row.id);
            }
        }
        self.live.retain(|id, _| set.rows.iter().any(|r| r.id == *id));
        let unknown: Vec<SegmentRow> = set
            .rows
            .iter()
            .filter(|r| !self.live.contains_key(&r.id) && !self.unreadable.contains(&r.id))
            .copied()
            .collect();
        let more = unknown.len() > LOOK_OVER_MAX;
        for row in unknown.into_iter().take(LOOK_OVER_MAX) {
            let job = shared.clone();
            match shared.env.blocking(move || live_bytes(&job, &row)).await {
                Ok(live) => drop(self.live.insert(row.id, live)),
                Err(e) => {
                    note(shared, &e);
                    self.unreadable.insert(row.id);
                }
            }
        }
        more
    }

    /// The next files to become one (or better ones).
    fn pick(&self, rows: &[SegmentRow], shared: &Shared) -> Option<Vec<SegmentRow>> {
        let o = &shared.options;
        let usable = |r: &&SegmentRow| self.is_usable(r);
        let half_dead = rows.iter().filter(usable).find(|r| self.live[&r.id] < r.data_bytes / 2);
        if let Some(row) = half_dead {
            return Some(vec![*row]);
        }
        let mut own: BTreeMap<u32, Vec<SegmentRow>> = BTreeMap::new();
        let small = |r: &&SegmentRow| {
            r.family.is_some() && r.data_bytes < OWN_SMALL_TIMES * o.own_segment_bytes_min
        };
        let many_small = rows.iter().filter(small).count() > OWN_SMALL_MAX;
        let mut mixed = Vec::new();
        for row in rows {
            if let Some(family) = row.family {
                own.entry(family).or_default().push(*row);
            }
            if row.family.is_none() || (many_small && small(&row)) {
                mixed.push(*row);
            }
        }
        let large = o.segment_bytes_max / LARGE_PART;
        let large = if rows.len() > FILES_MANY { u64::MAX } else { large };
        let window =
            |rows: &[SegmentRow]| self.window(rows, o.merge_fan_in, o.segment_bytes_max, large);
        own.values().filter_map(|rows| window(rows)).next().or_else(|| window(&mixed))
    }

    fn is_usable(&self, row: &SegmentRow) -> bool {
        self.live.contains_key(&row.id) && !self.damaged.contains(&row.id)
    }

    /// The smallest stretch of neighbours worth merging: none is larger than the others together,
    /// so that every byte is copied a logarithmic number of times.
    fn window(
        &self,
        rows: &[SegmentRow],
        fan_in: usize,
        bytes_max: u64,
        large: u64,
    ) -> Option<Vec<SegmentRow>> {
        let worth = |w: &&[SegmentRow]| {
            let total: u64 = w.iter().map(|r| r.data_bytes).sum();
            let largest = w.iter().map(|r| r.data_bytes).max().unwrap_or(0);
            total <= bytes_max
                && largest <= total / 2
                && largest < large
                && w.iter().all(|r| self.is_usable(r))
        };
        let best = rows.windows(fan_in).filter(worth);
        let best = best.min_by_key(|w| w.iter().map(|r| r.data_bytes).sum::<u64>());
        best.map(<[_]>::to_vec)
    }

    /// Puts `new` in the place of `old` in the manifest, then removes the old files.
    async fn replace(
        &mut self,
        shared: &Arc<Shared>,
        old: &[SegmentRow],
        new: Vec<SegmentRow>,
    ) -> Result<(), FileError> {
        shared.env.hesitate("merge.written").await;
        let mut catalog = shared.catalog.lock().await;
        let mut next = Manifest { generation: catalog.generation + 1, ..catalog.clone() };
        next.segments.retain(|r| !old.iter().any(|o| o.id == r.id));
        next.segments.extend(&new);
        *catalog = commit(shared, next, &new).await?;
        shared.segments.replace(catalog.segments.clone());
        drop(catalog);
        let (disk, gone) = (shared.env.disk.clone(), old.to_vec());
        shared.env.blocking(move || remove(disk.as_ref(), &gone)).await;
        for row in &new {
            self.live.insert(row.id, row.data_bytes);
        }
        Ok(())
    }
}

/// Numbers for the files of a merge: at most one per family in it, and a shared one.
async fn reserve_ids(shared: &Arc<Shared>, inputs: &[SegmentRow]) -> u64 {
    let bytes: u64 = inputs.iter().map(|r| r.data_bytes).sum();
    let own_max = bytes / own_bytes_min(shared).max(1);
    let mut catalog = shared.catalog.lock().await;
    let first = catalog.next_segment;
    catalog.next_segment += own_max + 2;
    first
}

/// A family leaves a shared file when it has this much in it.
fn own_bytes_min(shared: &Shared) -> u64 {
    OWN_SMALL_TIMES * shared.options.own_segment_bytes_min
}

fn live_bytes(shared: &Shared, row: &SegmentRow) -> Result<u64, FileError> {
    let mut live = 0;
    for run in shared.segments.all_runs(row)? {
        live += match trim_of(shared, run.log) {
            None => 0,
            Some(trim) if run.end <= trim => 0,
            Some(trim) if run.first >= trim => run.len,
            Some(trim) => run.len - (shared.segments.seek(row, &run, trim)? - run.offset),
        };
    }
    Ok(live)
}

/// A log's trim point; `None` once it is deleted.
fn trim_of(shared: &Shared, log: LogId) -> Option<Position> {
    shared.memory.lock().logs.get(&log).map(|l| l.lock().trim)
}

/// Copies what lives in `inputs` into new files.
fn merge(
    shared: &Shared,
    inputs: &[SegmentRow],
    first_id: u64,
) -> Result<Vec<SegmentRow>, FileError> {
    let segments = &shared.segments;
    let mut families: BTreeMap<u32, Vec<(SegmentRow, Run, Position)>> = BTreeMap::new();
    for row in inputs {
        for run in segments.all_runs(row)? {
            if let Some(trim) = trim_of(shared, run.log).filter(|&t| t < run.end) {
                families.entry(run.log.family()).or_default().push((*row, run, trim));
            }
        }
    }
    let single = families.len() == 1;
    let mut jobs = vec![(None, Vec::new())];
    for (family, mut runs) in families {
        runs.sort_by_key(|(_, run, _)| (run.log, run.first));
        let bytes: u64 = runs.iter().map(|(_, run, _)| run.len).sum();
        if single || bytes >= own_bytes_min(shared) {
            jobs.push((Some(family), runs));
        } else {
            jobs[0].1.extend(runs);
        }
    }
    let mut written = Vec::new();
    for (i, (family, runs)) in jobs.into_iter().enumerate() {
        if runs.is_empty() {
            continue;
        }
        match write(shared, inputs, first_id + i as u64, family, &runs) {
            Ok(row) => written.extend(row),
            Err(e) => {
                remove(segments.disk.as_ref(), &written);
                return Err(e);
            }
        }
    }
    sync_names(segments.disk.as_ref())?;
    Ok(written)
}

fn write(
    shared: &Shared,
    inputs: &[SegmentRow],
    id: u64,
    family: Option<u32>,
    runs: &[(SegmentRow, Run, Position)],
) -> Result<Option<SegmentRow>, FileError> {
    let segments = &shared.segments;
    let bytes = runs.iter().map(|(_, run, _)| run.len).sum();
    let disk = segments.disk.as_ref();
    let mut writer = SegmentWriter::create(disk, segments.incarnation, id, family, bytes)?;
    let set = segments.set();
    let others: Vec<&SegmentRow> =
        set.rows.iter().filter(|r| !inputs.iter().any(|i| i.id == r.id)).collect();
    let mut copied = 0;
    let mut last: Option<&Run> = None;
    let mut copy = || -> Result<u64, FileError> {
        for (row, run, trim) in runs {
            if last.is_some_and(|l| l.log == run.log && lies_between(&others, l, run)) {
                writer.end_run();
            }
            last = Some(run);
            copied += copy_run(segments, &mut writer, row, run, *trim)?;
        }
        Ok(copied)
    };
    match copy() {
        Ok(0) => {
            writer.abandon();
            Ok(None)
        }
        Ok(_) => writer.finish().map(Some),
        Err(e) => {
            writer.abandon();
            Err(e)
        }
    }
}

/// May another file hold something of the log between its two runs?
fn lies_between(others: &[&SegmentRow], before: &Run, after: &Run) -> bool {
    others
        .iter()
        .any(|r| r.may_hold(after.log) && r.min_lsn < after.first.lsn && r.max_lsn > before.end.lsn)
}

fn copy_run(
    segments: &Segments,
    writer: &mut SegmentWriter,
    row: &SegmentRow,
    run: &Run,
    trim: Position,
) -> Result<u64, FileError> {
    let start = segments.seek(row, run, trim)?;
    let end = run.offset + run.len;
    let mut chunks = ChunkReader::new(segments, row, start, end, segments.read_ahead)?;
    let mut copied = 0;
    while let Some(chunk) = chunks.next()? {
        if chunk.header.end_position() > trim {
            writer.chunk(&chunk.header, &chunk.bytes)?;
            copied += 1;
        }
    }
    Ok(copied)
}

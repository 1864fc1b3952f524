//! The repair: everything that can be read goes on, what can't is given up and named.
//!
//! ```text
//!  damaged segment   -> a new file with its valid chunks; the old one is kept as `….damaged`
//!  damaged write-ahead log -> its valid chunks go into segments; the files are kept as `….damaged`
//!  damaged manifest  -> made from its copy and the segment files
//! ```
//!
//! Nothing counts before the new manifest stands; a repair that is interrupted can be repeated.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millstream_env::Disk;

use super::files::{Survey, survey};
use super::segments::{in_order, salvage};
use super::{Finding, Report};
use crate::checkpoint::{plan, sync_names, write_all};
use crate::chunk::ChunkHeader;
use crate::damage::FileError;
use crate::format;
use crate::manifest::Manifest;
use crate::recovery::{OpenError, lock};
use crate::segment::{SegmentRow, SegmentWriter};
use crate::store::LogId;
use crate::wal::{WAL_DIR, WalPosition};

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// What was damaged before, and is lost now.
    pub findings: Vec<Finding>,
    /// What was done, one sentence each.
    pub actions: Vec<String>,
    /// The check afterwards.
    pub after: Report,
}

/// Gives up what is damaged in the data directory at the root of `disk`, so that a store can be
/// opened on the rest. Blocks. A sound directory is left as it is.
///
/// # Errors
/// As [`super::check`]; and when the disk has no room for what is written anew.
pub fn repair(disk: Arc<dyn Disk>) -> Result<Repair, OpenError> {
    let _lock = lock(disk.as_ref())?;
    let survey = survey(&disk)?;
    if survey.report.is_sound() {
        return Ok(Repair { after: survey.report, ..Repair::default() });
    }
    let mut actions = Vec::new();
    rebuild(disk.as_ref(), &survey, &mut actions)?;
    let after = super::files::survey(&disk)?.report;
    Ok(Repair { findings: survey.report.findings, actions, after })
}

fn rebuild(disk: &dyn Disk, found: &Survey, actions: &mut Vec<String>) -> Result<(), OpenError> {
    let mut next = found.manifest.clone();
    next.generation += 1;
    next.segments.clear();
    let mut aside = Vec::new();
    for segment in &found.segments {
        if !segment.damaged {
            next.segments.push(segment.row);
            continue;
        }
        let id = next.next_segment;
        next.next_segment += 1;
        let others: Vec<SegmentRow> =
            found.segments.iter().map(|s| s.row).filter(|r| r.id != segment.row.id).collect();
        let rewritten = rewrite(disk, &next, &segment.row, id, &others)?;
        let kept = rewritten.map_or(0, |r| r.entries);
        actions.push(format!(
            "{}: {kept} of {} entries are kept, in a new file",
            segment.row.path(),
            segment.row.entries
        ));
        next.segments.extend(rewritten);
        aside.push(segment.row.path());
    }
    let snapshot = found.wal.memory.snapshot();
    let plans = plan(&snapshot, u64::MAX, &mut next.next_segment);
    let written = write_all(disk, next.incarnation, plans)?;
    let entries: u64 = written.iter().map(|r| r.entries).sum();
    actions.push(format!("the write-ahead log: {entries} entries are kept, in segment files"));
    next.segments.extend(written);
    next.logs = snapshot.rows;
    next.checkpoint_lsn = snapshot.lsn.max(next.checkpoint_lsn);
    next.wal = WalPosition::default();
    sync_names(disk)?;
    next.stage(disk)?;
    next.commit(disk)?;
    format::store(disk, &next.incarnation)?;
    actions.push("the manifest is new".into());
    for path in aside {
        set_aside(disk, &path)?;
    }
    set_wal_aside(disk, found.wal.damaged)
}

/// The valid chunks of a damaged segment in a new one; `None` if there are none.
fn rewrite(
    disk: &dyn Disk,
    manifest: &Manifest,
    row: &SegmentRow,
    id: u64,
    others: &[SegmentRow],
) -> Result<Option<SegmentRow>, FileError> {
    let mut chunks: Vec<(ChunkHeader, Bytes)> = Vec::new();
    match salvage(disk, row, &mut |header, bytes| chunks.push((*header, bytes))) {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    }
    if chunks.is_empty() {
        return Ok(None);
    }
    let bytes = chunks.iter().map(|(_, b)| b.len() as u64).sum();
    let mut writer = SegmentWriter::create(disk, manifest.incarnation, id, row.family, bytes)?;
    let mut last: Option<(LogId, u64)> = None;
    for (header, bytes) in in_order(&mut chunks) {
        let between = |r: &SegmentRow, lsn| {
            r.may_hold(header.log) && r.min_lsn < header.lsn && r.max_lsn > lsn
        };
        if let Some((log, lsn)) = last
            && log == header.log
            && others.iter().any(|r| between(r, lsn))
        {
            writer.end_run();
        }
        last = Some((header.log, header.lsn));
        writer.chunk(header, bytes)?;
    }
    let row = writer.finish()?;
    sync_names(disk)?;
    Ok(Some(row))
}

/// The write-ahead files hold nothing any more that counts: kept if they were damaged.
fn set_wal_aside(disk: &dyn Disk, damaged: bool) -> Result<(), OpenError> {
    let names = disk.list(Path::new(WAL_DIR)).map_err(|e| FileError::io(WAL_DIR, e))?;
    for name in names.iter().filter(|n| !n.ends_with(".damaged")) {
        let path = format!("{WAL_DIR}/{name}");
        if damaged && name.ends_with(".wal") {
            set_aside(disk, &path)?;
        } else {
            disk.remove(Path::new(&path)).map_err(|e| FileError::io(&path, e))?;
        }
    }
    disk.sync_dir(Path::new(WAL_DIR)).map_err(|e| FileError::io(WAL_DIR, e))?;
    Ok(())
}

fn set_aside(disk: &dyn Disk, path: &str) -> Result<(), FileError> {
    match disk.rename(Path::new(path), Path::new(&format!("{path}.damaged"))) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(FileError::io(path, e)),
        _ => Ok(()),
    }
}

//! The survey behind check and repair: what the directory should hold, what it holds, what is bad.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use millstream_env::Disk;

use super::Report;
use super::segments::{self, CheckedSegment};
use super::wal::{self, WalSurvey};
use crate::damage::{Damage, FileError};
use crate::format::{self, FORMAT_FILE, FormatError};
use crate::manifest::{MANIFEST, MANIFEST_COPY, Manifest};
use crate::memory::LogRow;
use crate::recovery::OpenError;
use crate::segment::{SEGMENT_DIR, SegmentRow};
use crate::store::LogId;
use crate::wal::WAL_DIR;

/// Everything there is to know of a directory.
pub(super) struct Survey {
    pub report: Report,
    /// The manifest, or the best that can be had in its place.
    pub manifest: Manifest,
    pub segments: Vec<CheckedSegment>,
    pub wal: WalSurvey,
}

pub(super) fn survey(disk: &Arc<dyn Disk>) -> Result<Survey, OpenError> {
    let mut report = Report::default();
    let incarnation = match format::load(disk.as_ref()) {
        Ok(Some(incarnation)) => Some(incarnation),
        Ok(None) if is_empty(disk.as_ref())? => {
            report.notes.push("the directory holds no log store".into());
            return Ok(Survey {
                report,
                manifest: Manifest::default(),
                segments: Vec::new(),
                wal: WalSurvey::new(&Manifest::default()),
            });
        }
        Ok(None) => {
            report.found(Damage::new(FORMAT_FILE, 0, "the file is missing"));
            None
        }
        Err(FormatError::Newer { version }) => {
            return Err(OpenError::Newer { version, known: format::FORMAT_VERSION });
        }
        Err(FormatError::File(FileError::Damaged(d))) => {
            report.found(d);
            None
        }
        Err(FormatError::File(e)) => return Err(e.into()),
    };
    let (mut manifest, stand_in) = manifest(disk.as_ref(), incarnation, &mut report)?;
    let segments = segments::check(disk, &manifest, &mut report)?;
    if stand_in {
        complete_logs(&mut manifest.logs, &segments);
        report.notes.push("trims and seals since the last readable manifest may be lost".into());
    }
    let wal = wal::survey(disk.as_ref(), &manifest, &mut report)?;
    report.logs = wal.memory.logs.len();
    Ok(Survey { report, manifest, segments, wal })
}

fn is_empty(disk: &dyn Disk) -> Result<bool, OpenError> {
    let has = |path: &str| {
        let names = disk.list(Path::new(path));
        names.is_ok_and(|names| !names.is_empty())
    };
    let names = disk.list(Path::new("")).map_err(|e| FileError::io("the data directory", e))?;
    Ok(!names.iter().any(|n| n == MANIFEST) && !has(WAL_DIR) && !has(SEGMENT_DIR))
}

/// The manifest and `false`; else `true` and its copy with what is newer in the directory; else the segment files alone.
fn manifest(
    disk: &dyn Disk,
    incarnation: Option<[u8; 16]>,
    report: &mut Report,
) -> Result<(Manifest, bool), OpenError> {
    let mut load = |path| -> Result<Option<Manifest>, OpenError> {
        let damage = match Manifest::load(disk, path) {
            Ok(m) if incarnation.is_none_or(|i| i == m.incarnation) => {
                report.files += 1;
                report.bytes += m.encode().len() as u64;
                return Ok(Some(m));
            }
            Ok(_) => Damage::new(path, 0, "it belongs to another data directory"),
            Err(FileError::Damaged(d)) => d,
            Err(e) if e.is_not_found() => Damage::new(path, 0, "the file is missing"),
            Err(e) => return Err(e.into()),
        };
        report.found(damage);
        Ok(None)
    };
    let (main, copy) = (load(MANIFEST)?, load(MANIFEST_COPY)?);
    if let Some(main) = main {
        return Ok((main, false));
    }
    let mut stand_in = copy.unwrap_or_default();
    if let Some(incarnation) = incarnation {
        stand_in.incarnation = incarnation;
    }
    let present = segments::present(disk)?;
    let missing = stand_in.segments.iter().any(|r| !present.iter().any(|p| p.row.id == r.id));
    let listed: Vec<SegmentRow> = stand_in.segments.clone();
    for file in present {
        stand_in.next_segment = stand_in.next_segment.max(file.row.id + 1);
        if stand_in.incarnation == [0; 16] {
            stand_in.incarnation = file.incarnation;
        }
        let newer = file.row.min_lsn > stand_in.checkpoint_lsn;
        let known = listed.iter().any(|r| r.id == file.row.id);
        if !known && (newer || missing || listed.is_empty()) {
            stand_in.segments.push(file.row);
        }
    }
    let newest = stand_in.segments.iter().map(|r| r.max_lsn).max().unwrap_or(0);
    if newest > stand_in.checkpoint_lsn {
        // Frames up to here are in segments; where the next one is has to be searched.
        stand_in.checkpoint_lsn = newest;
        stand_in.wal = crate::wal::WalPosition::default();
    }
    Ok((stand_in, true))
}

/// Adds what the segments say of their logs; what was trimmed or sealed they do not know.
fn complete_logs(logs: &mut Vec<LogRow>, segments: &[CheckedSegment]) {
    let mut rows: BTreeMap<LogId, LogRow> = logs.iter().map(|r| (r.log, *r)).collect();
    for run in segments.iter().flat_map(|s| &s.runs) {
        let row = rows.entry(run.log).or_insert_with(|| LogRow::empty(run.log));
        row.next = row.next.max(run.end);
        row.last_at = row.last_at.max(run.last_at);
    }
    *logs = rows.into_values().collect();
}

//! Checks segment files: footers piece by piece, then every chunk in the order of the file.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millstream_env::Disk;

use super::{Finding, Lost, LostKind, Report};
use crate::chunk::{CHUNK_HEADER_LEN, CHUNK_MAGIC, ChunkHeader, ChunkKind};
use crate::damage::{Damage, FileError, Wrong};
use crate::manifest::Manifest;
use crate::options::Options;
use crate::recovery::OpenError;
use crate::segment::{
    Run, SEGMENT_DIR, SEGMENT_HEADER_LEN, SegmentRow, Segments, TRAILER_LEN, Trailer,
};
use crate::store::{LogId, Position};
use crate::wal::Window;

/// A segment of the manifest, as it was found.
pub(super) struct CheckedSegment {
    pub row: SegmentRow,
    /// As far as the run table can be read.
    pub runs: Vec<Run>,
    pub damaged: bool,
}

/// A stretch of a data area that holds no valid chunk.
struct Bad {
    offset: u64,
    what: String,
    /// The chunk's header, if only its payload is bad.
    header: Option<ChunkHeader>,
    before: Option<ChunkHeader>,
    after: Option<ChunkHeader>,
}

pub(super) fn check(
    disk: &Arc<dyn Disk>,
    manifest: &Manifest,
    report: &mut Report,
) -> Result<Vec<CheckedSegment>, OpenError> {
    let options = Options::default();
    let segments =
        Segments::new(disk.clone(), manifest.incarnation, &options, manifest.segments.clone());
    let mut checked = Vec::new();
    for row in &manifest.segments {
        checked.push(check_one(disk.as_ref(), &segments, row, report)?);
    }
    let names = disk.list(Path::new(SEGMENT_DIR)).unwrap_or_default();
    for name in names.iter().filter(|n| !n.ends_with(".damaged")) {
        let path = format!("{SEGMENT_DIR}/{name}");
        if !manifest.segments.iter().any(|r| r.path() == path) {
            report.notes.push(format!("{path} belongs to nothing; the next start removes it"));
        }
    }
    Ok(checked)
}

/// The trailers of all segment files that have a valid one.
pub(super) fn present(disk: &dyn Disk) -> Result<Vec<Trailer>, OpenError> {
    let names = disk.list(Path::new(SEGMENT_DIR)).unwrap_or_default();
    let mut found = Vec::new();
    for name in names.iter().filter(|n| n.ends_with(".seg")) {
        let path = format!("{SEGMENT_DIR}/{name}");
        let mut window = Window::open(disk, &path)?;
        let at = window.len.saturating_sub(TRAILER_LEN as u64);
        let trailer = Trailer::decode(window.get(at, TRAILER_LEN)?);
        found.extend(trailer.ok().filter(|t| t.row.path() == path));
    }
    Ok(found)
}

/// All valid chunks of a segment's data area, whatever its footer says.
pub(super) fn salvage(
    disk: &dyn Disk,
    row: &SegmentRow,
    visit: &mut dyn FnMut(&ChunkHeader, Bytes),
) -> Result<(), FileError> {
    walk(disk, row, visit).map(drop)
}

fn check_one(
    disk: &dyn Disk,
    segments: &Segments,
    row: &SegmentRow,
    report: &mut Report,
) -> Result<CheckedSegment, OpenError> {
    let before = report.findings.len();
    let runs = match check_footer(segments, row) {
        Ok(runs) => runs,
        Err(e) if e.is_not_found() => {
            let damage = Damage::new(row.path(), 0, "the file is missing");
            report.findings.push(Finding { damage, lost: vec![all_of(row)] });
            return Ok(CheckedSegment { row: *row, runs: Vec::new(), damaged: true });
        }
        Err(FileError::Damaged(damage)) => {
            report.findings.push(Finding { damage, lost: Vec::new() });
            Vec::new()
        }
        Err(e) => return Err(e.into()),
    };
    report.files += 1;
    let (mut chunks, mut entries) = (0, 0);
    let bad = walk(disk, row, &mut |header, _| {
        chunks += 1;
        entries += u64::from(header.count);
    });
    let bad = match bad {
        Ok(bad) => bad,
        Err(FileError::Damaged(damage)) => {
            report.findings.push(Finding { damage, lost: Vec::new() });
            Vec::new()
        }
        Err(e) => return Err(e.into()),
    };
    for b in &bad {
        let damage = Damage::new(row.path(), b.offset, &b.what);
        report.findings.push(Finding { damage, lost: vec![lost(row, &runs, b)] });
    }
    if report.findings.len() == before && (entries != row.entries) {
        let what = format!("{entries} entries, where the manifest has {}", row.entries);
        report.found(Damage::new(row.path(), 0, what));
    }
    report.bytes += row.file_bytes;
    report.chunks += chunks;
    report.entries += entries;
    Ok(CheckedSegment { row: *row, runs, damaged: report.findings.len() > before })
}

fn check_footer(segments: &Segments, row: &SegmentRow) -> Result<Vec<Run>, FileError> {
    let runs = segments.all_runs(row)?;
    for run in &runs {
        segments.sparse(row, run)?;
    }
    Ok(runs)
}

fn all_of(row: &SegmentRow) -> Lost {
    Lost {
        kind: LostKind::Entries,
        log: None,
        from: Position::new(row.min_lsn, 0),
        before: Position::new(row.max_lsn + 1, 0),
        entries: Some(row.entries),
        times: Some((row.min_at, row.max_at)),
    }
}

/// What was in a bad stretch, by what stands around it.
fn lost(row: &SegmentRow, runs: &[Run], bad: &Bad) -> Lost {
    if let Some(h) = bad.header {
        return Lost {
            kind: LostKind::Entries,
            log: Some(h.log),
            from: h.first_position(),
            before: h.end_position(),
            entries: Some(u64::from(h.count)),
            times: Some((h.at, h.at)),
        };
    }
    let run = runs.iter().find(|r| (r.offset..r.offset + r.len).contains(&bad.offset));
    let Some(run) = run else { return all_of(row) };
    let same = |h: &&ChunkHeader| h.log == run.log;
    let (before, after) = (bad.before.as_ref().filter(same), bad.after.as_ref().filter(same));
    Lost {
        kind: LostKind::Entries,
        log: Some(run.log),
        from: before.map_or(run.first, |h| h.end_position()).max(run.first),
        before: after.map_or(run.end, |h| h.first_position()).min(run.end),
        entries: None,
        times: Some((before.map_or(run.first_at, |h| h.at), after.map_or(run.last_at, |h| h.at))),
    }
}

/// Goes through a data area chunk by chunk; behind a bad header it looks for the next good one.
fn walk(
    disk: &dyn Disk,
    row: &SegmentRow,
    visit: &mut dyn FnMut(&ChunkHeader, Bytes),
) -> Result<Vec<Bad>, FileError> {
    let path = row.path();
    let mut window = Window::open(disk, &path)?;
    let end = (SEGMENT_HEADER_LEN as u64 + row.data_bytes).min(window.len);
    let mut at = SEGMENT_HEADER_LEN as u64;
    let mut bad: Vec<Bad> = Vec::new();
    let mut last: Option<ChunkHeader> = None;
    while at < end {
        let (header, what) = match read_chunk(&mut window, at, end)? {
            Ok((header, bytes)) => {
                let open = bad.last_mut().filter(|b| b.after.is_none());
                if let Some(b) = open {
                    b.after = Some(header);
                }
                visit(&header, bytes);
                last = Some(header);
                at += header.chunk_len() as u64;
                continue;
            }
            Err((_, Wrong::Unknown(what))) => return Err(Damage::new(path, at, what).into()),
            Err((header, Wrong::Broken(what))) => (header, what),
        };
        bad.push(Bad { offset: at, what, header, before: last, after: None });
        at = match header {
            Some(h) => at + h.chunk_len() as u64,
            None => next_header(&mut window, at + 1, end)?,
        };
    }
    Ok(bad)
}

type BadChunk = (Option<ChunkHeader>, Wrong);

fn read_chunk(
    window: &mut Window,
    at: u64,
    end: u64,
) -> Result<Result<(ChunkHeader, Bytes), BadChunk>, FileError> {
    let header = match ChunkHeader::decode(window.get(at, CHUNK_HEADER_LEN)?) {
        Ok(header) if header.kind == ChunkKind::Data => header,
        Ok(_) => return Ok(Err((None, Wrong::Broken("no data chunk".into())))),
        Err(wrong) => return Ok(Err((None, wrong))),
    };
    if at + header.chunk_len() as u64 > end {
        return Ok(Err((Some(header), Wrong::Broken("a chunk is cut off".into()))));
    }
    let bytes = window.get(at, header.chunk_len())?;
    if let Err(wrong) = header.check(&bytes[CHUNK_HEADER_LEN..]) {
        return Ok(Err((Some(header), wrong)));
    }
    Ok(Ok((header, Bytes::copy_from_slice(bytes))))
}

/// The next place at or after `at` where a chunk's header is valid, or `end`.
fn next_header(window: &mut Window, mut at: u64, end: u64) -> Result<u64, FileError> {
    const STEP: usize = 64 << 10;
    while at < end {
        let bytes = window.get(at, STEP)?;
        let found = bytes
            .windows(CHUNK_MAGIC.len())
            .enumerate()
            .filter(|(_, w)| *w == CHUNK_MAGIC)
            .find(|(i, _)| ChunkHeader::decode(&bytes[*i..]).is_ok());
        if let Some((i, _)) = found {
            return Ok(at + i as u64);
        }
        if bytes.len() < STEP {
            break;
        }
        // A header that begins in the last bytes is looked at with the next piece.
        at += (STEP - CHUNK_HEADER_LEN) as u64;
    }
    Ok(end)
}

/// A log's chunks by position, without those that overlap one before.
pub(super) fn in_order(
    chunks: &mut [(ChunkHeader, Bytes)],
) -> impl Iterator<Item = &(ChunkHeader, Bytes)> {
    chunks.sort_by_key(|(h, _)| (h.log, h.first_position()));
    let mut last: Option<(LogId, Position)> = None;
    chunks.iter().filter(move |(h, _)| {
        let fits = last.is_none_or(|(log, end)| log != h.log || end <= h.first_position());
        if fits {
            last = Some((h.log, h.end_position()));
        }
        fits
    })
}

//! Checks the write-ahead files: every frame that was durable, and what is left of those that are
//! damaged.

use std::path::Path;

use bytes::Bytes;
use millstream_env::Disk;
use millstream_env::disk::ALIGNMENT;

use super::{Finding, Lost, LostKind, Report};
use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader, ChunkKind};
use crate::damage::{Damage, FileError, Wrong};
use crate::frame::{FRAME_HEADER_LEN, FrameHeader, Incarnation, check_body};
use crate::manifest::Manifest;
use crate::memory::{Change, Memory};
use crate::recovery::{OpenError, change};
use crate::store::Position;
use crate::wal::{WAL_DIR, WalPosition, Window, live_seq_of, wal_path};

/// The write-ahead log as far as it can be read.
pub(super) struct WalSurvey {
    /// All logs, and the entries that are in no segment.
    pub memory: Memory,
    pub damaged: bool,
}

impl WalSurvey {
    pub(super) fn new(manifest: &Manifest) -> Self {
        let memory = Memory::new(&manifest.logs, manifest.checkpoint_lsn, u64::MAX);
        WalSurvey { memory, damaged: false }
    }
}

/// A frame whose header is valid.
struct Place {
    /// Which of the files that were opened.
    file: usize,
    at: WalPosition,
    header: FrameHeader,
}

pub(super) fn survey(
    disk: &dyn Disk,
    manifest: &Manifest,
    report: &mut Report,
) -> Result<WalSurvey, OpenError> {
    let mut survey = WalSurvey::new(manifest);
    let findings = report.findings.len();
    let (places, mut windows) = find_frames(disk, manifest, report)?;
    let mut expected = manifest.checkpoint_lsn + 1;
    // Without a known start, the first frame that is not in segments is where it begins.
    let mut anchored = manifest.wal.seq != 0 || manifest.checkpoint_lsn == 0;
    let mut end = manifest.wal;
    for (i, place) in places.iter().enumerate() {
        let h = &place.header;
        if h.lsn < expected && anchored {
            continue;
        }
        if h.lsn > expected && anchored {
            if !proven(&places, expected) {
                break;
            }
            let what = format!("frames {expected} to {} are not there", h.lsn - 1);
            let lost = unknown(expected, h.lsn);
            let damage = Damage::new(wal_path(end.seq), end.offset, what);
            report.findings.push(Finding { damage, lost: vec![lost] });
        }
        let window = &mut windows[place.file];
        let body = window.get(place.at.offset + FRAME_HEADER_LEN as u64, h.body_len as usize)?;
        let body = Bytes::copy_from_slice(body);
        let chunks = match check_body(h, &body) {
            Ok(chunks) => {
                report.frames += 1;
                chunks
            }
            Err((_, Wrong::Unknown(what))) => {
                let damage = Damage::new(wal_path(place.at.seq), place.at.offset, what);
                return Err(OpenError::Damaged(damage));
            }
            Err((_, Wrong::Broken(_))) if !proven(&places[i..], h.lsn) => {
                report.torn_bytes += h.frame_len();
                continue;
            }
            Err((offset, Wrong::Broken(what))) => {
                let (chunks, lost) = salvage(h, &body);
                let offset = place.at.offset + FRAME_HEADER_LEN as u64 + offset;
                let damage = Damage::new(wal_path(place.at.seq), offset, what);
                report.findings.push(Finding { damage, lost });
                chunks
            }
        };
        anchored |= h.lsn > manifest.checkpoint_lsn;
        expected = expected.max(h.lsn + 1);
        end = WalPosition { seq: place.at.seq, offset: place.at.offset + h.frame_len() };
        replay(&mut survey.memory, manifest, h, end, chunks, report);
    }
    survey.damaged = report.findings.len() > findings;
    Ok(survey)
}

/// Does a later frame call frame `lsn` durable?
fn proven(places: &[Place], lsn: u64) -> bool {
    places.iter().any(|p| p.header.durable_lsn >= lsn)
}

fn unknown(from: u64, before: u64) -> Lost {
    Lost {
        kind: LostKind::Anything,
        log: None,
        from: Position::new(from, 0),
        before: Position::new(before, 0),
        entries: None,
        times: None,
    }
}

fn find_frames(
    disk: &dyn Disk,
    manifest: &Manifest,
    report: &mut Report,
) -> Result<(Vec<Place>, Vec<Window>), OpenError> {
    let start = manifest.wal;
    let names = disk.list(Path::new(WAL_DIR)).unwrap_or_default();
    let mut seqs: Vec<u64> = names.iter().filter_map(|n| live_seq_of(n)).collect();
    seqs.retain(|&s| s >= start.seq);
    seqs.sort_unstable();
    if start.seq != 0 && seqs.first() != Some(&start.seq) {
        let damage = Damage::new(wal_path(start.seq), 0, "the file is missing");
        let lost = vec![unknown(manifest.checkpoint_lsn + 1, Position::END.lsn)];
        report.findings.push(Finding { damage, lost });
    }
    let (mut places, mut windows) = (Vec::new(), Vec::new());
    for seq in seqs {
        let mut window = Window::open(disk, &wal_path(seq))?;
        report.files += 1;
        report.bytes += window.len;
        let offset = if seq == start.seq { start.offset } else { 0 };
        let file = windows.len();
        let found =
            frames_of(&mut window, &manifest.incarnation, file, WalPosition { seq, offset })?;
        let full = found.first().map_or(window.len, |p| p.header.file_len);
        if window.len == 0 || full != window.len || !full.is_multiple_of(ALIGNMENT as u64) {
            let what = "the file was cut off here";
            report.found(Damage::new(wal_path(seq), window.len, what));
        }
        places.extend(found);
        windows.push(window);
    }
    Ok((places, windows))
}

fn frames_of(
    window: &mut Window,
    incarnation: &Incarnation,
    file: usize,
    start: WalPosition,
) -> Result<Vec<Place>, FileError> {
    let WalPosition { seq, mut offset } = start;
    let mut found = Vec::new();
    while offset < window.len {
        let bytes = window.get(offset, FRAME_HEADER_LEN)?;
        let header = FrameHeader::decode(bytes).ok();
        let ours = header.filter(|h| h.incarnation == *incarnation && h.file_seq == seq);
        let Some(header) = ours else {
            offset += ALIGNMENT as u64;
            continue;
        };
        found.push(Place { file, at: WalPosition { seq, offset }, header });
        offset += header.frame_len();
    }
    Ok(found)
}

/// The valid chunks of a damaged frame, and what the others held.
fn salvage(frame: &FrameHeader, body: &Bytes) -> (Vec<(ChunkHeader, Bytes)>, Vec<Lost>) {
    let (mut chunks, mut lost) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < body.len() {
        let Ok(header) = ChunkHeader::decode(&body[at..]) else {
            lost.push(unknown(frame.lsn, frame.lsn + 1));
            break;
        };
        let end = at + header.chunk_len();
        let payload = body.get(at + CHUNK_HEADER_LEN..end);
        match payload {
            Some(payload) if header.check(payload).is_ok() && header.lsn == frame.lsn => {
                chunks.push((header, body.slice(at..end)));
            }
            _ => lost.push(Lost {
                kind: kind_of(header.kind),
                log: Some(header.log),
                from: header.first_position(),
                before: header.end_position(),
                entries: Some(u64::from(header.count)),
                times: Some((header.at, header.at)),
            }),
        }
        at = end;
    }
    (chunks, lost)
}

fn kind_of(kind: ChunkKind) -> LostKind {
    match kind {
        ChunkKind::Data => LostKind::Entries,
        ChunkKind::Create => LostKind::Create,
        ChunkKind::Seal => LostKind::Seal,
        ChunkKind::Trim => LostKind::Trim,
        ChunkKind::Delete => LostKind::Delete,
    }
}

fn replay(
    memory: &mut Memory,
    manifest: &Manifest,
    header: &FrameHeader,
    end: WalPosition,
    chunks: Vec<(ChunkHeader, Bytes)>,
    report: &mut Report,
) {
    let in_segments = header.lsn <= manifest.checkpoint_lsn;
    let mut bytes = 0;
    let mut changes: Vec<Change> = Vec::new();
    for (h, chunk) in chunks {
        if h.kind == ChunkKind::Data {
            if in_segments {
                continue;
            }
            report.chunks += 1;
            report.entries += u64::from(h.count);
            // A repair may have lost the chunk that made the log.
            changes.push(Change::Create(h.log));
        }
        bytes += chunk.len() as u64;
        changes.extend(change(&h, chunk));
    }
    let lsn = header.lsn.max(manifest.checkpoint_lsn);
    memory.publish(lsn, end, header.frame_len(), bytes, changes);
}

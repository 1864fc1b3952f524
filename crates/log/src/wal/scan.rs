//! Reading the write-ahead log back: frame after frame, and what to make of the first that is not
//! valid.
//!
//! ```text
//!  file 7: [41][42][43] rest             the rest is unused when file 8 begins with 44
//!  file 8: [44][45] ~~46~~ [47 "46 is durable"]     46 was damaged: refuse
//!  file 8: [44][45] ~~46~~ nothing valid behind     46 was torn: never acknowledged, cut
//! ```

use std::path::Path;

use bytes::Bytes;
use millstream_env::disk::ALIGNMENT;
use millstream_env::{Disk, File, OpenMode};

use super::{WAL_DIR, WalPosition, live_seq_of, wal_path};
use crate::chunk::ChunkHeader;
use crate::damage::{Damage, FileError, Wrong};
use crate::frame::{
    FRAME_HEADER_LEN, FRAME_MAGIC, FrameCheck, FrameHeader, Incarnation, check_body, unchecked_body,
};

/// One valid frame.
pub(crate) struct Scanned {
    pub header: FrameHeader,
    pub chunks: Vec<(ChunkHeader, Bytes)>,
    pub end: WalPosition,
}

/// How far the log reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanEnd {
    /// Where the next frame would be, or the torn one is.
    pub end: WalPosition,
    /// Where the last valid frame ends.
    pub frames_end: WalPosition,
    pub next_lsn: u64,
    /// The newest epoch seen.
    pub epoch: u64,
    pub files: usize,
    pub frames: u64,
    pub bytes: u64,
    /// Frames that no later one proves durable: where, and how many bytes.
    pub unproven: Vec<(u64, WalPosition, u64)>,
    /// Bytes of a torn frame at `end`; zero if the log ends cleanly.
    pub torn_bytes: u64,
}

/// Visits all frames from `start` on, where frame `next_lsn` is expected.
///
/// # Errors
/// [`FileError::Damaged`] where a frame that is known to have been durable can't be read, or was
/// written by a newer program.
pub(crate) fn scan(
    disk: &dyn Disk,
    incarnation: &Incarnation,
    start: WalPosition,
    next_lsn: u64,
    check: FrameCheck,
    mut visit: impl FnMut(Scanned),
) -> Result<ScanEnd, FileError> {
    let mut files = open_files(disk, start)?;
    let mut end = ScanEnd { end: start, next_lsn, files: files.len(), ..ScanEnd::default() };
    let mut at = 0;
    let mut offset = start.offset;
    while at < files.len() {
        let file = &mut files[at];
        match read_frame(file, incarnation, offset, &end, check)? {
            Ok((header, chunks)) => {
                offset += header.frame_len();
                end.unproven.retain(|(lsn, ..)| *lsn > header.durable_lsn);
                let place = WalPosition { seq: file.seq, offset: offset - header.frame_len() };
                end.unproven.push((header.lsn, place, header.frame_len()));
                end.next_lsn += 1;
                end.epoch = header.epoch;
                end.frames += 1;
                end.bytes += header.frame_len();
                end.end = WalPosition { seq: file.seq, offset };
                end.frames_end = end.end;
                visit(Scanned { header, chunks, end: end.end });
            }
            Err(Wrong::Unknown(what)) => {
                return Err(Damage::new(wal_path(file.seq), offset, what).into());
            }
            Err(Wrong::Broken(what)) => {
                if let Some(next) = continues_in(&mut files, at, incarnation, &end)? {
                    at = next;
                    offset = 0;
                    continue;
                }
                let here = WalPosition { seq: files[at].seq, offset };
                if let Some(proof) = proof_after(&mut files, at, offset, incarnation, &end)? {
                    let what = format!(
                        "frame {} can't be read ({what}), and {proof} shows that it was durable",
                        end.next_lsn
                    );
                    return Err(Damage::new(wal_path(here.seq), offset, what).into());
                }
                end.torn_bytes = torn_bytes(&mut files[at], offset, incarnation)?;
                end.end = here;
                break;
            }
        }
    }
    Ok(end)
}

/// Makes the frames that were read durable: a process may have died between a write and its sync.
///
/// What is not proven durable is written once more. A process that ended because a sync failed
/// leaves bytes that the system shows but takes for written: another sync alone would say that all
/// is well and do nothing.
pub(crate) fn settle(disk: &dyn Disk, end: &ScanEnd) -> Result<(), FileError> {
    for (_, at, len) in &end.unproven {
        let path = wal_path(at.seq);
        let rewrite = || {
            let file = disk.open(Path::new(&path), OpenMode::Write)?;
            let mut bytes = vec![0; *len as usize];
            file.read_exact_at(&mut bytes, at.offset)?;
            file.write_all_at(&bytes, at.offset)?;
            file.sync_data()
        };
        rewrite().map_err(|e| FileError::io(&path, e))?;
    }
    Ok(())
}

/// Overwrites the first block of a torn frame, so that it stays invalid for good.
pub(crate) fn cut(disk: &dyn Disk, at: WalPosition) -> Result<(), FileError> {
    let path = wal_path(at.seq);
    let cut = || {
        let file = disk.open(Path::new(&path), OpenMode::Write)?;
        file.write_all_at(&[0; ALIGNMENT], at.offset)?;
        file.sync_data()
    };
    cut().map_err(|e| FileError::io(&path, e))
}

struct ScanFile {
    seq: u64,
    window: Window,
}

fn open_files(disk: &dyn Disk, start: WalPosition) -> Result<Vec<ScanFile>, FileError> {
    let names = disk.list(Path::new(WAL_DIR)).map_err(|e| FileError::io(WAL_DIR, e))?;
    let mut seqs: Vec<u64> = names.iter().filter_map(|n| live_seq_of(n)).collect();
    seqs.retain(|&s| s >= start.seq);
    seqs.sort_unstable();
    if start.seq != 0 && seqs.first() != Some(&start.seq) {
        return Err(Damage::new(wal_path(start.seq), 0, "the file is missing").into());
    }
    let mut files = Vec::new();
    for seq in seqs {
        let path = wal_path(seq);
        let window = Window::open(disk, &path)?;
        if window.len == 0 || !window.len.is_multiple_of(ALIGNMENT as u64) {
            return Err(Damage::new(&path, window.len, "the file was cut off here").into());
        }
        files.push(ScanFile { seq, window });
    }
    Ok(files)
}

type Frame = (FrameHeader, Vec<(ChunkHeader, Bytes)>);

/// The frame at `offset`, if it is the one that comes next.
fn read_frame(
    file: &mut ScanFile,
    incarnation: &Incarnation,
    offset: u64,
    so_far: &ScanEnd,
    check: FrameCheck,
) -> Result<Result<Frame, Wrong>, FileError> {
    let header = match read_header(file, incarnation, offset)? {
        Ok(header) => header,
        Err(wrong) => return Ok(Err(wrong)),
    };
    if header.lsn != so_far.next_lsn || header.epoch < so_far.epoch {
        let what = format!("frame {} of run {} is out of order", header.lsn, header.epoch);
        return Ok(Wrong::broken(what));
    }
    if offset + header.frame_len() > file.window.len {
        return Ok(Wrong::broken("the frame reaches over the file's end"));
    }
    let body = file.window.get(offset + FRAME_HEADER_LEN as u64, header.body_len as usize)?;
    let body = Bytes::copy_from_slice(body);
    Ok(match check_body(&header, &body) {
        Ok(chunks) => Ok((header, chunks)),
        Err(_) if check == FrameCheck::HeaderOnly => Ok((header, unchecked_body(&body))),
        Err((_, wrong)) => Err(wrong),
    })
}

/// A header that this file got in its present use; a file that is shorter than its frames say is
/// an error at once.
fn read_header(
    file: &mut ScanFile,
    incarnation: &Incarnation,
    offset: u64,
) -> Result<Result<FrameHeader, Wrong>, FileError> {
    if offset + ALIGNMENT as u64 > file.window.len {
        return Ok(Wrong::broken("the file ends"));
    }
    let header = match FrameHeader::decode(file.window.get(offset, FRAME_HEADER_LEN)?) {
        Ok(header) => header,
        Err(wrong) => return Ok(Err(wrong)),
    };
    if header.incarnation != *incarnation || header.file_seq != file.seq {
        return Ok(Wrong::broken("only a frame of an earlier use begins here"));
    }
    if header.file_len != file.window.len {
        let what = format!("the file was {} bytes long and is cut off here", header.file_len);
        return Err(Damage::new(wal_path(file.seq), file.window.len, what).into());
    }
    Ok(Ok(header))
}

/// The later file that begins with the expected frame.
fn continues_in(
    files: &mut [ScanFile],
    at: usize,
    incarnation: &Incarnation,
    so_far: &ScanEnd,
) -> Result<Option<usize>, FileError> {
    for (i, file) in files.iter_mut().enumerate().skip(at + 1) {
        match read_header(file, incarnation, 0)? {
            Ok(h) if h.lsn == so_far.next_lsn && h.epoch >= so_far.epoch => return Ok(Some(i)),
            Err(Wrong::Unknown(what)) => {
                return Err(Damage::new(wal_path(file.seq), 0, what).into());
            }
            _ => {}
        }
    }
    Ok(None)
}

/// A later frame that knows the expected one as durable.
fn proof_after(
    files: &mut [ScanFile],
    at: usize,
    offset: u64,
    incarnation: &Incarnation,
    so_far: &ScanEnd,
) -> Result<Option<String>, FileError> {
    let step = ALIGNMENT as u64;
    for (i, file) in files.iter_mut().enumerate().skip(at) {
        let mut offset = if i == at { offset } else { 0 };
        while offset + step <= file.window.len {
            offset += match read_header(file, incarnation, offset)? {
                Ok(h) if h.durable_lsn >= so_far.next_lsn && h.epoch >= so_far.epoch => {
                    let place = WalPosition { seq: file.seq, offset };
                    return Ok(Some(format!("frame {} at {place}", h.lsn)));
                }
                // What lies inside a frame is data, whatever it looks like.
                Ok(h) => h.frame_len(),
                Err(_) => step,
            };
        }
    }
    Ok(None)
}

fn torn_bytes(
    file: &mut ScanFile,
    offset: u64,
    incarnation: &Incarnation,
) -> Result<u64, FileError> {
    Ok(match read_header(file, incarnation, offset)? {
        Ok(h) => h.frame_len(),
        Err(_) if offset + ALIGNMENT as u64 > file.window.len => 0,
        Err(_) => {
            let block = file.window.get(offset, ALIGNMENT)?;
            let ours = block[..4] == FRAME_MAGIC && FrameHeader::decode(block).is_err();
            if ours { ALIGNMENT as u64 } else { 0 }
        }
    })
}

/// A file seen through a moving piece of it.
pub(crate) struct Window {
    path: String,
    file: Box<dyn File>,
    pub len: u64,
    start: u64,
    buf: Vec<u8>,
}

/// What one read fetches.
const WINDOW_BYTES: u64 = 256 << 10;

impl Window {
    pub(crate) fn open(disk: &dyn Disk, path: &str) -> Result<Self, FileError> {
        let open = || {
            let file = disk.open(Path::new(path), OpenMode::Read)?;
            let len = file.len()?;
            Ok(Window { path: path.into(), file, len, start: 0, buf: Vec::new() })
        };
        open().map_err(|e| FileError::io(path, e))
    }

    /// `n` bytes from `offset`, or fewer at the file's end.
    pub(crate) fn get(&mut self, offset: u64, n: usize) -> Result<&[u8], FileError> {
        let end = (offset + n as u64).min(self.len);
        let have = self.start..self.start + self.buf.len() as u64;
        if offset < have.start || end > have.end {
            let fetch = WINDOW_BYTES.max(n as u64).min(self.len.saturating_sub(offset));
            self.buf.resize(fetch as usize, 0);
            self.start = offset;
            let read = self.file.read_exact_at(&mut self.buf, offset);
            if let Err(e) = read {
                self.buf.clear();
                return Err(FileError::io(&self.path, e));
            }
        }
        let from = (offset - self.start) as usize;
        Ok(&self.buf[from..from + (end - offset.min(end)) as usize])
    }
}

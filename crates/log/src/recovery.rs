//! Opening a data directory: what is there, what of it counts, and what to say about it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use millstream_env::{Disk, Env};
use tokio::time::Instant;

use crate::chunk::{ChunkHeader, ChunkKind};
use crate::codec::{u32_at, u64_at};
use crate::damage::{Damage, FileError};
use crate::format::{self, FormatError};
use crate::frame::Incarnation;
use crate::manifest::{MANIFEST, Manifest};
use crate::map::Set;
use crate::memory::{Change, LogRow, MemChunk, Memory};
use crate::options::Options;
use crate::segment::SEGMENT_DIR;
use crate::store::Position;
use crate::wal::{self, ScanEnd, Scanned, WAL_DIR, WalFiles};

pub(crate) const LOCK_FILE: &str = "log.lock";

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another process has this data directory open")]
    Locked,
    #[error(
        "the data directory has log format {version}, this program reads up to {known}: \
         use the program that wrote it, or a newer one"
    )]
    Newer { version: u32, known: u32 },
    /// Going on would hide that acknowledged entries are gone.
    #[error(
        "damaged data in {0}; nothing was changed: `millstream fsck` says what is lost, \
         `millstream fsck --repair` gives it up"
    )]
    Damaged(Damage),
    #[error("{what}: {reason}")]
    Io { what: String, reason: String },
}

impl From<FileError> for OpenError {
    fn from(e: FileError) -> Self {
        match e {
            FileError::Damaged(d) => OpenError::Damaged(d),
            FileError::Io { file, error } => {
                OpenError::Io { what: file, reason: error.to_string() }
            }
        }
    }
}

/// What was found at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The directory was empty.
    pub created: bool,
    /// Write-ahead files, frames, bytes and entries read back.
    pub wal_files: usize,
    pub frames: u64,
    pub bytes: u64,
    pub entries: u64,
    /// Logs that exist.
    pub logs: usize,
    pub segments: usize,
    /// Bytes of a write that was cut short and never acknowledged.
    pub torn_bytes: u64,
    pub duration: Duration,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} logs, {} segment files; read back {} entries in {} frames ({} bytes) of {} files \
             in {:?}",
            self.logs,
            self.segments,
            self.entries,
            self.frames,
            self.bytes,
            self.wal_files,
            self.duration
        )?;
        if self.torn_bytes > 0 {
            write!(f, "; cut off {} bytes never acknowledged", self.torn_bytes)?;
        }
        Ok(())
    }
}

/// A directory's state, ready to go on from.
pub(crate) struct Recovered {
    pub lock: Box<dyn Send + Sync>,
    pub incarnation: Incarnation,
    pub manifest: Manifest,
    pub memory: Memory,
    pub wal: WalFiles,
    pub next_lsn: u64,
    pub epoch: u64,
    pub report: RecoveryReport,
}

/// Opens the directory, blocking until everything is read back.
pub(crate) fn recover(env: &Env, options: &Options) -> Result<Recovered, OpenError> {
    let began = Instant::now();
    let disk = env.disk.as_ref();
    let lock = lock(disk)?;
    let (incarnation, created) = make(env)?;
    // What the names say must not change any more with what is done on their word.
    for dir in ["", WAL_DIR, SEGMENT_DIR] {
        disk.sync_dir(Path::new(dir)).map_err(io_error(dir))?;
    }
    let manifest = Manifest::load(disk, MANIFEST).map_err(missing_is_damage)?;
    if manifest.incarnation != incarnation {
        let what = "it belongs to another data directory";
        return Err(OpenError::Damaged(Damage::new(MANIFEST, 0, what)));
    }
    sync_names(disk)?;
    let mut memory = Memory::new(&manifest.logs, manifest.checkpoint_lsn, options.memory_bytes);
    memory.wal_end = manifest.wal;
    let mut entries = 0;
    let next_lsn = manifest.checkpoint_lsn + 1;
    let check = options.frame_check();
    let end = wal::scan(disk, &incarnation, manifest.wal, next_lsn, check, |frame| {
        entries += replay(&mut memory, frame);
    })?;
    settle(disk, &end)?;
    remove_leftovers(disk, &manifest)?;
    let keep_to = memory.wal_end.seq;
    let wal = WalFiles::open(
        env.disk.clone(),
        options,
        manifest.wal.seq.min(keep_to),
        keep_to,
        manifest.wal.seq + 1,
    )
    .map_err(io_error(WAL_DIR))?;
    let report = RecoveryReport {
        created,
        wal_files: end.files,
        frames: end.frames,
        bytes: end.bytes,
        entries,
        logs: memory.logs.len(),
        segments: manifest.segments.len(),
        torn_bytes: end.torn_bytes,
        duration: began.elapsed(),
    };
    Ok(Recovered {
        lock,
        incarnation,
        manifest,
        memory,
        wal,
        next_lsn: end.next_lsn,
        epoch: end.epoch + 1,
        report,
    })
}

pub(crate) fn lock(disk: &dyn Disk) -> Result<Box<dyn Send + Sync>, OpenError> {
    disk.create_dir_all(Path::new("")).map_err(io_error("the data directory"))?;
    disk.lock(Path::new(LOCK_FILE)).map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => io_error(LOCK_FILE)(e),
    })
}

/// The directory's incarnation; a new one where nothing was before.
fn make(env: &Env) -> Result<(Incarnation, bool), OpenError> {
    let disk = env.disk.as_ref();
    match format::load(disk) {
        Ok(Some(incarnation)) => return Ok((incarnation, false)),
        Ok(None) => {}
        Err(FormatError::Newer { version }) => {
            return Err(OpenError::Newer { version, known: format::FORMAT_VERSION });
        }
        Err(FormatError::File(e)) => return Err(e.into()),
    }
    for dir in [WAL_DIR, SEGMENT_DIR] {
        disk.create_dir_all(Path::new(dir)).map_err(io_error(dir))?;
        if !disk.list(Path::new(dir)).map_err(io_error(dir))?.is_empty() {
            let what = format!("the file is missing, but there are files in {dir}/");
            return Err(OpenError::Damaged(Damage::new(format::FORMAT_FILE, 0, what)));
        }
    }
    let incarnation = env.random_bytes();
    let manifest = Manifest { incarnation, next_segment: 1, ..Manifest::default() };
    manifest.stage(disk)?;
    manifest.commit(disk)?;
    // The format file comes last: with it, the directory counts.
    format::store(disk, &incarnation)?;
    Ok((incarnation, true))
}

/// Makes the names that were found durable: the process that made them may have died before it did.
fn sync_names(disk: &dyn Disk) -> Result<(), OpenError> {
    for dir in ["", WAL_DIR, SEGMENT_DIR] {
        disk.sync_dir(Path::new(dir)).map_err(io_error(dir))?;
    }
    Ok(())
}

fn replay(memory: &mut Memory, frame: Scanned) -> u64 {
    let (mut entries, mut bytes) = (0, 0);
    let changes = frame.chunks.into_iter().filter_map(|(header, chunk)| {
        entries += u64::from(header.count);
        bytes += chunk.len() as u64;
        change(&header, chunk)
    });
    let changes = changes.collect();
    memory.publish(frame.header.lsn, frame.end, frame.header.frame_len(), bytes, changes);
    entries
}

/// What a chunk of the write-ahead log does.
pub(crate) fn change(header: &ChunkHeader, chunk: bytes::Bytes) -> Option<Change> {
    let log = header.log;
    Some(match header.kind {
        ChunkKind::Data => Change::Data(log, MemChunk::new(header, chunk)),
        ChunkKind::Create => Change::Create(log),
        ChunkKind::Seal => Change::Seal(log),
        ChunkKind::Delete => Change::Delete(log),
        ChunkKind::Trim => {
            let payload = chunk.get(crate::chunk::CHUNK_HEADER_LEN..)?;
            if payload.len() != crate::chunk::TRIM_LEN {
                return None;
            }
            Change::Trim(log, Position::new(u64_at(payload, 0), u32_at(payload, 8)))
        }
    })
}

/// What was read is made durable before anybody sees it, and a torn end is made invalid for good.
fn settle(disk: &dyn Disk, end: &ScanEnd) -> Result<(), OpenError> {
    if end.torn_bytes > 0 {
        wal::cut(disk, end.end)?;
    }
    if end.frames > 0 {
        wal::settle(disk, end)?;
    }
    Ok(())
}

/// Half-written files of a checkpoint or merge that did not come to its end, and files that a
/// finished merge replaced.
fn remove_leftovers(disk: &dyn Disk, manifest: &Manifest) -> Result<(), OpenError> {
    let live: Set<String> = manifest.segments.iter().map(|s| s.path()).collect();
    for name in disk.list(Path::new(SEGMENT_DIR)).map_err(io_error(SEGMENT_DIR))? {
        let path = format!("{SEGMENT_DIR}/{name}");
        let ours = name.ends_with(".seg") || name.ends_with(".new");
        if ours && !live.contains(&path) {
            disk.remove(Path::new(&path)).map_err(io_error(&path))?;
        }
    }
    Ok(())
}

fn missing_is_damage(e: FileError) -> OpenError {
    match e {
        FileError::Io { file, .. } if e.is_not_found() => {
            OpenError::Damaged(Damage::new(file, 0, "the file is missing"))
        }
        e => e.into(),
    }
}

fn io_error(what: &str) -> impl Fn(std::io::Error) -> OpenError {
    move |e| OpenError::Io { what: what.into(), reason: e.to_string() }
}

/// The rows of all logs, for the writer.
pub(crate) fn rows(memory: &Memory) -> Vec<LogRow> {
    memory.snapshot().rows
}

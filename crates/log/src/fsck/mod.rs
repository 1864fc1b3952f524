//! The offline check of a data directory: every file, every frame, every chunk, and what the
//! manifest says of them; and, on request, the repair that gives up what can't be read.
//!
//! [`check`] changes nothing. [`repair`] first checks; what it replaces stays in the directory
//! under a name that ends in `.damaged`.

mod files;
mod repair;
mod segments;
mod wal;

use std::fmt;
use std::sync::Arc;

use millstream_base::Timestamp;
use millstream_env::Disk;

use crate::damage::Damage;
use crate::recovery::{OpenError, lock};
use crate::store::{LogId, Position};

pub use repair::{Repair, repair};

/// What was found in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files read, and their bytes.
    pub files: u64,
    pub bytes: u64,
    /// Valid frames of the write-ahead log behind the last checkpoint.
    pub frames: u64,
    /// Valid data chunks, in segments and in the write-ahead log, and entries in them.
    pub chunks: u64,
    pub entries: u64,
    pub logs: usize,
    /// A write that was cut short and never acknowledged; nothing is lost by it.
    pub torn_bytes: u64,
    pub findings: Vec<Finding>,
    /// What an operator may want to know and is no damage.
    pub notes: Vec<String>,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds a damaged place of which it is not known (yet) what is lost by it.
    fn found(&mut self, damage: Damage) {
        self.findings.push(Finding { damage, lost: Vec::new() });
    }
}

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub damage: Damage,
    /// What can't be read any more because of it; empty if everything else still tells it.
    pub lost: Vec<Lost>,
}

/// What a damaged place held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostKind {
    Entries,
    /// The making of a log, which its first entries make up for.
    Create,
    /// What was trimmed may be readable again.
    Trim,
    /// A sealed log may take appends again.
    Seal,
    /// A deleted log may be there again.
    Delete,
    /// Not known: any of them.
    Anything,
}

/// What is gone: of `log`, between `from` and `before`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub kind: LostKind,
    /// `None`: which logs had entries there is not known either.
    pub log: Option<LogId>,
    pub from: Position,
    pub before: Position,
    /// How many, as far as it is known.
    pub entries: Option<u64>,
    /// Between which times they were written, as far as it is known.
    pub times: Option<(Timestamp, Timestamp)>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.entries) {
            (LostKind::Entries, Some(n)) => write!(f, "{n} entries")?,
            (LostKind::Entries, None) => write!(f, "entries")?,
            (LostKind::Create, _) => write!(f, "the making")?,
            (LostKind::Trim, _) => write!(f, "a trim")?,
            (LostKind::Seal, _) => write!(f, "the seal")?,
            (LostKind::Delete, _) => write!(f, "the deletion")?,
            (LostKind::Anything, _) => write!(f, "entries, trims, seals or deletions")?,
        }
        match self.log {
            Some(log) => write!(f, " of log {log}")?,
            None => write!(f, " of unknown logs")?,
        }
        let (from, before) = (self.from, self.before);
        write!(f, " from {}.{} to {}.{}", from.lsn, from.index, before.lsn, before.index)?;
        if let Some((first, last)) = self.times {
            write!(f, ", written between {first} and {last}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} files, {} bytes: {} logs, {} frames, {} chunks with {} entries",
            self.files, self.bytes, self.logs, self.frames, self.chunks, self.entries
        )?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for finding in &self.findings {
            writeln!(f, "DAMAGE: {}", finding.damage)?;
            for lost in &finding.lost {
                writeln!(f, "  lost: {lost}")?;
            }
        }
        match self.findings.len() {
            0 => write!(f, "no damage"),
            n => write!(f, "{n} damaged places"),
        }
    }
}

/// Reads everything in the data directory at the root of `disk`. Blocks; changes nothing.
///
/// # Errors
/// When the directory is in use, was written by a newer program, or can't be read at all.
pub fn check(disk: Arc<dyn Disk>) -> Result<Report, OpenError> {
    let _lock = lock(disk.as_ref())?;
    Ok(files::survey(&disk)?.report)
}

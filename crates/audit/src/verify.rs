//! The proof: every line of a trail is what was written, in its place, and none is missing.
//!
//! Whoever can write the files can also write a whole new chain, or cut off its end: that is seen
//! only by someone who knows a hash from before. Hence [`Report::head`] to keep elsewhere, and
//! `expect` to hold against it later.

use std::io;

use millstream_env::{Disk, OpenMode};

use crate::files::{FileName, trail_files};
use crate::hash::Hash;
use crate::line::{Kind, LineError, parse_line};
use crate::note::{FileHead, Note, Removed, Repaired};
use crate::read::{Line, Lines};

/// Troubles told of; further ones are counted.
pub const FINDINGS_MAX: usize = 100;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub file: FileName,
    /// Counted from 1 on; 0: the file as a whole.
    pub line: u64,
    pub trouble: Trouble,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("not a line of a trail: {0}")]
    NoLine(LineError),
    #[error("changed: its hash is not that of its text after the line before")]
    Changed,
    #[error("entry {found} stands where {expected} is due: lines were removed, added or reordered")]
    OutOfOrder { expected: u64, found: u64 },
    #[error("the time of writing steps back by {ms} ms")]
    TimeStepsBack { ms: u64 },
    #[error("the file does not begin with its head")]
    NoHead,
    #[error("the file does not continue the one before: lines were cut off or changed there")]
    NotContinued,
    #[error("the files from {from} to {to} are missing")]
    FilesMissing { from: FileName, to: FileName },
    #[error(
        "the trail begins with entry {found}, but only those up to {removed} were ever removed"
    )]
    BeginningMissing { found: u64, removed: u64 },
    #[error("the line has no end")]
    Unended,
    #[error(
        "the expected hash {0} is not in the trail: its end was cut off, or it is another trail"
    )]
    Unexpected(Hash),
    #[error("there is no trail")]
    Nothing,
}

/// What a reading of all files showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub files: u64,
    pub lines: u64,
    pub events: u64,
    pub bytes: u64,
    /// The first and the last entry's number.
    pub entries: Option<(u64, u64)>,
    /// The hash of the last line: keep it elsewhere.
    pub head: Option<Hash>,
    /// After crashes; what was cut off lies beside.
    pub repairs: Vec<Repaired>,
    /// What retention took away last.
    pub removed: Option<Removed>,
    /// Events that were never written, by the trail's own word.
    pub lost: u64,
    /// Bytes at the end of the newest file that are no whole line: being written, or torn.
    pub unfinished_bytes: u64,
    /// The first [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    pub findings_count: u64,
}

impl Report {
    /// Whether the trail is whole and unchanged.
    pub fn is_sound(&self) -> bool {
        self.findings_count == 0
    }
}

/// Reads the whole trail in the root of `disk`, a running node's too.
///
/// # Errors
/// The files can't be read.
pub fn verify(disk: &dyn Disk, expect: Option<Hash>) -> io::Result<Report> {
    let mut files = trail_files(disk)?.into_iter().peekable();
    let mut reader = Reader { expect, ..Reader::default() };
    while let Some(name) = files.next() {
        reader.file(disk, name, files.peek().is_none())?;
    }
    Ok(reader.end())
}

#[derive(Default)]
struct Reader {
    report: Report,
    expect: Option<Hash>,
    before: Option<FileName>,
    /// Where the chain stands; `None` before the first line.
    hash: Option<Hash>,
    n: u64,
    at: u64,
}

impl Reader {
    fn file(&mut self, disk: &dyn Disk, name: FileName, newest: bool) -> io::Result<()> {
        if let Some(before) = self.before.replace(name)
            && before.0 + 1 != name.0
        {
            let (from, to) = (FileName(before.0 + 1), FileName(name.0 - 1));
            self.found(name, 0, Trouble::FilesMissing { from, to });
        }
        let file = disk.open(&name.path(), OpenMode::Read)?;
        let lines = Lines::of(&*file)?;
        self.report.files += 1;
        self.report.bytes += lines.len();
        let mut number = 0;
        lines.forward(|line| {
            number += 1;
            if !line.ended && newest {
                self.report.unfinished_bytes = line.place.end - line.place.start;
            } else {
                self.line(name, number, &line);
            }
            true
        })?;
        if number == 0 && !newest {
            self.found(name, 0, Trouble::NoHead);
        }
        Ok(())
    }

    fn line(&mut self, file: FileName, number: u64, line: &Line) {
        self.report.lines += 1;
        if !line.ended {
            self.found(file, number, Trouble::Unended);
        }
        let entry = match parse_line(&line.bytes) {
            Ok(entry) => entry,
            Err(error) => {
                self.found(file, number, Trouble::NoLine(error));
                self.n += 1; // most likely it was one
                return;
            }
        };
        let mut previous = self.hash;
        if number == 1 {
            match FileHead::read(entry.content) {
                Some((head, claimed)) if entry.kind == Kind::File && head.number == file.0 => {
                    if previous.is_some_and(|previous| previous != claimed) {
                        self.found(file, number, Trouble::NotContinued);
                    }
                    // From here on the chain is that of this file.
                    previous = Some(claimed);
                }
                _ => self.found(file, number, Trouble::NoHead),
            }
        } else if entry.kind == Kind::File {
            self.found(file, number, Trouble::NoHead);
        }
        if self.hash.is_some() && entry.n != self.n + 1 {
            let trouble = Trouble::OutOfOrder { expected: self.n + 1, found: entry.n };
            self.found(file, number, trouble);
        }
        if previous.is_none_or(|previous| previous.then(entry.text) != entry.hash) {
            self.found(file, number, Trouble::Changed);
        }
        if entry.at < self.at {
            self.found(file, number, Trouble::TimeStepsBack { ms: self.at - entry.at });
        }
        let first = self.report.entries.map_or(entry.n, |(first, _)| first);
        self.report.entries = Some((first, entry.n));
        self.report.head = Some(entry.hash);
        (self.hash, self.n, self.at) = (Some(entry.hash), entry.n, entry.at.max(self.at));
        if self.expect == Some(entry.hash) {
            self.expect = None;
        }
        match entry.kind {
            Kind::Event => self.report.events += 1,
            Kind::Note => self.note(Note::read(entry.content)),
            Kind::File => {}
        }
    }

    fn note(&mut self, note: Option<Note>) {
        match note {
            Some(Note::Repaired(repaired)) => self.report.repairs.push(repaired),
            Some(Note::Removed(removed)) => self.report.removed = Some(removed),
            Some(Note::Lost { events }) => self.report.lost += events,
            Some(Note::Unrecorded { .. }) | None => {}
        }
    }

    fn end(mut self) -> Report {
        let file = self.before.unwrap_or(FileName(1));
        match self.report.entries {
            None => self.found(file, 0, Trouble::Nothing),
            Some((first, _)) => {
                // A file that was noted and is still there was about to be removed.
                let removed = self.report.removed.as_ref().map_or(0, |removed| removed.last_n);
                if first > removed + 1 {
                    self.found(file, 0, Trouble::BeginningMissing { found: first, removed });
                }
            }
        }
        if let Some(hash) = self.expect {
            self.found(file, 0, Trouble::Unexpected(hash));
        }
        self.report
    }

    fn found(&mut self, file: FileName, line: u64, trouble: Trouble) {
        self.report.findings_count += 1;
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding { file, line, trouble });
        }
    }
}

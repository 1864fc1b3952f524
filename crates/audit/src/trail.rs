//! The files of a trail as their one writer sees them: opened, repaired, appended to, rotated, and
//! removed when they are old.
//!
//! Promise: when [`Trail::append`] returns, its entries are on stable storage, in order, each with
//! the hash of all before it. After a failed append nothing of it is in the trail.
//!
//! Invariant: nothing that was ever written is thrown away in silence. What a crash tore off is kept
//! beside and noted; what is too old is noted before it goes.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::Timestamp;
use millstream_env::{Disk, File, OpenMode};

use crate::files::{FileName, trail_files};
use crate::hash::Hash;
use crate::line::{Kind, parse_line, write_line};
use crate::note::{FileHead, Note, Removed, Repaired};
use crate::read::Lines;

/// What a trail is kept like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A file that is this large is not written to any more.
    pub file_bytes_max: u64,
    /// A file that is this old is not written to any more.
    pub file_time_max: Duration,
    /// How long files are kept after their last entry.
    pub retention: Duration,
    /// Most bytes of all files together; the oldest go first.
    pub bytes_max: u64,
    /// Wait for the disk.
    pub sync: bool,
    /// Most events that wait to be written, in number and in bytes.
    pub queue_events_max: usize,
    pub queue_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            file_bytes_max: 16 << 20,
            file_time_max: Duration::from_secs(24 * 3600),
            // As long as CloudTrail's event history reaches back.
            retention: Duration::from_secs(90 * 24 * 3600),
            bytes_max: 1 << 30,
            sync: true,
            queue_events_max: 10_000,
            queue_bytes_max: 16 << 20,
        }
    }
}

/// The newest entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries there were in all.
    pub n: u64,
    pub hash: Hash,
    /// When it was written; never steps back.
    pub at: Timestamp,
}

/// What was torn when the trail was opened.
pub type Repair = Repaired;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{file} holds no chain that could be continued: {reason}")]
    Broken { file: FileName, reason: &'static str },
}

#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written; it may be tried again.
    #[error("the audit trail can't be written: {0}")]
    Unwritable(io::Error),
    /// What is on the disk now is unknown: only opening the trail anew can tell.
    #[error("the audit trail can't be synced: {0}")]
    Sync(io::Error),
}

/// The writer of a trail.
pub struct Trail {
    disk: Arc<dyn Disk>,
    options: Options,
    head: Head,
    open: Option<Open>,
    /// The files before the open one.
    closed: VecDeque<Closed>,
    /// Bytes of the closed files.
    closed_bytes: u64,
}

struct Open {
    name: FileName,
    file: Box<dyn File>,
    len: u64,
    since: Timestamp,
    /// A failed write may have left bytes after `len`.
    dirty: bool,
}

struct Closed {
    name: FileName,
    bytes: u64,
    /// Where the chain stood at its end.
    last: Head,
}

impl Trail {
    /// Opens the trail in the root of `disk`; an empty directory becomes a new one.
    ///
    /// The newest file is read and its chain checked. What follows the last good line is cut off,
    /// kept beside, and noted in the trail.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was lost then.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        now: Timestamp,
    ) -> Result<(Trail, Option<Repair>), OpenError> {
        let start = Head { n: 0, hash: Hash::START, at: Timestamp::ZERO };
        let mut trail = Trail {
            disk,
            options,
            head: start,
            open: None,
            closed: VecDeque::new(),
            closed_bytes: 0,
        };
        let mut files = trail_files(&*trail.disk)?;
        let mut repaired = None;
        while let Some(name) = files.pop() {
            let file = trail.disk.open(&name.path(), OpenMode::Write)?;
            let (good, head, since) = trail.read_chain(name, &*file)?;
            let len = file.len()?;
            let Some(head) = head else {
                // Not even its first line: the crash came while it was made.
                let torn = trail.keep_torn(name, &*file, 0, len)?;
                trail.disk.remove(&name.path())?;
                trail.sync_names()?;
                repaired = repaired.or(torn);
                continue;
            };
            if trail.options.sync {
                // A killed process may have left what the system has and the disk has not: nothing
                // must be built upon that.
                file.sync_data()?;
                trail.sync_names()?;
            }
            trail.find_closed(&files, name)?;
            trail.head = head;
            if good < len {
                repaired = trail.keep_torn(name, &*file, good, len)?.or(repaired);
            }
            let dirty = good < len;
            trail.open = Some(Open { name, file, len: good, since, dirty });
            break;
        }
        if trail.open.is_none() {
            trail.start_file(FileName(1), now).map_err(Trail::io)?;
        }
        if let Some(repair) = &repaired {
            let note = Note::Repaired(repair.clone()).text();
            trail.write(&[(Kind::Note, &note)], now).map_err(Trail::io)?;
        }
        Ok((trail, repaired))
    }

    pub fn head(&self) -> Head {
        self.head
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.closed_bytes + self.open.as_ref().map_or(0, |open| open.len)
    }

    /// Appends `events`, each JSON on one line.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of it is in the trail then.
    pub fn append(&mut self, events: &[String], now: Timestamp) -> Result<(), AppendError> {
        let entries: Vec<_> = events.iter().map(|event| (Kind::Event, event.as_str())).collect();
        self.keep_house(now)?;
        self.write(&entries, now)
    }

    /// Appends a note.
    ///
    /// # Errors
    /// As [`Trail::append`].
    pub fn note(&mut self, note: &Note, now: Timestamp) -> Result<(), AppendError> {
        self.keep_house(now)?;
        self.write(&[(Kind::Note, &note.text())], now)
    }

    /// Starts a new file when the open one is large or old, and lets go of old ones.
    ///
    /// # Errors
    /// As [`Trail::append`].
    pub fn keep_house(&mut self, now: Timestamp) -> Result<(), AppendError> {
        let open = self.open.as_ref().expect("a trail has an open file");
        let full = open.len >= self.options.file_bytes_max;
        let old = now.since(open.since) >= self.options.file_time_max;
        if full || old {
            let next = FileName(open.name.0 + 1);
            let closed = Closed { name: open.name, bytes: open.len, last: self.head };
            self.start_file(next, now)?;
            self.closed_bytes += closed.bytes;
            self.closed.push_back(closed);
        }
        self.remove_old(now)
    }

    fn write(&mut self, entries: &[(Kind, &str)], now: Timestamp) -> Result<(), AppendError> {
        let mut head = Head { at: self.head.at.max(now), ..self.head };
        let mut text = Vec::new();
        for (kind, content) in entries {
            head.n += 1;
            head.hash =
                write_line(&mut text, head.hash, head.n, head.at.as_millis(), *kind, content);
        }
        let sync = self.options.sync;
        let open = self.open.as_mut().expect("a trail has an open file");
        if open.dirty {
            open.file.set_len(open.len).map_err(AppendError::Unwritable)?;
            open.dirty = false;
        }
        if let Err(error) = open.file.write_all_at(&text, open.len) {
            // A part may be there; the next append cuts it off, and a reading takes none of it.
            open.dirty = open.file.set_len(open.len).is_err();
            return Err(AppendError::Unwritable(error));
        }
        if sync {
            open.file.sync_data().map_err(AppendError::Sync)?;
        }
        open.len += text.len() as u64;
        self.head = head;
        Ok(())
    }

    fn start_file(&mut self, name: FileName, now: Timestamp) -> Result<(), AppendError> {
        let at = self.head.at.max(now);
        let mut text = Vec::new();
        let head = FileHead::text(name.0, self.head.hash);
        let n = self.head.n + 1;
        let hash = write_line(&mut text, self.head.hash, n, at.as_millis(), Kind::File, &head);
        let make = || {
            let file = self.disk.open(&name.path(), OpenMode::Create)?;
            file.set_len(0)?; // what an attempt before may have left
            file.write_all_at(&text, 0)?;
            Ok(file)
        };
        let file = make().map_err(AppendError::Unwritable)?;
        if self.options.sync {
            file.sync_data().map_err(AppendError::Sync)?;
            self.sync_names().map_err(AppendError::Sync)?;
        }
        self.head = Head { n, hash, at };
        let len = text.len() as u64;
        self.open = Some(Open { name, file, len, since: at, dirty: false });
        Ok(())
    }

    /// Notes first, removes then: a crash between leaves files that the next turn removes.
    fn remove_old(&mut self, now: Timestamp) -> Result<(), AppendError> {
        let (mut bytes, mut count) = (self.bytes(), 0_usize);
        for closed in &self.closed {
            let old = now.since(closed.last.at) > self.options.retention;
            if !old && bytes <= self.options.bytes_max {
                break;
            }
            bytes -= closed.bytes;
            count += 1;
        }
        let Some(last) = count.checked_sub(1).map(|last| &self.closed[last]) else { return Ok(()) };
        let note = Note::Removed(Removed {
            last_file: last.name.0,
            last_n: last.last.n,
            last_hash: last.last.hash.to_string(),
        });
        self.write(&[(Kind::Note, &note.text())], now)?;
        for _ in 0..count {
            let closed = self.closed.front().expect("counted above");
            self.disk.remove(&closed.name.path()).map_err(AppendError::Unwritable)?;
            let closed = self.closed.pop_front().expect("looked at above");
            self.closed_bytes -= closed.bytes;
        }
        self.sync_names().map_err(AppendError::Unwritable)
    }

    fn sync_names(&self) -> io::Result<()> {
        if self.options.sync { self.disk.sync_dir(Path::new("")) } else { Ok(()) }
    }

    /// How far the file holds a chain, where that stands, and when it began.
    fn read_chain(
        &self,
        name: FileName,
        file: &dyn File,
    ) -> Result<(u64, Option<Head>, Timestamp), OpenError> {
        let (mut good, mut head, mut since) = (0, None::<Head>, Timestamp::ZERO);
        Lines::of(file)?.forward(|line| {
            let Some(entry) = parse_line(&line.bytes).ok().filter(|_| line.ended) else {
                return false;
            };
            let at = Timestamp::from_millis(entry.at);
            let previous = match head {
                Some(head) if head.n + 1 == entry.n => head.hash,
                None => {
                    let read = FileHead::read(entry.content).filter(|_| entry.kind == Kind::File);
                    let Some((_, previous)) = read.filter(|(read, _)| read.number == name.0) else {
                        return false;
                    };
                    since = at;
                    previous
                }
                Some(_) => return false,
            };
            if previous.then(entry.text) != entry.hash {
                return false;
            }
            head = Some(Head { n: entry.n, hash: entry.hash, at });
            good = line.place.end;
            true
        })?;
        Ok((good, head, since))
    }

    /// Takes note of `files`, which were closed before `newest`.
    fn find_closed(&mut self, files: &[FileName], newest: FileName) -> Result<(), OpenError> {
        for (i, name) in files.iter().enumerate() {
            let next = *files.get(i + 1).unwrap_or(&newest);
            let file = self.disk.open(&next.path(), OpenMode::Read)?;
            let broken = |reason| OpenError::Broken { file: next, reason };
            let line = Lines::of(&*file)?.at(0)?.ok_or(broken("it is empty"))?;
            let entry = parse_line(&line.bytes).map_err(|_| broken("its first line is none"))?;
            let (_, hash) = FileHead::read(entry.content).ok_or(broken("it has no head"))?;
            let bytes = self.disk.open(&name.path(), OpenMode::Read)?.len()?;
            let n = entry.n.saturating_sub(1);
            let last = Head { n, hash, at: Timestamp::from_millis(entry.at) };
            self.closed.push_back(Closed { name: *name, bytes, last });
            self.closed_bytes += bytes;
        }
        Ok(())
    }

    /// Copies what is torn to a file of its own. `None` if there is nothing.
    fn keep_torn(
        &self,
        name: FileName,
        file: &dyn File,
        from: u64,
        to: u64,
    ) -> Result<Option<Repair>, OpenError> {
        if from == to {
            return Ok(None);
        }
        let mut torn = vec![0; (to - from) as usize];
        file.read_exact_at(&mut torn, from)?;
        let lines =
            torn.split(|byte| *byte == b'\n').filter(|line| parse_line(line).is_ok()).count();
        let mut place = 1;
        let (kept_as, copy) = loop {
            let kept_as = name.torn(place);
            match self.disk.open(Path::new(&kept_as), OpenMode::CreateNew) {
                Ok(copy) => break (kept_as, copy),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => place += 1,
                Err(error) => return Err(error.into()),
            }
        };
        copy.write_all_at(&torn, 0)?;
        if self.options.sync {
            copy.sync_data()?;
            self.sync_names()?;
        }
        Ok(Some(Repaired {
            file: name.to_string(),
            offset: from,
            bytes: to - from,
            sha256: Hash::of(&torn).to_string(),
            lines: lines as u64,
            kept_as,
        }))
    }

    fn io(error: AppendError) -> OpenError {
        match error {
            AppendError::Unwritable(error) | AppendError::Sync(error) => OpenError::Io(error),
        }
    }
}

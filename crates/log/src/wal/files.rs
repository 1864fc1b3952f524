//! The supply of write-ahead files: made with their full length, used in order, recycled by rename.
//!
//! ```text
//!  17.new  --preallocate, sync, rename-->  17.wal  --checkpointed-->  17.spare  --rename-->  21.wal
//! ```
//!
//! A file gets a new sequence number whenever it is used again, so what it held before can't be
//! taken for what it holds now. A `.wal` file's name is durable before the first byte is written.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use millstream_env::{Disk, File, OpenMode};

use super::{WAL_DIR, live_seq_of, seq_of, wal_path};
use crate::damage::is_full;
use crate::options::Options;

pub(crate) struct WalFiles {
    disk: Arc<dyn Disk>,
    file_bytes: u64,
    files_max: usize,
    keep_free_bytes: u64,
    next_seq: u64,
    live: BTreeSet<u64>,
    spare: Vec<String>,
    prepared: Option<(u64, Arc<dyn File>)>,
}

/// What the writer gets when it asks for the next file.
pub(crate) enum NextFile {
    File(u64, Arc<dyn File>),
    /// The disk has no room.
    Full(String),
    /// All files the options allow hold what no checkpoint covers yet.
    Bound,
    Failed(io::Error),
}

impl WalFiles {
    /// Looks over the directory; files before `keep_from` or after `keep_to` become spare.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        options: &Options,
        keep_from: u64,
        keep_to: u64,
        seq_min: u64,
    ) -> io::Result<Self> {
        let mut files = WalFiles {
            disk,
            file_bytes: options.wal_file_bytes,
            files_max: (options.wal_bytes_max / options.wal_file_bytes) as usize,
            keep_free_bytes: options.keep_free_bytes,
            next_seq: seq_min.max(1),
            live: BTreeSet::new(),
            spare: Vec::new(),
            prepared: None,
        };
        for name in files.disk.list(Path::new(WAL_DIR))? {
            let path = format!("{WAL_DIR}/{name}");
            let Some(seq) = seq_of(&name) else { continue };
            files.next_seq = files.next_seq.max(seq + 1);
            match live_seq_of(&name) {
                Some(seq) if (keep_from..=keep_to).contains(&seq) => {
                    files.live.insert(seq);
                }
                Some(seq) => files.retire(seq)?,
                None if name.ends_with(".spare") && files.fits(&path) => files.spare.push(path),
                None if name.ends_with(".damaged") => {}
                None => files.disk.remove(Path::new(&path))?,
            }
        }
        while files.live.len() + files.spare.len() > files.files_max && !files.spare.is_empty() {
            let path = files.spare.pop().expect("just seen");
            files.disk.remove(Path::new(&path))?;
        }
        Ok(files)
    }

    /// The next file in order, empty of valid frames.
    pub(crate) fn next(&mut self) -> NextFile {
        match self.prepared.take() {
            Some((seq, file)) => NextFile::File(seq, file),
            None => self.make(),
        }
    }

    /// Makes the next file ahead of need. Whether it could is seen when it is needed.
    pub(crate) fn prepare(&mut self) {
        if self.prepared.is_none()
            && let NextFile::File(seq, file) = self.make()
        {
            self.prepared = Some((seq, file));
        }
    }

    /// Everything before file `seq` is in segment files: its files may be used again.
    pub(crate) fn release_before(&mut self, seq: u64) -> io::Result<()> {
        while let Some(&first) = self.live.first().filter(|&&s| s < seq) {
            self.live.remove(&first);
            self.retire(first)?;
        }
        Ok(())
    }

    /// Bytes on disk, spare files included.
    pub(crate) fn bytes(&self) -> u64 {
        (self.live.len() + self.spare.len()) as u64 * self.file_bytes
    }

    fn make(&mut self) -> NextFile {
        if self.spare.is_empty() && self.live.len() >= self.files_max {
            return NextFile::Bound;
        }
        let seq = self.next_seq;
        match self.try_make(seq) {
            Ok(Ok(file)) => {
                self.next_seq += 1;
                self.live.insert(seq);
                NextFile::File(seq, file)
            }
            Ok(Err(reason)) => NextFile::Full(reason),
            Err(e) if is_full(&e) => {
                let _ = self.disk.remove(Path::new(&format!("{WAL_DIR}/{seq:010}.new")));
                NextFile::Full(format!("no room for a write-ahead file: {e}"))
            }
            Err(e) => NextFile::Failed(e),
        }
    }

    fn try_make(&mut self, seq: u64) -> io::Result<Result<Arc<dyn File>, String>> {
        let path = wal_path(seq);
        let path = Path::new(&path);
        if let Some(spare) = self.spare.last() {
            self.disk.rename(Path::new(spare), path)?;
            self.spare.pop();
        } else {
            let free = self.disk.free_bytes()?;
            let needed = self.file_bytes + self.keep_free_bytes;
            if free < needed {
                return Ok(Err(format!(
                    "{free} bytes are free, the next write-ahead file needs {needed}"
                )));
            }
            let new = format!("{WAL_DIR}/{seq:010}.new");
            let new = Path::new(&new);
            match self.disk.remove(new) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let file = self.disk.open(new, OpenMode::CreateNew)?;
            file.preallocate(self.file_bytes)?;
            file.sync_data()?;
            drop(file);
            self.disk.rename(new, path)?;
        }
        self.disk.sync_dir(Path::new(WAL_DIR))?;
        Ok(Ok(Arc::from(self.disk.open(path, OpenMode::WriteDirect)?)))
    }

    fn retire(&mut self, seq: u64) -> io::Result<()> {
        let path = wal_path(seq);
        let enough = self.live.len() + self.spare.len() >= self.files_max || self.spare.len() >= 4;
        if enough || !self.fits(&path) {
            return self.disk.remove(Path::new(&path));
        }
        let spare = format!("{WAL_DIR}/{seq:010}.spare");
        self.disk.rename(Path::new(&path), Path::new(&spare))?;
        self.spare.push(spare);
        Ok(())
    }

    fn fits(&self, path: &str) -> bool {
        let len = self.disk.open(Path::new(path), OpenMode::Read).and_then(|f| f.len());
        len.is_ok_and(|len| len == self.file_bytes)
    }
}

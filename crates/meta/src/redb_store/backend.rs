//! redb's storage on the environment's disk.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_env::File;
use redb::StorageBackend;

/// The file, and what went wrong with it: redb's errors don't always say.
pub(super) struct Backend {
    file: Box<dyn File>,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// A write found no space. What was there is untouched; a later try may succeed.
    pub(super) full: AtomicBool,
    /// A sync failed: what is on disk is not known any more.
    pub(super) sync: AtomicBool,
}

impl Backend {
    pub(super) fn new(file: Box<dyn File>, faults: Arc<Faults>) -> Self {
        Backend { file, faults }
    }

    fn noting<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(e) = &result
            && matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            self.faults.full.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    /// Growing reserves the space, so that a full disk shows here and not in a sync.
    fn set_len(&self, len: u64) -> io::Result<()> {
        match len > self.file.len()? {
            true => self.noting(self.file.preallocate(len)),
            false => self.file.set_len(len),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().inspect_err(|_| self.faults.sync.store(true, Ordering::Relaxed))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.noting(self.file.write_all_at(data, offset))
    }
}

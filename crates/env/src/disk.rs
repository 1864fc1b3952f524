//! Files and directories, as little as the stores need.
//!
//! All calls block until they are done; callers run on a thread of their own
//! ([`crate::Env::spawn_thread`]) or in [`crate::Env::blocking`].

use std::io;
use std::path::Path;

/// How [`Disk::open`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// The file must exist; reading only.
    Read,
    /// The file must exist; reading and writing.
    Write,
    /// Reading and writing; made if it is not there, kept if it is.
    Create,
    /// Reading and writing; must not exist yet.
    CreateNew,
    /// As `Write`, and around the page cache where the file system can: every `write_all_at` then
    /// has an offset and a length that are multiples of [`ALIGNMENT`]. Memory need not be aligned
    /// (the implementation copies when it must; [`AlignedBuf`] avoids the copy).
    WriteDirect,
}

/// Offsets and lengths of direct writes are multiples of this (bytes): the page size, and the
/// largest logical block of common disks.
pub const ALIGNMENT: usize = 4096;

/// The file system below one root directory.
///
/// Contract: a file's bytes are durable after [`File::sync_data`]; a file's name (after `open` with
/// creation, `rename`, `remove`) is durable after [`Disk::sync_dir`] of its directory.
pub trait Disk: Send + Sync + 'static {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>>;
    /// Replaces `to` if it exists, at once and whole.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Names (not paths) of the entries of `dir`, sorted; directories too.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that can still be written to this file system.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Takes the advisory lock on `path` (made if needed) until the guard is dropped.
    /// `WouldBlock` if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file. Offsets and lengths in bytes.
#[allow(clippy::len_without_is_empty)]
pub trait File: Send + Sync + 'static {
    fn len(&self) -> io::Result<u64>;
    /// Fills `buf` from `offset`; `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves space for `len` bytes and makes the file that long (new bytes read as zero).
    /// `StorageFull` if there is not enough.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    /// Returns when all bytes written before the call are on stable storage.
    fn sync_data(&self) -> io::Result<()>;
}

/// A growable byte buffer whose memory starts at a multiple of [`ALIGNMENT`], for direct writes.
pub struct AlignedBuf {
    bytes: Vec<u8>,
    start: usize,
}

impl AlignedBuf {
    /// An empty buffer that can take `capacity` bytes without moving.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity + ALIGNMENT);
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        bytes.resize(start, 0);
        AlignedBuf { bytes, start }
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&mut self) {
        self.bytes.truncate(self.start);
    }

    pub fn extend_from_slice(&mut self, more: &[u8]) {
        self.reserve(more.len());
        self.bytes.extend_from_slice(more);
    }

    /// Zeroes to the next multiple of [`ALIGNMENT`].
    pub fn pad(&mut self) {
        let to = self.len().next_multiple_of(ALIGNMENT);
        self.reserve(to - self.len());
        self.bytes.resize(self.start + to, 0);
    }

    fn reserve(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() >= more {
            return;
        }
        let mut grown = AlignedBuf::with_capacity((self.len() + more).max(self.len() * 2));
        grown.bytes.extend_from_slice(self);
        *self = grown;
    }
}

impl std::ops::Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        let start = self.start;
        &mut self.bytes[start..]
    }
}

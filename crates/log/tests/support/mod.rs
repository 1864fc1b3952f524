//! What the tests share: a disk in memory that can be damaged and filled up, and small stores.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use millstream_base::Timestamp;
use millstream_env::{Disk, Env, File, OpenMode};
use millstream_log::{
    Batch, ChunkKey, ChunkKeys, EmbeddedLog, Entry, KeyNumber, LogId, LogStore, NewEntry, Options,
    Position, ReadError, ReadLimit,
};
use millstream_secrets::DataKey;
use parking_lot::Mutex;

type Content = Arc<Mutex<Vec<u8>>>;

/// A disk in memory: all that is written is there at once. Room is bounded by `capacity`.
#[derive(Clone)]
pub struct MemDisk {
    files: Arc<Mutex<BTreeMap<String, Content>>>,
    capacity: Arc<AtomicU64>,
}

/// All files of a disk at one moment.
pub type Image = BTreeMap<String, Vec<u8>>;

struct MemFile {
    content: Content,
    disk: MemDisk,
}

impl MemDisk {
    pub fn new() -> Self {
        MemDisk { files: Arc::default(), capacity: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// An independent disk with the same files.
    pub fn copy(&self) -> Self {
        MemDisk::of(&self.image())
    }

    pub fn image(&self) -> Image {
        let files = self.files.lock();
        files.iter().map(|(path, content)| (path.clone(), content.lock().clone())).collect()
    }

    pub fn of(image: &Image) -> Self {
        let disk = MemDisk::new();
        for (path, content) in image {
            let content = Arc::new(Mutex::new(content.clone()));
            disk.files.lock().insert(path.clone(), content);
        }
        disk
    }

    pub fn set_capacity(&self, bytes: u64) {
        self.capacity.store(bytes, Ordering::SeqCst);
    }

    pub fn used(&self) -> u64 {
        self.files.lock().values().map(|c| c.lock().len() as u64).sum()
    }

    pub fn paths(&self) -> Vec<String> {
        self.files.lock().keys().cloned().collect()
    }

    /// The one file whose path begins and ends so.
    pub fn only(&self, start: &str, end: &str) -> String {
        let mut paths = self.paths();
        paths.retain(|p| p.starts_with(start) && p.ends_with(end));
        assert_eq!(paths.len(), 1, "{paths:?}");
        paths.remove(0)
    }

    pub fn bytes(&self, path: &str) -> Vec<u8> {
        self.files.lock()[path].lock().clone()
    }

    pub fn edit(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let content = self.files.lock()[path].clone();
        change(&mut content.lock());
    }

    pub fn delete(&self, path: &str) {
        self.files.lock().remove(path);
    }

    pub fn env(&self) -> Env {
        Env { disk: Arc::new(self.clone()), ..Env::real("/nonexistent") }
    }

    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    fn room(&self, more: u64) -> io::Result<()> {
        if self.used().saturating_add(more) > self.capacity.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

fn name(path: &Path) -> String {
    path.to_str().expect("paths are text").into()
}

impl Disk for MemDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let mut files = self.files.lock();
        let there = files.get(&name(path)).cloned();
        let content = match (there, mode) {
            (Some(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(content), _) => content,
            (None, OpenMode::Create | OpenMode::CreateNew) => {
                files.entry(name(path)).or_default().clone()
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        drop(files);
        Ok(Box::new(MemFile { content, disk: self.clone() }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock();
        let content = files.remove(&name(from)).ok_or(io::ErrorKind::NotFound)?;
        files.insert(name(to), content);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.files.lock().remove(&name(path));
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = self.files.lock();
        let below = files.keys().map(Path::new).filter(|p| p.parent() == Some(dir));
        Ok(below.map(|p| name(Path::new(p.file_name().expect("a file")))).collect())
    }
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.capacity.load(Ordering::SeqCst).saturating_sub(self.used()))
    }
    fn lock(&self, _: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

impl File for MemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().len() as u64)
    }
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let content = self.content.lock();
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes = from.checked_add(buf.len()).and_then(|to| content.get(from..to));
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let end = offset as usize + buf.len();
        let more = end.saturating_sub(self.content.lock().len());
        if more > 0 {
            self.disk.room(more as u64)?;
        }
        let mut content = self.content.lock();
        let len = content.len().max(end);
        content.resize(len, 0);
        content[offset as usize..end].copy_from_slice(buf);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.content.lock().resize(len as usize, 0);
        Ok(())
    }
    fn preallocate(&self, len: u64) -> io::Result<()> {
        let more = len.saturating_sub(self.len()?);
        self.disk.room(more)?;
        let mut content = self.content.lock();
        let len = content.len().max(len as usize);
        content.resize(len, 0);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything a page can hold.
pub const ALL: ReadLimit = ReadLimit { entries_max: usize::MAX, bytes_max: usize::MAX };

pub fn entry(n: u32, bytes: usize) -> NewEntry {
    let value: Vec<u8> = (0..bytes).map(|i| (n as usize * 31 + i * 7) as u8).collect();
    NewEntry { attributes: n, key: Bytes::from(format!("key {n}")), value: value.into() }
}

/// Every second batch is sealed: those of an odd time.
pub fn batch(at: u64, entries: Vec<NewEntry>) -> Batch {
    let seal = (at % 2 == 1).then(|| Arc::new(key(1 + at % 3)));
    Batch { at: Timestamp::from_millis(at), entries, seal }
}

fn key(n: u64) -> ChunkKey {
    ChunkKey::new(KeyNumber::from_u64(n), DataKey::from_bytes(&[n as u8; 32]))
}

/// All keys that [`batch`] uses.
struct AllKeys;

impl ChunkKeys for AllKeys {
    fn get(&self, reference: KeyNumber) -> Option<ChunkKey> {
        (1..=3).contains(&reference.as_u64()).then(|| key(reference.as_u64()))
    }
}

/// The store as those see it who have the keys.
pub fn keyed(store: &EmbeddedLog) -> Arc<dyn LogStore> {
    store.with_keys(Arc::new(AllKeys))
}

/// A page or an error, page after page, until the end or the first error.
pub async fn read_all(
    store: &EmbeddedLog,
    log: LogId,
    from: Position,
) -> (Vec<Entry>, Result<(), ReadError>) {
    let (mut entries, mut next, store) = (Vec::new(), from, keyed(store));
    loop {
        let limit = ReadLimit { entries_max: usize::MAX, bytes_max: 64 << 10 };
        match store.read(log, next, limit).await {
            Ok(page) if page.entries.is_empty() => return (entries, Ok(())),
            Ok(page) => {
                next = page.next;
                entries.extend(page.entries);
            }
            Err(e) => return (entries, Err(e)),
        }
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Bounds without background noise: nothing happens that the test does not ask for.
pub fn quiet() -> Options {
    Options {
        scrub_bytes_per_sec: 0,
        merge_interval: std::time::Duration::from_secs(3600),
        idle_marker_after: std::time::Duration::from_millis(1),
        ..Options::tiny()
    }
}

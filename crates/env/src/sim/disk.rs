//! A disk in memory that keeps its promises to the letter and no further.
//!
//! Bytes survive a power loss for certain only after `sync_data`, names only after `sync_dir`; what
//! was not synced is lost, kept or torn between sectors of [`SECTOR`] bytes, as the seed has it. A
//! killed process loses nothing that was written. On request the disk fails reads, writes and
//! syncs, fills up, rots, and takes the node down at a given call.
//!
//! Invariant: nothing of an incarnation that has stopped can touch the disk any more.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::file::Inode;
use super::names::{InodeRef, Names};
use super::node::{Incarnation, Stop};
use super::{Rng, Shared};
use crate::disk::{ALIGNMENT, Disk, File, OpenMode};

/// The unit in which writes are torn, in bytes: what disks of every age write at once.
pub const SECTOR: usize = 512;

/// What a disk is made with.
#[derive(Clone, Copy, Debug)]
pub struct DiskOptions {
    /// Bytes that all files together may hold.
    pub capacity: u64,
    pub planted_bug: Option<PlantedBug>,
}

impl Default for DiskOptions {
    fn default() -> Self {
        DiskOptions { capacity: 1 << 30, planted_bug: None }
    }
}

/// A lie that a simulation must find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// One in so many syncs of a file does nothing and says that it did.
    SkipSync { one_in: u64 },
}

/// Errors on request. Each is "one in so many calls", zero for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    pub read_error_one_in: u64,
    /// The write fails; a part of it may have happened.
    pub write_error_one_in: u64,
    /// The sync fails; some sectors are given up for good, and a later sync does not tell.
    pub sync_error_one_in: u64,
    /// Opening, creating, renaming, removing, listing, or syncing a directory fails.
    pub name_error_one_in: u64,
}

/// How a node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// Everything that was not synced is at the mercy of the seed.
    PowerLoss,
    /// The process ends; the system still has all that was written.
    Kill,
}

/// A bit that was flipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub path: String,
    pub offset: u64,
    pub bit: u8,
}

/// The disk of a node, seen from one of its incarnations.
#[derive(Clone)]
pub struct SimDisk {
    core: Arc<DiskCore>,
    by: Arc<Incarnation>,
}

pub(crate) struct DiskCore {
    shared: Arc<Shared>,
    node: &'static str,
    planted_bug: Option<PlantedBug>,
    state: Mutex<State>,
}

struct State {
    names: Names,
    rng: Rng,
    capacity: u64,
    faults: DiskFaults,
    ops: u64,
    crash_at: Option<(u64, CrashKind)>,
    /// Paths, with the incarnation that holds the lock.
    locks: BTreeMap<String, u64>,
}

impl DiskCore {
    pub(crate) fn new(shared: Arc<Shared>, node: &'static str, options: DiskOptions) -> Self {
        let state = State {
            names: Names::default(),
            rng: Rng::stream(shared.seed, &format!("{node} disk")),
            capacity: options.capacity,
            faults: DiskFaults::default(),
            ops: 0,
            crash_at: None,
            locks: BTreeMap::new(),
        };
        DiskCore { shared, node, planted_bug: options.planted_bug, state: Mutex::new(state) }
    }

    /// The node goes down: the disk settles on what survives.
    pub(crate) fn power(&self, kind: CrashKind) {
        let mut guard = self.state.lock();
        let s = &mut *guard;
        s.locks.clear();
        if kind == CrashKind::PowerLoss {
            s.names.lose_power(&mut s.rng);
        }
        for (_, inode) in s.names.files() {
            match kind {
                CrashKind::PowerLoss => inode.lock().lose_power(&mut s.rng),
                CrashKind::Kill if s.rng.one_in(2) => inode.lock().evict(),
                CrashKind::Kill => {}
            }
        }
    }

    /// Faults and planned crashes belong to one life of the node.
    pub(crate) fn restart(&self) {
        let mut s = self.state.lock();
        s.faults = DiskFaults::default();
        s.crash_at = None;
    }
}

/// The switches.
impl SimDisk {
    pub(crate) fn new(core: Arc<DiskCore>, by: Arc<Incarnation>) -> Self {
        SimDisk { core, by }
    }

    pub fn set_faults(&self, faults: DiskFaults) {
        self.core.state.lock().faults = faults;
    }

    /// May lie below what is stored: then nothing can grow.
    pub fn set_capacity(&self, bytes: u64) {
        self.core.state.lock().capacity = bytes;
    }

    /// Takes the node down in the middle of the `n`-th call from now (1: the next one).
    pub fn crash_at(&self, n: u64, kind: CrashKind) {
        let mut s = self.core.state.lock();
        s.crash_at = Some((s.ops + n, kind));
    }

    /// Calls served so far, over all incarnations.
    pub fn ops(&self) -> u64 {
        self.core.state.lock().ops
    }

    /// Bytes that all files hold.
    pub fn used(&self) -> u64 {
        self.core.state.lock().used()
    }

    /// Paths and lengths of all files, in order.
    pub fn files(&self) -> Vec<(String, u64)> {
        let s = self.core.state.lock();
        s.names.files().map(|(p, f)| (p.clone(), f.lock().len() as u64)).collect()
    }

    /// A file's bytes as programs see them, without the faults.
    pub fn peek(&self, path: &str) -> io::Result<Vec<u8>> {
        Ok(self.core.state.lock().names.file(path)?.lock().bytes().to_vec())
    }

    /// Flips `bit` of the byte at `offset`, in the cache and on stable storage.
    pub fn rot(&self, path: &str, offset: u64, bit: u8) -> io::Result<Damage> {
        self.core.state.lock().names.file(path)?.lock().rot(offset as usize, bit);
        self.note(format_args!("rot {path} byte {offset} bit {bit}"));
        Ok(Damage { path: path.to_string(), offset, bit })
    }

    fn note(&self, event: std::fmt::Arguments<'_>) {
        self.core.shared.trace.note(format_args!("{} disk {event}", self.core.node));
    }
}

enum Turn {
    Go,
    /// Do it, then go down.
    GoThenCrash(CrashKind),
}

impl SimDisk {
    /// Every call passes here: is the caller alive, does the node go down at this one?
    fn turn(&self, event: std::fmt::Arguments<'_>) -> io::Result<Turn> {
        if self.by.is_stopped() {
            return Err(gone());
        }
        self.note(event);
        let mut s = self.core.state.lock();
        s.ops += 1;
        match s.crash_at {
            Some((at, kind)) if s.ops >= at => {
                s.crash_at = None;
                if s.rng.one_in(2) {
                    return Ok(Turn::GoThenCrash(kind));
                }
                drop(s);
                self.crash(kind, event);
                Err(gone())
            }
            _ => Ok(Turn::Go),
        }
    }

    fn finish<T>(&self, turn: Turn, event: std::fmt::Arguments<'_>, done: T) -> io::Result<T> {
        match turn {
            Turn::Go => Ok(done),
            Turn::GoThenCrash(kind) => {
                self.crash(kind, event);
                Err(gone())
            }
        }
    }

    fn crash(&self, kind: CrashKind, event: std::fmt::Arguments<'_>) {
        self.by.stop(Stop::Crashed { kind, place: format!("disk {event}") });
    }

    /// A call that concerns names.
    fn names<T>(
        &self,
        event: std::fmt::Arguments<'_>,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let turn = self.turn(event)?;
        let done = {
            let mut s = self.core.state.lock();
            let one_in = s.faults.name_error_one_in;
            if s.rng.one_in(one_in) {
                drop(s);
                self.note(format_args!("fails: {event}"));
                return Err(injected("name"));
            }
            act(&mut s)?
        };
        self.finish(turn, event, done)
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names.files().map(|(_, f)| f.lock().len() as u64).sum()
    }

    fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let path = normal(path)?;
        let inode = self.names(format_args!("open {path} {mode:?}"), |s| match mode {
            OpenMode::Read | OpenMode::Write | OpenMode::WriteDirect => s.names.file(&path),
            OpenMode::Create if s.names.exists(&path) => s.names.file(&path),
            OpenMode::CreateNew if s.names.exists(&path) => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            OpenMode::Create | OpenMode::CreateNew => s.names.create(&path),
        })?;
        Ok(Box::new(SimFile { disk: self.clone(), path, inode, mode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (normal(from)?, normal(to)?);
        self.names(format_args!("rename {from} {to}"), |s| s.names.rename(&from, &to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = normal(path)?;
        self.names(format_args!("remove {path}"), |s| s.names.remove(&path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let path = normal(path)?;
        self.names(format_args!("remove_dir {path}"), |s| s.names.remove_dir(&path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let dir = normal(dir)?;
        self.names(format_args!("list {dir}"), |s| s.names.list(&dir))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let dir = normal(dir)?;
        self.names(format_args!("create_dir_all {dir}"), |s| s.names.create_dir_all(&dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = normal(dir)?;
        self.names(format_args!("sync_dir {dir}"), |s| s.names.sync_dir(&dir))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        if self.by.is_stopped() {
            return Err(gone());
        }
        Ok(self.core.state.lock().free())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let path = normal(path)?;
        self.names(format_args!("lock {path}"), |s| {
            if s.locks.contains_key(&path) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if !s.names.exists(&path) {
                s.names.create(&path)?;
            }
            s.locks.insert(path.clone(), self.by.number);
            Ok(())
        })?;
        Ok(Box::new(Lock { disk: self.clone(), path }))
    }
}

struct Lock {
    disk: SimDisk,
    path: String,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut s = self.disk.core.state.lock();
        if s.locks.get(&self.path) == Some(&self.disk.by.number) {
            s.locks.remove(&self.path);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    path: String,
    inode: InodeRef,
    mode: OpenMode,
}

impl SimFile {
    /// Runs one call: `act` gets the disk's state and the file.
    fn act<T>(
        &self,
        event: std::fmt::Arguments<'_>,
        act: impl FnOnce(&mut State, &InodeRef) -> io::Result<T>,
    ) -> io::Result<T> {
        let turn = self.disk.turn(event)?;
        let done = {
            let mut s = self.disk.core.state.lock();
            act(&mut s, &self.inode)
        };
        match done {
            Ok(done) => self.disk.finish(turn, event, done),
            Err(e) => {
                self.disk.note(format_args!("fails with {:?}: {event}", e.kind()));
                Err(e)
            }
        }
    }

    fn writable(&self) -> io::Result<()> {
        if self.mode == OpenMode::Read {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "opened for reading"));
        }
        Ok(())
    }

    fn aligned(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let fits = buf.len().is_multiple_of(ALIGNMENT) && offset.is_multiple_of(ALIGNMENT as u64);
        if self.mode == OpenMode::WriteDirect && !fits {
            let what = format!("direct write of {} bytes at {offset}", buf.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(())
    }

    fn resize(&self, len: u64, shrink: bool) -> io::Result<()> {
        self.writable()?;
        self.act(format_args!("resize {} to {len}", self.path), |s, inode| {
            let old = inode.lock().len() as u64;
            if len > old && len - old > s.free() {
                return Err(full());
            }
            if len > old || shrink {
                inode.lock().set_len(len as usize);
            }
            Ok(())
        })
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        if self.disk.by.is_stopped() {
            return Err(gone());
        }
        Ok(self.inode.lock().len() as u64)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let len = buf.len();
        self.act(format_args!("read {} {offset}+{len}", self.path), |s, inode| {
            if s.rng.one_in(s.faults.read_error_one_in) {
                return Err(injected("read"));
            }
            let f = inode.lock();
            let from = usize::try_from(offset).ok().and_then(|o| f.bytes().get(o..));
            let from = from.and_then(|b| b.get(..len)).ok_or(io::ErrorKind::UnexpectedEof)?;
            buf.copy_from_slice(from);
            Ok(())
        })
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.writable()?;
        self.aligned(buf, offset)?;
        let sum = super::trace::hash(0, buf) as u32;
        let event = format_args!("write {} {offset}+{} {sum:08x}", self.path, buf.len());
        self.act(event, |s, inode| {
            let offset = offset as usize;
            if s.rng.one_in(s.faults.write_error_one_in) {
                let part = s.rng.below(buf.len() as u64 + 1) as usize;
                inode.lock().write(&buf[..part], offset);
                return Err(injected("write"));
            }
            let growth = ((offset + buf.len()) as u64).saturating_sub(inode.lock().len() as u64);
            let free = s.free();
            if growth > free {
                write_what_fits(&mut inode.lock(), buf, offset, free as usize);
                return Err(full());
            }
            inode.lock().write(buf, offset);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.resize(len, true)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.resize(len, false)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(format_args!("sync {}", self.path), |s, inode| {
            if let Some(PlantedBug::SkipSync { one_in }) = self.disk.core.planted_bug
                && s.rng.one_in(one_in)
            {
                return Ok(());
            }
            if s.rng.one_in(s.faults.sync_error_one_in) {
                inode.lock().fail_sync(&mut s.rng);
                return Err(injected("sync"));
            }
            inode.lock().sync();
            Ok(())
        })
    }
}

/// A write that meets the end of the disk leaves the part that had room.
fn write_what_fits(file: &mut Inode, buf: &[u8], offset: usize, free: usize) {
    let end = file.len() + free;
    let part = end.saturating_sub(offset).min(buf.len());
    if part > 0 {
        file.write(&buf[..part], offset);
    }
}

fn gone() -> io::Error {
    io::Error::other("the node is down")
}

fn injected(what: &str) -> io::Error {
    io::Error::other(format!("simulated {what} error"))
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full")
}

/// `a/./b` and `a/b/` are `a/b`; the root is the empty path.
fn normal(path: &Path) -> io::Result<String> {
    use std::path::Component;
    let mut out = String::new();
    for part in path.components() {
        match part {
            Component::CurDir | Component::RootDir => {}
            Component::Normal(name) => {
                if !out.is_empty() {
                    out.push('/');
                }
                out.push_str(&name.to_string_lossy());
            }
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "path leaves the disk"));
            }
        }
    }
    Ok(out)
}

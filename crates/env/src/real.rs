//! The machine: system clock, system random numbers, tokio's threads, the file system.
#![allow(clippy::disallowed_methods)] // this file is the door that the ban points to

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use millstream_base::Timestamp;
use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::disk::{ALIGNMENT, AlignedBuf, Disk, File, OpenMode};
use crate::lanes::Lanes;
use crate::tasks::{Task, Tasks};
use crate::{BoxFuture, Chance, Clock};

pub(crate) struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(since.as_millis() as u64)
    }
}

pub(crate) struct RealChance;

impl Chance for RealChance {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's random number generator answers");
    }
}

/// Exit code of a node that stopped because it could not keep its promises (sysexits' EX_IOERR).
const EXIT_FATAL: i32 = 74;

pub(crate) struct RealTasks {
    runtime: Handle,
    /// Started when the first task asks for them.
    lanes: OnceLock<Lanes>,
}

impl RealTasks {
    pub(crate) fn current() -> Self {
        RealTasks { runtime: Handle::current(), lanes: OnceLock::new() }
    }

    fn started_lanes(&self) -> &Lanes {
        self.lanes.get_or_init(|| Lanes::beside(&self.runtime))
    }
}

fn spawn_on(runtime: &Handle, name: &'static str, future: BoxFuture<'static, ()>) -> Task {
    let (ended, rx) = oneshot::channel::<()>();
    let join = runtime.spawn(async move {
        let _ended = ended; // dropped at the end, also by panic or abort
        future.await;
    });
    let abort = join.abort_handle();
    Task::new(name, rx, Some(Box::new(move || abort.abort())))
}

impl Tasks for RealTasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) -> Task {
        spawn_on(&self.runtime, name, future)
    }

    fn lanes(&self) -> usize {
        self.started_lanes().count().max(1)
    }

    fn spawn_in_lane(
        &self,
        lane: usize,
        name: &'static str,
        future: BoxFuture<'static, ()>,
    ) -> Task {
        spawn_on(self.started_lanes().runtime(lane).unwrap_or(&self.runtime), name, future)
    }

    fn spawn_thread(&self, name: &'static str, future: BoxFuture<'static, ()>) -> Task {
        let (ended, rx) = oneshot::channel::<()>();
        let runtime = self.runtime.clone();
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let _ended = ended;
                runtime.block_on(future);
            })
            .expect("the system can start a thread");
        Task::new(name, rx, None)
    }

    fn blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let done = self.runtime.spawn_blocking(job);
        Box::pin(async move {
            let _ = done.await;
        })
    }

    fn hesitate(&self, _place: &'static str) -> Option<BoxFuture<'static, ()>> {
        None
    }

    fn fatal(&self, reason: &str) {
        tracing::error!(reason, "the node stops at once; what was acknowledged is safe on disk");
        std::process::exit(EXIT_FATAL);
    }
}

/// The file system below a root directory.
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        RealDisk { root: root.into() }
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn File>> {
        let path = self.at(path);
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Write | OpenMode::WriteDirect => options.write(true),
            OpenMode::Create => options.write(true).create(true),
            OpenMode::CreateNew => options.write(true).create_new(true),
        };
        let file = options.open(path)?;
        // Not every file system has direct I/O (tmpfs on older kernels): go on without it.
        let direct = mode == OpenMode::WriteDirect
            && rustix::fs::fcntl_getfl(&file)
                .and_then(|flags| rustix::fs::fcntl_setfl(&file, flags | OFlags::DIRECT))
                .is_ok();
        Ok(Box::new(RealFile { file, direct }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(self.at(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = fs::read_dir(self.at(dir))?
            .map(|e| Ok(e?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(self.at(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(self.at(dir))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let s = rustix::fs::statvfs(&self.root)?;
        Ok(s.f_bavail * s.f_frsize)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file =
            fs::OpenOptions::new().write(true).create(true).truncate(false).open(self.at(path))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }
}

struct RealFile {
    file: fs::File,
    direct: bool,
}

impl File for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        if self.direct && !(buf.as_ptr() as usize).is_multiple_of(ALIGNMENT) {
            let mut aligned = AlignedBuf::with_capacity(buf.len());
            aligned.extend_from_slice(buf);
            return self.file.write_all_at(&aligned, offset);
        }
        self.file.write_all_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // Without support (some network file systems) the length alone has to do.
            Err(e) if e == rustix::io::Errno::OPNOTSUPP => self.file.set_len(len),
            Err(e) => Err(e.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

//! The doors to the outside: clock, chance, tasks, disk. Real, and simulated for tests.
//!
//! Everything below the server takes an [`Env`] and asks it for the time, for random bits, to run
//! something at the side, and for files. With [`Env::real`] that is the machine; with the simulated
//! doors a seed replays a whole run, byte by byte.
//!
//! Invariant: no other crate of the node calls the system clock, `tokio::spawn`, a random number
//! generator or `std::fs` (clippy's `disallowed_methods` watches over it).

pub mod disk;
mod lanes;
mod real;
pub mod sim;
pub mod tasks;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::Timestamp;

pub use disk::{Disk, File, OpenMode};
pub use real::RealDisk;
pub use tasks::{Task, Tasks};

/// A future on the heap, as trait objects need it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the wall shows. Durations are measured with [`tokio::time::Instant`], which the simulated
/// world stops and moves as well.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock. May step backwards: nothing may derive an order from it.
    fn now(&self) -> Timestamp;
}

/// Random bits.
pub trait Chance: Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);
}

/// The four doors. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    pub tasks: Arc<dyn Tasks>,
    pub disk: Arc<dyn Disk>,
}

impl Env {
    /// The machine itself; must be called inside a tokio runtime, on which the tasks will run.
    ///
    /// Relative paths given to the disk are taken from `root`.
    pub fn real(root: impl Into<PathBuf>) -> Env {
        Env {
            clock: Arc::new(real::RealClock),
            chance: Arc::new(real::RealChance),
            tasks: Arc::new(real::RealTasks::current()),
            disk: Arc::new(RealDisk::new(root)),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn random_u64(&self) -> u64 {
        let mut b = [0; 8];
        self.chance.fill(&mut b);
        u64::from_le_bytes(b)
    }

    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut b = [0; N];
        self.chance.fill(&mut b);
        b
    }

    /// Waits for `d`: virtual time in the simulated world.
    pub async fn sleep(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }

    /// Runs `future` at the side under `name` (for logs and panics).
    pub fn spawn(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        self.tasks.spawn(name, Box::pin(future))
    }

    /// How many lanes there are for [`Env::spawn_in_lane`]; at least one.
    pub fn lanes(&self) -> usize {
        self.tasks.lanes()
    }

    /// As [`Env::spawn`], on the one thread of lane `lane`, which runs nothing but such tasks: for
    /// those that mostly wait for sockets, and whose share of work the caller spreads.
    pub fn spawn_in_lane(
        &self,
        lane: usize,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        self.tasks.spawn_in_lane(lane, name, Box::pin(future))
    }

    /// Runs `future` on a thread of its own, where it may block in disk calls.
    pub fn spawn_thread(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        self.tasks.spawn_thread(name, Box::pin(future))
    }

    /// Runs a job that blocks (disk reads, long computations) without holding up other tasks.
    pub async fn blocking<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tx, rx) = tokio::sync::oneshot::channel();
        self.tasks
            .blocking(Box::new(move || {
                let _ = tx.send(job());
            }))
            .await;
        rx.await.expect("a blocking job ends by sending its result or by a panic of its own")
    }

    /// A place where the simulated world may let time pass, run others or stop everything.
    /// Nothing happens here in the real world.
    pub async fn hesitate(&self, place: &'static str) {
        if let Some(pause) = self.tasks.hesitate(place) {
            pause.await;
        }
    }

    /// Ends the process: something happened after which no promise can be kept (a failed sync).
    /// In the simulated world the node is stopped instead, and this future never resolves.
    pub async fn fatal(&self, reason: &str) {
        self.tasks.fatal(reason);
        std::future::pending::<()>().await;
    }
}

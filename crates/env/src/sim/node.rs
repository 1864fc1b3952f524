//! A node: what runs together, crashes together and starts again on the same disk.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::disk::{CrashKind, DiskCore, DiskOptions, SimDisk};
use super::tasks::{Mood, SimTasks, spawn};
use super::{Rng, Shared, SimChance};
use crate::Env;

/// A node of the simulated world. Cheap to clone.
#[derive(Clone)]
pub struct SimNode(Arc<NodeInner>);

struct NodeInner {
    shared: Arc<Shared>,
    name: &'static str,
    disk: Arc<DiskCore>,
    current: Mutex<Arc<Incarnation>>,
}

/// The node stopped while (or before) the call ran: its effect is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Why a node stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    Crashed {
        kind: CrashKind,
        place: String,
    },
    /// The node ended itself through [`Env::fatal`].
    Fatal {
        reason: String,
    },
}

impl SimNode {
    pub(crate) fn new(shared: Arc<Shared>, name: &'static str, options: DiskOptions) -> Self {
        let disk = Arc::new(DiskCore::new(shared.clone(), name, options));
        let current = Mutex::new(Incarnation::new(&shared, name, 1, &disk));
        SimNode(Arc::new(NodeInner { shared, name, disk, current }))
    }

    /// The doors of the running incarnation; useless once it stopped.
    pub fn env(&self) -> Env {
        let now = self.now();
        Env {
            clock: self.0.shared.clock.clone(),
            chance: Arc::new(SimChance(Mutex::new(Rng::stream(
                self.0.shared.seed,
                &format!("{} chance {}", self.0.name, now.number),
            )))),
            tasks: Arc::new(SimTasks(now.clone())),
            disk: Arc::new(self.disk()),
        }
    }

    /// The disk as the running incarnation sees it, with the switches for its faults.
    pub fn disk(&self) -> SimDisk {
        SimDisk::new(self.0.disk.clone(), self.now())
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.now().mood.lock() = mood;
    }

    /// Runs `future` as a task of the node and waits for its result.
    pub async fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stopped> {
        let (tx, rx) = oneshot::channel();
        let now = self.now();
        if now.is_stopped() {
            return Err(Stopped);
        }
        let work = async move {
            let _ = tx.send(future.await);
        };
        spawn(&now, name, Box::pin(work));
        rx.await.map_err(|_| Stopped)
    }

    /// Stops the node now: nothing it has begun goes on.
    pub fn crash(&self, kind: CrashKind) {
        self.now().stop(Stop::Crashed { kind, place: "from outside".to_string() });
    }

    pub fn stop(&self) -> Option<Stop> {
        self.now().stop.lock().clone()
    }

    /// Waits until the node has stopped, and tells why.
    pub async fn stopped(&self) -> Stop {
        let now = self.now();
        loop {
            let news = now.changed.notified();
            if let Some(stop) = now.stop.lock().clone() {
                return stop;
            }
            news.await;
        }
    }

    /// Starts the next incarnation on what survived of the disk, after the last task of the old one
    /// is gone. A node that still runs is killed first. Faults and planned crashes of the disk end;
    /// its capacity stays.
    pub async fn restart(&self) -> Env {
        let old = self.now();
        old.stop(Stop::Crashed { kind: CrashKind::Kill, place: "restart".to_string() });
        loop {
            let news = old.changed.notified();
            if old.members.lock().live.is_empty() {
                break;
            }
            news.await;
        }
        self.0.disk.restart();
        let next = Incarnation::new(&self.0.shared, self.0.name, old.number + 1, &self.0.disk);
        self.0
            .shared
            .trace
            .note(format_args!("{} starts, incarnation {}", self.0.name, next.number));
        *self.0.current.lock() = next;
        self.env()
    }

    fn now(&self) -> Arc<Incarnation> {
        self.0.current.lock().clone()
    }
}

/// One life of a node, from a start to a stop.
pub(crate) struct Incarnation {
    shared: Arc<Shared>,
    name: &'static str,
    pub(crate) number: u64,
    disk: Arc<DiskCore>,
    stop: Mutex<Option<Stop>>,
    mood: Mutex<Mood>,
    rng: Mutex<Rng>,
    members: Mutex<Members>,
    changed: Notify,
}

#[derive(Default)]
struct Members {
    next: u64,
    live: BTreeMap<u64, Option<AbortHandle>>,
}

impl Incarnation {
    fn new(
        shared: &Arc<Shared>,
        name: &'static str,
        number: u64,
        disk: &Arc<DiskCore>,
    ) -> Arc<Self> {
        Arc::new(Incarnation {
            shared: shared.clone(),
            name,
            number,
            disk: disk.clone(),
            stop: Mutex::new(None),
            mood: Mutex::new(Mood::CALM),
            rng: Mutex::new(Rng::stream(shared.seed, &format!("{name} tasks {number}"))),
            members: Mutex::default(),
            changed: Notify::new(),
        })
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.lock().is_some()
    }

    pub(crate) fn mood(&self) -> Mood {
        *self.mood.lock()
    }

    pub(crate) fn draw<T>(&self, f: impl FnOnce(&mut Rng) -> T) -> T {
        f(&mut self.rng.lock())
    }

    /// Ends this life: the disk first, so that no one writes any more, then every task. Only the
    /// first reason counts.
    pub(crate) fn stop(&self, why: Stop) {
        {
            let mut stop = self.stop.lock();
            if stop.is_some() {
                return;
            }
            self.shared.trace.note(format_args!("{} stops: {why:?}", self.name));
            self.disk.power(match &why {
                Stop::Crashed { kind, .. } => *kind,
                Stop::Fatal { .. } => CrashKind::Kill,
            });
            *stop = Some(why);
        }
        let handles: Vec<AbortHandle> =
            self.members.lock().live.values().flatten().cloned().collect();
        for handle in handles {
            handle.abort();
        }
        self.changed.notify_waiters();
    }

    pub(crate) fn panicked(&self, task: &'static str, message: &str) {
        self.shared.trace.note(format_args!("{} task {task} panics: {message}", self.name));
        if !self.is_stopped() {
            self.shared.panics.lock().push(format!("task {task} of {}: {message}", self.name));
        }
    }

    pub(crate) fn admit(&self) -> u64 {
        let mut m = self.members.lock();
        m.next += 1;
        let id = m.next;
        m.live.insert(id, None);
        id
    }

    pub(crate) fn own(&self, id: u64, handle: AbortHandle) {
        if self.is_stopped() {
            handle.abort();
        }
        if let Some(slot) = self.members.lock().live.get_mut(&id) {
            *slot = Some(handle);
        }
    }

    pub(crate) fn dismiss(&self, id: u64) {
        self.members.lock().live.remove(&id);
        self.changed.notify_waiters();
    }
}

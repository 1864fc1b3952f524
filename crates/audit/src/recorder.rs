//! The writer's thread and its handle: many callers, one sync for all who wait.
//!
//! Events are written in the order in which they are given. While the disk refuses them they are
//! kept, within bounds, and written before anything newer once it takes them again; what was beyond
//! the bounds is counted and noted in the trail.
//!
//! A failed sync ends the process: what the disk then holds is unknown, and only opening the trail
//! anew can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millstream_env::{Env, Task};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::note::Note;
use crate::trail::{AppendError, Head, OpenError, Options, Repair, Trail};

/// Events of one write: bounds how long the first of them waits for the last.
const GROUP_EVENTS_MAX: usize = 1000;
/// How often a trail that can't be written is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often age is looked at when nothing happens.
const HOUSE_INTERVAL: Duration = Duration::from_secs(60);

/// Why an event is not on stable storage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is kept in memory and will be written when that is possible, unless the node ends before.
    #[error("the audit trail can't be written: {reason}")]
    Unwritable { reason: String },
    #[error("{bytes} bytes and {events} events wait to be audited already")]
    Busy { events: usize, bytes: usize },
    #[error("the audit trail is closed")]
    Closed,
}

/// What a recorder did, for who watches over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events on stable storage.
    pub events: u64,
    /// Writes that carried them.
    pub groups: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Events given up.
    pub lost: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Takes events for a trail. Cheap to clone.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    queue: mpsc::UnboundedSender<Given>,
    waiting: Arc<Waiting>,
    shared: Arc<Shared>,
    bounds: (usize, usize),
    task: Mutex<Option<Task>>,
}

/// What waits, in events and bytes.
#[derive(Default)]
struct Waiting {
    events: AtomicU64,
    bytes: AtomicU64,
}

struct Shared {
    unwritable: AtomicBool,
    figures: Mutex<(Figures, Head)>,
}

enum Given {
    Event(String, Option<oneshot::Sender<Result<(), RecordError>>>),
    Note(Note),
    Close,
}

impl Recorder {
    /// Opens the trail in the root of the environment's disk and starts its writer.
    ///
    /// # Errors
    /// As [`Trail::open`].
    pub async fn open(env: Env, options: Options) -> Result<(Recorder, Option<Repair>), OpenError> {
        let (disk, now, how) = (env.disk.clone(), env.now(), options.clone());
        let (trail, repair) = env.blocking(move || Trail::open(disk, how, now)).await?;
        let (queue, given) = mpsc::unbounded_channel(); // bounded by `waiting`
        let figures = Figures { bytes: trail.bytes(), ..Figures::default() };
        let shared = Arc::new(Shared {
            unwritable: AtomicBool::new(false),
            figures: Mutex::new((figures, trail.head())),
        });
        let waiting = Arc::<Waiting>::default();
        let bounds = (options.queue_events_max, options.queue_bytes_max);
        let writer = Writer {
            env: env.clone(),
            trail,
            shared: shared.clone(),
            waiting: waiting.clone(),
            owed: Owed { events: Vec::new(), bytes: 0, lost: 0, bounds },
        };
        let task = Mutex::new(Some(env.spawn_thread("audit-writer", writer.run(given))));
        Ok((Recorder(Arc::new(Inner { queue, waiting, shared, bounds, task })), repair))
    }

    /// Writes `event`, which is JSON on one line; returns when it is on stable storage.
    ///
    /// Dropping the future does not take the event back.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn record(&self, event: String) -> Result<(), RecordError> {
        let (reply, written) = oneshot::channel();
        self.give(event, Some(reply))?;
        written.await.unwrap_or(Err(RecordError::Closed))
    }

    /// Writes `event` soon.
    ///
    /// # Errors
    /// [`RecordError::Busy`] or [`RecordError::Closed`]: it will not be written.
    pub fn offer(&self, event: String) -> Result<(), RecordError> {
        self.give(event, None)
    }

    /// Notes something in the trail soon.
    pub fn note(&self, note: Note) {
        let _ = self.0.queue.send(Given::Note(note));
    }

    fn give(
        &self,
        event: String,
        reply: Option<oneshot::Sender<Result<(), RecordError>>>,
    ) -> Result<(), RecordError> {
        let (events_max, bytes_max) = self.0.bounds;
        let events = self.0.waiting.events.load(Ordering::Relaxed) as usize;
        let bytes = self.0.waiting.bytes.load(Ordering::Relaxed) as usize;
        if events >= events_max || bytes + event.len() > bytes_max {
            return Err(RecordError::Busy { events, bytes });
        }
        self.0.waiting.add(&event);
        self.0.queue.send(Given::Event(event, reply)).map_err(|_| RecordError::Closed)
    }

    /// Whether the last attempt to write succeeded.
    pub fn is_writable(&self) -> bool {
        !self.0.shared.unwritable.load(Ordering::Relaxed)
    }

    /// The newest entry on stable storage.
    pub fn head(&self) -> Head {
        self.0.shared.figures.lock().1
    }

    pub fn figures(&self) -> Figures {
        self.0.shared.figures.lock().0
    }

    /// Writes what waits and ends the writer.
    pub async fn close(&self) {
        let task = self.0.task.lock().take();
        if let Some(task) = task {
            let _ = self.0.queue.send(Given::Close);
            task.join().await;
        }
    }
}

impl Waiting {
    fn add(&self, event: &str) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(event.len() as u64, Ordering::Relaxed);
    }

    fn taken(&self, event: &str) {
        self.events.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(event.len() as u64, Ordering::Relaxed);
    }
}

/// Events that the disk refused.
struct Owed {
    events: Vec<String>,
    bytes: usize,
    lost: u64,
    bounds: (usize, usize),
}

impl Owed {
    fn keep(&mut self, event: String) {
        let (events_max, bytes_max) = self.bounds;
        if self.events.len() < events_max && self.bytes + event.len() <= bytes_max {
            self.bytes += event.len();
            self.events.push(event);
        } else {
            self.lost += 1;
        }
    }

    fn is_something(&self) -> bool {
        !self.events.is_empty() || self.lost > 0
    }
}

struct Writer {
    env: Env,
    trail: Trail,
    shared: Arc<Shared>,
    waiting: Arc<Waiting>,
    owed: Owed,
}

impl Writer {
    async fn run(mut self, mut given: mpsc::UnboundedReceiver<Given>) {
        let mut group = Vec::new();
        let mut open = true;
        while open {
            let failing = self.shared.unwritable.load(Ordering::Relaxed);
            let patience = if failing { RETRY_INTERVAL } else { HOUSE_INTERVAL };
            let more = given.recv_many(&mut group, GROUP_EVENTS_MAX);
            match tokio::time::timeout(patience, more).await {
                Ok(0) => open = false,
                Ok(_) => {}
                Err(_) => {
                    let kept = self.settle().and_then(|()| self.trail.keep_house(self.env.now()));
                    self.done(kept, 0).await;
                    continue;
                }
            }
            open &= !group.iter().any(|given| matches!(given, Given::Close));
            self.write(&mut group).await;
        }
    }

    /// Writes what is owed, then what was given.
    async fn write(&mut self, group: &mut Vec<Given>) {
        self.env.hesitate("audit group").await;
        let (mut events, mut replies, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for given in group.drain(..) {
            match given {
                Given::Event(event, reply) => {
                    self.waiting.taken(&event);
                    events.push(event);
                    replies.extend(reply);
                }
                Given::Note(note) => notes.push(note),
                Given::Close => {}
            }
        }
        let now = self.env.now();
        let mut result = self.settle();
        if result.is_ok() && !events.is_empty() {
            result = self.trail.append(&events, now);
        }
        for note in notes {
            result = result.and_then(|()| self.trail.note(&note, now));
        }
        let reason = result.as_ref().err().map(ToString::to_string);
        let count = events.len() as u64;
        if reason.is_some() {
            events.into_iter().for_each(|event| self.owed.keep(event));
        }
        self.done(result, count).await;
        for reply in replies {
            let _ = reply.send(match &reason {
                None => Ok(()),
                Some(reason) => Err(RecordError::Unwritable { reason: reason.clone() }),
            });
        }
    }

    /// Writes what the disk refused before.
    fn settle(&mut self) -> Result<(), AppendError> {
        if !self.owed.is_something() {
            return Ok(());
        }
        let now = self.env.now();
        if !self.owed.events.is_empty() {
            self.trail.append(&self.owed.events, now)?;
            self.shared.figures.lock().0.events += self.owed.events.len() as u64;
            self.owed.events.clear();
            self.owed.bytes = 0;
        }
        if self.owed.lost > 0 {
            self.trail.note(&Note::Lost { events: self.owed.lost }, now)?;
            self.shared.figures.lock().0.lost += self.owed.lost;
            self.owed.lost = 0;
        }
        Ok(())
    }

    async fn done(&self, result: Result<(), AppendError>, events: u64) {
        if let Err(AppendError::Sync(error)) = &result {
            self.env.fatal(&format!("the audit trail can't be synced: {error}")).await;
        }
        let failed = result.is_err();
        let before = self.shared.unwritable.swap(failed, Ordering::Relaxed);
        match &result {
            Err(error) if !before => tracing::error!(%error, "calls can't be audited"),
            Ok(()) if before => tracing::warn!("the audit trail can be written again"),
            _ => {}
        }
        let mut figures = self.shared.figures.lock();
        match failed {
            true => figures.0.failures += 1,
            false if events > 0 => {
                figures.0.events += events;
                figures.0.groups += 1;
            }
            false => {}
        }
        figures.0.bytes = self.trail.bytes();
        figures.1 = self.trail.head();
    }
}

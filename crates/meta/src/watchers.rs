//! Those who want to hear of changes, each behind a bounded channel.
//!
//! Who is too slow misses changes and gets one [`Change::Gap`] as soon as there is room; nobody
//! holds up a writer.

use std::sync::Arc;

use millstream_env::Env;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::store::{Change, Key, Watch};

/// Changes that wait for one watcher before it gets a gap.
pub(crate) const WATCH_QUEUE_MAX: usize = 1024;

#[derive(Clone)]
pub(crate) struct Watchers {
    env: Env,
    list: Arc<Mutex<List>>,
}

#[derive(Default)]
struct List {
    next_id: u64,
    watchers: Vec<Watcher>,
}

struct Watcher {
    id: u64,
    prefix: String,
    queue: mpsc::Sender<Change>,
    /// Changes are missing, and a task waits for room to say so.
    gap: bool,
}

impl Watchers {
    pub(crate) fn new(env: Env) -> Self {
        Watchers { env, list: Arc::default() }
    }

    pub(crate) fn add(&self, prefix: &str) -> Watch {
        let (queue, watch) = mpsc::channel(WATCH_QUEUE_MAX);
        let mut list = self.list.lock();
        let id = list.next_id;
        list.next_id += 1;
        list.watchers.push(Watcher { id, prefix: prefix.to_owned(), queue, gap: false });
        watch
    }

    /// Tells everyone. Called in the order of the revisions.
    pub(crate) fn publish(&self, change: &Change) {
        let mut list = self.list.lock();
        list.watchers.retain(|w| !w.queue.is_closed());
        let hears = |w: &&mut Watcher| !w.gap && concerns(change, &w.prefix);
        for watcher in list.watchers.iter_mut().filter(hears) {
            if watcher.queue.try_send(change.clone()).is_err() {
                watcher.gap = true;
                self.tell_of_gap(watcher.id, watcher.queue.clone());
            }
        }
    }

    /// What is published until the gap is told needs no telling: the watcher scans after it.
    fn tell_of_gap(&self, id: u64, queue: mpsc::Sender<Change>) {
        let all = self.list.clone();
        self.env.spawn("meta-watch-gap", async move {
            let Ok(room) = queue.reserve_owned().await else { return };
            let mut all = all.lock();
            if let Some(watcher) = all.watchers.iter_mut().find(|w| w.id == id) {
                watcher.gap = false;
                room.send(Change::Gap);
            }
        });
    }
}

fn concerns(change: &Change, prefix: &str) -> bool {
    let starts = |key: &Key| key.as_str().starts_with(prefix);
    match change {
        Change::Put(row) => starts(&row.key),
        Change::Deleted { key, .. } => starts(key),
        Change::Gap => true,
    }
}

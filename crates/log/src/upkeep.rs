//! What runs beside the writer: checkpoints, markers, files ahead of need, merging, the scrub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millstream_env::Task;
use tokio::sync::{Mutex, Notify, mpsc};

use crate::checkpoint;
use crate::merge::Merger;
use crate::scrub;
use crate::shared::Shared;
use crate::writer::Request;

/// Pauses after failed checkpoints and merges: from the first to the second, doubling.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Between two rounds of the scrub.
const SCRUB_PAUSE: Duration = Duration::from_secs(60);

/// Tells the background tasks that the store ends. (A `watch` would wake them in an order that no
/// seed decides.)
#[derive(Default)]
pub(crate) struct Stop {
    set: AtomicBool,
    news: Notify,
}

impl Stop {
    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
        self.news.notify_waiters();
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    async fn wait(&self) {
        loop {
            let news = self.news.notified();
            if self.is_set() {
                return;
            }
            news.await;
        }
    }
}

pub(crate) fn spawn(
    shared: &Arc<Shared>,
    merger: &Arc<Mutex<Merger>>,
    requests: mpsc::WeakUnboundedSender<Request>,
    stop: &Arc<Stop>,
) -> Vec<Task> {
    let env = &shared.env;
    let mut tasks = vec![
        env.spawn("log-checkpoint", checkpoints(shared.clone(), stop.clone())),
        env.spawn("log-marker", markers(shared.clone(), requests, stop.clone())),
        env.spawn("log-files", files(shared.clone(), stop.clone())),
        env.spawn("log-merge", merges(shared.clone(), merger.clone(), stop.clone())),
    ];
    if shared.options.scrub_bytes_per_sec > 0 {
        tasks.push(env.spawn("log-scrub", scrubs(shared.clone(), stop.clone())));
    }
    tasks
}

async fn checkpoints(shared: Arc<Shared>, stop: Arc<Stop>) {
    let mut pause = BACK_OFF.0;
    while wait(&shared.checkpoint_due, &stop).await {
        match checkpoint::run(&shared).await {
            Ok(()) => {
                pause = BACK_OFF.0;
                if shared.health.checkpoint_error().is_some() {
                    shared.health.set_checkpoint_error(None);
                }
            }
            Err(e) => {
                shared.health.set_checkpoint_error(Some(e.to_string()));
                shared.room.notify_waiters();
                shared.checkpoint_due.notify_one();
                if !sleep(&shared, pause, &stop).await {
                    return;
                }
                pause = (2 * pause).min(BACK_OFF.1);
            }
        }
    }
}

/// Asks for a marker when nothing was written for a while.
async fn markers(
    shared: Arc<Shared>,
    requests: mpsc::WeakUnboundedSender<Request>,
    stop: Arc<Stop>,
) {
    while wait(&shared.unproven, &stop).await {
        loop {
            let before = shared.counters.frames.load(Ordering::Relaxed);
            if !sleep(&shared, shared.options.idle_marker_after, &stop).await {
                return;
            }
            if shared.counters.frames.load(Ordering::Relaxed) == before {
                break;
            }
        }
        let Some(requests) = requests.upgrade() else { return };
        let _ = requests.send(Request::Marker);
    }
}

/// Makes the next write-ahead file while the present one is filled.
async fn files(shared: Arc<Shared>, stop: Arc<Stop>) {
    while wait(&shared.prepare, &stop).await {
        let job = shared.clone();
        shared.env.blocking(move || job.wal.lock().prepare()).await;
    }
}

async fn merges(shared: Arc<Shared>, merger: Arc<Mutex<Merger>>, stop: Arc<Stop>) {
    let mut pause = BACK_OFF.0;
    while sleep(&shared, shared.options.merge_interval, &stop).await {
        loop {
            if stop.is_set() {
                return;
            }
            let step = merger.lock().await.step(&shared).await;
            match step {
                Ok(true) => pause = BACK_OFF.0,
                Ok(false) => {
                    shared.health.set_merge_error(None);
                    break;
                }
                Err(e) => {
                    shared.health.set_merge_error(Some(e.to_string()));
                    if !sleep(&shared, pause, &stop).await {
                        return;
                    }
                    pause = (2 * pause).min(BACK_OFF.1);
                    break;
                }
            }
        }
    }
}

async fn scrubs(shared: Arc<Shared>, stop: Arc<Stop>) {
    while sleep(&shared, SCRUB_PAUSE, &stop).await {
        let speed = shared.options.scrub_bytes_per_sec;
        tokio::select! {
            biased;
            () = scrub::round(&shared, speed) => {}
            () = stop.wait() => return,
        }
    }
}

/// `false`: the store ends.
async fn wait(what: &Notify, stop: &Stop) -> bool {
    tokio::select! {
        biased;
        () = stop.wait() => false,
        () = what.notified() => true,
    }
}

async fn sleep(shared: &Shared, time: Duration, stop: &Stop) -> bool {
    tokio::select! {
        biased;
        () = stop.wait() => false,
        () = shared.env.sleep(time) => true,
    }
}

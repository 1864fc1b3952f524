//! A node's tasks: all on the run's one thread, mixed by the seed, all gone when the node stops.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::disk::CrashKind;
use super::node::{Incarnation, Stop};
use crate::BoxFuture;
use crate::tasks::{Task, Tasks};

/// How a node's tasks are delayed. Zero means never.
#[derive(Clone, Copy, Debug)]
pub struct Mood {
    /// One in so many polls of a task is put off behind the other tasks that are ready.
    pub defer_one_in: u64,
    /// One in so many hesitations and blocking jobs waits in virtual time (a slow disk).
    pub pause_one_in: u64,
    /// Longest such wait.
    pub pause_max: Duration,
    /// One in so many hesitations stops the node there and then: as a power loss or as a killed
    /// process, by equal chance.
    pub crash_one_in: u64,
}

impl Mood {
    /// Tasks are mixed, the disk is fast, nothing crashes.
    pub const CALM: Mood = Mood {
        defer_one_in: 4,
        pause_one_in: 8,
        pause_max: Duration::from_millis(2),
        crash_one_in: 0,
    };
    /// As [`Mood::CALM`], with every second disk step taking up to 300 ms.
    pub const SLOW: Mood = Mood {
        defer_one_in: 4,
        pause_one_in: 2,
        pause_max: Duration::from_millis(300),
        crash_one_in: 0,
    };
}

/// The tasks door of one incarnation of a node.
pub(crate) struct SimTasks(pub(crate) Arc<Incarnation>);

impl Tasks for SimTasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) -> Task {
        spawn(&self.0, name, future)
    }

    fn spawn_thread(&self, name: &'static str, future: BoxFuture<'static, ()>) -> Task {
        spawn(&self.0, name, future)
    }

    /// As on the real door, the job runs to its end even when the caller no longer waits. When the
    /// node stops first, the returned future never resolves.
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let pause = self.0.draw_pause();
        let (done, wait) = oneshot::channel::<()>();
        let work = async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            job();
            let _ = done.send(());
        };
        spawn(&self.0, "blocking", Box::pin(work));
        let node = self.0.clone();
        Box::pin(async move {
            if wait.await.is_err() && node.is_stopped() {
                std::future::pending::<()>().await;
            }
        })
    }

    fn hesitate(&self, place: &'static str) -> Option<BoxFuture<'static, ()>> {
        let node = &self.0;
        if node.is_stopped() {
            return Some(Box::pin(std::future::pending()));
        }
        if let Some(kind) = node.draw_crash() {
            node.stop(Stop::Crashed { kind, place: place.to_string() });
            return Some(Box::pin(std::future::pending()));
        }
        if let Some(pause) = node.draw_pause() {
            return Some(Box::pin(tokio::time::sleep(pause)));
        }
        node.draw(|r| r.one_in(4)).then(|| Box::pin(tokio::task::yield_now()) as BoxFuture<'_, ()>)
    }

    fn fatal(&self, reason: &str) {
        self.0.stop(Stop::Fatal { reason: reason.to_string() });
    }
}

impl Incarnation {
    fn draw_pause(&self) -> Option<Duration> {
        let mood = self.mood();
        self.draw(|r| {
            r.one_in(mood.pause_one_in)
                .then(|| Duration::from_micros(r.below(mood.pause_max.as_micros() as u64 + 1)))
        })
    }

    fn draw_crash(&self) -> Option<CrashKind> {
        let mood = self.mood();
        self.draw(|r| {
            r.one_in(mood.crash_one_in)
                .then(|| if r.one_in(2) { CrashKind::PowerLoss } else { CrashKind::Kill })
        })
    }
}

pub(crate) fn spawn(
    node: &Arc<Incarnation>,
    name: &'static str,
    future: BoxFuture<'static, ()>,
) -> Task {
    let (ended, rx) = oneshot::channel::<()>();
    let id = node.admit();
    let future = NodeTask {
        future: Some(future),
        name,
        _ended: ended,
        _member: Member { node: node.clone(), id },
    };
    #[allow(clippy::disallowed_methods)] // this is the door that the ban points to
    let join = tokio::spawn(future);
    let abort = join.abort_handle();
    node.own(id, abort.clone());
    Task::new(name, rx, Some(abort))
}

/// A task that belongs to a node: deferred by chance, ended with the node, its panics recorded.
///
/// Fields drop in this order: the future first, then the news of its end.
struct NodeTask {
    future: Option<BoxFuture<'static, ()>>,
    name: &'static str,
    _ended: oneshot::Sender<()>,
    _member: Member,
}

impl Future for NodeTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let node = self._member.node.clone();
        if node.is_stopped() {
            return Poll::Ready(());
        }
        let defer_one_in = node.mood().defer_one_in;
        if node.draw(|r| r.one_in(defer_one_in)) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(future) = self.future.as_mut() else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(()),
            Err(payload) => {
                node.panicked(self.name, message(&*payload));
                self.future = None;
                Poll::Ready(())
            }
        }
    }
}

fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(s), _) => s,
        (_, Some(s)) => s,
        _ => "a panic without a message",
    }
}

/// Counts a task in and out of its node.
struct Member {
    node: Arc<Incarnation>,
    id: u64,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.node.dismiss(self.id);
    }
}

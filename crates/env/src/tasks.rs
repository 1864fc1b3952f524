//! Work at the side: named, owned, cancellable.

use crate::BoxFuture;

/// How work runs. Both implementations run on tokio; only the threads differ.
pub trait Tasks: Send + Sync + 'static {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) -> Task;
    /// See [`crate::Env::lanes`].
    fn lanes(&self) -> usize {
        1
    }
    /// See [`crate::Env::spawn_in_lane`].
    fn spawn_in_lane(
        &self,
        _lane: usize,
        name: &'static str,
        future: BoxFuture<'static, ()>,
    ) -> Task {
        self.spawn(name, future)
    }
    fn spawn_thread(&self, name: &'static str, future: BoxFuture<'static, ()>) -> Task;
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
    /// See [`crate::Env::hesitate`]; `None` where nothing happens.
    fn hesitate(&self, place: &'static str) -> Option<BoxFuture<'static, ()>>;
    /// See [`crate::Env::fatal`].
    fn fatal(&self, reason: &str);
}

/// A running task. Dropping the handle leaves it running.
pub struct Task {
    pub name: &'static str,
    ended: tokio::sync::oneshot::Receiver<()>,
    abort: Option<Abort>,
}

pub(crate) type Abort = Box<dyn Fn() + Send + Sync>;

impl Task {
    pub(crate) fn new(
        name: &'static str,
        ended: tokio::sync::oneshot::Receiver<()>,
        abort: Option<Abort>,
    ) -> Self {
        Task { name, ended, abort }
    }

    /// Waits until the task is over, whether it returned, panicked or was aborted.
    pub async fn join(self) {
        let _ = self.ended.await;
    }

    /// Stops the task at its next await. A task on a thread of its own can't be stopped this way:
    /// close what feeds it.
    pub fn abort(&self) {
        if let Some(abort) = &self.abort {
            abort();
        }
    }
}

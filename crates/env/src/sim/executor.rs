//! Runs the tasks of one incarnation of a node, one poll at a time.
//!
//! Which of the ready tasks goes next is drawn from the seed, from the ready tasks in the order of
//! their numbers: neither the order in which they were woken (tokio's channels wake in an order of
//! their own chance) nor anything else outside the seed has a say.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::node::Incarnation;
use crate::BoxFuture;

#[derive(Default)]
pub(crate) struct Executor {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    tasks: BTreeMap<u64, Slot>,
    ready: BTreeSet<u64>,
    driver: Option<Waker>,
}

struct Slot {
    name: &'static str,
    waker: Waker,
    /// Absent while it is polled.
    future: Option<BoxFuture<'static, ()>>,
    /// Dropped after the future: the news of its end.
    _ended: oneshot::Sender<()>,
    aborted: bool,
}

impl Executor {
    /// Takes a task in; `ended` is dropped when it is over.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        future: BoxFuture<'static, ()>,
        ended: oneshot::Sender<()>,
    ) -> u64 {
        let mut s = self.state.lock();
        s.next += 1;
        let id = s.next;
        let waker = Waker::from(Arc::new(TaskWaker { id, executor: Arc::downgrade(self) }));
        let future = Some(future);
        s.tasks.insert(id, Slot { name, waker, future, _ended: ended, aborted: false });
        s.make_ready(id);
        id
    }

    pub(crate) fn abort(&self, id: u64) {
        let mut s = self.state.lock();
        if let Some(slot) = s.tasks.get_mut(&id) {
            slot.aborted = true;
            s.make_ready(id);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().tasks.is_empty()
    }

    /// The node has stopped: the driver shall see it.
    pub(crate) fn wake(&self) {
        let driver = self.state.lock().driver.clone();
        driver.inspect(Waker::wake_by_ref);
    }

    fn drop_all(&self) {
        loop {
            let first = self.state.lock().tasks.pop_first();
            match first {
                Some((_, slot)) => drop(slot), // outside the lock: it may wake and spawn
                None => return,
            }
        }
    }
}

impl State {
    fn make_ready(&mut self, id: u64) {
        self.ready.insert(id);
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }
}

struct TaskWaker {
    id: u64,
    executor: Weak<Executor>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if let Some(executor) = self.executor.upgrade() {
            executor.state.lock().make_ready(self.id);
        }
    }
}

/// The one tokio task of an incarnation; ends when the node stops.
pub(crate) struct Driver {
    pub(crate) executor: Arc<Executor>,
    pub(crate) node: Arc<Incarnation>,
}

impl Future for Driver {
    type Output = ();

    /// One poll of one task, so that the world outside the node gets its turn as well.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.node.is_stopped() {
            self.executor.drop_all();
            self.node.all_gone();
            return Poll::Ready(());
        }
        let mut guard = self.executor.state.lock();
        let s = &mut *guard;
        s.driver = Some(cx.waker().clone());
        if s.ready.is_empty() {
            return Poll::Pending;
        }
        let n = self.node.draw(|r| r.below(s.ready.len() as u64)) as usize;
        let id = *s.ready.iter().nth(n).expect("n lies below the number of ready tasks");
        s.ready.remove(&id);
        if !s.ready.is_empty() {
            cx.waker().wake_by_ref();
        }
        let Some(slot) = s.tasks.get_mut(&id) else { return Poll::Pending };
        let (name, waker, aborted) = (slot.name, slot.waker.clone(), slot.aborted);
        let Some(future) = slot.future.take() else { return Poll::Pending };
        drop(guard);
        let left = if aborted { None } else { self.poll_task(name, future, &waker) };
        self.put_back(id, left);
        Poll::Pending
    }
}

impl Driver {
    /// The future, if it is not over.
    fn poll_task(
        &self,
        name: &'static str,
        mut future: BoxFuture<'static, ()>,
        waker: &Waker,
    ) -> Option<BoxFuture<'static, ()>> {
        let mut cx = Context::from_waker(waker);
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
            Ok(Poll::Pending) => Some(future),
            Ok(Poll::Ready(())) => None,
            Err(payload) => {
                self.node.panicked(name, message(&*payload));
                None
            }
        }
    }

    fn put_back(&self, id: u64, future: Option<BoxFuture<'static, ()>>) {
        let mut s = self.executor.state.lock();
        match future {
            Some(future) => {
                if let Some(slot) = s.tasks.get_mut(&id) {
                    slot.future = Some(future);
                }
            }
            None => {
                let over = s.tasks.remove(&id);
                drop(s);
                drop(over);
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

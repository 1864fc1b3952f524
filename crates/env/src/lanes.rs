//! Threads that each run the tasks given to them, and nobody else's.
//!
//! On the shared runtime every event from outside (bytes on a socket, an answer of the log's writer)
//! wakes a second thread that looks for work to share; for a lone request that search takes longer
//! than the request. Tasks that mostly wait for sockets are better off where one thread waits for
//! them all.
#![allow(clippy::disallowed_methods)] // part of the door that the ban points to

use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::oneshot;

/// The lanes of a process: as many as the shared runtime has threads.
pub(crate) struct Lanes {
    lanes: Box<[Lane]>,
}

struct Lane {
    runtime: Handle,
    /// Dropped with the lane, which ends its thread and all tasks on it.
    _stop: oneshot::Sender<()>,
}

impl Lanes {
    /// None beside a runtime of one thread: there is nobody to be woken in vain.
    pub(crate) fn beside(runtime: &Handle) -> Lanes {
        let count = match runtime.runtime_flavor() {
            RuntimeFlavor::CurrentThread => 0,
            _ => runtime.metrics().num_workers(),
        };
        Lanes { lanes: (0..count).map(|_| Lane::start()).collect() }
    }

    pub(crate) fn count(&self) -> usize {
        self.lanes.len()
    }

    /// The runtime of lane `number`, counted around.
    pub(crate) fn runtime(&self, number: usize) -> Option<&Handle> {
        self.lanes.get(number % self.lanes.len().max(1)).map(|lane| &lane.runtime)
    }
}

impl Lane {
    fn start() -> Lane {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system can give a thread its own event queue");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("lane".into())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
            })
            .expect("the system can start a thread");
        Lane { runtime: handle, _stop: stop }
    }
}

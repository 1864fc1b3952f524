//! What a queue did since the process started and what it holds, with the names of its CloudWatch
//! metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use millstream_base::{QueueArn, StreamName};

use crate::queue_model::QueueCounts;

#[derive(Debug, Default)]
pub(crate) struct QueueStats {
    pub(crate) received: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
    pub(crate) empty_receives: AtomicU64,
    pub(crate) visible: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) visible_dead_letters: AtomicU64,
}

impl QueueStats {
    pub(crate) fn counts(&self, queue: QueueArn, name: StreamName) -> QueueCounts {
        let n = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        QueueCounts {
            queue,
            name,
            received: n(&self.received),
            acknowledged: n(&self.acknowledged),
            empty_receives: n(&self.empty_receives),
            visible: n(&self.visible),
            in_flight: n(&self.in_flight),
            visible_dead_letters: n(&self.visible_dead_letters),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

pub(crate) fn set(gauge: &AtomicU64, n: u64) {
    gauge.store(n, Ordering::Relaxed);
}

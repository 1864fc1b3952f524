//! A whole answer that is handed over part by part, and how far an answer got.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::oneshot;

/// Bytes of an answer that are handed over at once.
pub(crate) const PART_BYTES: usize = 256 << 10;

/// How far an answer got, for whoever watches over it.
#[derive(Default)]
pub(crate) struct Progress {
    parts: AtomicU64,
    /// The client has asked, and we have nothing yet.
    waits: AtomicBool,
}

impl Progress {
    /// The client has asked for the next part; whether it was there.
    pub(crate) fn asked(&self, ready: bool) {
        self.waits.store(!ready, Ordering::Relaxed);
        if ready {
            self.parts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of the part after which the client did not ask any more.
    pub(crate) fn untouched_since(&self) -> Option<u64> {
        (!self.waits.load(Ordering::Relaxed)).then(|| self.parts.load(Ordering::Relaxed))
    }
}

/// A whole answer, handed over part by part.
pub struct Parts {
    left: Bytes,
    progress: Arc<Progress>,
    /// Dropped with the answer.
    _over: oneshot::Sender<()>,
}

impl Parts {
    pub(crate) fn new(left: Bytes, progress: Arc<Progress>, over: oneshot::Sender<()>) -> Self {
        Parts { left, progress, _over: over }
    }

    pub(super) fn len(&self) -> usize {
        self.left.len()
    }

    pub(super) fn next(&mut self) -> Option<Bytes> {
        self.progress.asked(true);
        let part = self.left.split_to(self.left.len().min(PART_BYTES));
        (!part.is_empty()).then_some(part)
    }
}

//! How often a client gives up what it asked for on one HTTP/2 connection.
//!
//! Asking and resetting at once costs the client a few bytes and us a request each ("rapid reset",
//! CVE-2023-44487). A client that does so more often than it may in a minute loses its connection.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::patience::Patience;

const WINDOW: Duration = Duration::from_secs(60);

/// The resets of one connection.
pub(super) struct Resets {
    max: u32,
    window: Mutex<(Instant, u32)>,
    patience: Arc<Patience>,
}

/// A request that is being answered.
pub(super) struct Unanswered(Option<Arc<Resets>>);

impl Resets {
    pub(super) fn new(max: u32, patience: Arc<Patience>) -> Arc<Self> {
        Arc::new(Resets { max, window: Mutex::new((Instant::now(), 0)), patience })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Unanswered {
        Unanswered(Some(self.clone()))
    }

    /// A body that broke off: the client reset its request.
    pub(super) fn saw(&self, error: hyper::Error) -> hyper::Error {
        self.count();
        error
    }

    fn count(&self) {
        let mut window = self.window.lock();
        if window.0.elapsed() >= WINDOW {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        if window.1 > self.max {
            tracing::debug!(max = self.max, "a client resets too many requests");
            self.patience.cut();
        }
    }
}

impl Unanswered {
    pub(super) fn answered(mut self) {
        self.0 = None;
    }
}

/// Dropped without an answer: the client reset it, or went away.
impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(resets) = &self.0 {
            resets.count();
        }
    }
}

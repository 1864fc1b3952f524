//! What is known of keys that are elsewhere, for those who must not wait.

use std::collections::HashMap;
use std::time::Duration;

use millstream_base::Timestamp;
use millstream_secrets::{KeyError, KeyRef};
use parking_lot::Mutex;

/// Keys whose state is remembered. Each key of an encrypted stream is one; beyond, the oldest are
/// forgotten and asked for again.
const KEYS_MAX: usize = 10_000;

/// What a key's ring said of it, and when.
type Heard = (Result<(), KeyError>, Timestamp);

/// The last that was heard of each key.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<KeyRef, Heard>>);

impl Known {
    /// What was heard of `key`. What is not known counts as usable: who uses it will hear.
    pub(crate) fn state(&self, key: &KeyRef) -> Result<(), KeyError> {
        self.0.lock().get(key).map_or(Ok(()), |(state, _)| state.clone())
    }

    /// Remembers what a call told of `key`. That the ring does not answer tells nothing of it.
    pub(crate) fn heard(&self, key: &KeyRef, state: Result<(), KeyError>, now: Timestamp) {
        use KeyError::{InvalidCiphertext, Throttled, Unavailable};
        if matches!(state, Err(Unavailable { .. } | Throttled { .. } | InvalidCiphertext { .. })) {
            return;
        }
        let mut known = self.0.lock();
        if known.len() >= KEYS_MAX && !known.contains_key(key) {
            let oldest = known.iter().min_by_key(|(_, (_, heard))| *heard);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                known.remove(&oldest);
            }
        }
        known.insert(key.clone(), (state, now));
    }

    /// Keys of which nothing was heard for `time`.
    pub(crate) fn stale(&self, now: Timestamp, time: Duration) -> Vec<KeyRef> {
        let known = self.0.lock();
        let stale = known.iter().filter(|(_, (_, heard))| now.since(*heard) >= time);
        stale.map(|(key, _)| key.clone()).collect()
    }
}

//! Who in this process changes the shards of which stream.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_base::StreamArn;
use parking_lot::Mutex;

/// The streams whose shards this process is changing: one task a stream is enough.
#[derive(Clone, Default)]
pub(crate) struct Resharding(Arc<Mutex<BTreeSet<StreamArn>>>);

/// While it lives, nobody else in this process carries out the stream's reshard.
pub(crate) struct Alone {
    among: Resharding,
    stream: StreamArn,
}

impl Resharding {
    /// `None`: somebody is at it already.
    pub(crate) fn enter(&self, stream: &StreamArn) -> Option<Alone> {
        let is_new = self.0.lock().insert(stream.clone());
        is_new.then(|| Alone { among: self.clone(), stream: stream.clone() })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.among.0.lock().remove(&self.stream);
    }
}

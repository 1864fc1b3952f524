//! What can happen to a record of a queue.

use millstream_base::{ShardId, Timestamp};
use millstream_log::Position;

/// Which record: its shard and its place in the shard's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    pub(crate) shard: ShardId,
    pub(crate) position: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It was delivered at a time, and is hidden until another.
    Received { slot: Slot, at: Timestamp, visible_at: Timestamp },
    /// It was acknowledged: it is never delivered again.
    Done { slot: Slot },
    /// It is hidden until then instead.
    Shown { slot: Slot, visible_at: Timestamp },
    /// It became a dead-letter record, visible at once.
    SetAside { slot: Slot, at: Timestamp },
    /// A dead-letter record became an ordinary one again, as if never received; visible at once.
    Restored { slot: Slot, at: Timestamp },
}

//! What the owner of a queue is asked to do.

use millstream_base::{ShardOrigin, Timestamp};
use millstream_log::Entry;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::event::Slot;
use crate::error::{Error, Result};
use crate::queue_model::{HandleResult, Lane};

pub(crate) enum Command {
    Receive(Receive),
    Change(Change),
}

/// Records are wanted.
pub(crate) struct Receive {
    pub(crate) lane: Lane,
    pub(crate) limit: usize,
    /// When an empty answer is given.
    pub(crate) deadline: Instant,
    /// `None`: the queue's.
    pub(crate) visibility_timeout_secs: Option<u32>,
    pub(crate) reply: oneshot::Sender<Result<Vec<Delivered>>>,
}

/// Something is to be done about records that were delivered.
pub(crate) struct Change {
    pub(crate) lane: Lane,
    pub(crate) wishes: Vec<(Slot, u32, Wish)>,
    /// A result for each.
    pub(crate) reply: oneshot::Sender<Result<Vec<HandleResult>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Acknowledge,
    /// Hide it for so many seconds from now on.
    Hide(u32),
    Restore,
}

/// A record on its way out.
pub(crate) struct Delivered {
    pub(crate) slot: Slot,
    pub(crate) generation: u32,
    pub(crate) receive_count: u32,
    pub(crate) first_received: Timestamp,
    pub(crate) origin: ShardOrigin,
    pub(crate) entry: Entry,
}

impl Command {
    /// Nothing was done, and why.
    pub(crate) fn refuse(self, error: Error) {
        match self {
            Command::Receive(receive) => _ = receive.reply.send(Err(error)),
            Command::Change(change) => _ = change.reply.send(Err(error)),
        }
    }
}

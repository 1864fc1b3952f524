//! Receipt handles: sealed, so that nobody can make one up or use one at another queue.

use millstream_log::Position;

use crate::queue::event::Slot;
use crate::queue_model::Lane;
use crate::token::{Reader, Token, put_u32, put_u64};

/// One delivery of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The queue's log family, which no other queue ever has.
    pub(crate) family: u32,
    pub(crate) lane: Lane,
    pub(crate) slot: Slot,
    pub(crate) generation: u32,
}

impl Token for Receipt {
    const KIND: &'static [u8] = b"queue receipt";

    fn write(&self, out: &mut Vec<u8>) {
        put_u32(out, self.family);
        put_u32(out, u32::from(self.lane == Lane::DeadLetter));
        put_u32(out, self.slot.shard.number());
        put_u64(out, self.slot.position.lsn);
        put_u32(out, self.slot.position.index);
        put_u32(out, self.generation);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let family = from.u32()?;
        let lane = if from.u32()? == 0 { Lane::Normal } else { Lane::DeadLetter };
        let shard = from.shard()?;
        let position = Position::new(from.u64()?, from.u32()?);
        Some(Receipt { family, lane, slot: Slot { shard, position }, generation: from.u32()? })
    }
}

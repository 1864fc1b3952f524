//! What a node keeps where: its row, positions in its journal, and how its logs are read.

use bytes::Bytes;
use millstream_log::{Entry, LogId, LogStore, Position, ReadLimit};
use millstream_meta::Document;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How much one read brings.
const PAGE: ReadLimit = ReadLimit { entries_max: 4096, bytes_max: 1 << 20 };

/// A node and how far its points have settled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NodeRow {
    pub(crate) family: u32,
    /// The journal before this is in blocks.
    pub(crate) settled: At,
    /// The journal from `settled` to this is being made into blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settling: Option<At>,
}

impl Document for NodeRow {
    const KIND: &'static str = "node's metrics";
    const VERSION: u32 = 1;
}

/// A position in the journal, as rows and blocks have it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct At {
    lsn: u64,
    index: u32,
}

impl From<Position> for At {
    fn from(position: Position) -> Self {
        At { lsn: position.lsn, index: position.index }
    }
}

impl From<At> for Position {
    fn from(at: At) -> Self {
        Position::new(at.lsn, at.index)
    }
}

impl At {
    /// The key of a block: where the journal's part begins that it was made from.
    pub(crate) fn key(self) -> Bytes {
        let mut key = self.lsn.to_be_bytes().to_vec();
        key.extend_from_slice(&self.index.to_be_bytes());
        key.into()
    }

    pub(crate) fn of_key(key: &[u8]) -> Result<Position> {
        let parts = key.split_first_chunk().and_then(|(lsn, index)| {
            Some((u64::from_be_bytes(*lsn), u32::from_be_bytes(index.try_into().ok()?)))
        });
        let (lsn, index) = parts
            .ok_or_else(|| Error::Corrupt { reason: "a block without its place".to_owned() })?;
        Ok(Position::new(lsn, index))
    }
}

/// Shows every entry from `from` on and before `until` to `look`.
pub(crate) async fn read_log(
    log: &dyn LogStore,
    id: LogId,
    from: Position,
    until: Position,
    mut look: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let tail = log.tail(id)?.borrow().next.min(until);
    let mut at = from;
    while at < tail {
        let page = log.read(id, at, PAGE).await?;
        for entry in page.entries {
            if entry.position >= tail {
                return Ok(());
            }
            look(entry)?;
        }
        assert!(page.next > at, "reading log {id} goes on from {at:?}, not {:?}", page.next);
        at = page.next;
    }
    Ok(())
}

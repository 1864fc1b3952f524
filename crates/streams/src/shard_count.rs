//! UpdateShardCount: many splits and merges as one change of the shards.

use millstream_base::StreamArn;
use millstream_base::limits::{SHARD_COUNT_UPDATES_PER_DAY_MAX, SHARDS_PER_STREAM_MAX};

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::reshard::{check_active, check_provisioned};
use crate::reshard_plan::Reshard;
use crate::stream_row::{Changes, StreamRow};

/// What UpdateShardCount answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardCountUpdate {
    /// Open shards before.
    pub current: u32,
    pub target: u32,
}

impl Streams {
    /// Opens `target` shards in place of those that are open, as evenly as halves allow: every
    /// open shard is split, then neighbours are merged. When this returns, they are open. The
    /// count that is there already changes nothing and is not counted.
    ///
    /// # Errors
    /// In this order: the stream exists, is provisioned, is ACTIVE; the target is at most
    /// [`SHARDS_PER_STREAM_MAX`], half to twice the present count; the account has room for all
    /// shards that are open on the way; fewer than [`SHARD_COUNT_UPDATES_PER_DAY_MAX`] updates in
    /// the last 24 hours. As to [`Error::Unavailable`], see [`Streams::split_shard`].
    pub async fn update_shard_count(
        &self,
        stream: &StreamArn,
        target: u32,
    ) -> Result<ShardCountUpdate> {
        self.reshard(stream, |row, status, now| {
            check_provisioned(stream, row)?;
            check_active(stream, status)?;
            let current = row.shards.open().count() as u32;
            check_target(stream, current, target)?;
            let update = ShardCountUpdate { current, target };
            if target == current {
                return Ok((None, update));
            }
            let scale = Reshard::Scale { target };
            self.check_room(stream, row, &scale, current)?;
            let max = SHARD_COUNT_UPDATES_PER_DAY_MAX;
            match Changes::admit(&mut row.changes.shard_count, now, max) {
                true => Ok((Some(scale), update)),
                false => Err(Error::ShardCountUpdates { stream: stream.clone(), max }),
            }
        })
        .await
    }

    /// Shards that are open only on the way count too. Source: model, UpdateShardCount.
    fn check_room(
        &self,
        stream: &StreamArn,
        row: &StreamRow,
        scale: &Reshard,
        current: u32,
    ) -> Result<()> {
        let plan = scale.plan(&row.shards);
        let plan = plan.map_err(|e| Error::Corrupt { reason: format!("{stream}: {e}") })?;
        let more = plan.open_max - current;
        match more {
            0 => Ok(()),
            _ => self.check_shards(stream.scope(), &self.usage(stream.scope()), more),
        }
    }
}

fn check_target(stream: &StreamArn, current: u32, target: u32) -> Result<()> {
    let limit = SHARDS_PER_STREAM_MAX;
    if target > limit {
        return Err(Error::ShardsPerStream { requested: target, limit });
    }
    let (double, least) = (current.saturating_mul(2), current.div_ceil(2));
    match (least..=double).contains(&target) {
        true => Ok(()),
        false => Err(Error::ShardCountStep { stream: stream.clone(), current, target }),
    }
}

//! Which shards and which keys of a stream are hot, for whoever asks.
//!
//! Rates are means over the last sample, keys' shares go back a minute or two; both are this
//! process's own.

use millstream_base::{HashKey, HashKeyRange, ShardId, StreamArn, Timestamp};

use crate::cache::Snapshot;
use crate::engine::Streams;
use crate::error::Result;
use crate::hot_keys::{KeyShare, Rate};
use crate::scaling_policy::{KeyLoad, ShardLoad, divide};

/// Keys that are shown per shard.
const KEYS_SHOWN_MAX: usize = 10;
/// Keys below this share of their shard's load are not shown: they are no news, and the sketch is
/// not sure of them.
const SHARE_SHOWN_MIN: f64 = 0.01;

/// Where a stream's load comes from, as this process has seen it in the last minute or two.
#[derive(Clone, Debug, PartialEq)]
pub struct HotReport {
    pub stream: StreamArn,
    /// When the rates were measured; `None`: not yet.
    pub measured_at: Option<Timestamp>,
    /// Open shards in the order of their ranges.
    pub shards: Vec<HotShard>,
}

/// One open shard's part in its stream's load.
#[derive(Clone, Debug, PartialEq)]
pub struct HotShard {
    pub shard: ShardId,
    pub range: HashKeyRange,
    pub records_per_second: f64,
    pub bytes_per_second: f64,
    /// Of the shard's write budget, whichever of bytes and records is used more: 1.0 is all of it.
    pub utilisation: f64,
    /// Of the stream's load: 0 to 1.
    pub share: f64,
    /// Where a split would divide the load best; `None` where it would gain nothing.
    pub split_at: Option<HashKey>,
    /// The hottest first.
    pub keys: Vec<HotKey>,
}

/// A key that makes up a good part of its shard's load.
#[derive(Clone, Debug, PartialEq)]
pub struct HotKey {
    /// Cut at 256 bytes.
    pub partition_key: String,
    pub hash: HashKey,
    /// Of the stream's load: 0 to 1, an estimate.
    pub share_of_stream: f64,
    /// Of its shard's load.
    pub share_of_shard: f64,
}

impl Streams {
    /// Shards by their part in the load, and the keys that make it up.
    ///
    /// # Errors
    /// [`crate::Error::StreamNotFound`].
    pub async fn hot(&self, stream: &StreamArn) -> Result<HotReport> {
        let found = self.find_serving(stream).await?;
        Ok(report(&found, self.write_budget(stream)))
    }
}

fn report(found: &Snapshot, budget: Rate) -> HotReport {
    let rates = found.hot.rates();
    let load: f64 = rates.of_shards.values().map(|r| r.load(budget)).sum();
    let keys = found.hot.shares();
    let key_loads = key_loads(&keys, load);
    let shard = |open| {
        let shard = found.open_shard(open);
        let rate = rates.of_shards.get(&shard.id).copied().unwrap_or_default();
        let of = ShardLoad { shard: shard.id, range: shard.range, load: rate.load(budget) };
        let share = if load > 0.0 { of.load / load } else { 0.0 };
        HotShard {
            shard: shard.id,
            range: shard.range,
            records_per_second: rate.records,
            bytes_per_second: rate.bytes,
            utilisation: of.load,
            share,
            split_at: divide(&of, &key_loads),
            keys: shown(&keys, shard.range, share),
        }
    };
    let shards = (0..found.route.len()).map(shard).collect();
    HotReport { stream: found.stream.clone(), measured_at: rates.measured_at, shards }
}

/// What each key brings along when the whole stream's load is `load`.
pub(crate) fn key_loads(keys: &[KeyShare], load: f64) -> Vec<KeyLoad> {
    keys.iter().map(|key| KeyLoad { hash: key.hash, load: key.share * load }).collect()
}

/// The hottest keys of a shard that has `share` of the stream's load.
fn shown(keys: &[KeyShare], range: HashKeyRange, share: f64) -> Vec<HotKey> {
    if share <= 0.0 {
        return Vec::new();
    }
    let mut shown: Vec<HotKey> = keys
        .iter()
        .filter(|key| range.contains(key.hash) && key.share >= share * SHARE_SHOWN_MIN)
        .map(|key| HotKey {
            partition_key: key.text.clone(),
            hash: key.hash,
            share_of_stream: key.share,
            // Keys and rates are of slightly different times.
            share_of_shard: (key.share / share).min(1.0),
        })
        .collect();
    shown.sort_by(|a, b| b.share_of_stream.total_cmp(&a.share_of_stream));
    shown.truncate(KEYS_SHOWN_MAX);
    shown
}

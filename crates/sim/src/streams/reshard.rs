//! Clients that split, merge and scale, and that hold lists of shards against each other.

use millstream_api::kinesis::{self as api, Kinesis};
use millstream_env::sim::Rng;
use millstream_wire::{ServiceError, Time};

use super::client::{Life, StreamClient, ask};
use super::lineage::{range_of, whole_ring};
use crate::lives::Reply;

/// Shards of a stream, closed ones too, beyond which it is left alone: each is read often.
const SHARDS_MAX: usize = 28;

impl StreamClient {
    /// Changes the shards in some way, as far as others let it.
    pub(super) async fn reshard(
        &mut self,
        life: &Life<'_>,
        stream: &str,
        rng: &mut Rng,
    ) -> Reply<()> {
        if self.oracle.borrow().streams[stream].lineage.len() > SHARDS_MAX {
            return Ok(());
        }
        let filter =
            api::ShardFilter { r#type: api::ShardFilterType::AtLatest, ..Default::default() };
        let Some(mut open) = self.list_shards(life, stream, Some(filter)).await? else {
            return Ok(());
        };
        self.hold(life, whole_ring(open.iter()));
        open.sort_by_key(range_of);
        if life.judge.failed() || open.is_empty() {
            return Ok(());
        }
        let asked = self.oracle.borrow_mut().now();
        self.oracle.borrow_mut().streams.get_mut(stream).expect("a known stream").reshard_asked =
            true;
        let name = Some(self.wire(stream));
        let at = rng.below(open.len() as u64) as usize;
        let done = match rng.below(5) {
            0 | 1 => {
                let (start, end) = range_of(&open[at]);
                // In the middle, or close to one of the keys that clients write.
                let middle = start + (end - start) / 2 + 1;
                let near = u128::from(rng.below(16) + 1) << 121;
                let key = if near > start + 1 && near < end { near } else { middle };
                let input = api::SplitShardInput {
                    stream_name: name,
                    shard_to_split: open[at].shard_id.clone(),
                    new_starting_hash_key: key.to_string(),
                    ..Default::default()
                };
                ask(life, |p, c| async move { p.service.split_shard(&c, input).await }).await?
            }
            2 | 3 if open.len() > 1 => {
                let at = at.min(open.len() - 2);
                let input = api::MergeShardsInput {
                    stream_name: name,
                    shard_to_merge: open[at].shard_id.clone(),
                    adjacent_shard_to_merge: open[at + 1].shard_id.clone(),
                    ..Default::default()
                };
                ask(life, |p, c| async move { p.service.merge_shards(&c, input).await }).await?
            }
            _ => {
                let (least, most) = (open.len().div_ceil(2) as u64, 2 * open.len() as u64);
                let input = api::UpdateShardCountInput {
                    stream_name: name,
                    target_shard_count: rng.between(least, most) as i32,
                    scaling_type: api::ScalingType::UniformScaling,
                    ..Default::default()
                };
                let done =
                    ask(life, |p, c| async move { p.service.update_shard_count(&c, input).await });
                done.await?.map(drop)
            }
        };
        match done {
            Ok(()) => {
                life.world.note(format_args!("client {}: {stream} is resharded", self.client));
                life.judge.count(|s| s.reshards += 1);
                self.shards(life, stream).await?;
                // The newest record of each shard that may be closed now.
                for shard in open.iter().map(|s| &s.shard_id) {
                    self.read_all(life, stream, shard).await?;
                    let arrived = self.oracle.borrow().arrivals(stream);
                    let of_shard = arrived.into_iter().filter(|(s, _)| s == shard);
                    if let Some((shard, at)) = of_shard.max_by_key(|(_, at)| *at) {
                        self.look_at(life, stream, &shard, at).await?;
                    }
                }
            }
            Err(e) if another_was_faster(&e) => life.judge.count(|s| s.refused += 1),
            Err(e) => self.excuse(life, stream, asked, &e),
        }
        Ok(())
    }

    /// Looks at the shards of some record's arrival.
    pub(super) async fn look_back(
        &mut self,
        life: &Life<'_>,
        stream: &str,
        rng: &mut Rng,
    ) -> Reply<()> {
        let arrived = self.oracle.borrow().arrivals(stream);
        if arrived.is_empty() {
            return Ok(());
        }
        let (shard, at) = rng.pick(&arrived).clone();
        self.look_at(life, stream, &shard, at).await
    }

    /// Who lists the shards of a record's arrival finds the record's shard among them, and whoever
    /// reads from that time on therefore gets the record.
    async fn look_at(&self, life: &Life<'_>, stream: &str, shard: &str, at: i64) -> Reply<()> {
        let filter = api::ShardFilter {
            r#type: api::ShardFilterType::AtTimestamp,
            timestamp: Some(Time::from_millis(at)),
            ..Default::default()
        };
        let Some(listed) = self.list_shards(life, stream, Some(filter)).await? else {
            return Ok(());
        };
        self.hold(life, whole_ring(listed.iter()));
        let missing = !listed.iter().any(|s| s.shard_id == *shard);
        if missing && !self.may_be_expired(life, stream) {
            life.judge.fail(format!(
                "LOST: a record arrived at {at} in {shard} of {stream}, which is not among the \
                 shards of that time: {:?}",
                listed.iter().map(|s| &s.shard_id).collect::<Vec<_>>()
            ));
        }
        Ok(())
    }

    /// One page of shards; `None` if the call is refused for a good reason.
    pub(super) async fn list_shards(
        &self,
        life: &Life<'_>,
        stream: &str,
        shard_filter: Option<api::ShardFilter>,
    ) -> Reply<Option<Vec<api::Shard>>> {
        let asked = self.oracle.borrow_mut().now();
        let stream_name = Some(self.wire(stream));
        let input = api::ListShardsInput { stream_name, shard_filter, ..Default::default() };
        match ask(life, |p, c| async move { p.service.list_shards(&c, input).await }).await? {
            Ok(output) => Ok(Some(output.shards.unwrap_or_default())),
            Err(e) => {
                self.excuse(life, stream, asked, &e);
                Ok(None)
            }
        }
    }

    /// All shards, held against what was seen of them before.
    pub(super) async fn shards(&self, life: &Life<'_>, stream: &str) -> Reply<Vec<String>> {
        let asked = self.oracle.borrow_mut().now();
        let Some(listed) = self.list_shards(life, stream, None).await? else {
            return Ok(Vec::new());
        };
        let may_miss = self.may_be_expired(life, stream);
        let mut oracle = self.oracle.borrow_mut();
        let made = oracle.must_exist(stream, asked);
        let s = oracle.streams.get_mut(stream).expect("a known stream");
        if s.deleted {
            life.judge.fail(format!("{stream} was deleted and lists {} shards", listed.len()));
        }
        // One whose making was cut short has none until it is taken up again.
        if made || !listed.is_empty() {
            self.hold(life, s.lineage.see_all(&listed, may_miss));
        }
        Ok(listed.into_iter().map(|s| s.shard_id).collect())
    }
}

/// The shards were changed between this client's list and its call.
fn another_was_faster(e: &ServiceError) -> bool {
    const SIGNS: [&str; 6] = [
        "is in On-Demand mode",
        "has already been merged or split",
        "are not an adjacent pair",
        "NewStartingHashKey",
        "TargetShardCount",
        "Could not find shard",
    ];
    let message = e.message.as_deref().unwrap_or_default();
    SIGNS.iter().any(|sign| message.contains(sign))
}

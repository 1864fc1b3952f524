//! What a reshard does to a shard map, as a row notes it and as pure computation.
//!
//! A reshard of many splits and merges is one change of the map, at one instant. A shard that one
//! of its steps makes and the next one ends is born closed: it owned its range for no time at all,
//! never took a record, and stands in the lists so that parents lead to children.
//!
//! Invariant: the same reshard does the same to the same open shards, whoever plans it and whenever.

use millstream_base::{HashKey, ShardId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::shard_map::{ReshardError, Shard, ShardMap};

/// A change of the shards that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reshard {
    Split {
        shard: ShardId,
        /// The first key of the upper child.
        #[serde(with = "decimal")]
        at: HashKey,
    },
    Merge {
        lower: ShardId,
        upper: ShardId,
    },
    /// Splits and merges until so many shards are open.
    Scale {
        target: u32,
    },
    /// Splits and merges of different shards, all at once.
    Steps(Vec<Reshard>),
}

/// Whose logs a reshard makes and ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Open shards that are closed.
    pub(crate) parents: Vec<ShardId>,
    /// All that are made, those that are born closed too.
    pub(crate) new: Vec<ShardId>,
    pub(crate) born_closed: Vec<ShardId>,
    /// Most shards that are open at once on the way, if each step were done by itself.
    pub(crate) open_max: u32,
}

impl Reshard {
    /// What it will do.
    pub(crate) fn plan(&self, map: &ShardMap) -> Result<Plan, ReshardError> {
        let mut after = map.clone();
        let open_max = self.apply(&mut after, Timestamp::ZERO)?;
        let parents = map.open().map(|s| s.id);
        let parents = parents.filter(|id| after.get(*id).is_some_and(|s| !s.is_open()));
        let is_new = |s: &&Shard| s.id.number() >= map.next();
        let new = after.all().iter().filter(is_new);
        let born_closed = new.clone().filter(|s| !s.is_open());
        Ok(Plan {
            parents: parents.collect(),
            new: new.clone().map(|s| s.id).collect(),
            born_closed: born_closed.map(|s| s.id).collect(),
            open_max,
        })
    }

    /// Does it, all at the instant `at`; returns how many shards were open at most.
    pub(crate) fn apply(&self, map: &mut ShardMap, at: Timestamp) -> Result<u32, ReshardError> {
        let open = map.open().count() as u32;
        match *self {
            Reshard::Split { shard, at: key } => map.split(shard, key, at).map(|_| open + 1),
            Reshard::Merge { lower, upper } => map.merge(lower, upper, at).map(|_| open),
            Reshard::Scale { target } => scale(map, target, at),
            Reshard::Steps(ref steps) => steps.iter().try_fold(open, |most, step| {
                let before = map.open().count() as u32;
                step.apply(map, at)?;
                Ok(most.max(before).max(map.open().count() as u32))
            }),
        }
    }
}

/// Up: every open shard is split in half, as AWS does, then pairs are merged until `target` is
/// met. Down: pairs are merged. The narrowest pairs go, so that ranges stay as even as can be.
fn scale(map: &mut ShardMap, target: u32, at: Timestamp) -> Result<u32, ReshardError> {
    let mut open = by_range(map);
    while (open.len() as u32) < target {
        let before = open.len();
        for shard in open {
            let range = shard.range;
            let middle = HashKey(range.start.0 + (range.end.0 - range.start.0) / 2 + 1);
            match map.split(shard.id, middle, at) {
                // Too narrow to be split: it stays as it is.
                Ok(_) | Err(ReshardError::NotInside { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        open = by_range(map);
        assert!(open.len() > before, "{before} shards that can't be split hold the whole ring");
    }
    let open_max = open.len() as u32;
    while open.len() as u32 > target {
        let surplus = open.len() - target as usize;
        for (lower, upper) in pairs(&open, surplus.min(open.len() / 2)) {
            map.merge(lower, upper, at)?;
        }
        open = by_range(map);
    }
    Ok(open_max)
}

fn by_range(map: &ShardMap) -> Vec<Shard> {
    let mut open: Vec<Shard> = map.open().cloned().collect();
    open.sort_unstable_by_key(|s| s.range.start);
    open
}

/// `count` pairs of neighbours, no shard in two of them, the widest pair as narrow as possible;
/// among equals those with the lowest keys. `count` is at most half of the shards.
fn pairs(open: &[Shard], count: usize) -> Vec<(ShardId, ShardId)> {
    // Half of the width, so that the whole ring's fits.
    let width = |s: &Shard| (s.range.end.0 - s.range.start.0) / 2;
    let widths: Vec<u128> = open.windows(2).map(|p| width(&p[0]) + width(&p[1])).collect();
    // Taking every pair that is free, from the low end on, takes as many as there can be.
    let within = |bound: u128| {
        let mut taken: Vec<usize> = Vec::new();
        for (place, width) in widths.iter().enumerate() {
            if *width <= bound && taken.last().is_none_or(|last| last + 1 < place) {
                taken.push(place);
            }
        }
        taken
    };
    let mut bounds = widths.clone();
    bounds.sort_unstable();
    let enough = bounds.partition_point(|bound| within(*bound).len() < count);
    let Some(bound) = bounds.get(enough) else { return Vec::new() };
    let mut taken = within(*bound);
    taken.sort_by_key(|place| widths[*place]); // stable: equals stay in the order of their keys
    taken.truncate(count);
    taken.sort_unstable();
    taken.into_iter().map(|place| (open[place].id, open[place + 1].id)).collect()
}

/// Hash keys as the API writes them: JSON numbers hold no 128 bits.
mod decimal {
    use millstream_base::HashKey;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(key: &HashKey, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HashKey, D::Error> {
        HashKey::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shard_map::tests::{BIRTH, assert_tiles, play, steps};

    fn scaled(counts: &[u32]) -> ShardMap {
        let mut map = ShardMap::new(counts[0], BIRTH);
        for target in &counts[1..] {
            Reshard::Scale { target: *target }.apply(&mut map, BIRTH).unwrap();
            assert_eq!(map.open().count() as u32, *target);
            assert_tiles(map.open().map(|s| s.range).collect());
        }
        map
    }

    /// Open and closed shards after UpdateShardCount, as recorded on AWS.
    #[test]
    fn totals_are_those_of_aws() {
        for (from, to, total) in [(2, 4, 6), (4, 5, 15), (10, 13, 37), (4, 2, 6), (5, 3, 7)] {
            assert_eq!(scaled(&[from, to]).all().len(), total, "{from} to {to}");
        }
    }

    #[test]
    fn ranges_stay_as_even_as_halves_allow() {
        let spread = |map: &ShardMap| {
            let widths = || map.open().map(|s| (s.range.end.0 - s.range.start.0) / 2 + 1);
            widths().max().unwrap() / widths().min().unwrap()
        };
        assert_eq!(spread(&scaled(&[4, 5, 6, 7, 8])), 1);
        assert_eq!(spread(&scaled(&[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000])), 2);
        assert_eq!(spread(&scaled(&[4, 5, 6, 8, 4])), 1);
    }

    #[test]
    fn pairs_are_found_wherever_singles_would_be_left() {
        let mut map = ShardMap::new(1, BIRTH);
        // Narrow ones in the middle: taking the narrowest pair first would leave two singles.
        let [low, high] = map.split(ShardId::new(0), HashKey(1 << 127), BIRTH).unwrap();
        map.split(low, HashKey((1 << 127) - 100), BIRTH).unwrap();
        map.split(high, HashKey((1 << 127) + 100), BIRTH).unwrap();
        assert_eq!(pairs(&by_range(&map), 2).len(), 2);
        assert_eq!(pairs(&by_range(&map), 1), [(ShardId::new(4), ShardId::new(5))]);
    }

    #[test]
    fn a_noted_reshard_reads_as_it_was_written() {
        for noted in [
            Reshard::Split { shard: ShardId::new(3), at: HashKey(u128::MAX - 9) },
            Reshard::Merge { lower: ShardId::new(1), upper: ShardId::new(0) },
            Reshard::Scale { target: 7 },
            Reshard::Steps(vec![
                Reshard::Split { shard: ShardId::new(0), at: HashKey(2) },
                Reshard::Merge { lower: ShardId::new(1), upper: ShardId::new(2) },
            ]),
        ] {
            let text = serde_json::to_string(&noted).unwrap();
            assert_eq!(serde_json::from_str::<Reshard>(&text).unwrap(), noted);
        }
    }

    proptest! {
        #[test]
        fn every_scaling_gives_a_whole_ring_and_a_true_plan(
            count in 1u32..8, steps in steps(), target in 1u32..40,
        ) {
            let (mut map, _) = play(count, &steps);
            let scale = Reshard::Scale { target };
            let plan = scale.plan(&map).unwrap();
            let before = map.clone();
            let at = map.newest_opening();
            scale.apply(&mut map, at).unwrap();
            prop_assert_eq!(map.open().count() as u32, target);
            assert_tiles(map.open().map(|s| s.range).collect());
            for shard in map.all() {
                let was_open = before.get(shard.id).is_some_and(Shard::is_open);
                let is_new = before.get(shard.id).is_none();
                prop_assert_eq!(plan.parents.contains(&shard.id), was_open && !shard.is_open());
                prop_assert_eq!(plan.new.contains(&shard.id), is_new);
                prop_assert_eq!(plan.born_closed.contains(&shard.id), is_new && !shard.is_open());
                for child in map.children_of(shard.id) {
                    let child = map.get(child.shard).unwrap();
                    prop_assert!(shard.ending_number().unwrap() < child.starting_number());
                    prop_assert!(shard.starting_number() < shard.ending_number().unwrap());
                }
            }
        }
    }
}

//! Which shards are to be split or merged: a pure function of what was measured.
//!
//! A load is a part of one shard's write budget: 1.0 is 1 MiB/s or 1000 records/s, whichever is
//! more. A shard above [`Rules::split_above`] is split where its measured keys divide the load best,
//! neighbours that together stay below [`Rules::merge_below`] become one, and the stream never gets
//! fewer shards than [`Need::floor`] nor more than [`Need::ceiling`].
//!
//! Invariant: the same measurements always give the same steps; a round never touches a shard
//! twice; a split that would leave one side nearly as hot as the whole is not made, since a single
//! hot key can't be split.
//! Invariant: `merge_below` is at most half of `split_above`, so what was merged is not split again
//! by the same load, nor the other way round.

use std::cmp::Reverse;

use millstream_base::{HashKey, HashKeyRange, ShardId};

/// When to split and when to merge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rules {
    /// A shard with more load is split.
    pub(crate) split_above: f64,
    /// Two neighbours with less load together are merged.
    pub(crate) merge_below: f64,
}

/// Most splits and merges of one round: one change of the stream's row.
pub(crate) const STEPS_MAX: usize = 256;
/// A split must take at least this part of the load off the hotter side.
const GAIN_MIN: f64 = 0.1;

impl Rules {
    /// Keeps shards at up to `target` of their budgets.
    pub(crate) fn keeping(target: f64) -> Self {
        Rules { split_above: target, merge_below: target / 2.0 }
    }
}

/// An open shard and its load over the last window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ShardLoad {
    pub(crate) shard: ShardId,
    pub(crate) range: HashKeyRange,
    pub(crate) load: f64,
}

/// A measured key and the load that it brings along.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KeyLoad {
    pub(crate) hash: HashKey,
    pub(crate) load: f64,
}

/// How many shards the stream must and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// Fewer are added to, whatever the load.
    pub(crate) floor: usize,
    /// Merging stops here; not below `floor`.
    pub(crate) keep: usize,
    /// Splitting stops here.
    pub(crate) ceiling: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `at` is the first key of the upper child.
    Split {
        shard: ShardId,
        at: HashKey,
    },
    Merge {
        lower: ShardId,
        upper: ShardId,
    },
}

/// The next steps: splits, or if none are needed merges. `shards` tile the ring in ascending order,
/// `keys` ascend.
pub(crate) fn decide(
    rules: &Rules,
    need: Need,
    shards: &[ShardLoad],
    keys: &[KeyLoad],
) -> Vec<Step> {
    let splits = splits(rules, need, shards, keys);
    match splits.is_empty() {
        true => merges(rules, need, shards),
        false => splits,
    }
}

fn splits(rules: &Rules, need: Need, shards: &[ShardLoad], keys: &[KeyLoad]) -> Vec<Step> {
    let room = need.ceiling.saturating_sub(shards.len()).min(STEPS_MAX);
    let wanted = need.floor.saturating_sub(shards.len());
    let mut by_heat: Vec<&ShardLoad> = shards.iter().collect();
    // Width decides between equally hot ones, the lower range between equally wide ones.
    by_heat.sort_by(|a, b| {
        b.load.total_cmp(&a.load).then_with(|| width(b.range).cmp(&width(a.range)))
    });
    let mut steps = Vec::new();
    for shard in by_heat.iter().take_while(|s| s.load > rules.split_above) {
        if steps.len() == room {
            return steps;
        }
        if let Some(at) = divide(shard, keys) {
            steps.push(Step::Split { shard: shard.shard, at });
        }
    }
    if steps.len() < wanted {
        let taken: Vec<ShardId> = steps.iter().map(|s| s.first()).collect();
        by_heat.sort_by_key(|s| Reverse(width(s.range)));
        let rest = by_heat.iter().filter(|s| !taken.contains(&s.shard));
        let halves =
            rest.filter_map(|s| Some(Step::Split { shard: s.shard, at: middle(s.range)? }));
        let more = wanted.min(room).saturating_sub(steps.len());
        let halves: Vec<Step> = halves.take(more).collect();
        steps.extend(halves);
    }
    steps
}

fn merges(rules: &Rules, need: Need, shards: &[ShardLoad]) -> Vec<Step> {
    let spare = shards.len().saturating_sub(need.floor.max(need.keep).max(1)).min(STEPS_MAX);
    let mut pairs: Vec<(f64, usize)> = shards
        .windows(2)
        .enumerate()
        .map(|(at, pair)| (pair[0].load + pair[1].load, at))
        .filter(|(load, _)| *load < rules.merge_below)
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let mut merged = vec![false; shards.len()];
    let mut steps = Vec::new();
    for (_, at) in pairs {
        if steps.len() < spare && !merged[at] && !merged[at + 1] {
            (merged[at], merged[at + 1]) = (true, true);
            let (lower, upper) = (shards[at].shard, shards[at + 1].shard);
            steps.push(Step::Merge { lower, upper });
        }
    }
    steps
}

/// The first key of the upper half, so that both halves carry the same load as nearly as the keys
/// allow. What no measured key accounts for is taken to lie evenly. `None`: the shard can't be
/// split, or nothing would be gained.
pub(crate) fn divide(shard: &ShardLoad, keys: &[KeyLoad]) -> Option<HashKey> {
    let ShardLoad { range, load, .. } = *shard;
    let (first, last) = (range.start.0.checked_add(2)?, range.end.0.checked_sub(1)?);
    if load <= 0.0 || first > last {
        return None;
    }
    let from = keys.partition_point(|k| k.hash < range.start);
    let to = keys.partition_point(|k| k.hash <= range.end);
    let keys = &keys[from..to];
    // The load of the first keys; the last element is that of all.
    let mut sums = vec![0.0];
    for key in keys {
        sums.push(sums[sums.len() - 1] + key.load);
    }
    let measured = sums[keys.len()];
    // Sampling may see more than there was.
    let scale = if measured > load { load / measured } else { 1.0 };
    let even = (load - measured * scale).max(0.0);
    let below = |at: HashKey, counted: usize| {
        let part = (at.0 - range.start.0) as f64 / width(range) as f64;
        even * part + sums[counted] * scale
    };
    let mut best: Option<(f64, HashKey)> = None;
    let mut consider = |at: HashKey, counted: usize| {
        let lower = below(at, counted);
        let hotter = lower.max(load - lower);
        if best.is_none_or(|(least, _)| hotter < least) {
            best = Some((hotter, HashKey(at.0.clamp(first, last))));
        }
    };
    // Either side of each key, and in each gap between keys the place where the load is halved.
    let mut gap_start = range.start;
    for counted in 0..=keys.len() {
        let gap_end = keys.get(counted).map_or(range.end, |k| k.hash);
        let low = below(gap_start, counted);
        if even > 0.0 {
            let part = ((load / 2.0 - low) / even).clamp(0.0, 1.0);
            let offset = (part * width(range) as f64) as u128;
            let halfway = gap_start.0.saturating_add(offset).min(gap_end.0);
            consider(HashKey(halfway), counted);
        }
        consider(gap_end, counted);
        gap_start = HashKey(gap_end.0.saturating_add(1));
        if counted < keys.len() {
            consider(gap_start, counted + 1);
        }
    }
    best.filter(|(hotter, _)| *hotter <= load * (1.0 - GAIN_MIN)).map(|(_, at)| at)
}

fn middle(range: HashKeyRange) -> Option<HashKey> {
    let at = HashKey(range.start.0 + width(range) / 2 + 1);
    splits_at(range, at).then_some(at)
}

/// As `ShardMap::split` wants it: two keys below, two from there on.
fn splits_at(range: HashKeyRange, at: HashKey) -> bool {
    range.start.0.checked_add(1).is_some_and(|next| next < at.0) && at < range.end
}

/// One less than the number of keys.
fn width(range: HashKeyRange) -> u128 {
    range.end.0 - range.start.0
}

impl Step {
    /// The shard that is split, or the lower one that is merged.
    pub(crate) fn first(&self) -> ShardId {
        match *self {
            Step::Split { shard, .. } => shard,
            Step::Merge { lower, .. } => lower,
        }
    }
}

#[cfg(test)]
mod tests {
    use millstream_base::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::shard_map::ShardMap;
    use crate::shard_map::tests::{BIRTH, assert_tiles};

    const RULES: Rules = Rules { split_above: 0.5, merge_below: 0.25 };

    /// A load that lies on the ring: some on single keys, the rest evenly.
    #[derive(Clone, Debug)]
    struct Traffic {
        /// In ascending order.
        keys: Vec<KeyLoad>,
        even: f64,
    }

    impl Traffic {
        fn new(mut keys: Vec<(u128, f64)>, even: f64) -> Self {
            keys.sort_by_key(|k| k.0);
            keys.dedup_by_key(|k| k.0);
            let keys = keys.into_iter().map(|(hash, load)| KeyLoad { hash: HashKey(hash), load });
            Traffic { keys: keys.collect(), even }
        }

        fn on(&self, range: HashKeyRange) -> f64 {
            let keys = self.keys.iter().filter(|k| range.contains(k.hash));
            let part = width(range) as f64 / u128::MAX as f64;
            keys.map(|k| k.load).sum::<f64>() + self.even * part
        }

        fn loads(&self, map: &ShardMap) -> Vec<ShardLoad> {
            let load = |s: &crate::shard_map::Shard| ShardLoad {
                shard: s.id,
                range: s.range,
                load: self.on(s.range),
            };
            let mut loads: Vec<ShardLoad> = map.open().map(load).collect();
            loads.sort_by_key(|s| s.range.start);
            loads
        }
    }

    fn take(map: &mut ShardMap, steps: &[Step], now: Timestamp) {
        for step in steps {
            match *step {
                Step::Split { shard, at } => {
                    map.split(shard, at, now).expect("a split that can be made");
                }
                Step::Merge { lower, upper } => {
                    map.merge(lower, upper, now).expect("a merge that can be made");
                }
            }
        }
        assert_tiles(map.open().map(|s| s.range).collect());
    }

    /// Rounds until nothing is to be done any more: what each did, and whether the ceiling was met.
    fn settle(map: &mut ShardMap, need: Need, traffic: &Traffic) -> (Vec<Vec<Step>>, bool) {
        let mut rounds = Vec::new();
        let mut crowded = false;
        for round in 0..200 {
            crowded |= map.open().count() == need.ceiling;
            let steps = decide(&RULES, need, &traffic.loads(map), &traffic.keys);
            if steps.is_empty() {
                return (rounds, crowded);
            }
            assert!(steps.len() <= STEPS_MAX);
            take(map, &steps, Timestamp::from_secs(BIRTH.as_secs() + round));
            assert!(map.open().count() <= need.ceiling, "above the ceiling");
            rounds.push(steps);
        }
        panic!("{} shards, and it goes on: {:?}", map.open().count(), rounds.last());
    }

    fn need(floor: usize, ceiling: usize) -> Need {
        Need { floor, keep: floor.max(4), ceiling }
    }

    fn splits(steps: &[Step]) -> usize {
        steps.iter().filter(|s| matches!(s, Step::Split { .. })).count()
    }

    #[test]
    fn an_even_load_gets_even_shards_at_most_half_used() {
        let mut map = ShardMap::new(4, BIRTH);
        let traffic = Traffic::new(vec![], 7.0);
        let (rounds, _) = settle(&mut map, need(14, 200), &traffic);
        assert_eq!(rounds.len(), 2, "doubling twice is enough: {rounds:?}");
        assert_eq!(map.open().count(), 16);
        assert!(traffic.loads(&map).iter().all(|s| s.load <= 0.5));
    }

    #[test]
    fn a_hot_key_is_set_apart_and_then_left_alone() {
        let mut map = ShardMap::new(1, BIRTH);
        let hot = u128::MAX / 3;
        let traffic = Traffic::new(vec![(hot, 0.9)], 0.2);
        settle(&mut map, need(1, 200), &traffic);
        let loads = traffic.loads(&map);
        let of_key = loads.iter().find(|s| s.range.contains(HashKey(hot))).unwrap();
        assert!(of_key.load < 1.0, "little beside the key is left: {of_key:?}");
        assert!(loads.len() < 8, "a key can't be split, so it is not tried: {loads:?}");
    }

    #[test]
    fn shards_are_split_where_their_keys_divide_the_load() {
        // All keys in the lowest sixteenth of the ring; halving the range would need four rounds.
        let keys: Vec<(u128, f64)> = (1..=20).map(|n| (n * (u128::MAX / 320), 0.04)).collect();
        let traffic = Traffic::new(keys, 0.0);
        let map = ShardMap::new(1, BIRTH);
        let whole = traffic.loads(&map)[0];
        let at = divide(&whole, &traffic.keys).unwrap();
        let below = traffic.on(HashKeyRange::new(HashKey::MIN, HashKey(at.0 - 1)));
        assert!((below - 0.4).abs() < 1e-9, "{below} of 0.8 below {at}");
        let middle = divide(&ShardLoad { load: 0.8, ..whole }, &[]).unwrap();
        assert!(middle.0.abs_diff(u128::MAX / 2) < u128::MAX / 1000, "without keys in the middle");
    }

    #[test]
    fn cold_shards_are_merged_down_to_what_is_kept() {
        let mut map = ShardMap::new(64, BIRTH);
        let traffic = Traffic::new(vec![], 0.0);
        settle(&mut map, Need { floor: 2, keep: 10, ceiling: 200 }, &traffic);
        assert_eq!(map.open().count(), 10);
        settle(&mut map, need(2, 200), &traffic);
        assert_eq!(map.open().count(), 4);
    }

    #[test]
    fn a_floor_is_reached_by_splitting_the_widest() {
        let mut map = ShardMap::new(4, BIRTH);
        let (rounds, _) = settle(&mut map, need(1000, 10_000), &Traffic::new(vec![], 0.0));
        assert_eq!(map.open().count(), 1000);
        assert!(rounds.len() < 12, "{} rounds", rounds.len());
        let widths: Vec<u128> = map.open().map(|s| width(s.range) >> 64).collect();
        let (least, most) = (widths.iter().min().unwrap(), widths.iter().max().unwrap());
        assert!(*most <= 2 * least + 2, "{least} to {most}");
    }

    #[test]
    fn narrow_shards_are_left_alone() {
        for keys in [1, 2, 3] {
            let range = HashKeyRange::new(HashKey(7), HashKey(6 + keys));
            let shard = ShardLoad { shard: ShardId::new(0), range, load: 9.0 };
            assert_eq!(divide(&shard, &[]), None, "{keys} keys");
        }
        let range = HashKeyRange::new(HashKey(7), HashKey(10));
        let shard = ShardLoad { shard: ShardId::new(0), range, load: 9.0 };
        assert_eq!(divide(&shard, &[]), Some(HashKey(9)));
    }

    fn traffic() -> impl Strategy<Value = Traffic> {
        let key = (any::<u128>(), 0.0f64..0.6);
        (prop::collection::vec(key, 0..30), 0.0f64..20.0)
            .prop_map(|(keys, even)| Traffic::new(keys, even))
    }

    proptest! {
        #[test]
        fn every_load_settles_within_bounds_and_stays(
            count in 1u32..20, floor in 0usize..20, room in 0usize..100,
            before in traffic(), after in traffic(),
        ) {
            let mut map = ShardMap::new(count, BIRTH);
            let need = need(floor, (count as usize).max(floor) + room);
            for traffic in [before, after] {
                let (rounds, crowded) = settle(&mut map, need, &traffic);
                let open = map.open().count();
                prop_assert!(open <= need.ceiling);
                prop_assert!(open >= need.floor);
                // Splits first, then merges: no load makes it swing.
                let merging = rounds.iter().position(|r| splits(r) == 0).unwrap_or(rounds.len());
                // Where there is no room to split, what is cold makes room.
                let swings = rounds[merging..].iter().any(|r| splits(r) > 0);
                prop_assert!(!swings || crowded, "{:?}", rounds);
                for shard in traffic.loads(&map) {
                    let can = divide(&shard, &traffic.keys).is_some();
                    let hot = shard.load > RULES.split_above;
                    prop_assert!(!hot || !can || open == need.ceiling, "{:?} stays hot", shard);
                }
            }
        }

        #[test]
        fn a_round_touches_no_shard_twice(
            count in 1u32..60, traffic in traffic(), floor in 0usize..100,
        ) {
            let map = ShardMap::new(count, BIRTH);
            let steps = decide(&RULES, need(floor, 100), &traffic.loads(&map), &traffic.keys);
            let mut touched: Vec<ShardId> = steps
                .iter()
                .flat_map(|step| match *step {
                    Step::Split { shard, .. } => vec![shard],
                    Step::Merge { lower, upper } => vec![lower, upper],
                })
                .collect();
            let all = touched.len();
            touched.sort_unstable();
            touched.dedup();
            prop_assert_eq!(touched.len(), all);
        }
    }
}

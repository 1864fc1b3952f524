//! The shards of one stream: who owns which part of the ring, who came from whom, and when.
//!
//! ```text
//!  hash keys
//!   max  +---------------------+-----------------------------+
//!        |  shard 1            |  shard 4 (parents 1 and 3)  |
//!        |                     |                             |
//!        |          +----------+                             |
//!        |          | shard 3  |                             |
//!        +----------+----------+-----------------------------+
//!        | shard 0  |  shard 2 (0 was split into 2 and 3)    |
//!    0   +----------+----------------------------------------+---> time
//! ```
//!
//! Invariant: at every instant since the stream was made exactly one shard owns each hash key; an
//! instant belongs to the children that begin then, not to the parents that end then.
//! Invariant: numbers rise and are never used again; a child's creation second lies above its
//! parents' closing seconds, so that its sequence numbers stand above theirs.

use millstream_base::sequence::SequencePlace;
use millstream_base::{HashKey, HashKeyRange, SequenceNumber, ShardId, ShardOrigin, Timestamp};
use millstream_log::Position;
use serde::{Deserialize, Serialize};

use crate::model::{ChildShard, ShardDescription};

/// All shards that are not removed yet, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Compact", into = "Compact")]
pub struct ShardMap {
    shards: Vec<Shard>,
    /// The number of the next shard.
    next: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    pub id: ShardId,
    pub range: HashKeyRange,
    /// The second that its sequence numbers carry; not before `opened_at`'s.
    pub created_secs: u64,
    pub opened_at: Timestamp,
    pub parent: Option<ShardId>,
    pub adjacent_parent: Option<ShardId>,
    pub closed: Option<Closed>,
}

/// When a shard was split or merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub at: Timestamp,
    /// The second that its ending sequence number carries; not before `created_secs`.
    pub secs: u64,
}

impl Shard {
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether it owned its range at `t`.
    pub fn owned_at(&self, t: Timestamp) -> bool {
        self.opened_at <= t && self.closed.is_none_or(|c| t < c.at)
    }

    /// Whether all its records are older than `horizon`: it is not shown and not read any more.
    pub fn is_expired(&self, horizon: Timestamp) -> bool {
        self.closed.is_some_and(|c| c.at < horizon)
    }

    pub fn origin(&self) -> ShardOrigin {
        ShardOrigin { created_secs: self.created_secs, shard: self.id }
    }

    pub fn number_at(&self, position: Position) -> SequenceNumber {
        SequenceNumber::at(self.origin(), position.lsn, position.index)
    }

    pub fn starting_number(&self) -> SequenceNumber {
        SequenceNumber::start(self.origin())
    }

    pub fn ending_number(&self) -> Option<SequenceNumber> {
        self.closed.map(|c| SequenceNumber::end(self.origin(), c.secs))
    }

    /// Where a number of this shard points to. `None` for an end that it has not.
    pub fn position_of(&self, place: SequencePlace) -> Option<Position> {
        match place {
            SequencePlace::At { lsn, index } => Some(Position::new(lsn, index)),
            SequencePlace::End { closed_secs } => {
                self.closed.filter(|c| c.secs == closed_secs).map(|_| Position::END)
            }
        }
    }

    pub fn describe(&self) -> ShardDescription {
        ShardDescription {
            shard: self.id,
            parent: self.parent,
            adjacent_parent: self.adjacent_parent,
            range: self.range,
            starting_sequence_number: self.starting_number(),
            ending_sequence_number: self.ending_number(),
        }
    }

    fn is_child_of(&self, parent: ShardId) -> bool {
        self.parent == Some(parent) || self.adjacent_parent == Some(parent)
    }
}

/// Why shards can't be split or merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReshardError {
    #[error("shard {shard} does not exist")]
    NotFound { shard: ShardId },
    #[error("shard {shard} is closed")]
    Closed { shard: ShardId },
    /// The first key of the upper child must leave two keys below it and one above it.
    #[error("hash key {at} does not split {range}")]
    NotInside { at: HashKey, range: HashKeyRange },
    #[error("shards {lower} and {upper} are not neighbours in this order")]
    NotAdjacent { lower: ShardId, upper: ShardId },
}

impl ShardMap {
    /// `count` equal shards made at `created` (whole seconds).
    pub fn new(count: u32, created: Timestamp) -> Self {
        let shard = |(number, range)| Shard {
            id: ShardId::new(number),
            range,
            created_secs: created.as_secs(),
            opened_at: created,
            parent: None,
            adjacent_parent: None,
            closed: None,
        };
        let shards = (0..).zip(HashKeyRange::split_evenly(count)).map(shard).collect();
        ShardMap { shards, next: count }
    }

    pub fn all(&self) -> &[Shard] {
        &self.shards
    }

    pub fn open(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(|s| s.is_open())
    }

    pub fn get(&self, id: ShardId) -> Option<&Shard> {
        Some(&self.shards[self.place(id)?])
    }

    /// The number of the next shard that is made.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Where in [`ShardMap::all`] the shard stands.
    pub fn place(&self, id: ShardId) -> Option<usize> {
        self.shards.binary_search_by_key(&id, |s| s.id).ok()
    }

    /// Those that go on where `parent` ended.
    pub fn children_of(&self, parent: ShardId) -> Vec<ChildShard> {
        let child = |s: &Shard| ChildShard {
            shard: s.id,
            parents: s.parent.into_iter().chain(s.adjacent_parent).collect(),
            range: s.range,
        };
        self.shards.iter().filter(|s| s.is_child_of(parent)).map(child).collect()
    }

    /// The latest instant at which a shard was opened.
    pub fn newest_opening(&self) -> Timestamp {
        self.shards.iter().map(|s| s.opened_at).max().unwrap_or_default()
    }

    /// The earliest instant at which a shard was closed.
    pub fn oldest_closing(&self) -> Option<Timestamp> {
        self.shards.iter().filter_map(|s| s.closed).map(|c| c.at).min()
    }

    /// Closes `parent` and opens its two children: [start, at - 1] and [at, end].
    pub fn split(
        &mut self,
        parent: ShardId,
        at: HashKey,
        now: Timestamp,
    ) -> Result<[ShardId; 2], ReshardError> {
        let range = self.find_open(parent)?.range;
        let start_next = range.start.0.checked_add(1);
        if start_next.is_none_or(|n| n >= at.0) || at >= range.end {
            return Err(ReshardError::NotInside { at, range });
        }
        let birth = self.close(&[parent], now);
        let lower = HashKeyRange::new(range.start, HashKey(at.0 - 1));
        let upper = HashKeyRange::new(at, range.end);
        let child = |map: &mut Self, range| map.add(range, birth, Some(parent), None);
        Ok([child(self, lower), child(self, upper)])
    }

    /// Closes two neighbours, the lower first, and opens one child in their place.
    pub fn merge(
        &mut self,
        lower: ShardId,
        upper: ShardId,
        now: Timestamp,
    ) -> Result<ShardId, ReshardError> {
        let (low, high) = (self.find_open(lower)?.range, self.find_open(upper)?.range);
        if !low.is_followed_by(&high) {
            return Err(ReshardError::NotAdjacent { lower, upper });
        }
        let birth = self.close(&[lower, upper], now);
        let range = HashKeyRange::new(low.start, high.end);
        Ok(self.add(range, birth, Some(lower), Some(upper)))
    }

    /// Drops what is expired; tells what was dropped.
    pub fn remove_expired(&mut self, horizon: Timestamp) -> Vec<ShardId> {
        let gone = self.shards.iter().filter(|s| s.is_expired(horizon)).map(|s| s.id).collect();
        self.shards.retain(|s| !s.is_expired(horizon));
        gone
    }

    fn find_open(&self, shard: ShardId) -> Result<&Shard, ReshardError> {
        match self.get(shard) {
            None => Err(ReshardError::NotFound { shard }),
            Some(found) if !found.is_open() => Err(ReshardError::Closed { shard }),
            Some(found) => Ok(found),
        }
    }

    /// Closes all of `parents` at one instant, which is not before any of them was opened even if
    /// the clock stepped back. Returns the instant and the children's creation second.
    fn close(&mut self, parents: &[ShardId], now: Timestamp) -> (Timestamp, u64) {
        let closing: Vec<usize> = parents.iter().filter_map(|id| self.place(*id)).collect();
        let of = |place: &usize| &self.shards[*place];
        let at = closing.iter().map(|p| of(p).opened_at).fold(now, Timestamp::max);
        let secs = closing.iter().map(|p| of(p).created_secs).fold(at.as_secs(), u64::max);
        for place in closing {
            self.shards[place].closed = Some(Closed { at, secs });
        }
        (at, secs + 1)
    }

    fn add(
        &mut self,
        range: HashKeyRange,
        (opened_at, created_secs): (Timestamp, u64),
        parent: Option<ShardId>,
        adjacent_parent: Option<ShardId>,
    ) -> ShardId {
        let id = ShardId::new(self.next);
        self.next += 1;
        let closed = None;
        self.shards.push(Shard {
            id,
            range,
            created_secs,
            opened_at,
            parent,
            adjacent_parent,
            closed,
        });
        id
    }
}

/// A shard in a row: number, range (hexadecimal), creation second, opening (ms), parents (number
/// plus one, or 0), closing (ms) and closing second (0 while open).
#[derive(Serialize, Deserialize)]
struct CompactShard(u32, String, String, u64, u64, u32, u32, u64, u64);

#[derive(Serialize, Deserialize)]
struct Compact {
    next: u32,
    list: Vec<CompactShard>,
}

impl From<ShardMap> for Compact {
    fn from(map: ShardMap) -> Self {
        let number = |id: Option<ShardId>| id.map_or(0, |id| id.number() + 1);
        let compact = |s: Shard| {
            let closed = s.closed.unwrap_or(Closed { at: Timestamp::ZERO, secs: 0 });
            CompactShard(
                s.id.number(),
                format!("{:x}", s.range.start.0),
                format!("{:x}", s.range.end.0),
                s.created_secs,
                s.opened_at.as_millis(),
                number(s.parent),
                number(s.adjacent_parent),
                closed.at.as_millis(),
                closed.secs,
            )
        };
        Compact { next: map.next, list: map.shards.into_iter().map(compact).collect() }
    }
}

impl TryFrom<Compact> for ShardMap {
    type Error = String;

    fn try_from(compact: Compact) -> Result<Self, String> {
        let shards: Vec<Shard> =
            compact.list.into_iter().map(Shard::try_from).collect::<Result<_, _>>()?;
        let rising = shards.windows(2).all(|pair| pair[0].id < pair[1].id);
        if !rising || shards.last().is_some_and(|s| s.id.number() >= compact.next) {
            return Err("shard numbers do not rise".into());
        }
        Ok(ShardMap { shards, next: compact.next })
    }
}

impl TryFrom<CompactShard> for Shard {
    type Error = String;

    fn try_from(c: CompactShard) -> Result<Self, String> {
        let CompactShard(n, start, end, created_secs, opened, parent, adjacent, closed, secs) = c;
        let key = |text: &str| {
            u128::from_str_radix(text, 16).map(HashKey).map_err(|e| format!("shard {n}: {e}"))
        };
        let (start, end) = (key(&start)?, key(&end)?);
        let numbers = [n, parent.saturating_sub(1), adjacent.saturating_sub(1)];
        if start > end || numbers.iter().any(|n| *n > ShardId::NUMBER_MAX) {
            return Err(format!("shard {n} is out of bounds"));
        }
        let id = |number: u32| number.checked_sub(1).map(ShardId::new);
        let closed = (closed > 0).then(|| Closed { at: Timestamp::from_millis(closed), secs });
        Ok(Shard {
            id: ShardId::new(n),
            range: HashKeyRange::new(start, end),
            created_secs,
            opened_at: Timestamp::from_millis(opened),
            parent: id(parent),
            adjacent_parent: id(adjacent),
            closed,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) const BIRTH: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// What happens to a map: a split or a merge of whatever stands at a place, some ms later.
    #[derive(Clone, Debug)]
    pub(crate) enum Step {
        Split { place: usize, share: u8, after_ms: u64 },
        Merge { place: usize, after_ms: u64 },
    }

    pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
        let split = (any::<usize>(), any::<u8>(), 0u64..3000)
            .prop_map(|(place, share, after_ms)| Step::Split { place, share, after_ms });
        let merge = (any::<usize>(), 0u64..3000)
            .prop_map(|(place, after_ms)| Step::Merge { place, after_ms });
        prop::collection::vec(prop_oneof![split, merge], 0..40)
    }

    /// The map after the steps, and all instants at which something happened.
    pub(crate) fn play(count: u32, steps: &[Step]) -> (ShardMap, Vec<Timestamp>) {
        let mut map = ShardMap::new(count, BIRTH);
        let mut now = BIRTH;
        let mut instants = vec![now];
        for step in steps {
            let mut open: Vec<Shard> = map.open().cloned().collect();
            open.sort_by_key(|s| s.range.start);
            match *step {
                Step::Split { place, share, after_ms } => {
                    now = Timestamp::from_millis(now.as_millis() + after_ms);
                    let shard = &open[place % open.len()];
                    let width = shard.range.end.0 - shard.range.start.0;
                    let at = shard.range.start.0 + width / 256 * u128::from(share) + 2;
                    let _ = map.split(shard.id, HashKey(at), now);
                }
                Step::Merge { place, after_ms } if open.len() > 1 => {
                    now = Timestamp::from_millis(now.as_millis() + after_ms);
                    let place = place % (open.len() - 1);
                    map.merge(open[place].id, open[place + 1].id, now).unwrap();
                }
                Step::Merge { .. } => {}
            }
            instants.push(now);
        }
        (map, instants)
    }

    pub(crate) fn assert_tiles(mut ranges: Vec<HashKeyRange>) {
        ranges.sort_by_key(|r| r.start);
        assert_eq!(ranges.first().map(|r| r.start), Some(HashKey::MIN));
        assert_eq!(ranges.last().map(|r| r.end), Some(HashKey::MAX));
        for pair in ranges.windows(2) {
            assert!(pair[0].is_followed_by(&pair[1]), "{} and {}", pair[0], pair[1]);
        }
    }

    proptest! {
        #[test]
        fn every_instant_is_tiled(count in 1u32..8, steps in steps()) {
            let (map, instants) = play(count, &steps);
            for t in instants {
                assert_tiles(map.all().iter().filter(|s| s.owned_at(t)).map(|s| s.range).collect());
            }
            assert_tiles(map.open().map(|s| s.range).collect());
        }

        #[test]
        fn children_stand_above_parents_and_cover_them(count in 1u32..8, steps in steps()) {
            let (map, _) = play(count, &steps);
            for shard in map.all() {
                let children = map.children_of(shard.id);
                prop_assert_eq!(shard.is_open(), children.is_empty());
                for child in &children {
                    prop_assert!(child.parents.contains(&shard.id));
                    let child = map.get(child.shard).unwrap();
                    prop_assert!(shard.ending_number().unwrap() < child.starting_number());
                }
            }
        }

        #[test]
        fn maps_come_back_from_their_rows(count in 1u32..8, steps in steps()) {
            let (map, _) = play(count, &steps);
            let text = serde_json::to_string(&map).unwrap();
            prop_assert_eq!(serde_json::from_str::<ShardMap>(&text).unwrap(), map);
        }
    }

    #[test]
    fn split_wants_a_key_well_inside_and_merge_wants_neighbours_in_order() {
        let mut map = ShardMap::new(2, BIRTH);
        let ids = [0, 1, 2, 9].map(ShardId::new);
        let range = map.get(ids[0]).unwrap().range;
        for at in [range.start.0, range.start.0 + 1, range.end.0, range.end.0 + 1] {
            let refused = map.split(ids[0], HashKey(at), BIRTH);
            assert!(matches!(refused, Err(ReshardError::NotInside { .. })), "{at}");
        }
        assert_eq!(
            map.merge(ids[1], ids[0], BIRTH),
            Err(ReshardError::NotAdjacent { lower: ids[1], upper: ids[0] })
        );
        assert_eq!(map.merge(ids[0], ids[1], BIRTH), Ok(ids[2]));
        assert_eq!(
            map.split(ids[0], HashKey(77), BIRTH),
            Err(ReshardError::Closed { shard: ids[0] })
        );
        assert_eq!(
            map.split(ids[3], HashKey(77), BIRTH),
            Err(ReshardError::NotFound { shard: ids[3] })
        );
    }

    #[test]
    fn the_clock_may_step_back_between_reshards() {
        let mut map = ShardMap::new(1, BIRTH);
        let later = Timestamp::from_secs(BIRTH.as_secs() + 100);
        let [lower, _] = map.split(ShardId::new(0), HashKey(1 << 100), later).unwrap();
        map.split(lower, HashKey(1 << 90), BIRTH).unwrap();
        for t in [BIRTH, later] {
            assert_tiles(map.all().iter().filter(|s| s.owned_at(t)).map(|s| s.range).collect());
        }
    }

    #[test]
    fn expired_shards_go_and_their_numbers_stay_used() {
        let mut map = ShardMap::new(1, BIRTH);
        map.split(ShardId::new(0), HashKey(1 << 100), BIRTH).unwrap();
        assert_eq!(map.remove_expired(BIRTH), [], "closed at the horizon is not before it");
        let later = Timestamp::from_millis(BIRTH.as_millis() + 1);
        assert_eq!(map.remove_expired(later), [ShardId::new(0)]);
        assert_eq!(map.remove_expired(later), []);
        let merged = map.merge(ShardId::new(1), ShardId::new(2), later).unwrap();
        assert_eq!(merged, ShardId::new(3));
    }
}

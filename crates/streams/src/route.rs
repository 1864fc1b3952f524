//! From a hash key to the open shard that owns it, by binary search.

use millstream_base::HashKey;

use crate::shard_map::ShardMap;

/// The last hash key of every open shard, ascending, and the shards' places in the map.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    ends: Box<[u128]>,
    places: Box<[u32]>,
}

impl Route {
    pub(crate) fn new(map: &ShardMap) -> Self {
        let open = (0u32..).zip(map.all()).filter(|(_, s)| s.is_open());
        let mut ends: Vec<(u128, u32)> = open.map(|(place, s)| (s.range.end.0, place)).collect();
        ends.sort_unstable();
        let (ends, places): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        Route { ends: ends.into(), places: places.into() }
    }

    /// Number of open shards.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Which of the open shards (0 to `len`) owns `key`.
    pub(crate) fn find(&self, key: HashKey) -> usize {
        let at = self.ends.partition_point(|end| *end < key.0);
        assert!(at < self.ends.len(), "open shards cover the ring, and {key} is not covered");
        at
    }

    /// The place in [`ShardMap::all`] of an open shard.
    pub(crate) fn place(&self, open: usize) -> usize {
        self.places[open] as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::shard_map::tests::{play, steps};

    proptest! {
        #[test]
        fn every_key_goes_to_the_open_shard_that_owns_it(
            count in 1u32..8, steps in steps(), keys in prop::collection::vec(any::<u128>(), 20),
        ) {
            let (map, _) = play(count, &steps);
            let route = Route::new(&map);
            prop_assert_eq!(route.len(), map.open().count());
            let edges = map.open().flat_map(|s| [s.range.start.0, s.range.end.0]);
            for key in keys.into_iter().chain(edges).map(HashKey) {
                let shard = &map.all()[route.place(route.find(key))];
                prop_assert!(shard.is_open() && shard.range.contains(key), "{} in {:?}", key, shard);
            }
        }
    }
}

//! What lists have shown of a stream's shards: facts that must never change, and a whole ring.

use std::collections::{BTreeMap, BTreeSet};

use millstream_api::kinesis as api;
use millstream_base::HashKey;

use super::number::{Number, Verdict, number};

#[derive(Default)]
pub(crate) struct Lineage {
    shards: BTreeMap<String, Seen>,
    /// Whose end a reader from their beginning has reached.
    ended: BTreeSet<String>,
}

struct Seen {
    range: (u128, u128),
    parents: Vec<String>,
    first: Number,
    /// Present once it was seen closed.
    last: Option<Number>,
}

impl Lineage {
    pub(crate) fn len(&self) -> usize {
        self.shards.len()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.shards.keys().cloned().collect()
    }

    /// A list without a filter, as one answer shows it. `may_miss`: shards may be expired.
    pub(crate) fn see_all(&mut self, listed: &[api::Shard], may_miss: bool) -> Verdict {
        for shard in listed {
            self.see(shard)?;
        }
        whole_ring(listed.iter().filter(|s| is_open(s)))?;
        let names: BTreeSet<&str> = listed.iter().map(|s| &*s.shard_id).collect();
        if names.len() != listed.len() {
            return Err(format!("a shard is listed twice: {names:?}"));
        }
        match self.shards.keys().find(|name| !names.contains(name.as_str())) {
            Some(missing) if !may_miss => Err(format!("LOST: {missing} is not in {names:?}")),
            _ => Ok(()),
        }
    }

    /// A shard as any list or description shows it.
    pub(crate) fn see(&mut self, shard: &api::Shard) -> Verdict {
        let name = &shard.shard_id;
        let parents = shard.parent_shard_id.iter().chain(&shard.adjacent_parent_shard_id);
        let numbers = &shard.sequence_number_range;
        let now = Seen {
            range: range_of(shard),
            parents: parents.cloned().collect(),
            first: number(&numbers.starting_sequence_number),
            last: numbers.ending_sequence_number.as_deref().map(number),
        };
        for parent in &now.parents {
            match self.shards.get(parent) {
                // Expired before anyone saw it, or saw it closed; were it open still, the ring
                // would be covered twice.
                None | Some(Seen { last: None, .. }) => {}
                Some(Seen { last: Some(last), .. }) if *last < now.first => {}
                Some(Seen { last, .. }) => {
                    return Err(format!(
                        "{name} begins at {}, {parent} ends at {last:?}",
                        now.first
                    ));
                }
            }
        }
        if now.last.as_ref().is_some_and(|last| *last <= now.first) {
            return Err(format!("{name} ends at {:?}, before it begins", now.last));
        }
        if let Some(before) = self.shards.get(name) {
            let same = before.range == now.range
                && before.parents == now.parents
                && before.first == now.first
                && (before.last.is_none() || before.last == now.last);
            if !same {
                return Err(format!("LOST: {name} has changed: {shard:?}"));
            }
        }
        self.shards.insert(name.clone(), now);
        Ok(())
    }

    /// A record with that hash key is said to be in the shard.
    pub(crate) fn check_owner(&self, shard: &str, key: HashKey, number: &Number) -> Verdict {
        let Some(seen) = self.shards.get(shard) else { return Ok(()) };
        let (start, end) = seen.range;
        if !(start..=end).contains(&key.0) {
            return Err(format!("hash key {key} is in {shard}, which has {start} to {end}"));
        }
        if *number <= seen.first || seen.last.as_ref().is_some_and(|last| number >= last) {
            return Err(format!("{number} is not between the ends of {shard}"));
        }
        Ok(())
    }

    /// A reader from the beginning is told that the shard ends, with these children.
    pub(crate) fn ends(
        &mut self,
        shard: &str,
        from_start: bool,
        to: &[api::ChildShard],
    ) -> Verdict {
        if to.is_empty() || to.iter().any(|child| !child.parent_shards.iter().any(|p| p == shard)) {
            return Err(format!("{shard} ends and leads to {to:?}"));
        }
        if from_start {
            self.ended.insert(shard.to_owned());
        }
        Ok(())
    }

    pub(crate) fn has_ended(&self, shard: &str) -> bool {
        self.ended.contains(shard)
    }
}

pub(crate) fn is_open(shard: &api::Shard) -> bool {
    shard.sequence_number_range.ending_sequence_number.is_none()
}

pub(crate) fn range_of(shard: &api::Shard) -> (u128, u128) {
    let key = |text: &str| text.parse().unwrap_or(u128::MAX);
    let range = &shard.hash_key_range;
    (key(&range.starting_hash_key), key(&range.ending_hash_key))
}

/// These shards own every hash key once.
pub(crate) fn whole_ring<'a>(shards: impl Iterator<Item = &'a api::Shard>) -> Verdict {
    let mut ranges: Vec<(u128, u128)> = shards.map(range_of).collect();
    ranges.sort_unstable();
    let joined = ranges.windows(2).all(|pair| pair[0].1.checked_add(1) == Some(pair[1].0));
    let ends =
        ranges.first().map(|r| r.0) == Some(0) && ranges.last().map(|r| r.1) == Some(u128::MAX);
    match joined && ends {
        true => Ok(()),
        false => Err(format!("LOST: the ring is not covered by {ranges:?}")),
    }
}

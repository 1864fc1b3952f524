//! Which shard may be read when: children after all of their parents that are read.
//!
//! Pure bookkeeping; the reading itself is in `follow`.

use std::collections::{HashMap, HashSet};

/// A shard and the shards it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kin {
    pub id: String,
    /// None, one (after a split) or two (after a merge).
    pub parents: Vec<String>,
    /// Closed shards take no more records.
    pub open: bool,
}

/// The shards that are known, waiting, read, or done.
#[derive(Debug, Default)]
pub struct Family {
    reading: HashSet<String>,
    done: HashSet<String>,
    waiting: HashMap<String, Vec<String>>,
}

impl Family {
    /// Takes in `shards`; returns those to read from the start position: with `open_only` (for
    /// `latest`) the open ones, else those without a parent among `shards`.
    pub fn start(&mut self, shards: Vec<Kin>, open_only: bool) -> Vec<String> {
        if open_only {
            let open: Vec<String> = shards.into_iter().filter(|s| s.open).map(|s| s.id).collect();
            self.reading.extend(open.iter().cloned());
            return open;
        }
        let known: HashSet<String> = shards.iter().map(|s| s.id.clone()).collect();
        for shard in shards {
            let parents = shard.parents.into_iter().filter(|p| known.contains(p)).collect();
            self.waiting.insert(shard.id, parents);
        }
        self.ready()
    }

    /// `shard` was read to its end and `children` came out of it; returns shards to read now.
    pub fn ended(&mut self, shard: &str, children: Vec<Kin>) -> Vec<String> {
        self.reading.remove(shard);
        self.done.insert(shard.to_owned());
        for child in children {
            if self.reading.contains(&child.id) || self.done.contains(&child.id) {
                continue;
            }
            // A parent that nobody reads here ended before the start position.
            let parents = child
                .parents
                .into_iter()
                .filter(|p| self.reading.contains(p) || self.waiting.contains_key(p))
                .collect();
            self.waiting.insert(child.id, parents);
        }
        self.ready()
    }

    fn ready(&mut self) -> Vec<String> {
        let done = &self.done;
        let mut ready: Vec<String> = self
            .waiting
            .extract_if(|_, parents| parents.iter().all(|p| done.contains(p)))
            .map(|(id, _)| id)
            .collect();
        ready.sort();
        self.reading.extend(ready.iter().cloned());
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kin(id: &str, parents: &[&str], open: bool) -> Kin {
        let parents = parents.iter().map(|p| (*p).to_owned()).collect();
        Kin { id: id.to_owned(), parents, open }
    }

    #[test]
    fn from_the_start_children_wait_for_their_parents() {
        let mut family = Family::default();
        let shards = vec![
            kin("1", &["gone"], false),
            kin("2", &["1"], false),
            kin("3", &["1"], true),
            kin("4", &["2", "5"], true),
            kin("5", &[], false),
        ];
        assert_eq!(family.start(shards, false), ["1", "5"]);
        assert_eq!(family.ended("5", vec![]), [""; 0]);
        assert_eq!(family.ended("1", vec![kin("2", &["1"], true)]), ["2", "3"]);
        assert_eq!(family.ended("2", vec![]), ["4"]);
        assert_eq!(family.ended("3", vec![]), [""; 0]);
        assert_eq!(family.ended("4", vec![]), [""; 0]);
    }

    #[test]
    fn from_latest_only_open_shards_are_read_and_then_their_children() {
        let mut family = Family::default();
        let shards = vec![kin("1", &[], false), kin("2", &["1"], true), kin("3", &["1"], true)];
        assert_eq!(family.start(shards, true), ["2", "3"]);
        let merged = || vec![kin("4", &["2", "3"], true)];
        assert_eq!(family.ended("2", merged()), [""; 0]);
        assert_eq!(family.ended("3", merged()), ["4"]);
    }

    #[test]
    fn a_child_that_both_parents_name_is_read_once() {
        let mut family = Family::default();
        family.start(vec![kin("1", &[], true), kin("2", &[], true)], true);
        family.ended("1", vec![]);
        assert_eq!(family.ended("2", vec![kin("3", &["1", "2"], true)]), ["3"]);
        assert_eq!(family.ended("3", vec![kin("3", &["1", "2"], true)]), [""; 0]);
    }
}

//! Knows what was attempted, acknowledged and refused, and judges what is read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use conformance::matcher::decimal_key;

use crate::Found;

/// Streams under load.
pub const STREAMS: [&str; 3] = ["one", "four", "six"];

/// One shard of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    pub stream: String,
    pub id: String,
}

/// The shards of a stream, whose number its name tells.
pub fn shards(stream: &str) -> Vec<Shard> {
    let count = match stream {
        "one" => 1,
        "four" => 4,
        _ => 6,
    };
    let shard = |index| Shard { stream: stream.to_owned(), id: format!("shardId-{index:012}") };
    (0..count).map(shard).collect()
}

/// The identity of a record, from which all its bytes follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId {
    pub key: String,
    pub round: u64,
    /// Counts the calls of a writer.
    pub call: u64,
    /// Place within a batch.
    pub index: u64,
}

impl RecordId {
    /// The data: the identity in words, then filling whose length and bytes follow from it.
    pub fn data(&self) -> Vec<u8> {
        let mut data =
            format!("{}/{}/{}/{}/", self.key, self.round, self.call, self.index).into_bytes();
        let mix = (self.call * 31 + self.index * 17 + self.round) % 997;
        let filling = if mix < 5 { 60_000 } else { mix as usize };
        data.extend((0..filling).map(|at| (at as u64 * 7 + mix) as u8));
        data
    }

    fn parse(key: &str, data: &[u8]) -> Option<Self> {
        let head = data.split(|byte| *byte == b'/').take(4);
        let head: Vec<String> = head.map(|part| String::from_utf8_lossy(part).into()).collect();
        let [told_key, round, call, index] = head.as_slice() else { return None };
        let id = Self {
            key: told_key.clone(),
            round: round.parse().ok()?,
            call: call.parse().ok()?,
            index: index.parse().ok()?,
        };
        (key == told_key && id.data() == data).then_some(id)
    }
}

/// Everything known about the run.
#[derive(Debug, Default)]
pub struct Oracle {
    /// By shard: acknowledged records by number.
    placed: HashMap<Shard, BTreeMap<String, RecordId>>,
    attempted: HashSet<RecordId>,
    refused: HashSet<RecordId>,
    last_checked: HashMap<Shard, String>,
    last_found: HashMap<Shard, RecordId>,
    /// Streams whose creation was acknowledged and whose deletion was not attempted.
    alive: BTreeSet<String>,
    gone: BTreeSet<String>,
    acknowledged: u64,
    unacknowledged_found: u64,
}

impl Oracle {
    /// A record is about to be sent.
    pub fn attempt(&mut self, id: &RecordId) {
        self.attempted.insert(id.clone());
    }

    /// The server said where it is.
    pub fn acknowledge(&mut self, id: &RecordId, stream: &str, shard: &str, number: &str) {
        let shard = Shard { stream: stream.to_owned(), id: shard.to_owned() };
        let before = self.placed.entry(shard).or_default().insert(number.to_owned(), id.clone());
        assert!(before.is_none(), "number {number} was given to {before:?} and to {id:?}");
        self.acknowledged += 1;
    }

    /// The server said that it did not take it.
    pub fn refuse(&mut self, id: &RecordId) {
        self.refused.insert(id.clone());
    }

    /// The creation of a stream was acknowledged.
    pub fn created(&mut self, name: &str) {
        self.alive.insert(name.to_owned());
    }

    /// The deletion of a stream is about to be asked for.
    pub fn deleting(&mut self, name: &str) {
        self.alive.remove(name);
    }

    /// The deletion of a stream was acknowledged.
    pub fn deleted(&mut self, name: &str) {
        self.gone.insert(name.to_owned());
    }

    /// The newest number read of that shard.
    pub fn last_checked(&self, shard: &Shard) -> Option<String> {
        self.last_checked.get(shard).cloned()
    }

    /// Compares what was read of a shard, from the beginning or from the last check on.
    pub fn judge(&mut self, shard: &Shard, found: &[Found], goes_on: bool) -> Result<(), String> {
        let mut before = if goes_on { self.last_checked(shard) } else { None };
        let mut previous = if goes_on { self.last_found.get(shard).cloned() } else { None };
        let start = before.clone();
        let none = BTreeMap::new();
        let placed = self.placed.get(shard).unwrap_or(&none);
        let mut seen = HashSet::new();
        let mut latest: HashMap<String, RecordId> = HashMap::new();
        for (number, key, data) in found {
            let place = format!("{} {} at {number}", shard.stream, shard.id);
            if before.as_ref().is_some_and(|last| decimal_key(last) >= decimal_key(number)) {
                return Err(format!("{place}: not above {before:?}"));
            }
            let Some(id) = RecordId::parse(key, data) else {
                return Err(format!("{place}: {key} with {} bytes was never sent", data.len()));
            };
            if !self.attempted.contains(&id) || self.refused.contains(&id) {
                return Err(format!("{place}: {id:?} was never sent, or refused"));
            }
            if !seen.insert(id.clone()) {
                return Err(format!("{place}: {id:?} is there twice"));
            }
            if placed.get(number).is_some_and(|promised| *promised != id) {
                return Err(format!("{place}: {id:?} instead of {:?}", placed[number]));
            }
            if previous.as_ref().is_some_and(|previous| previous.round > id.round) {
                return Err(format!("{place}: {id:?} after the later {previous:?}"));
            }
            let order = |id: &RecordId| (id.round, id.call);
            if latest.get(key).is_some_and(|latest| order(latest) > order(&id)) {
                return Err(format!("{place}: {id:?} after its writer's {:?}", latest[key]));
            }
            self.unacknowledged_found += u64::from(!placed.contains_key(number));
            latest.insert(key.clone(), id.clone());
            before = Some(number.clone());
            previous = Some(id);
        }
        let numbers: HashSet<&String> = found.iter().map(|(number, ..)| number).collect();
        let start = start.as_deref().map(decimal_key);
        for (number, id) in placed {
            let expected = start.is_none_or(|start| decimal_key(number) > start);
            if expected && !numbers.contains(number) {
                return Err(format!("{shard:?}: {id:?}, acknowledged as {number}, is lost"));
            }
        }
        if let (Some(before), Some(previous)) = (before, previous) {
            self.last_checked.insert(shard.clone(), before);
            self.last_found.insert(shard.clone(), previous);
        }
        Ok(())
    }

    /// Compares the list of streams.
    pub fn judge_streams(&self, names: &[String]) -> Result<(), String> {
        if let Some(lost) = self.alive.iter().find(|name| !names.contains(name)) {
            return Err(format!("stream {lost}, acknowledged, is lost"));
        }
        match self.gone.iter().find(|name| names.contains(name)) {
            Some(back) => Err(format!("stream {back}, acknowledged as deleted, is back")),
            None => Ok(()),
        }
    }

    /// The streams under load were deleted.
    pub fn forget_records(&mut self) {
        self.placed.clear();
        self.attempted.clear();
        self.refused.clear();
        self.last_checked.clear();
        self.last_found.clear();
    }

    /// Records acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The run in a line.
    pub fn summary(&self) -> String {
        format!(
            "{} records acknowledged, {} more found that were in flight, {} streams kept, {} deleted",
            self.acknowledged,
            self.unacknowledged_found,
            self.alive.len(),
            self.gone.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard() -> Shard {
        shards("one").remove(0)
    }

    fn id(call: u64) -> RecordId {
        RecordId { key: "writer".to_owned(), round: 0, call, index: 0 }
    }

    fn found(number: u64, call: u64) -> Found {
        (number.to_string(), "writer".to_owned(), id(call).data())
    }

    /// Calls 1 and 2 are acknowledged at 10 and 20, 3 was in flight, 4 was refused.
    fn oracle() -> Oracle {
        let mut oracle = Oracle::default();
        (1..=4).for_each(|call| oracle.attempt(&id(call)));
        oracle.acknowledge(&id(1), "one", "shardId-000000000000", "10");
        oracle.acknowledge(&id(2), "one", "shardId-000000000000", "20");
        oracle.refuse(&id(4));
        oracle
    }

    #[test]
    fn what_is_right_is_accepted() {
        for records in
            [vec![found(10, 1), found(20, 2)], vec![found(10, 1), found(20, 2), found(30, 3)]]
        {
            oracle().judge(&shard(), &records, false).expect("nothing is wrong");
        }
    }

    #[test]
    fn what_is_wrong_is_seen() {
        let mut changed = found(20, 2);
        changed.2[3] ^= 1;
        for (records, word) in [
            (vec![found(10, 1)], "lost"),
            (vec![found(10, 1), found(20, 2), found(30, 2)], "twice"),
            (vec![found(10, 2), found(20, 1)], "instead"),
            (vec![found(10, 1), found(10, 1), found(20, 2)], "not above"),
            (vec![found(10, 1), found(15, 3), found(20, 2)], "after"),
            (vec![found(10, 1), found(20, 2), found(30, 4)], "refused"),
            (vec![found(10, 1), found(20, 2), found(30, 5)], "never sent"),
            (vec![found(10, 1), changed], "never sent"),
        ] {
            let error = oracle().judge(&shard(), &records, false).expect_err(word);
            assert!(error.contains(word), "{error} does not say {word}");
        }
    }
}

//! What the clients of Data Streams know, and what every answer must therefore be.
//!
//! A record's partition key names the record, and its data is a function of that name.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millstream_api::kinesis as api;
use millstream_base::{HashKey, Timestamp};
use millstream_env::sim::Rng;

use super::lineage::Lineage;
use super::number::{Number, Verdict, number};

/// A moment of the oracle: grows with everything it learns.
pub(crate) type Tick = u64;

pub(crate) struct StreamOracle {
    seed: u64,
    tick: Tick,
    pub(crate) streams: BTreeMap<String, StreamModel>,
    /// Clients that are doing something with a stream.
    busy: BTreeMap<String, u32>,
    /// Streams and clients whose fan-out consumer is registered.
    pub(crate) consumers: BTreeSet<(String, usize)>,
    /// The latest time that the clock ever showed, in milliseconds.
    clock_peak: i64,
    /// Clients that keep a key disabled, and when one last ended that.
    keys_off: u32,
    keys_back: Tick,
    records: Vec<RecordModel>,
}

#[derive(Default)]
pub(crate) struct StreamModel {
    pub(crate) created: Option<Tick>,
    pub(crate) delete_asked: bool,
    pub(crate) deleted: bool,
    pub(crate) shard_count: usize,
    /// Whose settings these are: one client changes them.
    pub(crate) owner: usize,
    pub(crate) retention: BTreeSet<i32>,
    /// Capacity modes it may be in.
    pub(crate) modes: BTreeSet<String>,
    pub(crate) tags: BTreeMap<String, Vec<Option<String>>>,
    /// The name it goes by; that of a deleted stream may be taken again.
    pub(crate) wire: String,
    /// Another stream has its name now.
    pub(crate) replaced: bool,
    /// The clock when it was asked for, in milliseconds.
    pub(crate) made_wall: i64,
    pub(crate) reshard_asked: bool,
    pub(crate) lineage: Lineage,
    shards: BTreeMap<String, BTreeMap<Number, Known>>,
    /// What was put under every hash key, in all shards: children's numbers stand above parents'.
    by_key: BTreeMap<String, BTreeMap<Number, u32>>,
}

/// Less than any retention, by more than all small steps of the clock together.
const EXPIRY_MILLIS: i64 = 20 * 3_600_000;

#[derive(Clone, Copy)]
struct Known {
    record: u32,
    since: Tick,
}

struct RecordModel {
    stream: String,
    hash: Option<String>,
    size: u32,
    state: State,
    began: Tick,
    ended: Tick,
    /// Milliseconds, once read.
    arrived: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    InFlight,
    There { shard: String, number: Number },
    Uncertain,
    Refused,
}

/// Where a reader began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Horizon,
    At(Number),
    After(Number),
    /// Milliseconds.
    Time(i64),
    /// Asked and answered.
    Latest(Tick, Tick),
}

/// A reader's place in a shard.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) stream: String,
    pub(crate) shard: String,
    pub(crate) start: Start,
    pub(crate) last: Option<Number>,
}

impl StreamOracle {
    pub(crate) fn new(seed: u64) -> Self {
        StreamOracle {
            seed,
            tick: 0,
            streams: BTreeMap::new(),
            busy: BTreeMap::new(),
            consumers: BTreeSet::new(),
            clock_peak: 0,
            keys_off: 0,
            keys_back: 0,
            records: Vec::new(),
        }
    }

    pub(crate) fn now(&mut self) -> Tick {
        self.tick += 1;
        self.tick
    }

    pub(crate) fn keys_go_off(&mut self) {
        self.keys_off += 1;
    }

    pub(crate) fn keys_come_back(&mut self) {
        self.keys_off -= 1;
        self.keys_back = self.now();
    }

    /// Whether a key may have been disabled at some moment since `asked`.
    pub(crate) fn keys_may_be_off(&self, asked: Tick) -> bool {
        self.keys_off > 0 || self.keys_back > asked
    }

    pub(crate) fn must_exist(&self, stream: &str, asked: Tick) -> bool {
        self.streams
            .get(stream)
            .is_some_and(|s| s.created.is_some_and(|at| at < asked) && !s.delete_asked)
    }

    /// A client begins to work with a stream: its name is not taken by another meanwhile.
    pub(crate) fn begin_work(&mut self, stream: &str) {
        *self.busy.entry(stream.to_string()).or_default() += 1;
    }

    pub(crate) fn end_work(&mut self, stream: &str) {
        *self.busy.entry(stream.to_string()).or_default() -= 1;
    }

    /// Streams that their names lead to.
    pub(crate) fn current(&self) -> Vec<String> {
        let current = self.streams.iter().filter(|(_, s)| !s.replaced);
        current.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn is_a_name(&self, wire: &str) -> bool {
        self.streams.values().any(|s| s.wire == wire && !s.replaced)
    }

    /// The name of a stream that is surely gone, and with which nobody is doing anything; taken.
    pub(crate) fn free_name(&mut self) -> Option<String> {
        let busy = &self.busy;
        let is_free = |name: &str| busy.get(name).is_none_or(|count| *count == 0);
        let mut streams = self.streams.iter_mut();
        let (_, gone) = streams.find(|(name, s)| s.deleted && !s.replaced && is_free(name))?;
        gone.replaced = true;
        Some(gone.wire.clone())
    }

    pub(crate) fn saw_clock(&mut self, peak: i64) {
        self.clock_peak = self.clock_peak.max(peak);
    }

    pub(crate) fn may_be_expired(&self, stream: &str) -> bool {
        self.clock_peak - self.streams[stream].made_wall >= EXPIRY_MILLIS
    }

    /// A shard to read: one that was seen, or one that the stream began with.
    pub(crate) fn some_shard(&self, stream: &str, rng: &mut Rng) -> String {
        let s = &self.streams[stream];
        match s.lineage.names() {
            seen if !seen.is_empty() => rng.pick(&seen).clone(),
            _ => format!("shardId-{:012}", rng.below(s.shard_count as u64)),
        }
    }

    /// Shards and arrivals of records that were read, in milliseconds.
    pub(crate) fn arrivals(&self, stream: &str) -> Vec<(String, i64)> {
        let shards = self.streams.get(stream).into_iter().flat_map(|s| &s.shards);
        let records = shards.flat_map(|(shard, known)| known.values().map(move |k| (shard, k)));
        let read = records.filter_map(|(shard, k)| {
            Some((shard.clone(), self.records[k.record as usize].arrived?))
        });
        read.collect()
    }

    /// A reader at `place` is told that its shard ends.
    pub(crate) fn ends(&mut self, place: &Place, children: &[api::ChildShard]) -> Verdict {
        let s = self.streams.get_mut(&place.stream).expect("a known stream");
        s.lineage.ends(&place.shard, place.start == Start::Horizon, children)
    }

    /// Nothing is read that was past retention at `wall`, before the call.
    pub(crate) fn check_kept(
        &self,
        place: &Place,
        wall: Timestamp,
        records: &[api::Record],
    ) -> Verdict {
        let hours = self.streams[&place.stream].retention.last().copied().unwrap_or_default();
        let horizon = wall.as_millis() as i64 - i64::from(hours) * 3_600_000;
        let arrived =
            |r: &api::Record| r.approximate_arrival_timestamp.map_or(0, |t| t.as_millis());
        match records.iter().find(|r| arrived(r) < horizon) {
            Some(r) => Err(format!("{place:?} returns {} from before {horizon}", arrived(r))),
            None => Ok(()),
        }
    }

    /// A new record, from now on in flight: its name (the partition key) and data.
    pub(crate) fn begin(
        &mut self,
        stream: &str,
        hash: Option<String>,
        size: u32,
    ) -> (u32, String, Bytes) {
        let id = self.records.len() as u32;
        let began = self.now();
        self.records.push(RecordModel {
            stream: stream.to_string(),
            hash,
            size,
            state: State::InFlight,
            began,
            ended: Tick::MAX,
            arrived: None,
        });
        (id, format!("r{id}"), self.data(id, size))
    }

    pub(crate) fn stored(&mut self, id: u32, shard: &str, text: &str) -> Verdict {
        self.records[id as usize].ended = self.now();
        self.place(id, shard, number(text), None)
    }

    pub(crate) fn began(&self, id: u32) -> Tick {
        self.records[id as usize].began
    }

    pub(crate) fn uncertain(&mut self, id: u32) {
        let ended = self.now();
        let r = &mut self.records[id as usize];
        r.ended = ended;
        if r.state == State::InFlight {
            r.state = State::Uncertain;
        }
    }

    pub(crate) fn refused(&mut self, id: u32) -> Verdict {
        let ended = self.now();
        let r = &mut self.records[id as usize];
        r.ended = ended;
        if r.state != State::InFlight {
            return Err(format!("record {id} was refused, but it is {:?}", r.state));
        }
        r.state = State::Refused;
        Ok(())
    }

    /// Record `id` has this place: the first one to say so fixes it.
    fn place(&mut self, id: u32, shard: &str, number: Number, arrived: Option<i64>) -> Verdict {
        let r = &self.records[id as usize];
        let fixed = State::There { shard: shard.to_string(), number: number.clone() };
        let (stream, known_before) = (r.stream.clone(), r.state == fixed);
        if matches!(r.state, State::There { .. } | State::Refused) && !known_before {
            return Err(format!(
                "record {id} of {stream} shows up in {shard} at {number}, but it is {:?}",
                r.state
            ));
        }
        if let (Some(a), Some(b)) = (r.arrived, arrived)
            && a != b
        {
            return Err(format!("record {id} arrived at {a} and at {b}"));
        }
        if !known_before {
            self.check_order(id, &stream, shard, &number)?;
            self.check_key(id, &stream, shard, &number)?;
            let s = &self.streams[&stream];
            if s.lineage.has_ended(shard) && !self.may_be_expired(&stream) {
                return Err(format!(
                    "LOST: record {id} is in {stream}/{shard} at {number}, whose end was read \
                     without it"
                ));
            }
            let since = self.now();
            let s = self.streams.get_mut(&stream).expect("records belong to known streams");
            let of_shard = s.shards.entry(shard.to_string()).or_default();
            if let Some(other) = of_shard.insert(number.clone(), Known { record: id, since }) {
                return Err(format!(
                    "sequence number {number} of {stream}/{shard} is given twice: records {} \
                     and {id}",
                    other.record
                ));
            }
        }
        let r = &mut self.records[id as usize];
        r.state = fixed;
        r.arrived = r.arrived.or(arrived);
        Ok(())
    }

    /// Puts that did not overlap in time stand in the order of their calls.
    fn check_order(&self, id: u32, stream: &str, shard: &str, number: &Number) -> Verdict {
        let r = &self.records[id as usize];
        let Some(known) = self.streams.get(stream).and_then(|s| s.shards.get(shard)) else {
            return Ok(());
        };
        for (at, k) in known {
            let other = &self.records[k.record as usize];
            if (at < number && other.began > r.ended) || (at > number && other.ended < r.began) {
                return Err(format!(
                    "order of {stream}/{shard}: record {id} at {number} and record {} at {at} \
                     were put the other way round",
                    k.record
                ));
            }
        }
        Ok(())
    }

    /// The shard owns the record's hash key, and what was put under the key before stands before.
    fn check_key(&mut self, id: u32, stream: &str, shard: &str, number: &Number) -> Verdict {
        let r = &self.records[id as usize];
        let s = self.streams.get_mut(stream).expect("records belong to known streams");
        let Some(hash) = r.hash.clone() else {
            let key = HashKey::of_partition_key(format!("r{id}").as_bytes());
            return s.lineage.check_owner(shard, key, number);
        };
        let key = HashKey(hash.parse().expect("a hash key of ours"));
        s.lineage.check_owner(shard, key, number)?;
        let of_key = s.by_key.entry(hash.clone()).or_default();
        for (at, other) in of_key.iter() {
            let other = &self.records[*other as usize];
            if (at < number && other.began > r.ended) || (at > number && other.ended < r.began) {
                return Err(format!(
                    "order of {stream}, key {hash}: record {id} at {number} and one at {at} were \
                     put the other way round"
                ));
            }
        }
        of_key.insert(number.clone(), id);
        Ok(())
    }

    /// A page that a reader got, asked for at `asked`.
    pub(crate) fn page(
        &mut self,
        place: &mut Place,
        asked: Tick,
        records: &[api::Record],
        at_end: bool,
    ) -> Verdict {
        let before = place.last.clone();
        let mut got = BTreeSet::new();
        let mut arrived_last = i64::MIN;
        for r in records {
            let n = number(&r.sequence_number);
            if place.last.as_ref().is_some_and(|l| *l >= n) {
                return Err(format!("{place:?} is followed by {n}"));
            }
            let arrived = r.approximate_arrival_timestamp.map_or(0, |t| t.as_millis());
            if arrived < arrived_last {
                return Err(format!("times fall in {place:?}: {arrived} after {arrived_last}"));
            }
            arrived_last = arrived;
            self.check_record(&place.stream, &place.shard, r, arrived)?;
            self.check_start(place, &n, arrived)?;
            got.insert(n.clone());
            place.last = Some(n);
        }
        self.check_nothing_missing(place, before, asked, &got, at_end)
    }

    fn check_record(
        &mut self,
        stream: &str,
        shard: &str,
        r: &api::Record,
        arrived: i64,
    ) -> Verdict {
        let key = r.partition_key.as_deref().unwrap_or_default();
        let id = key.strip_prefix('r').and_then(|n| n.parse::<u32>().ok());
        let wrote = id.and_then(|id| self.records.get(id as usize)).filter(|w| w.stream == stream);
        let (Some(id), Some(wrote)) = (id, wrote) else {
            return Err(format!("{stream}/{shard} holds a record {key:?} nobody put there"));
        };
        if r.data != self.data(id, wrote.size) {
            return Err(format!(
                "the data of record {id} in {stream}/{shard} was changed: {} bytes, put {}",
                r.data.len(),
                wrote.size
            ));
        }
        self.place(id, shard, number(&r.sequence_number), Some(arrived))
    }

    fn check_start(&self, place: &Place, n: &Number, arrived: i64) -> Verdict {
        let fine = match &place.start {
            Start::Horizon => true,
            Start::At(from) => n >= from,
            Start::After(from) => n > from,
            Start::Time(at) => arrived >= *at,
            Start::Latest(asked, _) => {
                let known = &self.streams[&place.stream].shards[&place.shard][n];
                self.records[known.record as usize].ended > *asked
            }
        };
        if fine { Ok(()) } else { Err(format!("{place:?} returns {n} (arrived {arrived})")) }
    }

    fn check_nothing_missing(
        &self,
        place: &Place,
        before: Option<Number>,
        asked: Tick,
        got: &BTreeSet<Number>,
        at_end: bool,
    ) -> Verdict {
        let s = &self.streams[&place.stream];
        let Some(known) = s.shards.get(&place.shard) else { return Ok(()) };
        for (n, k) in known {
            let r = &self.records[k.record as usize];
            let started = match (&before, &place.start) {
                (Some(last), _) => n > last,
                (None, Start::Horizon) => true,
                (None, Start::At(from)) => n >= from,
                (None, Start::After(from)) => n > from,
                (None, Start::Time(at)) => r.arrived.is_some_and(|t| t >= *at),
                (None, Start::Latest(_, answered)) => r.began > *answered,
            };
            let passed = at_end || place.last.as_ref().is_some_and(|l| n < l);
            let kept = !self.may_be_expired(&place.stream);
            if started && passed && kept && k.since < asked && !got.contains(n) {
                return Err(format!(
                    "LOST: record {} at {n} is not in the page of {} after {before:?} of {place:?}",
                    k.record,
                    got.len()
                ));
            }
        }
        Ok(())
    }

    /// Numbers and times of records known to be in a shard.
    pub(crate) fn known(&self, stream: &str, shard: &str) -> Vec<(Number, Option<i64>)> {
        let shard = self.streams.get(stream).and_then(|s| s.shards.get(shard));
        let known = shard.into_iter().flatten();
        known.map(|(n, k)| (n.clone(), self.records[k.record as usize].arrived)).collect()
    }

    /// The data of record `id`: the same whenever it is asked for.
    fn data(&self, id: u32, size: u32) -> Bytes {
        let mut rng = Rng::new(self.seed ^ (id as u64) << 20);
        let mut data = vec![0; size as usize];
        rng.fill(&mut data);
        data.into()
    }
}

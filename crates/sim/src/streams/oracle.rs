//! What the clients of Data Streams know, and what every answer must therefore be.
//!
//! A record's partition key names the record, and its data is a function of that name.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millstream_api::kinesis as api;
use millstream_env::sim::Rng;

/// A moment of the oracle: grows with everything it learns.
pub(crate) type Tick = u64;

pub(crate) type Verdict = Result<(), String>;

/// A sequence number, brought to one length so that it compares as a number.
pub(crate) type Number = String;

pub(crate) struct StreamOracle {
    seed: u64,
    tick: Tick,
    pub(crate) streams: BTreeMap<String, StreamModel>,
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
    pub(crate) tags: BTreeMap<String, Vec<Option<String>>>,
    shards: BTreeMap<String, BTreeMap<Number, Known>>,
    /// The shard of every hash key that was used.
    routes: BTreeMap<String, String>,
}

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

pub(crate) fn number(text: &str) -> Number {
    format!("{text:0>60}")
}

impl StreamOracle {
    pub(crate) fn new(seed: u64) -> Self {
        StreamOracle { seed, tick: 0, streams: BTreeMap::new(), records: Vec::new() }
    }

    pub(crate) fn now(&mut self) -> Tick {
        self.tick += 1;
        self.tick
    }

    pub(crate) fn must_exist(&self, stream: &str, asked: Tick) -> bool {
        self.streams
            .get(stream)
            .is_some_and(|s| s.created.is_some_and(|at| at < asked) && !s.delete_asked)
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
            self.check_route(id, &stream, shard)?;
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

    fn check_route(&mut self, id: u32, stream: &str, shard: &str) -> Verdict {
        let Some(hash) = self.records[id as usize].hash.clone() else { return Ok(()) };
        let s = self.streams.get_mut(stream).expect("records belong to known streams");
        let route = s.routes.entry(hash.clone()).or_insert_with(|| shard.to_string());
        if route != shard {
            return Err(format!("hash key {hash} of {stream} leads to {route} and to {shard}"));
        }
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
            if started && passed && k.since < asked && !got.contains(n) {
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

//! A client of Data Streams: it puts, reads through every kind of iterator, and changes settings.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use millstream_api::kinesis::{self as api, Kinesis};
use millstream_env::sim::Rng;
use millstream_wire::{ServiceError, Time};

use super::Node;
use super::number::Verdict;
use super::oracle::{Place, Start, StreamOracle, Tick};
use crate::lives::{self, Reply};

pub(super) type Life<'a> = lives::Life<'a, Node>;

/// Streams of one run; deleted ones count, their names are not used again.
const STREAMS_MAX: usize = 6;
const READERS_MAX: usize = 4;
/// Pages until a shard's end is reached.
const PAGES_MAX: usize = 5000;
/// Data of one PutRecords call: the log under test takes no batch above 64 KiB.
const PUT_BYTES_MAX: u32 = 40_000;
/// What a reader waits when a shard's read rate is used up.
const THROTTLE_PAUSE: Duration = Duration::from_millis(300);

pub(crate) struct StreamClient {
    pub(super) client: usize,
    pub(super) oracle: Rc<RefCell<StreamOracle>>,
    readers: Vec<Reader>,
    written: u32,
}

struct Reader {
    place: Place,
    iterator: String,
}

impl lives::Client<Node> for StreamClient {
    async fn step(&mut self, life: &Life<'_>, rng: &mut Rng) -> Reply<()> {
        let Some(stream) = self.pick(rng) else { return self.create(life, rng).await };
        self.oracle.borrow_mut().begin_work(&stream);
        let done = self.step_on(life, &stream, rng).await;
        self.oracle.borrow_mut().end_work(&stream);
        done
    }

    async fn verify(&mut self, life: &Life<'_>) -> Reply<()> {
        let names: Vec<String> = self.oracle.borrow().current();
        for name in &names {
            if self.oracle.borrow().streams[name].replaced {
                continue;
            }
            self.oracle.borrow_mut().begin_work(name);
            let verified = self.verify_one(life, name).await;
            self.oracle.borrow_mut().end_work(name);
            verified?;
        }
        self.list(life).await
    }

    async fn recover(&mut self, life: &Life<'_>) -> Reply<bool> {
        let now = self.oracle.borrow_mut().now();
        let stream = {
            let oracle = self.oracle.borrow();
            oracle.streams.keys().find(|s| oracle.must_exist(s, now)).cloned()
        };
        let Some(stream) = stream else { return Ok(true) };
        let (id, input) = self.record(&stream, None, 100);
        let done = ask(life, |p, c| async move { p.service.put_record(&c, input).await }).await;
        let well = matches!(done, Ok(Ok(_)));
        self.settle_put(life, &stream, id, done?)?;
        Ok(well)
    }
}

/// Sends one request to the node's handler.
pub(super) async fn ask<T, F>(
    life: &Life<'_>,
    request: impl FnOnce(Arc<super::Parts>, millstream_server::services::Call) -> F + Send + 'static,
) -> Reply<Result<T, ServiceError>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ServiceError>> + Send + 'static,
{
    life.call(move |node| {
        let call = node.parts().call();
        request(node.0.clone(), call)
    })
    .await
}

impl StreamClient {
    pub(crate) fn new(client: usize, oracle: Rc<RefCell<StreamOracle>>) -> Self {
        StreamClient { client, oracle, readers: Vec::new(), written: 0 }
    }

    async fn verify_one(&mut self, life: &Life<'_>, stream: &str) -> Reply<()> {
        self.look(life, stream).await?;
        for shard in self.shards(life, stream).await? {
            self.read_all(life, stream, &shard).await?;
        }
        Ok(())
    }

    /// One random operation that begins with this stream.
    async fn step_on(&mut self, life: &Life<'_>, stream: &str, rng: &mut Rng) -> Reply<()> {
        match rng.weighted(&[30, 30, 12, 40, 4, 1, 6, 8, 4, 8, 4, 5, 12]) {
            0 => self.put_record(life, stream, rng).await,
            1 => self.put_records(life, stream, rng).await,
            2 => self.new_reader(life, stream, rng).await,
            3 => self.read_on(life, rng).await,
            4 => self.create(life, rng).await,
            5 => self.delete(life, stream).await,
            6 => self.tag(life, stream, rng).await,
            7 if rng.one_in(3) => self.lengthen(life, stream).await,
            7 => self.switch_mode(life, stream, rng).await,
            8 => self.look(life, stream).await,
            9 => self.reshard(life, stream, rng).await,
            10 => self.look_back(life, stream, rng).await,
            11 => self.subscribe(life, stream, rng).await,
            _ => self.encrypt(life, stream, rng).await,
        }
    }

    /// The name by which a stream goes.
    pub(super) fn wire(&self, stream: &str) -> String {
        self.oracle.borrow().streams[stream].wire.clone()
    }

    /// Whether the clock was ever so far ahead that something of the stream can be past retention.
    pub(super) fn may_be_expired(&self, life: &Life<'_>, stream: &str) -> bool {
        self.oracle.borrow_mut().saw_clock(life.judge.clock_peak(life.world));
        self.oracle.borrow().may_be_expired(stream)
    }

    fn pick(&self, rng: &mut Rng) -> Option<String> {
        let oracle = self.oracle.borrow();
        let live = oracle.streams.iter().filter(|(_, s)| !s.replaced);
        let live = live.filter(|(_, s)| !s.deleted || rng.one_in(30));
        let live: Vec<&String> = live.map(|(name, _)| name).collect();
        (!live.is_empty()).then(|| (*rng.pick(&live)).clone())
    }

    pub(super) fn hold(&self, life: &Life<'_>, verdict: Verdict) {
        if let Err(what) = verdict {
            life.judge.fail(what);
        }
    }

    /// Whether the node may rightly answer a call about `stream`, made at `asked`, with `e`.
    pub(super) fn excuse(&self, life: &Life<'_>, stream: &str, asked: Tick, e: &ServiceError) {
        life.world
            .note(format_args!("client {}, {stream}: {} {:?}", self.client, e.code, e.message));
        match &*e.code {
            "ResourceNotFoundException" => {
                let of_shard = e.message.as_deref().is_some_and(|m| m.starts_with("Shard "));
                let expired = of_shard && self.may_be_expired(life, stream);
                if self.oracle.borrow().must_exist(stream, asked) && !expired {
                    life.judge.fail(format!("LOST: {stream} was created: {e:?}"));
                }
            }
            "ProvisionedThroughputExceededException" | "LimitExceededException" => {
                life.judge.count(|s| s.refused += 1);
            }
            "ResourceInUseException" => {}
            "KMSDisabledException" if self.oracle.borrow().keys_may_be_off(asked) => {
                life.judge.count(|s| s.refused += 1);
            }
            "InternalFailure" => self.troubled(life, stream, &format!("{e:?}")),
            // The clock was set back behind the time of a record.
            "InvalidArgumentException"
                if e.message.as_deref().is_some_and(|m| m.starts_with("The timestampInMillis")) => {
            }
            _ => life.judge.fail(format!("a call that is right gets {e:?}")),
        }
    }

    /// A call about a stream failed for a reason of the node's: fine if there is one. That the
    /// stream is deleted meanwhile is none.
    pub(super) fn troubled(&self, life: &Life<'_>, stream: &str, what: &str) {
        life.troubled(&format_args!("{stream}: {what}"));
    }

    async fn create(&mut self, life: &Life<'_>, rng: &mut Rng) -> Reply<()> {
        let count = self.oracle.borrow().streams.len();
        if count >= STREAMS_MAX {
            return Ok(());
        }
        let name = format!("s{count}");
        let shards = rng.between(1, 4) as i32;
        let wire = {
            let mut oracle = self.oracle.borrow_mut();
            let again = if rng.one_in(2) { oracle.free_name() } else { None };
            let wire = again.unwrap_or(name.clone());
            let wall = life.world.now().as_millis() as i64;
            let s = oracle.streams.entry(name.clone()).or_default();
            s.wire = wire.clone();
            s.made_wall = wall;
            s.shard_count = shards as usize;
            s.owner = self.client;
            s.retention.insert(24);
            s.modes.insert(api::StreamMode::Provisioned.as_str().to_owned());
            wire
        };
        let input = api::CreateStreamInput {
            stream_name: wire,
            shard_count: Some(shards),
            ..Default::default()
        };
        let asked = self.oracle.borrow_mut().now();
        match ask(life, |p, c| async move { p.service.create_stream(&c, input).await }).await? {
            Ok(()) => {
                life.world.note(format_args!("client {}: {name} is made", self.client));
                life.judge.count(|s| s.acknowledged += 1);
                let mut oracle = self.oracle.borrow_mut();
                let now = oracle.now();
                oracle.streams.get_mut(&name).expect("just made").created = Some(now);
            }
            Err(e) => self.excuse(life, &name, asked, &e),
        }
        Ok(())
    }

    async fn delete(&mut self, life: &Life<'_>, stream: &str) -> Reply<()> {
        let (asked, sure) = {
            let mut oracle = self.oracle.borrow_mut();
            let asked = oracle.now();
            let sure = oracle.must_exist(stream, asked);
            oracle.streams.get_mut(stream).expect("a known stream").delete_asked = true;
            (asked, sure)
        };
        let input =
            api::DeleteStreamInput { stream_name: Some(self.wire(stream)), ..Default::default() };
        match ask(life, |p, c| async move { p.service.delete_stream(&c, input).await }).await? {
            Ok(()) => {
                let mut oracle = self.oracle.borrow_mut();
                oracle.streams.get_mut(stream).expect("a known stream").deleted = sure;
            }
            Err(e) => self.excuse(life, stream, asked, &e),
        }
        Ok(())
    }

    fn record(
        &mut self,
        stream: &str,
        hash: Option<String>,
        size: u32,
    ) -> (u32, api::PutRecordInput) {
        let (id, key, data) = self.oracle.borrow_mut().begin(stream, hash.clone(), size);
        let input = api::PutRecordInput {
            stream_name: Some(self.wire(stream)),
            data,
            partition_key: Some(key),
            explicit_hash_key: hash,
            ..Default::default()
        };
        (id, input)
    }

    pub(super) async fn put_record(
        &mut self,
        life: &Life<'_>,
        stream: &str,
        rng: &mut Rng,
    ) -> Reply<()> {
        let hash = self.some_hash(rng);
        let (id, input) = self.record(stream, hash, some_size(rng));
        let done = ask(life, |p, c| async move { p.service.put_record(&c, input).await }).await;
        match done {
            Ok(done) => self.settle_put(life, stream, id, done),
            Err(stopped) => {
                self.doubt(life, &[id]);
                Err(stopped)
            }
        }
    }

    fn settle_put(
        &mut self,
        life: &Life<'_>,
        stream: &str,
        id: u32,
        done: Result<api::PutRecordOutput, ServiceError>,
    ) -> Reply<()> {
        match done {
            Ok(output) => {
                life.judge.count(|s| s.acknowledged += 1);
                let stored =
                    self.oracle.borrow_mut().stored(id, &output.shard_id, &output.sequence_number);
                self.hold(life, stored);
            }
            Err(e) => self.settle_error(life, stream, &[id], &e),
        }
        Ok(())
    }

    fn settle_error(&self, life: &Life<'_>, stream: &str, ids: &[u32], e: &ServiceError) {
        let began = self.oracle.borrow().began(ids[0]);
        if e.code == "InternalFailure" {
            self.doubt(life, ids);
        } else {
            for id in ids {
                let refused = self.oracle.borrow_mut().refused(*id);
                self.hold(life, refused);
            }
        }
        self.excuse(life, stream, began, e);
    }

    fn doubt(&self, life: &Life<'_>, ids: &[u32]) {
        life.judge.count(|s| s.uncertain += ids.len() as u64);
        ids.iter().for_each(|id| self.oracle.borrow_mut().uncertain(*id));
    }

    async fn put_records(&mut self, life: &Life<'_>, stream: &str, rng: &mut Rng) -> Reply<()> {
        let count = [1, 2, 5, 20, 60][rng.below(5) as usize];
        let mut ids = Vec::new();
        let mut records = Vec::new();
        let mut left = PUT_BYTES_MAX;
        for _ in 0..count {
            let hash = self.some_hash(rng);
            let size = some_size(rng).min(left);
            left -= size;
            let (id, one) = self.record(stream, hash, size);
            ids.push(id);
            records.push(api::PutRecordsRequestEntry {
                data: one.data,
                explicit_hash_key: one.explicit_hash_key,
                partition_key: one.partition_key.map(Into::into),
            });
        }
        let input = api::PutRecordsInput {
            records,
            stream_name: Some(self.wire(stream)),
            ..Default::default()
        };
        let done = ask(life, |p, c| async move { p.service.put_records(&c, input).await }).await;
        match done {
            Ok(Ok(output)) => self.settle_each(life, stream, &ids, &output),
            Ok(Err(e)) => self.settle_error(life, stream, &ids, &e),
            Err(stopped) => {
                self.doubt(life, &ids);
                return Err(stopped);
            }
        }
        Ok(())
    }

    fn settle_each(
        &self,
        life: &Life<'_>,
        stream: &str,
        ids: &[u32],
        output: &api::PutRecordsOutput,
    ) {
        let failed = output.records.iter().filter(|r| r.error_code.is_some()).count();
        if output.records.len() != ids.len() || output.failed_record_count != Some(failed as i32) {
            life.judge.fail(format!("{} records are answered by {output:?}", ids.len()));
            return;
        }
        let began = self.oracle.borrow().began(ids[0]);
        for (id, r) in ids.iter().zip(&output.records) {
            match (&r.error_code, &r.shard_id, &r.sequence_number) {
                (None, Some(shard), Some(number)) => {
                    life.judge.count(|s| s.acknowledged += 1);
                    let stored = self.oracle.borrow_mut().stored(*id, shard, number);
                    self.hold(life, stored);
                }
                (Some(code), None, None) if code == "ProvisionedThroughputExceededException" => {
                    life.judge.count(|s| s.refused += 1);
                    let refused = self.oracle.borrow_mut().refused(*id);
                    self.hold(life, refused);
                }
                (Some(code), None, None) if code == "InternalFailure" => {
                    self.doubt(life, &[*id]);
                    // Of a put that is routed anew, a part may be stored and its key gone by then.
                    if !self.oracle.borrow().keys_may_be_off(began) {
                        self.troubled(life, stream, "a record could not be stored");
                    }
                }
                _ => life.judge.fail(format!("record {id} is answered by {r:?}")),
            }
        }
    }

    /// Each client has a few hash keys of its own: what it puts under one of them has an order.
    fn some_hash(&mut self, rng: &mut Rng) -> Option<String> {
        self.written += 1;
        let key = (self.client as u128 * 3 + rng.below(3) as u128 + 1) << 121;
        rng.one_in(2).then(|| key.to_string())
    }

    /// Where to begin reading a shard: one of five ways.
    pub(super) fn some_start(&self, stream: &str, shard: &str, rng: &mut Rng) -> Start {
        let known = self.oracle.borrow().known(stream, shard);
        match rng.below(5) {
            0 => Start::Latest(0, 0),
            1 if !known.is_empty() => Start::At(rng.pick(&known).0.clone()),
            2 if !known.is_empty() => Start::After(rng.pick(&known).0.clone()),
            3 => {
                let times: Vec<i64> = known.iter().filter_map(|(_, t)| *t).collect();
                if times.is_empty() { Start::Horizon } else { Start::Time(*rng.pick(&times)) }
            }
            _ => Start::Horizon,
        }
    }

    async fn new_reader(&mut self, life: &Life<'_>, stream: &str, rng: &mut Rng) -> Reply<()> {
        let shard = self.oracle.borrow().some_shard(stream, rng);
        let start = self.some_start(stream, &shard, rng);
        let place = Place { stream: stream.to_string(), shard, start, last: None };
        if let Some(reader) = self.iterator(life, place).await? {
            if self.readers.len() == READERS_MAX {
                self.readers.remove(0);
            }
            self.readers.push(reader);
        }
        Ok(())
    }

    /// An iterator for a place: at its start, or after the last record it saw.
    async fn iterator(&self, life: &Life<'_>, mut place: Place) -> Reply<Option<Reader>> {
        use api::ShardIteratorType as T;
        let unpad = |n: &str| Some(n.trim_start_matches('0').to_string());
        let (kind, from, time) = match (&place.last, &place.start) {
            (Some(last), _) => (T::AfterSequenceNumber, unpad(last), None),
            (None, Start::Horizon) => (T::TrimHorizon, None, None),
            (None, Start::At(n)) => (T::AtSequenceNumber, unpad(n), None),
            (None, Start::After(n)) => (T::AfterSequenceNumber, unpad(n), None),
            (None, Start::Time(ms)) => (T::AtTimestamp, None, Some(Time::from_millis(*ms))),
            (None, Start::Latest(..)) => (T::Latest, None, None),
        };
        let input = api::GetShardIteratorInput {
            stream_name: Some(self.wire(&place.stream)),
            shard_id: place.shard.clone(),
            shard_iterator_type: kind,
            starting_sequence_number: from,
            timestamp: time,
            ..Default::default()
        };
        let asked = self.oracle.borrow_mut().now();
        let got = ask(life, |p, c| async move { p.service.get_shard_iterator(&c, input).await });
        match got.await? {
            Ok(output) => {
                if place.last.is_none() && matches!(place.start, Start::Latest(..)) {
                    place.start = Start::Latest(asked, self.oracle.borrow_mut().now());
                }
                let iterator = output.shard_iterator.unwrap_or_default();
                Ok(Some(Reader { place, iterator }))
            }
            Err(e) => {
                self.excuse(life, &place.stream, asked, &e);
                Ok(None)
            }
        }
    }

    pub(super) async fn read_on(&mut self, life: &Life<'_>, rng: &mut Rng) -> Reply<()> {
        if self.readers.is_empty() {
            return Ok(());
        }
        let n = rng.below(self.readers.len() as u64) as usize;
        let mut reader = self.readers.swap_remove(n);
        let stream = reader.place.stream.clone();
        if self.oracle.borrow().streams[&stream].replaced {
            return Ok(());
        }
        self.oracle.borrow_mut().begin_work(&stream);
        let read = self.read_some(life, &mut reader, rng).await;
        self.oracle.borrow_mut().end_work(&stream);
        if read? {
            self.readers.push(reader);
        }
        Ok(())
    }

    /// Whether the reader can go on.
    async fn read_some(&self, life: &Life<'_>, reader: &mut Reader, rng: &mut Rng) -> Reply<bool> {
        for _ in 0..rng.between(1, 3) {
            let limit = [1, 2, 10, 1000, 10_000][rng.below(5) as usize];
            match self.page(life, reader, limit).await? {
                Page::Gone => return Ok(false),
                Page::Wait => tokio::time::sleep(THROTTLE_PAUSE).await,
                Page::More | Page::End => {}
            }
        }
        Ok(true)
    }

    async fn page(&self, life: &Life<'_>, reader: &mut Reader, limit: i32) -> Reply<Page> {
        let input = api::GetRecordsInput {
            shard_iterator: reader.iterator.clone(),
            limit: Some(limit),
            ..Default::default()
        };
        let asked = self.oracle.borrow_mut().now();
        let (wall, clock_steps) = (life.world.now(), life.judge.clock_steps());
        match ask(life, |p, c| async move { p.service.get_records(&c, input).await }).await? {
            Ok(output) => {
                self.oracle.borrow_mut().saw_clock(life.judge.clock_peak(life.world));
                if clock_steps == life.judge.clock_steps() {
                    let fresh =
                        self.oracle.borrow().check_kept(&reader.place, wall, &output.records);
                    self.hold(life, fresh);
                }
                life.judge.count(|s| s.entries_read += output.records.len() as u64);
                let at_end = output.millis_behind_latest == Some(0);
                let verdict = self.oracle.borrow_mut().page(
                    &mut reader.place,
                    asked,
                    &output.records,
                    at_end && output.records.is_empty(),
                );
                self.hold(life, verdict);
                match output.next_shard_iterator {
                    Some(next) => reader.iterator = next,
                    None => {
                        let children = output.child_shards.unwrap_or_default();
                        let ends = self.oracle.borrow_mut().ends(&reader.place, &children);
                        self.hold(life, ends);
                        return Ok(Page::Gone);
                    }
                }
                Ok(if at_end && output.records.is_empty() { Page::End } else { Page::More })
            }
            Err(e) if e.code == "ExpiredIteratorException" => {
                let latest =
                    reader.place.last.is_none() && matches!(reader.place.start, Start::Latest(..));
                match if latest { None } else { self.iterator(life, reader.place.clone()).await? } {
                    Some(anew) => {
                        *reader = anew;
                        Ok(Page::More)
                    }
                    None => Ok(Page::Gone),
                }
            }
            Err(e) if e.code == "ProvisionedThroughputExceededException" => Ok(Page::Wait),
            Err(e) => {
                self.excuse(life, &reader.place.stream, asked, &e);
                Ok(Page::Gone)
            }
        }
    }

    pub(super) async fn read_all(&self, life: &Life<'_>, stream: &str, shard: &str) -> Reply<()> {
        let place = Place {
            stream: stream.to_string(),
            shard: shard.to_string(),
            start: Start::Horizon,
            last: None,
        };
        let Some(mut reader) = self.iterator(life, place).await? else { return Ok(()) };
        for _ in 0..PAGES_MAX {
            match self.page(life, &mut reader, 10_000).await? {
                Page::Gone | Page::End => return Ok(()),
                Page::Wait => tokio::time::sleep(THROTTLE_PAUSE).await,
                Page::More => {}
            }
            if life.judge.failed() {
                return Ok(());
            }
        }
        life.judge.fail(format!("the end of {stream}/{shard} is not reached"));
        Ok(())
    }

    async fn lengthen(&mut self, life: &Life<'_>, stream: &str) -> Reply<()> {
        let (asked, hours) = {
            let mut oracle = self.oracle.borrow_mut();
            let asked = oracle.now();
            let s = oracle.streams.get_mut(stream).expect("a known stream");
            if s.owner != self.client {
                return Ok(());
            }
            let hours = s.retention.last().expect("at least the first") + 1;
            s.retention.insert(hours);
            (asked, hours)
        };
        let input = api::IncreaseStreamRetentionPeriodInput {
            stream_name: Some(self.wire(stream)),
            retention_period_hours: hours,
            ..Default::default()
        };
        let done =
            ask(
                life,
                |p, c| async move { p.service.increase_stream_retention_period(&c, input).await },
            );
        match done.await? {
            Ok(()) => {
                life.judge.count(|s| s.acknowledged += 1);
                let mut oracle = self.oracle.borrow_mut();
                let s = oracle.streams.get_mut(stream).expect("a known stream");
                s.retention = [hours].into();
            }
            Err(e) => self.excuse(life, stream, asked, &e),
        }
        Ok(())
    }

    async fn tag(&mut self, life: &Life<'_>, stream: &str, rng: &mut Rng) -> Reply<()> {
        let key = format!("c{}-{}", self.client, rng.below(3));
        self.written += 1;
        let value = (!rng.one_in(3)).then(|| format!("v{}", self.written));
        let asked = {
            let mut oracle = self.oracle.borrow_mut();
            let s = oracle.streams.get_mut(stream).expect("a known stream");
            s.tags.entry(key.clone()).or_insert_with(|| vec![None]).push(value.clone());
            oracle.now()
        };
        let name = Some(self.wire(stream));
        let done =
            match value.clone() {
                Some(v) => {
                    let input = api::AddTagsToStreamInput {
                        stream_name: name,
                        tags: BTreeMap::from([(key.clone(), v)]),
                        ..Default::default()
                    };
                    ask(life, |p, c| async move { p.service.add_tags_to_stream(&c, input).await })
                        .await?
                }
                None => {
                    let input = api::RemoveTagsFromStreamInput {
                        stream_name: name,
                        tag_keys: vec![key.clone()],
                        ..Default::default()
                    };
                    let done = ask(life, |p, c| async move {
                        p.service.remove_tags_from_stream(&c, input).await
                    });
                    done.await?
                }
            };
        match done {
            Ok(()) => {
                life.judge.count(|s| s.acknowledged += 1);
                let mut oracle = self.oracle.borrow_mut();
                let s = oracle.streams.get_mut(stream).expect("a known stream");
                s.tags.insert(key, vec![value]);
            }
            Err(e) => self.excuse(life, stream, asked, &e),
        }
        Ok(())
    }

    /// Settings and tags of a stream, as far as this client is the one who changes them.
    async fn look(&mut self, life: &Life<'_>, stream: &str) -> Reply<()> {
        let asked = self.oracle.borrow_mut().now();
        let input = api::DescribeStreamSummaryInput {
            stream_name: Some(self.wire(stream)),
            ..Default::default()
        };
        let summary =
            ask(life, |p, c| async move { p.service.describe_stream_summary(&c, input).await });
        match summary.await? {
            Ok(output) => self.check_summary(life, stream, &output.stream_description_summary),
            Err(e) => {
                self.excuse(life, stream, asked, &e);
                return Ok(());
            }
        }
        let input = api::ListTagsForStreamInput {
            stream_name: Some(self.wire(stream)),
            ..Default::default()
        };
        match ask(life, |p, c| async move { p.service.list_tags_for_stream(&c, input).await })
            .await?
        {
            Ok(output) => self.check_tags(life, stream, &output.tags),
            Err(e) => self.excuse(life, stream, asked, &e),
        }
        Ok(())
    }

    fn check_summary(&self, life: &Life<'_>, stream: &str, d: &api::StreamDescriptionSummary) {
        let mut oracle = self.oracle.borrow_mut();
        let s = oracle.streams.get_mut(stream).expect("a known stream");
        let active = d.stream_status == api::StreamStatus::Active;
        let resharded = s.lineage.len() > s.shard_count;
        if active && d.open_shard_count as usize != s.shard_count && !resharded && !s.reshard_asked
        {
            life.judge.fail(format!("{stream} has {} shards", d.open_shard_count));
        }
        if s.owner == self.client {
            if !s.retention.contains(&d.retention_period_hours) {
                life.judge.fail(format!(
                    "LOST: {stream} keeps {} h, may be {:?}",
                    d.retention_period_hours, s.retention
                ));
            }
            let mode = d.stream_mode_details.as_ref().map(|m| m.stream_mode.as_str().to_owned());
            let mode = mode.unwrap_or_default();
            if !s.modes.contains(&mode) {
                life.judge.fail(format!("LOST: {stream} is {mode}, may be {:?}", s.modes));
            }
            if life.settles_doubts() {
                s.retention = [d.retention_period_hours].into();
                s.modes = [mode].into();
            }
        }
    }

    fn check_tags(&self, life: &Life<'_>, stream: &str, tags: &[api::Tag]) {
        let mine = format!("c{}-", self.client);
        let mut oracle = self.oracle.borrow_mut();
        let s = oracle.streams.get_mut(stream).expect("a known stream");
        for tag in tags.iter().filter(|t| t.key.starts_with(&mine)) {
            if !s.tags.contains_key(&tag.key) {
                life.judge.fail(format!("{stream} has a tag nobody gave: {tag:?}"));
            }
        }
        for (key, values) in s.tags.iter_mut().filter(|(k, _)| k.starts_with(&mine)) {
            let has = tags.iter().find(|t| t.key == *key).and_then(|t| t.value.clone());
            if !values.contains(&has) {
                life.judge
                    .fail(format!("LOST: tag {key} of {stream} is {has:?}, may be {values:?}"));
            }
            if life.settles_doubts() {
                *values = vec![has];
            }
        }
    }

    /// All streams by name.
    async fn list(&self, life: &Life<'_>) -> Reply<()> {
        let asked = self.oracle.borrow_mut().now();
        let input = api::ListStreamsInput::default();
        match ask(life, |p, c| async move { p.service.list_streams(&c, input).await }).await? {
            Ok(output) => {
                let oracle = self.oracle.borrow();
                for name in &oracle.current() {
                    let listed = output.stream_names.contains(&oracle.streams[name].wire);
                    if oracle.must_exist(name, asked) && !listed {
                        life.judge.fail(format!("LOST: {name} is not listed"));
                    }
                    if oracle.streams[name].deleted && listed {
                        life.judge.fail(format!("{name} was deleted and is listed"));
                    }
                }
                if let Some(name) = output.stream_names.iter().find(|n| !oracle.is_a_name(n)) {
                    life.judge.fail(format!("{name} was never made and is listed"));
                }
            }
            Err(e) => self.excuse(life, "", asked, &e),
        }
        Ok(())
    }
}

enum Page {
    More,
    /// The reader has everything.
    End,
    /// The read rate is used up.
    Wait,
    /// The reader can't go on.
    Gone,
}

/// Record sizes: none, around the edges of sectors, and now and then large.
fn some_size(rng: &mut Rng) -> u32 {
    match rng.below(12) {
        0 => 0,
        1 => (512 * rng.between(1, 6) - rng.between(0, 64)) as u32,
        2 => rng.below(30_000) as u32,
        _ => rng.below(300) as u32,
    }
}

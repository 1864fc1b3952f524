//! All shards of a stream, followed: one task per shard, children after their parents.
//!
//! Promises: records of one shard come in their order; a child's records come after all of its
//! parents' records; a record is given once (an iterator that expired goes on after the last one).
//! Never asks more often than it is told to; an endpoint that throttles is asked at AWS's own rate
//! from then on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use millstream_api::kinesis::{
    ChildShard, GetRecordsInput, GetShardIteratorInput, ListShardsInput, Record, Shard,
    ShardIteratorType, ops,
};
use millstream_client::{Blame, Client, Error};
use millstream_env::{Env, Task};
use millstream_wire::Time;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::family::{Family, Kin};
use super::position::From;

/// What to follow, and how.
#[derive(Clone, Debug)]
pub struct Options {
    pub stream: String,
    pub from: From,
    /// Goes on at the tips of the shards.
    pub follow: bool,
    /// The time from one read of a shard to the next at its tip.
    pub poll: Poll,
    /// Most records of one read.
    pub limit: Option<i32>,
}

/// How often a shard is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    pub interval: Duration,
    /// Whether the interval also holds while there is more to read.
    pub always: bool,
}

impl Poll {
    /// AWS allows five reads of a shard in a second, of all readers together.
    pub const AWS: Poll = Poll { interval: Duration::from_millis(200), always: true };
    /// A server on this machine: a record is seen after 2 ms on average, for 250 small requests in
    /// a second.
    pub const NEAR: Poll = Poll { interval: Duration::from_millis(4), always: false };

    /// The fast one for an endpoint on this machine, AWS's for any other.
    pub fn fitting(client: &Client) -> Poll {
        if client.endpoint().is_loopback() { Poll::NEAR } else { Poll::AWS }
    }
}

/// Reads of all shards together are not more frequent than one in this time, when polling is fast.
const FAST_GAP: Duration = Duration::from_micros(500);
/// How long a shard that can't be read is tried again.
const OUTAGE_MAX: Duration = Duration::from_secs(60);
/// Pauses between tries.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Pages that wait to be taken, of all shards.
const PAGES_WAITING: usize = 16;

/// Records of one shard, in their order.
#[derive(Debug)]
pub struct Page {
    pub shard_id: String,
    pub records: Vec<Record>,
}

/// A stream that is being read.
pub struct Follower {
    reader: Reader,
    events: mpsc::Receiver<Event>,
    family: Family,
    tasks: Vec<Task>,
    /// Readers that have not found their place yet.
    starting: usize,
    /// Readers that are not at their tip (or, following, not at the shard's end).
    busy: usize,
    pages: VecDeque<Page>,
}

enum Event {
    /// The place in the shard is found: nothing that is put from now on is missed.
    Started,
    Page(Page),
    /// All that was there is read; only when not following.
    Tip,
    End {
        shard_id: String,
        children: Vec<Kin>,
    },
    Failed(anyhow::Error),
}

impl Follower {
    /// Lists the shards and begins to read. `client` should not repeat calls by itself: the follower
    /// does, and learns from being throttled.
    ///
    /// # Errors
    /// The stream can't be listed.
    pub async fn start(env: Env, client: Arc<Client>, options: Options) -> anyhow::Result<Self> {
        let shards = all_shards(&env, &client, &options.stream).await?;
        let (tx, events) = mpsc::channel(PAGES_WAITING);
        let begin = match options.from {
            From::TrimHorizon => Place::TrimHorizon,
            From::Latest => Place::Latest,
            From::At(at) => Place::At(Time::from_millis(at.as_millisecond())),
            From::Ago(ago) => Place::At(Time::from_millis(env.now().minus(ago).as_millis() as i64)),
        };
        let reader = Reader {
            env,
            client,
            options: Arc::new(options),
            readers: Arc::default(),
            events: tx,
            shard_id: String::new(),
            place: Place::TrimHorizon,
            poll_at_least: Duration::ZERO,
        };
        let mut follower = Follower {
            reader,
            events,
            family: Family::default(),
            tasks: Vec::new(),
            starting: 0,
            busy: 0,
            pages: VecDeque::new(),
        };
        let open_only = begin == Place::Latest;
        let first = follower.family.start(shards.iter().map(kin).collect(), open_only);
        follower.read(first, begin);
        Ok(follower)
    }

    /// Waits until each shard's place is found: what is put from now on will be seen.
    ///
    /// # Errors
    /// As [`Follower::next`].
    pub async fn started(&mut self) -> anyhow::Result<()> {
        while self.starting > 0 {
            let event = self.event().await;
            if let Some(page) = self.take(event)? {
                self.pages.push_back(page);
            }
        }
        Ok(())
    }

    /// The next records of any shard; `None` when all is read.
    ///
    /// # Errors
    /// A shard can't be read: the stream is gone, or the endpoint is out of reach for a minute.
    pub async fn next(&mut self) -> anyhow::Result<Option<Page>> {
        loop {
            if let Some(page) = self.pages.pop_front() {
                return Ok(Some(page));
            }
            if self.busy == 0 {
                return Ok(None);
            }
            let event = self.event().await;
            if let Some(page) = self.take(event)? {
                return Ok(Some(page));
            }
        }
    }

    async fn event(&mut self) -> Event {
        self.events.recv().await.expect("the follower itself holds a sender")
    }

    fn take(&mut self, event: Event) -> anyhow::Result<Option<Page>> {
        match event {
            Event::Started => self.starting -= 1,
            Event::Page(page) => return Ok(Some(page)),
            Event::Tip => self.busy -= 1,
            Event::End { shard_id, children } => {
                self.busy -= 1;
                let ready = self.family.ended(&shard_id, children);
                self.read(ready, Place::TrimHorizon);
            }
            Event::Failed(error) => return Err(error),
        }
        Ok(None)
    }

    /// A child is read from its start, all others from where reading begins. A shard that a start
    /// position in time leads to has all of its later records in itself and its children.
    fn read(&mut self, shards: Vec<String>, place: Place) {
        for shard_id in shards {
            self.starting += 1;
            self.busy += 1;
            self.reader.readers.fetch_add(1, Ordering::Relaxed);
            let reader = Reader { shard_id, place: place.clone(), ..self.reader.clone() };
            self.tasks.push(self.reader.env.spawn("shard-reader", reader.run()));
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.tasks.iter().for_each(Task::abort);
    }
}

/// Where a shard is read on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    TrimHorizon,
    Latest,
    At(Time),
    After(String),
}

#[derive(Clone)]
struct Reader {
    env: Env,
    client: Arc<Client>,
    options: Arc<Options>,
    /// Shards that are read now.
    readers: Arc<AtomicUsize>,
    events: mpsc::Sender<Event>,
    shard_id: String,
    place: Place,
    /// Learned from being throttled.
    poll_at_least: Duration,
}

/// How reading a shard goes on after a page.
enum Next {
    At(String, Instant),
    Done(Event),
}

impl Reader {
    async fn run(mut self) {
        let event = self.read().await.unwrap_or_else(|error| {
            Event::Failed(error.context(format!("reading {}", self.shard_id)))
        });
        self.readers.fetch_sub(1, Ordering::Relaxed);
        let _ = self.events.send(event).await;
    }

    async fn read(&mut self) -> anyhow::Result<Event> {
        let mut iterator = self.iterator().await?;
        let _ = self.events.send(Event::Started).await;
        loop {
            match self.page(iterator).await? {
                Next::Done(event) => return Ok(event),
                Next::At(next, due) => {
                    iterator = next;
                    tokio::time::sleep_until(due).await;
                }
            }
        }
    }

    async fn page(&mut self, iterator: String) -> anyhow::Result<Next> {
        let asked = Instant::now();
        let mut input = GetRecordsInput {
            shard_iterator: iterator,
            limit: self.options.limit,
            ..GetRecordsInput::default()
        };
        let mut outage = Outage::default();
        let output = loop {
            match self.client.send::<ops::GetRecords>(&input).await {
                Ok(output) => break output,
                Err(e) if e.code() == Some("ExpiredIteratorException") => {
                    input.shard_iterator = self.iterator().await?;
                }
                Err(e) => self.wait_after(e, &mut outage).await?,
            }
        };
        let read = output.records.len();
        if let Some(last) = output.records.last() {
            self.place = Place::After(last.sequence_number.to_string());
            let page = Page { shard_id: self.shard_id.clone(), records: output.records };
            if self.events.send(Event::Page(page)).await.is_err() {
                std::future::pending::<()>().await; // the follower is gone, and this task next
            }
        }
        let Some(next) = output.next_shard_iterator else {
            let children = self.children(output.child_shards).await?;
            return Ok(Next::Done(Event::End { shard_id: self.shard_id.clone(), children }));
        };
        let behind = output.millis_behind_latest.unwrap_or_default() > 0;
        if !self.options.follow && read == 0 && !behind {
            return Ok(Next::Done(Event::Tip));
        }
        Ok(Next::At(next, asked + self.gap(behind || (read > 0 && !self.options.follow))))
    }

    /// The time from one read to the next.
    fn gap(&self, more: bool) -> Duration {
        let poll = self.options.poll;
        if more && !poll.always {
            return self.poll_at_least;
        }
        let shards = self.readers.load(Ordering::Relaxed) as u32;
        let bound = if poll.always { Duration::ZERO } else { FAST_GAP * shards };
        poll.interval.max(self.poll_at_least).max(bound)
    }

    async fn iterator(&mut self) -> anyhow::Result<String> {
        let (kind, sequence_number, timestamp) = match &self.place {
            Place::TrimHorizon => (ShardIteratorType::TrimHorizon, None, None),
            Place::Latest => (ShardIteratorType::Latest, None, None),
            Place::At(time) => (ShardIteratorType::AtTimestamp, None, Some(*time)),
            Place::After(n) => (ShardIteratorType::AfterSequenceNumber, Some(n.clone()), None),
        };
        let input = GetShardIteratorInput {
            stream_name: Some(self.options.stream.clone()),
            shard_id: self.shard_id.clone(),
            shard_iterator_type: kind,
            starting_sequence_number: sequence_number,
            timestamp,
            ..GetShardIteratorInput::default()
        };
        let mut outage = Outage::default();
        loop {
            match self.client.send::<ops::GetShardIterator>(&input).await {
                Ok(output) => {
                    return output.shard_iterator.ok_or_else(|| anyhow!("no iterator was given"));
                }
                Err(error) => self.wait_after(error, &mut outage).await?,
            }
        }
    }

    /// Children as the answer names them; from the list of shards where a server leaves them out.
    async fn children(&self, named: Option<Vec<ChildShard>>) -> anyhow::Result<Vec<Kin>> {
        if let Some(children) = named {
            let kin = |c: ChildShard| Kin { id: c.shard_id, parents: c.parent_shards, open: true };
            return Ok(children.into_iter().map(kin).collect());
        }
        let shards = all_shards(&self.env, &self.client, &self.options.stream).await?;
        Ok(shards.iter().map(kin).filter(|k| k.parents.contains(&self.shard_id)).collect())
    }

    async fn wait_after(&mut self, error: Error, outage: &mut Outage) -> anyhow::Result<()> {
        if error.blame() == Blame::Throttled {
            self.poll_at_least = Poll::AWS.interval;
        }
        outage.wait(&self.env, error).await
    }
}

/// Tries in a row that failed.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
    tries: u32,
}

impl Outage {
    /// Waits before the next try.
    ///
    /// # Errors
    /// `error`, if a further try is of no use or the outage lasts too long. Being throttled is not
    /// an outage.
    async fn wait(&mut self, env: &Env, error: Error) -> anyhow::Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let hopeless = match error.blame() {
            Blame::Call => true,
            Blame::Transient => since.elapsed() > OUTAGE_MAX,
            Blame::Throttled => false,
        };
        if hopeless {
            return Err(error.into());
        }
        if self.tries == 0 && error.blame() == Blame::Transient {
            tracing::warn!(%error, "trying again for a minute");
        }
        self.tries += 1;
        let pause = (PAUSE * (1 << self.tries.min(6))).min(PAUSE_MAX);
        let share = 0.5 + (env.random_u64() >> 12) as f64 / (1_u64 << 53) as f64;
        env.sleep(pause.mul_f64(share)).await;
        Ok(())
    }
}

/// All shards of `stream`, closed ones too, however many pages they take.
async fn all_shards(env: &Env, client: &Client, stream: &str) -> anyhow::Result<Vec<Shard>> {
    let mut shards = Vec::new();
    let mut input =
        ListShardsInput { stream_name: Some(stream.to_owned()), ..ListShardsInput::default() };
    let mut outage = Outage::default();
    loop {
        let output = match client.send::<ops::ListShards>(&input).await {
            Ok(output) => output,
            Err(error) => {
                outage.wait(env, error).await.context("ListShards")?;
                continue;
            }
        };
        shards.extend(output.shards.unwrap_or_default());
        match output.next_token {
            None => return Ok(shards),
            token => input = ListShardsInput { next_token: token, ..ListShardsInput::default() },
        }
    }
}

fn kin(shard: &Shard) -> Kin {
    let parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id];
    Kin {
        id: shard.shard_id.clone(),
        parents: parents.into_iter().flatten().cloned().collect(),
        open: shard.sequence_number_range.ending_sequence_number.is_none(),
    }
}

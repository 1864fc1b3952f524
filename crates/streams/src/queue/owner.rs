//! The task that serves one queue: the only place where its state changes.
//!
//! It takes what is asked of it in small groups, does all of a group to its state, writes the events
//! to the journal as one group, and answers when they are durable. Receives that find nothing wait
//! here, and are served when a record comes or becomes visible.
//!
//! Should the journal fail, the state here is ahead of it: the owner refuses everything and ends,
//! and the next one reads the journal back. It ends as well when nobody asked for a while.
//!
//! Invariant: nothing is answered before its events are durable and the lease is still held then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::limits::QUEUE_VISIBLE_COUNT_MAX;
use millstream_base::{QueueArn, Timestamp};
use millstream_env::Env;
use millstream_meta::{Lease, LeaseState, MetaStore, Revision};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::backlog::Backlog;
use super::command::{Command, Delivered, Receive};
use super::directory::{Directory, QueueSnapshot};
use super::event::Event;
use super::feed::Feed;
use super::journal::Journal;
use super::state::State;
use super::stats;
use crate::cache::{Cache, Snapshot};
use crate::data_keys::Records;
use crate::error::{Error, Result};
use crate::queue_model::{HandleResult, Lane, QueueStatus};

/// Commands that are done as one group.
const GROUP_MAX: usize = 64;
/// Receives of one queue that wait at once; further ones are throttled.
pub(super) const WAITING_MAX: usize = 1000;
/// Records that become visible or are set aside in one group.
const SETTLE_MAX: usize = 1000;
/// How long a lease lasts without being renewed, and how often it is.
const LEASE_LIFE: Duration = Duration::from_secs(30);
const LEASE_RENEWAL: Duration = Duration::from_secs(10);
/// The longest sleep: the wall clock may be set forward.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// The longest sleep while nobody waits.
const IDLE_SLEEP_MAX: Duration = Duration::from_secs(10);
/// An owner that nobody asked for so long lets go of its queue, if that is empty.
const IDLE_TIME: Duration = Duration::from_secs(300);
/// How often a little of the backlog is counted.
const COUNT_INTERVAL: Duration = Duration::from_millis(100);
/// How often what retention has taken is forgotten.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(10);

/// What an owner works with.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) env: Env,
    pub(super) records: Records,
    pub(super) meta: Arc<dyn MetaStore>,
    pub(super) cache: Arc<Cache>,
    pub(super) directory: Arc<Directory>,
    /// This node's name in leases.
    pub(super) node: String,
    /// Nobody is to wait any more.
    pub(super) hurry: watch::Receiver<bool>,
    pub(super) stop: watch::Receiver<bool>,
}

pub(super) struct Owner {
    pub(super) tools: Tools,
    pub(super) queue: Arc<QueueSnapshot>,
    pub(super) stream: Arc<Snapshot>,
    lease: Lease,
    lease_renewed: Instant,
    pub(super) journal: Journal,
    pub(super) state: State,
    pub(super) feed: Feed,
    pub(super) backlog: Backlog,
    counted_at: Option<Instant>,
    /// There is more to count.
    counts_on: bool,
    waiting: VecDeque<Receive>,
    /// Done to the state and not yet in the journal.
    pub(super) events: Vec<Event>,
    answers: Vec<Answer>,
    last_asked: Instant,
    expired_at: Option<Instant>,
    queue_news: watch::Receiver<Revision>,
    stream_news: watch::Receiver<Revision>,
}

enum Answer {
    Received(oneshot::Sender<Result<Vec<Delivered>>>, Vec<Delivered>),
    Changed(oneshot::Sender<Result<Vec<HandleResult>>>, Vec<HandleResult>),
}

/// Serves a queue until nobody asks any more, something fails, or the engine ends. The channel
/// closes when nothing more will be written. After a failure what was not done is refused; after an
/// orderly end it is dropped, and whoever asked asks the next owner.
pub(super) async fn run(tools: Tools, queue: QueueArn, mut commands: mpsc::Receiver<Command>) {
    let ended = match Owner::open(tools, &queue).await {
        Ok(owner) => owner.serve(&mut commands).await,
        Err(error) => Err(error),
    };
    commands.close();
    let Err(error) = ended else { return };
    tracing::warn!(%queue, %error, "a queue is closed");
    while let Some(command) = commands.recv().await {
        command.refuse(error.clone());
    }
}

impl Owner {
    async fn open(tools: Tools, queue: &QueueArn) -> Result<Owner> {
        let (queue_news, stream_news) = (tools.directory.news(), tools.cache.news());
        let missing = || Error::QueueNotFound { queue: queue.clone() };
        let found = tools.directory.find(queue).await?.ok_or_else(missing)?;
        let stream = tools.cache.get(&found.row.source.stream()).ok_or_else(missing)?;
        let key = found.row.lease_key();
        let mut lease = Lease::new(tools.meta.clone(), key, tools.node.clone(), LEASE_LIFE);
        let lease_renewed = Instant::now();
        let token = match lease.take().await? {
            LeaseState::Held { token } => token,
            LeaseState::HeldBy { holder } => {
                let reason = format!("{queue} is served by node {holder}");
                return Err(Error::Unavailable { reason });
            }
        };
        let (records, now) = (tools.records.clone(), tools.env.now());
        let opened = Journal::open(records.log.clone(), found.row.journal(), token.0, now).await;
        let (journal, state) = opened?;
        let mut owner = Owner {
            tools,
            queue: found,
            stream,
            lease,
            lease_renewed,
            journal,
            state,
            feed: Feed::new(records),
            backlog: Backlog::default(),
            counted_at: None,
            counts_on: false,
            waiting: VecDeque::new(),
            events: Vec::new(),
            answers: Vec::new(),
            last_asked: Instant::now(),
            expired_at: None,
            queue_news,
            stream_news,
        };
        owner.feed.follow(&owner.stream, &mut owner.state);
        Ok(owner)
    }

    async fn serve(mut self, commands: &mut mpsc::Receiver<Command>) -> Result<()> {
        let served = loop {
            if let Err(error) = self.turn().await {
                break Err(error);
            }
            if !self.wait(commands).await {
                break Ok(());
            }
        };
        self.end(&served).await;
        served
    }

    /// Waits until there is something to do and takes a group of commands; `false` at the end.
    async fn wait(&mut self, commands: &mut mpsc::Receiver<Command>) -> bool {
        let sleep = self.sleep_time();
        let mut stop = self.tools.stop.clone();
        let mut hurry = self.tools.hurry.clone();
        let hurried = *hurry.borrow();
        let taken = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return false,
            command = commands.recv() => command,
            () = self.feed.changed() => None,
            _ = self.queue_news.changed() => None,
            _ = self.stream_news.changed() => None,
            _ = hurry.wait_for(|hurry| *hurry), if !hurried => None,
            () = self.tools.env.sleep(sleep) => None,
        };
        let Some(first) = taken else {
            // What is left to deliver is watched over: its figures are looked at when nobody asks.
            let idle = self.waiting.is_empty() && self.is_empty();
            return !idle || self.last_asked.elapsed() < IDLE_TIME;
        };
        self.last_asked = Instant::now();
        self.take(first);
        for _ in 1..GROUP_MAX {
            match commands.try_recv() {
                Ok(command) => self.take(command),
                Err(_) => break,
            }
        }
        true
    }

    fn is_empty(&self) -> bool {
        self.state.tracked_count() == 0 && self.backlog.count() == 0
    }

    fn sleep_time(&self) -> Duration {
        let now = self.tools.env.now();
        let due = self.state.next_due().map_or(IDLE_SLEEP_MAX, |due| due.since(now));
        if self.waiting.is_empty() && self.counts_on {
            return COUNT_INTERVAL;
        }
        if self.waiting.is_empty() {
            // What becomes visible now is nobody's hurry.
            return due.clamp(SLEEP_MAX, IDLE_SLEEP_MAX);
        }
        let asked = self.waiting.iter().map(|w| w.deadline).min();
        let patience = asked.map_or(SLEEP_MAX, |d| d.saturating_duration_since(Instant::now()));
        due.min(patience).min(SLEEP_MAX)
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Receive(receive) if self.waiting.len() >= WAITING_MAX => {
                let queue = self.queue.queue.clone();
                _ = receive.reply.send(Err(Error::QueueThrottled { queue }));
            }
            Command::Receive(receive) => self.waiting.push_back(receive),
            Command::Change(change) => {
                let results = self.change(&change);
                self.answers.push(Answer::Changed(change.reply, results));
            }
        }
    }

    /// One turn: everything that can be done now is done, written down and answered.
    async fn turn(&mut self) -> Result<()> {
        loop {
            self.renew_lease().await?;
            self.look_around()?;
            self.expire().await?;
            let more = self.settle();
            self.feed.catch_up();
            self.serve_waiting().await;
            self.commit().await?;
            self.compact().await?;
            if !more {
                break;
            }
        }
        self.count_backlog().await;
        self.show_gauges();
        Ok(())
    }

    async fn renew_lease(&mut self) -> Result<()> {
        if self.lease_renewed.elapsed() < LEASE_RENEWAL {
            return Ok(());
        }
        self.lease_renewed = Instant::now();
        let before = self.lease.is_held();
        match self.lease.take().await? {
            // A lease that ran out may have been someone else's in between.
            LeaseState::Held { .. } if before => Ok(()),
            _ => Err(self.lost()),
        }
    }

    /// Takes up what changed about the queue and its stream.
    fn look_around(&mut self) -> Result<()> {
        let seen = *self.queue_news.borrow_and_update();
        self.stream_news.mark_unchanged();
        let missing = || Error::QueueNotFound { queue: self.queue.queue.clone() };
        let queue = match self.tools.directory.get(&self.queue.queue) {
            Some(queue) => queue,
            // Another node made it, and the copy does not have it yet.
            None if seen < self.queue.revision => self.queue.clone(),
            None => return Err(missing()),
        };
        let status = queue.row.status_at(self.tools.env.now());
        if matches!(status, None | Some(QueueStatus::Deleting)) {
            return Err(missing());
        }
        let stream = self.tools.cache.get(&self.stream.stream).ok_or_else(missing)?;
        if stream.row.family != self.stream.row.family {
            return Err(missing());
        }
        self.queue = queue;
        if stream.revision != self.stream.revision {
            self.stream = stream;
            self.feed.follow(&self.stream, &mut self.state);
        }
        Ok(())
    }

    /// Now and then, forgets what the stream's retention has taken.
    async fn expire(&mut self) -> Result<()> {
        if self.expired_at.is_some_and(|at| at.elapsed() < EXPIRY_INTERVAL) {
            return Ok(());
        }
        self.expired_at = Some(Instant::now());
        if self.state.tracked_count() > 0 || self.backlog.count() > 0 {
            for (shard, before) in self.feed.expired(self.horizon()).await? {
                self.backlog.expired(shard, before, &self.state);
                self.state.expire(shard, before);
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> bool {
        let (now, dead_letters) = (self.tools.env.now(), self.queue.row.dead_letters);
        let (events, more) = self.state.settle(now, dead_letters, SETTLE_MAX);
        self.events.extend(events);
        more
    }

    /// Serves those who wait, in the order in which they came.
    async fn serve_waiting(&mut self) {
        let mut dry = Vec::new();
        let (now, hurry) = (Instant::now(), *self.tools.hurry.borrow());
        for _ in 0..self.waiting.len() {
            let Some(asked) = self.waiting.pop_front() else { break };
            if asked.reply.is_closed() {
                // Nobody is there any more: records would be hidden for nothing.
                continue;
            }
            let found = match dry.contains(&asked.lane) {
                true => Ok(Vec::new()),
                false => self.collect(&asked).await,
            };
            match found {
                Err(error) => {
                    let queue = &self.queue.queue;
                    tracing::warn!(%queue, %error, "records of a queue can't be read");
                    _ = asked.reply.send(Err(error));
                }
                Ok(found) if found.is_empty() && now < asked.deadline && !hurry => {
                    dry.push(asked.lane);
                    self.waiting.push_back(asked);
                }
                Ok(found) => {
                    if found.is_empty() {
                        dry.push(asked.lane);
                        stats::add(&self.queue.stats.empty_receives, 1);
                    } else if asked.lane == Lane::Normal {
                        stats::add(&self.queue.stats.received, found.len());
                    }
                    self.answers.push(Answer::Received(asked.reply, found));
                }
            }
        }
    }

    /// Writes down what was done, then says so.
    async fn commit(&mut self) -> Result<()> {
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            self.journal.write(&events, self.tools.env.now()).await?;
            self.tools.env.hesitate("queue-events-written").await;
            if !self.lease.is_held() {
                return Err(self.lost());
            }
        }
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Received(reply, found) => _ = reply.send(Ok(found)),
                Answer::Changed(reply, results) => _ = reply.send(Ok(results)),
            }
        }
        Ok(())
    }

    async fn compact(&mut self) -> Result<()> {
        if !self.journal.is_long(&self.state) {
            return Ok(());
        }
        let begin = self.journal.write_snapshot(&self.state, self.tools.env.now()).await?;
        self.tools.env.hesitate("queue-snapshot-written").await;
        if !self.lease.is_held() {
            return Err(self.lost());
        }
        self.journal.trim(begin).await
    }

    /// The end: answers to those who wait, and the lease is free.
    async fn end(mut self, served: &Result<()>) {
        let error = |e: &Error| e.clone();
        for asked in self.waiting.drain(..) {
            let answer = served.as_ref().map(|()| Vec::new()).map_err(error);
            _ = asked.reply.send(answer);
        }
        for answer in self.answers.drain(..) {
            let closing = Error::Unavailable { reason: "the queue is being closed".into() };
            let error = served.as_ref().err().cloned().unwrap_or(closing);
            match answer {
                Answer::Received(reply, _) => _ = reply.send(Err(error)),
                Answer::Changed(reply, _) => _ = reply.send(Err(error)),
            }
        }
        if let Err(error) = self.lease.release().await {
            tracing::debug!(%error, "a queue's lease is not given back and will run out");
        }
    }

    /// Counts a little of what was never delivered. Only a figure: a failure is not one of the queue.
    async fn count_backlog(&mut self) {
        if self.counted_at.is_some_and(|at| at.elapsed() < COUNT_INTERVAL) {
            return;
        }
        self.counted_at = Some(Instant::now());
        let horizon = self.horizon();
        let (log, feed, state) = (&self.tools.records, &mut self.feed, &self.state);
        match self.backlog.count_on(log, feed, state, horizon).await {
            Ok(more) => self.counts_on = more,
            Err(error) => {
                self.counts_on = false;
                let queue = &self.queue.queue;
                tracing::debug!(%queue, %error, "the backlog of a queue can't be counted");
            }
        }
    }

    fn show_gauges(&self) {
        let stats = &self.queue.stats;
        let (hidden, visible) = self.state.count(Lane::Normal);
        let (_, visible_dead) = self.state.count(Lane::DeadLetter);
        stats::set(&stats.in_flight, hidden as u64);
        let visible = visible as u64 + self.backlog.count();
        stats::set(&stats.visible, visible.min(QUEUE_VISIBLE_COUNT_MAX));
        let visible_dead = (visible_dead as u64).min(QUEUE_VISIBLE_COUNT_MAX);
        stats::set(&stats.visible_dead_letters, visible_dead);
    }

    pub(super) fn apply(&mut self, events: Vec<Event>) {
        for event in &events {
            self.state.apply(event);
        }
        self.events.extend(events);
    }

    pub(super) fn horizon(&self) -> Timestamp {
        self.stream.row.horizon_at(self.tools.env.now())
    }

    fn lost(&self) -> Error {
        let reason = format!("{} may be served by another node by now", self.queue.queue);
        Error::Unavailable { reason }
    }
}

//! SubscribeToShard: records are pushed to a consumer as they become durable.
//!
//! A subscription reads from the log behind the [`Feed`](crate::feed::Feed), so many who follow
//! one shard cost one reading. It ends after five minutes, at the shard's end, when the same
//! consumer subscribes anew, when its stream or the node goes, and a while after its consumer
//! went. Nothing is read before the caller asks for the next event: a slow consumer holds one
//! event and no more.

use std::sync::Arc;
use std::time::Duration;

use millstream_base::limits::SUBSCRIPTION_FIRST_EVENT_AFTER;
use millstream_base::{ConsumerArn, ShardId};
use millstream_log::ReadLimit;
use tokio::time::{Instant, sleep_until};

use crate::cache::Snapshot;
use crate::consumer_row::{ConsumerRef, ConsumerStatus};
use crate::consumer_stats::ConsumerStats;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::feed::{EVENT_BYTES_MAX, EVENT_RECORDS_MAX, Stand, Stretch, SubscriptionEvent};
use crate::model::StartingPosition;
use crate::pace::Pace;
use crate::reader::{ShardReader, before};
use crate::subscriptions::{End, Refused, Seat, SubscriptionKey};

/// Pause before a shard is looked at again that says it has news and then has none: its log is
/// sealed and its row does not tell yet.
const QUIET_PAUSE: Duration = Duration::from_millis(20);

/// A consumer's way along one shard.
pub struct Subscription {
    streams: Streams,
    consumer: ConsumerRef,
    reader: ShardReader,
    seat: Seat,
    pace: Pace,
    stats: Arc<ConsumerStats>,
    ends_at: Instant,
    /// When an event without records is due.
    idle_at: Instant,
    /// Nothing is looked for before.
    not_before: Instant,
    /// Until when it goes on without its consumer, once that was found to be gone.
    lingers_until: Option<Instant>,
    over: bool,
}

/// What a subscription waited for.
enum Woken {
    Ended(End),
    LifeOver,
    Ready(Result<()>),
    Idle,
}

impl Streams {
    /// Subscribes a consumer to a shard. The first event comes with the first records, at the
    /// latest after [`crate::SubscriptionOptions::idle_interval`].
    ///
    /// # Errors
    /// In this order: the stream and the consumer exist, the consumer is ACTIVE, it did not call
    /// less than a second ago (where rates are enforced), the shard exists, the starting position
    /// is one (as in [`Streams::get_shard_iterator`]), the consumer subscribed to the shard a
    /// moment ago, the node has no room for more.
    pub async fn subscribe_to_shard(
        &self,
        consumer: &ConsumerArn,
        shard: ShardId,
        from: StartingPosition<'_>,
    ) -> Result<Subscription> {
        let consumer = ConsumerRef::from(consumer.clone());
        let (found, stats) = self.find_active_consumer(&consumer).await?;
        self.admit_subscription(&found, &consumer.name, shard, &stats)?;
        let reader = self.reader(&consumer.stream, shard, from).await?;
        let options = self.inner.options.subscriptions;
        let key = key_of(&consumer, &found, shard);
        let seat = self
            .inner
            .subscriptions
            .take(key, options.takeover_after, options.count_max)
            .map_err(|refused| refusal(refused, &consumer, shard, &stats))?;
        stats.subscribed.observe(1);
        let now = Instant::now();
        Ok(Subscription {
            streams: self.clone(),
            consumer,
            reader,
            seat,
            pace: Pace::new(self.inner.throttle.subscription_rate(&found.stream), now),
            stats,
            ends_at: now + options.life,
            idle_at: now + options.idle_interval,
            not_before: now + SUBSCRIPTION_FIRST_EVENT_AFTER,
            lingers_until: None,
            over: false,
        })
    }

    /// All checks of [`Streams::subscribe_to_shard`], and nothing begun.
    pub async fn check_subscribe_to_shard(
        &self,
        consumer: &ConsumerArn,
        shard: ShardId,
        from: StartingPosition<'_>,
    ) -> Result<()> {
        let consumer = ConsumerRef::from(consumer.clone());
        let (found, stats) = self.find_active_consumer(&consumer).await?;
        self.reader(&consumer.stream, shard, from).await?;
        let options = self.inner.options.subscriptions;
        let key = key_of(&consumer, &found, shard);
        let free = self.inner.subscriptions.check(&key, options.takeover_after, options.count_max);
        free.map_err(|refused| refusal(refused, &consumer, shard, &stats))
    }

    /// Ends all subscriptions of this node and begins no more: the node is about to stop.
    pub fn end_subscriptions(&self) {
        self.inner.subscriptions.close();
    }

    /// Subscriptions of this node now.
    pub fn subscription_count(&self) -> usize {
        self.inner.subscriptions.count()
    }

    async fn find_active_consumer(
        &self,
        consumer: &ConsumerRef,
    ) -> Result<(Arc<Snapshot>, Arc<ConsumerStats>)> {
        let (found, _) = self.find(&consumer.stream).await?;
        let now = self.now();
        let row = found.row.consumers.find(consumer, now)?;
        match row.status_at(now) {
            Some(ConsumerStatus::Active) => {}
            _ => return Err(row.not_active(consumer)),
        }
        let stats = found.consumer_stats.get(&consumer.name).cloned().unwrap_or_default();
        Ok((found, stats))
    }
}

fn key_of(consumer: &ConsumerRef, found: &Snapshot, shard: ShardId) -> SubscriptionKey {
    let created_secs = consumer.created_secs.expect("a consumer's ARN has its second");
    SubscriptionKey {
        family: found.row.family,
        consumer: consumer.name.clone(),
        created_secs,
        shard,
    }
}

fn refusal(
    refused: Refused,
    consumer: &ConsumerRef,
    shard: ShardId,
    stats: &ConsumerStats,
) -> Error {
    match refused {
        Refused::TooSoon => {
            stats.rate_exceeded.observe(1);
            active_elsewhere(consumer, shard)
        }
        Refused::Full => Error::SubscriptionsFull { consumer: consumer.name.clone() },
        Refused::NodeStops => Error::Unavailable { reason: "the node is stopping".to_owned() },
    }
}

fn active_elsewhere(consumer: &ConsumerRef, shard: ShardId) -> Error {
    let (stream, consumer) = (consumer.stream.clone(), consumer.name.clone());
    Error::SubscriptionActive { stream, shard, consumer }
}

impl Subscription {
    /// The next event; an error is the last thing it tells. `None`: it is over, as agreed.
    pub async fn next(&mut self) -> Option<Result<Arc<SubscriptionEvent>>> {
        if self.over {
            return None;
        }
        let told = self.await_event().await;
        match &told {
            Some(Ok(event)) => self.note(event),
            Some(Err(_)) => {
                self.stats.event_success.observe(0);
                self.over = true;
            }
            None => self.over = true,
        }
        told
    }

    async fn await_event(&mut self) -> Option<Result<Arc<SubscriptionEvent>>> {
        loop {
            match self.wait().await {
                Woken::LifeOver | Woken::Ended(End::NodeStops) => return None,
                Woken::Ended(end) => return Some(Err(self.ended(end))),
                Woken::Ready(Err(error)) => return Some(Err(error)),
                Woken::Idle => return Some(self.read().await),
                Woken::Ready(Ok(())) => match self.read().await {
                    Ok(event) if event.records.is_empty() && event.continuation.is_some() => {
                        self.not_before = Instant::now() + QUIET_PAUSE;
                    }
                    told => return Some(told),
                },
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let from = self.not_before.max(self.pace.due());
        let ready = async {
            if from > Instant::now() {
                sleep_until(from).await;
            }
            self.reader.ready().await
        };
        tokio::select! {
            biased;
            end = self.seat.ended() => Woken::Ended(end),
            () = sleep_until(self.ends_at) => Woken::LifeOver,
            ready = ready => Woken::Ready(ready),
            () = sleep_until(self.idle_at) => Woken::Idle,
        }
    }

    /// What is there at the subscription's place, and moves on behind it.
    async fn read(&mut self) -> Result<Arc<SubscriptionEvent>> {
        let found = self.find().await?;
        let shard = self.reader.shard();
        let stand = Stand {
            log: found.log_of(shard),
            from: self.reader.position(),
            tail: self.reader.tail(),
            horizon: found.row.horizon_at(self.streams.now()),
            now: self.streams.now(),
        };
        let cut = |whole: &Stretch| rest_of(whole, &found, shard, stand);
        let (streams, snapshot) = (self.streams.clone(), found.clone());
        let read = move || -> millstream_env::BoxFuture<'static, _> {
            Box::pin(async move { streams.read_stretch(&snapshot, shard, stand).await })
        };
        let mut stretch = self.streams.inner.feed.next(stand, read, cut).await?;
        if !stretch.keys.iter().all(|key| self.streams.inner.keys.is_at_hand(*key)) {
            stretch = self.streams.read_stretch(&found, shard, stand).await?;
        }
        self.reader.advance(stretch.next);
        Ok(stretch.event.clone())
    }

    /// The stream, if it still has the shard and the consumer.
    async fn find(&mut self) -> Result<Arc<Snapshot>> {
        let consumer = self.consumer.clone();
        let consumer = &consumer;
        let missing = || Error::StreamNotFound { stream: consumer.stream.clone() };
        let found = self.streams.look_up(&consumer.stream).await?.ok_or_else(missing)?;
        if found.row.family != self.reader.family() {
            return Err(missing());
        }
        let row = found.row.consumers.find(consumer, self.streams.now());
        let status = row.ok().and_then(|row| row.status_at(self.streams.now()));
        if status != Some(ConsumerStatus::Active) {
            let now = Instant::now();
            let linger = self.streams.inner.options.subscriptions.linger;
            if now >= *self.lingers_until.get_or_insert(now + linger) {
                return Err(consumer.not_found());
            }
        }
        match self.streams.live_shard(&found, self.reader.shard()) {
            Some(_) => Ok(found),
            None => Err(self.reader.gone()),
        }
    }

    fn note(&mut self, event: &SubscriptionEvent) {
        let now = Instant::now();
        let bytes = event.bytes();
        self.stats.event(event.records.len() as u64, bytes as u64, event.millis_behind_latest);
        self.pace.spend(bytes, now);
        self.idle_at = now + self.streams.inner.options.subscriptions.idle_interval;
        self.over = event.continuation.is_none();
    }

    fn ended(&self, end: End) -> Error {
        match end {
            End::TakenOver => active_elsewhere(&self.consumer, self.reader.shard()),
            End::StreamGone => Error::StreamNotFound { stream: self.consumer.stream.clone() },
            End::NodeStops => unreachable!("a node that stops ends subscriptions without an error"),
        }
    }
}

impl Streams {
    async fn read_stretch(
        &self,
        found: &Snapshot,
        shard: ShardId,
        stand: Stand,
    ) -> Result<Arc<Stretch>> {
        let limit = ReadLimit { entries_max: EVENT_RECORDS_MAX, bytes_max: EVENT_BYTES_MAX };
        let page = self.read_page(found, shard, stand.from, limit).await?;
        let known = found.row.shards.get(shard).expect("the shard was looked up");
        // The end comes alone, in an event after the last records: lifion-kinesis looks at no records
        // of an event without a continuation.
        let end = page.end.filter(|_| page.records.is_empty());
        let continuation = match end {
            Some(_) => None,
            None => Some(known.number_at(before(page.next))),
        };
        let children = end.unwrap_or_default();
        let behind = page.millis_behind_latest;
        let event = SubscriptionEvent::new(page.records, behind, continuation, children);
        let (event, next, read_at) = (Arc::new(event), page.next, stand.now);
        Ok(Arc::new(Stretch { event, next, read_at, keys: page.keys }))
    }
}

/// The part of an event at and after the place where a subscriber stands.
fn rest_of(whole: &Stretch, found: &Snapshot, shard: ShardId, stand: Stand) -> Arc<Stretch> {
    let known = found.row.shards.get(shard).expect("the shard was looked up");
    let from = known.number_at(stand.from);
    let event = &whole.event;
    let first = event.records.partition_point(|r| r.sequence_number < from);
    let records = event.records[first..].to_vec();
    let (behind, children) = (event.millis_behind_latest, event.child_shards.clone());
    let rest = SubscriptionEvent::new(records, behind, event.continuation, children);
    let (event, keys) = (Arc::new(rest), whole.keys.clone());
    Arc::new(Stretch { event, next: whole.next, read_at: whole.read_at, keys })
}

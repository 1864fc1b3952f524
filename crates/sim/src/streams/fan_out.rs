//! Clients that subscribe to shards: every record behind the starting position comes once and in
//! order, through reshards, until the subscription or the shard ends.

use std::sync::Arc;

use millstream_api::kinesis::{self as api, Kinesis};
use millstream_base::{ConsumerArn, ShardId, Timestamp};
use millstream_env::sim::Rng;
use millstream_streams::{
    Error, ErrorKind, IteratorType, Record, StartingPosition, SubscriptionEvent,
};
use millstream_wire::Time;

use super::client::{Life, StreamClient, ask};
use super::oracle::{Place, Start, Tick, number};
use crate::lives::Reply;

/// Events of one subscription before the client turns to something else.
const EVENTS_MAX: u64 = 6;

impl StreamClient {
    /// Subscribes to a shard somewhere and takes some events.
    pub(super) async fn subscribe(
        &mut self,
        life: &Life<'_>,
        stream: &str,
        rng: &mut Rng,
    ) -> Reply<()> {
        let Some(arn) = self.consumer(life, stream).await? else { return Ok(()) };
        let shard = self.oracle.borrow().some_shard(stream, rng);
        let start = self.some_start(stream, &shard, rng);
        let mut place =
            Place { stream: stream.to_string(), shard: shard.clone(), start, last: None };
        let asked = self.oracle.borrow_mut().now();
        let from = place.start.clone();
        let begun = life.call(move |node| async move {
            let shard = ShardId::parse(&shard).expect("a shard that was listed");
            let (kind, number, timestamp) = position(&from);
            let from = StartingPosition { kind, sequence_number: number.as_deref(), timestamp };
            node.parts().engine.subscribe_to_shard(&arn, shard, from).await
        });
        let mut subscription = match begun.await? {
            Ok(subscription) => subscription,
            Err(error) => {
                self.unsubscribed(life, stream, asked, &error);
                return Ok(());
            }
        };
        if matches!(place.start, Start::Latest(..)) {
            place.start = Start::Latest(asked, self.oracle.borrow_mut().now());
        }
        for _ in 0..rng.between(1, EVENTS_MAX) {
            let asked = self.oracle.borrow_mut().now();
            let told = life.call(move |_| async move {
                let event = subscription.next().await;
                (subscription, event)
            });
            let event;
            (subscription, event) = told.await?;
            match event {
                None => return Ok(()),
                Some(Err(error)) => {
                    self.unsubscribed(life, stream, asked, &error);
                    return Ok(());
                }
                Some(Ok(event)) => self.event(life, &mut place, asked, &event),
            }
            if life.judge.failed() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn event(
        &self,
        life: &Life<'_>,
        place: &mut Place,
        asked: Tick,
        event: &Arc<SubscriptionEvent>,
    ) {
        life.judge.count(|s| {
            s.events += 1;
            s.entries_read += event.records.len() as u64;
        });
        let records: Vec<api::Record> = event.records.iter().map(as_told).collect();
        let at_end = event.millis_behind_latest == 0 && records.is_empty();
        self.oracle.borrow_mut().saw_clock(life.judge.clock_peak(life.world));
        let page = self.oracle.borrow_mut().page(place, asked, &records, at_end);
        self.hold(life, page);
        let children: Vec<api::ChildShard> = event.child_shards.iter().map(child).collect();
        match event.continuation {
            None => {
                let ends = self.oracle.borrow_mut().ends(place, &children);
                self.hold(life, ends);
            }
            Some(on) if !children.is_empty() => {
                life.judge.fail(format!("{place:?} goes on at {on} and ends in {children:?}"));
            }
            Some(on) => {
                let on = number(&on.to_string());
                if place.last.as_ref().is_some_and(|last| on < *last) {
                    life.judge.fail(format!("{place:?} is to go on at {on}"));
                }
            }
        }
    }

    fn unsubscribed(&self, life: &Life<'_>, stream: &str, asked: Tick, error: &Error) {
        life.world.note(format_args!("client {}, subscription to {stream}: {error}", self.client));
        match error.kind() {
            ErrorKind::NotFound => {
                let of_shard = matches!(error, Error::ShardNotFound { .. });
                let expired = of_shard && self.may_be_expired(life, stream);
                if self.oracle.borrow().must_exist(stream, asked) && !expired {
                    life.judge.fail(format!("LOST: {stream}: {error}"));
                }
            }
            ErrorKind::Conflict | ErrorKind::LimitExceeded | ErrorKind::Throttled => {
                life.judge.count(|s| s.refused += 1);
            }
            ErrorKind::Unavailable | ErrorKind::Internal => {
                self.troubled(life, stream, &error.to_string())
            }
            ErrorKind::Invalid if matches!(error, Error::TimestampInFuture { .. }) => {}
            ErrorKind::Invalid | ErrorKind::Expired => {
                life.judge.fail(format!("a subscription that is right gets {error}"));
            }
        }
    }

    /// The client's own consumer of the stream, registered if it is not there yet.
    async fn consumer(&self, life: &Life<'_>, stream: &str) -> Reply<Option<ConsumerArn>> {
        let asked = self.oracle.borrow_mut().now();
        let stream_arn =
            format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", self.wire(stream));
        let consumer_name = format!("c{}", self.client);
        let input = api::DescribeStreamConsumerInput {
            stream_arn: Some(stream_arn.clone()),
            consumer_name: Some(consumer_name.clone()),
            ..Default::default()
        };
        let found =
            ask(life, |p, c| async move { p.service.describe_stream_consumer(&c, input).await });
        let arn = match found.await? {
            Ok(output) => output.consumer_description.consumer_arn,
            Err(e) if e.message.as_deref().is_some_and(|m| m.starts_with("Consumer ")) => {
                let key = (stream.to_string(), self.client);
                if self.oracle.borrow().consumers.contains(&key) {
                    life.judge
                        .fail(format!("LOST: {consumer_name} of {stream} is registered: {e:?}"));
                }
                let input = api::RegisterStreamConsumerInput {
                    stream_arn,
                    consumer_name,
                    ..Default::default()
                };
                let made =
                    ask(
                        life,
                        |p, c| async move { p.service.register_stream_consumer(&c, input).await },
                    );
                match made.await? {
                    Ok(output) => {
                        self.oracle.borrow_mut().consumers.insert(key);
                        output.consumer.consumer_arn
                    }
                    Err(e) => {
                        self.excuse(life, stream, asked, &e);
                        return Ok(None);
                    }
                }
            }
            Err(e) => {
                self.excuse(life, stream, asked, &e);
                return Ok(None);
            }
        };
        if ConsumerArn::parse(&arn).is_err() {
            life.judge.fail(format!("{arn} is no ARN of a consumer"));
        }
        Ok(ConsumerArn::parse(&arn).ok())
    }
}

fn position(start: &Start) -> (IteratorType, Option<String>, Option<Timestamp>) {
    let unpad = |n: &str| Some(n.trim_start_matches('0').to_string());
    match start {
        Start::Horizon => (IteratorType::TrimHorizon, None, None),
        Start::Latest(..) => (IteratorType::Latest, None, None),
        Start::At(n) => (IteratorType::AtSequenceNumber, unpad(n), None),
        Start::After(n) => (IteratorType::AfterSequenceNumber, unpad(n), None),
        Start::Time(ms) => {
            (IteratorType::AtTimestamp, None, Some(Timestamp::from_millis(*ms as u64)))
        }
    }
}

/// A record as the API shows it.
fn as_told(r: &Record) -> api::Record {
    let key = r.partition_key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
    api::Record {
        sequence_number: r.sequence_number.to_string().into(),
        approximate_arrival_timestamp: Some(Time::from_millis(r.arrived.as_millis() as i64)),
        data: r.data.clone(),
        partition_key: key.map(Into::into),
        ..Default::default()
    }
}

fn child(c: &millstream_streams::ChildShard) -> api::ChildShard {
    api::ChildShard {
        shard_id: c.shard.to_string(),
        parent_shards: c.parents.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

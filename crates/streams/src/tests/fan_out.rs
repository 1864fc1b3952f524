//! Subscriptions: what is pushed, where it is cut, when it ends, and what it costs.

use millstream_base::ConsumerArn;
use millstream_base::limits::SUBSCRIPTION_LINGER;
use tokio::time::{Instant, timeout};

use super::*;

impl World {
    /// A stream of one shard with a consumer.
    async fn followed(&self) -> (StreamArn, ConsumerArn) {
        let stream = self.stream("s", 1).await;
        let consumer = self.register(&stream, "c").await.unwrap();
        (stream, consumer)
    }

    async fn subscribe(
        &self,
        consumer: &ConsumerArn,
        from: StartingPosition<'_>,
    ) -> Result<Subscription> {
        self.streams.subscribe_to_shard(consumer, ShardId::new(0), from).await
    }

    /// Puts `count` records of `bytes` bytes.
    async fn fill(&self, stream: &StreamArn, count: usize, bytes: usize) {
        let data = Bytes::from(vec![b'x'; bytes]);
        for _ in 0..count {
            let record = NewRecord { data: data.clone(), ..record("k", "", Some("0")) };
            self.streams.put_record(stream, record, None).await.unwrap();
        }
    }
}

async fn event(subscription: &mut Subscription) -> Arc<SubscriptionEvent> {
    subscription.next().await.expect("an event, not the end").unwrap()
}

fn told(event: &SubscriptionEvent) -> Vec<String> {
    event.records.iter().map(|r| String::from_utf8(r.data.to_vec()).unwrap()).collect()
}

/// A read that has nothing to tell would go on at once otherwise.
const MOMENT: Duration = Duration::from_millis(900);

#[tokio::test(start_paused = true)]
async fn all_who_stand_at_one_place_get_the_same_event() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let mut all = Vec::new();
    for n in 0..20 {
        let consumer = world.register(&stream, &format!("c{n}")).await.unwrap();
        all.push(world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap());
    }
    for round in ["one", "two", "three"] {
        world.put(&stream, 0, &[round]).await;
        let mut events = Vec::new();
        for subscription in &mut all {
            events.push(event(subscription).await);
        }
        assert_eq!(told(&events[0]), [round]);
        assert!(events.iter().all(|e| Arc::ptr_eq(e, &events[0])), "one reading for all");
        let made = std::cell::Cell::new(0);
        for event in &events {
            event.rendered(0, |_| {
                made.set(made.get() + 1);
                Bytes::from_static(b"frame")
            });
        }
        assert_eq!(made.get(), 1, "one rendering for all");
    }
}

#[tokio::test(start_paused = true)]
async fn who_stands_within_an_event_gets_its_rest_and_then_stands_with_the_others() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let numbers = world.put(&stream, 0, &["a", "b", "c"]).await;
    let first = world.register(&stream, "first").await.unwrap();
    let second = world.register(&stream, "second").await.unwrap();
    let mut first = world.subscribe(&first, StartingPosition::TRIM_HORIZON).await.unwrap();
    let mut second = world.subscribe(&second, after(&numbers[0])).await.unwrap();
    assert_eq!(told(&*event(&mut first).await), ["a", "b", "c"]);
    let rest = event(&mut second).await;
    assert_eq!(told(&rest), ["b", "c"]);
    assert_eq!(rest.continuation.unwrap().to_string(), numbers[2]);
    world.put(&stream, 0, &["d"]).await;
    assert!(Arc::ptr_eq(&event(&mut first).await, &event(&mut second).await));
}

#[tokio::test(start_paused = true)]
async fn events_are_cut_by_bytes_and_one_large_record_goes_alone() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    world.fill(&stream, 5, 100 << 10).await;
    world.fill(&stream, 1, (1 << 20) - 1).await;
    world.fill(&stream, 1, 10).await;
    let mut subscription =
        world.subscribe(&consumer, StartingPosition::TRIM_HORIZON).await.unwrap();
    let mut counts = Vec::new();
    while counts.iter().sum::<usize>() < 7 {
        let event = event(&mut subscription).await;
        assert!(event.bytes() <= EVENT_BYTES_MAX || event.records.len() == 1);
        counts.push(event.records.len());
    }
    assert_eq!(counts, [2, 2, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_continuation_goes_on_exactly_after_what_was_told() {
    let options = Options {
        subscriptions: SubscriptionOptions { takeover_after: Duration::ZERO, ..Default::default() },
        ..Options::default()
    };
    let world = World::with(options).await;
    let (stream, consumer) = world.followed().await;
    world.fill(&stream, 20, 100 << 10).await;
    let mut from = String::new();
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let position = if from.is_empty() { StartingPosition::TRIM_HORIZON } else { after(&from) };
        let mut subscription = world.subscribe(&consumer, position).await.unwrap();
        let event = event(&mut subscription).await;
        from = event.continuation.unwrap().to_string();
        seen.extend(event.records.iter().map(|r| r.sequence_number));
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "each once and in order");
    assert_eq!(seen.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_idle_subscription_tells_where_it_is() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    let started = Instant::now();
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    let mut last = None;
    for beat in 1..=3 {
        let event = event(&mut subscription).await;
        assert!(event.records.is_empty());
        assert_eq!(event.millis_behind_latest, 0);
        assert_eq!(started.elapsed(), beat * Duration::from_secs(5));
        last = event.continuation;
    }
    world.put(&stream, 0, &["x"]).await;
    assert_eq!(told(&*event(&mut subscription).await), ["x"]);
    assert_eq!(world.texts(&stream, 0, after(&last.unwrap().to_string())).await, ["x"]);
}

#[tokio::test(start_paused = true)]
async fn it_is_over_after_five_minutes_whether_records_come_or_not() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    let started = Instant::now();
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    while let Some(event) = subscription.next().await {
        event.unwrap();
        world.put(&stream, 0, &["x"]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let lasted = started.elapsed();
    assert!((300..=302).contains(&lasted.as_secs()), "{lasted:?}");
    assert!(subscription.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_closed_shard_ends_with_its_children_and_no_continuation() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    world.put(&stream, 0, &["last"]).await;
    let mut subscription =
        world.subscribe(&consumer, StartingPosition::TRIM_HORIZON).await.unwrap();
    let event_before = event(&mut subscription).await;
    assert!(event_before.continuation.is_some() && event_before.child_shards.is_empty());
    let children = world.split(&stream, 0).await;
    let end = event(&mut subscription).await;
    assert_eq!(end.continuation, None);
    let found: Vec<_> = end.child_shards.iter().map(|c| c.shard.number()).collect();
    assert_eq!(found, children);
    assert!(end.child_shards.iter().all(|c| c.parents == [ShardId::new(0)]));
    assert!(subscription.next().await.is_none(), "the shard's end is the subscription's");
    let behind = world.register(&stream, "behind").await.unwrap();
    let mut behind = world.subscribe(&behind, StartingPosition::TRIM_HORIZON).await.unwrap();
    let last = event(&mut behind).await;
    assert!(last.continuation.is_some() && last.records.len() == 1 && last.child_shards.is_empty());
    let end = event(&mut behind).await;
    assert!(end.continuation.is_none() && end.records.is_empty(), "the end comes alone");
    let late = world.register(&stream, "late").await.unwrap();
    let mut late = world.subscribe(&late, StartingPosition::LATEST).await.unwrap();
    assert_eq!(event(&mut late).await.child_shards.len(), 2, "at once, not when idle");
    let merged = world.merge(&stream, children[0], children[1]).await;
    let mut parent = world
        .streams
        .subscribe_to_shard(&consumer, ShardId::new(children[0]), StartingPosition::LATEST)
        .await
        .unwrap();
    let end = event(&mut parent).await;
    assert_eq!(end.child_shards[0].shard.number(), merged);
    assert_eq!(end.child_shards[0].parents, children.map(ShardId::new));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_sealed_before_its_row_says_so_is_waited_for() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    let found = world.streams.look_up(&stream).await.unwrap().unwrap();
    world.log.seal(LogId::new(found.row.family, 0)).await.unwrap();
    assert!(timeout(MOMENT, subscription.next()).await.is_err(), "nothing to tell yet");
    world.split(&stream, 0).await;
    let end = timeout(MOMENT, subscription.next()).await.expect("the end in time");
    assert_eq!(end.unwrap().unwrap().child_shards.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_older_subscription_gives_way_and_a_young_one_does_not() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    let mut old = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    let active = || Error::SubscriptionActive {
        stream: stream.clone(),
        shard: ShardId::new(0),
        consumer: consumer.name.clone(),
    };
    tokio::time::advance(Duration::from_millis(4999)).await;
    let refused = world.subscribe(&consumer, StartingPosition::LATEST).await;
    assert_eq!(refused.err(), Some(active()));
    let checked = world.streams.check_subscribe_to_shard(
        &consumer,
        ShardId::new(0),
        StartingPosition::LATEST,
    );
    assert_eq!(checked.await, Err(active()), "a dry run fails as the call would");
    tokio::time::advance(Duration::from_millis(1)).await;
    let _new = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    assert_eq!(old.next().await.unwrap().unwrap_err(), active());
    assert!(old.next().await.is_none(), "an error is the last thing it tells");
    drop(old);
    assert_eq!(world.streams.subscription_count(), 1);
}

async fn error_after_idle_events(subscription: &mut Subscription) -> Error {
    loop {
        match subscription.next().await.expect("an error ends it") {
            Ok(event) => assert!(event.records.is_empty()),
            Err(error) => return error,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn consumers_that_are_not_active_do_not_subscribe() {
    let second = Duration::from_secs(1);
    let world = World::with(super::consumers::consumer_times(second, second)).await;
    let (_, consumer) = world.followed().await;
    let refused = world.subscribe(&consumer, StartingPosition::LATEST).await;
    assert!(matches!(refused.err(), Some(Error::ConsumerNotActive { .. })));
    world.pass(second);
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    world.streams.deregister_stream_consumer(&consumer.clone().into()).await.unwrap();
    let began = Instant::now();
    let ended = error_after_idle_events(&mut subscription).await;
    assert!(matches!(ended, Error::ConsumerNotFound { .. }));
    let lasted = began.elapsed();
    assert!(lasted >= SUBSCRIPTION_LINGER, "whoever reads may stop before it is told: {lasted:?}");
    let refused = world.subscribe(&consumer, StartingPosition::LATEST).await;
    assert!(matches!(refused.err(), Some(Error::ConsumerNotActive { .. })));
    world.pass(second);
    let refused = world.subscribe(&consumer, StartingPosition::LATEST).await;
    assert!(matches!(refused.err(), Some(Error::ConsumerNotFound { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_another_node_removed_is_noticed() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    let other = world.another().await;
    other.deregister_stream_consumer(&consumer.clone().into()).await.unwrap();
    let ended = error_after_idle_events(&mut subscription).await;
    assert!(matches!(ended, Error::ConsumerNotFound { .. }));
    let consumer = world.register(&stream, "d").await.unwrap();
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    other.delete_stream(&stream, true).await.unwrap();
    let ended = subscription.next().await;
    assert!(matches!(ended, Some(Err(Error::ShardNotFound { .. } | Error::StreamNotFound { .. }))));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_ends_subscriptions_without_an_error() {
    let world = World::new().await;
    let (_, consumer) = world.followed().await;
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    world.streams.end_subscriptions();
    assert!(timeout(MOMENT, subscription.next()).await.expect("at once").is_none());
    let refused = world.subscribe(&consumer, StartingPosition::LATEST).await;
    assert!(matches!(refused.err(), Some(Error::Unavailable { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_retention_has_taken_is_not_told_from_memory() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    world.put(&stream, 0, &["old"]).await;
    let mut subscriptions = Vec::new();
    for name in ["a", "b"] {
        let consumer = world.register(&stream, name).await.unwrap();
        let from = StartingPosition::TRIM_HORIZON;
        subscriptions.push(world.subscribe(&consumer, from).await.unwrap());
    }
    assert_eq!(told(&*event(&mut subscriptions[0]).await), ["old"]);
    world.pass(25 * HOUR);
    world.put(&stream, 0, &["new"]).await;
    assert_eq!(told(&*event(&mut subscriptions[1]).await), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn how_far_behind_is_told_truly() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let (a, b) = (world.register(&stream, "a").await, world.register(&stream, "b").await);
    world.fill(&stream, 3, 200 << 10).await;
    world.pass(Duration::from_secs(100));
    let from = StartingPosition::TRIM_HORIZON;
    let mut first = world.subscribe(&a.unwrap(), from).await.unwrap();
    let mut second = world.subscribe(&b.unwrap(), from).await.unwrap();
    assert_eq!(event(&mut first).await.millis_behind_latest, 100_000);
    world.pass(Duration::from_secs(100));
    assert_eq!(event(&mut second).await.millis_behind_latest, 200_000, "not what was kept");
    for subscription in [&mut first, &mut second] {
        event(subscription).await;
        assert_eq!(event(subscription).await.millis_behind_latest, 0, "the tip");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_others_is_bounded() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    world.fill(&stream, 150, 250 << 10).await;
    let mut subscription =
        world.subscribe(&consumer, StartingPosition::TRIM_HORIZON).await.unwrap();
    let mut most = 0;
    for _ in 0..150 {
        event(&mut subscription).await;
        most = most.max(world.streams.inner.feed.kept_bytes());
    }
    assert!((32 << 20..=64 << 20).contains(&most), "{most} bytes kept");
}

#[tokio::test(start_paused = true)]
async fn figures_of_consumers_are_counted() {
    let world = World::new().await;
    let (stream, consumer) = world.followed().await;
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    let _ = world.subscribe(&consumer, StartingPosition::LATEST).await;
    world.put(&stream, 0, &["one", "three"]).await;
    event(&mut subscription).await;
    world
        .streams
        .deregister_stream_consumer(&ConsumerRef { created_secs: None, ..consumer.clone().into() })
        .await
        .unwrap();
    world.register(&stream, "other").await.unwrap();
    let samples = world.streams.take_consumer_samples();
    assert_eq!(samples.len(), 1, "gone consumers are gone: {samples:?}");
    let figures = |s: Sample| (s.count, s.sum);
    assert_eq!(figures(samples[0].subscribe_success), (0, 0));

    let consumer = world.register(&stream, "c").await.unwrap();
    let mut subscription = world.subscribe(&consumer, StartingPosition::LATEST).await.unwrap();
    let _ = world.subscribe(&consumer, StartingPosition::LATEST).await;
    world.put(&stream, 0, &["one", "three"]).await;
    event(&mut subscription).await;
    let samples = world.streams.take_consumer_samples();
    let c = &samples[0];
    assert_eq!(c.consumer.as_str(), "c");
    assert_eq!(figures(c.subscribe_success), (1, 1));
    assert_eq!(figures(c.subscribe_rate_exceeded), (1, 1));
    assert_eq!(figures(c.event_success), (1, 1));
    assert_eq!(figures(c.event_records), (1, 2));
    assert_eq!(figures(c.event_bytes), (1, 10));
    assert_eq!(figures(c.event_millis_behind), (1, 0));
    assert_eq!(figures(world.streams.take_consumer_samples()[0].event_success), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn where_quotas_are_enforced_a_consumer_gets_two_mib_a_second_of_its_own() {
    let default = Quotas { mode: QuotaMode::Enforced, ..Quotas::default() };
    let quotas = QuotaSettings { default, ..QuotaSettings::default() };
    let world = World::with(Options { quotas, ..Options::default() }).await;
    let stream = world.stream("s", 1).await;
    for _ in 0..10 {
        world.fill(&stream, 4, 250 << 10).await;
        world.pass(Duration::from_secs(1)); // within the shard's own mebibyte
    }
    let mut all = Vec::new();
    for name in ["a", "b"] {
        let consumer = world.register(&stream, name).await.unwrap();
        let from = StartingPosition::TRIM_HORIZON;
        all.push(world.subscribe(&consumer, from).await.unwrap());
    }
    for subscription in &mut all {
        let started = Instant::now();
        let mut bytes = 0;
        while bytes < 40 * (250 << 10) {
            bytes += event(subscription).await.bytes();
        }
        let seconds = started.elapsed().as_secs_f64();
        // Ten million bytes; the first second's worth comes at once.
        assert!((3.5..4.5).contains(&seconds), "{seconds} s");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

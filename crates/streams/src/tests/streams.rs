//! Streams come, change and go.

use millstream_base::{RetentionError, TagError, Tags};

use super::*;

fn durations(ms: u64) -> Options {
    let d = Duration::from_millis(ms);
    let state_durations =
        StateDurations { creating: d, updating: d, deleting: d, ..StateDurations::default() };
    Options { state_durations, ..Options::default() }
}

async fn status(world: &World, stream: &StreamArn) -> StreamStatus {
    world.streams.describe_stream_summary(stream).await.unwrap().status
}

fn not_found<T: std::fmt::Debug>(result: Result<T>) -> bool {
    matches!(result, Err(Error::StreamNotFound { .. }))
}

#[tokio::test]
async fn a_new_stream_is_as_it_was_asked_for() {
    let world = World::new().await;
    let request = CreateStream {
        tags: Tags::from([("team".into(), "a".into())]),
        max_record_kib: Some(2048),
        ..CreateStream::provisioned(arn("orders"), 3)
    };
    world.streams.create_stream(request).await.unwrap();
    let summary = world.streams.describe_stream_summary(&arn("orders")).await.unwrap();
    assert_eq!(summary.status, StreamStatus::Active);
    assert_eq!(summary.mode, StreamMode::Provisioned);
    assert_eq!(summary.created, Timestamp::from_secs(START.as_secs()), "whole seconds");
    assert_eq!((summary.retention.hours(), summary.open_shard_count), (24, 3));
    assert_eq!(summary.max_record_kib, 2048);
    let tags = world.streams.list_tags(&arn("orders"), None, None).await.unwrap();
    assert_eq!(tags.tags, [("team".into(), "a".into())]);
    let description = world.streams.describe_stream(&arn("orders"), None, None).await.unwrap();
    assert_eq!(
        description.shards[0].starting_sequence_number.to_string(),
        "49646437577108476416916876405825929425585429676275269634",
        "as AWS numbers shard 0 of that second"
    );
}

#[tokio::test]
async fn streams_without_a_count_begin_with_four_shards() {
    let world = World::new().await;
    for (name, mode) in [("a", None), ("b", Some(StreamMode::OnDemand))] {
        let request =
            CreateStream { mode, shard_count: None, ..CreateStream::provisioned(arn(name), 1) };
        world.streams.create_stream(request).await.unwrap();
        let summary = world.streams.describe_stream_summary(&arn(name)).await.unwrap();
        assert_eq!(summary.open_shard_count, 4);
    }
}

#[tokio::test]
async fn settings_that_do_not_go_together_are_refused() {
    let world = World::new().await;
    let ok = || CreateStream::provisioned(arn("a"), 1);
    let on_demand = || CreateStream { mode: Some(StreamMode::OnDemand), shard_count: None, ..ok() };
    let auto = Some(RecordDistribution::Auto);
    let cases = [
        (CreateStream { shard_count: None, ..ok() }, Error::ShardCountMissing),
        (CreateStream { shard_count: Some(2), ..on_demand() }, Error::ShardCountUnexpected),
        (
            CreateStream { max_record_kib: Some(1023), ..ok() },
            Error::RecordSizeOutOfBounds { kib: 1023, min: 1024, max: 10240 },
        ),
        (
            CreateStream { shard_count: Some(10_001), ..ok() },
            Error::ShardsPerStream { requested: 10_001, limit: 10_000 },
        ),
        (CreateStream { distribution: auto, ..ok() }, Error::AutoNeedsOnDemand),
        (
            CreateStream { warm_throughput_mibps: Some(1), ..ok() },
            Error::WarmThroughputNeedsOnDemand,
        ),
        (
            CreateStream { warm_throughput_mibps: Some(1), ..on_demand() },
            Error::WarmThroughputNeedsCommitment,
        ),
    ];
    for (request, error) in cases {
        assert_eq!(world.streams.create_stream(request).await, Err(error));
    }
    assert!(not_found(world.streams.describe_stream_summary(&arn("a")).await));
}

#[tokio::test]
async fn a_taken_name_comes_before_quotas_and_tags() {
    let world = World::with(Options { shards_per_account_max: 3, ..Options::default() }).await;
    world.stream("a", 2).await;
    let bad = Tags::from([("!".into(), String::new())]);
    let request = |name, shards| CreateStream {
        tags: bad.clone(),
        ..CreateStream::provisioned(arn(name), shards)
    };
    let taken = world.streams.create_stream(request("a", 5)).await;
    assert_eq!(taken, Err(Error::StreamExists { stream: arn("a") }));
    let many = world.streams.create_stream(request("b", 2)).await;
    let limit = Error::ShardLimit { scope: scope(), current: 2, requested: 2, limit: 3 };
    assert_eq!(many, Err(limit));
    let tags = world.streams.create_stream(request("b", 1)).await;
    assert!(matches!(tags, Err(Error::Tags { .. })), "{tags:?}");
    let limits = world.streams.describe_limits(&scope()).await.unwrap();
    assert_eq!((limits.open_shard_count, limits.shard_limit), (2, 3));
    world.streams.delete_stream(&arn("a"), false).await.unwrap();
    world.stream("b", 3).await;
}

#[tokio::test]
async fn states_take_the_time_they_were_given() {
    let world = World::with(durations(1000)).await;
    let stream = world.stream("a", 2).await;
    assert_eq!(status(&world, &stream).await, StreamStatus::Creating);
    let summary = world.streams.describe_stream_summary(&stream).await.unwrap();
    assert_eq!(summary.open_shard_count, 0, "no shards while CREATING");
    let description = world.streams.describe_stream(&stream, None, None).await.unwrap();
    assert!(description.shards.is_empty());
    assert!(not_found(world.streams.put_record(&stream, record("k", "x", None), None).await));
    let iterator =
        world.streams.get_shard_iterator(&stream, ShardId::new(0), StartingPosition::LATEST);
    assert!(matches!(iterator.await, Err(Error::ShardNotFound { .. })));
    let refused = world.streams.increase_retention(&stream, 48).await;
    let (busy, state) = (stream.clone(), StreamStatus::Creating);
    assert_eq!(refused, Err(Error::StreamNotActive { stream: busy, status: state }));

    world.pass(Duration::from_millis(1000));
    assert_eq!(status(&world, &stream).await, StreamStatus::Active);
    world.streams.increase_retention(&stream, 48).await.unwrap();
    assert_eq!(status(&world, &stream).await, StreamStatus::Updating);
    world.streams.put_record(&stream, record("k", "x", None), None).await.unwrap();
    world.pass(Duration::from_millis(1000));
    assert_eq!(status(&world, &stream).await, StreamStatus::Active);

    world.streams.delete_stream(&stream, false).await.unwrap();
    assert_eq!(status(&world, &stream).await, StreamStatus::Deleting);
    let again = world.streams.delete_stream(&stream, false).await;
    assert!(matches!(again, Err(Error::StreamNotActive { .. })));
    world.pass(Duration::from_millis(1000));
    assert!(not_found(world.streams.describe_stream_summary(&stream).await));
    world.stream("a", 1).await; // the name is free at once, swept or not
}

#[tokio::test]
async fn five_streams_change_at_once_and_no_more() {
    let world = World::with(durations(1000)).await;
    for i in 0..5 {
        world.stream(&format!("s{i}"), 1).await;
    }
    let sixth = CreateStream::provisioned(arn("s5"), 1);
    let refused = world.streams.create_stream(sixth.clone()).await;
    assert_eq!(refused, Err(Error::StreamsChanging { account: AccountId::DEFAULT, limit: 5 }));
    world.pass(Duration::from_millis(1000));
    world.streams.create_stream(sixth).await.unwrap();
}

#[tokio::test]
async fn a_deleted_stream_leaves_nothing_and_its_iterators_die() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let stream = world.stream("a", 3).await;
    world.put(&stream, 0, &["old"]).await;
    let iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    assert_eq!(log.list().len(), 3);
    world.streams.delete_stream(&stream, false).await.unwrap();
    assert_eq!(log.list(), []);
    assert!(matches!(world.get(&iterator).await, Err(Error::ShardNotFound { .. })));
    world.stream("a", 3).await;
    let reused = world.get(&iterator).await;
    assert!(matches!(reused, Err(Error::ShardNotFound { .. })), "same name, another stream");
    assert!(world.texts(&stream, 0, StartingPosition::TRIM_HORIZON).await.is_empty());
}

#[tokio::test]
async fn the_sweeper_finishes_what_a_crash_left() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), durations(1000)).await;
    let deleted = world.stream("deleted", 2).await;
    let half_made = world.stream("half-made", 2).await;
    world.pass(Duration::from_millis(1000));
    let unmake = world.streams.change(&half_made, |row, _, _| {
        row.logs_made = false;
        Ok(())
    });
    unmake.await.unwrap();
    let family = world.streams.look_up(&half_made).await.unwrap().unwrap().row.family;
    log.delete(vec![LogId::new(family, 0), LogId::new(family, 1)]).await.unwrap();
    world.streams.delete_stream(&deleted, false).await.unwrap();
    world.pass(Duration::from_millis(1000));
    world.streams.sweep().await;
    assert_eq!(log.list(), [LogId::new(family, 0), LogId::new(family, 1)]);
    assert_eq!(status(&world, &half_made).await, StreamStatus::Active);
    assert_eq!(world.streams.counts().len(), 1);
}

#[tokio::test]
async fn two_engines_see_each_others_streams_at_once() {
    let world = World::new().await;
    let other = world.another().await;
    let stream = world.stream("a", 1).await;
    other.describe_stream_summary(&stream).await.unwrap();
    let race = (0..10).map(|i| {
        let engine = if i % 2 == 0 { &world.streams } else { &other };
        let tags = Tags::from([(format!("k{i}"), String::new())]);
        let stream = stream.clone();
        async move { engine.add_tags(&stream, &tags).await.unwrap() }
    });
    futures_util::future::join_all(race).await;
    let tags = world.streams.list_tags(&stream, None, None).await.unwrap();
    assert_eq!(tags.tags.len(), 10, "no tag is lost in the race");
    let makers = (0..10).map(|i| {
        let engine = if i % 2 == 0 { &world.streams } else { &other };
        engine.create_stream(CreateStream::provisioned(arn("b"), 1))
    });
    let made = futures_util::future::join_all(makers).await;
    assert_eq!(made.iter().filter(|m| m.is_ok()).count(), 1, "{made:?}");
}

#[tokio::test]
async fn a_restarted_engine_knows_everything() {
    let world = World::new().await;
    let stream = world.stream("a", 2).await;
    world.put(&stream, 1, &["x"]).await;
    let iterator = world.iterator(&stream, 1, StartingPosition::TRIM_HORIZON).await;
    world.streams.shutdown().await;
    let world = World { streams: world.another().await, ..world };
    assert_eq!(texts(&world.get(&iterator).await.unwrap()), ["x"]);
}

#[tokio::test]
async fn retention_is_checked_in_aws_order() {
    let world = World::new().await;
    let stream = arn("a");
    assert!(not_found(world.streams.increase_retention(&stream, 1).await));
    world.stream("a", 1).await;
    let s = &world.streams;
    let hours = async || s.describe_stream_summary(&stream).await.unwrap().retention.hours();
    let too_short = Error::Retention(RetentionError::TooShort { hours: 23 });
    assert_eq!(s.increase_retention(&stream, 23).await, Err(too_short.clone()));
    assert_eq!(s.decrease_retention(&stream, 23).await, Err(too_short));
    let too_long = Error::Retention(RetentionError::TooLong { hours: 8761 });
    assert_eq!(s.increase_retention(&stream, 8761).await, Err(too_long));
    s.increase_retention(&stream, 24).await.unwrap();
    s.increase_retention(&stream, 48).await.unwrap();
    assert_eq!(hours().await, 48);
    let lower = s.increase_retention(&stream, 47).await;
    assert!(matches!(lower, Err(Error::RetentionShorter { .. })), "{lower:?}");
    let higher = s.decrease_retention(&stream, 49).await;
    assert!(matches!(higher, Err(Error::RetentionLonger { .. })), "{higher:?}");
    s.decrease_retention(&stream, 24).await.unwrap();
    assert_eq!(hours().await, 24);
}

#[tokio::test]
async fn tags_are_one_set_in_the_order_of_their_keys() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let s = &world.streams;
    let tag = |k: &str, v: &str| (k.to_string(), v.to_string());
    let some: Tags = [tag("b", "1"), tag("a", "2"), tag("Z", "3")].into();
    s.add_tags(&stream, &some).await.unwrap();
    s.add_tags(&stream, &[tag("b", "4")].into()).await.unwrap();
    let page = s.list_tags(&stream, None, Some(2)).await.unwrap();
    assert_eq!(page, TagsPage { tags: vec![tag("Z", "3"), tag("a", "2")], has_more: true });
    let page = s.list_tags(&stream, Some("a"), Some(2)).await.unwrap();
    assert_eq!(page, TagsPage { tags: vec![tag("b", "4")], has_more: false });
    s.remove_tags(&stream, &["a".into(), "never-there".into()]).await.unwrap();
    assert_eq!(s.list_tags(&stream, None, None).await.unwrap().tags.len(), 2);
    let many: Tags = (0..49).map(|i| tag(&format!("t{i}"), "")).collect();
    let refused = s.add_tags(&stream, &many).await;
    let error = TagError::TooMany { count: 51, max: 50 };
    assert_eq!(refused, Err(Error::Tags { stream: stream.clone(), error }));
    assert!(not_found(s.add_tags(&arn("b"), &[tag("%", "")].into()).await), "existence first");
}

#[tokio::test]
async fn record_size_and_limits_are_live() {
    let world = World::new().await;
    let stream = world.stream("a", 2).await;
    world.streams.update_max_record_size(&stream, 10_240).await.unwrap();
    let summary = world.streams.describe_stream_summary(&stream).await.unwrap();
    assert_eq!(summary.max_record_kib, 10_240);
    for kib in [1023, 10_241, -1] {
        let refused = world.streams.update_max_record_size(&stream, kib).await;
        assert!(matches!(refused, Err(Error::RecordSizeOutOfBounds { .. })));
    }
    let on_demand = CreateStream {
        mode: Some(StreamMode::OnDemand),
        shard_count: None,
        ..CreateStream::provisioned(arn("b"), 1)
    };
    world.streams.create_stream(on_demand).await.unwrap();
    let limits = world.streams.describe_limits(&scope()).await.unwrap();
    assert_eq!((limits.open_shard_count, limits.on_demand_stream_count), (6, 1));
    let settings = world.streams.describe_account_settings(&scope()).await.unwrap();
    assert_eq!(settings.commitment, Commitment::Disabled);
}

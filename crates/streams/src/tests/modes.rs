//! Capacity modes, warm throughput, the account's commitment, the distribution of records.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl World {
    async fn on_demand(&self, name: &str) -> StreamArn {
        let stream = arn(name);
        let mode = Some(StreamMode::OnDemand);
        let request = CreateStream {
            mode,
            shard_count: None,
            ..CreateStream::provisioned(stream.clone(), 1)
        };
        self.streams.create_stream(request).await.unwrap();
        stream
    }

    async fn switch(&self, stream: &StreamArn, mode: StreamMode) -> Result<()> {
        self.streams.update_stream_mode(stream, mode, None).await
    }

    async fn summary(&self, stream: &StreamArn) -> StreamSummary {
        self.streams.describe_stream_summary(stream).await.unwrap()
    }
}

#[tokio::test]
async fn a_mode_is_switched_twice_a_day_and_the_shards_stay() {
    let world = World::new().await;
    let stream = world.stream("a", 3).await;
    world.put(&stream, 2, &["before"]).await;
    world.switch(&stream, StreamMode::Provisioned).await.unwrap();
    world.switch(&stream, StreamMode::OnDemand).await.unwrap();
    world.pass(HOUR);
    world.switch(&stream, StreamMode::OnDemand).await.unwrap();
    world.switch(&stream, StreamMode::Provisioned).await.unwrap();
    let third = world.switch(&stream, StreamMode::OnDemand).await;
    assert_eq!(third, Err(Error::ModeSwitches { stream: stream.clone(), limit: 2 }));
    let summary = world.summary(&stream).await;
    assert_eq!((summary.mode, summary.open_shard_count), (StreamMode::Provisioned, 3));
    world.pass(DAY - HOUR);
    world.switch(&stream, StreamMode::OnDemand).await.unwrap();
    let texts = world.texts(&stream, 2, StartingPosition::TRIM_HORIZON).await;
    assert_eq!(texts, ["before"]);
    assert_eq!(
        world.switch(&arn("none"), StreamMode::OnDemand).await,
        Err(Error::StreamNotFound { stream: arn("none") })
    );
}

#[tokio::test]
async fn a_switch_is_updating_for_a_while() {
    let state_durations =
        StateDurations { updating: Duration::from_secs(5), ..StateDurations::default() };
    let world = World::with(Options { state_durations, ..Options::default() }).await;
    let stream = world.stream("a", 1).await;
    world.switch(&stream, StreamMode::OnDemand).await.unwrap();
    assert_eq!(world.summary(&stream).await.status, StreamStatus::Updating);
    let refused = world.switch(&stream, StreamMode::Provisioned).await;
    assert!(matches!(refused, Err(Error::StreamNotActive { .. })), "{refused:?}");
    world.put(&stream, 0, &["meanwhile"]).await;
    world.pass(Duration::from_secs(5));
    assert_eq!(world.summary(&stream).await.status, StreamStatus::Active);
}

#[tokio::test]
async fn the_new_modes_quota_must_have_room() {
    let options =
        Options { shards_per_account_max: 4, on_demand_streams_max: 1, ..Options::default() };
    let world = World::with(options).await;
    let (a, b) = (world.stream("a", 2).await, world.stream("b", 2).await);
    world.switch(&a, StreamMode::OnDemand).await.unwrap();
    let second = world.switch(&b, StreamMode::OnDemand).await;
    assert_eq!(second, Err(Error::OnDemandStreams { scope: scope(), limit: 1 }));
    world.stream("c", 2).await;
    let back = world.switch(&a, StreamMode::Provisioned).await;
    let full = Error::ShardLimit { scope: scope(), current: 4, requested: 2, limit: 4 };
    assert_eq!(back, Err(full));
}

#[tokio::test]
async fn the_service_distributes_records_of_on_demand_streams_only() {
    use RecordDistribution::{Auto, UserPartitionKey};
    let world = World::new().await;
    let set = |stream: &StreamArn, to| {
        let (streams, stream) = (world.streams.clone(), stream.clone());
        async move { streams.update_record_distribution(&stream, to).await }
    };
    let provisioned = world.stream("p", 1).await;
    assert_eq!(set(&provisioned, Auto).await, Err(Error::AutoNeedsOnDemand));
    set(&provisioned, UserPartitionKey).await.unwrap();

    let stream = world.on_demand("o").await;
    let keyless = || NewRecord { partition_key: None, ..record("", "x", None) };
    let refused = world.streams.put_record(&stream, keyless(), None).await;
    assert_eq!(refused.err(), Some(Error::PartitionKeyMissing { index: 0 }));
    set(&stream, Auto).await.unwrap();
    world.streams.put_record(&stream, keyless(), None).await.unwrap();
    let back = world.switch(&stream, StreamMode::Provisioned).await;
    assert_eq!(back, Err(Error::AutoNeedsOnDemand), "producers without keys would fail");
    set(&stream, UserPartitionKey).await.unwrap();
    assert!(world.streams.put_record(&stream, keyless(), None).await.is_err());
    world.switch(&stream, StreamMode::Provisioned).await.unwrap();
}

#[tokio::test]
async fn a_commitment_lasts_a_day_at_least() {
    let world = World::new().await;
    let update = |commit| world.streams.update_account_settings(&COMMITTED, commit);
    static COMMITTED: std::sync::LazyLock<Scope> = std::sync::LazyLock::new(scope);
    assert_eq!(update(false).await.unwrap(), AccountSettings::default(), "nothing to end");
    let begun = world.now();
    let settings = update(true).await.unwrap();
    assert_eq!(settings.commitment, Commitment::Enabled);
    assert_eq!(settings.started_at, Some(begun));
    assert_eq!(settings.earliest_allowed_end_at, Some(begun.plus(DAY)));
    world.pass(HOUR);
    assert_eq!(update(true).await.unwrap(), settings, "nothing to begin");

    let ending = update(false).await.unwrap();
    assert_eq!(ending.commitment, Commitment::EnabledUntilEarliestAllowedEnd);
    assert_eq!(ending.ended_at, None);
    assert_eq!(update(true).await.unwrap(), settings, "the end is taken back");
    assert_eq!(update(false).await.unwrap(), ending);
    world.pass(DAY);
    let ended = world.streams.describe_account_settings(&scope()).await.unwrap();
    assert_eq!(ended.commitment, Commitment::Disabled);
    assert_eq!(ended.ended_at, Some(begun.plus(DAY)), "when it was allowed to, not now");

    let again = update(true).await.unwrap();
    assert_eq!((again.started_at, again.ended_at), (Some(world.now()), None));
    world.pass(DAY);
    let ended = update(false).await.unwrap();
    assert_eq!((ended.commitment, ended.ended_at), (Commitment::Disabled, Some(world.now())));
    let other = world.another().await.describe_account_settings(&scope()).await.unwrap();
    assert_eq!(other, ended, "other nodes see it");
}

#[tokio::test]
async fn warm_throughput_is_a_shard_for_each_mib() {
    let world = World::new().await;
    let stream = world.on_demand("a").await;
    let provisioned = world.stream("p", 1).await;
    let warm = |stream: &StreamArn, mibps| {
        let (streams, stream) = (world.streams.clone(), stream.clone());
        async move { streams.update_warm_throughput(&stream, mibps).await }
    };
    assert_eq!(warm(&stream, 9).await, Err(Error::WarmThroughputNeedsCommitment));
    world.streams.update_account_settings(&scope(), true).await.unwrap();
    assert_eq!(warm(&provisioned, 9).await, Err(Error::WarmThroughputNeedsOnDemand));
    let too_large = Err(Error::WarmThroughputTooLarge { mibps: 10_241, max: 10_240 });
    assert_eq!(warm(&stream, 10_241).await, too_large);

    world.put(&stream, 1, &["before"]).await;
    let at_once = warm(&stream, 9).await.unwrap();
    assert_eq!((at_once.target_mibps, at_once.current_mibps), (9, 9));
    assert_eq!(world.summary(&stream).await.open_shard_count, 9);
    let texts = world.texts(&stream, 1, StartingPosition::TRIM_HORIZON).await;
    assert_eq!(texts, ["before"], "the parents' records stay");
    let less = warm(&stream, 5).await.unwrap();
    assert_eq!((less.target_mibps, less.current_mibps), (5, 5));
    assert_eq!(world.summary(&stream).await.open_shard_count, 9, "shards go when they are cold");

    let request = CreateStream {
        mode: Some(StreamMode::OnDemand),
        shard_count: None,
        warm_throughput_mibps: Some(30),
        ..CreateStream::provisioned(arn("born-warm"), 1)
    };
    world.streams.create_stream(request).await.unwrap();
    let summary = world.summary(&arn("born-warm")).await;
    assert_eq!(summary.open_shard_count, 30);
    let full = WarmThroughput { target_mibps: 30, current_mibps: 30 };
    assert_eq!(summary.warm_throughput, Some(full));

    let switched = world.streams.update_stream_mode(&provisioned, StreamMode::OnDemand, Some(6));
    switched.await.unwrap();
    assert_eq!(world.summary(&provisioned).await.open_shard_count, 6);
    world.switch(&provisioned, StreamMode::Provisioned).await.unwrap();
    assert_eq!(world.summary(&provisioned).await.warm_throughput, None);
}

//! Iterators lead where they should, and reading ends where a shard ends.

use millstream_base::limits::GET_RECORDS_BYTES_MAX;

use super::*;

#[tokio::test]
async fn five_ways_to_start() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let empty_latest = world.iterator(&stream, 0, StartingPosition::LATEST).await;
    let mut numbers = world.put(&stream, 0, &["a", "b"]).await;
    world.pass(Duration::from_secs(10));
    let between = world.now();
    world.pass(Duration::from_secs(10));
    let latest = world.iterator(&stream, 0, StartingPosition::LATEST).await;
    numbers.extend(world.put(&stream, 0, &["c", "d"]).await);

    use StartingPosition as From;
    assert_eq!(world.texts(&stream, 0, From::TRIM_HORIZON).await, ["a", "b", "c", "d"]);
    assert_eq!(texts(&world.get(&latest).await.unwrap()), ["c", "d"], "fixed when issued");
    assert_eq!(texts(&world.get(&empty_latest).await.unwrap()), ["a", "b", "c", "d"]);
    assert_eq!(world.texts(&stream, 0, From::LATEST).await, [""; 0]);
    assert_eq!(world.texts(&stream, 0, at(&numbers[1])).await, ["b", "c", "d"]);
    assert_eq!(world.texts(&stream, 0, after(&numbers[1])).await, ["c", "d"]);
    assert_eq!(world.texts(&stream, 0, after(&numbers[3])).await, [""; 0]);
    assert_eq!(world.texts(&stream, 0, at_time(between)).await, ["c", "d"]);
    assert_eq!(world.texts(&stream, 0, at_time(world.now())).await, ["c", "d"]);
    let start = at_time(Timestamp::ZERO);
    assert_eq!(world.texts(&stream, 0, start).await, ["a", "b", "c", "d"]);
    let first = world.streams.describe_stream(&stream, None, None).await.unwrap();
    let first = first.shards[0].starting_sequence_number.to_string();
    for from in [at(&first), after(&first)] {
        assert_eq!(world.texts(&stream, 0, from).await, ["a", "b", "c", "d"], "a shard's start");
    }
}

#[tokio::test]
async fn wrong_starting_positions_are_told_apart() {
    let world = World::new().await;
    let stream = world.stream("a", 2).await;
    let number = world.put(&stream, 0, &["x"]).await.remove(0);
    let other_shard = world.put(&stream, 1, &["x"]).await.remove(0);
    world.pass(Duration::from_secs(1));
    let younger = world.stream("b", 1).await;
    let other_stream = world.put(&younger, 0, &["x"]).await.remove(0);
    let zero = ShardId::new(0);
    let ask = async |from: StartingPosition<'_>| {
        world.streams.get_shard_iterator(&stream, zero, from).await.unwrap_err()
    };
    let invalid = |number: &str| Error::SequenceNumberInvalid {
        stream: stream.clone(),
        shard: zero,
        number: number.into(),
    };
    let kind = IteratorType::AtSequenceNumber;
    assert_eq!(
        ask(StartingPosition { sequence_number: None, ..at("") }).await,
        Error::SequenceNumberMissing { kind }
    );
    let kind = IteratorType::Latest;
    assert_eq!(
        ask(StartingPosition { kind, ..at(&number) }).await,
        Error::SequenceNumberUnexpected { kind }
    );
    assert_eq!(
        ask(StartingPosition { timestamp: None, ..at_time(START) }).await,
        Error::TimestampMissing
    );
    let (now, future) = (world.now(), world.now().plus(Duration::from_millis(1)));
    assert_eq!(ask(at_time(future)).await, Error::TimestampInFuture { at: future, now });
    let encoded = ShardId::new(1);
    assert_eq!(
        ask(at(&other_shard)).await,
        Error::SequenceNumberOfOtherShard { encoded, shard: zero }
    );
    assert!(matches!(
        ask(after(&other_stream)).await,
        Error::SequenceNumberOfOtherStream { number: n, .. } if n == other_stream
    ));
    assert_eq!(ask(at("77")).await, invalid("77"));
    let damaged = format!("{}{}", &number[..55], (number.as_bytes()[55] - b'0' + 1) % 10);
    assert!(matches!(ask(at(&damaged)).await.kind(), ErrorKind::Invalid | ErrorKind::Internal));
    let missing = world.streams.get_shard_iterator(&stream, ShardId::new(9), at("x")).await;
    assert_eq!(
        missing,
        Err(Error::ShardNotFound { stream: stream.clone(), shard: ShardId::new(9) }),
        "existence comes first"
    );
    world.streams.check_get_shard_iterator(&stream, zero, at(&number)).await.unwrap();
    assert!(world.streams.check_get_shard_iterator(&stream, zero, at("1")).await.is_err());
}

#[tokio::test]
async fn iterators_can_be_used_again_until_they_expire() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    world.put(&stream, 0, &["x"]).await;
    world.pass(Duration::from_secs(300));
    for _ in 0..3 {
        assert_eq!(texts(&world.get(&iterator).await.unwrap()), ["x"]);
    }
    let quoted = format!("\"{iterator}\"");
    let page = world.get(&quoted).await.unwrap();
    world.pass(Duration::from_millis(1));
    let issued = START;
    let (now, life) = (world.now(), Duration::from_secs(300));
    assert_eq!(
        world.get(&iterator).await.err(),
        Some(Error::IteratorExpired { issued, now, life })
    );
    let next = page.next_iterator.unwrap();
    assert_eq!(texts(&world.get(&next).await.unwrap()), [""; 0], "the next one is fresh");
    world.streams.delete_stream(&stream, false).await.unwrap();
    let expired = world.get(&iterator).await;
    assert!(matches!(expired, Err(Error::IteratorExpired { .. })), "age comes before existence");
}

#[tokio::test]
async fn an_iterator_serves_where_it_was_given() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    let here = scope();
    let elsewhere = Scope::new(AccountId::new("123456789012").unwrap(), here.region.clone());
    let ask = async |caller: &Scope, stream: Option<&StreamArn>| {
        let request = GetRecords { iterator: &iterator, limit: None, caller, stream };
        world.streams.get_records(request).await.map(drop)
    };
    assert_eq!(ask(&here, None).await, Ok(()));
    assert_eq!(ask(&here, Some(&stream)).await, Ok(()));
    assert_eq!(ask(&elsewhere, None).await, Err(Error::IteratorInvalid));
    assert_eq!(ask(&elsewhere, Some(&stream)).await, Ok(()), "named by its ARN");
    assert_eq!(ask(&here, Some(&arn("b"))).await, Err(Error::IteratorInvalid));
    assert_eq!(world.streams.iterator_stream(&iterator), Ok(stream));
    for limit in [0, 10_001] {
        let request =
            GetRecords { iterator: &iterator, limit: Some(limit), caller: &here, stream: None };
        let refused = world.streams.check_get_records(request).await;
        assert_eq!(refused, Err(Error::LimitOutOfBounds { limit, max: 10_000 }));
    }
}

#[tokio::test]
async fn a_page_has_at_most_ten_mebibytes_and_at_least_one_record() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    world.streams.update_max_record_size(&stream, 10_240).await.unwrap();
    let large = "x".repeat(GET_RECORDS_BYTES_MAX - 1);
    let middle = "x".repeat(6 << 20);
    for text in [&large, &middle, &middle] {
        world.streams.put_record(&stream, record("k", text, None), None).await.unwrap();
    }
    let mut iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    world.pass(Duration::from_secs(7));
    for (count, behind) in [(1, 7000), (1, 7000), (1, 0), (0, 0)] {
        let page = world.get(&iterator).await.unwrap();
        assert_eq!((page.records.len(), page.millis_behind_latest), (count, behind));
        iterator = page.next_iterator.unwrap();
    }
}

#[tokio::test]
async fn limits_cut_pages_and_nothing_is_lost_between_them() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    for i in 0..10 {
        world.put(&stream, 0, &[&format!("{i}a"), &format!("{i}b"), &format!("{i}c")]).await;
    }
    let mut iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    let (mut found, caller) = (Vec::new(), scope());
    for _ in 0..8 {
        let request =
            GetRecords { iterator: &iterator, limit: Some(4), caller: &caller, stream: None };
        let page = world.streams.get_records(request).await.unwrap();
        assert!(page.records.len() <= 4);
        found.extend(texts(&page));
        iterator = page.next_iterator.unwrap();
    }
    let all: Vec<String> =
        (0..10).flat_map(|i| ["a", "b", "c"].map(|c| format!("{i}{c}"))).collect();
    assert_eq!(found, all);
}

#[tokio::test]
async fn a_closed_shard_ends_with_its_children_and_without_an_iterator() {
    let world = World::new().await;
    let stream = world.stream("a", 2).await;
    let number = world.put(&stream, 0, &["x"]).await.remove(0);
    world.pass(Duration::from_secs(5));
    let children = world.split(&stream, 0).await;
    let page = world.get(&world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await).await;
    let page = page.unwrap();
    assert_eq!(texts(&page), ["x"]);
    assert!(page.child_shards.is_empty());
    let end = world.get(&page.next_iterator.expect("records came")).await.unwrap();
    assert_eq!((end.records.len(), end.millis_behind_latest), (0, 0));
    assert_eq!(end.next_iterator, None);
    let ids: Vec<u32> = end.child_shards.iter().map(|c| c.shard.number()).collect();
    assert_eq!(ids, children);
    assert!(end.child_shards.iter().all(|c| c.parents == [ShardId::new(0)]));
    for from in [StartingPosition::LATEST, after(&number)] {
        let page = world.get(&world.iterator(&stream, 0, from).await).await.unwrap();
        assert_eq!((page.next_iterator, page.child_shards.len()), (None, 2));
    }
    let closed = world.streams.describe_stream(&stream, None, None).await.unwrap();
    let ending = closed.shards[0].ending_sequence_number.unwrap().to_string();
    for from in [at(&ending), after(&ending)] {
        let page = world.get(&world.iterator(&stream, 0, from).await).await.unwrap();
        assert_eq!((page.next_iterator, page.child_shards.len()), (None, 2));
    }
    world.put(&stream, children[0], &["y"]).await;
    assert_eq!(world.texts(&stream, children[0], StartingPosition::TRIM_HORIZON).await, ["y"]);

    let merged = world.merge(&stream, children[1], 1).await;
    let page =
        world.get(&world.iterator(&stream, 1, StartingPosition::LATEST).await).await.unwrap();
    let parents = [ShardId::new(children[1]), ShardId::new(1)];
    assert_eq!(page.child_shards.len(), 1);
    assert_eq!(page.child_shards[0].shard, ShardId::new(merged));
    assert_eq!(page.child_shards[0].parents, parents, "both parents");
}

#[tokio::test]
async fn retention_is_exact_and_what_is_gone_never_comes_back() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let stream = world.stream("a", 1).await;
    let mut numbers = Vec::new();
    for text in ["0h", "10h", "20h"] {
        numbers.extend(world.put(&stream, 0, &[text]).await);
        world.pass(10 * HOUR);
    }
    // 30 h: the first is 30 h old.
    use StartingPosition as From;
    assert_eq!(world.texts(&stream, 0, From::TRIM_HORIZON).await, ["10h", "20h"]);
    for from in [at(&numbers[0]), after(&numbers[0]), at_time(Timestamp::ZERO)] {
        assert_eq!(world.texts(&stream, 0, from).await, ["10h", "20h"], "trimmed numbers work");
    }
    world.pass(4 * HOUR);
    assert_eq!(world.texts(&stream, 0, From::TRIM_HORIZON).await, ["10h", "20h"], "24 h old");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.texts(&stream, 0, From::TRIM_HORIZON).await, ["20h"]);
    world.streams.increase_retention(&stream, 48).await.unwrap();
    assert_eq!(world.texts(&stream, 0, From::TRIM_HORIZON).await, ["20h"], "gone is gone");
    world.pass(20 * HOUR);
    assert_eq!(world.texts(&stream, 0, From::TRIM_HORIZON).await, ["20h"], "34 h old");
    world.streams.decrease_retention(&stream, 24).await.unwrap();
    assert_eq!(world.texts(&stream, 0, From::TRIM_HORIZON).await, [""; 0]);
    world.streams.increase_retention(&stream, 8760).await.unwrap();
    assert_eq!(world.texts(&stream, 0, From::TRIM_HORIZON).await, [""; 0], "for good");
}

#[tokio::test(start_paused = true)]
async fn space_of_expired_records_is_given_back() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let stream = world.stream("a", 1).await;
    world.put(&stream, 0, &["old", "old"]).await;
    world.pass(20 * HOUR);
    world.put(&stream, 0, &["new"]).await;
    world.pass(5 * HOUR);
    assert_eq!(log.kept(LogId::new(1, 0)), 3);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(log.kept(LogId::new(1, 0)), 1);
    assert_eq!(world.texts(&stream, 0, StartingPosition::TRIM_HORIZON).await, ["new"]);
    world.pass(20 * HOUR);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(log.kept(LogId::new(1, 0)), 0);
}

#[tokio::test]
async fn readers_wait_for_records_and_see_the_end() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let zero = ShardId::new(0);
    let mut reader = world.streams.reader(&stream, zero, StartingPosition::LATEST).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(10), reader.ready()).await;
    assert!(early.is_err(), "nothing is there yet");
    let idle = reader.read(100, 1 << 20).await.unwrap();
    let idle = idle.continuation.unwrap().to_string();
    let write = async {
        tokio::task::yield_now().await;
        world.put(&stream, 0, &["x", "y"]).await
    };
    let (ready, numbers) = tokio::join!(reader.ready(), write);
    ready.unwrap();
    assert_eq!(world.texts(&stream, 0, after(&idle)).await, ["x", "y"], "an idle reader's place");
    let page = reader.read(1, 1 << 20).await.unwrap();
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.continuation.unwrap().to_string(), numbers[0]);
    reader.ready().await.unwrap();
    assert_eq!(reader.read(100, 1 << 20).await.unwrap().records.len(), 1);
    world.split(&stream, 0).await;
    reader.ready().await.unwrap();
    let end = reader.read(100, 1 << 20).await.unwrap();
    assert_eq!((end.records.len(), end.child_shards.len(), end.continuation), (0, 2, None));
    world.streams.delete_stream(&stream, false).await.unwrap();
    let gone = reader.read(100, 1 << 20).await;
    assert!(matches!(gone, Err(Error::ShardNotFound { .. })));
}

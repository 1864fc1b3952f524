//! Records go where their keys lead, or the request says why not.

use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn records_go_to_the_shards_of_their_keys_and_results_keep_the_order() {
    let world = World::new().await;
    let stream = world.stream("a", 4).await;
    let keys = ["a", "partitionKey-1", "ü", "a"];
    let records = keys.iter().map(|k| record(k, "x", None)).collect();
    let outcome = world.streams.put_records(&stream, records).await.unwrap();
    let shards: Vec<u32> = outcome
        .results
        .iter()
        .map(|r| match r {
            PutResult::Stored(stored) => stored.shard.number(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shards, [0, 1, 3, 0], "as on AWS");
    assert_eq!(outcome.failed_count, 0);
    let counts = &world.streams.counts()[0];
    assert_eq!((counts.incoming_records, counts.incoming_bytes), (4, 1 + 14 + 2 + 1 + 4));
}

#[tokio::test]
async fn explicit_hash_keys_win_and_both_ends_of_a_range_belong_to_it() {
    let world = World::new().await;
    let stream = world.stream("a", 3).await;
    for (key, shard) in [
        ("0", 0),
        ("113427455640312821154458202477256070484", 0),
        ("113427455640312821154458202477256070485", 1),
        ("340282366920938463463374607431768211455", 2),
    ] {
        let put = world.streams.put_record(&stream, record("k", "x", Some(key)), None);
        assert_eq!(put.await.unwrap().0.shard, ShardId::new(shard), "{key}");
    }
    let over = "340282366920938463463374607431768211456";
    let records = vec![record("k", "x", Some("0")), record("k", "x", Some(over))];
    let refused = world.streams.put_records(&stream, records).await;
    assert_eq!(refused.err(), Some(Error::ExplicitHashKey { text: over.into() }));
    let stored = world.texts(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    assert_eq!(stored.len(), 2, "nothing of the refused request is stored");
}

#[tokio::test]
async fn sizes_are_data_and_key_before_any_encoding() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    const MIB: usize = 1 << 20;
    let sized = |key: usize, data: usize| NewRecord {
        partition_key: Some(vec![b'k'; key].into()),
        explicit_hash_key: None,
        data: vec![7; data].into(),
    };
    let s = &world.streams;
    s.put_record(&stream, sized(10, MIB - 10), None).await.unwrap();
    let (index, bytes, max) = (0, MIB + 1, MIB);
    let with_key = s.put_record(&stream, sized(10, MIB - 9), None).await;
    assert_eq!(with_key, Err(Error::RecordTooLarge { index, bytes, max }));
    let alone = s.put_record(&stream, sized(1, MIB + 1), None).await;
    assert_eq!(alone, Err(Error::DataTooLarge { index, bytes, max }));
    let batch = s.put_records(&stream, vec![sized(1, 1), sized(1, MIB + 1)]).await;
    assert_eq!(batch.err(), Some(Error::DataTooLarge { index: 1, bytes, max }));

    s.update_max_record_size(&stream, 10_240).await.unwrap();
    s.put_record(&stream, sized(1, 10 * MIB - 1), None).await.unwrap();
    let whole = s.put_records(&stream, vec![sized(1, 5 * MIB), sized(1, 5 * MIB - 1)]).await;
    let error = Error::RequestTooLarge { bytes: 10 * MIB + 1, max: 10 * MIB };
    assert_eq!(whole.err(), Some(error));
    let none = s.put_records(&stream, vec![]).await;
    assert_eq!(none.err(), Some(Error::RecordCount { count: 0, max: 500 }));
    let many = s.put_records(&stream, vec![sized(1, 1); 501]).await;
    assert_eq!(many.err(), Some(Error::RecordCount { count: 501, max: 500 }));
}

#[tokio::test]
async fn numbers_rise_within_a_shard() {
    let world = World::new().await;
    let stream = world.stream("a", 2).await;
    let mut last = String::new();
    for round in 0..20 {
        if round % 3 == 0 {
            world.clock.0.fetch_sub(5000, Ordering::Relaxed); // the clock may step back
        }
        for number in world.put(&stream, 1, &["x", "y", "z"]).await {
            assert!(number > last, "{number} after {last}");
            last = number;
        }
    }
}

#[tokio::test]
async fn ordering_takes_numbers_that_were_given_and_refuses_others() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let first = world.put(&stream, 0, &["x"]).await.remove(0);
    let put = |number: &'static str| {
        world.streams.put_record(&stream, record("k", "x", None), Some(number))
    };
    let stored =
        world.streams.put_record(&stream, record("k", "x", None), Some(&first)).await.unwrap();
    assert!(stored.0.sequence_number.to_string() > first);
    for bad in ["0", "77", "99999999999999999999999999999999999999999999999999999999"] {
        let error = Error::OrderingNumber { stream: stream.clone(), number: bad.into() };
        assert_eq!(put(bad).await, Err(error));
    }
}

#[tokio::test]
async fn keys_may_be_absent_where_the_service_distributes() {
    let world = World::new().await;
    let bare = || NewRecord { partition_key: None, ..record("", "x", None) };
    let stream = world.stream("a", 1).await;
    let refused = world.streams.put_record(&stream, bare(), None).await;
    assert_eq!(refused, Err(Error::PartitionKeyMissing { index: 0 }));
    let auto = CreateStream {
        stream: arn("auto"),
        mode: Some(StreamMode::OnDemand),
        shard_count: None,
        distribution: Some(RecordDistribution::Auto),
        ..CreateStream::provisioned(arn("auto"), 1)
    };
    world.streams.create_stream(auto).await.unwrap();
    let auto = arn("auto");
    let records = (0..400).map(|_| bare()).collect();
    world.streams.put_records(&auto, records).await.unwrap();
    for shard in 0..4 {
        let iterator = world.iterator(&auto, shard, StartingPosition::TRIM_HORIZON).await;
        let page = world.get(&iterator).await.unwrap();
        assert!(page.records.len() > 40, "{} in shard {shard}", page.records.len());
        assert_eq!(page.records[0].partition_key, None);
    }
    let ordered = world.streams.put_record(&auto, bare(), Some("0")).await;
    assert_eq!(ordered, Err(Error::OrderingWithAuto { stream: auto }));
}

#[tokio::test]
async fn a_full_disk_fails_records_and_space_heals() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let stream = world.stream("a", 2).await;
    log.fill_disk(true);
    let one = world.streams.put_record(&stream, record("k", "x", None), None).await;
    assert_eq!(one.as_ref().unwrap_err().kind(), ErrorKind::Unavailable, "{one:?}");
    let records = vec![record("k", "x", None), record("a", "x", None)];
    let outcome = world.streams.put_records(&stream, records).await.unwrap();
    assert_eq!(outcome.failed_count, 2);
    assert!(matches!(&outcome.results[0], PutResult::Failed { .. }));
    log.fill_disk(false);
    world.put(&stream, 0, &["x"]).await;
    assert_eq!(world.streams.counts()[0].failed_records, 3);
}

#[tokio::test]
async fn dry_runs_check_everything_and_store_nothing() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let s = &world.streams;
    let good = record("k", "x", None);
    s.check_put_record(&stream, &good, None).await.unwrap();
    s.check_put_records(&stream, std::slice::from_ref(&good)).await.unwrap();
    assert!(s.check_put_record(&arn("b"), &good, None).await.is_err());
    let bad = record("k", "x", Some("340282366920938463463374607431768211456"));
    assert!(s.check_put_records(&stream, &[good, bad.clone()]).await.is_err());
    assert!(s.check_put_record(&stream, &bad, None).await.is_err());
    assert!(world.texts(&stream, 0, StartingPosition::TRIM_HORIZON).await.is_empty());
}

#[tokio::test]
async fn puts_go_on_while_shards_are_split() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let other = world.another().await; // does not hear of the split before it puts
    let writer = async {
        for i in 0..200 {
            let key = i.to_string();
            let put = other.put_records(&stream, vec![record(&key, &key, None)]).await.unwrap();
            assert_eq!(put.failed_count, 0, "{put:?}");
            tokio::task::yield_now().await;
        }
    };
    let splitter = async {
        for shard in 0..6 {
            world.split(&stream, shard).await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(writer, splitter);
    let mut found = Vec::new();
    for shard in 0..13 {
        found.extend(world.texts(&stream, shard, StartingPosition::TRIM_HORIZON).await);
    }
    found.sort_by_key(|text| text.parse::<u32>().unwrap());
    let all: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    assert_eq!(found, all, "each record once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is put in whatever batches: every record is read once, in its shard, in order.
    #[test]
    fn what_is_put_is_read(
        shards in 1u32..6,
        batches in prop::collection::vec(prop::collection::vec(0u32..1000, 1..50), 1..10),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let stream = world.stream("a", shards).await;
            let mut expected = vec![Vec::new(); shards as usize];
            for batch in &batches {
                let texts: Vec<String> = batch.iter().map(u32::to_string).collect();
                let records = texts.iter().map(|t| record(t, t, None)).collect();
                let outcome = world.streams.put_records(&stream, records).await.unwrap();
                for (text, result) in texts.into_iter().zip(outcome.results) {
                    let PutResult::Stored(stored) = result else { panic!("{result:?}") };
                    let number = stored.sequence_number.to_string();
                    expected[stored.shard.number() as usize].push((number, text));
                }
            }
            for (shard, expected) in (0..).zip(expected) {
                let iterator = world.iterator(&stream, shard, StartingPosition::TRIM_HORIZON).await;
                let page = world.get(&iterator).await.unwrap();
                let found = page.records.iter().map(|r| {
                    (r.sequence_number.to_string(), String::from_utf8(r.data.to_vec()).unwrap())
                });
                assert_eq!(found.collect::<Vec<_>>(), expected);
            }
        });
    }
}

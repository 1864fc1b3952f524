//! Shards come and go under writers and readers, through crashes and deletions, and stay bounded.

use futures_util::FutureExt;
use millstream_meta::Document;

use super::*;
use crate::reshard_plan::Reshard;
use crate::shard_map::tests::assert_tiles;
use crate::stream_row::StreamRow;

const ZERO: ShardId = ShardId::new(0);

impl World {
    async fn row(&self, stream: &StreamArn) -> StreamRow {
        self.streams.look_up(stream).await.unwrap().unwrap().row.clone()
    }

    /// The first step of a reshard, after which a crash comes.
    async fn note(&self, stream: &StreamArn, reshard: Reshard) {
        let note = self.streams.change(stream, |row, _, _| {
            row.reshard = Some(reshard.clone());
            Ok(())
        });
        note.await.unwrap();
    }

    async fn status(&self, stream: &StreamArn) -> StreamStatus {
        self.streams.describe_stream_summary(stream).await.unwrap().status
    }

    /// The texts of all shards, parents before children: a shard's number is above its parents'.
    async fn everything(&self, stream: &StreamArn) -> Vec<String> {
        let mut all = Vec::new();
        for shard in self.row(stream).await.shards.all() {
            let start = StartingPosition::TRIM_HORIZON;
            all.extend(self.texts(stream, shard.id.number(), start).await);
        }
        all
    }
}

fn split_in_half() -> Reshard {
    Reshard::Split { shard: ZERO, at: HashKey(1 << 127) }
}

/// A crash after every step: whoever comes next finishes, and writers lose nothing.
#[tokio::test]
async fn a_reshard_half_done_is_finished_by_the_sweep() {
    for steps in 1..=3 {
        let world = World::new().await;
        let stream = world.stream("a", 1).await;
        world.put(&stream, 0, &["before"]).await;
        world.note(&stream, split_in_half()).await;
        assert_eq!(world.status(&stream).await, StreamStatus::Updating);
        let again = world.streams.split_shard(&stream, ZERO, "5").await;
        assert!(matches!(again, Err(Error::StreamNotActive { .. })), "{again:?}");
        let log = |shard| LogId::new(1, shard);
        if steps >= 2 {
            world.log.create(vec![log(1), log(2)]).await.unwrap();
        }
        if steps == 3 {
            world.log.seal(log(0)).await.unwrap();
        }
        let open = world.streams.describe_stream(&stream, None, None).await.unwrap().shards;
        assert_eq!(open.len(), 1, "the parent owns the ring until the row says otherwise");
        let start = world.iterator(&stream, 0, StartingPosition::LATEST).await;
        assert!(world.get(&start).await.unwrap().next_iterator.is_some(), "not its end yet");

        let put = world.streams.put_records(&stream, vec![record("k", "after", Some("7"))]);
        let sweep = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.another().await.sweep().await;
        };
        let (put, ()) = tokio::join!(put, sweep);
        assert_eq!(put.unwrap().failed_count, 0);
        while world.status(&stream).await == StreamStatus::Updating {
            tokio::task::yield_now().await;
        }
        let shards = world.row(&stream).await.shards;
        assert_eq!(shards.open().map(|s| s.id.number()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(world.everything(&stream).await, ["before", "after"]);
        let parent = world.iterator(&stream, 0, StartingPosition::LATEST).await;
        assert_eq!(world.get(&parent).await.unwrap().child_shards.len(), 2);
    }
}

#[tokio::test]
async fn the_closing_instant_lies_after_all_of_the_parents_and_before_all_of_the_children() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    world.put(&stream, 0, &["one"]).await;
    world.split(&stream, 0).await;
    world.put(&stream, 1, &["two"]).await; // in the same millisecond
    let closed = world.row(&stream).await.shards.get(ZERO).unwrap().closed.unwrap();
    for (shard, later) in [(0, false), (1, true)] {
        let start = world.iterator(&stream, shard, StartingPosition::TRIM_HORIZON).await;
        let page = world.get(&start).await.unwrap();
        assert_eq!(page.records[0].arrived >= closed.at, later, "shard {shard}");
    }
}

#[tokio::test]
async fn a_following_reader_waits_for_the_row_at_a_sealed_end() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let mut reader =
        world.streams.reader(&stream, ZERO, StartingPosition::TRIM_HORIZON).await.unwrap();
    world.note(&stream, split_in_half()).await;
    world.log.seal(LogId::new(1, 0)).await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
        assert!(reader.ready().now_or_never().is_none(), "sealed, and not closed yet");
    }
    let (ready, ()) = tokio::join!(reader.ready(), world.streams.sweep());
    ready.unwrap();
    let page = reader.read(10, 1000).await.unwrap();
    assert_eq!((page.continuation, page.child_shards.len()), (None, 2));
}

#[tokio::test]
async fn a_stream_deleted_in_the_middle_of_a_reshard_leaves_no_log() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let stream = world.stream("a", 2).await;
    world.note(&stream, Reshard::Scale { target: 3 }).await;
    log.create((0..5).map(|shard| LogId::new(1, shard)).collect()).await.unwrap();
    world.streams.delete_stream(&stream, false).await.unwrap();
    assert_eq!(log.list(), []);
    let stream = world.stream("a", 1).await;
    assert_eq!(world.status(&stream).await, StreamStatus::Active, "another stream of that name");
}

/// As after a check that had to give up the frame with the seal.
#[tokio::test]
async fn a_closed_shard_without_its_seal_gets_it_back_at_the_start() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let stream = world.stream("a", 1).await;
    world.split(&stream, 0).await;
    log.unseal(LogId::new(1, 0));
    let start = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    assert!(world.get(&start).await.unwrap().child_shards.is_empty());
    let _restarted = world.another().await;
    while world.get(&start).await.unwrap().child_shards.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn refusals_come_in_aws_order() {
    let options = Options { shards_per_account_max: 3, ..Options::default() };
    let world = World::with(options).await;
    let stream = world.stream("a", 2).await;
    let split = async |shard, key: &str| {
        world.streams.split_shard(&stream, ShardId::new(shard), key).await.unwrap_err()
    };
    assert!(matches!(split(9, "0").await, Error::ShardMissing { .. }));
    assert!(matches!(split(0, "1").await, Error::SplitOutside { .. }));
    world.split(&stream, 0).await;
    assert!(matches!(split(0, "0").await, Error::ShardLimit { requested: 1, .. }), "quota first");
    world.merge(&stream, 2, 3).await;
    assert!(matches!(split(0, "0").await, Error::ShardClosed { .. }));
    let update = async |target| world.streams.update_shard_count(&stream, target).await;
    let quota = update(3).await.unwrap_err();
    assert!(matches!(quota, Error::ShardLimit { requested: 2, .. }), "4 are open on the way");
    assert!(matches!(update(5).await, Err(Error::ShardCountStep { current: 2, target: 5, .. })));
    assert!(matches!(update(10_001).await, Err(Error::ShardsPerStream { .. })));
    for target in [1, 2].repeat(5) {
        update(target).await.unwrap();
        update(target).await.unwrap(); // changes nothing, is not counted
    }
    assert!(matches!(update(1).await, Err(Error::ShardCountUpdates { max: 10, .. })));
    world.pass(24 * HOUR);
    update(1).await.unwrap();
}

#[tokio::test]
async fn born_closed_shards_lead_readers_on() {
    let world = World::new().await;
    let stream = world.stream("a", 4).await;
    world.streams.update_shard_count(&stream, 5).await.unwrap();
    let shards = world.row(&stream).await.shards;
    assert_eq!((shards.all().len(), shards.open().count()), (15, 5));
    let mut reached = std::collections::BTreeSet::new();
    let mut next: Vec<u32> = (0..4).collect();
    while let Some(shard) = next.pop() {
        let start = world.iterator(&stream, shard, StartingPosition::TRIM_HORIZON).await;
        let page = world.get(&start).await.unwrap();
        let is_open = shards.get(ShardId::new(shard)).unwrap().is_open();
        assert_eq!(page.next_iterator.is_some(), is_open, "shard {shard}");
        reached.insert(shard);
        next.extend(page.child_shards.iter().map(|c| c.shard.number()));
        next.retain(|shard| !reached.contains(shard));
    }
    let open: Vec<u32> = shards.open().map(|s| s.id.number()).collect();
    assert!(open.iter().all(|shard| reached.contains(shard)));
    assert_eq!(reached.len(), 15, "through every shard in between");
}

#[tokio::test]
async fn numbers_of_shards_ahead_of_the_clock_order_puts() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    for target in [2, 4, 8, 16, 32] {
        world.streams.update_shard_count(&stream, target).await.unwrap();
    }
    let (stored, _) =
        world.streams.put_record(&stream, record("k", "x", None), None).await.unwrap();
    let number = stored.sequence_number.to_string();
    world.streams.put_record(&stream, record("k", "y", None), Some(&number)).await.unwrap();
}

/// A thousand splits and merges over a few days: what expired is gone from row and log.
#[tokio::test]
async fn a_stream_resharded_for_ever_stays_small() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let stream = world.stream("a", 1).await;
    let mut only = 0;
    for round in 0..500 {
        let put = round.to_string();
        world.put(&stream, only, &[&put]).await;
        let [lower, upper] = world.split(&stream, only).await;
        world.pass(HOUR / 2);
        only = world.merge(&stream, lower, upper).await;
        world.pass(HOUR / 2);
        world.streams.sweep().await;
        let shards = world.row(&stream).await.shards;
        assert!(shards.all().len() <= 3 * 26, "{} shards in round {round}", shards.all().len());
        assert_tiles(shards.open().map(|s| s.range).collect());
    }
    let row = world.row(&stream).await;
    assert_eq!(only, 1500, "numbers are never used again");
    assert!(row.encode().len() < 10_000, "{} bytes", row.encode().len());
    assert_eq!(log.list().len(), row.shards.all().len(), "expired shards' logs are gone");
    let expected: Vec<String> = (476..500).map(|round: u32| round.to_string()).collect();
    assert_eq!(world.everything(&stream).await, expected, "24 hours of records");
}

/// Eleven counts with writers all the while: nothing lost, nothing refused, order kept.
#[tokio::test]
async fn from_one_shard_to_a_thousand_under_writers() {
    let world = World::new().await;
    let stream = world.stream("a", 1).await;
    let done = std::sync::atomic::AtomicBool::new(false);
    let write = async {
        let mut count = 0;
        while !done.load(Ordering::Relaxed) || count < 50 {
            let texts: Vec<String> = (0..10).map(|key| format!("{key}:{count}")).collect();
            let records = texts.iter().map(|t| record(&t[..1], t, None)).collect();
            let put = world.streams.put_records(&stream, records).await.unwrap();
            assert_eq!(put.failed_count, 0);
            count += 1;
            tokio::task::yield_now().await;
        }
        count
    };
    let scale = async {
        for target in [2, 4, 8, 16, 32, 64, 128, 256, 512, 1000] {
            world.streams.update_shard_count(&stream, target).await.unwrap();
            tokio::task::yield_now().await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let (count, ()) = tokio::join!(write, scale);
    let all = world.everything(&stream).await;
    assert_eq!(all.len(), 10 * count);
    for key in 0..10 {
        let prefix = format!("{key}:");
        let of_key: Vec<&str> = all.iter().filter_map(|t| t.strip_prefix(&prefix)).collect();
        let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        assert_eq!(of_key, expected, "key {key}");
    }
}

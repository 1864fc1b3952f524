//! Throughput and rates: what is admitted, what is refused, and what is only counted.

use std::time::Duration;

use bytes::Bytes;
use millstream_base::{Scope, ShardId, StreamArn};

use super::{World, arn, record, scope};
use crate::*;

const SECOND: Duration = Duration::from_secs(1);
const MIB: usize = 1 << 20;

fn with_mode(mode: QuotaMode) -> Options {
    let default = Quotas { mode, ..Quotas::default() };
    Options { quotas: QuotaSettings { default, ..QuotaSettings::default() }, ..Options::default() }
}

async fn limited() -> World {
    World::with(with_mode(QuotaMode::Enforced)).await
}

impl World {
    /// Puts so many records of so many bytes; how each fared.
    async fn put_many(&self, stream: &StreamArn, count: usize, bytes: usize) -> Vec<bool> {
        let data = Bytes::from(vec![b'x'; bytes - 1]); // the key counts as well
        let one = || NewRecord { data: data.clone(), ..record("k", "", Some("0")) };
        let records = (0..count).map(|_| one()).collect();
        let outcome = self.streams.put_records(stream, records).await.unwrap();
        let stored = |r: &PutResult| match r {
            PutResult::Stored(_) => true,
            PutResult::Throttled { shard } => {
                assert_eq!(*shard, ShardId::new(0));
                false
            }
            PutResult::Failed { reason } => panic!("{reason}"),
        };
        let stored: Vec<bool> = outcome.results.iter().map(stored).collect();
        assert_eq!(outcome.failed_count, stored.iter().filter(|s| !**s).count());
        stored
    }

    async fn put_one(&self, stream: &StreamArn, bytes: usize) -> Result<()> {
        let data = Bytes::from(vec![b'x'; bytes - 1]);
        let record = NewRecord { data, ..record("k", "", Some("0")) };
        self.streams.put_record(stream, record, None).await.map(drop)
    }

    fn counted(&self) -> StreamCounts {
        self.streams.counts().pop().unwrap()
    }
}

fn stored(fates: &[bool]) -> usize {
    fates.iter().filter(|f| **f).count()
}

fn is_throttled<T: std::fmt::Debug>(result: Result<T>) -> bool {
    match result {
        Ok(_) => false,
        Err(Error::Throttled { .. }) => true,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_shard_takes_a_thousand_records_a_second_and_each_is_decided_on() {
    let world = limited().await;
    let stream = world.stream("s", 2).await;
    for _ in 0..3 {
        assert_eq!(stored(&world.put_many(&stream, 300, 10).await), 300);
    }
    let last = world.put_many(&stream, 300, 10).await;
    assert!(last[..100].iter().all(|s| *s) && last[100..].iter().all(|s| !*s), "{last:?}");
    assert_eq!(stored(&world.put_many(&stream, 5, 10).await), 0, "all refused is an answer too");
    assert!(is_throttled(world.put_one(&stream, 10).await));
    world.put(&stream, 1, &["the other shard has its own"]).await;
    world.pass(SECOND / 10);
    assert_eq!(stored(&world.put_many(&stream, 300, 10).await), 100);
    world.pass(SECOND);
    assert_eq!(stored(&world.put_many(&stream, 500, 10).await), 500);
    let counts = world.counted();
    assert_eq!((counts.throttled_records, counts.write_exceeded), (200 + 5 + 1 + 200, 406));
}

#[tokio::test]
async fn a_shard_takes_a_mebibyte_a_second() {
    let world = limited().await;
    let stream = world.stream("s", 1).await;
    let fates = world.put_many(&stream, 5, MIB / 4).await;
    assert_eq!(fates, [true, true, true, true, false]);
    world.pass(SECOND / 4);
    assert!(!is_throttled(world.put_one(&stream, MIB / 4).await));
    assert!(is_throttled(world.put_one(&stream, 2).await));
    world.pass(SECOND);
    assert!(!is_throttled(world.put_one(&stream, MIB).await));
}

#[tokio::test]
async fn a_small_record_fits_behind_one_that_does_not() {
    let world = limited().await;
    let stream = world.stream("s", 1).await;
    world.put_one(&stream, MIB / 2).await.unwrap();
    let data = |bytes: usize| Bytes::from(vec![b'x'; bytes - 1]);
    let records = [MIB, 100, MIB / 4, MIB / 2, 100]
        .map(|bytes| NewRecord { data: data(bytes), ..record("k", "", Some("0")) });
    let outcome = world.streams.put_records(&stream, records.to_vec()).await.unwrap();
    let fates: Vec<bool> =
        outcome.results.iter().map(|r| matches!(r, PutResult::Stored(_))).collect();
    assert_eq!(fates, [false, true, true, false, true]);
    let iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    let sizes: Vec<usize> =
        world.get(&iterator).await.unwrap().records.iter().map(|r| r.data.len() + 1).collect();
    assert_eq!(sizes, [MIB / 2, 100, MIB / 4, 100]);
}

#[tokio::test]
async fn large_records_have_a_budget_of_their_own() {
    let world = limited().await;
    let stream = world.stream("s", 1).await;
    world.streams.update_max_record_size(&stream, 10_240).await.unwrap();
    world.put_one(&stream, 10 * MIB).await.unwrap();
    world.put_one(&stream, MIB).await.unwrap();
    world.pass(SECOND);
    assert!(is_throttled(world.put_one(&stream, 10 * MIB).await));
    assert!(is_throttled(world.put_one(&stream, 2 * MIB).await));
    world.put_one(&stream, MIB).await.unwrap();
    world.pass(SECOND);
    world.put_one(&stream, 2 * MIB).await.unwrap();
    world.pass(10 * SECOND);
    world.put_one(&stream, 10 * MIB).await.unwrap();
}

#[tokio::test]
async fn a_shard_is_read_five_times_a_second() {
    let world = limited().await;
    let stream = world.stream("s", 2).await;
    world.put(&stream, 0, &["a"]).await;
    let iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    for _ in 0..5 {
        assert_eq!(world.get(&iterator).await.unwrap().records.len(), 1);
    }
    assert!(is_throttled(world.get(&iterator).await));
    let other = world.iterator(&stream, 1, StartingPosition::TRIM_HORIZON).await;
    assert!(!is_throttled(world.get(&other).await));
    world.pass(SECOND / 5);
    assert!(!is_throttled(world.get(&iterator).await));
    assert!(is_throttled(world.get(&iterator).await));
    assert_eq!(world.counted().read_exceeded, 2);
}

#[tokio::test]
async fn after_ten_mebibytes_a_shard_rests_for_five_seconds() {
    let world = limited().await;
    let stream = world.stream("s", 1).await;
    for _ in 0..11 {
        world.put_one(&stream, MIB).await.unwrap();
        world.pass(SECOND);
    }
    let iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    let page = world.get(&iterator).await.unwrap();
    assert_eq!(page.records.len(), 10);
    let next = page.next_iterator.unwrap();
    world.pass(5 * SECOND - Duration::from_millis(1));
    assert!(is_throttled(world.get(&next).await));
    world.pass(Duration::from_millis(1));
    assert_eq!(world.get(&next).await.unwrap().records.len(), 1);
    let last = world.get(&next).await.unwrap();
    assert_eq!(last.records.len(), 1, "2 MiB a second are no overuse");
    let over = world.get(&next).await.unwrap();
    assert_eq!(over.records.len(), 1);
    assert!(is_throttled(world.get(&next).await));
    world.pass(SECOND);
    assert!(is_throttled(world.get(&next).await));
    world.pass(SECOND / 2);
    assert!(!is_throttled(world.get(&next).await));
}

#[tokio::test]
async fn iterators_are_given_five_times_a_second() {
    let world = limited().await;
    let stream = world.stream("s", 2).await;
    let ask = |shard| {
        let from = StartingPosition::LATEST;
        world.streams.get_shard_iterator(&stream, ShardId::new(shard), from)
    };
    for _ in 0..5 {
        ask(0).await.unwrap();
    }
    assert!(is_throttled(ask(0).await));
    assert!(!is_throttled(ask(1).await));
    world.pass(SECOND);
    assert!(!is_throttled(ask(0).await));
}

#[tokio::test]
async fn dry_runs_spend_nothing() {
    let world = limited().await;
    let stream = world.stream("s", 1).await;
    let iterator = world.iterator(&stream, 0, StartingPosition::LATEST).await;
    let caller = scope();
    let request = GetRecords { iterator: &iterator, limit: None, caller: &caller, stream: None };
    for _ in 0..10 {
        world.streams.check_get_records(request).await.unwrap();
    }
    for _ in 0..5 {
        world.get(&iterator).await.unwrap();
    }
}

#[tokio::test]
async fn budgets_outlive_changes_of_the_stream() {
    let world = limited().await;
    let stream = world.stream("s", 1).await;
    world.put_many(&stream, 500, 10).await;
    world.put_many(&stream, 500, 10).await;
    world.streams.increase_retention(&stream, 48).await.unwrap();
    assert!(is_throttled(world.put_one(&stream, 10).await));
    world.streams.delete_stream(&stream, false).await.unwrap();
    let stream = world.stream("s", 1).await;
    assert!(!is_throttled(world.put_one(&stream, 10).await), "another stream of that name");
}

#[tokio::test]
async fn measured_quotas_refuse_nothing_and_count_everything() {
    let world = World::with(Options::default()).await;
    let stream = world.stream("s", 1).await;
    for _ in 0..3 {
        assert_eq!(stored(&world.put_many(&stream, 500, 10).await), 500);
    }
    let iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    for _ in 0..7 {
        world.get(&iterator).await.unwrap();
    }
    let counts = world.counted();
    assert_eq!((counts.write_exceeded, counts.read_exceeded), (500, 2));
    assert_eq!(counts.throttled_records, 0);
    let found = world.streams.look_up(&stream).await.unwrap().unwrap();
    let shard = &found.state(ShardId::new(0)).unwrap().stats;
    let n =
        |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((n(&shard.write_exceeded), n(&shard.read_exceeded)), (500, 2));
}

#[tokio::test]
async fn without_quotas_nothing_is_counted() {
    let world = World::with(with_mode(QuotaMode::Off)).await;
    let stream = world.stream("s", 1).await;
    for _ in 0..3 {
        assert_eq!(stored(&world.put_many(&stream, 500, 10).await), 500);
    }
    assert_eq!(world.counted().write_exceeded, 0);
}

#[tokio::test]
async fn a_stream_can_have_quotas_of_its_own() {
    let mut options = with_mode(QuotaMode::Enforced);
    let default = options.quotas.default;
    let of =
        |name: &str, scope, quotas| StreamQuotas { name: arn(name).name().clone(), scope, quotas };
    let here = Some((scope().account, scope().region.clone()));
    let there = Some(("000000000007".parse_account(), scope().region.clone()));
    options.quotas.streams = vec![
        of("free", None, Quotas { mode: QuotaMode::Off, ..default }),
        of("slow", there, Quotas { mode: QuotaMode::Off, ..default }),
        of("slow", here, Quotas { write_records: PerSecond::of(10), ..default }),
    ];
    let world = World::with(options).await;
    let (free, slow) = (world.stream("free", 1).await, world.stream("slow", 1).await);
    for _ in 0..3 {
        assert_eq!(stored(&world.put_many(&free, 500, 10).await), 500);
    }
    assert_eq!(stored(&world.put_many(&slow, 500, 10).await), 10);
}

trait ParseAccount {
    fn parse_account(&self) -> millstream_base::AccountId;
}

impl ParseAccount for str {
    fn parse_account(&self) -> millstream_base::AccountId {
        millstream_base::AccountId::new(self).unwrap()
    }
}

#[tokio::test]
async fn accounts_call_so_often_and_no_more() {
    let world = limited().await;
    let here = scope();
    let there = Scope::new("000000000007".parse_account(), here.region.clone());
    let refused = |scope: &Scope, call| world.streams.admit_call(scope, call).is_err();
    for _ in 0..5 {
        assert!(!refused(&here, ControlCall::CreateStream));
    }
    assert!(refused(&here, ControlCall::CreateStream));
    assert!(!refused(&here, ControlCall::DeleteStream), "every operation has its own rate");
    assert!(!refused(&there, ControlCall::CreateStream), "so has every account");
    assert!(!refused(&here, ControlCall::DescribeLimits));
    assert!(refused(&here, ControlCall::DescribeLimits));
    world.pass(SECOND);
    assert!(!refused(&here, ControlCall::CreateStream));
    assert!(!refused(&here, ControlCall::DescribeLimits));
}

#[tokio::test]
async fn a_streams_shards_are_listed_a_thousand_times_a_second() {
    let world = limited().await;
    let (a, b) = (world.stream("a", 1).await, world.stream("b", 1).await);
    let list = |stream| {
        world.streams.list_shards(ListShards::Stream {
            stream,
            created: None,
            exclusive_start: None,
            filter: ShardFilter::default(),
            max_results: None,
        })
    };
    for _ in 0..1000 {
        list(&a).await.unwrap();
    }
    assert_eq!(list(&a).await.unwrap_err(), Error::StreamCallRate { stream: a.clone() });
    list(&b).await.unwrap();
}

#[tokio::test]
async fn measured_rates_refuse_no_call() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    for _ in 0..100 {
        world.streams.admit_call(&scope(), ControlCall::DescribeLimits).unwrap();
        world.iterator(&stream, 0, StartingPosition::LATEST).await;
    }
    let exceeded = world.streams.calls_exceeded();
    let exceeded: Vec<_> = exceeded.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(exceeded, [("DescribeLimits", 99), ("GetShardIterator", 95)]);
}

#[tokio::test]
async fn a_consumer_subscribes_to_a_shard_once_a_second() {
    let world = limited().await;
    let stream = world.stream("s", 2).await;
    let [a, b] = ["a", "b"].map(|name| arn(name).name().clone());
    let mut consumers = Vec::new();
    for name in [&a, &b] {
        let tags = millstream_base::Tags::new();
        let made = world.streams.register_stream_consumer(&stream, name, &tags).await.unwrap();
        consumers.push(made.arn);
    }
    let subscribe = |consumer: usize, shard| {
        let from = StartingPosition::LATEST;
        world.streams.subscribe_to_shard(&consumers[consumer], ShardId::new(shard), from)
    };
    let _first = subscribe(0, 0).await.unwrap();
    let too_often = subscribe(0, 0).await.err();
    assert_eq!(too_often, Some(Error::StreamCallRate { stream: stream.clone() }));
    let _others = (subscribe(0, 1).await.unwrap(), subscribe(1, 0).await.unwrap());
    world.pass(SECOND);
    let too_soon = subscribe(0, 0).await.err();
    assert!(matches!(too_soon, Some(Error::SubscriptionActive { .. })), "{too_soon:?}");
}

#[tokio::test]
async fn calls_about_a_streams_consumers_have_the_streams_rate() {
    let world = limited().await;
    let stream = world.stream("s", 1).await;
    let name = arn("c").name().clone();
    let which = ConsumerRef { stream: stream.clone(), name, created_secs: None };
    let too_often = Some(Error::StreamCallRate { stream: stream.clone() });
    for _ in 0..5 {
        let gone = world.streams.deregister_stream_consumer(&which).await.err();
        assert!(matches!(gone, Some(Error::ConsumerNotFound { .. })), "{gone:?}");
    }
    assert_eq!(world.streams.deregister_stream_consumer(&which).await.err(), too_often);
    for _ in 0..20 {
        assert!(world.streams.describe_stream_consumer(&which).await.err() != too_often);
    }
    assert_eq!(world.streams.describe_stream_consumer(&which).await.err(), too_often);
    let list = || {
        let (created, next_token, max_results) = (None, None, None);
        let request = ListConsumers { stream: &stream, created, next_token, max_results };
        world.streams.list_stream_consumers(request)
    };
    for _ in 0..5 {
        list().await.unwrap();
    }
    assert_eq!(list().await.err(), too_often);
}

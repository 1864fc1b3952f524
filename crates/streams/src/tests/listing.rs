//! Lists have pages that belong together, and filters that cover the ring.

use millstream_base::HashKeyRange;
use proptest::prelude::*;

use super::*;
use crate::shard_map::tests::assert_tiles;

impl World {
    /// All pages of a filter, `size` shards each.
    async fn shards(
        &self,
        stream: &StreamArn,
        filter: ShardFilter,
        size: usize,
    ) -> Vec<ShardDescription> {
        let (max_results, created, exclusive_start) = (Some(size), None, None);
        let request = ListShards::Stream { stream, created, exclusive_start, filter, max_results };
        let mut page = self.streams.list_shards(request).await.unwrap();
        let mut shards = page.shards;
        let scope = scope();
        while let Some(token) = page.next_token {
            let request = ListShards::Next { scope: &scope, next_token: &token, max_results };
            page = self.streams.list_shards(request).await.unwrap();
            assert!(!page.shards.is_empty() && page.shards.len() <= size);
            shards.extend(page.shards);
        }
        shards
    }

    async fn numbers(&self, stream: &StreamArn, filter: ShardFilter) -> Vec<u32> {
        self.shards(stream, filter, 2).await.iter().map(|s| s.shard.number()).collect()
    }
}

#[tokio::test]
async fn six_filters() {
    let world = World::new().await;
    let stream = world.stream("a", 2).await;
    let birth = world.now();
    world.pass(HOUR);
    world.split(&stream, 0).await; // 2 and 3
    let split = world.now().plus(Duration::from_millis(1));
    world.pass(HOUR);
    world.merge(&stream, 3, 1).await; // 4
    let merge = world.now().plus(Duration::from_millis(1));
    world.pass(HOUR);
    use ShardFilter::*;
    let before = |t: Timestamp| t.minus(Duration::from_millis(1));
    let future = world.now().plus(HOUR);
    for (filter, numbers) in [
        (FromTrimHorizon, vec![0, 1, 2, 3, 4]),
        (AtTrimHorizon, vec![0, 1]),
        (AtLatest, vec![2, 4]),
        (AfterShardId(ShardId::new(1)), vec![2, 3, 4]),
        (AfterShardId(ShardId::new(77)), vec![]),
        (AtTimestamp(Timestamp::ZERO), vec![0, 1]),
        (AtTimestamp(birth), vec![0, 1]),
        (AtTimestamp(before(split)), vec![0, 1]),
        (AtTimestamp(split), vec![1, 2, 3]),
        (AtTimestamp(before(merge)), vec![1, 2, 3]),
        (AtTimestamp(merge), vec![2, 4]),
        (AtTimestamp(future), vec![2, 4]),
        (FromTimestamp(Timestamp::ZERO), vec![0, 1, 2, 3, 4]),
        (FromTimestamp(split), vec![0, 1, 2, 3, 4]),
        (FromTimestamp(merge), vec![1, 2, 3, 4]),
        (FromTimestamp(future), vec![2, 4]),
    ] {
        assert_eq!(world.numbers(&stream, filter).await, numbers, "{filter:?}");
    }
}

#[tokio::test]
async fn expired_shards_are_not_listed_and_then_removed() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let stream = world.stream("a", 1).await;
    world.put(&stream, 0, &["x"]).await;
    world.pass(HOUR);
    let children = world.split(&stream, 0).await.to_vec();
    world.pass(24 * HOUR);
    assert_eq!(world.numbers(&stream, ShardFilter::FromTrimHorizon).await, [0, 1, 2]);
    world.pass(Duration::from_millis(2));
    for filter in [ShardFilter::FromTrimHorizon, ShardFilter::AtTrimHorizon] {
        assert_eq!(world.numbers(&stream, filter).await, children, "{filter:?}");
    }
    let zero = ShardId::new(0);
    let iterator = world.streams.get_shard_iterator(&stream, zero, StartingPosition::LATEST).await;
    assert!(matches!(iterator, Err(Error::ShardNotFound { .. })));
    world.streams.sweep().await;
    assert_eq!(log.list(), [LogId::new(1, 1), LogId::new(1, 2)]);
    world.streams.increase_retention(&stream, 8760).await.unwrap();
    assert_eq!(world.numbers(&stream, ShardFilter::FromTrimHorizon).await, children);
    let description = world.streams.describe_stream(&stream, None, None).await.unwrap();
    assert_eq!(description.shards[0].parent, Some(zero), "children remember");
}

#[tokio::test]
async fn tokens_of_lists_expire_and_serve_where_they_were_given() {
    let world = World::new().await;
    let stream = world.stream("a", 3).await;
    let first = |created| ListShards::Stream {
        stream: &stream,
        created,
        exclusive_start: None,
        filter: ShardFilter::default(),
        max_results: Some(1),
    };
    let page = world.streams.list_shards(first(None)).await.unwrap();
    let token = page.next_token.unwrap();
    assert_eq!(world.streams.next_token_stream(&token), Ok(stream.clone()));
    let here = scope();
    let elsewhere = Scope::new(here.account, Region::new("eu-west-1").unwrap());
    let next = async |scope: &Scope, next_token: &str| {
        let request = ListShards::Next { scope, next_token, max_results: None };
        world.streams.list_shards(request).await.map(|page| page.shards.len())
    };
    assert_eq!(next(&here, &token).await, Ok(2));
    assert_eq!(next(&elsewhere, &token).await, Err(Error::NextTokenInvalid));
    assert_eq!(next(&here, "AAAA").await, Err(Error::NextTokenInvalid));
    let iterator = world.iterator(&stream, 0, StartingPosition::LATEST).await;
    assert_eq!(next(&here, &iterator).await, Err(Error::NextTokenInvalid), "another kind");
    world.pass(Duration::from_secs(300));
    assert_eq!(next(&here, &token).await, Ok(2));
    world.pass(Duration::from_millis(1));
    assert!(matches!(next(&here, &token).await, Err(Error::NextTokenExpired { .. })));

    let created = Timestamp::from_secs(START.as_secs());
    assert!(world.streams.list_shards(first(Some(created))).await.is_ok());
    let other = world.streams.list_shards(first(Some(Timestamp::from_secs(1)))).await;
    assert!(matches!(other, Err(Error::StreamNotFound { .. })));
}

#[tokio::test]
async fn pages_of_a_list_see_one_instant() {
    let world = World::new().await;
    let stream = world.stream("a", 4).await;
    let request = ListShards::Stream {
        stream: &stream,
        created: None,
        exclusive_start: None,
        filter: ShardFilter::AtLatest,
        max_results: Some(2),
    };
    let first = world.streams.list_shards(request).await.unwrap();
    world.split(&stream, 3).await; // in the same millisecond
    let (scope, token) = (scope(), first.next_token.unwrap());
    let rest = ListShards::Next { scope: &scope, next_token: &token, max_results: None };
    let rest = world.streams.list_shards(rest).await.unwrap();
    let all = first.shards.iter().chain(&rest.shards);
    assert_tiles(all.map(|s| s.range).collect());
}

#[tokio::test]
async fn streams_are_listed_by_name_page_by_page() {
    let world = World::new().await;
    let names: Vec<String> = (0..25).map(|i| format!("s{:02}", (i * 7) % 25)).collect();
    for name in &names {
        world.stream(name, 1).await;
    }
    world.streams.delete_stream(&arn("s03"), false).await.unwrap();
    let scope = scope();
    let request =
        ListStreams { scope: &scope, limit: Some(10), exclusive_start: None, next_token: None };
    let mut page = world.streams.list_streams(request).await.unwrap();
    let mut found = Vec::new();
    loop {
        found.extend(page.streams.iter().map(|s| s.stream.name().to_string()));
        assert_eq!(page.has_more, page.next_token.is_some());
        let Some(token) = page.next_token else { break };
        page = world
            .streams
            .list_streams(ListStreams { next_token: Some(&token), ..request })
            .await
            .unwrap();
    }
    let mut expected: Vec<String> = names.into_iter().filter(|n| n != "s03").collect();
    expected.sort();
    assert_eq!(found, expected);
    let start = StreamName::new("s22").unwrap();
    let rest = ListStreams { exclusive_start: Some(&start), ..request };
    assert_eq!(world.streams.list_streams(rest).await.unwrap().streams.len(), 2);
    let elsewhere = Scope::new(AccountId::new("123456789012").unwrap(), scope.region.clone());
    let none = world.streams.list_streams(ListStreams { scope: &elsewhere, ..request }).await;
    assert!(none.unwrap().streams.is_empty());
}

#[tokio::test]
async fn describe_pages_by_shard() {
    let world = World::new().await;
    let stream = world.stream("a", 250).await;
    let page = world.streams.describe_stream(&stream, Some(10_000), None).await.unwrap();
    assert_eq!((page.shards.len(), page.has_more_shards), (100, true));
    let last = Some(page.shards[99].shard);
    let page = world.streams.describe_stream(&stream, None, last).await.unwrap();
    assert_eq!(page.shards[0].shard, ShardId::new(100));
    let last = Some(ShardId::new(199));
    let page = world.streams.describe_stream(&stream, Some(50), last).await.unwrap();
    assert_eq!((page.shards.len(), page.has_more_shards), (50, false));
}

#[tokio::test]
async fn ten_thousand_shards_are_ordinary() {
    let world = World::new().await;
    let stream = world.stream("a", 10_000).await;
    let ranges: Vec<HashKeyRange> =
        world.shards(&stream, ShardFilter::AtLatest, 1000).await.iter().map(|s| s.range).collect();
    assert_eq!(ranges.len(), 10_000);
    assert_tiles(ranges);
    world.put(&stream, 9_999, &["x"]).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However shards were split and merged, every AT filter covers the ring, in pages of any size.
    #[test]
    fn at_filters_cover_the_ring(
        steps in prop::collection::vec((any::<bool>(), any::<usize>(), 0u64..2000), 0..15),
        size in 1usize..7,
        ago_ms in 0u64..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let stream = world.stream("a", 2).await;
            for (split, place, wait) in steps {
                world.pass(Duration::from_millis(wait));
                let mut open = world.shards(&stream, ShardFilter::AtLatest, 100).await;
                open.sort_by_key(|s| s.range.start);
                let place = place % (open.len() - usize::from(!split && open.len() > 1));
                match open.get(place + 1) {
                    Some(next) if !split => {
                        let (lower, upper) = (open[place].shard, next.shard);
                        world.merge(&stream, lower.number(), upper.number()).await;
                    }
                    _ => drop(world.split(&stream, open[place].shard.number()).await),
                }
            }
            let ago = world.now().minus(Duration::from_millis(ago_ms));
            use ShardFilter::*;
            for filter in [AtLatest, AtTrimHorizon, AtTimestamp(ago)] {
                let shards = world.shards(&stream, filter, size).await;
                assert_tiles(shards.iter().map(|s| s.range).collect());
            }
            let all = world.shards(&stream, FromTrimHorizon, size).await;
            assert!(all.windows(2).all(|pair| pair[0].shard < pair[1].shard));
        });
    }
}

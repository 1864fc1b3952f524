//! Queues: every record until it is done, and then never again.

use std::collections::BTreeSet;

use millstream_base::{QueueArn, Tags};

use super::*;
use crate::reshard_plan::Reshard;

/// A stream on demand, of four shards, and a queue on it from the beginning.
pub(super) async fn stream_and_queue(world: &World) -> (StreamArn, QueueArn) {
    let stream = on_demand(world, "orders").await;
    let queue = queue_on(world, &stream, "q", Some(QueueStart::TrimHorizon)).await;
    (stream, queue)
}

async fn on_demand(world: &World, name: &str) -> StreamArn {
    let stream = arn(name);
    let request = CreateStream {
        mode: Some(StreamMode::OnDemand),
        shard_count: None,
        ..CreateStream::provisioned(stream.clone(), 1)
    };
    world.streams.create_stream(request).await.unwrap();
    stream
}

fn create(stream: &StreamArn, name: &str) -> CreateQueue {
    CreateQueue {
        scope: scope(),
        name: StreamName::new(name).unwrap(),
        stream: stream.clone(),
        start: Some(QueueStart::TrimHorizon),
        attributes: QueueChanges::default(),
        tags: Tags::new(),
    }
}

async fn queue_on(
    world: &World,
    stream: &StreamArn,
    name: &str,
    start: Option<QueueStart>,
) -> QueueArn {
    let request = CreateQueue { start, ..create(stream, name) };
    world.streams.create_queue(request).await.unwrap().queue
}

pub(super) const NOW: ReceiveQueueRecords = ReceiveQueueRecords {
    lane: Lane::Normal,
    limit: 10,
    wait: Duration::ZERO,
    visibility_timeout_secs: None,
};
const DEAD: ReceiveQueueRecords = ReceiveQueueRecords { lane: Lane::DeadLetter, ..NOW };

impl World {
    async fn receive(&self, queue: &QueueArn, request: ReceiveQueueRecords) -> Vec<QueueRecord> {
        self.streams.receive_queue_records(queue, request).await.unwrap()
    }

    async fn acknowledge(&self, queue: &QueueArn, lane: Lane, handle: &str) -> HandleResult {
        let results = self.streams.acknowledge_queue_records(queue, lane, &[handle]).await;
        results.unwrap()[0]
    }

    async fn hide(&self, queue: &QueueArn, lane: Lane, handle: &str, secs: u32) -> HandleResult {
        let entries = [(handle, secs)];
        let results = self.streams.update_queue_records_visibility(queue, lane, &entries).await;
        results.unwrap()[0]
    }

    /// Everything that is visible now, as sorted texts.
    async fn drain(&self, queue: &QueueArn) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let page = self.receive(queue, NOW).await;
            if page.is_empty() {
                found.sort();
                return found;
            }
            found.extend(page.iter().map(text));
        }
    }

    /// Splits a shard of a stream on demand in the middle, as scaling does.
    async fn grow(&self, stream: &StreamArn, shard: u32) -> [u32; 2] {
        let found = self.streams.look_up(stream).await.unwrap().unwrap();
        let shard = ShardId::new(shard);
        let range = found.row.shards.get(shard).unwrap().range;
        let at = HashKey(range.start.0 + (range.end.0 - range.start.0) / 2 + 1);
        let next = found.row.shards.next();
        let split = Reshard::Split { shard, at };
        self.streams.reshard(stream, |_, _, _| Ok((Some(split.clone()), ()))).await.unwrap();
        [next, next + 1]
    }

    /// Merges two neighbours of a stream on demand.
    async fn shrink(&self, stream: &StreamArn, lower: u32, upper: u32) -> u32 {
        let next = self.streams.look_up(stream).await.unwrap().unwrap().row.shards.next();
        let merge = Reshard::Merge { lower: ShardId::new(lower), upper: ShardId::new(upper) };
        self.streams.reshard(stream, |_, _, _| Ok((Some(merge.clone()), ()))).await.unwrap();
        next
    }

    /// The same stores under a new engine, after an orderly end of the old one.
    async fn restart(&mut self) {
        self.streams.shutdown().await;
        self.streams = self.another().await;
    }
}

fn text(record: &QueueRecord) -> String {
    String::from_utf8(record.data.to_vec()).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test]
async fn a_record_is_delivered_until_it_is_acknowledged() {
    let world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    let numbers = world.put(&stream, 2, &["a"]).await;
    let first = world.receive(&queue, NOW).await;
    assert_eq!((first.len(), text(&first[0])), (1, "a".into()));
    assert_eq!(first[0].record_id, numbers[0]);
    assert_eq!(first[0].partition_key.as_deref(), Some(&b"k"[..]));
    assert_eq!((first[0].receive_count, first[0].first_received), (1, world.now()));
    assert_eq!(world.receive(&queue, NOW).await, [], "it is hidden");

    world.pass(seconds(29));
    assert_eq!(world.receive(&queue, NOW).await, []);
    world.pass(seconds(1));
    let second = world.receive(&queue, NOW).await;
    assert_eq!((second.len(), second[0].receive_count), (1, 2));
    assert_eq!(second[0].first_received, first[0].first_received);
    assert_ne!(second[0].receipt_handle, first[0].receipt_handle);
    let stale = world.acknowledge(&queue, Lane::Normal, &first[0].receipt_handle).await;
    assert_eq!(stale, Err(HandleError::Gone));
    let handle = &second[0].receipt_handle;
    assert_eq!(world.acknowledge(&queue, Lane::Normal, handle).await, Ok(()));
    assert_eq!(world.acknowledge(&queue, Lane::Normal, handle).await, Ok(()), "once more");
    assert_eq!(world.hide(&queue, Lane::Normal, handle, 5).await, Err(HandleError::Gone));
    world.pass(seconds(100_000));
    assert_eq!(world.receive(&queue, NOW).await, []);

    let texts = world.texts(&stream, 2, StartingPosition::TRIM_HORIZON).await;
    assert_eq!(texts.len(), 0, "expired by now");
    let counts = &world.streams.queue_counts()[0];
    assert_eq!((counts.received, counts.acknowledged, counts.empty_receives), (2, 1, 3));
}

#[tokio::test]
async fn all_that_was_answered_survives_a_restart() {
    let mut world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    world.put(&stream, 0, &["a", "b", "c"]).await;
    world.put(&stream, 1, &["d"]).await;
    let mut got = world.receive(&queue, ReceiveQueueRecords { limit: 3, ..NOW }).await;
    got.sort_by_key(text);
    world.acknowledge(&queue, Lane::Normal, &got[0].receipt_handle).await.unwrap();
    world.hide(&queue, Lane::Normal, &got[1].receipt_handle, 100).await.unwrap();

    world.restart().await;
    assert_eq!(world.drain(&queue).await.len(), 1, "the fourth, which nobody had");
    world.pass(seconds(30));
    let again = world.drain(&queue).await;
    assert_eq!(again.len(), 2, "the third of the first three, and the fourth");
    assert!(!again.contains(&text(&got[0])) && !again.contains(&text(&got[1])));
    world.pass(seconds(70));
    let late = world.receive(&queue, NOW).await;
    let late = late.iter().find(|r| text(r) == text(&got[1])).expect("the hidden one");
    assert_eq!(late.receive_count, 2, "receives before the restart count");
    let handle = &got[2].receipt_handle;
    let stale = world.acknowledge(&queue, Lane::Normal, handle).await;
    assert_eq!(stale, Err(HandleError::Gone), "received again since");
}

#[tokio::test]
async fn records_that_are_received_too_often_are_set_aside() {
    let mut world = World::new().await;
    let stream = on_demand(&world, "orders").await;
    let attributes = QueueChanges {
        visibility_timeout_secs: Some(10),
        dead_letters: Some(DeadLetters::BuiltIn { max_receive_count: 2 }),
    };
    let request = CreateQueue { attributes, ..create(&stream, "q") };
    let queue = world.streams.create_queue(request).await.unwrap().queue;
    world.put(&stream, 0, &["poison"]).await;
    for _ in 0..2 {
        assert_eq!(world.receive(&queue, NOW).await.len(), 1);
        assert_eq!(world.receive(&queue, DEAD).await, [], "still in flight");
        world.pass(seconds(10));
    }
    assert_eq!(world.receive(&queue, NOW).await, []);
    let dead = world.receive(&queue, DEAD).await;
    assert_eq!((dead.len(), text(&dead[0])), (1, "poison".into()));
    let handle = &dead[0].receipt_handle;
    let wrong = world.acknowledge(&queue, Lane::Normal, handle).await;
    assert_eq!(wrong, Err(HandleError::Invalid), "a handle of the other kind");

    world.restart().await;
    assert_eq!(world.receive(&queue, DEAD).await, [], "hidden");
    world.hide(&queue, Lane::DeadLetter, handle, 0).await.unwrap();
    let dead = world.receive(&queue, DEAD).await;
    let handle = &dead[0].receipt_handle;
    let restored = world.streams.restore_dead_letter_queue_records(&queue, &[handle]).await;
    assert_eq!(restored.unwrap(), [Ok(())]);
    assert_eq!(world.receive(&queue, DEAD).await, []);
    let back = world.receive(&queue, NOW).await;
    assert_eq!((back.len(), back[0].receive_count), (1, 1), "as if never received");
    let again = world.streams.restore_dead_letter_queue_records(&queue, &[handle]).await;
    assert_eq!(again.unwrap(), [Err(HandleError::Gone)]);

    world.pass(seconds(10));
    world.receive(&queue, NOW).await;
    world.pass(seconds(10));
    let dead = world.receive(&queue, DEAD).await;
    let handle = &dead[0].receipt_handle;
    world.acknowledge(&queue, Lane::DeadLetter, handle).await.unwrap();
    world.pass(seconds(100));
    world.restart().await;
    assert_eq!(world.receive(&queue, DEAD).await, [], "discarded");
    assert_eq!(world.receive(&queue, NOW).await, []);
}

#[tokio::test]
async fn attributes_hold_for_later_receives_only() {
    let world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    world.put(&stream, 0, &["a"]).await;
    assert_eq!(world.receive(&queue, NOW).await.len(), 1);
    let changes =
        QueueChanges { visibility_timeout_secs: Some(0), dead_letters: Some(DeadLetters::None) };
    let shown = world.streams.update_queue(&queue, changes).await.unwrap();
    assert_eq!(shown.attributes.visibility_timeout_secs, 0);
    assert_eq!(world.receive(&queue, NOW).await, [], "hidden for the 30 seconds of its receive");
    world.pass(seconds(30));
    for count in 2..20 {
        let got = world.receive(&queue, NOW).await;
        assert_eq!((got.len(), got[0].receive_count), (1, count), "visible at once, never dead");
    }
    let one = ReceiveQueueRecords { visibility_timeout_secs: Some(60), ..NOW };
    assert_eq!(world.receive(&queue, one).await.len(), 1);
    assert_eq!(world.receive(&queue, NOW).await, []);
    let lower = QueueChanges {
        dead_letters: Some(DeadLetters::BuiltIn { max_receive_count: 3 }),
        ..QueueChanges::default()
    };
    let shown = world.streams.update_queue(&queue, lower).await.unwrap();
    assert_eq!(shown.attributes.visibility_timeout_secs, 0, "what is not named stays");
    world.pass(seconds(60));
    assert_eq!(world.receive(&queue, NOW).await, []);
    assert_eq!(world.receive(&queue, DEAD).await.len(), 1);
}

#[tokio::test]
async fn a_receive_ends_as_soon_as_there_is_something() {
    let world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    let patient = ReceiveQueueRecords { wait: seconds(20), ..NOW };
    let started = tokio::time::Instant::now();
    let pause = || tokio::time::sleep(Duration::from_millis(50));
    let put = async {
        pause().await;
        world.put(&stream, 3, &["news"]).await;
    };
    let (got, ()) = tokio::join!(world.receive(&queue, patient), put);
    assert_eq!(text(&got[0]), "news");

    let show = async {
        pause().await;
        world.hide(&queue, Lane::Normal, &got[0].receipt_handle, 0).await.unwrap();
    };
    let (again, ()) = tokio::join!(world.receive(&queue, patient), show);
    assert_eq!(again.len(), 1, "visible again");

    let end = async {
        pause().await;
        world.streams.stop_waiting();
    };
    let (none, ()) = tokio::join!(world.receive(&queue, patient), end);
    assert_eq!(none, [], "the node is about to end");
    assert!(started.elapsed() < seconds(15), "{:?}", started.elapsed());
}

#[tokio::test]
async fn who_hangs_up_takes_no_record_along() {
    let world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    let patient = ReceiveQueueRecords { wait: seconds(20), ..NOW };
    let waits = world.streams.receive_queue_records(&queue, patient);
    assert!(tokio::time::timeout(Duration::from_millis(50), waits).await.is_err());
    world.put(&stream, 0, &["a"]).await;
    let got = world.receive(&queue, NOW).await;
    assert_eq!((got.len(), got[0].receive_count), (1, 1));
}

#[tokio::test]
async fn every_shard_is_delivered_across_resharding() {
    let mut world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    world.put(&stream, 0, &["parent"]).await;
    let [left, right] = world.grow(&stream, 0).await;
    world.put(&stream, left, &["left"]).await;
    world.put(&stream, right, &["right"]).await;
    assert_eq!(world.drain(&queue).await, ["left", "parent", "right"]);
    let child = world.shrink(&stream, left, right).await;
    world.put(&stream, child, &["child"]).await;
    assert_eq!(world.drain(&queue).await, ["child"]);
    world.restart().await;
    world.pass(seconds(30));
    assert_eq!(world.drain(&queue).await, ["child", "left", "parent", "right"]);
    world.pass(25 * HOUR);
    world.streams.sweep().await;
    assert_eq!(world.drain(&queue).await, [""; 0]);
    world.put(&stream, child, &["new"]).await;
    assert_eq!(world.drain(&queue).await, ["new"]);
}

#[tokio::test]
async fn a_queue_begins_where_it_is_told_to() {
    let world = World::new().await;
    let stream = on_demand(&world, "orders").await;
    world.put(&stream, 0, &["old"]).await;
    world.pass(seconds(10));
    let middle = world.now();
    world.put(&stream, 1, &["middle"]).await;
    world.pass(seconds(10));
    let starts = [
        ("horizon", Some(QueueStart::TrimHorizon)),
        ("time", Some(QueueStart::AtTimestamp(middle))),
        ("latest", Some(QueueStart::Latest)),
        ("none", None),
    ];
    let mut queues = Vec::new();
    for (name, start) in starts {
        queues.push(queue_on(&world, &stream, name, start).await);
    }
    world.put(&stream, 0, &["new"]).await;
    let [left, _] = world.grow(&stream, 2).await;
    world.put(&stream, left, &["newer"]).await;
    for (queue, expected) in queues.iter().zip([
        &["middle", "new", "newer", "old"][..],
        &["middle", "new", "newer"],
        &["new", "newer"],
        &["new", "newer"],
    ]) {
        assert_eq!(world.drain(queue).await, expected);
    }
    let shown = world.streams.describe_queue(&queues[3]).await.unwrap();
    assert_eq!(shown.start, Some(QueueStart::Latest), "the effective one");
    let future = CreateQueue {
        start: Some(QueueStart::AtTimestamp(world.now().plus(seconds(1)))),
        ..create(&stream, "future")
    };
    let refused = world.streams.create_queue(future).await;
    assert!(matches!(refused, Err(Error::TimestampInFuture { .. })));
}

#[tokio::test]
async fn retention_takes_what_was_not_acknowledged() {
    let mut world = World::new().await;
    let stream = on_demand(&world, "orders").await;
    let attributes = QueueChanges {
        dead_letters: Some(DeadLetters::BuiltIn { max_receive_count: 1 }),
        ..QueueChanges::default()
    };
    let request = CreateQueue { attributes, ..create(&stream, "q") };
    let queue = world.streams.create_queue(request).await.unwrap().queue;
    world.put(&stream, 0, &["dead"]).await;
    world.receive(&queue, NOW).await;
    world.pass(seconds(30));
    assert_eq!(world.receive(&queue, DEAD).await.len(), 1);
    world.put(&stream, 0, &["flight"]).await;
    let long = ReceiveQueueRecords { visibility_timeout_secs: Some(43_200), ..NOW };
    let flight = world.receive(&queue, long).await;
    world.put(&stream, 1, &["never received"]).await;
    world.pass(25 * HOUR);
    assert_eq!(world.receive(&queue, NOW).await, []);
    assert_eq!(world.receive(&queue, DEAD).await, []);
    let handle = &flight[0].receipt_handle;
    assert_eq!(world.acknowledge(&queue, Lane::Normal, handle).await, Ok(()));
    world.restart().await;
    world.put(&stream, 0, &["new"]).await;
    assert_eq!(world.drain(&queue).await, ["new"]);
}

#[tokio::test]
async fn handles_can_not_be_made_up_or_used_elsewhere() {
    let world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    let other = queue_on(&world, &stream, "other", Some(QueueStart::TrimHorizon)).await;
    world.put(&stream, 0, &["a"]).await;
    let got = world.receive(&queue, NOW).await;
    let theirs = world.receive(&other, NOW).await;
    assert_eq!(got[0].record_id, theirs[0].record_id, "the same in all queues");
    let mut bent = got[0].receipt_handle.clone().into_bytes();
    bent[40] ^= 1;
    let bent = String::from_utf8(bent).unwrap();
    let stream_token = world.iterator(&stream, 0, StartingPosition::LATEST).await;
    for handle in ["", "x", &bent, &theirs[0].receipt_handle, &stream_token, &"A".repeat(1025)] {
        let result = world.acknowledge(&queue, Lane::Normal, handle).await;
        assert_eq!(result, Err(HandleError::Invalid), "{handle}");
    }
    let good: &str = &got[0].receipt_handle;
    let mixed = [bent.as_str(), good, theirs[0].receipt_handle.as_str()];
    let results = world.streams.acknowledge_queue_records(&queue, Lane::Normal, &mixed).await;
    let invalid = Err(HandleError::Invalid);
    assert_eq!(results.unwrap(), [invalid, Ok(()), invalid], "each for itself, in order");
}

#[tokio::test]
async fn consumers_share_the_records_without_overlap() {
    let world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    for shard in 0..4 {
        let texts: Vec<String> = (0..100).map(|i| format!("{shard}-{i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        world.put(&stream, shard, &texts).await;
    }
    let consume = async || {
        let mut seen = Vec::new();
        loop {
            let page = world.receive(&queue, NOW).await;
            if page.is_empty() {
                return seen;
            }
            let handles: Vec<&str> = page.iter().map(|r| r.receipt_handle.as_str()).collect();
            let lane = Lane::Normal;
            let done = world.streams.acknowledge_queue_records(&queue, lane, &handles).await;
            assert!(done.unwrap().iter().all(Result::is_ok));
            seen.extend(page.iter().map(text));
        }
    };
    let all = futures_util::future::join_all((0..5).map(|_| consume())).await.concat();
    assert_eq!(all.len(), 400, "each once");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 400);
}

#[tokio::test]
async fn a_stream_with_queues_stays() {
    let world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    for enforce in [false, true] {
        let refused = world.streams.delete_stream(&stream, enforce).await;
        assert_eq!(refused, Err(Error::StreamHasQueues { stream: stream.clone(), count: 1 }));
    }
    let refused = world.streams.update_stream_mode(&stream, StreamMode::Provisioned, None).await;
    assert_eq!(refused, Err(Error::QueuesKeepMode { stream: stream.clone() }));
    let summary = world.streams.describe_stream_summary(&stream).await.unwrap();
    assert_eq!(summary.queue_count, 1);
    world.put(&stream, 0, &["a"]).await;
    assert_eq!(world.receive(&queue, NOW).await.len(), 1);
    world.streams.delete_queue(&queue).await.unwrap();
    let gone = world.streams.describe_queue(&queue).await;
    assert_eq!(gone, Err(Error::QueueNotFound { queue: queue.clone() }));
    let gone = world.streams.receive_queue_records(&queue, NOW).await;
    assert_eq!(gone, Err(Error::QueueNotFound { queue: queue.clone() }));
    assert!(world.meta.scan("lease/", None, 10).await.unwrap().is_empty(), "no lease is left");
    assert_eq!(world.streams.describe_stream_summary(&stream).await.unwrap().queue_count, 0);

    let again = queue_on(&world, &stream, "q", Some(QueueStart::TrimHorizon)).await;
    assert_ne!(again, queue, "another queue of that name");
    assert_eq!(world.drain(&again).await, ["a"]);
    world.streams.delete_queue(&again).await.unwrap();
    world.streams.delete_stream(&stream, false).await.unwrap();
}

#[tokio::test]
async fn queues_need_an_active_stream_on_demand_and_a_free_name() {
    let world = World::new().await;
    let missing = world.streams.create_queue(create(&arn("none"), "q")).await;
    assert_eq!(missing, Err(Error::StreamNotFound { stream: arn("none") }));
    let provisioned = world.stream("provisioned", 1).await;
    let refused = world.streams.create_queue(create(&provisioned, "q")).await;
    assert_eq!(refused, Err(Error::QueueNeedsOnDemand { stream: provisioned }));
    let stream = on_demand(&world, "orders").await;
    queue_on(&world, &stream, "q", None).await;
    let refused = world.streams.create_queue(create(&stream, "q")).await;
    let name = StreamName::new("q").unwrap();
    assert_eq!(refused, Err(Error::QueueExists { scope: scope(), name }));
    let tags = Tags::from([("!".into(), String::new())]);
    let refused = world.streams.create_queue(CreateQueue { tags, ..create(&stream, "t") }).await;
    assert!(matches!(refused, Err(Error::QueueTags { .. })));
    for i in 1..19 {
        queue_on(&world, &stream, &format!("q{i}"), None).await;
    }
    let consumer = StreamName::new("c").unwrap();
    world.streams.register_stream_consumer(&stream, &consumer, &Tags::new()).await.unwrap();
    let refused = world.streams.create_queue(create(&stream, "q20")).await;
    assert_eq!(refused, Err(Error::QueuesPerStream { stream: stream.clone(), limit: 20 }));
    let consumer = StreamName::new("d").unwrap();
    let refused = world.streams.register_stream_consumer(&stream, &consumer, &Tags::new()).await;
    assert_eq!(refused, Err(Error::ConsumerLimit { stream, limit: 20 }), "counted together");
}

#[tokio::test]
async fn states_of_queues_take_the_time_they_were_given() {
    let d = seconds(1);
    let state_durations = StateDurations {
        queue_creating: d,
        queue_updating: d,
        queue_deleting: d,
        ..StateDurations::default()
    };
    let world = World::with(Options { state_durations, ..Options::default() }).await;
    let stream = on_demand(&world, "orders").await;
    let queue = queue_on(&world, &stream, "q", None).await;
    let shown = world.streams.describe_queue(&queue).await.unwrap();
    assert_eq!((shown.status, shown.start), (QueueStatus::Creating, None));
    let early = world.streams.receive_queue_records(&queue, NOW).await;
    assert_eq!(early, Err(Error::QueueNotFound { queue: queue.clone() }));
    let changes = QueueChanges { visibility_timeout_secs: Some(1), ..QueueChanges::default() };
    let early = world.streams.update_queue(&queue, changes).await;
    let status = QueueStatus::Creating;
    assert_eq!(early, Err(Error::QueueNotActive { queue: queue.clone(), status }));
    world.put(&stream, 0, &["after LATEST was fixed"]).await;
    for i in 0..4 {
        queue_on(&world, &stream, &format!("q{i}"), None).await;
    }
    let sixth = world.streams.create_queue(create(&stream, "sixth")).await;
    assert_eq!(sixth, Err(Error::QueuesChanging { account: AccountId::DEFAULT, limit: 5 }));

    world.pass(d);
    assert_eq!(world.streams.describe_queue(&queue).await.unwrap().status, QueueStatus::Active);
    let shown = world.streams.update_queue(&queue, changes).await.unwrap();
    assert_eq!(shown.status, QueueStatus::Updating);
    assert_eq!(world.receive(&queue, NOW).await.len(), 1, "it delivers while UPDATING");
    world.pass(d);
    world.streams.delete_queue(&queue).await.unwrap();
    world.streams.delete_queue(&queue).await.unwrap();
    let shown = world.streams.describe_queue(&queue).await.unwrap();
    assert_eq!(shown.status, QueueStatus::Deleting);
    let late = world.streams.receive_queue_records(&queue, NOW).await;
    assert_eq!(late, Err(Error::QueueNotFound { queue: queue.clone() }));
    assert!(world.streams.delete_stream(&stream, true).await.is_err(), "until they are gone");
    world.pass(d);
    assert!(world.streams.describe_queue(&queue).await.is_err());
    queue_on(&world, &stream, "q", None).await; // the name is free at once, swept or not
}

#[tokio::test]
async fn queues_are_listed_by_name_page_by_page_and_by_stream() {
    let world = World::new().await;
    let (one, two) = (on_demand(&world, "one").await, on_demand(&world, "two").await);
    for (name, stream) in [("c", &one), ("a", &one), ("b", &two), ("d", &one)] {
        queue_on(&world, stream, name, None).await;
    }
    let scope = scope();
    let ask = |limit, streams, next_token| ListQueues { scope: &scope, limit, streams, next_token };
    let names = |page: &QueuesPage| -> Vec<String> {
        page.queues.iter().map(|q| q.name.to_string()).collect()
    };
    let all = world.streams.list_queues(ask(None, vec![], None)).await.unwrap();
    assert_eq!(
        (names(&all), all.next_token),
        (["a", "b", "c", "d"].map(String::from).to_vec(), None)
    );
    let filter = vec![(one.clone(), Some(world.now()))];
    let first = world.streams.list_queues(ask(Some(2), filter, None)).await.unwrap();
    assert_eq!(names(&first), ["a", "c"]);
    let token = first.next_token.unwrap();
    let rest = world.streams.list_queues(ask(None, vec![], Some(&token))).await.unwrap();
    assert_eq!(names(&rest), ["d"], "the token has the filter");
    let other = vec![(one.clone(), Some(Timestamp::from_secs(1)))];
    let none = world.streams.list_queues(ask(None, other, None)).await.unwrap();
    assert_eq!(names(&none), [""; 0], "a stream of that name, but made at another time");
    let bad = world.streams.list_queues(ask(None, vec![], Some("x"))).await;
    assert!(matches!(bad, Err(Error::NextTokenInvalid)));
    world.pass(seconds(301));
    let late = world.streams.list_queues(ask(None, vec![], Some(&token))).await;
    assert!(matches!(late, Err(Error::NextTokenExpired { .. })));
}

#[tokio::test]
async fn queues_have_tags_of_their_own() {
    let world = World::new().await;
    let stream = on_demand(&world, "orders").await;
    let tags = Tags::from([("team".into(), "a".into())]);
    let request = CreateQueue { tags: tags.clone(), ..create(&stream, "q") };
    let queue = world.streams.create_queue(request).await.unwrap().queue;
    assert_eq!(world.streams.list_queue_tags(&queue).await.unwrap(), tags);
    let more = Tags::from([("env".into(), "test".into())]);
    world.streams.add_queue_tags(&queue, &more).await.unwrap();
    world.streams.remove_queue_tags(&queue, &["team".into()]).await.unwrap();
    assert_eq!(world.streams.list_queue_tags(&queue).await.unwrap(), more);
    let bad = Tags::from([("aws:x".into(), String::new())]);
    assert!(matches!(
        world.streams.add_queue_tags(&queue, &bad).await,
        Err(Error::QueueTags { .. })
    ));
    assert!(world.streams.list_tags(&stream, None, None).await.unwrap().tags.is_empty());
}

#[tokio::test]
async fn too_many_who_wait_are_throttled() {
    let world = World::new().await;
    let (_, queue) = stream_and_queue(&world).await;
    let patient = ReceiveQueueRecords { wait: seconds(20), ..NOW };
    let ask = || world.streams.receive_queue_records(&queue, patient);
    let mut waiting = futures_util::future::join_all((0..1200).map(|_| ask()));
    let all = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.streams.stop_waiting();
        std::future::pending::<()>().await;
    };
    let answers = tokio::select! {
        answers = &mut waiting => answers,
        () = all => unreachable!("it never ends"),
    };
    let throttled = Err(Error::QueueThrottled { queue: queue.clone() });
    let refused = answers.iter().filter(|answer| **answer == throttled).count();
    assert!((100..=200).contains(&refused), "{refused} of 1,200 were throttled");
    assert!(answers.iter().all(|answer| *answer == throttled || *answer == Ok(Vec::new())));
}

#[tokio::test]
async fn what_was_never_received_is_counted_too() {
    let mut world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    for shard in 0..4 {
        world.put(&stream, shard, &["x"; 25]).await;
    }
    assert_eq!(world.receive(&queue, NOW).await.len(), 10);
    let visible = async |world: &World, expected: u64| {
        for _ in 0..200 {
            if world.streams.queue_counts()[0].visible == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}, expected {expected} visible", world.streams.queue_counts()[0]);
    };
    visible(&world, 90).await;
    assert_eq!(world.streams.queue_counts()[0].in_flight, 10);
    world.pass(seconds(30));
    world.receive(&queue, ReceiveQueueRecords { limit: 1, ..NOW }).await;
    visible(&world, 99).await;
    world.restart().await;
    world.receive(&queue, ReceiveQueueRecords { limit: 1, ..NOW }).await;
    visible(&world, 98).await;
}

#[tokio::test]
async fn queues_have_policies_of_their_own() {
    let world = World::new().await;
    let (_, queue) = stream_and_queue(&world).await;
    assert_eq!(world.streams.queue_policy(&queue).await, Ok(None));
    world.streams.put_queue_policy(&queue, "{}").await.unwrap();
    assert_eq!(world.streams.queue_policy(&queue).await, Ok(Some("{}".into())));
    world.streams.delete_queue_policy(&queue).await.unwrap();
    let again = world.streams.delete_queue_policy(&queue).await;
    assert_eq!(again, Err(Error::QueuePolicyNotFound { queue }));
}

#[tokio::test]
async fn another_node_waits_for_the_lease() {
    let world = World::new().await;
    let (stream, queue) = stream_and_queue(&world).await;
    world.put(&stream, 0, &["a"]).await;
    assert_eq!(world.receive(&queue, NOW).await.len(), 1);
    let options = Options { node: "other".into(), ..Options::default() };
    let (log, meta) = (world.log.clone(), world.meta.clone());
    let other = Streams::new(world.env.clone(), log, meta, options).await.unwrap();
    let refused = other.receive_queue_records(&queue, NOW).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    world.streams.shutdown().await;
    world.pass(seconds(30));
    let got = other.receive_queue_records(&queue, NOW).await.unwrap();
    assert_eq!((got.len(), got[0].receive_count), (1, 2), "given back, taken over");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_answered() {
    let log = Arc::new(MemoryLog::default());
    let world = World::on(log.clone(), Options::default()).await;
    let (stream, queue) = stream_and_queue(&world).await;
    world.put(&stream, 0, &["a", "b"]).await;
    let one = ReceiveQueueRecords { limit: 1, ..NOW };
    let got = world.receive(&queue, one).await;
    log.fill_disk(true);
    let handle: &str = &got[0].receipt_handle;
    let lane = Lane::Normal;
    let refused = world.streams.acknowledge_queue_records(&queue, lane, &[handle]).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert!(world.streams.receive_queue_records(&queue, one).await.is_err());
    log.fill_disk(false);
    let rest = world.receive(&queue, NOW).await;
    assert_eq!((text(&rest[0]), rest.len()), ("b".into(), 1), "what failed was not done");
    assert_eq!(world.acknowledge(&queue, lane, handle).await, Ok(()));
}

#[tokio::test]
async fn a_journal_is_shortened_and_still_tells_all() {
    let log = Arc::new(MemoryLog::default());
    let mut world = World::on(log.clone(), Options::default()).await;
    let (stream, queue) = stream_and_queue(&world).await;
    world.put(&stream, 0, &["a", "b"]).await;
    let zero = ReceiveQueueRecords { visibility_timeout_secs: Some(0), limit: 1, ..NOW };
    let changes = QueueChanges { dead_letters: Some(DeadLetters::None), ..QueueChanges::default() };
    world.streams.update_queue(&queue, changes).await.unwrap();
    let first = world.receive(&queue, NOW).await;
    let done = first.iter().find(|r| text(r) == "a").unwrap();
    world.acknowledge(&queue, Lane::Normal, &done.receipt_handle).await.unwrap();
    world.pass(seconds(30));
    let journal = *log.list().last().unwrap();
    for _ in 0..25_000 {
        assert_eq!(world.receive(&queue, zero).await.len(), 1);
    }
    assert!(log.kept(journal) < 6000, "{} entries", log.kept(journal));
    world.restart().await;
    let got = world.receive(&queue, NOW).await;
    assert_eq!((text(&got[0]), got[0].receive_count, got.len()), ("b".into(), 25_002, 1));
}

//! Encryption at rest, and metrics per shard.

use std::time::Duration;

use millstream_base::StreamArn;
use millstream_secrets::KeyError;

use super::*;
use crate::data_keys::{CACHE_LIFE, REPLACE_RETRY};

impl World {
    /// A stream of one shard that is encrypted under `key`.
    async fn encrypted(&self, name: &str, key: &str) -> StreamArn {
        let stream = self.stream(name, 1).await;
        self.ring.set(key, KeyState::Enabled);
        self.streams.start_encryption(&stream, key).await.unwrap();
        stream
    }

    /// All records of the one shard, or why they can't be read.
    async fn all(&self, streams: &Streams, stream: &StreamArn) -> Result<Vec<String>> {
        let from = StartingPosition::TRIM_HORIZON;
        let mut next = Some(streams.get_shard_iterator(stream, ShardId::new(0), from).await?);
        let (mut all, caller) = (Vec::new(), scope());
        while let Some(iterator) = next {
            let request =
                GetRecords { iterator: &iterator, limit: None, caller: &caller, stream: None };
            let page = streams.get_records(request).await?;
            if page.records.is_empty() {
                break;
            }
            all.extend(texts(&page));
            next = page.next_iterator;
        }
        Ok(all)
    }

    async fn put_text(&self, stream: &StreamArn, text: &str) -> Result<Stored> {
        let put = self.streams.put_record(stream, record("k", text, None), None).await;
        put.map(|(stored, _)| stored)
    }

    /// The data keys that are stored for a stream.
    async fn data_keys(&self) -> usize {
        self.meta.scan("data-key/", None, 1000).await.unwrap().len()
    }
}

const KEYS: &str = "arn:aws:kms:us-east-1:000000000000:";

fn disabled(key: &str) -> Error {
    Error::Key(KeyError::Disabled { key: key.to_owned() })
}

#[tokio::test]
async fn a_disabled_key_stops_puts_and_reads_until_it_is_enabled() {
    let world = World::new().await;
    let stream = world.encrypted("s", "alias/k1").await;
    world.put(&stream, 0, &["a", "b"]).await;
    world.ring.set("alias/k1", KeyState::Disabled);
    assert_eq!(world.put_text(&stream, "lost").await, Err(disabled("alias/k1")));
    let records = vec![record("k", "lost", None), record("k", "too", None)];
    let refused = world.streams.put_records(&stream, records).await;
    assert_eq!(refused.unwrap_err(), disabled("alias/k1"), "the whole request fails");
    assert_eq!(world.all(&world.streams, &stream).await, Err(disabled("alias/k1")));
    assert_eq!(world.all(&world.another().await, &stream).await, Err(disabled("alias/k1")));
    world.ring.set("alias/k1", KeyState::Enabled);
    world.put_text(&stream, "c").await.unwrap();
    assert_eq!(world.all(&world.streams, &stream).await.unwrap(), ["a", "b", "c"]);
    world.ring.set("alias/k1", KeyState::PendingDeletion);
    let pending =
        KeyError::InvalidState { key: "alias/k1".into(), state: "pending deletion".into() };
    assert_eq!(world.put_text(&stream, "lost").await, Err(pending.into()));
    world.ring.remove("alias/k1");
    let gone = |key: &str| Error::Key(KeyError::NotFound { key: key.to_owned() });
    let in_full = gone(&format!("{KEYS}alias/k1"));
    assert_eq!(world.put_text(&stream, "lost").await, Err(in_full));
    assert_eq!(world.all(&world.streams, &stream).await, Err(gone("alias/k1")));
}

#[tokio::test]
async fn encryption_begins_only_under_a_key_that_can_be_used() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let start = async |key| world.streams.start_encryption(&stream, key).await;
    let missing = Error::Key(KeyError::NotFound { key: format!("{KEYS}alias/none") });
    assert_eq!(start("alias/none").await, Err(missing));
    world.ring.set("alias/off", KeyState::Disabled);
    assert_eq!(start("alias/off").await, Err(disabled("alias/off")));
    world.ring.set("alias/full", KeyState::Throttled);
    let throttled = Error::Key(KeyError::Throttled { key: "alias/full".to_owned() });
    assert_eq!(start("alias/full").await, Err(throttled));
    assert_eq!(start("not a key").await, Err(Error::KeyNotFound { key_id: "not a key".into() }));
    let shown = world.streams.describe_stream(&stream, None, None).await.unwrap();
    assert_eq!((shown.encryption, world.data_keys().await), (Encryption::None, 0));
    start("alias/aws/kinesis").await.unwrap();
    assert_eq!(world.data_keys().await, 1);
}

#[tokio::test]
async fn old_records_stay_under_their_old_keys() {
    let world = World::new().await;
    let stream = world.encrypted("s", "alias/k1").await;
    world.put_text(&stream, "one").await.unwrap();
    world.ring.set("alias/k2", KeyState::Enabled);
    world.streams.start_encryption(&stream, "alias/k2").await.unwrap();
    world.put_text(&stream, "two").await.unwrap();
    world.streams.stop_encryption(&stream, "alias/k2").await.unwrap();
    world.put_text(&stream, "three").await.unwrap();
    let another = world.another().await;
    assert_eq!(world.all(&another, &stream).await.unwrap(), ["one", "two", "three"]);
    world.ring.set("alias/k2", KeyState::Disabled);
    world.put_text(&stream, "four").await.unwrap();
    let from = StartingPosition::TRIM_HORIZON;
    assert_eq!(world.texts(&stream, 0, from).await, ["one"], "up to what can't be read");
    assert_eq!(world.all(&world.streams, &stream).await, Err(disabled("alias/k2")));
    world.ring.set("alias/k2", KeyState::Enabled);
    world.ring.set("alias/k1", KeyState::Disabled);
    assert_eq!(world.all(&world.streams, &stream).await, Err(disabled("alias/k1")));
}

#[tokio::test(start_paused = true)]
async fn data_keys_are_replaced_after_a_day_and_kept_as_long_as_records_need_them() {
    let world = World::new().await;
    let stream = world.encrypted("s", "alias/k1").await;
    world.put_text(&stream, "one").await.unwrap();
    world.pass(24 * HOUR - Duration::from_millis(1));
    world.put_text(&stream, "two").await.unwrap();
    assert_eq!(world.data_keys().await, 1);
    world.pass(Duration::from_millis(1));
    // A ring that does not answer holds nothing up while the old key can be used.
    world.ring.set("alias/k1", KeyState::Silent);
    let calls = world.ring.calls();
    for text in ["three", "and", "more"] {
        world.put_text(&stream, text).await.unwrap();
    }
    assert_eq!((world.data_keys().await, world.ring.calls()), (1, calls + 1), "asked once");
    world.ring.set("alias/k1", KeyState::Enabled);
    tokio::time::advance(REPLACE_RETRY).await;
    world.put_text(&stream, "four").await.unwrap();
    assert_eq!(world.data_keys().await, 2);
    let all = world.all(&world.another().await, &stream).await.unwrap();
    assert_eq!(all, ["one", "two", "three", "and", "more", "four"]);
    for _ in 0..20 {
        world.pass(24 * HOUR);
        world.put_text(&stream, "more").await.unwrap();
    }
    assert!((8..12).contains(&world.data_keys().await), "{}", world.data_keys().await);
    // The last, and the one that is a day old to the millisecond.
    assert_eq!(world.all(&world.another().await, &stream).await.unwrap(), ["more", "more"]);
    world.streams.delete_stream(&stream, false).await.unwrap();
    assert_eq!(world.data_keys().await, 0);
}

#[tokio::test(start_paused = true)]
async fn data_keys_are_unwrapped_once_for_five_minutes() {
    let world = World::new().await;
    let stream = world.encrypted("s", "alias/k1").await;
    world.put_text(&stream, "one").await.unwrap();
    let another = world.another().await;
    let made = world.ring.calls();
    let reads = (0..100).map(|_| world.all(&another, &stream));
    for read in futures_util::future::join_all(reads).await {
        assert_eq!(read.unwrap(), ["one"]);
    }
    assert_eq!(world.ring.calls(), made + 1, "one call for all");
    tokio::time::advance(CACHE_LIFE).await;
    world.ring.set("alias/k1", KeyState::AccessDenied);
    let denied = KeyError::AccessDenied { key: "alias/k1".into(), reason: "a trial".into() };
    assert_eq!(world.put_text(&stream, "two").await, Err(denied.clone().into()));
    assert_eq!(world.all(&another, &stream).await, Err(denied.into()));
    world.ring.set("alias/k1", KeyState::Silent);
    let silent = KeyError::Unavailable { reason: "a trial".into() };
    assert_eq!(world.put_text(&stream, "two").await, Err(silent.into()));
    world.ring.set("alias/k1", KeyState::Enabled);
    world.put_text(&stream, "two").await.unwrap();
    assert_eq!(world.all(&another, &stream).await.unwrap(), ["one", "two"]);
}

#[tokio::test]
async fn an_alias_that_means_another_key_seals_with_that_one() {
    let world = World::new().await;
    world.ring.set("alias/k1", KeyState::Enabled);
    world.ring.set("alias/k2", KeyState::Enabled);
    world.ring.point("alias/mine", "alias/k1");
    let stream = world.stream("s", 1).await;
    world.streams.start_encryption(&stream, "alias/mine").await.unwrap();
    world.put_text(&stream, "one").await.unwrap();
    world.ring.point("alias/mine", "alias/k2");
    world.ring.set("alias/k1", KeyState::Disabled);
    world.put_text(&stream, "two").await.unwrap();
    world.ring.set("alias/k1", KeyState::Enabled);
    assert_eq!(world.all(&world.streams, &stream).await.unwrap(), ["one", "two"]);
    world.ring.set("alias/k2", KeyState::Disabled);
    assert_eq!(world.texts(&stream, 0, StartingPosition::TRIM_HORIZON).await, ["one"]);
}

/// Rows of the versions that showed encryption and had none.
#[tokio::test]
async fn a_stream_that_was_encrypted_in_name_only_gets_its_data_key_with_the_next_record() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let named = Encryption::Kms { key_id: "alias/k1".to_owned() };
    let set = world.streams.change(&stream, |row, _, _| {
        row.encryption = named.clone();
        Ok(())
    });
    set.await.unwrap();
    let missing = Error::Key(KeyError::NotFound { key: format!("{KEYS}alias/k1") });
    assert_eq!(world.put_text(&stream, "one").await, Err(missing));
    world.ring.set("alias/k1", KeyState::Enabled);
    world.put_text(&stream, "one").await.unwrap();
    assert_eq!(world.data_keys().await, 1);
    world.ring.set("alias/k1", KeyState::Disabled);
    assert_eq!(world.all(&world.streams, &stream).await, Err(disabled("alias/k1")));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_when_the_key_is_disabled_even_for_events_that_were_read_before() {
    let world = World::new().await;
    let stream = world.encrypted("s", "alias/k1").await;
    world.put(&stream, 0, &["a"]).await;
    let mut all = Vec::new();
    for name in ["c1", "c2"] {
        let consumer = world.register(&stream, name).await.unwrap();
        let from = StartingPosition::TRIM_HORIZON;
        all.push(world.streams.subscribe_to_shard(&consumer, ShardId::new(0), from).await.unwrap());
    }
    let mut second = all.pop().unwrap();
    let mut first = all.pop().unwrap();
    assert_eq!(first.next().await.unwrap().unwrap().records.len(), 1);
    world.ring.set("alias/k1", KeyState::Disabled);
    assert_eq!(second.next().await.unwrap().unwrap_err(), disabled("alias/k1"));
    assert!(second.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_queue_delivers_nothing_while_the_key_is_disabled() {
    let world = World::new().await;
    let (stream, queue) = super::queues::stream_and_queue(&world).await;
    world.ring.set("alias/k1", KeyState::Enabled);
    world.streams.start_encryption(&stream, "alias/k1").await.unwrap();
    for text in ["a", "b", "c"] {
        world.put_text(&stream, text).await.unwrap();
    }
    let receive = || ReceiveQueueRecords { limit: 1, ..super::queues::NOW };
    let text = |found: Vec<QueueRecord>| String::from_utf8(found[0].data.to_vec()).unwrap();
    let receive = async || world.streams.receive_queue_records(&queue, receive()).await;
    let mut seen = vec![text(receive().await.unwrap())];
    world.ring.set("alias/k1", KeyState::Disabled);
    assert_eq!(receive().await.unwrap_err(), disabled("alias/k1"), "also what was read ahead");
    world.ring.set("alias/k1", KeyState::Enabled);
    seen.push(text(receive().await.unwrap()));
    seen.push(text(receive().await.unwrap()));
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
}

#[tokio::test]
async fn records_keep_whether_their_stream_was_encrypted_when_they_came() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let put = async |text: &str| {
        let put = world.streams.put_record(&stream, record("k", text, None), None).await;
        put.unwrap().1
    };
    assert_eq!(put("a").await, Encryption::None);
    world.ring.set("alias/one", KeyState::Enabled);
    world.ring.set("alias/two", KeyState::Enabled);
    world.streams.start_encryption(&stream, "alias/one").await.unwrap();
    let kms = |key_id: &str| Encryption::Kms { key_id: key_id.to_owned() };
    assert_eq!(put("b").await, kms("alias/one"));
    world.streams.start_encryption(&stream, "alias/two").await.unwrap();
    assert_eq!(put("c").await, kms("alias/two"));
    world.streams.stop_encryption(&stream, "alias/two").await.unwrap();
    assert_eq!(put("d").await, Encryption::None);
    let streams = world.another().await;
    let caller = super::scope();
    let mut iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let request =
            GetRecords { iterator: &iterator, limit: None, caller: &caller, stream: None };
        let page = streams.get_records(request).await.unwrap();
        seen.extend(page.records.iter().map(|r| r.encrypted));
        iterator = page.next_iterator.unwrap();
    }
    assert_eq!(seen, [false, true, true, false]);
}

#[tokio::test]
async fn encryption_changes_25_times_within_any_24_hours() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    for n in 0..27 {
        world.ring.set(&format!("alias/{n}"), KeyState::Enabled);
    }
    let change = |n: usize| {
        let (streams, stream) = (world.streams.clone(), stream.clone());
        async move { streams.start_encryption(&stream, &format!("alias/{n}")).await }
    };
    for n in 0..25 {
        change(n).await.unwrap();
        change(n).await.unwrap(); // the same key is no change
        world.pass(HOUR / 2);
    }
    let refused = Err(Error::EncryptionChanges { stream: stream.clone(), limit: 25 });
    assert_eq!(change(25).await, refused);
    assert_eq!(world.streams.stop_encryption(&stream, "alias/1").await, refused);
    world.pass(12 * HOUR - HOUR / 2 - Duration::from_millis(1));
    assert_eq!(change(25).await, refused);
    world.pass(Duration::from_millis(1));
    change(25).await.unwrap();
    assert_eq!(change(26).await, refused);
}

#[tokio::test]
async fn metrics_are_switched_one_by_one() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let (bytes, records) = (ShardMetric::IncomingBytes, ShardMetric::OutgoingRecords);
    let on = world.streams.enable_monitoring(&stream, &[records, bytes]).await.unwrap();
    assert_eq!(on, MonitoringChange { before: vec![], after: vec![bytes, records] });
    let off = world.streams.disable_monitoring(&stream, &[bytes]).await.unwrap();
    assert_eq!(off, MonitoringChange { before: vec![bytes, records], after: vec![records] });
    let again = world.streams.disable_monitoring(&stream, &[bytes]).await.unwrap();
    assert_eq!(again, MonitoringChange { before: vec![records], after: vec![records] });
    let shown = world.streams.describe_stream(&stream, None, None).await.unwrap();
    assert_eq!(shown.shard_metrics, [records]);
}

//! Encryption and metrics per shard, as settings of streams.

use std::time::Duration;

use super::{HOUR, World, record};
use crate::*;

#[tokio::test]
async fn records_keep_whether_their_stream_was_encrypted_when_they_came() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let put = async |text: &str| {
        let put = world.streams.put_record(&stream, record("k", text, None), None).await;
        put.unwrap().1
    };
    assert_eq!(put("a").await, Encryption::None);
    world.streams.start_encryption(&stream, "alias/one").await.unwrap();
    let kms = |key_id: &str| Encryption::Kms { key_id: key_id.to_owned() };
    assert_eq!(put("b").await, kms("alias/one"));
    world.streams.start_encryption(&stream, "alias/two").await.unwrap();
    assert_eq!(put("c").await, kms("alias/two"));
    world.streams.stop_encryption(&stream, "alias/two").await.unwrap();
    assert_eq!(put("d").await, Encryption::None);
    let streams = world.another().await;
    let caller = super::scope();
    let iterator = world.iterator(&stream, 0, StartingPosition::TRIM_HORIZON).await;
    let request = GetRecords { iterator: &iterator, limit: None, caller: &caller, stream: None };
    let page = streams.get_records(request).await.unwrap();
    let seen: Vec<bool> = page.records.iter().map(|r| r.encrypted).collect();
    assert_eq!(seen, [false, true, true, false]);
}

#[tokio::test]
async fn encryption_changes_25_times_within_any_24_hours() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
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

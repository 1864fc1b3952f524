//! Resource policies come, are replaced, and go with what they belong to.

use std::time::Duration;

use millstream_base::{ResourceArn, StreamArn, Tags};

use super::{World, arn};
use crate::*;

async fn policy(world: &World, resource: &ResourceArn) -> Option<String> {
    world.streams.policy(resource).await.unwrap()
}

async fn consumer(world: &World, stream: &StreamArn, name: &str) -> ResourceArn {
    let name = arn(name).name().clone();
    let made = world.streams.register_stream_consumer(stream, &name, &Tags::new()).await.unwrap();
    ResourceArn::Consumer(made.arn)
}

#[tokio::test]
async fn a_policy_is_put_replaced_and_deleted() {
    let world = World::new().await;
    let resource = ResourceArn::Stream(world.stream("s", 1).await);
    assert_eq!(policy(&world, &resource).await, None);
    for document in ["one", "two"] {
        world.streams.put_policy(&resource, document).await.unwrap();
        assert_eq!(policy(&world, &resource).await.as_deref(), Some(document));
    }
    assert_eq!(world.another().await.policy(&resource).await.unwrap().as_deref(), Some("two"));
    world.streams.delete_policy(&resource).await.unwrap();
    assert_eq!(policy(&world, &resource).await, None);
    let none = Err(Error::PolicyNotFound { resource: resource.clone() });
    assert_eq!(world.streams.delete_policy(&resource).await, none);
}

#[tokio::test]
async fn policies_go_with_their_stream_and_its_consumers() {
    let world = World::new().await;
    let (stream, other) = (world.stream("s", 1).await, world.stream("s2", 1).await);
    let consumers = [consumer(&world, &stream, "a").await, consumer(&world, &stream, "b").await];
    let streams = [ResourceArn::Stream(stream.clone()), ResourceArn::Stream(other)];
    for resource in streams.iter().chain(&consumers) {
        world.streams.put_policy(resource, &resource.to_string()).await.unwrap();
        assert_eq!(policy(&world, resource).await, Some(resource.to_string()));
    }
    let rows = async || world.meta.scan("policy/", None, 10).await.unwrap().len();
    assert_eq!(rows().await, 4);
    let ResourceArn::Consumer(first) = &consumers[0] else { panic!("a consumer") };
    world.streams.deregister_stream_consumer(&first.clone().into()).await.unwrap();
    assert_eq!(rows().await, 3);
    assert!(world.streams.put_policy(&consumers[0], "x").await.is_err());
    world.streams.delete_stream(&stream, true).await.unwrap();
    assert_eq!(rows().await, 1, "the other stream keeps its own");
}

#[tokio::test]
async fn a_stream_made_anew_never_has_an_old_policy() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let resource = ResourceArn::Stream(stream.clone());
    world.streams.put_policy(&resource, "old").await.unwrap();
    let row = world.meta.scan("policy/", None, 1).await.unwrap().remove(0);
    world.streams.delete_stream(&stream, false).await.unwrap();
    // As a crash between two writes may leave it.
    world.meta.put(row.key, row.value, millstream_meta::Expect::Anything).await.unwrap();
    world.stream("s", 1).await;
    assert_eq!(policy(&world, &resource).await, None);
    let none = Err(Error::PolicyNotFound { resource: resource.clone() });
    assert_eq!(world.streams.delete_policy(&resource).await, none);
}

#[tokio::test]
async fn a_stream_that_goes_takes_no_policy() {
    let deleting = Duration::from_secs(5);
    let state_durations = StateDurations { deleting, ..StateDurations::default() };
    let world = World::with(Options { state_durations, ..Options::default() }).await;
    let stream = world.stream("s", 1).await;
    let resource = ResourceArn::Stream(stream.clone());
    world.streams.delete_stream(&stream, false).await.unwrap();
    let status = StreamStatus::Deleting;
    let refused = Err(Error::StreamNotActive { stream: stream.clone(), status });
    assert_eq!(world.streams.put_policy(&resource, "x").await, refused);
    world.pass(deleting);
    assert_eq!(
        world.streams.put_policy(&resource, "x").await,
        Err(Error::StreamNotFound { stream })
    );
}

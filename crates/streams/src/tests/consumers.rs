//! Fan-out consumers: how they come and go, and what stands in their way.

use millstream_base::limits::NEXT_TOKEN_LIFE;
use millstream_base::{ConsumerArn, Tags};
use millstream_meta::{Document, Expect, Key};

use super::*;

fn name(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

fn by_name(stream: &StreamArn, consumer: &str) -> ConsumerRef {
    ConsumerRef { stream: stream.clone(), name: name(consumer), created_secs: None }
}

/// Options with which consumers take their time.
pub(super) fn consumer_times(creating: Duration, deleting: Duration) -> Options {
    let state_durations = StateDurations {
        consumer_creating: creating,
        consumer_deleting: deleting,
        ..StateDurations::default()
    };
    Options { state_durations, ..Options::default() }
}

impl World {
    pub(super) async fn register(&self, stream: &StreamArn, consumer: &str) -> Result<ConsumerArn> {
        let (name, tags) = (name(consumer), Tags::new());
        Ok(self.streams.register_stream_consumer(stream, &name, &tags).await?.arn)
    }

    async fn deregister(&self, stream: &StreamArn, consumer: &str) {
        self.streams.deregister_stream_consumer(&by_name(stream, consumer)).await.unwrap();
    }

    async fn consumer_status(&self, stream: &StreamArn, consumer: &str) -> Result<ConsumerStatus> {
        let found = self.streams.describe_stream_consumer(&by_name(stream, consumer)).await?;
        Ok(found.status)
    }

    async fn consumer_count(&self, stream: &StreamArn) -> u32 {
        self.streams.describe_stream_summary(stream).await.unwrap().consumer_count
    }

    async fn list<'a>(
        &self,
        stream: &'a StreamArn,
        next_token: Option<&'a str>,
        max_results: Option<usize>,
    ) -> Result<(Vec<String>, Option<String>)> {
        let request = ListConsumers { stream, created: None, next_token, max_results };
        let page = self.streams.list_stream_consumers(request).await?;
        let names = page.consumers.iter().map(|c| c.arn.name.to_string()).collect();
        Ok((names, page.next_token))
    }
}

#[tokio::test]
async fn a_consumer_is_described_by_name_and_by_arn() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let arn = world.register(&stream, "c").await.unwrap();
    assert_eq!(arn.created_secs, START.as_secs());
    for which in [by_name(&stream, "c"), arn.clone().into()] {
        let found = world.streams.describe_stream_consumer(&which).await.unwrap();
        assert_eq!(found.arn, arn);
        assert_eq!(found.status, ConsumerStatus::Active);
        assert_eq!(found.created.as_millis() % 1000, 0, "whole seconds");
    }
    let other = ConsumerArn { created_secs: 1, ..arn };
    let missing = world.streams.describe_stream_consumer(&other.into()).await;
    let expected = Error::ConsumerNotFound { stream: stream.clone(), consumer: name("c") };
    assert_eq!(missing, Err(expected));
    assert_eq!(world.consumer_count(&stream).await, 1);
}

#[tokio::test]
async fn a_name_is_taken_once_per_stream() {
    let world = World::new().await;
    let (one, two) = (world.stream("one", 1).await, world.stream("two", 1).await);
    world.register(&one, "c").await.unwrap();
    world.register(&two, "c").await.unwrap();
    let expected = Error::ConsumerExists { stream: one.clone(), consumer: name("c") };
    assert_eq!(world.register(&one, "c").await, Err(expected));
    let gone = arn("none");
    let expected = Error::StreamNotFound { stream: gone.clone() };
    assert_eq!(world.register(&gone, "c").await, Err(expected));
}

#[tokio::test]
async fn registered_again_within_a_second_it_has_another_arn() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        assert!(seen.insert(world.register(&stream, "c").await.unwrap().to_string()));
        world.deregister(&stream, "c").await;
    }
    let other = world.register(&stream, "other").await.unwrap();
    assert!(other.created_secs <= START.as_secs() + 3, "{other}");
    world.pass(Duration::from_secs(60));
    let later = world.register(&stream, "c").await.unwrap();
    assert_eq!(later.created_secs, START.as_secs() + 60, "the clock has caught up");
}

#[tokio::test]
async fn states_last_as_long_as_was_set() {
    let second = Duration::from_secs(1);
    let world = World::with(consumer_times(2 * second, 3 * second)).await;
    let stream = world.stream("s", 1).await;
    world.register(&stream, "c").await.unwrap();
    assert_eq!(world.consumer_status(&stream, "c").await, Ok(ConsumerStatus::Creating));
    world.pass(2 * second);
    assert_eq!(world.consumer_status(&stream, "c").await, Ok(ConsumerStatus::Active));
    world.deregister(&stream, "c").await;
    world.pass(2 * second);
    world.deregister(&stream, "c").await; // changes nothing
    assert_eq!(world.consumer_status(&stream, "c").await, Ok(ConsumerStatus::Deleting));
    assert!(matches!(world.register(&stream, "c").await, Err(Error::ConsumerExists { .. })));
    assert_eq!(world.consumer_count(&stream).await, 1);
    world.pass(second);
    assert!(matches!(
        world.consumer_status(&stream, "c").await,
        Err(Error::ConsumerNotFound { .. })
    ));
    assert_eq!(world.consumer_count(&stream).await, 0);
    world.register(&stream, "c").await.unwrap();
}

#[tokio::test]
async fn twenty_consumers_five_of_them_creating() {
    let creating = Duration::from_secs(10);
    let world = World::with(consumer_times(creating, Duration::ZERO)).await;
    let stream = world.stream("s", 1).await;
    for n in 0..20 {
        world.register(&stream, &format!("c{n}")).await.unwrap();
        if n % 5 == 4 {
            let refused = world.register(&stream, "more").await;
            let expected = match n {
                19 => Error::ConsumerLimit { stream: stream.clone(), limit: 20 },
                _ => Error::ConsumersCreating { stream: stream.clone(), limit: 5 },
            };
            assert_eq!(refused, Err(expected), "after {n}");
            world.pass(creating);
        }
    }
    let committed = AccountSettings { commitment: Commitment::Enabled, ..Default::default() };
    let key = Key::new("account/000000000000/us-east-1");
    world.meta.put(key, committed.encode(), Expect::Absent).await.unwrap();
    world.register(&stream, "more").await.unwrap();
}

#[tokio::test]
async fn a_stream_with_consumers_is_deleted_only_on_purpose() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    world.register(&stream, "c").await.unwrap();
    let refused = world.streams.delete_stream(&stream, false).await;
    assert_eq!(refused, Err(Error::StreamHasConsumers { stream: stream.clone() }));
    world.streams.delete_stream(&stream, true).await.unwrap();
    world.stream("s", 1).await;
    assert_eq!(world.list(&stream, None, None).await.unwrap().0, Vec::<String>::new());
    world.streams.delete_stream(&stream, false).await.unwrap();
}

#[tokio::test]
async fn lists_come_in_pages_by_name() {
    let world = World::new().await;
    let (stream, other) = (world.stream("s", 1).await, world.stream("other", 1).await);
    for c in ["b", "a", "C", "d"] {
        world.register(&stream, c).await.unwrap();
    }
    let (first, token) = world.list(&stream, None, Some(3)).await.unwrap();
    assert_eq!(first, ["C", "a", "b"]);
    let token = token.expect("one is left");
    assert_eq!(world.list(&stream, Some(&token), None).await.unwrap(), (vec!["d".into()], None));
    assert_eq!(world.list(&stream, None, Some(4)).await.unwrap().1, None);
    let foreign = world.list(&other, Some(&token), None).await;
    assert_eq!(foreign.unwrap_err(), Error::NextTokenInvalid);
    assert_eq!(world.list(&stream, Some("x"), None).await.unwrap_err(), Error::NextTokenInvalid);
    let created = Some(Timestamp::from_secs(1));
    let request = ListConsumers { stream: &stream, created, next_token: None, max_results: None };
    let refused = world.streams.list_stream_consumers(request).await;
    assert_eq!(refused.unwrap_err(), Error::StreamNotFound { stream: stream.clone() });
    world.pass(NEXT_TOKEN_LIFE + Duration::from_millis(1));
    let expired = world.list(&stream, Some(&token), None).await;
    assert!(matches!(expired, Err(Error::NextTokenExpired { .. })), "{expired:?}");
}

#[tokio::test]
async fn a_token_does_not_serve_for_the_next_stream_of_that_name() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    for c in ["a", "b"] {
        world.register(&stream, c).await.unwrap();
    }
    let token = world.list(&stream, None, Some(1)).await.unwrap().1.unwrap();
    world.streams.delete_stream(&stream, true).await.unwrap();
    world.stream("s", 1).await;
    let refused = world.list(&stream, Some(&token), None).await;
    assert_eq!(refused.unwrap_err(), Error::StreamNotFound { stream });
}

#[tokio::test]
async fn tags_are_the_consumers_own() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let tags = |pairs: &[(&str, &str)]| -> Tags {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let first = tags(&[("a", "1"), ("b", "2")]);
    world.streams.register_stream_consumer(&stream, &name("c"), &first).await.unwrap();
    let which = by_name(&stream, "c");
    world.streams.add_consumer_tags(&which, &tags(&[("a", "new")])).await.unwrap();
    world.streams.remove_consumer_tags(&which, &["b".to_owned(), "z".to_owned()]).await.unwrap();
    let listed = world.streams.list_consumer_tags(&which).await.unwrap();
    assert_eq!(listed, [("a".to_owned(), "new".to_owned())]);
    assert!(world.streams.list_tags(&stream, None, None).await.unwrap().tags.is_empty());
    let bad = tags(&[("a", "b;c")]);
    let refused = world.streams.register_stream_consumer(&stream, &name("d"), &bad).await;
    assert!(matches!(refused, Err(Error::Tags { .. })), "{refused:?}");
    assert_eq!(world.consumer_count(&stream).await, 1);
}

#[tokio::test]
async fn another_node_knows_them_and_a_restarted_one() {
    let world = World::new().await;
    let stream = world.stream("s", 1).await;
    let arn = world.register(&stream, "c").await.unwrap();
    let other = world.another().await;
    let found = other.describe_stream_consumer(&arn.into()).await.unwrap();
    assert_eq!(found.status, ConsumerStatus::Active);
    other.deregister_stream_consumer(&by_name(&stream, "c")).await.unwrap();
    let taken = world.register(&stream, "c").await;
    assert_ne!(taken.unwrap().created_secs, START.as_secs(), "never the same ARN");
}

//! SubscribeToShard: from the engine's events to frames.
//!
//! The frame of an event is made once for all who get it in one codec; what a subscriber costs
//! besides is the writing of it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use millstream_api::kinesis as api;
use millstream_streams::{self as engine, Subscription, SubscriptionEvent};
use millstream_wire::{Codec, Events, ServiceError, events};

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, records, shapes, target};

impl DataStreams {
    pub(super) async fn subscribe_to_shard(
        &self,
        _: &Call,
        input: api::SubscribeToShardInput,
    ) -> Result<Events<api::SubscribeToShardEventStream>, ServiceError> {
        let consumer = target::consumer_arn(&input.consumer_arn)?;
        tracing::Span::current().record("stream", tracing::field::display(&consumer.stream));
        let shard = target::shard(&consumer.stream, &input.shard_id)?;
        let position = &input.starting_position;
        let from = engine::StartingPosition {
            kind: records::iterator_type(&position.r#type),
            sequence_number: position.sequence_number.as_deref(),
            timestamp: position.timestamp.map(shapes::timestamp),
        };
        let refused = |error| of_engine(error, During::GetShardIterator);
        if input.dry_run == Some(true) {
            let checked = self.engine.check_subscribe_to_shard(&consumer, shard, from).await;
            checked.map_err(refused)?;
            return Err(errors::dry_run());
        }
        let begun = self.engine.subscribe_to_shard(&consumer, shard, from).await;
        let subscription = begun.map_err(refused)?;
        Ok(Events::of_frames(move |codec| frames(subscription, codec)))
    }
}

fn frames(
    subscription: Subscription,
    codec: Codec,
) -> impl Stream<Item = Result<Bytes, ServiceError>> {
    stream::unfold((subscription, false), move |(mut subscription, behind)| async move {
        if behind {
            give_way().await;
        }
        let told = subscription.next().await?;
        let behind = told.as_ref().is_ok_and(|event| event.millis_behind_latest > 0);
        let frame = told.map(|event| frame(&event, codec)).map_err(errors::in_event_stream);
        Some((frame, (subscription, behind)))
    })
}

/// Turns that a subscriber who catches up leaves to others before its next event: it has always
/// something to write, and where many do, requests would have to queue behind all of them. Where
/// nobody else waits, a turn is over at once.
const TURNS_LEFT_TO_OTHERS: usize = 8;

async fn give_way() {
    for _ in 0..TURNS_LEFT_TO_OTHERS {
        tokio::task::yield_now().await;
    }
}

fn frame(event: &Arc<SubscriptionEvent>, codec: Codec) -> Bytes {
    event.rendered(usize::from(codec.is_cbor()), |event| {
        let event = api::SubscribeToShardEventStream::SubscribeToShardEvent(shape(event));
        events::event_frame(&event, codec)
    })
}

fn shape(event: &SubscriptionEvent) -> api::SubscribeToShardEvent {
    api::SubscribeToShardEvent {
        records: records::records(event.records.iter().cloned()),
        continuation_sequence_number: event.continuation.map(|n| n.to_string()),
        millis_behind_latest: i64::try_from(event.millis_behind_latest).unwrap_or(i64::MAX),
        child_shards: records::child_shards(event.child_shards.clone()),
    }
}

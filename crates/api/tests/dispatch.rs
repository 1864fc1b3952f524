//! One call through the dispatcher: what is asked in which order, and what is answered.

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};
use millstream_api::kinesis::{
    AddTagsToStreamInput, Kinesis, ListStreamsInput, ListStreamsOutput, Op, Request,
    StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream, SubscribeToShardInput,
    dispatch, errors, unimplemented,
};
use millstream_wire::events::{CONTENT_TYPE, Frame};
use millstream_wire::operation::{Body, Reply, Rpc};
use millstream_wire::{Codec, Events, ServiceError, shape};

struct Engine;

/// Who calls; nobody is refused.
struct Ctx(&'static str);

impl Kinesis for Engine {
    type Ctx = Ctx;

    async fn authorise(&self, ctx: &Ctx, request: Request<'_>) -> Result<(), ServiceError> {
        match (ctx.0, request) {
            ("", Request::AddTagsToStream(_)) => Err(errors::access_denied("not you")),
            _ => Ok(()),
        }
    }

    async fn add_tags_to_stream(
        &self,
        _: &Ctx,
        _: AddTagsToStreamInput,
    ) -> Result<(), ServiceError> {
        Ok(())
    }

    async fn list_streams(
        &self,
        _: &Ctx,
        _: ListStreamsInput,
    ) -> Result<ListStreamsOutput, ServiceError> {
        Ok(ListStreamsOutput::default())
    }

    async fn subscribe_to_shard(
        &self,
        _: &Ctx,
        _: SubscribeToShardInput,
    ) -> Result<Events<SubscribeToShardEventStream>, ServiceError> {
        let event = SubscribeToShardEvent { millis_behind_latest: 7, ..Default::default() };
        let event = SubscribeToShardEventStream::SubscribeToShardEvent(event);
        Ok(Events::new(stream::iter([Ok(event)])))
    }
}

fn call(caller: &'static str, op: &str, codec: Codec, body: &Bytes) -> Result<Reply, ServiceError> {
    let op = Op::named(op).expect("a modelled operation");
    let call = Rpc { codec, body: body.clone() };
    dispatch(&Engine, &Ctx(caller), op, call).now_or_never().expect("no waiting")
}

fn json(op: &str, body: &str) -> Result<Reply, ServiceError> {
    call("me", op, Codec::Json, &Bytes::from(body.to_owned()))
}

fn whole(reply: Reply) -> Bytes {
    match reply.body {
        Body::Whole(bytes) => bytes,
        Body::Stream(_) => panic!("a stream"),
    }
}

#[test]
fn an_operation_that_is_not_there_is_unknown_whatever_its_input() {
    for body in ["{}", "", "{\"StreamName\":1}"] {
        let error = json("DeleteStream", body).expect_err("not implemented");
        assert_eq!(error, ServiceError::bare("UnknownOperationException", 400));
        assert_eq!(error.encode(Codec::Json), "{\"__type\":\"UnknownOperationException\"}");
    }
    let left = unimplemented(&Engine, &Ctx(""));
    assert_eq!(left.len(), Op::ALL.len() - 3);
    assert!(left.contains(&Op::DeleteStream) && !left.contains(&Op::ListStreams));
    assert_eq!(Op::named("NoSuchThing"), None);
}

#[test]
fn parsing_comes_first_then_constraints_then_rights() {
    let error = json("AddTagsToStream", "{").expect_err("no JSON");
    assert_eq!(error, ServiceError::bare("SerializationException", 400));
    let error = json("AddTagsToStream", "{\"Tags\":1}").expect_err("a wrong type");
    let body = error.encode(Codec::Json);
    assert_eq!(
        body,
        "{\"__type\":\"SerializationException\",\"Message\":\"Expected map or null\"}"
    );
    let body = Bytes::from_static(b"{}");
    let error = call("", "AddTagsToStream", Codec::Json, &body).expect_err("nothing in it");
    assert_eq!(error.code, "ValidationException");
    let body = Bytes::from_static(b"{\"StreamName\":\"a\",\"Tags\":{\"k\":\"v\"}}");
    let error = call("", "AddTagsToStream", Codec::Json, &body).expect_err("a stranger");
    assert_eq!(error, errors::access_denied("not you"));
}

#[test]
fn nothing_is_zero_bytes_and_an_output_is_not() {
    let reply = json("AddTagsToStream", "{\"StreamName\":\"a\",\"Tags\":{\"k\":\"v\"}}").unwrap();
    assert_eq!((reply.status, &*reply.content_type), (200, "application/x-amz-json-1.1"));
    assert!(whole(reply).is_empty());
    let reply = json("ListStreams", "{}").unwrap();
    assert_eq!(whole(reply), "{\"StreamNames\":[],\"HasMoreStreams\":false}");
}

#[test]
fn events_are_framed_in_the_codec_of_the_request() {
    for codec in [Codec::Json, Codec::Cbor] {
        let arn = "arn:aws:kinesis:eu-west-1:000000000000:stream/s/consumer/c:1700000000";
        let input = SubscribeToShardInput {
            consumer_arn: arn.to_owned(),
            shard_id: "shardId-000000000000".to_owned(),
            starting_position: StartingPosition { r#type: "LATEST".into(), ..Default::default() },
            ..Default::default()
        };
        let reply = call("me", "SubscribeToShard", codec, &codec.encode(&input)).unwrap();
        assert_eq!(reply.content_type, CONTENT_TYPE);
        let Body::Stream(frames) = reply.body else { panic!("no stream") };
        let frames: Vec<_> = frames.collect().now_or_never().expect("no waiting");
        let mut bytes = BytesMut::new();
        frames.into_iter().for_each(|frame| bytes.extend_from_slice(&frame.unwrap()));
        let first = Frame::take(&mut bytes).unwrap().expect("a frame");
        assert_eq!(first.header(":event-type"), Some("initial-response"));
        let second = Frame::take(&mut bytes).unwrap().expect("a frame");
        let event = second.event::<SubscribeToShardEventStream>(codec).unwrap().expect("an event");
        let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event;
        assert_eq!(event.millis_behind_latest, 7);
        assert!(bytes.is_empty());
    }
}

shape! {
    pub struct ConditionalCheckFailedException {
        item: Option<String> = "Item",
    }
}

#[test]
fn errors_carry_their_members_and_tell_their_type_in_a_header() {
    let members = ConditionalCheckFailedException { item: Some("old".to_owned()) };
    let error =
        ServiceError::new("ConditionalCheckFailedException", 400, "no").with_members(members);
    let reply = Reply::of_error(&error, Codec::Json10);
    let header = ("x-amzn-errortype".into(), "ConditionalCheckFailedException".to_owned());
    assert_eq!(reply.headers, [header]);
    assert_eq!(reply.content_type, "application/x-amz-json-1.0");
    let body = whole(reply);
    let expected = r#"{"__type":"ConditionalCheckFailedException","message":"no","Item":"old"}"#;
    assert_eq!(body, expected);
    assert_eq!(ServiceError::decode(Codec::Json10, 400, None, &body), error);
    let namespaced = Bytes::from_static(br#"{"__type":"aws.x#Oops","Message":"m"}"#);
    let error = ServiceError::decode(Codec::Json, 500, None, &namespaced);
    assert_eq!(error, ServiceError::new("Oops", 500, "m"));
    let error = ServiceError::decode(Codec::Json, 503, Some("Busy:http://x"), &Bytes::new());
    assert_eq!(error, ServiceError::bare("Busy", 503));
    let error = ServiceError::decode(Codec::Json, 413, None, &Bytes::from_static(b"<html>"));
    assert_eq!(error, ServiceError::bare("413", 413));
}

#[test]
fn every_modelled_error_is_there() {
    assert_eq!(errors::ALL.len(), 18);
    assert!(errors::ALL.contains(&("InternalFailureException", 500)));
    assert!(errors::ALL.contains(&("KMSOptInRequired", 400)));
    assert_eq!(errors::kms_opt_in_required("x").code, "KMSOptInRequired");
}

//! Calls against a fake service: what is sent, what is repeated, what errors say.
#![allow(clippy::disallowed_methods)]

mod fake;

use std::time::Duration;

use fake::{Fake, error, ok};
use millstream_api::kinesis::{ListStreamsInput, ListStreamsOutput, ops};
use millstream_client::{
    Builder, Client, Codec, Credentials, Endpoint, Error, RetryPolicy, Timeouts,
};

const STREAMS: &str = r#"{"StreamNames":["orders"],"HasMoreStreams":false}"#;

fn client(endpoint: &Endpoint) -> Builder {
    let quick = RetryPolicy { pause: Duration::from_millis(5), ..RetryPolicy::default() };
    Client::builder()
        .endpoint(endpoint.clone())
        .region("eu-west-1")
        .credentials(Credentials::new("AKID", "secret", Some("token".into()), None, "test"))
        .retries(quick)
}

async fn list(builder: Builder) -> Result<ListStreamsOutput, Error> {
    let client = builder.build().await.unwrap();
    client.send::<ops::ListStreams>(&ListStreamsInput::default()).await
}

#[tokio::test]
async fn a_call_is_signed_and_names_its_operation() {
    let fake = Fake::start(|_, _| ok(STREAMS)).await;
    let output = list(client(&fake.endpoint)).await.unwrap();
    assert_eq!(output.stream_names, ["orders"]);
    let seen = &fake.seen()[0];
    assert_eq!(seen.headers["x-amz-target"], "Kinesis_20131202.ListStreams");
    assert_eq!(seen.headers["content-type"], "application/x-amz-json-1.1");
    assert_eq!(seen.headers["x-amz-security-token"], "token");
    assert_eq!(seen.headers["host"], fake.endpoint.authority());
    let authorization = &seen.headers["authorization"];
    assert!(authorization.contains("Credential=AKID/"), "{authorization}");
    assert!(authorization.contains("/eu-west-1/kinesis/aws4_request"), "{authorization}");
    assert_eq!(seen.body, b"{}");
}

#[tokio::test]
async fn an_unsigned_call_carries_no_signature() {
    let fake = Fake::start(|_, _| ok(STREAMS)).await;
    list(client(&fake.endpoint).unsigned()).await.unwrap();
    assert_eq!(fake.seen()[0].headers.get("authorization"), None);
}

#[tokio::test]
async fn what_is_throttled_or_broken_is_tried_again() {
    let fake = Fake::start(|n, _| match n {
        0 => error(400, "LimitExceededException"),
        1 => error(500, "InternalFailure"),
        _ => ok(STREAMS),
    })
    .await;
    assert!(list(client(&fake.endpoint)).await.is_ok());
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn attempts_are_bounded_and_the_last_error_is_told() {
    let fake = Fake::start(|_, _| error(503, "ServiceUnavailable")).await;
    let told = list(client(&fake.endpoint)).await.unwrap_err();
    assert_eq!(told.code(), Some("ServiceUnavailable"));
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_wrong_call_is_told_at_once_with_code_sentence_and_request() {
    let fake = Fake::start(|_, _| error(400, "ResourceNotFoundException")).await;
    let Err(Error::Service(told)) = list(client(&fake.endpoint)).await else {
        panic!("a refused call is a service error");
    };
    assert_eq!((told.status, told.code.as_str()), (400, "ResourceNotFoundException"));
    assert_eq!(told.message, "the fake says no");
    assert_eq!(told.request_id.as_deref(), Some("42"));
    let text = told.to_string();
    assert_eq!(text, "ResourceNotFoundException: the fake says no (request 42)");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn cbor_is_spoken_both_ways_and_a_json_error_is_understood_all_the_same() {
    let fake = Fake::start(|n, seen| {
        assert_eq!(seen.headers["content-type"], "application/x-amz-cbor-1.1");
        assert_eq!(seen.body, Codec::Cbor.encode(&ListStreamsInput::default()));
        let output = ListStreamsOutput {
            stream_names: vec!["orders".into()],
            ..ListStreamsOutput::default()
        };
        match n {
            0 => error(400, "AccessDeniedException"),
            _ => (200, "", Codec::Cbor.encode(&output).to_vec()),
        }
    })
    .await;
    let cbor = || client(&fake.endpoint).codec(Codec::Cbor);
    assert_eq!(list(cbor()).await.unwrap_err().code(), Some("AccessDeniedException"));
    assert_eq!(list(cbor()).await.unwrap().stream_names, ["orders"]);
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let fake = Fake::start(|_, _| (0, "", Vec::new())).await;
    let timeouts = Timeouts { attempt: Duration::from_millis(50), ..Timeouts::default() };
    let told = list(client(&fake.endpoint).timeouts(timeouts)).await.unwrap_err();
    assert!(matches!(told, Error::Timeout { .. }), "{told}");
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn nobody_at_the_door_is_told_with_the_address() {
    let endpoint = {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Endpoint::parse(&format!("http://{}", closed.local_addr().unwrap())).unwrap()
    };
    let told = list(client(&endpoint)).await.unwrap_err().to_string();
    assert!(told.contains(endpoint.authority()) && told.contains("refused"), "{told}");
}

#[tokio::test]
async fn an_answer_that_is_not_the_output_is_a_decode_error() {
    let fake = Fake::start(|_, _| ok("<html>")).await;
    let told = list(client(&fake.endpoint)).await.unwrap_err();
    assert!(matches!(told, Error::Decode(_)), "{told}");
    assert_eq!(fake.seen().len(), 1);
}

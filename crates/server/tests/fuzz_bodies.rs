//! Any bytes as a body, in both codecs, through the whole pipeline without a socket: always one
//! answer of AWS's kinds, never a panic, never a failure of ours.
#![allow(clippy::disallowed_methods)]

mod support;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use millstream_api::kinesis::Op;
use millstream_server::pipeline::Pipeline;
use support::{AUTHORIZATION, CBOR, JSON, TestNode};

const SEEDS: &[&str] = &[
    r#"{"StreamName":"s","Data":"MQ==","PartitionKey":"a"}"#,
    r#"{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","Records":[{"Data":"MQ=="}]}"#,
    r#"{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}"#,
    r#"{"ShardIterator":"AAAAAAAAAAE","Limit":5}"#,
    r#"{"StreamName":"s","Tags":{"a":"b"},"TagKeys":["a"]}"#,
    r#"{"StreamName":"s","ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1.5}}"#,
];

async fn answer(pipeline: &Pipeline, op: Op, content_type: &str, body: Bytes) {
    let request = http::Request::post("/")
        .header("x-amz-target", format!("Kinesis_20131202.{}", op.name()))
        .header("content-type", content_type)
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", AUTHORIZATION)
        .body(Full::new(body.clone()))
        .unwrap();
    let response = pipeline.answer(request).await;
    let status = response.status();
    assert!(status == 200 || status == 400, "{status} for {} {content_type} {body:?}", op.name());
    assert_eq!(response.headers()["content-type"], content_type);
    let out = response.into_body().collect().await.unwrap().to_bytes();
    if status == 400 {
        assert!(out.windows(6).any(|w| w == b"__type"), "{out:?}");
    }
}

#[test]
fn any_body_gets_an_answer() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let node = runtime.block_on(async {
        // Forty thousand syncs of the audit trail would be most of the test.
        let node = TestNode::start_with(|c| c.audit.enabled = false).await;
        node.stream("s", 1).await;
        node
    });
    let pipeline: Arc<Pipeline> = node.node.pipeline().clone();
    let run = |op: u8, cbor: bool, body: Bytes| {
        let op = Op::ALL[usize::from(op) % Op::ALL.len()];
        let content_type = if cbor { CBOR } else { JSON };
        runtime.block_on(answer(&pipeline, op, content_type, body));
    };
    // Every operation with bodies that get past the parser.
    for op in 0..Op::ALL.len() as u8 {
        for seed in SEEDS {
            run(op, false, Bytes::from_static(seed.as_bytes()));
        }
    }
    // A panic ends the test: nothing that it left behind is looked at again.
    let run = AssertUnwindSafe(run);
    bolero::check!()
        .with_type::<(u8, bool, u8, Vec<u8>, Vec<(u16, u8)>)>()
        .with_iterations(20_000)
        .for_each(|(op, cbor, seed, noise, changes)| {
            let run = &run;
            run(*op, *cbor, Bytes::copy_from_slice(noise));
            let mut body = SEEDS[usize::from(*seed) % SEEDS.len()].as_bytes().to_vec();
            for (at, byte) in changes.iter().take(4) {
                let at = usize::from(*at) % body.len();
                body[at] = *byte;
            }
            run(*op, *cbor, Bytes::from(body));
        });
    runtime.block_on(node.stop());
}

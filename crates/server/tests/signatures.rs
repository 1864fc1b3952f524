//! Mode "keys": requests signed by AWS's own signer are let in, all others are told why not.
#![allow(clippy::disallowed_methods)]

mod support;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use millstream_server::config::{AccessKey, AuthMode};
use serde_json::json;
use support::{Answer, JSON, Request, TestNode};

async fn node() -> TestNode {
    TestNode::start_with(|c| {
        c.auth.mode = AuthMode::Keys;
        c.auth.keys = vec![
            AccessKey {
                access_key_id: "AKID".into(),
                secret_access_key: "secret".into(),
                account: Some("000000000007".into()),
            },
            AccessKey {
                access_key_id: "123456789012".into(),
                secret_access_key: "other".into(),
                account: None,
            },
        ];
    })
    .await
}

#[derive(Clone, Copy)]
struct Signer {
    key: &'static str,
    secret: &'static str,
    service: &'static str,
    /// Seconds from now.
    at: i64,
    checksum: bool,
}

const GOOD: Signer =
    Signer { key: "AKID", secret: "secret", service: "kinesis", at: 0, checksum: false };

impl Signer {
    fn sign(self, operation: &str, body: &str) -> Request {
        let identity = Credentials::new(self.key, self.secret, None, None, "test").into();
        let mut settings = SigningSettings::default();
        if self.checksum {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let shift = Duration::from_secs(self.at.unsigned_abs());
        let now = SystemTime::now();
        let time = if self.at < 0 { now - shift } else { now + shift };
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name(self.service)
            .time(time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let target = format!("Kinesis_20131202.{operation}");
        let headers = [("host", "localhost"), ("content-type", JSON), ("x-amz-target", &target)];
        let signable = SignableRequest::new(
            "POST",
            "http://localhost/",
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )
        .unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        let mut request = Request::new("POST", "/")
            .with("Content-Type", JSON)
            .with("X-Amz-Target", &target)
            .body(body.as_bytes());
        for (name, value) in instructions.headers() {
            request = request.with(name, value);
        }
        request
    }
}

async fn ask(node: &TestNode, request: Request) -> Answer {
    node.connect().await.send(&request).await
}

#[tokio::test]
async fn signed_requests_are_let_in() {
    let node = node().await;
    let body = json!({"StreamName": "s", "ShardCount": 1}).to_string();
    for (signer, arn) in [
        (GOOD, "arn:aws:kinesis:eu-west-1:000000000007:stream/s"),
        (
            Signer { key: "123456789012", secret: "other", checksum: true, ..GOOD },
            "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
        ),
    ] {
        assert_eq!(ask(&node, signer.sign("CreateStream", &body)).await.status, 200);
        let described = signer.sign("DescribeStreamSummary", r#"{"StreamName":"s"}"#);
        let described = ask(&node, described).await.json();
        assert_eq!(described["StreamDescriptionSummary"]["StreamARN"], arn);
    }
    node.stop().await;
}

#[tokio::test]
async fn others_are_told_why_not() {
    let node = node().await;
    let unknown = "UnrecognizedClientException: The security token included in the request is \
                   invalid.";
    let mismatch = "InvalidSignatureException: The request signature we calculated does not match \
                    the signature you provided. Check your AWS Secret Access Key and signing \
                    method. Consult the service documentation for details.";
    let body = "{}";
    let good = || GOOD.sign("ListStreams", body);
    for (request, expected) in [
        (Signer { key: "AKIDX", ..GOOD }.sign("ListStreams", body), unknown),
        (Signer { secret: "wrong", ..GOOD }.sign("ListStreams", body), mismatch),
        (good().body(b"{ }"), mismatch),
        (good().replace("X-Amz-Target", "Kinesis_20131202.DescribeLimits"), mismatch),
        (
            Signer { service: "s3", ..GOOD }.sign("ListStreams", body),
            "InvalidSignatureException: Credential should be scoped to correct service: \
             'kinesis'. ",
        ),
        (
            Signer { at: -600, ..GOOD }.sign("ListStreams", body),
            "InvalidSignatureException: Signature expired: ",
        ),
        (
            Signer { at: 600, ..GOOD }.sign("ListStreams", body),
            "InvalidSignatureException: Signature not yet current: ",
        ),
        (
            good().without("Authorization"),
            "MissingAuthenticationTokenException: Missing Authentication Token",
        ),
        // What can't be read comes before a wrong signature.
        (good().body(b"{"), "SerializationException"),
    ] {
        let answer = ask(&node, request).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.error().starts_with(expected), "{expected}: {answer:?}");
    }
    let late = Signer { at: -600, ..GOOD }.sign("ListStreams", body);
    let late = ask(&node, late).await.error();
    assert!(late.ends_with(" - 5 min.)"), "{late}");
    // An unsigned body is as good as its signature says.
    assert_eq!(ask(&node, good()).await.status, 200);
    node.stop().await;
}

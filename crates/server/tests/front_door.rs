//! What AWS answers before an operation runs, row by row, over a real socket.
#![allow(clippy::disallowed_methods)]

mod support;

use serde_json::json;
use support::{AUTHORIZATION, Answer, CBOR, JSON, Request, TestNode};

const ACCESS_DENIED: &str = "<AccessDeniedException>\n  <Message>Unable to determine \
     service/operation name to be authorized</Message>\n</AccessDeniedException>\n";

fn post() -> Request {
    Request::json("ListStreams", &json!({}))
}

async fn ask(node: &TestNode, request: Request) -> Answer {
    let answer = node.connect().await.send(&request).await;
    assert!(answer.header("date").is_some(), "{answer:?}");
    let id = answer.header("x-amzn-requestid").expect("a request id");
    assert_eq!(id.len(), 36, "{id}");
    answer
}

#[tokio::test]
async fn preflights_are_let_through() {
    let node = TestNode::start().await;
    let request = Request::new("OPTIONS", "/")
        .with("Origin", "http://example.com")
        .with("Access-Control-Request-Headers", "a, b")
        .with("Access-Control-Request-Method", "POST");
    let answer = ask(&node, request).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-headers", "a, b"),
        ("access-control-allow-methods", "POST"),
        ("access-control-max-age", "172800"),
        ("content-length", "0"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(answer.header("x-amz-id-2"), None);

    let answer = ask(&node, post().with("Origin", "http://example.com")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        answer.header("access-control-expose-headers"),
        Some(
            "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,\
             Date"
        )
    );
    assert_eq!(ask(&node, post()).await.header("access-control-allow-origin"), None);
    node.stop().await;
}

#[tokio::test]
async fn other_methods_are_denied() {
    let node = TestNode::start().await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/", "/streams"] {
            let answer = ask(&node, Request::new(method, path)).await;
            assert_eq!((answer.status, answer.text()), (403, ACCESS_DENIED), "{method} {path}");
            assert_eq!(answer.header("content-type"), None);
            assert_eq!(answer.header("x-amz-id-2").map(str::len), Some(96));
        }
    }
    let answer = node.connect().await.send(&Request::new("HEAD", "/")).await;
    assert_eq!(answer.status, 403);
    node.stop().await;
}

/// Content type, target, body; then status and body of the answer.
#[tokio::test]
async fn bodies_and_targets_are_told_apart() {
    const LIST: Option<&str> = Some("Kinesis_20131202.ListStreams");
    const NONE: Option<&str> = None;
    const SERIALIZATION: &[u8] = br#"{"__type":"SerializationException"}"#;
    const UNKNOWN: &[u8] = br#"{"__type":"UnknownOperationException"}"#;
    // The same as maps of CBOR.
    const SERIALIZATION_CBOR: &[u8] = b"\xa1\x66__type\x76SerializationException";
    const UNKNOWN_CBOR: &[u8] = b"\xa1\x66__type\x78\x19UnknownOperationException";
    const UNKNOWN_XML: &[u8] = b"<UnknownOperationException/>\n";
    const OLD_SERIALIZATION: &[u8] =
        br#"{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}"#;
    const OLD_UNKNOWN: &[u8] = br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
    let denied = ACCESS_DENIED.as_bytes();
    let node = TestNode::start().await;
    for (content_type, target, body, status, expected) in [
        // 3 and 4: no body
        (JSON, LIST, &b""[..], 400, SERIALIZATION),
        (CBOR, LIST, b"", 400, SERIALIZATION_CBOR),
        ("", LIST, b"", 400, SERIALIZATION_CBOR),
        ("text/plain", LIST, b"", 400, SERIALIZATION_CBOR),
        (JSON, NONE, b"", 400, UNKNOWN),
        (JSON, Some("Kinesis_20131202.Nothing"), b"", 400, UNKNOWN),
        (CBOR, NONE, b"", 400, UNKNOWN_CBOR),
        ("", NONE, b"", 400, UNKNOWN_CBOR),
        // 5: another content type and no target
        ("", NONE, b"{}", 403, denied),
        ("text/plain", NONE, b"{}", 403, denied),
        ("application/json", NONE, b"{}", 403, denied),
        // 6: another content type with a target
        ("text/plain", LIST, b"{}", 404, UNKNOWN_XML),
        ("application/x-amz-json-1.0", LIST, b"{}", 404, UNKNOWN_XML),
        ("application/cbor", LIST, b"\xa0", 404, UNKNOWN_XML),
        ("application/json", LIST, b"{", 400, OLD_SERIALIZATION),
        ("application/json", LIST, b"{}", 404, OLD_UNKNOWN),
        ("application/json; charset=utf-8", Some("a.b"), b"{}", 404, OLD_UNKNOWN),
        // 7: what can't be read
        (JSON, LIST, b"{", 400, SERIALIZATION),
        (JSON, LIST, b"[]", 400, SERIALIZATION),
        (JSON, LIST, b"\"a\"", 400, SERIALIZATION),
        (JSON, NONE, b"hello", 400, SERIALIZATION),
        (CBOR, LIST, b"{}", 400, SERIALIZATION_CBOR),
        (CBOR, LIST, b"\x80", 400, SERIALIZATION_CBOR),
        (CBOR, NONE, b"\xff", 400, SERIALIZATION_CBOR),
        // 8: unknown targets
        (JSON, NONE, b"{}", 400, UNKNOWN),
        (JSON, Some(""), b"{}", 400, UNKNOWN),
        (JSON, Some("ListStreams"), b"{}", 400, UNKNOWN),
        (JSON, Some("Kinesis_20131202"), b"{}", 400, UNKNOWN),
        (JSON, Some("Kinesis_20131202."), b"{}", 400, UNKNOWN),
        (JSON, Some("Kinesis_20131202.listStreams"), b"{}", 400, UNKNOWN),
        (JSON, Some("Kinesis_20131202.ListStreams.x"), b"{}", 400, UNKNOWN),
        (JSON, Some("Kinesis_20121202.ListStreams"), b"{}", 400, UNKNOWN),
        (CBOR, Some("DynamoDB_20120810.ListTables"), b"\xa0", 400, UNKNOWN_CBOR),
    ] {
        let mut request = post().without("Content-Type").without("X-Amz-Target").body(body);
        if !content_type.is_empty() {
            request = request.with("Content-Type", content_type);
        }
        if let Some(target) = target {
            request = request.with("X-Amz-Target", target);
        }
        // What can't be read comes before what isn't signed.
        for request in [request.clone(), request.without("Authorization")] {
            let answer = ask(&node, request).await;
            let case = format!("{content_type:?} {target:?} {:?}", String::from_utf8_lossy(body));
            assert_eq!(answer.status, status, "{case}: {answer:?}");
            assert_eq!(
                String::from_utf8_lossy(&answer.body),
                String::from_utf8_lossy(expected),
                "{case}"
            );
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn answers_speak_the_codec_of_the_request() {
    let node = TestNode::start().await;
    for (content_type, body, echoed) in [
        (JSON, &b"{}"[..], JSON),
        ("application/x-amz-json-1.1; charset=UTF-8", b"{}", JSON),
        (" application/x-amz-json-1.1 ;x", b"{}", JSON),
        (CBOR, b"\xa0", CBOR),
        (CBOR, b"\xbf\xff", CBOR),
    ] {
        let request = Request::operation("ListStreams", content_type, body.to_vec());
        let answer = ask(&node, request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some(echoed));
        assert!(!answer.body.is_empty());
    }
    let missing = json!({"StreamName": "missing"});
    let answer = ask(&node, Request::json("DescribeStream", &missing)).await;
    assert_eq!(answer.header("content-type"), Some(JSON));
    assert_eq!(answer.header("x-amzn-errortype"), Some("ResourceNotFoundException"));
    let body = b"\xa1\x6aStreamName\x61x".to_vec();
    let answer = ask(&node, Request::operation("DescribeStream", CBOR, body)).await;
    assert_eq!(answer.header("content-type"), Some(CBOR));
    // The vector of the reference: the error map of stream x.
    let vector = b"\xa2\x66__type\x78\x19ResourceNotFoundException\
                   \x67message\x78\x2eStream x under account 000000000000 not found.";
    assert_eq!(String::from_utf8_lossy(&answer.body), String::from_utf8_lossy(vector));
    node.stop().await;
}

#[tokio::test]
async fn requests_must_look_signed() {
    let node = TestNode::start().await;
    let incomplete = |faults: &str, value: &str| {
        format!("IncompleteSignatureException: {faults} Authorization={value}")
    };
    const CREDENTIAL: &str = "Authorization header requires 'Credential' parameter.";
    const SIGNATURE: &str = "Authorization header requires 'Signature' parameter.";
    const HEADERS: &str = "Authorization header requires 'SignedHeaders' parameter.";
    const DATE: &str =
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.";
    let signed = |value: &str| post().replace("Authorization", value);
    for (request, expected) in [
        (
            post().without("Authorization"),
            "MissingAuthenticationTokenException: Missing Authentication Token".to_owned(),
        ),
        (
            Request { path: "/?X-Amz-Algorithm=AWS4-HMAC-SHA256".into(), ..post() },
            "InvalidSignatureException: Found both 'X-Amz-Algorithm' as a query-string param and \
             'Authorization' as HTTP header."
                .to_owned(),
        ),
        (
            signed("AWS4-HMAC-SHA256"),
            incomplete(&[CREDENTIAL, SIGNATURE, HEADERS].join(" "), "AWS4-HMAC-SHA256"),
        ),
        (
            signed("AWS4-HMAC-SHA256 Credential=a"),
            incomplete(&[SIGNATURE, HEADERS].join(" "), "AWS4-HMAC-SHA256 Credential=a"),
        ),
        (post().without("X-Amz-Date"), incomplete(DATE, AUTHORIZATION)),
        (
            Request { path: "/?X-Amz-Algorithm=a&X-Amz-Date=b".into(), ..post() }
                .without("Authorization"),
            "IncompleteSignatureException: AWS query-string parameters must include \
             'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. AWS \
             query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the \
             query-string parameters."
                .to_owned(),
        ),
    ] {
        let answer = ask(&node, request.clone()).await;
        assert_eq!((answer.status, answer.error()), (400, expected), "{request:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn the_nodes_own_pages() {
    let node = TestNode::start().await;
    for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = node.connect().await.send(&Request::new("GET", path)).await;
        assert_eq!((answer.status, answer.text()), (200, text));
        let answer = node.connect().await.send(&Request::new("HEAD", path)).await;
        assert_eq!(answer.status, 200);
    }
    node.ok("ListStreams", json!({})).await;
    node.refused("DescribeStream", json!({"StreamName": "missing"})).await;
    let answer = node.connect().await.send(&Request::new("GET", "/metrics")).await;
    assert_eq!(answer.status, 200);
    for line in [
        "millstream_requests_total{operation=\"ListStreams\",outcome=\"ok\"} 1",
        "millstream_requests_total{operation=\"DescribeStream\",\
         outcome=\"ResourceNotFoundException\"} 1",
        "millstream_log_syncs_total ",
        "millstream_log_full 0",
        "millstream_process_resident_memory_bytes ",
        "# EOF",
    ] {
        assert!(answer.text().contains(line), "{line} is not in\n{}", answer.text());
    }
    node.stop().await;
}

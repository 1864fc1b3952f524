//! AWS's own protocol cases (botocore's tests, Apache-2.0; kept by `cargo xtask models`) against our
//! codecs, in both directions: what a client must send we spell and read, what it gets we read.
//!
//! Left out, because no model of ours has them: documents, JSON in headers, timestamp formats other
//! than a place's own, compressed requests, checksums. Tokens that a client makes up are not ours.

mod dynamic;

use std::collections::BTreeSet;

use bytes::Bytes;
use dynamic::{Case, Dynamic, agree, bindings, cases};
use http::HeaderMap;
use millstream_wire::operation::{Http, decode_output};
use millstream_wire::rest::{Rest, decode_response, encode_request, route};
use millstream_wire::{Codec, Operation, Protocol, Service, ServiceError};
use serde_json::{Value as Json, json};

static SERVICE: Service = Service {
    signing_name: "test",
    target: "JsonProtocol",
    codec: Codec::Json,
    namespace: "test",
    query: None,
};

#[test]
fn json_1_1_requests() {
    requests("json-input", Codec::Json, 40);
}

#[test]
fn json_1_0_requests() {
    requests("json_1_0-input", Codec::Json10, 15);
}

#[test]
fn rpc_v2_cbor_requests() {
    requests("smithy-rpc-v2-cbor-input", Codec::RpcV2Cbor, 12);
}

#[test]
fn json_1_1_responses() {
    responses("json-output", Codec::Json, 45);
}

#[test]
fn json_1_0_responses() {
    responses("json_1_0-output", Codec::Json10, 28);
}

#[test]
fn rpc_v2_cbor_responses() {
    responses("smithy-rpc-v2-cbor-output", Codec::RpcV2Cbor, 28);
}

/// Runs the request cases of `file`; at least `least` of them must be ours.
fn requests(file: &str, codec: Codec, least: usize) {
    let mut run = 0;
    for case in cases(file) {
        let Some(shape) = case.shape("input") else { continue };
        let Some(body) = case.json["serialized"]["body"].as_str() else { continue };
        let body = case.body(body, codec);
        let params = &case.json["params"];
        let sent = codec.encode(&Dynamic::new(shape, params));
        let (spelled, expected) = (read(&case, codec, &sent), read(&case, codec, &body));
        assert!(agree(&spelled, &expected), "{}: {spelled} for {expected}", case.id());
        assert!(agree(&expected, params), "{}: {expected} for {params}", case.id());
        let content_type = case.json["serialized"]["headers"]["Content-Type"].as_str();
        assert!(content_type.is_none_or(|c| c == codec.content_type()), "{}", case.id());
        run += 1;
    }
    assert!(run >= least, "only {run} cases of {file}");
}

fn read(case: &Case, codec: Codec, body: &Bytes) -> Json {
    let side = if case.json["response"].is_null() { "input" } else { "output" };
    let shape = case.shape(side).expect("a case with a shape");
    shape.expect_next();
    match decode_output::<Dynamic>(codec, body) {
        Ok(value) => value.into_json(),
        Err(error) => panic!("{}: {error}", case.id()),
    }
}

fn responses(file: &str, codec: Codec, least: usize) {
    let mut run = 0;
    for case in cases(file) {
        let body = case.body(case.json["response"]["body"].as_str().unwrap_or_default(), codec);
        if case.is_error() {
            check_error(&case, codec, &body);
        } else if case.shape("output").is_some() {
            let (found, expected) = (read(&case, codec, &body), &case.json["result"]);
            assert!(agree(&found, expected), "{}: {found} for {expected}", case.id());
        } else {
            continue;
        }
        run += 1;
    }
    assert!(run >= least, "only {run} cases of {file}");
}

fn check_error(case: &Case, codec: Codec, body: &Bytes) {
    let headers = case.headers("response");
    let kind = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let status = case.json["response"]["status_code"].as_u64().unwrap_or(400) as u16;
    let error = ServiceError::decode(codec, status, kind, body);
    assert_eq!(error.code, case.json["errorCode"].as_str().unwrap_or_default(), "{}", case.id());
    if let Some(message) = case.json["errorMessage"].as_str().filter(|text| !text.is_empty()) {
        assert_eq!(error.message.as_deref(), Some(message), "{}", case.id());
    }
}

#[test]
fn rest_requests() {
    let mut run = 0;
    for case in cases("rest-json-input") {
        let Some(shape) = case.shape("input") else { continue };
        let op = operation(&case, "input");
        let params = &case.json["params"];
        let sent = encode_request(op, &Dynamic::new(shape, params));
        let serialized = &case.json["serialized"];
        assert_eq!(sent.method, serialized["method"].as_str().unwrap_or("POST"), "{}", case.id());
        let expected = serialized["uri"].as_str().expect("a path");
        assert_eq!(pieces(&sent.uri), pieces(expected), "{}", case.id());
        let body = serialized["body"].as_str().unwrap_or_default();
        assert!(same_body(&sent.body, body), "{}: {:?} for {body}", case.id(), sent.body);
        for (name, value) in case.headers("serialized").iter() {
            if name == "content-type" && sent.body.is_empty() && body == "{}" {
                continue;
            }
            let found = sent.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_str()));
            let found = found.map(|(_, value)| value.as_str());
            let found = found.or(sent.content_type.filter(|_| name == "content-type"));
            assert_eq!(found, value.to_str().ok(), "{}: header {name}", case.id());
        }
        check_served(&case, op, &sent);
        run += 1;
    }
    assert!(run >= 60, "only {run} cases");
}

/// What was sent is found by its path and read back as it was.
fn check_served(case: &Case, op: &'static Operation, sent: &millstream_wire::rest::Request) {
    let (path, query) = sent.uri.split_once('?').unwrap_or((&sent.uri, ""));
    let operations = std::slice::from_ref(op);
    let (_, labels) = route(operations, sent.method, path, query)
        .unwrap_or_else(|| panic!("{}: no operation at {path}", case.id()));
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.headers {
        let name: http::HeaderName = name.parse().expect("a header's name");
        headers.append(name, value.parse().expect("a header's value"));
    }
    let rest = Rest { labels, query: query.to_owned(), headers, body: sent.body.clone() };
    case.shape("input").expect("a case with a shape").expect_next();
    let (found, missing) = match rest.decode::<Dynamic>(op) {
        Ok((found, missing)) => (found.into_json(), missing),
        Err(error) => panic!("{}: {error}", case.id()),
    };
    assert!(missing.is_empty(), "{}: {missing:?}", case.id());
    assert!(agree(&found, &case.json["params"]), "{}: read back as {found}", case.id());
}

#[test]
fn rest_responses() {
    let mut run = 0;
    for case in cases("rest-json-output") {
        let body = Bytes::from(case.json["response"]["body"].as_str().unwrap_or("").to_owned());
        let headers = case.headers("response");
        let status = case.json["response"]["status_code"].as_u64().unwrap_or(200) as u16;
        if case.is_error() {
            check_error(&case, Codec::RestJson, &body);
        } else if let Some(shape) = case.shape("output") {
            shape.expect_next();
            let op = operation(&case, "output");
            let found = match decode_response::<Dynamic>(op, status, &headers, &body) {
                Ok(found) => found.into_json(),
                Err(error) => panic!("{}: {error}", case.id()),
            };
            let expected = &case.json["result"];
            assert!(agree(&found, expected), "{}: {found} for {expected}", case.id());
        } else {
            continue;
        }
        run += 1;
    }
    assert!(run >= 50, "only {run} cases");
}

fn operation(case: &Case, side: &str) -> &'static Operation {
    let http = &case.json["given"]["http"];
    let bound = bindings(case, side);
    let (request, response) =
        if side == "input" { (bound, [].as_slice()) } else { ([].as_slice(), bound) };
    let text =
        |key: &str| -> &'static str { http[key].as_str().unwrap_or_default().to_owned().leak() };
    Box::leak(Box::new(Operation {
        name: "Case",
        service: &SERVICE,
        http: Http {
            method: text("method"),
            uri: text("requestUri"),
            status: 200,
            request,
            response,
        },
    }))
}

/// A path, and its query without an order.
fn pieces(uri: &str) -> (String, BTreeSet<String>) {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned);
    (path.to_owned(), pairs.collect())
}

fn same_body(sent: &Bytes, expected: &str) -> bool {
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Json>(bytes).ok();
    match (parsed(sent), parsed(expected.as_bytes())) {
        (Some(sent), Some(expected)) => agree(&sent, &expected),
        // Clients may leave out a body that says nothing.
        (None, Some(expected)) if sent.is_empty() => expected == json!({}),
        _ => sent == expected,
    }
}

//! Attacks on a node over sockets: each meets its named bound, and the node goes on.
#![allow(clippy::disallowed_methods)]

mod support;

use std::time::{Duration, Instant};

use millstream_server::config::units::{ByteSize, Span};
use serde_json::json;
use support::{Request, TestNode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn list() -> Request {
    Request::json("ListStreams", &json!({}))
}

/// A frame of RFC 9113, 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header as a literal that enters no table (RFC 7541, 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        assert!(text.len() < 127);
        out.push(text.len() as u8);
        out.extend(text.as_bytes());
    }
    out
}

fn head() -> Vec<u8> {
    let authority = literal(":authority", "localhost");
    // Of the static table: POST, http, /.
    let mut head = vec![0x83, 0x86, 0x84];
    head.extend(authority);
    for (name, value) in [
        ("content-type", support::JSON),
        ("x-amz-target", "Kinesis_20131202.ListStreams"),
        ("x-amz-date", "20260101T000000Z"),
    ] {
        head.extend(literal(name, value));
    }
    head
}

async fn http2(node: &TestNode) -> TcpStream {
    let mut stream = TcpStream::connect(node.addr()).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

/// Whether the node ends the connection within the time; what it says meanwhile is read.
async fn is_ended(stream: &mut TcpStream, time: Duration) -> bool {
    let mut sink = vec![0; 64 << 10];
    let read = async {
        while let Ok(n) = stream.read(&mut sink).await {
            if n == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(time, read).await.is_ok()
}

async fn still_serves(node: TestNode) {
    assert_eq!(node.connect().await.send(&list()).await.status, 200);
    node.node.shutdown().await;
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let node = TestNode::start_with(|c| c.limits.connections_per_address_max = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = node.connect().await;
        assert_eq!(client.send(&list()).await.status, 200);
        held.push(client);
    }
    for _ in 0..10 {
        let mut more = node.connect().await;
        assert!(more.is_closed().await, "a fourth is closed at once");
    }
    assert_eq!(held[0].send(&list()).await.status, 200, "the others go on");
    drop(held);
    for _ in 0..100 {
        if node.node.open_connections() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    still_serves(node).await;
}

#[tokio::test]
async fn rapid_resets_end_their_connection() {
    let node = TestNode::start_with(|c| c.limits.http2_resets_max = 50).await;
    // All at once: more resets wait than may.
    let mut stream = http2(&node).await;
    let mut flood = Vec::new();
    for id in 0..500 {
        let id = 1 + 2 * id;
        flood.extend(frame(HEADERS, END_HEADERS, id, &head()));
        flood.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    let _ = stream.write_all(&flood).await;
    assert!(is_ended(&mut stream, Duration::from_secs(10)).await);

    // One after the other, each looked at: too many in a minute.
    let mut stream = http2(&node).await;
    let mut sent = 0;
    for id in 0..500 {
        let id = 1 + 2 * id;
        if stream.write_all(&frame(HEADERS, END_HEADERS, id, &head())).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
        if stream.write_all(&frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())).await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(is_ended(&mut stream, Duration::from_secs(10)).await);
    assert!((50..500).contains(&sent), "{sent} resets");
    still_serves(node).await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_its_connection() {
    let node = TestNode::start().await;
    let mut stream = http2(&node).await;
    stream.write_all(&frame(HEADERS, END_STREAM, 1, &head())).await.unwrap();
    let part = frame(CONTINUATION, 0, 1, &literal("x-fill", &"x".repeat(120)).repeat(8));
    let mut sent = 0;
    while sent < 100_000 && stream.write_all(&part).await.is_ok() {
        sent += 1;
        if sent % 64 == 0 && is_ended(&mut stream, Duration::from_millis(5)).await {
            break;
        }
    }
    assert!(sent < 10_000, "{sent} frames of a KiB were taken");
    still_serves(node).await;
}

#[tokio::test]
async fn headers_are_counted_over_both_protocols() {
    let node = TestNode::start_with(|c| c.limits.header_count_max = 20).await;
    let mut many = list();
    for i in 0..30 {
        many = many.with(&format!("X-Many-{i}"), "x");
    }
    assert_eq!(node.connect().await.send(&many).await.status, 431);
    let mut stream = http2(&node).await;
    let mut head = head();
    (0..30).for_each(|i| head.extend(literal(&format!("x-many-{i}"), "x")));
    stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)).await.unwrap();
    let mut seen = Vec::new();
    // `:status 431` is no entry of the static table: it comes as text, Huffman-coded or plain.
    let answered = async {
        loop {
            let mut chunk = [0; 1024];
            let n = stream.read(&mut chunk).await.unwrap();
            assert!(n > 0, "no answer: {seen:?}");
            seen.extend(&chunk[..n]);
            if frames(&seen).iter().any(|(kind, id)| *kind == HEADERS && *id == 1) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answered).await.unwrap();
    still_serves(node).await;
}

fn frames(mut bytes: &[u8]) -> Vec<(u8, u32)> {
    let mut found = Vec::new();
    while bytes.len() >= 9 {
        let len = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        found.push((bytes[3], u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]])));
        bytes = bytes.get(9 + len..).unwrap_or_default();
    }
    found
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up() {
    let node = TestNode::start_with(|c| {
        c.limits.body_grace_time = Span::from_millis(300);
        c.limits.body_rate_min = ByteSize::kib(10);
    })
    .await;
    let mut client = node.connect().await;
    client.write(&list().with("Content-Length", "100000").bytes()).await;
    let started = Instant::now();
    for _ in 0..200 {
        if client.stream.write_all(b" ").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        if started.elapsed() > Duration::from_secs(1) {
            break;
        }
    }
    let answer = client.answer("POST").await;
    assert_eq!(answer.status, 408, "{answer:?}");
    assert_eq!(
        answer.error(),
        "RequestTimeoutException: The request body arrives with less than 10240 bytes per second."
    );
    still_serves(node).await;
}

#[tokio::test]
async fn beyond_its_memory_the_node_sheds_and_recovers() {
    let node = TestNode::start_with(|c| {
        c.limits.body_bytes_max = ByteSize::mib(1);
        c.limits.bodies_bytes_max = ByteSize::mib(2);
        c.limits.memory_wait = Span::from_millis(300);
    })
    .await;
    // Clients that have sent most of a large body and then wait keep the memory for a while.
    let mut keepers = Vec::new();
    for _ in 0..2 {
        let mut client = node.connect().await;
        client.write(&list().with("Content-Length", "1048576").bytes()).await;
        client.stream.write_all(&vec![b' '; 900_000]).await.unwrap();
        keepers.push(client);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut body = b"{}".to_vec();
    body.resize(900_000, b' ');
    let answer = node.connect().await.send(&list().body(&body)).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.error(), "ServiceUnavailable: The node is busy. Please try again later.");
    assert_eq!(node.connect().await.send(&list()).await.status, 200, "small ones go on");
    drop(keepers);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(node.connect().await.send(&list().body(&body)).await.status, 200);
    still_serves(node).await;
}

#[tokio::test]
async fn answers_that_nobody_takes_are_bounded_and_cut() {
    let node = TestNode::start_with(|c| {
        c.limits.write_stall_time = Span::from_millis(600);
        c.limits.answers_bytes_max = ByteSize::mib(16);
    })
    .await;
    node.stream("s", 1).await;
    let data = "A".repeat(1 << 20);
    for _ in 0..6 {
        let put = json!({"StreamName": "s", "Data": data, "PartitionKey": "k"});
        let _ = node.call("PutRecord", put).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let input = json!({
        "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON",
    });
    let iterator = node.ok("GetShardIterator", input).await["ShardIterator"].clone();
    let read = Request::json("GetRecords", &json!({"ShardIterator": iterator}));
    // Each asks for megabytes and takes nothing, far more than the system's buffers hold.
    let mut deaf = Vec::new();
    for _ in 0..12 {
        let mut client = node.connect().await;
        client.write(&read.bytes()).await;
        deaf.push(client);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    // They are cut, and their memory is there for others.
    let mut open = usize::MAX;
    for _ in 0..200 {
        open = node.node.open_connections();
        let mut client = node.connect().await;
        let answer = client.send(&list()).await;
        assert_eq!(answer.status, 200);
        drop(client);
        if open <= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(open <= 12, "{open} connections are left");
    drop(deaf);
    still_serves(node).await;
}

#[tokio::test]
async fn lists_of_millions_are_refused_before_they_are_made() {
    let node = TestNode::start().await;
    for item in ["{},", "{\"Data\":\"\"},"] {
        let items = item.repeat((8 << 20) / item.len());
        let body = format!("{{\"StreamName\":\"x\",\"Records\":[{items}{{}}]}}");
        let request = Request::operation("PutRecords", support::JSON, body.into_bytes());
        let answer = node.connect().await.send(&request).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "SerializationException"));
    }
    // Many, but fewer: told what is wrong with them.
    let items = "{},".repeat(100_000);
    let body = format!("{{\"StreamName\":\"x\",\"Records\":[{items}{{}}]}}");
    let request = Request::operation("PutRecords", support::JSON, body.into_bytes());
    let answer = node.connect().await.send(&request).await;
    assert!(answer.error().starts_with("ValidationException"), "{}", answer.error());
    still_serves(node).await;
}

//! Connections that behave and connections that don't: protocols, limits, drains.
#![allow(clippy::disallowed_methods)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use millstream_server::config::units::{ByteSize, Span};
use millstream_server::{Config, Node};
use serde_json::json;
use support::{AUTHORIZATION, CBOR, JSON, Request, TestNode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn list() -> Request {
    Request::json("ListStreams", &json!({}))
}

/// Waits until the node has no connection left.
async fn no_connections(node: &TestNode) {
    for _ in 0..500 {
        if node.node.open_connections() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} connections remain", node.node.open_connections());
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let node = TestNode::start().await;
    let mut client = node.connect().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let answer = client.send(&list()).await;
        assert_eq!(answer.status, 200);
        ids.push(answer.header("x-amzn-requestid").unwrap().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10, "each request has an id of its own");
    drop(client);
    no_connections(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let mut client = node.connect().await;
    let describe = |name: &str| Request::json("DescribeStream", &json!({"StreamName": name}));
    let requests = [list(), describe("s"), describe("t"), list()];
    client.write(&requests.iter().flat_map(Request::bytes).collect::<Vec<_>>()).await;
    for expected in ["StreamNames", "StreamDescription", "not found", "StreamNames"] {
        let answer = client.answer("POST").await;
        assert!(answer.text().contains(expected), "{expected}: {answer:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn bodies_may_come_in_chunks_and_slowly() {
    let node = TestNode::start().await;
    let mut client = node.connect().await;
    let head = list().with("Transfer-Encoding", "chunked").body(b"").bytes();
    client.write(&head).await;
    for part in ["1\r\n{\r\n", "2\r\n }\r\n", "0\r\n\r\n"] {
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.write(part.as_bytes()).await;
    }
    assert_eq!(client.answer("POST").await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let node = TestNode::start_with(|c| c.limits.body_bytes_max = ByteSize::kib(100)).await;
    let expected = "RequestEntityTooLargeException: The request body exceeds the maximum of \
                    102400 bytes.";
    let body = vec![b' '; 300 << 10];
    let sized = list().body(&body);
    let mut client = node.connect().await;
    let answer = client.send(&sized).await;
    assert_eq!((answer.status, answer.error()), (413, expected.to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed().await);

    let mut chunked = list().with("Transfer-Encoding", "chunked").body(b"").bytes();
    chunked.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
    chunked.extend_from_slice(&body);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let mut client = node.connect().await;
    client.write(&chunked).await;
    let answer = client.answer("POST").await;
    assert_eq!((answer.status, answer.error()), (413, expected.to_owned()));

    // A client that asks first is told before it sends anything.
    let mut client = node.connect().await;
    let asking = list().with("Content-Length", "999999999").with("Expect", "100-continue");
    client.write(&asking.body(b"").bytes()).await;
    assert_eq!(client.answer("POST").await.status, 413);

    // At the limit it is read.
    let mut body = b"{}".to_vec();
    body.resize(100 << 10, b' ');
    assert_eq!(node.connect().await.send(&list().body(&body)).await.status, 200);
    no_connections(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let node = TestNode::start_with(|c| c.limits.body_read_time = Span::from_millis(200)).await;
    let mut client = node.connect().await;
    client.write(&list().with("Content-Length", "100").bytes()).await;
    let answer = client.answer("POST").await;
    assert_eq!(answer.status, 408);
    assert_eq!(
        answer.error(),
        "RequestTimeoutException: The request body did not arrive within 0.2 seconds."
    );
    assert!(client.is_closed().await);
    no_connections(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn silent_and_slow_heads_are_given_up() {
    let node = TestNode::start_with(|c| c.limits.header_read_time = Span::from_millis(200)).await;
    for start in ["", "P", "PRI * HTTP/2.0\r\n", "POST / HTTP/1.1\r\nHost: x\r\n"] {
        let mut client = node.connect().await;
        client.write(start.as_bytes()).await;
        assert!(client.is_closed().await, "{start:?}");
    }
    // An idle connection after an answer, too.
    let mut client = node.connect().await;
    assert_eq!(client.send(&list()).await.status, 200);
    assert!(client.is_closed().await);
    no_connections(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn half_closed_connections_get_their_answer_and_leave_nothing() {
    let node = TestNode::start().await;
    let mut client = node.connect().await;
    client.write(&list().bytes()).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.answer("POST").await.status, 200);
    assert!(client.is_closed().await);

    // Half a head, half a body, or nothing, and then the end.
    for part in
        [&b""[..], b"PO", b"POST / HTTP/1.1\r\nHost", &list().with("Content-Length", "100").bytes()]
    {
        let mut client = node.connect().await;
        client.write(part).await;
        client.stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = client.stream.read_to_end(&mut rest).await;
    }
    no_connections(&node).await;
    assert_eq!(node.connect().await.send(&list()).await.status, 200);
    node.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_http_get_an_end() {
    let node = TestNode::start().await;
    for noise in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\0\0\0\0\0\0\r\n\r\n"] {
        let mut client = node.connect().await;
        client.write(noise).await;
        client.stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = client.stream.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
    }
    let mut client = node.connect().await;
    let long = list().with("X-Long", &"x".repeat(100 << 10));
    client.write(&long.bytes()).await;
    assert_eq!(client.answer("POST").await.status, 431);
    no_connections(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn http2_with_prior_knowledge() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let stream = TcpStream::connect(node.addr()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let request = |operation: &str, content_type: &str, body: Bytes| {
        http::Request::post(format!("http://{}/", node.addr()))
            .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
            .header("content-type", content_type)
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", AUTHORIZATION)
            .body(Full::new(body))
            .unwrap()
    };
    let data = "A".repeat(1 << 20);
    let record = json!({"Data": data, "PartitionKey": "k"});
    let big = json!({"StreamName": "s", "Records": vec![record; 8]}).to_string();
    for (operation, content_type, body, status) in [
        ("ListStreams", JSON, Bytes::from("{}"), 200),
        ("ListStreams", CBOR, Bytes::from_static(b"\xa0"), 200),
        ("DescribeStream", JSON, Bytes::from(r#"{"StreamName":"x"}"#), 400),
        ("PutRecords", JSON, Bytes::from(big), 200),
    ] {
        let response = sender.send_request(request(operation, content_type, body)).await.unwrap();
        assert_eq!(response.status(), status, "{operation}");
        assert_eq!(response.headers()["content-type"], content_type);
        assert!(response.headers().contains_key("date"));
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.len(), length);
    }
    // Many at once on one connection.
    let many = (0..100).map(|_| sender.send_request(request("ListStreams", JSON, "{}".into())));
    for response in futures_util::future::join_all(many).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    drop(sender);
    driver.await.unwrap().unwrap();
    no_connections(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let node = TestNode::start_with(|c| c.limits.connections_max = 2).await;
    let mut first = node.connect().await;
    assert_eq!(first.send(&list()).await.status, 200);
    let mut second = node.connect().await;
    assert_eq!(second.send(&list()).await.status, 200);
    let mut third = node.connect().await;
    third.write(&list().bytes()).await;
    let early = tokio::time::timeout(Duration::from_millis(200), third.answer("POST")).await;
    assert!(early.is_err(), "the third has to wait");
    drop(first);
    assert_eq!(third.answer("POST").await.status, 200);
    drop((second, third));
    no_connections(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn shutdown_lets_running_requests_end() {
    let node = TestNode::start().await;
    let mut idle = node.connect().await;
    assert_eq!(idle.send(&list()).await.status, 200);
    let mut busy = node.connect().await;
    let bytes = list().bytes();
    let (start, rest) = bytes.split_at(bytes.len() - 1);
    busy.write(start).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let addr = node.addr();
    let finish = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(TcpStream::connect(addr).await.is_err(), "nothing new is taken");
        busy.write(rest).await;
        let answer = busy.answer("POST").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(busy.is_closed().await);
        assert!(idle.is_closed().await, "an idle connection is closed at once");
    };
    let (drained, ()) = tokio::join!(node.node.shutdown(), finish);
    assert!(drained);
}

#[tokio::test]
async fn shutdown_cuts_what_does_not_end() {
    let node = TestNode::start_with(|c| c.server.drain_time = Span::from_millis(200)).await;
    let mut stuck = node.connect().await;
    stuck.write(&list().with("Content-Length", "100").bytes()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = std::time::Instant::now();
    assert!(!node.node.shutdown().await, "one request could not end");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(stuck.is_closed().await);
}

#[tokio::test]
async fn a_data_directory_serves_one_node() {
    let node = TestNode::start().await;
    let second = Node::start(support::config(node.dir.path())).await;
    let error = second.err().expect("refused").to_string();
    let expected = format!("is used by process {}", std::process::id());
    assert!(error.contains(&expected), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let node = TestNode::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = support::config(dir.path());
    config.server.listen = vec![node.addr()];
    let error = Node::start(config).await.err().expect("refused").to_string();
    assert!(error.starts_with(&format!("can't listen on {}: ", node.addr())), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn an_ephemeral_node_leaves_nothing() {
    let mut config = Config::default();
    config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.server.ephemeral = true;
    let node = Node::start(config).await.unwrap();
    assert!(node.is_ephemeral());
    let dir = node.data_dir().to_owned();
    assert!(dir.is_dir() && node.endpoint().starts_with("http://127.0.0.1:"));
    node.shutdown().await;
    assert!(!dir.exists());
}

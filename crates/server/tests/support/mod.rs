//! A real node on a free port in a directory of its own, and a small HTTP/1.1 client that says
//! exactly what a test wants said.
#![allow(dead_code, clippy::disallowed_methods)]

pub mod events;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use millstream_server::config::units::ByteSize;
use millstream_server::{Config, Node, RunningNode, StartError};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const JSON: &str = "application/x-amz-json-1.1";
pub const CBOR: &str = "application/x-amz-cbor-1.1";
/// Signed by nobody, in AWS's form.
pub const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
     Credential=AKIDEXAMPLE/20260101/us-east-1/kinesis/aws4_request, \
     SignedHeaders=host;x-amz-date;x-amz-target, Signature=00";
/// No test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node and the directory it works in.
pub struct TestNode {
    pub node: RunningNode,
    pub dir: tempfile::TempDir,
}

/// Small write-ahead files: a test's node is up in milliseconds.
pub fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.server.data_dir = dir.to_owned();
    config.storage.wal_file_bytes = ByteSize::mib(64);
    config
}

/// Starts a node; who had the directory before, such as a start that was refused, lets go of it a
/// moment later.
pub async fn start_when_free(config: Config) -> Result<RunningNode, StartError> {
    for _ in 0..500 {
        match Node::start(config.clone()).await {
            Err(error) if error.to_string().contains("is used by") => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            done => return done,
        }
    }
    Node::start(config).await
}

impl TestNode {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, change).await
    }

    pub async fn start_in(dir: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(dir.path());
        change(&mut config);
        let node = start_when_free(config).await.unwrap_or_else(|e| panic!("start: {e}"));
        TestNode { node, dir }
    }

    pub async fn restart(self) -> Self {
        assert!(self.node.shutdown().await, "nothing is left to drain");
        Self::start_in(self.dir, |_| {}).await
    }

    pub async fn stop(self) {
        assert!(self.node.shutdown().await, "nothing is left to drain");
    }

    pub fn addr(&self) -> SocketAddr {
        self.node.addr()
    }

    pub async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.addr()).await.unwrap(), seen: Vec::new() }
    }

    /// One operation in JSON on a connection of its own.
    pub async fn call(&self, operation: &str, input: Value) -> Answer {
        self.connect().await.send(&Request::json(operation, &input)).await
    }

    /// As [`TestNode::call`]; must succeed.
    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        let answer = self.call(operation, input.clone()).await;
        assert_eq!(answer.status, 200, "{operation} {input}: {answer:?}");
        answer.json()
    }

    /// As [`TestNode::call`]; must fail with status 400. `type: message`.
    pub async fn refused(&self, operation: &str, input: Value) -> String {
        let answer = self.call(operation, input.clone()).await;
        assert_eq!(answer.status, 400, "{operation} {input}: {answer:?}");
        answer.error()
    }

    /// Makes a stream and waits until it is ACTIVE.
    pub async fn stream(&self, name: &str, shards: u32) {
        let input = serde_json::json!({"StreamName": name, "ShardCount": shards});
        self.ok("CreateStream", input).await;
        let named = serde_json::json!({"StreamName": name});
        loop {
            let summary = self.ok("DescribeStreamSummary", named.clone()).await;
            if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All records of a shard that a reader from the horizon gets.
    pub async fn read_all(&self, stream: &str, shard: &str) -> Vec<Value> {
        let input = serde_json::json!({
            "StreamName": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
        });
        let mut iterator = self.ok("GetShardIterator", input).await["ShardIterator"].clone();
        let mut records = Vec::new();
        loop {
            let input = serde_json::json!({"ShardIterator": iterator});
            let page = self.ok("GetRecords", input).await;
            records.extend(page["Records"].as_array().unwrap().iter().cloned());
            iterator = page["NextShardIterator"].clone();
            if page["MillisBehindLatest"] == 0 || iterator.is_null() {
                return records;
            }
        }
    }
}

/// A request, byte by byte as it will be sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        let headers = vec![("Host".to_owned(), "localhost".to_owned())];
        Request { method: method.into(), path: path.into(), headers, body: Vec::new() }
    }

    /// As an SDK sends it, but for the signature's proof.
    pub fn json(operation: &str, input: &Value) -> Self {
        Self::operation(operation, JSON, input.to_string().into_bytes())
    }

    pub fn operation(operation: &str, content_type: &str, body: Vec<u8>) -> Self {
        Request::new("POST", "/")
            .with("X-Amz-Target", &format!("Kinesis_20131202.{operation}"))
            .with("Content-Type", content_type)
            .with("X-Amz-Date", "20260101T000000Z")
            .with("Authorization", AUTHORIZATION)
            .body(&body)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    pub fn replace(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            out += &format!("{name}: {value}\r\n");
        }
        let sized = |n: &str| n.eq_ignore_ascii_case("content-length");
        let chunked = |n: &str| n.eq_ignore_ascii_case("transfer-encoding");
        if !self.headers.iter().any(|(n, _)| sized(n) || chunked(n)) {
            out += &format!("Content-Length: {}\r\n", self.body.len());
        }
        [out.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    pub async fn send(&mut self, request: &Request) -> Answer {
        self.write(&request.bytes()).await;
        self.answer(&request.method).await
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer. `method`: of the request, as answers to HEAD have no body.
    pub async fn answer(&mut self, method: &str) -> Answer {
        let read = self.read_answer(method);
        tokio::time::timeout(PATIENCE, read).await.expect("an answer in time")
    }

    async fn read_answer(&mut self, method: &str) -> Answer {
        let head_len = loop {
            if let Some(at) = self.seen.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more().await, "closed within a head: {:?}", self.text());
        };
        let head = String::from_utf8(self.seen.drain(..head_len).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|l| l.split_once(": "))
            .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
            .collect();
        let length = headers.iter().find(|(n, _)| n == "content-length");
        let length = length.map_or(0, |(_, v)| v.parse::<usize>().unwrap());
        let length = if method == "HEAD" { 0 } else { length };
        while self.seen.len() < length {
            assert!(self.more().await, "closed within a body: {:?}", self.text());
        }
        let body = self.seen.drain(..length).collect();
        Answer { status, headers, body }
    }

    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.seen).await.unwrap_or(0) > 0
    }

    /// Whether the server closes the connection without another byte.
    pub async fn is_closed(&mut self) -> bool {
        let more = tokio::time::timeout(PATIENCE, self.more()).await;
        matches!(more, Ok(false)) && self.seen.is_empty()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:?} {}", self.status, self.headers, text)
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Null for an empty body.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// `type: message`, or the type alone.
    pub fn error(&self) -> String {
        let body = self.json();
        let kind = body["__type"].as_str().unwrap_or("?");
        let message = body.get("message").or(body.get("Message")).and_then(Value::as_str);
        match message {
            Some(message) => format!("{kind}: {message}"),
            None => kind.to_owned(),
        }
    }
}

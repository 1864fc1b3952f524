//! The raw client: requests as they stand on the wire, in either codec, over HTTP/1.1 or HTTP/2.
//!
//! It knows the protocol's outside only: target and content type, error envelopes, the neutral
//! form. One connection is kept and made anew when the server closed it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::catalogue::HttpStep;
use crate::cbor::{self, Lengths};
use crate::client::{Answer, Call, Client, Codec, Fault};
use crate::{base64, event_stream, scene};

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The two versions of HTTP on the plain port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    /// With prior knowledge: no upgrade, no TLS.
    Http2,
}

/// One raw client.
pub struct Raw {
    address: SocketAddr,
    codec: Codec,
    version: Version,
    lengths: Lengths,
    runtime: Runtime,
    connection: Option<Connection>,
}

enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Raw {
    /// A client of `address`. CBOR is written with open lengths over HTTP/2, as Java's async client
    /// may, and with counts over HTTP/1.1.
    ///
    /// # Errors
    /// No runtime can be made.
    pub fn new(address: SocketAddr, codec: Codec, version: Version) -> Result<Self> {
        let lengths = match version {
            Version::Http1 => Lengths::Definite,
            Version::Http2 => Lengths::Indefinite,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { address, codec, version, lengths, runtime, connection: None })
    }

    fn content_type(&self) -> &'static str {
        match self.codec {
            Codec::Json => "application/x-amz-json-1.1",
            Codec::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    /// Sends one request and reads the whole answer; once more on a new connection when the kept
    /// one turned out to be closed.
    ///
    /// # Errors
    /// The connection breaks or no answer comes within a minute.
    pub fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        let mut kept = self.connection.take();
        let (address, version) = (self.address, self.version);
        let work = async move {
            if let Some(connection) = &mut kept
                && !connection.usable().await
            {
                kept = None;
            }
            let mut connection = match kept {
                Some(kept) => kept,
                None => Connection::open(address, version).await?,
            };
            let response = connection.request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.context("the answer's body breaks off")?.to_bytes();
            Ok::<_, anyhow::Error>((Response::from_parts(head, body), connection))
        };
        let (response, connection) = self.runtime.block_on(async {
            tokio::time::timeout(ANSWER_MAX, work).await.context("no answer within a minute")?
        })?;
        self.connection = Some(connection);
        Ok(response)
    }

    fn read(&self, response: Response<Bytes>) -> Result<Answer> {
        let (head, raw) = response.into_parts();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let mut answer = Answer {
            status: Some(head.status.as_u16()),
            headers,
            raw: Some(raw),
            ..Answer::default()
        };
        answer.body = body_of(&answer).with_context(|| format!("{answer:?}"))?;
        answer.fault = fault_of(&answer);
        Ok(answer)
    }
}

impl Client for Raw {
    fn name(&self) -> String {
        format!("raw/{:?}/{:?}", self.codec, self.version).to_lowercase()
    }

    fn family(&self) -> &'static str {
        "raw"
    }

    fn codec(&self) -> Codec {
        self.codec
    }

    fn call(&mut self, call: &Call) -> Result<Answer> {
        let body = match self.codec {
            Codec::Json => serde_json::to_vec(&call.params)?,
            Codec::Cbor => cbor::encode(&call.params, self.lengths),
        };
        let request = Request::post(format!("http://{}/", self.address))
            .header("content-type", self.content_type())
            .header("x-amz-target", format!("Kinesis_20131202.{}", call.operation));
        let request = sign(request, &call.account, &call.region);
        let response = self.send(request.body(Full::new(Bytes::from(body)))?)?;
        let mut answer = self.read(response)?;
        let echoed = answer.header("content-type").unwrap_or_default();
        let streams = call.operation == "SubscribeToShard" && answer.fault.is_none();
        let expected = if streams { event_stream::CONTENT_TYPE } else { self.content_type() };
        ensure!(echoed == expected, "content type {echoed} in the answer");
        for name in ["x-amzn-requestid", "x-amz-id-2"] {
            ensure!(answer.header(name).is_some_and(|id| id.len() > 30), "header {name} is short");
        }
        if streams {
            let frames = event_stream::frames(answer.raw.as_deref().unwrap_or_default())?;
            answer.body = event_stream::fold(&frames, |payload| match self.codec {
                Codec::Json => Ok(serde_json::from_slice(payload)?),
                Codec::Cbor => cbor::decode(payload),
            })?;
        }
        Ok(answer)
    }

    fn http(&mut self, step: &HttpStep, account: &str, region: &str) -> Result<Answer> {
        let uri = format!("http://{}{}", self.address, step.path);
        let mut request = Request::builder().method(step.method.as_str()).uri(uri);
        if let Some(content_type) = &step.content_type {
            request = request.header("content-type", content_type);
        }
        if let Some(operation) = &step.op {
            request = request.header("x-amz-target", format!("Kinesis_20131202.{operation}"));
        }
        if let Some(target) = &step.target {
            request = request.header("x-amz-target", target);
        }
        for (name, value) in &step.headers {
            request = request.header(name, value);
        }
        if step.auth {
            request = sign(request, account, region);
        }
        let response = self.send(request.body(Full::new(Bytes::from(bytes_of(&step.body)?)))?)?;
        self.read(response)
    }
}

impl Connection {
    async fn open(address: SocketAddr, version: Version) -> Result<Self> {
        let socket = TcpStream::connect(address).await.context("the server does not accept")?;
        socket.set_nodelay(true)?;
        let io = TokioIo::new(socket);
        Ok(match version {
            Version::Http1 => {
                let (sender, driver) = http1::handshake(io).await?;
                tokio::spawn(driver);
                Self::Http1(sender)
            }
            Version::Http2 => {
                let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(driver);
                Self::Http2(sender)
            }
        })
    }

    async fn usable(&mut self) -> bool {
        tokio::task::yield_now().await;
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    async fn request(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        Ok(match self {
            Self::Http1(sender) => {
                let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
                let (mut head, body) = request.into_parts();
                head.headers.entry("host").or_insert(host.parse()?);
                let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
                head.uri = path.parse()?;
                sender.send_request(Request::from_parts(head, body)).await?
            }
            Self::Http2(sender) => sender.send_request(request).await?,
        })
    }
}

/// Adds credentials in the form of SigV4. The signature is a made-up one: which account and region
/// a request speaks for is read from the scope.
fn sign(request: http::request::Builder, account: &str, region: &str) -> http::request::Builder {
    let stamp = "20260101T000000Z";
    let scope = format!("{account}/20260101/{region}/kinesis/aws4_request");
    let signature = "0".repeat(64);
    request.header("x-amz-date", stamp).header(
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={scope}, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={signature}"
        ),
    )
}

fn body_of(answer: &Answer) -> Result<Value> {
    let raw = answer.raw.as_deref().unwrap_or_default();
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    match answer.header("content-type").unwrap_or_default() {
        "application/x-amz-json-1.1" | "application/json" => {
            serde_json::from_slice(raw).context("the answer is not JSON")
        }
        "application/x-amz-cbor-1.1" => cbor::decode(raw).context("the answer is not CBOR"),
        _ => Ok(Value::Null),
    }
}

fn fault_of(answer: &Answer) -> Option<Fault> {
    if answer.status == Some(200) {
        return None;
    }
    let member = |names: &[&str]| {
        names.iter().find_map(|name| answer.body.get(name)?.as_str().map(str::to_owned))
    };
    let kind = member(&["__type"]).unwrap_or_default();
    let message =
        if kind == "SerializationException" { member(&["Message"]) } else { member(&["message"]) };
    Some(Fault { kind, message })
}

/// The bytes a body's description stands for.
///
/// # Errors
/// An unknown description.
pub fn bytes_of(body: &Value) -> Result<Vec<u8>> {
    let Value::Object(members) = body else {
        return Ok(match body {
            Value::Null => Vec::new(),
            other => scene::as_text(other).into_bytes(),
        });
    };
    let (name, argument) = members.iter().next().context("an empty description of a body")?;
    match (name.as_str(), argument) {
        ("$hex", Value::String(text)) => hex(text),
        ("$base64", Value::String(text)) => base64::decode(text).context("not base64"),
        ("$json", value) => Ok(serde_json::to_vec(value)?),
        ("$cbor", value) => Ok(cbor::encode(value, Lengths::Definite)),
        ("$fill", Value::Array(pair)) => {
            let (Some(times), Some(part)) = (pair.first().and_then(Value::as_u64), pair.get(1))
            else {
                bail!("$fill wants [count, part]")
            };
            Ok(bytes_of(part)?.repeat(usize::try_from(times)?))
        }
        ("$join", Value::Array(parts)) => {
            Ok(parts.iter().map(bytes_of).collect::<Result<Vec<_>>>()?.concat())
        }
        (other, _) => bail!("unknown description of a body: {other}"),
    }
}

fn hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| Ok(u8::from_str_radix(&pair.iter().collect::<String>(), 16)?))
        .collect()
}

//! Fan-out: consumers that are pushed what others put.
//!
//! Without a rate, as much as goes: puts alone at first, then the same puts with all consumers
//! subscribed, whose bytes are counted and hardly looked at. With a rate, single records that carry
//! the moment when their put was sent, and every consumer tells when it had them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::BytesMut;
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use millstream_api::kinesis::{
    DescribeStreamInput, RegisterStreamConsumerInput, ShardIteratorType, StartingPosition,
    SubscribeToShardEventStream, SubscribeToShardInput, ops,
};
use millstream_client::{Client, Codec, PayloadHash, Stream};
use millstream_env::Env;
use millstream_wire::events::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::http::{chunk_size, render};
use super::load::Span;
use super::record::Tally;

/// Most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of one read from a socket.
const READ_BYTES: usize = 256 << 10;
/// Stands once in every record, whatever the codec.
const IN_EACH_RECORD: &[u8] = b"ApproximateArrivalTimestamp";
/// How long after the last put its record may still come.
const STRAGGLER_MAX: Duration = Duration::from_secs(5);

/// One consumer's subscription to one shard, over a connection of its own.
pub struct Subscriber {
    stream: TokioIo<Stream>,
    codec: Codec,
    /// As received.
    raw: BytesMut,
    /// Without the chunks' frames.
    body: BytesMut,
}

/// Registers `count` consumers of a stream and subscribes each to its first shard, from now on.
///
/// # Errors
/// One can't be registered, or does not get an answer that goes on.
pub async fn subscribe(
    client: &Arc<Client>,
    stream: &str,
    count: u32,
) -> anyhow::Result<Vec<Subscriber>> {
    let named = DescribeStreamInput { stream_name: Some(stream.to_owned()), ..Default::default() };
    let described = client.send::<ops::DescribeStream>(&named).await?.stream_description;
    let shard = described.shards.first().context("the stream has no shard")?.shard_id.clone();
    let mut subscribers = Vec::new();
    for n in 0..count {
        let input = RegisterStreamConsumerInput {
            stream_arn: described.stream_arn.clone(),
            consumer_name: format!("bench-{n}"),
            ..Default::default()
        };
        let consumer = client.send::<ops::RegisterStreamConsumer>(&input).await?.consumer;
        let input = SubscribeToShardInput {
            consumer_arn: consumer.consumer_arn,
            shard_id: shard.clone(),
            starting_position: StartingPosition {
                r#type: ShardIteratorType::Latest,
                ..Default::default()
            },
            ..Default::default()
        };
        subscribers.push(Subscriber::open(client, &input).await?);
    }
    Ok(subscribers)
}

impl Subscriber {
    async fn open(client: &Client, input: &SubscribeToShardInput) -> anyhow::Result<Self> {
        let request = client.encode::<ops::SubscribeToShard>(input);
        let hash = PayloadHash::of(request.body());
        let (head, body) = client.prepare(request, &hash).await?.into_parts();
        let request = render(&http::Request::from_parts(head, &body[..]));
        let mut stream = TokioIo::new(client.connector()?.connect(client.endpoint()).await?);
        stream.write_all(&request).await?;
        let (raw, body) = (BytesMut::with_capacity(READ_BYTES), BytesMut::new());
        let mut subscriber = Subscriber { stream, codec: client.codec(), raw, body };
        subscriber.read_head().await?;
        Ok(subscriber)
    }

    async fn read_head(&mut self) -> anyhow::Result<()> {
        let end = loop {
            if let Some(at) = memchr::memmem::find(&self.raw, b"\r\n\r\n") {
                break at + 4;
            }
            if self.raw.len() > HEAD_BYTES_MAX || self.read().await? == 0 {
                bail!("the answer has no head");
            }
        };
        let head = self.raw.split_to(end);
        if !head.starts_with(b"HTTP/1.1 200") {
            bail!("not subscribed: {}", String::from_utf8_lossy(&self.raw));
        }
        Ok(())
    }

    async fn read(&mut self) -> std::io::Result<usize> {
        self.raw.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.raw).await
    }

    /// Counts records and bytes until the span is over.
    pub async fn count(mut self, span: Span) -> anyhow::Result<Tally> {
        let finder = Finder::new(IN_EACH_RECORD);
        let mut tally = Tally::new();
        while let Ok(read) = timeout_at(span.end, self.read()).await {
            let read = read?;
            if read == 0 {
                bail!("a subscription ended early");
            }
            let found = finder.find_iter(&self.raw).count() as u64;
            if Instant::now() >= span.measure {
                tally.records += found;
                tally.answer_bytes += read as u64;
            }
            // What may be the beginning of the next one stays.
            let kept = self.raw.len().min(IN_EACH_RECORD.len() - 1);
            let _ = self.raw.split_to(self.raw.len() - kept);
        }
        Ok(tally)
    }

    /// Times records until `expected` are there.
    pub async fn time(mut self, span: Span, expected: u64) -> anyhow::Result<Tally> {
        let mut tally = Tally::new();
        while tally.records < expected {
            let Ok(read) = timeout_at(span.end + STRAGGLER_MAX, self.read()).await else { break };
            if read? == 0 {
                bail!("a subscription ended early");
            }
            let now = Instant::now();
            while self.take_chunk()? {}
            while let Some(frame) = Frame::take(&mut self.body)? {
                self.note(&frame, &span, now, &mut tally)?;
            }
        }
        tally.records_failed = expected.saturating_sub(tally.records);
        tally.error("NotSeenInTime", tally.records_failed);
        Ok(tally)
    }

    fn note(
        &self,
        frame: &Frame,
        span: &Span,
        now: Instant,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) =
            frame.event(self.codec)?
        else {
            return Ok(());
        };
        for record in &event.records {
            let Some(nanos) = record.data.first_chunk::<8>() else { continue };
            let put = span.start + Duration::from_nanos(u64::from_le_bytes(*nanos));
            if put >= span.measure {
                tally.records += 1;
                tally.latency(now.saturating_duration_since(put));
            }
        }
        Ok(())
    }

    /// Moves one whole chunk over, if it is there.
    fn take_chunk(&mut self) -> anyhow::Result<bool> {
        let Some(line) = memchr::memmem::find(&self.raw, b"\r\n") else { return Ok(false) };
        let length = chunk_size(&self.raw[..line])?;
        if self.raw.len() < line + 2 + length + 2 {
            return Ok(false);
        }
        let _ = self.raw.split_to(line + 2);
        self.body.extend_from_slice(&self.raw.split_to(length));
        let _ = self.raw.split_to(2);
        Ok(length > 0)
    }
}

/// Runs `work` of all subscribers and adds up what they measured.
///
/// # Errors
/// One of them could not go on.
pub async fn all<F, W>(env: &Env, subscribers: Vec<Subscriber>, work: W) -> anyhow::Result<Tally>
where
    W: Fn(Subscriber) -> F,
    F: Future<Output = anyhow::Result<Tally>> + Send + 'static,
{
    let mut results = Vec::new();
    for subscriber in subscribers {
        let (tx, rx) = tokio::sync::oneshot::channel();
        let work = work(subscriber);
        env.spawn("bench-subscriber", async move {
            let _ = tx.send(work.await);
        });
        results.push(rx);
    }
    let mut tally = Tally::new();
    for result in results {
        tally.add(&result.await.context("a subscriber's task ended early")??);
    }
    Ok(tally)
}

/// What fan-out did beside the records that consumers had.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Figures {
    pub consumers: u32,
    /// Bytes of records' data per second that all consumers together had.
    pub payload_bytes_per_second: f64,
    /// Records put per second, without consumers and with all of them; none with a rate.
    pub puts_alone_per_second: Option<f64>,
    pub puts_per_second: Option<f64>,
}

impl Figures {
    /// What share of their lone rate puts keep.
    pub fn puts_kept(&self) -> Option<f64> {
        Some(self.puts_per_second? / self.puts_alone_per_second?)
    }
}

//! What one connection sends, and what it reads from the answers.
//!
//! Writers rotate through requests that were written, hashed and signed before; signatures are made
//! anew in the background. Readers walk through a shard and sign each of their small requests.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use millstream_api::kinesis::{
    GetRecordsInput, GetShardIteratorInput, PutRecordsOutput, ShardIteratorType, ops,
};
use millstream_client::{Client, Codec, PayloadHash, ServiceError};
use parking_lot::RwLock;

use super::http::render;
use super::record::Tally;
use super::scan::Member;

/// Signatures are made anew this often; they are good for five minutes.
pub const SIGNATURE_AGE_MAX: Duration = Duration::from_secs(60);

pub enum Script {
    Write(Box<Writer>),
    Read(Box<Reader>),
}

impl Script {
    /// The next request, head and body.
    ///
    /// # Errors
    /// A shard can't be read from its start, or credentials have expired.
    pub async fn next(&mut self, client: &Client) -> anyhow::Result<Bytes> {
        match self {
            Script::Write(writer) => Ok(writer.next()),
            Script::Read(reader) => reader.next(client).await,
        }
    }

    /// Counts an answer into `tally`; says how many records went well.
    pub fn absorb(&mut self, status: u16, body: &[u8], tally: &mut Tally) -> u64 {
        tally.answer_bytes += body.len() as u64;
        let records = match (status, &mut *self) {
            (200, Script::Write(writer)) => writer.absorb(body, tally),
            (200, Script::Read(reader)) => reader.absorb(body),
            (status, script) => {
                let body = Bytes::copy_from_slice(body);
                let error = ServiceError::read(script.codec(), status, None, &body);
                tally.requests_failed += 1;
                tally.error(&error.code, 1);
                tally.records_failed += script.refused(&error.code);
                0
            }
        };
        tally.records += records;
        records
    }

    fn codec(&self) -> Codec {
        match self {
            Script::Write(writer) => writer.requests.codec,
            Script::Read(reader) => reader.codec,
        }
    }

    /// A request was refused; how many records with it.
    fn refused(&mut self, code: &str) -> u64 {
        match self {
            Script::Write(writer) => writer.requests.records,
            Script::Read(reader) => {
                if code == "ExpiredIteratorException" {
                    reader.iterator = None;
                }
                reader.pause = Some(REFUSED_PAUSE);
                0
            }
        }
    }
}

/// A reader that was refused waits for so long: AWS gives a shard five reads in a second.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// Requests that are ready to be sent, again and again.
pub struct Requests {
    unsigned: Vec<(http::Request<Bytes>, PayloadHash)>,
    signed: RwLock<Vec<Bytes>>,
    /// Records of each request.
    records: u64,
    codec: Codec,
    /// Whether answers tell how many records failed.
    batches: bool,
}

impl Requests {
    /// Hashes and signs `requests` of `records` records each.
    ///
    /// # Errors
    /// As [`Client::prepare`].
    pub async fn new(
        client: &Client,
        requests: Vec<http::Request<Bytes>>,
        records: u64,
        batches: bool,
    ) -> anyhow::Result<Arc<Self>> {
        let unsigned =
            requests.into_iter().map(|r| (r.clone(), PayloadHash::of(r.body()))).collect();
        let made = Requests {
            unsigned,
            signed: RwLock::default(),
            records,
            codec: client.codec(),
            batches,
        };
        made.sign(client).await?;
        Ok(Arc::new(made))
    }

    /// Makes all signatures anew; one request at a time, so that the load goes on.
    ///
    /// # Errors
    /// As [`Client::prepare`].
    pub async fn sign(&self, client: &Client) -> anyhow::Result<()> {
        for (index, (request, hash)) in self.unsigned.iter().enumerate() {
            let prepared = client.prepare(request.clone(), hash).await?;
            let (head, body) = prepared.into_parts();
            let whole = Bytes::from(render(&http::Request::from_parts(head, &body[..])));
            let mut signed = self.signed.write();
            match signed.get_mut(index) {
                Some(old) => *old = whole,
                None => signed.push(whole),
            }
        }
        Ok(())
    }
}

/// Sends one of the prepared requests after the other.
pub struct Writer {
    requests: Arc<Requests>,
    at: usize,
    failed: Member,
}

impl Writer {
    /// Starts at request `at`, so that connections send different ones.
    pub fn new(requests: Arc<Requests>, at: usize) -> Self {
        let failed = Member::new("FailedRecordCount", requests.codec.is_cbor());
        Writer { requests, at, failed }
    }

    fn next(&mut self) -> Bytes {
        let signed = self.requests.signed.read();
        self.at = (self.at + 1) % signed.len();
        signed[self.at].clone()
    }

    fn absorb(&mut self, body: &[u8], tally: &mut Tally) -> u64 {
        if !self.requests.batches {
            return 1;
        }
        let Some(failed) = self.failed.number(body) else {
            tally.requests_failed += 1;
            tally.error("NoFailedRecordCount", 1);
            return 0;
        };
        if failed > 0 {
            tally.records_failed += failed;
            count_codes(self.requests.codec, body, tally);
        }
        self.requests.records.saturating_sub(failed)
    }
}

fn count_codes(codec: Codec, body: &[u8], tally: &mut Tally) {
    match codec.decode::<PutRecordsOutput>(&Bytes::copy_from_slice(body)) {
        Ok((output, _)) => {
            for code in output.records.iter().filter_map(|r| r.error_code.as_ref()) {
                tally.error(code, 1);
            }
        }
        Err(_) => tally.error("UnreadableAnswer", 1),
    }
}

/// Reads one shard from its start to its tip, and again.
pub struct Reader {
    stream: String,
    shard_id: String,
    limit: i32,
    codec: Codec,
    iterator: Option<String>,
    pause: Option<Duration>,
    next: Member,
    behind: Member,
    sequence: Member,
}

impl Reader {
    pub fn new(codec: Codec, stream: String, shard_id: String, limit: i32) -> Self {
        let member = |name| Member::new(name, codec.is_cbor());
        Reader {
            stream,
            shard_id,
            limit,
            codec,
            iterator: None,
            pause: None,
            next: member("NextShardIterator"),
            behind: member("MillisBehindLatest"),
            sequence: member("SequenceNumber"),
        }
    }

    async fn next(&mut self, client: &Client) -> anyhow::Result<Bytes> {
        if let Some(pause) = self.pause.take() {
            tokio::time::sleep(pause).await;
        }
        let iterator = match &self.iterator {
            Some(iterator) => iterator.clone(),
            None => self.start(client).await?,
        };
        let input = GetRecordsInput {
            shard_iterator: iterator.clone(),
            limit: Some(self.limit),
            ..GetRecordsInput::default()
        };
        self.iterator = Some(iterator);
        let request = client.encode::<ops::GetRecords>(&input);
        let hash = PayloadHash::of(request.body());
        let (head, body) = client.prepare(request, &hash).await?.into_parts();
        Ok(render(&http::Request::from_parts(head, &body[..])).into())
    }

    async fn start(&self, client: &Client) -> anyhow::Result<String> {
        let input = GetShardIteratorInput {
            stream_name: Some(self.stream.clone()),
            shard_id: self.shard_id.clone(),
            shard_iterator_type: ShardIteratorType::TrimHorizon,
            ..GetShardIteratorInput::default()
        };
        let output =
            client.send::<ops::GetShardIterator>(&input).await.context("GetShardIterator")?;
        output.shard_iterator.ok_or_else(|| anyhow!("GetShardIterator gave no iterator"))
    }

    fn absorb(&mut self, body: &[u8]) -> u64 {
        let at_tip = self.behind.number(body) == Some(0);
        self.iterator = match self.next.text(body) {
            Some(next) if !at_tip => Some(next.to_owned()),
            _ => None,
        };
        self.sequence.count(body)
    }
}

//! Shard iterators and list tokens: opaque, authenticated, bound to what they were given for.
//!
//! A token is base64 of: a version (8 bytes, `00…01`), a nonce (12), and sealed with AES-256-GCM
//! what it says (16 bytes more for the tag). The key is made at random when a data directory (or
//! cluster) is first used and kept in the metadata store, so every node and every later process
//! reads the tokens of the others. The kind of token is authenticated with it: an iterator is no
//! list token.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use millstream_base::{AccountId, Region, Scope, ShardId, StreamArn, StreamName, Timestamp};
use millstream_env::Env;
use millstream_log::Position;
use millstream_meta::{Document, Expect, Key, MetaError, MetaStore};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::ShardFilter;

const VERSION: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Where a shard is to be read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IteratorToken {
    pub(crate) issued: Timestamp,
    pub(crate) stream: StreamArn,
    pub(crate) family: u32,
    pub(crate) shard: ShardId,
    pub(crate) position: Position,
}

/// Where ListShards goes on, with all that its first call was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardsToken {
    pub(crate) issued: Timestamp,
    pub(crate) stream: StreamArn,
    pub(crate) family: u32,
    pub(crate) filter: ShardFilter,
    pub(crate) after: ShardId,
}

/// Where ListStreams goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamsToken {
    pub(crate) issued: Timestamp,
    pub(crate) scope: Scope,
    pub(crate) after: StreamName,
}

/// Where ListStreamConsumers goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumersToken {
    pub(crate) issued: Timestamp,
    pub(crate) stream: StreamArn,
    pub(crate) family: u32,
    pub(crate) after: StreamName,
}

/// What a token says, and how it is written.
pub(crate) trait Token: Sized {
    /// Authenticated with the token: one kind is not taken for another.
    const KIND: &'static [u8];
    fn write(&self, out: &mut Vec<u8>);
    fn read(from: &mut Reader<'_>) -> Option<Self>;
}

/// The key that seals all tokens of a data directory.
pub(crate) struct TokenKey(LessSafeKey);

impl TokenKey {
    fn new(bytes: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes make an AES-256 key");
        TokenKey(LessSafeKey::new(key))
    }

    pub(crate) fn seal<T: Token>(&self, token: &T, nonce: [u8; NONCE_BYTES]) -> String {
        let mut said = Vec::with_capacity(256);
        token.write(&mut said);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(T::KIND),
                &mut said,
            )
            .expect("a token is short enough to seal");
        let whole = [&VERSION[..], &nonce, &said, tag.as_ref()].concat();
        base64_simd::STANDARD.encode_to_string(whole)
    }

    pub(crate) fn open<T: Token>(&self, text: &str) -> Option<T> {
        let whole = base64_simd::STANDARD.decode_to_vec(text).ok()?;
        // Base64 can spell the same bytes in other ways: only ours is taken.
        if base64_simd::STANDARD.encode_to_string(&whole) != text {
            return None;
        }
        let rest = whole.strip_prefix(&VERSION)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        if sealed.len() < TAG_BYTES {
            return None;
        }
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let said = self.0.open_in_place(nonce, Aad::from(T::KIND), &mut sealed).ok()?;
        let mut reader = Reader(said);
        let token = T::read(&mut reader)?;
        reader.0.is_empty().then_some(token)
    }
}

/// Reads the key, or makes it.
pub(crate) async fn load_key(env: &Env, meta: &dyn MetaStore) -> Result<TokenKey> {
    let key = Key::new("secret/token-key");
    loop {
        if let Some(row) = meta.get(&key).await? {
            let secret = Secret::decode(&row.key, &row.value).map_err(MetaError::from)?;
            return Ok(TokenKey::new(&secret.key));
        }
        let secret = Secret { key: env.random_bytes() };
        match meta.put(key.clone(), secret.encode(), Expect::Absent).await {
            Ok(_) | Err(MetaError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Secret {
    key: [u8; 32],
}

impl Document for Secret {
    const KIND: &'static str = "key of tokens";
    const VERSION: u32 = 1;
}

impl Token for IteratorToken {
    const KIND: &'static [u8] = b"iterator";

    fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.issued.as_millis());
        put_stream(out, &self.stream);
        put_u32(out, self.family);
        put_u32(out, self.shard.number());
        put_u64(out, self.position.lsn);
        put_u32(out, self.position.index);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(IteratorToken {
            issued: Timestamp::from_millis(from.u64()?),
            stream: from.stream()?,
            family: from.u32()?,
            shard: from.shard()?,
            position: Position::new(from.u64()?, from.u32()?),
        })
    }
}

impl Token for ShardsToken {
    const KIND: &'static [u8] = b"shards";

    fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.issued.as_millis());
        put_stream(out, &self.stream);
        put_u32(out, self.family);
        let (kind, value) = match self.filter {
            ShardFilter::AfterShardId(shard) => (0, shard.number().into()),
            ShardFilter::AtTrimHorizon => (1, 0),
            ShardFilter::FromTrimHorizon => (2, 0),
            ShardFilter::AtLatest => (3, 0),
            ShardFilter::AtTimestamp(t) => (4, t.as_millis()),
            ShardFilter::FromTimestamp(t) => (5, t.as_millis()),
        };
        out.push(kind);
        put_u64(out, value);
        put_u32(out, self.after.number());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (issued, stream, family) = (from.u64()?, from.stream()?, from.u32()?);
        let (kind, value) = (from.u8()?, from.u64()?);
        let filter = match kind {
            0 => ShardFilter::AfterShardId(shard(value.try_into().ok()?)?),
            1 => ShardFilter::AtTrimHorizon,
            2 => ShardFilter::FromTrimHorizon,
            3 => ShardFilter::AtLatest,
            4 => ShardFilter::AtTimestamp(Timestamp::from_millis(value)),
            5 => ShardFilter::FromTimestamp(Timestamp::from_millis(value)),
            _ => return None,
        };
        let issued = Timestamp::from_millis(issued);
        Some(ShardsToken { issued, stream, family, filter, after: from.shard()? })
    }
}

impl Token for StreamsToken {
    const KIND: &'static [u8] = b"streams";

    fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.issued.as_millis());
        put_stream(out, &StreamArn::new(self.scope.clone(), self.after.clone()));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let issued = Timestamp::from_millis(from.u64()?);
        let last = from.stream()?;
        Some(StreamsToken { issued, scope: last.scope().clone(), after: last.name().clone() })
    }
}

impl Token for ConsumersToken {
    const KIND: &'static [u8] = b"consumers";

    fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.issued.as_millis());
        put_stream(out, &self.stream);
        put_u32(out, self.family);
        out.push(self.after.as_str().len() as u8); // at most 128 bytes long
        out.extend_from_slice(self.after.as_str().as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let issued = Timestamp::from_millis(from.u64()?);
        let (stream, family) = (from.stream()?, from.u32()?);
        let after = StreamName::new(from.text()?).ok()?;
        Some(ConsumersToken { issued, stream, family, after })
    }
}

pub(crate) fn put_u32(out: &mut Vec<u8>, n: u32) {
    out.extend_from_slice(&n.to_be_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_be_bytes());
}

pub(crate) fn put_stream(out: &mut Vec<u8>, stream: &StreamArn) {
    out.extend_from_slice(stream.account().as_str().as_bytes());
    for text in [stream.region().as_str(), stream.name().as_str()] {
        out.push(text.len() as u8); // both are at most 128 bytes long
        out.extend_from_slice(text.as_bytes());
    }
}

/// What is left to read.
pub(crate) struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
    pub(crate) fn shard(&mut self) -> Option<ShardId> {
        shard(self.u32()?)
    }
    pub(crate) fn text(&mut self) -> Option<&str> {
        let len = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
    pub(crate) fn stream(&mut self) -> Option<StreamArn> {
        let account = AccountId::new(std::str::from_utf8(&self.take::<12>()?).ok()?).ok()?;
        let region = Region::new(self.text()?).ok()?;
        let name = StreamName::new(self.text()?).ok()?;
        Some(StreamArn::new(Scope::new(account, region), name))
    }
}

fn shard(number: u32) -> Option<ShardId> {
    (number <= ShardId::NUMBER_MAX).then(|| ShardId::new(number))
}

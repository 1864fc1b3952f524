//! Data keys: what records are sealed with, each wrapped under a key of the key ring.
//!
//! ```text
//!  key ring:  KMS key  --wraps-->  row data-key/FAMILY/NUMBER  --unwrapped for minutes-->  here
//!                                       ^
//!  stream's row: its current data key --'        chunks in the log name theirs by number
//! ```
//!
//! A key is given to nobody whose KMS key is not usable at that moment: the ring is asked each time,
//! which costs it no call. The log store asks here for every chunk that it opens.
//!
//! Invariant: a data key's row is durable before anything is sealed with it, and is there for as
//! long as a record that was.
//! Invariant: a data key lies unwrapped in memory for [`CACHE_LIFE`] at most, and is dropped within
//! a sweep when its KMS key can't be used any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_base::{StreamArn, Timestamp};
use millstream_env::Env;
use millstream_log::{
    CHUNKS_PER_KEY_MAX, ChunkKey, ChunkKeys, Entries, KeyNumber, LogId, LogStore, Position,
    ReadError, ReadLimit,
};
use millstream_meta::{Document, Expect, Key, MetaError, MetaStore};
use millstream_secrets::{DataKey, EncryptionContext, KeyRef, KeyRing, Secret};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::error::{Error, Result};

/// How long an unwrapped data key is used before the ring is asked again.
///
/// Source: "Amazon Kinesis Data Streams calls AWS KMS approximately every five minutes when it is
/// rotating the data key" (Developer Guide, Data protection, pricing of server-side encryption).
pub(crate) const CACHE_LIFE: Duration = Duration::from_secs(300);
/// Unwrapped data keys in memory at once.
const KNOWN_MAX: usize = 10_000;
/// Chunks sealed under one data key by one process, before it is replaced: far below
/// [`CHUNKS_PER_KEY_MAX`], so that processes which do not know of each other stay below it.
const CHUNKS_MAX: u64 = CHUNKS_PER_KEY_MAX >> 4;
/// Data keys of different streams are fetched and made side by side, those of one stream are not.
const TURNS: usize = 32;
/// How often a read fetches keys: what it finds first needs one.
const UNLOCKS_MAX: usize = 5;
/// How long a data key that is due and could not be replaced is used before the ring is asked for
/// another one: a ring that does not answer holds up one put a minute.
pub(crate) const REPLACE_RETRY: Duration = Duration::from_secs(60);
/// What the rows' keys begin with.
const PREFIX: &str = "data-key/";
/// Data keys that one look at a stream's asks for.
const SCAN_PAGE: usize = 100;
/// How much longer a data key is kept than the records that it sealed should be: clocks may have
/// been wrong when they came, and a key that is gone takes records along.
const KEPT_MARGIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// A stream's current data key, as the stream's row names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CurrentKey {
    number: u64,
    /// The KMS key that it is wrapped under.
    pub(crate) under: String,
    pub(crate) created: Timestamp,
}

impl CurrentKey {
    pub(crate) fn number(&self) -> KeyNumber {
        KeyNumber::from_u64(self.number)
    }
}

/// A data key as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct DataKeyRow {
    /// The stream's ARN, which is the encryption context as on AWS.
    stream: String,
    under: String,
    /// In base64.
    wrapped: String,
    created: Timestamp,
}

impl Document for DataKeyRow {
    const KIND: &'static str = "data key";
    const VERSION: u32 = 1;
}

fn prefix_of(family: u32) -> String {
    format!("{PREFIX}{family:08x}/")
}
fn key_of(family: u32, number: KeyNumber) -> Key {
    Key::new(format!("{}{number}", prefix_of(family)))
}
fn context_of(stream: &str) -> EncryptionContext {
    EncryptionContext::from([("aws:kinesis:arn".to_owned(), stream.to_owned())])
}

/// A key for new records.
#[derive(Clone)]
pub(crate) struct Sealing {
    pub(crate) key: Arc<ChunkKey>,
    chunks: Arc<AtomicU64>,
}

impl Sealing {
    /// Notes that so many chunks are sealed with it.
    pub(crate) fn use_for(&self, chunks: usize) {
        self.chunks.fetch_add(chunks as u64, Ordering::Relaxed);
    }
    pub(crate) fn is_used_up(&self) -> bool {
        self.chunks.load(Ordering::Relaxed) >= CHUNKS_MAX
    }
}

/// The data keys that this process has unwrapped, and the way to the others.
pub(crate) struct DataKeys {
    env: Env,
    meta: Arc<dyn MetaStore>,
    pub(crate) ring: Arc<dyn KeyRing>,
    cache_life: Duration,
    known: RwLock<BTreeMap<KeyNumber, Known>>,
    /// Data keys that are not to be replaced before.
    postponed: RwLock<BTreeMap<KeyNumber, Instant>>,
    turns: [Mutex<()>; TURNS],
}

struct Known {
    /// Absent when its time was over; the count goes on.
    key: Option<Arc<ChunkKey>>,
    chunks: Arc<AtomicU64>,
    under: KeyRef,
    until: Instant,
}

impl DataKeys {
    pub(crate) fn new(
        env: Env,
        meta: Arc<dyn MetaStore>,
        ring: Arc<dyn KeyRing>,
        cache_life: Duration,
    ) -> Self {
        let turns = std::array::from_fn(|_| Mutex::default());
        let (known, postponed) = (RwLock::default(), RwLock::default());
        DataKeys { env, meta, ring, cache_life, known, postponed, turns }
    }

    /// A data key that is unwrapped and may be used now.
    pub(crate) fn at_hand(&self, number: KeyNumber) -> Option<Sealing> {
        let known = self.known.read();
        let found = known.get(&number).filter(|k| Instant::now() < k.until)?;
        let key = found.key.clone()?;
        self.ring.usable(&found.under).ok()?;
        Some(Sealing { key, chunks: found.chunks.clone() })
    }

    pub(crate) fn is_at_hand(&self, number: KeyNumber) -> bool {
        self.at_hand(number).is_some()
    }

    /// A data key is due and could not be replaced: it is used for a while longer.
    pub(crate) fn postpone(&self, number: KeyNumber) {
        self.postponed.write().insert(number, Instant::now() + REPLACE_RETRY);
    }

    pub(crate) fn is_postponed(&self, number: KeyNumber) -> bool {
        self.postponed.read().get(&number).is_some_and(|until| Instant::now() < *until)
    }

    /// Who fetches or makes keys of a stream holds this meanwhile: a thousand callers who miss the
    /// same key cost the ring one call.
    pub(crate) async fn turn(&self, family: u32) -> MutexGuard<'_, ()> {
        self.turns[family as usize % TURNS].lock().await
    }

    /// Unwraps a data key, if it is not at hand.
    ///
    /// # Errors
    /// [`Error::Key`]: why it can't be used now; [`Error::Corrupt`]: it is not stored (any more).
    pub(crate) async fn unlock(&self, family: u32, number: KeyNumber) -> Result<Sealing> {
        let _turn = self.turn(family).await;
        self.unlock_in_turn(family, number).await
    }

    /// As [`DataKeys::unlock`], for who has the turn.
    pub(crate) async fn unlock_in_turn(&self, family: u32, number: KeyNumber) -> Result<Sealing> {
        if let Some(sealing) = self.at_hand(number) {
            return Ok(sealing);
        }
        let key = key_of(family, number);
        let row = self.meta.get(&key).await?.ok_or_else(|| Error::Corrupt {
            reason: format!("records are sealed with data key {number}, which is not stored"),
        })?;
        let row = DataKeyRow::decode(&row.key, &row.value).map_err(MetaError::from)?;
        let under = KeyRef::new(row.under);
        self.ring.usable(&under)?;
        let wrapped = base64_simd::STANDARD.decode_to_vec(&row.wrapped);
        let wrapped = wrapped.map_err(|_| not_a_key(number))?;
        let context = context_of(&row.stream);
        let plain = self.ring.unwrap_data_key(&under, &wrapped, &context).await?;
        self.take_in(number, under, &plain)
    }

    /// Makes a data key under `under` and stores it.
    pub(crate) async fn make(
        &self,
        stream: &StreamArn,
        family: u32,
        under: KeyRef,
    ) -> Result<CurrentKey> {
        let (arn, created) = (stream.to_string(), self.env.now());
        let made = self.ring.generate_data_key(&under, &context_of(&arn)).await?;
        let row = DataKeyRow {
            stream: arn,
            under: under.to_string(),
            wrapped: base64_simd::STANDARD.encode_to_string(&made.wrapped),
            created,
        };
        loop {
            let number = KeyNumber::from_u64(self.env.random_u64());
            match self.meta.put(key_of(family, number), row.encode(), Expect::Absent).await {
                Ok(_) => {
                    self.take_in(number, under.clone(), &made.plaintext)?;
                    let (number, under) = (number.as_u64(), row.under);
                    return Ok(CurrentKey { number, under, created });
                }
                Err(MetaError::Conflict { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn take_in(&self, number: KeyNumber, under: KeyRef, plain: &Secret) -> Result<Sealing> {
        let key = DataKey::from_slice(plain.expose()).ok_or_else(|| not_a_key(number))?;
        let key = Arc::new(ChunkKey::new(number, key));
        let mut known = self.known.write();
        let chunks = known.get(&number).map(|k| k.chunks.clone()).unwrap_or_default();
        let until = Instant::now() + self.cache_life;
        let sealing = Sealing { key: key.clone(), chunks: chunks.clone() };
        known.insert(number, Known { key: Some(key), chunks, under, until });
        while known.len() > KNOWN_MAX
            && let Some(oldest) = known.iter().min_by_key(|(_, k)| k.until).map(|(n, _)| *n)
        {
            known.remove(&oldest);
        }
        Ok(sealing)
    }

    /// Drops the keys whose time is over or whose KMS key can't be used.
    pub(crate) fn drop_unusable(&self) {
        let now = Instant::now();
        self.postponed.write().retain(|_, until| now < *until);
        for known in self.known.write().values_mut() {
            if now >= known.until || self.ring.usable(&known.under).is_err() {
                known.key = None;
            }
        }
    }

    /// Removes the rows of a stream's data keys: all records are gone.
    pub(crate) async fn remove_all(&self, family: u32) -> Result<()> {
        for (key, _) in self.rows(family).await? {
            self.meta.delete(key, Expect::Anything).await?;
        }
        Ok(())
    }

    /// Removes the data keys of a stream that were replaced so long before `horizon` that no record
    /// needs them.
    pub(crate) async fn remove_expired(
        &self,
        family: u32,
        current: &CurrentKey,
        horizon: Timestamp,
    ) -> Result<()> {
        let mut rows = self.rows(family).await?;
        rows.sort_by_key(|(_, row)| row.created);
        let kept_from = horizon.minus(KEPT_MARGIN);
        for pair in rows.windows(2) {
            let ((key, _), (_, next)) = (&pair[0], &pair[1]);
            if next.created < kept_from && *key != key_of(family, current.number()) {
                self.meta.delete(key.clone(), Expect::Anything).await?;
            }
        }
        Ok(())
    }

    async fn rows(&self, family: u32) -> Result<Vec<(Key, DataKeyRow)>> {
        let (prefix, mut rows) = (prefix_of(family), Vec::new());
        let mut after: Option<Key> = None;
        loop {
            let page = self.meta.scan(&prefix, after.as_ref(), SCAN_PAGE).await?;
            let Some(last) = page.last() else { return Ok(rows) };
            after = Some(last.key.clone());
            for row in page {
                let decoded = DataKeyRow::decode(&row.key, &row.value).map_err(MetaError::from)?;
                rows.push((row.key, decoded));
            }
        }
    }
}

fn not_a_key(number: KeyNumber) -> Error {
    Error::Corrupt { reason: format!("data key {number} is no AES-256 key") }
}

impl ChunkKeys for DataKeys {
    fn get(&self, key: KeyNumber) -> Option<ChunkKey> {
        self.at_hand(key).map(|sealing| (*sealing.key).clone())
    }
}

/// The log with the keys of what is sealed in it.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) log: Arc<dyn LogStore>,
    pub(crate) keys: Arc<DataKeys>,
}

/// Why records can't be read.
#[derive(Clone, Debug)]
pub(crate) enum ReadFailure {
    Log(ReadError),
    /// Their key can't be had.
    Key(Error),
}

impl From<ReadFailure> for Error {
    fn from(failure: ReadFailure) -> Self {
        match failure {
            ReadFailure::Log(error) => error.into(),
            ReadFailure::Key(error) => error,
        }
    }
}

impl Records {
    pub(crate) fn new(log: &Arc<dyn LogStore>, keys: Arc<DataKeys>) -> Self {
        Records { log: log.with_keys(keys.clone()), keys }
    }

    /// As [`LogStore::read`]; keys that are missing are fetched.
    pub(crate) async fn read(
        &self,
        log: LogId,
        from: Position,
        limit: ReadLimit,
    ) -> Result<Entries, ReadFailure> {
        for _ in 0..UNLOCKS_MAX {
            match self.log.read(log, from, limit).await {
                Err(ReadError::Locked { log, key }) => {
                    self.keys.unlock(log.family(), key).await.map_err(ReadFailure::Key)?;
                }
                read => return read.map_err(ReadFailure::Log),
            }
        }
        let reason = format!("a data key of log {log} comes and goes");
        Err(ReadFailure::Key(Error::Unavailable { reason }))
    }
}

//! PutRecord and PutRecords: from partition keys to positions in logs.
//!
//! ```text
//!  records    a  b  c  d  e          hash -> open shard
//!  shard 0    a     c                one batch per shard, records in request order
//!  shard 3       b     d  e
//!  results    a  b  c  d  e          each record remembers its batch and its place in it
//! ```
//!
//! A record is an entry: key = partition key, value = data, [`HAS_PARTITION_KEY`] and [`ENCRYPTED`]
//! in the attributes. All batches of a request go to the log in one call; what landed in a shard that
//! was just closed is routed anew.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use millstream_base::limits::{PUT_RECORDS_BYTES_MAX, PUT_RECORDS_COUNT_MAX};
use millstream_base::{
    HashKey, HashKeyError, SequenceNumber, SequenceNumberError, ShardId, StreamArn, Timestamp,
};
use millstream_log::{AppendError, Batch, LogId, NewEntry, PositionRange};
use tokio::time::Instant;

use crate::cache::Snapshot;
use crate::data_keys::Sealing;
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{Encryption, NewRecord, PutOutcome, PutResult, RecordDistribution, Stored};
use crate::quotas::{QuotaMode, Quotas};

/// Attribute of an entry whose record came with a partition key. All other bits are 0 and mean
/// something a reader of today must not overlook.
pub(crate) const HAS_PARTITION_KEY: u32 = 1;
/// Attribute of an entry whose record came while its stream was encrypted.
pub(crate) const ENCRYPTED: u32 = 2;

/// How often records are routed anew because their shard was closed meanwhile.
const REROUTES_MAX: usize = 100;
/// How long one of these waits for news of the shard map.
const REROUTE_WAIT: Duration = Duration::from_millis(50);

impl Streams {
    /// Stores one record, durably.
    ///
    /// `number_for_ordering`: a sequence number after which the record is to stand. Any that was
    /// given out does, since numbers of a shard rise with every acknowledged put.
    ///
    /// # Errors
    /// Those of the request, [`Error::Throttled`], and [`Error::Unavailable`] if the record could
    /// not be stored now.
    pub async fn put_record(
        &self,
        stream: &StreamArn,
        record: NewRecord<'_>,
        number_for_ordering: Option<&str>,
    ) -> Result<(Stored, Encryption)> {
        let found = self.find_serving(stream).await?;
        let (started, stats) = (Instant::now(), found.stats.clone());
        let bytes = weight(&record) as u64;
        let put = self.put_one(found, record, number_for_ordering).await;
        stats.put_record.done(started, put.is_ok().then_some(bytes));
        put
    }

    async fn put_one(
        &self,
        found: std::sync::Arc<Snapshot>,
        record: NewRecord<'_>,
        number_for_ordering: Option<&str>,
    ) -> Result<(Stored, Encryption)> {
        self.check_record(&found, &record, number_for_ordering)?;
        let stream = found.stream.clone();
        let encryption = found.row.encryption.clone();
        let (mut results, _) = self.store(found, std::slice::from_ref(&record)).await?;
        match results.pop().expect("one record, one result") {
            PutResult::Stored(stored) => Ok((stored, encryption)),
            PutResult::Throttled { shard } => Err(Error::Throttled { stream, shard }),
            PutResult::Failed { reason } => Err(Error::Unavailable { reason }),
        }
    }

    /// Stores up to 500 records, durably; each is stored or not by itself.
    ///
    /// # Errors
    /// A malformed record fails the whole request. What the node can't do now fails records.
    pub async fn put_records(
        &self,
        stream: &StreamArn,
        records: Vec<NewRecord<'_>>,
    ) -> Result<PutOutcome> {
        let found = self.find_serving(stream).await?;
        let (started, stats) = (Instant::now(), found.stats.clone());
        let put = self.put_many(found, &records).await;
        match &put {
            Ok((outcome, stored)) => {
                let throttled = throttled(&outcome.results, outcome.failed_count);
                let failed = outcome.failed_count as u64 - throttled;
                stats.put_records.done(started, (stored.records > 0).then_some(stored.bytes));
                stats.put_records_total.observe(records.len() as u64);
                stats.put_records_successful.observe(stored.records);
                stats.put_records_failed.observe(failed);
                stats.put_records_throttled.observe(throttled);
            }
            Err(_) => stats.put_records.done(started, None),
        }
        put.map(|(outcome, _)| outcome)
    }

    async fn put_many(
        &self,
        found: std::sync::Arc<Snapshot>,
        records: &[NewRecord<'_>],
    ) -> Result<(PutOutcome, StoredCount)> {
        check_records(&found, records)?;
        let encryption = found.row.encryption.clone();
        let (results, stored) = self.store(found, records).await?;
        let failed_count = results.len() - stored.records as usize;
        Ok((PutOutcome { results, failed_count, encryption }, stored))
    }

    /// All checks of [`Streams::put_record`], and nothing stored.
    pub async fn check_put_record(
        &self,
        stream: &StreamArn,
        record: &NewRecord<'_>,
        number_for_ordering: Option<&str>,
    ) -> Result<()> {
        let found = self.find_serving(stream).await?;
        self.check_record(&found, record, number_for_ordering)
    }

    /// All checks of [`Streams::put_records`], and nothing stored.
    pub async fn check_put_records(
        &self,
        stream: &StreamArn,
        records: &[NewRecord<'_>],
    ) -> Result<()> {
        let found = self.find_serving(stream).await?;
        check_records(&found, records)?;
        records.iter().try_for_each(|record| explicit_key(&found, record).map(drop))
    }

    fn check_record(
        &self,
        found: &Snapshot,
        record: &NewRecord<'_>,
        number_for_ordering: Option<&str>,
    ) -> Result<()> {
        check_size(found, 0, record)?;
        explicit_key(found, record)?;
        let Some(number) = number_for_ordering else { return Ok(()) };
        let stream = found.stream.clone();
        if found.row.distribution == RecordDistribution::Auto {
            return Err(Error::OrderingWithAuto { stream });
        }
        match SequenceNumber::parse(number) {
            Ok(n) if n.parts().origin.created_secs <= newest_second(found, self.now()) => Ok(()),
            // Other layouts' numbers order nothing here, and are no fault of the caller's.
            Err(SequenceNumberError::OldLayout | SequenceNumberError::Foreign) => Ok(()),
            _ => Err(Error::OrderingNumber { stream, number: number.into() }),
        }
    }

    /// Stores checked records; results in their order, and what was stored.
    async fn store(
        &self,
        found: std::sync::Arc<Snapshot>,
        records: &[NewRecord<'_>],
    ) -> Result<(Vec<PutResult>, StoredCount)> {
        found.hot.sample(records, found.row.distribution);
        let mut found = found;
        let mut stored = StoredCount::default();
        let mut results: Vec<Option<PutResult>> = vec![None; records.len()];
        let mut waiting: Vec<u32> = (0..records.len() as u32).collect();
        for round in 0.. {
            let sealing;
            (found, sealing) = match self.sealing(found.clone()).await {
                Ok(sealing) => sealing,
                Err(error) if round == 0 => return Err(error),
                // Others of the request are stored already.
                Err(error) => {
                    fail(&mut results, &waiting, &error.to_string());
                    break;
                }
            };
            let mut plan = self.plan(&found, records, &waiting, &mut results)?;
            if let Some(sealing) = sealing {
                plan.seal(&sealing);
            }
            waiting = self.append(&found, plan, records, &mut results, &mut stored).await;
            if waiting.is_empty() {
                break;
            }
            if round == REROUTES_MAX {
                let reason = format!("the shards of {} are being changed", found.stream);
                fail(&mut results, &waiting, &reason);
                break;
            }
            found = self.rerouted(&found).await?;
        }
        let results: Vec<PutResult> =
            results.into_iter().map(|r| r.expect("every record has its result")).collect();
        count(&found, &results, &stored);
        Ok((results, stored))
    }

    /// The stream after its shards changed; waits a while for that.
    async fn rerouted(&self, found: &Snapshot) -> Result<std::sync::Arc<Snapshot>> {
        let stream = &found.stream;
        let missing = || Error::StreamNotFound { stream: stream.clone() };
        let mut fresh = self.inner.cache.fetch(stream).await?.ok_or_else(missing)?;
        if fresh.revision == found.revision {
            self.inner.cache.newer_than(stream, found.revision, REROUTE_WAIT).await;
            fresh = self.inner.cache.fetch(stream).await?.ok_or_else(missing)?;
        }
        match fresh.row.family == found.row.family && fresh.row.status_at(self.now()).is_some() {
            true => Ok(fresh),
            false => Err(missing()),
        }
    }

    /// Groups the `waiting` records by shard.
    fn plan(
        &self,
        found: &Snapshot,
        records: &[NewRecord<'_>],
        waiting: &[u32],
        results: &mut [Option<PutResult>],
    ) -> Result<Plan> {
        let now = self.now();
        let scatter = match found.row.distribution {
            RecordDistribution::UserPartitionKey => 0,
            RecordDistribution::Auto => self.inner.env.random_u64(),
        };
        let mut plan = Plan::new(found.route.len(), waiting.len());
        let keys = hash_keys(found, records, waiting)?;
        for (i, &at) in waiting.iter().enumerate() {
            let record = &records[at as usize];
            let open = match keys.get(i) {
                Some(key) => found.route.find(*key),
                None => found.route.find(spread(scatter.wrapping_add(at.into()))),
            };
            plan.add(found, open, at, record, now);
        }
        let quotas = self.inner.throttle.quotas(&found.stream);
        if quotas.mode != QuotaMode::Off {
            plan.hold_to(quotas, found, now, results);
        }
        Ok(plan)
    }

    /// Appends the plan's batches; returns the records whose shard is closed.
    async fn append(
        &self,
        found: &Snapshot,
        plan: Plan,
        records: &[NewRecord<'_>],
        results: &mut [Option<PutResult>],
        stored: &mut StoredCount,
    ) -> Vec<u32> {
        let Plan { batches, members, .. } = plan;
        let mut again = Vec::new();
        if batches.is_empty() {
            return again;
        }
        let landed = self.inner.log.append(batches).await;
        for (Members { open, records: members }, landed) in members.into_iter().zip(landed) {
            match landed {
                Ok(range) => {
                    give_numbers(found, open, range, &members, results);
                    let count = members.len() as u64;
                    let bytes = members.iter().map(|at| weight(&records[*at as usize]) as u64);
                    let bytes = bytes.sum::<u64>();
                    found.open_state(open).stats.stored(count, bytes);
                    stored.records += count;
                    stored.bytes += bytes;
                }
                Err(AppendError::Sealed { .. } | AppendError::NotFound { .. }) => {
                    again.extend(members);
                }
                Err(error) => {
                    let reason = error.to_string();
                    tracing::warn!(stream = %found.stream, reason, "records were not stored");
                    for at in members {
                        results[at as usize] = Some(PutResult::Failed { reason: reason.clone() });
                    }
                }
            }
        }
        again.sort_unstable();
        again
    }
}

fn fail(results: &mut [Option<PutResult>], records: &[u32], reason: &str) {
    for at in records {
        results[*at as usize] = Some(PutResult::Failed { reason: reason.to_owned() });
    }
}

#[derive(Default)]
struct StoredCount {
    records: u64,
    bytes: u64,
}

/// The batches of one append call, and which records are in them.
struct Plan {
    batches: Vec<(LogId, Batch)>,
    members: Vec<Members>,
    /// Per open shard: its batch, or [`NO_BATCH`]. Empty where few records need no such table.
    batch_of: Vec<u32>,
    /// Records expected per batch.
    share: usize,
}

struct Members {
    open: usize,
    records: Vec<u32>,
}

const NO_BATCH: u32 = u32::MAX;
/// Up to so many records find their batch by looking through all.
const FEW_RECORDS: usize = 16;

impl Plan {
    fn new(open_shards: usize, records: usize) -> Self {
        Plan {
            batches: Vec::with_capacity(open_shards.min(records)),
            members: Vec::with_capacity(open_shards.min(records)),
            batch_of: if records > FEW_RECORDS { vec![NO_BATCH; open_shards] } else { Vec::new() },
            share: (records / open_shards.max(1)) * 5 / 4 + 1,
        }
    }

    fn add(
        &mut self,
        found: &Snapshot,
        open: usize,
        at: u32,
        record: &NewRecord<'_>,
        now: Timestamp,
    ) {
        let batch = match self.batch_of.get(open) {
            Some(&NO_BATCH) => None,
            Some(&batch) => Some(batch as usize),
            None => self.members.iter().position(|m| m.open == open),
        };
        let batch = batch.unwrap_or_else(|| {
            let batch = self.batches.len();
            if let Some(of_shard) = self.batch_of.get_mut(open) {
                *of_shard = batch as u32;
            }
            let log = found.log_of(found.open_shard(open).id);
            let entries = Vec::with_capacity(self.share);
            // A closing instant may lie a little after the clock: a child's records are not before it.
            let at = now.max(found.open_shard(open).opened_at);
            self.batches.push((log, Batch { at, entries, seal: None }));
            self.members.push(Members { open, records: Vec::with_capacity(self.share) });
            batch
        });
        self.batches[batch].1.entries.push(entry(record, &found.row.encryption));
        self.members[batch].records.push(at);
    }

    /// Nothing can be added afterwards.
    fn seal(&mut self, sealing: &Sealing) {
        sealing.use_for(self.batches.len());
        for (_, batch) in &mut self.batches {
            batch.seal = Some(sealing.key.clone());
        }
    }

    /// Asks the shards' budgets, and takes out what they refuse. Nothing can be added afterwards.
    fn hold_to(
        &mut self,
        quotas: &Quotas,
        found: &Snapshot,
        now: Timestamp,
        results: &mut [Option<PutResult>],
    ) {
        let mut exceeded = 0;
        for ((_, batch), members) in self.batches.iter_mut().zip(&mut self.members) {
            let state = found.open_state(members.open);
            let weights = batch.entries.iter().map(|e| e.key.len() + e.value.len());
            let beyond = state.budget.admit_writes(quotas, weights, now);
            if beyond.is_empty() {
                continue;
            }
            state.stats.write_exceeded.fetch_add(beyond.len() as u64, Ordering::Relaxed);
            exceeded += beyond.len() as u64;
            if quotas.mode == QuotaMode::Enforced {
                let shard = found.open_shard(members.open).id;
                for at in &beyond {
                    let record = members.records[*at] as usize;
                    results[record] = Some(PutResult::Throttled { shard });
                }
                remove_places(&mut batch.entries, &beyond);
                remove_places(&mut members.records, &beyond);
            }
        }
        found.stats.write_exceeded.observe(exceeded);
        if exceeded > 0 {
            self.batches.retain(|(_, batch)| !batch.entries.is_empty());
            self.members.retain(|members| !members.records.is_empty());
        }
    }
}

/// Takes out the items at `places`, which rise.
fn remove_places<T>(items: &mut Vec<T>, places: &[usize]) {
    let mut places = places.iter().copied().peekable();
    let mut at = 0;
    items.retain(|_| {
        let gone = places.next_if_eq(&at).is_some();
        at += 1;
        !gone
    });
}

fn entry(record: &NewRecord<'_>, encryption: &Encryption) -> NewEntry {
    let mut attributes = match record.partition_key {
        Some(_) => HAS_PARTITION_KEY,
        None => 0,
    };
    if *encryption != Encryption::None {
        attributes |= ENCRYPTED;
    }
    let key = record.partition_key.clone().unwrap_or_default();
    NewEntry { attributes, key, value: record.data.clone() }
}

fn give_numbers(
    found: &Snapshot,
    open: usize,
    range: PositionRange,
    members: &[u32],
    results: &mut [Option<PutResult>],
) {
    let shard = found.open_shard(open);
    let (id, origin): (ShardId, _) = (shard.id, shard.origin());
    assert_eq!(range.count as usize, members.len(), "a batch lands whole");
    for (index, at) in (range.first.index..).zip(members) {
        let sequence_number = SequenceNumber::at(origin, range.first.lsn, index);
        results[*at as usize] = Some(PutResult::Stored(Stored { shard: id, sequence_number }));
    }
}

fn count(found: &Snapshot, results: &[PutResult], stored: &StoredCount) {
    found.stats.stored(stored.records, stored.bytes);
    let left = results.len() - stored.records as usize;
    if left > 0 {
        let throttled = throttled(results, left);
        found.stats.not_stored(left as u64 - throttled, throttled);
    }
}

/// How many records were throttled, of so many that were not stored.
fn throttled(results: &[PutResult], not_stored: usize) -> u64 {
    match not_stored {
        0 => 0,
        _ => results.iter().filter(|r| matches!(r, PutResult::Throttled { .. })).count() as u64,
    }
}

/// The hash keys of the `waiting` records, in their order; none where the service distributes records.
fn hash_keys(found: &Snapshot, records: &[NewRecord<'_>], waiting: &[u32]) -> Result<Vec<HashKey>> {
    if found.row.distribution == RecordDistribution::Auto {
        return Ok(Vec::new());
    }
    let waiting = waiting.iter().map(|at| &records[*at as usize]);
    let mut keys = match found.route.len() {
        1 => vec![HashKey::MIN; waiting.len()], // wherever they hash to
        _ => HashKey::of_partition_keys(
            waiting.clone().map(|r| r.partition_key.as_deref().unwrap_or_default()),
        ),
    };
    for (key, record) in keys.iter_mut().zip(waiting) {
        if let Some(explicit) = explicit_key(found, record)? {
            *key = explicit;
        }
    }
    Ok(keys)
}

/// Spreads neighbours over the ring.
fn spread(scatter: u64) -> HashKey {
    HashKey(u128::from(scatter.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64)
}

/// The hash key that the caller gave, where it counts.
fn explicit_key(found: &Snapshot, record: &NewRecord<'_>) -> Result<Option<HashKey>> {
    match record.explicit_hash_key {
        Some(text) if found.row.distribution == RecordDistribution::UserPartitionKey => {
            HashKey::parse(text).map(Some).map_err(|e| match e {
                HashKeyError::OutOfRange { text } | HashKeyError::Malformed { text } => {
                    Error::ExplicitHashKey { text }
                }
            })
        }
        _ => Ok(None),
    }
}

/// The latest second in which a shard of the stream can have been made. Shards that are split faster
/// than seconds pass are ahead of the clock.
fn newest_second(found: &Snapshot, now: Timestamp) -> u64 {
    let newest = found.row.shards.all().iter().map(|s| s.created_secs).max().unwrap_or(0);
    newest.max(now.as_secs() + 1)
}

/// What a record counts: data and partition key, in bytes.
fn weight(record: &NewRecord<'_>) -> usize {
    record.data.len() + record.partition_key.as_ref().map_or(0, Bytes::len)
}

fn check_size(found: &Snapshot, index: usize, record: &NewRecord<'_>) -> Result<usize> {
    let max = found.row.max_record_kib as usize * 1024;
    let bytes = weight(record);
    if record.data.len() > max {
        return Err(Error::DataTooLarge { index, bytes: record.data.len(), max });
    }
    if record.partition_key.is_none() && found.row.distribution != RecordDistribution::Auto {
        return Err(Error::PartitionKeyMissing { index });
    }
    match bytes <= max {
        true => Ok(bytes),
        false => Err(Error::RecordTooLarge { index, bytes, max }),
    }
}

fn check_records(found: &Snapshot, records: &[NewRecord<'_>]) -> Result<()> {
    let (count, max) = (records.len(), PUT_RECORDS_COUNT_MAX);
    if !(1..=max).contains(&count) {
        return Err(Error::RecordCount { count, max });
    }
    let mut bytes = 0;
    for (index, record) in records.iter().enumerate() {
        bytes += check_size(found, index, record)?;
    }
    match bytes <= PUT_RECORDS_BYTES_MAX {
        true => Ok(()),
        false => Err(Error::RequestTooLarge { bytes, max: PUT_RECORDS_BYTES_MAX }),
    }
}

//! A stream's keys by their weight in what comes in: a bounded sketch.
//!
//! Puts are sampled: all of them while they are few, one in 2^n when they are many, so that about
//! [`SAMPLES_PER_SECOND`] are looked at whatever the load, and a put never waits for the sketch. A
//! record weighs what it takes of a shard's write budget. What was seen counts half after
//! [`HALF_LIFE`] and is forgotten in the end.
//!
//! The sketch is Apache DataSketches' frequent items (a Misra-Gries variant): a key's share is too
//! low by at most 3.5 / [`KEYS_MAX`], never too high but for the chance of sampling.
//!
//! Invariant: at most [`KEYS_MAX`] keys with [`KEY_TEXT_BYTES_MAX`] bytes of text each are kept per
//! stream, and nothing of a stream that takes no records.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use millstream_base::limits::{SHARD_WRITE_BYTES_PER_SECOND, SHARD_WRITE_RECORDS_PER_SECOND};
use millstream_base::{HashKey, ShardId, Timestamp};
use parking_lot::Mutex;

use crate::model::{NewRecord, RecordDistribution};

/// Keys that a stream's sketch has room for; a power of two. With their texts they take at most
/// 512 x (64 + 256) bytes = 160 KiB of a stream that takes records.
pub(crate) const KEYS_MAX: usize = 512;
/// Longer partition keys are cut for showing.
pub(crate) const KEY_TEXT_BYTES_MAX: usize = 256;
/// After this time what was seen counts half.
pub(crate) const HALF_LIFE: Duration = Duration::from_secs(60);
/// Records that are looked at in a second; at 200 ns each they cost a core 0.02 %.
pub(crate) const SAMPLES_PER_SECOND: u64 = 1000;
/// After so many the sampling becomes thinner, whether or not the rate was measured anew: a load that
/// sets in at once costs little too.
const BURST_MAX: u32 = 1024;
/// A put is never sampled more thinly than one in 2^16.
const SHIFT_MAX: u32 = 16;

/// What a process knows of one stream's keys and rates.
#[derive(Debug, Default)]
pub(crate) struct HotKeys {
    /// Records that came by; decides which ones are looked at.
    seen: AtomicU64,
    /// One record in 2^shift is looked at.
    shift: AtomicU32,
    state: Mutex<State>,
}

/// A key and its part in the stream's load, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyShare {
    pub(crate) hash: HashKey,
    /// Cut at [`KEY_TEXT_BYTES_MAX`].
    pub(crate) text: String,
    pub(crate) share: f64,
}

/// Records and bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rate {
    pub(crate) records: f64,
    pub(crate) bytes: f64,
}

impl Rate {
    /// In write budgets of one shard, which takes `budget`.
    pub(crate) fn load(self, budget: Rate) -> f64 {
        (self.records / budget.records).max(self.bytes / budget.bytes)
    }
}

/// The rates of a stream's open shards and when they were measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) measured_at: Option<Timestamp>,
    pub(crate) of_shards: BTreeMap<ShardId, Rate>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while nothing comes in.
    keys: Option<FrequentItemsSketch<SampledKey>>,
    /// The weight of all that was sampled, decayed as the keys are.
    total: u64,
    halved_at: Option<Timestamp>,
    /// `seen` at the last measurement.
    counted: u64,
    /// Records looked at since the last measurement, or since the sampling became thinner.
    sampled: u32,
    rates: Rates,
}

/// One and the same if their hashes are; the text is for showing.
#[derive(Clone, Debug)]
struct SampledKey {
    hash: HashKey,
    text: Box<[u8]>,
}

impl SampledKey {
    fn text(&self) -> String {
        let cut_within_a_character = char::REPLACEMENT_CHARACTER;
        String::from_utf8_lossy(&self.text).trim_end_matches(cut_within_a_character).to_owned()
    }
}

impl PartialEq for SampledKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}
impl Eq for SampledKey {}
impl Hash for SampledKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.0.hash(state);
    }
}

impl HotKeys {
    /// Looks at some of `records`. Where the service distributes records their keys say nothing.
    pub(crate) fn sample(&self, records: &[NewRecord<'_>], distribution: RecordDistribution) {
        if distribution == RecordDistribution::Auto {
            return;
        }
        let first = self.seen.fetch_add(records.len() as u64, Ordering::Relaxed);
        let shift = self.shift.load(Ordering::Relaxed);
        let is_chosen = |n: u64| spread(first.wrapping_add(n)).checked_shr(64 - shift).unwrap_or(0);
        let mut chosen = (0u64..)
            .zip(records)
            .filter(|(n, _)| is_chosen(*n) == 0)
            .map(|(_, record)| record)
            .peekable();
        if chosen.peek().is_none() {
            return;
        }
        // Whoever comes at the same moment goes unseen, which skews nothing.
        let Some(mut state) = self.state.try_lock() else { return };
        for record in chosen {
            state.add(record, shift);
        }
        if state.sampled >= BURST_MAX {
            state.sampled = 0;
            self.shift.store((shift + 1).min(SHIFT_MAX), Ordering::Relaxed);
        }
    }

    /// Notes the shards' rates, lets what is old fade, and sets how thinly puts are sampled.
    pub(crate) fn measured(&self, rates: BTreeMap<ShardId, Rate>, now: Timestamp) {
        let mut state = self.state.lock();
        let seen = self.seen.load(Ordering::Relaxed);
        let new = seen.wrapping_sub(state.counted);
        let time = state.rates.measured_at.map_or(Duration::ZERO, |at| now.since(at));
        state.counted = seen;
        state.sampled = 0;
        state.rates = Rates { measured_at: Some(now), of_shards: rates };
        if !time.is_zero() {
            let per_second = (new as f64 / time.as_secs_f64()) as u64;
            let thin = (per_second / SAMPLES_PER_SECOND).max(1).ilog2();
            self.shift.store(thin.min(SHIFT_MAX), Ordering::Relaxed);
        }
        let since = state.halved_at.get_or_insert(now);
        if now.since(*since) >= HALF_LIFE {
            state.halved_at = Some(now);
            state.halve();
        }
    }

    /// The shards' rates as they were measured last.
    pub(crate) fn rates(&self) -> Rates {
        self.state.lock().rates.clone()
    }

    /// Measured keys in ascending order of their hashes.
    pub(crate) fn shares(&self) -> Vec<KeyShare> {
        let state = self.state.lock();
        let total = state.total.max(1) as f64;
        let share = |(key, weight): (SampledKey, u64)| KeyShare {
            hash: key.hash,
            text: key.text(),
            share: weight as f64 / total,
        };
        let mut shares: Vec<KeyShare> = state.rows().map(share).collect();
        shares.sort_by_key(|key| key.hash);
        shares
    }
}

impl State {
    fn add(&mut self, record: &NewRecord<'_>, shift: u32) {
        let Some(key) = &record.partition_key else { return };
        let explicit = record.explicit_hash_key.and_then(|text| HashKey::parse(text).ok());
        let hash = explicit.unwrap_or_else(|| HashKey::of_partition_key(key));
        let text = &key[..key.len().min(KEY_TEXT_BYTES_MAX)];
        let weight = weight(record.data.len() + key.len()) << shift;
        let keys = self.keys.get_or_insert_with(new_sketch);
        keys.update_with_count(SampledKey { hash, text: text.into() }, weight);
        self.total = self.total.saturating_add(weight);
        self.sampled += 1;
    }

    fn halve(&mut self) {
        let mut faded = None;
        for (key, weight) in self.rows() {
            if weight > 1 {
                let keys = faded.get_or_insert_with(new_sketch);
                keys.update_with_count(key, weight / 2);
            }
        }
        self.keys = faded;
        self.total /= 2;
    }

    /// Keys with their weights: never more than they had.
    fn rows(&self) -> impl Iterator<Item = (SampledKey, u64)> {
        let rows = self.keys.iter().flat_map(|keys| keys.frequent_items_with_threshold(EVERY, 0));
        rows.map(|row| (row.item().clone(), row.lower_bound()))
    }
}

const EVERY: ErrorType = ErrorType::NoFalseNegatives;

fn new_sketch() -> FrequentItemsSketch<SampledKey> {
    FrequentItemsSketch::new(KEYS_MAX).expect("a power of two within the sketch's bounds")
}

/// What a record takes of a shard's write budget, in bytes: small ones take a record's part.
fn weight(bytes: usize) -> u64 {
    let least = SHARD_WRITE_BYTES_PER_SECOND / SHARD_WRITE_RECORDS_PER_SECOND;
    (bytes as u64).max(least.into())
}

/// Spreads consecutive numbers over all 64 bits, so that no period of the callers' goes with ours.
fn spread(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn records<'a>(keys: &[String], bytes: usize) -> Vec<NewRecord<'a>> {
        let record = |key: &String| NewRecord {
            partition_key: Some(Bytes::copy_from_slice(key.as_bytes())),
            explicit_hash_key: None,
            data: vec![0; bytes].into(),
        };
        keys.iter().map(record).collect()
    }

    fn put(hot: &HotKeys, records: &[NewRecord<'_>]) {
        hot.sample(records, RecordDistribution::UserPartitionKey);
    }

    fn share(hot: &HotKeys, key: &str) -> f64 {
        let found = hot.shares().into_iter().find(|s| s.text == key);
        found.map_or(0.0, |s| s.share)
    }

    /// `hot` is a third of 300 records a second; the others come once each.
    fn second(hot: &HotKeys, n: u64) {
        let keys: Vec<String> = (0..300)
            .map(|i| if i % 3 == 0 { "hot".into() } else { format!("cold-{n}-{i}") })
            .collect();
        put(hot, &records(&keys, 100));
        hot.measured(BTreeMap::new(), START.plus(SECOND * n as u32));
    }

    #[test]
    fn a_hot_key_stands_out_of_many() {
        let hot = HotKeys::default();
        (0..50).for_each(|n| second(&hot, n));
        let found = share(&hot, "hot");
        assert!((0.30..=0.3334).contains(&found), "{found} of a third");
        assert!(hot.shares().len() <= KEYS_MAX);
        let others = hot.shares().into_iter().filter(|s| s.text != "hot").map(|s| s.share);
        assert!(others.fold(0.0, f64::max) < 0.01);
    }

    #[test]
    fn what_is_over_fades() {
        let hot = HotKeys::default();
        (0..50).for_each(|n| second(&hot, n));
        let keys: Vec<String> = (0..300).map(|_| "new".into()).collect();
        for n in 50..250 {
            put(&hot, &records(&keys, 100));
            hot.measured(BTreeMap::new(), START.plus(SECOND * n));
        }
        assert!(share(&hot, "new") > 0.9, "{:?}", share(&hot, "new"));
        for minute in 0..40 {
            hot.measured(BTreeMap::new(), START.plus(SECOND * 300 + HALF_LIFE * minute));
        }
        assert_eq!(hot.shares(), [], "nothing of a stream at rest is kept");
        assert!(hot.state.lock().keys.is_none());
    }

    #[test]
    fn large_records_weigh_more_than_small_ones() {
        let hot = HotKeys::default();
        put(&hot, &records(&["large".into()], 100_000));
        put(&hot, &records(&vec!["small".into(); 10], 10));
        let (large, small) = (share(&hot, "large"), share(&hot, "small"));
        assert!((0.90..0.91).contains(&large), "{large}: 100 kB against ten records");
        assert!((0.09..0.10).contains(&small), "{small}");
    }

    #[test]
    fn many_records_are_sampled_and_shares_stay_true() {
        let hot = HotKeys::default();
        // Eight keys in turn: no period of theirs may fool the sampling.
        let keys: Vec<String> = (0..400).map(|i| format!("k{}", i % 8)).collect();
        let records = records(&keys, 10);
        for n in 0..200u64 {
            for _ in 0..100 {
                put(&hot, &records); // 40,000 a second
            }
            hot.measured(BTreeMap::new(), START.plus(SECOND * n as u32));
        }
        assert_eq!(hot.shift.load(Ordering::Relaxed), 5, "one in 32");
        for key in 0..8 {
            let share = share(&hot, &format!("k{key}"));
            assert!((0.115..0.135).contains(&share), "k{key}: {share}");
        }
    }

    #[test]
    fn a_sudden_load_is_sampled_ever_more_thinly() {
        let hot = HotKeys::default();
        let keys: Vec<String> = (0..500).map(|i| format!("k{}", i % 2)).collect();
        let records = records(&keys, 10);
        for _ in 0..2000 {
            put(&hot, &records); // a million between two measurements
        }
        let looked_at = u64::from(BURST_MAX) << hot.shift.load(Ordering::Relaxed);
        assert!(looked_at >= 500_000, "the last bursts stand for most of the load: {looked_at}");
        assert!((0.45..0.55).contains(&share(&hot, "k0")), "{}", share(&hot, "k0"));
    }

    #[test]
    fn an_explicit_hash_key_is_where_the_record_goes() {
        let hot = HotKeys::default();
        let mut records = records(&["k".into()], 10);
        records[0].explicit_hash_key = Some("12345");
        put(&hot, &records);
        assert_eq!(hot.shares()[0].hash, HashKey(12345));
        hot.sample(&records, RecordDistribution::Auto);
        assert_eq!(hot.seen.load(Ordering::Relaxed), 1, "AUTO looks at no keys");
    }

    #[test]
    fn long_keys_are_cut_between_characters() {
        let hot = HotKeys::default();
        put(&hot, &records(&["ü".repeat(200) + "x", format!("a{}", "ü".repeat(200))], 10));
        let mut lengths: Vec<usize> = hot.shares().iter().map(|s| s.text.len()).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [255, 256]);
    }
}

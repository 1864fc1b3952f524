//! The suite that every implementation of [`LogStore`] passes.
//!
//! ```text
//! contract::check(&subject).await; // panics with the broken sentence of the contract
//! ```
//!
//! All cases run against one store, each in a family of logs of its own, with restarts in between.

use std::sync::Arc;

use bytes::Bytes;
use millstream_base::Timestamp;
use millstream_env::BoxFuture;
use millstream_secrets::DataKey;
use parking_lot::Mutex;

use crate::key::{ChunkKey, ChunkKeys, KeyNumber};
use crate::store::{
    AppendError, Batch, Entry, LogError, LogId, LogStore, NewEntry, Position, PositionRange,
    ReadError, ReadLimit, Tail,
};

/// A store under test.
pub trait Subject: Send + Sync {
    /// Opens the store the first time.
    fn open(&self) -> BoxFuture<'_, Arc<dyn LogStore>>;

    /// Closes the store and opens it again, in whatever way the implementation must survive.
    fn restart(&self, store: Arc<dyn LogStore>) -> BoxFuture<'_, Arc<dyn LogStore>>;
}

/// Runs the whole suite.
///
/// # Panics
/// When a promise is broken.
pub async fn check(subject: &dyn Subject) {
    let store = subject.open().await;
    for (family, case) in (1_000..).zip(CASES) {
        case(store.clone(), family).await;
    }
    let before = Survivor::prepare(store.as_ref(), 2_000).await;
    let mut store = store;
    for _ in 0..3 {
        store = subject.restart(store).await;
        before.check(store.as_ref()).await;
    }
    for (family, case) in (3_000..).zip(CASES) {
        case(store.clone(), family).await;
    }
}

type Case = fn(Arc<dyn LogStore>, u32) -> BoxFuture<'static, ()>;

const CASES: &[Case] = &[
    |s, f| Box::pin(positions_increase_and_are_what_reads_return(s, f)),
    |s, f| Box::pin(a_read_honours_its_limits(s, f)),
    |s, f| Box::pin(reads_begin_anywhere(s, f)),
    |s, f| Box::pin(batches_of_a_call_stand_for_themselves(s, f)),
    |s, f| Box::pin(impossible_batches_are_refused(s, f)),
    |s, f| Box::pin(times_never_decrease_and_find_uses_them(s, f)),
    |s, f| Box::pin(the_tail_follows_appends(s, f)),
    |s, f| Box::pin(trimmed_entries_are_gone(s, f)),
    |s, f| Box::pin(a_sealed_log_takes_nothing_more(s, f)),
    |s, f| Box::pin(deleted_logs_are_gone(s, f)),
    |s, f| Box::pin(unknown_logs_are_not_found(s, f)),
    |s, f| Box::pin(concurrent_appends_keep_each_callers_order(s, f)),
    |s, f| Box::pin(a_dropped_append_lands_whole_or_not_at_all(s, f)),
    |s, f| Box::pin(large_entries_come_back_whole(s, f)),
    |s, f| Box::pin(sealed_entries_are_read_while_their_key_is_given(s, f)),
    |s, f| Box::pin(keys_change_along_a_log(s, f)),
];

/// Everything a page can hold.
const ALL: ReadLimit = ReadLimit { entries_max: usize::MAX, bytes_max: usize::MAX };

fn entry(n: u32) -> NewEntry {
    let value = Bytes::from(format!("value {n} {}", "x".repeat(n as usize % 50)));
    NewEntry { attributes: n, key: Bytes::from(format!("key {n}")), value }
}

fn batch(at: u64, entries: impl IntoIterator<Item = u32>) -> Batch {
    let entries = entries.into_iter().map(entry).collect();
    Batch { at: Timestamp::from_millis(at), entries, seal: None }
}

async fn append(store: &dyn LogStore, log: LogId, batch: Batch) -> PositionRange {
    try_append(store, log, batch).await.expect("an ordinary append succeeds")
}

async fn try_append(
    store: &dyn LogStore,
    log: LogId,
    batch: Batch,
) -> Result<PositionRange, AppendError> {
    let mut results = store.append(vec![(log, batch)]).await;
    assert_eq!(results.len(), 1, "one batch, one result");
    results.remove(0)
}

async fn new_log(store: &dyn LogStore, family: u32, member: u32) -> LogId {
    let log = LogId::new(family, member);
    store.create(vec![log]).await.expect("a log can be made");
    log
}

/// All entries from `from` on, however many pages it takes.
async fn read_all(
    store: &dyn LogStore,
    log: LogId,
    from: Position,
    limit: ReadLimit,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut next = from;
    loop {
        let page = store.read(log, next, limit).await.expect("a healthy log can be read");
        assert!(page.next >= next, "a read never goes back: {:?} after {next:?}", page.next);
        if page.entries.is_empty() {
            return entries;
        }
        next = page.next;
        let last = page.entries.last().expect("not empty").position;
        assert!(page.next > last, "the next page begins after this one");
        entries.extend(page.entries);
    }
}

fn numbers(entries: &[Entry]) -> Vec<u32> {
    for e in entries {
        let expected = entry(e.attributes);
        assert_eq!((&e.key, &e.value), (&expected.key, &expected.value), "entry {:?}", e.position);
    }
    entries.iter().map(|e| e.attributes).collect()
}

fn positions(range: PositionRange) -> impl Iterator<Item = Position> {
    (0..range.count).map(move |i| Position::new(range.first.lsn, range.first.index + i))
}

async fn positions_increase_and_are_what_reads_return(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    let mut expected = Vec::new();
    for n in 0..20 {
        let range = append(store.as_ref(), log, batch(1, n * 3..n * 3 + 1 + n % 3)).await;
        assert_eq!(range.count, 1 + n % 3);
        expected.extend(positions(range));
    }
    assert!(expected.is_sorted_by(|a, b| a < b), "positions strictly increase: {expected:?}");
    let read = read_all(store.as_ref(), log, Position::START, ALL).await;
    assert_eq!(read.iter().map(|e| e.position).collect::<Vec<_>>(), expected);
    let again = read_all(store.as_ref(), log, Position::START, ALL).await;
    assert_eq!(read, again, "an entry is read the same by everyone");
}

async fn a_read_honours_its_limits(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    for n in 0..10 {
        append(store.as_ref(), log, batch(1, n * 4..n * 4 + 4)).await;
    }
    let whole = read_all(store.as_ref(), log, Position::START, ALL).await;
    assert_eq!(numbers(&whole), (0..40).collect::<Vec<_>>());
    let weight = |e: &Entry| e.key.len() + e.value.len();
    for (entries_max, bytes_max) in [(1, usize::MAX), (7, usize::MAX), (usize::MAX, 100), (3, 64)] {
        let limit = ReadLimit { entries_max, bytes_max };
        let page = store.read(log, Position::START, limit).await.expect("readable");
        assert!(!page.entries.is_empty() && page.entries.len() <= entries_max);
        let bytes: usize = page.entries.iter().map(weight).sum();
        assert!(bytes <= bytes_max || page.entries.len() == 1, "{bytes} of {bytes_max} bytes");
        assert_eq!(read_all(store.as_ref(), log, Position::START, limit).await, whole);
    }
    let limit = ReadLimit { entries_max: 10, bytes_max: 0 };
    let page = store.read(log, Position::START, limit).await.expect("readable");
    assert_eq!(page.entries.len(), 1, "the first entry is returned however much it weighs");
}

async fn reads_begin_anywhere(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    for n in 0..5 {
        append(store.as_ref(), log, batch(1, n * 3..n * 3 + 3)).await;
    }
    let whole = read_all(store.as_ref(), log, Position::START, ALL).await;
    for (i, e) in whole.iter().enumerate() {
        assert_eq!(read_all(store.as_ref(), log, e.position, ALL).await, whole[i..]);
        assert_eq!(read_all(store.as_ref(), log, e.position.next(), ALL).await, whole[i + 1..]);
    }
    let page = store.read(log, Position::END, ALL).await.expect("readable");
    assert!(page.entries.is_empty() && page.next >= Position::END, "never before the place asked");
    let tail = *store.tail(log).expect("it exists").borrow();
    let page = store.read(log, tail.next, ALL).await.expect("readable");
    assert_eq!((page.entries.len(), page.next), (0, tail.next));
}

async fn batches_of_a_call_stand_for_themselves(store: Arc<dyn LogStore>, family: u32) {
    let (a, b) = (new_log(store.as_ref(), family, 0).await, LogId::new(family, 1));
    let c = new_log(store.as_ref(), family, 2).await;
    let calls = vec![(a, batch(1, 0..3)), (b, batch(1, 3..4)), (c, batch(1, 4..6))];
    let results = store.append(calls).await;
    assert_eq!(results.len(), 3);
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert_eq!(results[1], Err(AppendError::NotFound { log: b }));
    assert_eq!(numbers(&read_all(store.as_ref(), a, Position::START, ALL).await), [0, 1, 2]);
    assert_eq!(numbers(&read_all(store.as_ref(), c, Position::START, ALL).await), [4, 5]);
}

async fn impossible_batches_are_refused(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    let refused = try_append(store.as_ref(), log, batch(1, [])).await;
    assert!(matches!(refused, Err(AppendError::Invalid { .. })), "an empty batch: {refused:?}");
    assert!(store.append(Vec::new()).await.is_empty());
    assert!(read_all(store.as_ref(), log, Position::START, ALL).await.is_empty());
}

async fn times_never_decrease_and_find_uses_them(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    let find = |at| store.find(log, Timestamp::from_millis(at));
    let start = store.tail(log).expect("it exists").borrow().next;
    assert_eq!(find(0).await, Ok(start), "an empty log: the tail");
    let mut ranges = Vec::new();
    for (n, (wanted, given)) in
        [(10, 10), (30, 30), (20, 30), (30, 30), (31, 31)].iter().enumerate()
    {
        let range = append(store.as_ref(), log, batch(*wanted, [n as u32])).await;
        assert_eq!(range.at.as_millis(), *given, "append {n}");
        ranges.push(range.first);
    }
    let tail = *store.tail(log).expect("it exists").borrow();
    assert_eq!(tail.last_at.as_millis(), 31);
    for (at, expected) in [(0, 0), (10, 0), (11, 1), (30, 1), (31, 4)] {
        assert_eq!(find(at).await, Ok(ranges[expected]), "time {at}");
    }
    assert_eq!(find(32).await, Ok(tail.next));
    store.trim(log, ranges[2]).await.expect("trimmable");
    assert_eq!(find(0).await, Ok(ranges[2]), "what is trimmed is not found");
    assert_eq!(find(31).await, Ok(ranges[4]));
}

async fn the_tail_follows_appends(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    let mut tail = store.tail(log).expect("it exists");
    assert_eq!((tail.borrow().last_at, tail.borrow().sealed), (Timestamp::ZERO, false));
    for n in 0..5 {
        let range = append(store.as_ref(), log, batch(u64::from(n) + 1, [n, n + 100])).await;
        let seen = *tail.borrow_and_update();
        assert!(seen.next > Position::new(range.first.lsn, range.first.index + 1), "{seen:?}");
        assert_eq!(seen.last_at, range.at);
    }
    let waiting = tail.changed();
    let appending = append(store.as_ref(), log, batch(9, [9]));
    let (news, _) = futures_util::future::join(waiting, appending).await;
    news.expect("the tail of a log that lives changes");
}

async fn trimmed_entries_are_gone(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    let mut all = Vec::new();
    for n in 0..6 {
        all.extend(positions(append(store.as_ref(), log, batch(1, n * 2..n * 2 + 2)).await));
    }
    for keep in [1, 2, 7] {
        store.trim(log, all[keep]).await.expect("trimmable");
        let left = read_all(store.as_ref(), log, Position::START, ALL).await;
        assert_eq!(left.iter().map(|e| e.position).collect::<Vec<_>>(), all[keep..]);
    }
    store.trim(log, all[3]).await.expect("trimming less is no error");
    assert_eq!(read_all(store.as_ref(), log, Position::START, ALL).await.len(), all.len() - 7);
    store.trim(log, Position::END).await.expect("trimming all is no error");
    let tail = store.tail(log).expect("it exists").borrow().next;
    let page = store.read(log, Position::START, ALL).await.expect("readable");
    assert_eq!((page.entries.len(), page.next), (0, tail), "trimmed to the tail, not beyond");
    append(store.as_ref(), log, batch(1, [50])).await;
    assert_eq!(numbers(&read_all(store.as_ref(), log, Position::START, ALL).await), [50]);
}

async fn a_sealed_log_takes_nothing_more(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    append(store.as_ref(), log, batch(5, [1, 2])).await;
    let mut watch = store.tail(log).expect("it exists");
    watch.mark_unchanged();
    let tail = store.seal(log).await.expect("sealable");
    assert!(tail.sealed);
    assert_eq!(*watch.borrow_and_update(), tail, "those who follow are told");
    assert_eq!(store.seal(log).await, Ok(tail), "sealing twice gives the same tail");
    let refused = try_append(store.as_ref(), log, batch(6, [3])).await;
    assert_eq!(refused, Err(AppendError::Sealed { log }));
    assert_eq!(numbers(&read_all(store.as_ref(), log, Position::START, ALL).await), [1, 2]);
    store.trim(log, Position::END).await.expect("a sealed log can be trimmed");
    assert!(read_all(store.as_ref(), log, Position::START, ALL).await.is_empty());
}

async fn deleted_logs_are_gone(store: Arc<dyn LogStore>, family: u32) {
    let logs = [new_log(store.as_ref(), family, 0).await, new_log(store.as_ref(), family, 1).await];
    append(store.as_ref(), logs[0], batch(1, [1])).await;
    append(store.as_ref(), logs[1], batch(1, [2])).await;
    store.delete(vec![logs[0], LogId::new(family, 77)]).await.expect("passes over the unknown");
    let log = logs[0];
    let read = store.read(log, Position::START, ALL).await;
    assert_eq!(read, Err(ReadError::NotFound { log }));
    let refused = try_append(store.as_ref(), log, batch(1, [3])).await;
    assert_eq!(refused, Err(AppendError::NotFound { log }));
    assert_eq!(numbers(&read_all(store.as_ref(), logs[1], Position::START, ALL).await), [2]);
    store.delete(vec![log]).await.expect("deleting twice is no error");
}

async fn unknown_logs_are_not_found(store: Arc<dyn LogStore>, family: u32) {
    let log = LogId::new(family, 9);
    assert_eq!(store.tail(log).err(), Some(LogError::NotFound { log }));
    assert_eq!(store.seal(log).await, Err(LogError::NotFound { log }));
    assert_eq!(store.trim(log, Position::END).await, Err(LogError::NotFound { log }));
    let found = store.find(log, Timestamp::ZERO).await;
    assert_eq!(found, Err(ReadError::NotFound { log }));
    new_log(store.as_ref(), family, 9).await;
    append(store.as_ref(), log, batch(1, [1])).await;
    new_log(store.as_ref(), family, 9).await;
    let left = read_all(store.as_ref(), log, Position::START, ALL).await;
    assert_eq!(numbers(&left), [1], "making a log again leaves it as it is");
}

async fn concurrent_appends_keep_each_callers_order(store: Arc<dyn LogStore>, family: u32) {
    let logs = [new_log(store.as_ref(), family, 0).await, new_log(store.as_ref(), family, 1).await];
    let caller = |c: u32| {
        let store = store.clone();
        async move {
            let mut mine = Vec::new();
            for n in 0..25 {
                let log = logs[(n % 2) as usize];
                let range = append(store.as_ref(), log, batch(1, [c * 1000 + n])).await;
                mine.push((log, range.first, c * 1000 + n));
            }
            mine
        }
    };
    let all = futures_util::future::join_all((0..8).map(caller)).await;
    for log in logs {
        let read = read_all(store.as_ref(), log, Position::START, ALL).await;
        assert_eq!(read.len(), 8 * if log == logs[0] { 13 } else { 12 });
        for mine in &all {
            let mine: Vec<_> = mine.iter().filter(|m| m.0 == log).collect();
            assert!(mine.is_sorted_by(|a, b| a.1 < b.1), "a caller's appends stand in its order");
            for (_, position, n) in mine {
                let found = read.iter().find(|e| e.position == *position);
                assert_eq!(found.map(|e| e.attributes), Some(*n));
            }
        }
    }
}

async fn a_dropped_append_lands_whole_or_not_at_all(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    for n in 0..20 {
        let call = store.append(vec![(log, batch(1, n * 10..n * 10 + 5))]);
        let _ = futures_util::future::select(call, std::future::ready(())).await;
    }
    append(store.as_ref(), log, batch(1, [9_999])).await;
    let read = numbers(&read_all(store.as_ref(), log, Position::START, ALL).await);
    let (last, dropped) = read.split_last().expect("the last append is there");
    assert_eq!(*last, 9_999);
    for five in dropped.chunks(5) {
        assert_eq!(five, (five[0]..five[0] + 5).collect::<Vec<_>>(), "a batch is whole");
    }
}

async fn large_entries_come_back_whole(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    let value: Vec<u8> = (0..30_000u32).map(|n| ((n * n) >> 3) as u8).collect();
    let entries = vec![
        NewEntry { attributes: u32::MAX, key: Bytes::new(), value: value.clone().into() },
        NewEntry { attributes: 0, key: value.clone().into(), value: Bytes::new() },
        NewEntry::default(),
    ];
    let wanted = Batch { at: Timestamp::from_millis(1), entries: entries.clone(), seal: None };
    append(store.as_ref(), log, wanted).await;
    let read = read_all(store.as_ref(), log, Position::START, ALL).await;
    let read =
        read.into_iter().map(|e| NewEntry { attributes: e.attributes, key: e.key, value: e.value });
    assert_eq!(read.collect::<Vec<_>>(), entries);
}

/// Keys that are given and taken away.
#[derive(Default)]
struct Keys(Mutex<Vec<u64>>);

impl Keys {
    fn key(n: u64) -> ChunkKey {
        ChunkKey::new(KeyNumber::from_u64(n), DataKey::from_bytes(&[n as u8; 32]))
    }
    fn give(&self, keys: &[u64]) {
        *self.0.lock() = keys.to_vec();
    }
}

impl ChunkKeys for Keys {
    fn get(&self, key: KeyNumber) -> Option<ChunkKey> {
        self.0.lock().contains(&key.as_u64()).then(|| Keys::key(key.as_u64()))
    }
}

fn sealed(key: u64, batch: Batch) -> Batch {
    Batch { seal: Some(Arc::new(Keys::key(key))), ..batch }
}

async fn sealed_entries_are_read_while_their_key_is_given(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    append(store.as_ref(), log, batch(1, [0, 1])).await;
    let range = append(store.as_ref(), log, sealed(7, batch(2, 2..9))).await;
    append(store.as_ref(), log, batch(3, [9])).await;
    let locked = Err(ReadError::Locked { log, key: KeyNumber::from_u64(7) });
    let page = store.read(log, Position::START, ALL).await.expect("what is before is readable");
    assert_eq!(numbers(&page.entries), [0, 1]);
    assert_eq!(store.read(log, range.first, ALL).await, locked);
    assert_eq!(store.find(log, Timestamp::from_millis(2)).await, Ok(range.first), "needs no key");
    let keys = Arc::new(Keys::default());
    let keyed = store.with_keys(keys.clone());
    for _ in 0..2 {
        assert_eq!(keyed.read(log, range.first, ALL).await, locked);
        keys.give(&[7]);
        let read = read_all(keyed.as_ref(), log, Position::START, ALL).await;
        assert_eq!(numbers(&read), (0..10).collect::<Vec<_>>());
        for e in &read {
            let expected = (2..9).contains(&e.attributes).then_some(KeyNumber::from_u64(7));
            assert_eq!(e.sealed, expected, "an entry tells whether it was sealed");
        }
        for limit in [1, 3] {
            let limit = ReadLimit { entries_max: limit, bytes_max: usize::MAX };
            assert_eq!(read_all(keyed.as_ref(), log, Position::START, limit).await, read);
        }
        assert_eq!(store.read(log, range.first, ALL).await, locked, "keys are not shared");
        keys.give(&[]);
    }
    let page = keyed.read(log, range.first.next(), ALL).await;
    assert_eq!(page, locked, "a key taken away is not used any more");
    let after = Position::new(range.first.lsn, range.first.index + range.count);
    let page = store.read(log, after, ALL).await.expect("what is behind is readable");
    assert_eq!(numbers(&page.entries), [9]);
}

async fn keys_change_along_a_log(store: Arc<dyn LogStore>, family: u32) {
    let log = new_log(store.as_ref(), family, 0).await;
    for n in 0..12 {
        append(store.as_ref(), log, sealed(u64::from(n % 3) + 1, batch(1, [n * 2, n * 2 + 1])))
            .await;
    }
    let keys = Arc::new(Keys::default());
    let keyed = store.with_keys(keys.clone());
    keys.give(&[1, 2]);
    let page = keyed.read(log, Position::START, ALL).await.expect("the first keys are there");
    assert_eq!(numbers(&page.entries), [0, 1, 2, 3]);
    let locked = keyed.read(log, page.next, ALL).await;
    assert_eq!(locked, Err(ReadError::Locked { log, key: KeyNumber::from_u64(3) }));
    keys.give(&[1, 2, 3]);
    let read = read_all(keyed.as_ref(), log, Position::START, ALL).await;
    assert_eq!(numbers(&read), (0..24).collect::<Vec<_>>());
}

/// What must be the same after a restart.
struct Survivor {
    keys: Arc<Keys>,
    logs: Vec<(LogId, Vec<Entry>, Tail)>,
    sealed: LogId,
    deleted: LogId,
}

impl Survivor {
    async fn prepare(store: &dyn LogStore, family: u32) -> Survivor {
        let keys = Arc::new(Keys::default());
        keys.give(&[0, 1]);
        let store = &*store.with_keys(keys.clone());
        let mut logs = Vec::new();
        for member in 0..5 {
            let log = new_log(store, family, member).await;
            for n in 0..member * 10 {
                let batch = batch(u64::from(n), n..n + 1 + n % 4);
                let batch = if n % 3 == 0 { sealed(u64::from(n % 2), batch) } else { batch };
                append(store, log, batch).await;
            }
            logs.push(log);
        }
        let sealed = logs[1];
        let trimmed = read_all(store, logs[2], Position::START, ALL).await[5].position;
        store.seal(sealed).await.expect("sealable");
        store.trim(logs[2], trimmed).await.expect("trimmable");
        let deleted = logs.pop().expect("five were made");
        store.delete(vec![deleted]).await.expect("deletable");
        let mut state = Vec::new();
        for log in logs {
            let tail = *store.tail(log).expect("it exists").borrow();
            state.push((log, read_all(store, log, Position::START, ALL).await, tail));
        }
        Survivor { keys, logs: state, sealed, deleted }
    }

    async fn check(&self, store: &dyn LogStore) {
        let store = &*store.with_keys(self.keys.clone());
        for (log, entries, tail) in &self.logs {
            let read = read_all(store, *log, Position::START, ALL).await;
            assert_eq!(read, *entries, "log {log} after a restart");
            assert_eq!(*store.tail(*log).expect("it exists").borrow(), *tail, "log {log}");
        }
        let refused = try_append(store, self.sealed, batch(1, [1])).await;
        assert_eq!(refused, Err(AppendError::Sealed { log: self.sealed }));
        let log = self.deleted;
        let read = store.read(log, Position::START, ALL).await;
        assert_eq!(read, Err(ReadError::NotFound { log }));
        let other = new_log(store, log.family() + 1, log.member()).await;
        let first = append(store, other, batch(1, [1])).await.first;
        let ends = self.logs.iter().map(|(_, _, tail)| tail.next);
        assert!(ends.max() <= Some(first), "a position is never given twice");
        store.delete(vec![other]).await.expect("deletable");
    }
}

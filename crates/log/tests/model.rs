//! Random histories against a model that keeps everything in memory, with checkpoints, merges,
//! crashes and restarts in between.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_base::Timestamp;
use millstream_log::{
    AppendError, EmbeddedLog, Entry, LogId, LogStore, Options, Position, ReadError, ReadLimit,
};
use proptest::prelude::*;
use support::{MemDisk, batch, entry, keyed, read_all, runtime};

#[derive(Clone, Debug)]
enum Op {
    Create(u8),
    /// Batches of one call: log, time, sizes of values.
    Append(Vec<(u8, u64, Vec<u16>)>),
    Trim(u8, u8),
    Seal(u8),
    Delete(u8),
    Read(u8, u8, usize, usize),
    Find(u8, u64),
    Checkpoint,
    Merge,
    Crash,
    Shutdown,
}

fn op() -> impl Strategy<Value = Op> {
    let log = 0..12u8;
    let sizes = prop::collection::vec(prop_oneof![9 => 0..400u16, 1 => 400..20_000u16], 1..8);
    let calls = prop::collection::vec((log.clone(), 0..50u64, sizes), 1..5);
    prop_oneof![
        2 => log.clone().prop_map(Op::Create),
        12 => calls.prop_map(Op::Append),
        2 => (log.clone(), any::<u8>()).prop_map(|(l, p)| Op::Trim(l, p)),
        1 => (0..40u8).prop_map(Op::Seal),
        1 => (0..40u8).prop_map(Op::Delete),
        4 => (log.clone(), any::<u8>(), 1..40usize, 0..5_000usize)
            .prop_map(|(l, p, n, b)| Op::Read(l, p, n, b)),
        2 => (log, 0..60u64).prop_map(|(l, at)| Op::Find(l, at)),
        3 => Just(Op::Checkpoint),
        2 => Just(Op::Merge),
        2 => Just(Op::Crash),
        1 => Just(Op::Shutdown),
    ]
}

#[derive(Default)]
struct Model {
    logs: BTreeMap<LogId, ModelLog>,
    gone: Vec<LogId>,
    numbers: u32,
}

#[derive(Default)]
struct ModelLog {
    entries: Vec<Entry>,
    trim: Position,
    sealed: bool,
    last_at: Timestamp,
}

impl ModelLog {
    fn live(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.position >= self.trim)
    }
    /// A position somewhere in the log, or beside it.
    fn pick(&self, n: u8) -> Position {
        match (n, self.entries.len()) {
            (0, _) | (_, 0) => Position::START,
            (255, _) => Position::END,
            (n, len) => {
                let p = self.entries[n as usize * len / 256].position;
                if n % 3 == 0 { p.next() } else { p }
            }
        }
    }
}

/// Three families: some share segment files, some grow out of them.
fn id(n: u8) -> LogId {
    LogId::new(1 + u32::from(n) % 3, u32::from(n))
}

fn options() -> Options {
    Options {
        own_segment_bytes_min: 4 << 10,
        merge_fan_in: 2,
        merge_interval: Duration::from_secs(3600),
        scrub_bytes_per_sec: 0,
        idle_marker_after: Duration::from_millis(1),
        memory_bytes: 64 << 10,
        batch_bytes_max: 200 << 10,
        wal_file_bytes: 1 << 20,
        wal_bytes_max: 4 << 20,
        ..Options::tiny()
    }
}

async fn open(disk: &MemDisk) -> EmbeddedLog {
    EmbeddedLog::open(disk.env(), options()).await.unwrap().0
}

async fn step(store: EmbeddedLog, disk: &MemDisk, model: &mut Model, op: &Op) -> EmbeddedLog {
    match op {
        Op::Create(n) => {
            let log = id(*n);
            if !model.gone.contains(&log) {
                store.create(vec![log]).await.unwrap();
                model.logs.entry(log).or_default();
            }
        }
        Op::Append(calls) => append(&store, model, calls).await,
        Op::Trim(n, p) => {
            let log = id(*n);
            if let Some(m) = model.logs.get_mut(&log) {
                let tail = store.tail(log).unwrap().borrow().next;
                let before = m.pick(*p);
                store.trim(log, before).await.unwrap();
                m.trim = m.trim.max(before.min(tail));
            }
        }
        Op::Seal(n) => {
            if let Some(m) = model.logs.get_mut(&id(*n)) {
                assert!(store.seal(id(*n)).await.unwrap().sealed);
                m.sealed = true;
            }
        }
        Op::Delete(n) => {
            store.delete(vec![id(*n)]).await.unwrap();
            if model.logs.remove(&id(*n)).is_some() {
                model.gone.push(id(*n));
            }
        }
        Op::Read(n, p, entries_max, bytes_max) => {
            let limit = ReadLimit { entries_max: *entries_max, bytes_max: *bytes_max };
            read(&store, model, id(*n), *p, limit).await;
        }
        Op::Find(n, at) => find(&store, model, id(*n), Timestamp::from_millis(*at)).await,
        Op::Checkpoint => store.checkpoint().await.unwrap(),
        Op::Merge => store.merge().await.unwrap(),
        Op::Crash => {
            store.crash().await;
            return open(disk).await;
        }
        Op::Shutdown => {
            store.shutdown().await;
            drop(store);
            return open(disk).await;
        }
    }
    store
}

async fn append(store: &EmbeddedLog, model: &mut Model, calls: &[(u8, u64, Vec<u16>)]) {
    let mut batches: BTreeMap<LogId, (u64, Vec<u32>)> = BTreeMap::new();
    let mut call = Vec::new();
    for (n, at, sizes) in calls {
        if batches.contains_key(&id(*n)) {
            continue;
        }
        let numbers = (model.numbers..).take(sizes.len()).collect::<Vec<_>>();
        model.numbers += sizes.len() as u32;
        let entries = numbers.iter().zip(sizes).map(|(n, s)| entry(*n, *s as usize)).collect();
        call.push((id(*n), batch(*at, entries)));
        batches.insert(id(*n), (*at, numbers));
    }
    let results = store.append(call.clone()).await;
    for ((log, batch), result) in call.into_iter().zip(results) {
        match (model.logs.get_mut(&log), result) {
            (None, result) => assert_eq!(result, Err(AppendError::NotFound { log })),
            (Some(m), result) if m.sealed => assert_eq!(result, Err(AppendError::Sealed { log })),
            (Some(m), result) => {
                let range = result.unwrap();
                assert_eq!(range.at, batch.at.max(m.last_at));
                m.last_at = range.at;
                let last = m.entries.last().map(|e| e.position);
                assert!(last < Some(range.first) || last.is_none(), "positions increase");
                m.entries.extend(batch.entries.into_iter().zip(0..).map(|(e, i)| Entry {
                    position: Position::new(range.first.lsn, range.first.index + i),
                    at: range.at,
                    sealed: batch.seal.as_ref().map(|key| key.reference()),
                    attributes: e.attributes,
                    key: e.key,
                    value: e.value,
                }));
            }
        }
    }
}

async fn read(store: &EmbeddedLog, model: &Model, log: LogId, p: u8, limit: ReadLimit) {
    let Some(m) = model.logs.get(&log) else {
        let read = keyed(store).read(log, Position::START, limit).await;
        return assert_eq!(read, Err(ReadError::NotFound { log }));
    };
    let from = m.pick(p);
    let page = keyed(store).read(log, from, limit).await.unwrap();
    let expected: Vec<&Entry> = m.live().filter(|e| e.position >= from).collect();
    let weight = |e: &Entry| e.key.len() + e.value.len();
    assert!(page.entries.len() <= limit.entries_max);
    assert!(
        page.entries.len() <= 1
            || page.entries.iter().map(weight).sum::<usize>() <= limit.bytes_max
    );
    assert_eq!(page.entries.iter().collect::<Vec<_>>(), expected[..page.entries.len()]);
    assert_eq!(page.entries.is_empty(), expected.is_empty());
    assert!(page.next >= from);
    if let Some(next) = expected.get(page.entries.len()) {
        assert!(page.next <= next.position, "nothing is skipped");
    }
}

async fn find(store: &EmbeddedLog, model: &Model, log: LogId, at: Timestamp) {
    let Some(m) = model.logs.get(&log) else { return };
    let expected = m.live().find(|e| e.at >= at).map(|e| e.position);
    let tail = store.tail(log).unwrap().borrow().next;
    assert_eq!(store.find(log, at).await.unwrap(), expected.unwrap_or(tail), "time {at}");
}

async fn compare(store: &EmbeddedLog, model: &Model) {
    for (log, m) in &model.logs {
        let (entries, end) = read_all(store, *log, Position::START).await;
        assert_eq!(end, Ok(()));
        assert!(entries.iter().eq(m.live()), "log {log} differs");
        let tail = *store.tail(*log).unwrap().borrow();
        assert_eq!((tail.sealed, tail.last_at), (m.sealed, m.last_at));
        assert!(m.entries.last().is_none_or(|e| e.position < tail.next));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn every_history_is_as_the_model_says(ops in prop::collection::vec(op(), 1..120)) {
        runtime().block_on(async {
            let disk = MemDisk::new();
            let mut model = Model::default();
            let mut store = open(&disk).await;
            for n in 0..8 {
                store.create(vec![id(n)]).await.unwrap();
                model.logs.entry(id(n)).or_default();
            }
            for op in &ops {
                store = step(store, &disk, &mut model, op).await;
            }
            compare(&store, &model).await;
            store.crash().await;
            let report = millstream_log::fsck::check(disk.disk()).unwrap();
            assert!(report.is_sound(), "{report}");
            let store = open(&disk).await;
            compare(&store, &model).await;
            store.shutdown().await;
        });
    }
}

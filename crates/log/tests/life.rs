//! A store's long life: files stay few, what is trimmed leaves the disk, a full disk passes.
#![allow(clippy::disallowed_methods)]

mod support;

use std::time::Duration;

use millstream_log::{
    AppendError, EmbeddedLog, LogId, LogStore, OpenError, Options, Position, fsck,
};
use support::{MemDisk, batch, entry, quiet, read_all, runtime};

async fn open(disk: &MemDisk, options: Options) -> EmbeddedLog {
    EmbeddedLog::open(disk.env(), options).await.unwrap().0
}

async fn put(
    store: &EmbeddedLog,
    log: LogId,
    n: u32,
    bytes: usize,
) -> Result<Position, AppendError> {
    let entries = vec![entry(n, bytes)];
    store.append(vec![(log, batch(u64::from(n), entries))]).await.remove(0).map(|r| r.first)
}

async fn numbers(store: &EmbeddedLog, log: LogId) -> Vec<u32> {
    let (entries, end) = read_all(store, log, Position::START).await;
    end.unwrap();
    entries.iter().map(|e| e.attributes).collect()
}

/// Waits for what happens in the background.
async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

#[test]
fn many_checkpoints_leave_few_files_and_every_entry() {
    runtime().block_on(async {
        let disk = MemDisk::new();
        let store = open(&disk, Options::tiny()).await;
        let logs: Vec<LogId> = (0..30).map(|n| LogId::new(n % 10, n)).collect();
        store.create(logs.clone()).await.unwrap();
        for n in 0..6_000 {
            put(&store, logs[n as usize % 30], n, 300).await.unwrap();
        }
        let stats = store.stats();
        assert!(stats.checkpoints > 20, "{stats:?}");
        assert!(stats.memory_bytes <= 512 << 10, "memory is bounded: {stats:?}");
        assert!(stats.wal_files_bytes <= 2 << 20, "the write-ahead log is bounded: {stats:?}");
        eventually("merging", || store.stats().segments < 25).await;
        for (i, log) in logs.iter().enumerate() {
            let expected: Vec<u32> = (0..6_000).filter(|n| *n as usize % 30 == i).collect();
            assert_eq!(numbers(&store, *log).await, expected);
        }
        store.shutdown().await;
        assert!(fsck::check(disk.disk()).unwrap().is_sound());
    });
}

#[test]
fn what_is_trimmed_or_deleted_leaves_the_disk() {
    runtime().block_on(async {
        let disk = MemDisk::new();
        let store = open(&disk, Options::tiny()).await;
        let (kept, trimmed, deleted) = (LogId::new(1, 0), LogId::new(1, 1), LogId::new(2, 0));
        store.create(vec![kept, trimmed, deleted]).await.unwrap();
        for n in 0..2_000 {
            put(&store, trimmed, n, 500).await.unwrap();
            put(&store, deleted, n, 500).await.unwrap();
            if n % 100 == 0 {
                put(&store, kept, n, 100).await.unwrap();
            }
        }
        store.checkpoint().await.unwrap();
        let before = store.stats().segment_bytes;
        assert!(before > 1_500_000, "{before}");
        store.trim(trimmed, Position::END).await.unwrap();
        store.delete(vec![deleted]).await.unwrap();
        eventually("deleting", || store.stats().segment_bytes < 100_000).await;
        assert_eq!(numbers(&store, kept).await, (0..20).map(|n| n * 100).collect::<Vec<_>>());
        store.crash().await;
        let store = open(&disk, quiet()).await;
        assert_eq!(numbers(&store, trimmed).await, []);
        put(&store, trimmed, 7, 10).await.unwrap();
        assert_eq!(numbers(&store, trimmed).await, [7]);
    });
}

#[test]
fn a_full_disk_refuses_appends_and_recovers_by_itself() {
    runtime().block_on(async {
        let disk = MemDisk::new();
        let store = open(&disk, Options::tiny()).await;
        let log = LogId::new(1, 0);
        store.create(vec![log]).await.unwrap();
        let mut written = Vec::new();
        disk.set_capacity(700 << 10);
        let refused = loop {
            let n = written.len() as u32;
            match put(&store, log, n, 2_000).await {
                Ok(_) => written.push(n),
                Err(e) => break e,
            }
            assert!(written.len() < 10_000, "a full disk is noticed");
        };
        assert!(matches!(refused, AppendError::Full { .. }), "{refused:?}");
        let health = store.health();
        assert!(health.full.is_some() || health.checkpoint_error.is_some(), "{health:?}");
        assert_eq!(numbers(&store, log).await, written, "reads go on");
        store.crash().await;
        let store = open(&disk, Options::tiny()).await;
        assert_eq!(numbers(&store, log).await, written, "a start on a full disk serves all");
        assert!(matches!(put(&store, log, 1, 60_000).await, Ok(_) | Err(AppendError::Full { .. })));
        let held = numbers(&store, log).await;
        disk.set_capacity(u64::MAX);
        let mut n = 100_000;
        for _ in 0..500 {
            if put(&store, log, n, 2_000).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            n += 1;
        }
        eventually("health", || store.health() == Default::default()).await;
        let mut expected = held;
        expected.push(n);
        for _ in 0..200 {
            n += 1;
            put(&store, log, n, 2_000).await.unwrap();
            expected.push(n);
        }
        assert_eq!(numbers(&store, log).await, expected);
        store.shutdown().await;
        assert!(fsck::check(disk.disk()).unwrap().is_sound());
    });
}

#[test]
fn the_scrub_reports_what_rots() {
    runtime().block_on(async {
        let disk = MemDisk::new();
        let rarely = Options { checkpoint_bytes: 60 << 10, ..quiet() };
        let store = open(&disk, rarely).await;
        let log = LogId::new(1, 0);
        store.create(vec![log]).await.unwrap();
        for n in 0..40 {
            put(&store, log, n, 1_000).await.unwrap();
        }
        store.checkpoint().await.unwrap();
        store.scrub().await;
        assert_eq!(store.health().damage, []);
        let file = disk.only("seg/", ".seg");
        disk.edit(&file, |b| b[20_000] ^= 1);
        store.scrub().await;
        let damage = store.health().damage;
        assert_eq!(damage.len(), 1, "{damage:?}");
        assert_eq!(damage[0].file, file);
        assert!((18_000..=20_000).contains(&damage[0].offset), "{damage:?}");
        store.crash().await;
        // From the file, not from memory.
        let store = open(&disk, quiet()).await;
        let (entries, end) = read_all(&store, log, Position::START).await;
        assert!(entries.len() > 15 && entries.len() < 20, "{} before the damage", entries.len());
        assert!(format!("{end:?}").contains(&file), "{end:?}");
    });
}

#[test]
fn a_future_format_is_refused_with_its_number() {
    runtime().block_on(async {
        let disk = MemDisk::new();
        open(&disk, quiet()).await.shutdown().await;
        disk.edit("log.format", |b| {
            let text = String::from_utf8(b.clone()).unwrap();
            let (start, _) = text.split_once(" check").unwrap();
            let start = start.replace("format 1", "format 2");
            let sum = crc_fast::crc32_iscsi(start.as_bytes());
            *b = format!("{start} check {sum:08x}\n").into_bytes();
        });
        let refused = EmbeddedLog::open(disk.env(), quiet()).await.err().unwrap();
        assert!(matches!(refused, OpenError::Newer { version: 2, known: 1 }), "{refused}");
        assert!(refused.to_string().contains("log format 2"), "{refused}");
    });
}

#[test]
fn a_second_process_is_refused() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let env = || millstream_env::Env::real(dir.path());
        let (store, _) = EmbeddedLog::open(env(), quiet()).await.unwrap();
        let refused = EmbeddedLog::open(env(), quiet()).await.err().unwrap();
        assert!(matches!(refused, OpenError::Locked), "{refused}");
        store.shutdown().await;
        drop(store);
        EmbeddedLog::open(env(), quiet()).await.unwrap();
    });
}

#[test]
fn a_queue_without_room_answers_in_bounded_time() {
    runtime().block_on(async {
        let disk = MemDisk::new();
        let options = Options { queue_wait: Duration::from_millis(50), ..Options::tiny() };
        let store = open(&disk, options).await;
        let log = LogId::new(1, 0);
        store.create(vec![log]).await.unwrap();
        // Far more at once than the queue takes: each is written or told so, none is forgotten.
        let calls = (0..400).map(|n| {
            let store = store.clone();
            async move { (n, put(&store, log, n, 50_000).await) }
        });
        let results = futures_util::future::join_all(calls).await;
        let mut written: Vec<(Position, u32)> = Vec::new();
        for (n, result) in results {
            match result {
                Ok(position) => written.push((position, n)),
                Err(AppendError::Overloaded) => {}
                Err(e) => panic!("{e}"),
            }
        }
        written.sort_unstable();
        let expected: Vec<u32> = written.into_iter().map(|(_, n)| n).collect();
        assert_eq!(numbers(&store, log).await, expected);
    });
}

#[test]
fn a_clean_end_leaves_nothing_to_read_back() {
    runtime().block_on(async {
        let disk = MemDisk::new();
        let store = open(&disk, quiet()).await;
        let log = LogId::new(1, 0);
        store.create(vec![log]).await.unwrap();
        for n in 0..10 {
            put(&store, log, n, 100).await.unwrap();
        }
        store.shutdown().await;
        let late = put(&store, log, 11, 1).await;
        assert!(matches!(late, Err(AppendError::Stopped { .. })), "{late:?}");
        drop(store);
        let (store, report) = EmbeddedLog::open(disk.env(), quiet()).await.unwrap();
        assert_eq!((report.frames, report.torn_bytes, report.logs), (0, 0, 1), "{report}");
        assert_eq!(numbers(&store, log).await, (0..10).collect::<Vec<_>>());
    });
}

#[test]
fn ten_thousand_logs_are_ordinary() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let env = || millstream_env::Env::real(dir.path());
        let (store, _) = EmbeddedLog::open(env(), Options::default()).await.unwrap();
        let logs: Vec<LogId> = (0..10_000).map(|n| LogId::new(n / 3, n % 3)).collect();
        let before = resident_kib();
        store.create(logs.clone()).await.unwrap();
        let each = (resident_kib() - before) as f64 / 10.0;
        println!("{each:.0} bytes of memory per log");
        for round in 0..3 {
            for some in logs.chunks(1_000) {
                let batches =
                    some.iter().map(|l| (*l, batch(round, vec![entry(round as u32, 64)])));
                assert!(store.append(batches.collect()).await.iter().all(Result::is_ok));
            }
            store.checkpoint().await.unwrap();
        }
        assert!(store.stats().segments <= 3, "small logs share files");
        store.crash().await;
        let (store, report) = EmbeddedLog::open(env(), Options::default()).await.unwrap();
        assert_eq!(report.logs, 10_000);
        for log in logs.iter().step_by(611) {
            assert_eq!(numbers(&store, *log).await, [0, 1, 2]);
        }
    });
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

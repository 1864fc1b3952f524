//! A damaged byte anywhere is reported, or does no harm; it never changes what is read.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_log::fsck::LostKind;
use millstream_log::{
    EmbeddedLog, Entry, LogId, LogStore, OpenError, Options, Position, ReadError, fsck,
};
use support::{MemDisk, batch, entry, quiet, read_all, runtime};

type Content = BTreeMap<LogId, Vec<Entry>>;

const LOGS: [LogId; 3] = [LogId::new(1, 0), LogId::new(1, 1), LogId::new(2, 0)];

/// A small store that was not shut down: entries in a segment file, and newer ones in the
/// write-ahead log, the last of them proven by a marker.
async fn sample() -> (MemDisk, Content) {
    let disk = MemDisk::new();
    let (log, _) = EmbeddedLog::open(disk.env(), quiet()).await.unwrap();
    log.create(LOGS.to_vec()).await.unwrap();
    for n in 0..6u32 {
        let id = LOGS[n as usize % 3];
        let entries = vec![entry(n, 40), entry(n + 100, 0)];
        log.append(vec![(id, batch(u64::from(n), entries))]).await.remove(0).unwrap();
        if n == 2 {
            log.checkpoint().await.unwrap();
        }
    }
    let first = log.read(LOGS[0], Position::START, support::ALL).await.unwrap().entries[1].position;
    log.trim(LOGS[0], first).await.unwrap();
    log.seal(LOGS[2]).await.unwrap();
    // The marker needs a moment.
    let before = log.stats().wal_bytes;
    while log.stats().wal_bytes == before {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let content = content(&log).await.unwrap();
    log.crash().await;
    (disk, content)
}

async fn content(log: &EmbeddedLog) -> Result<Content, ReadError> {
    let mut all = Content::new();
    for id in LOGS {
        let (entries, end) = read_all(log, id, Position::START).await;
        all.insert(id, entries);
        end?;
    }
    Ok(all)
}

/// Opens a damaged store. `Err` says how the damage was reported.
async fn served(disk: &MemDisk) -> Result<Content, String> {
    let (log, _) = match EmbeddedLog::open(disk.env(), quiet()).await {
        Ok(open) => open,
        Err(e @ (OpenError::Damaged(_) | OpenError::Newer { .. })) => return Err(e.to_string()),
        Err(e) => panic!("neither sound nor damaged: {e}"),
    };
    let content = content(&log).await;
    log.crash().await;
    content.map_err(|e| match e {
        ReadError::Corrupt { .. } => e.to_string(),
        e => panic!("neither sound nor damaged: {e}"),
    })
}

/// What `damage` did to `path` must be reported by the check, or be harmless.
async fn judge(disk: &MemDisk, path: &str, expected: &Content, what: &str) {
    match fsck::check(disk.disk()) {
        Ok(report) if report.is_sound() => {
            let served = served(disk).await;
            assert_eq!(served.as_ref(), Ok(expected), "{what} is not reported and not harmless");
        }
        Ok(report) => {
            let named = report.findings.iter().any(|f| f.damage.file == path);
            assert!(named, "{what}: the check blames something else: {report}");
            if let Ok(content) = served(disk).await {
                assert_eq!(content, *expected, "{what} changes what is read");
            }
        }
        Err(OpenError::Newer { .. } | OpenError::Damaged(_)) => {
            assert!(served(disk).await.is_err(), "{what}: the check refuses, the store does not");
        }
        Err(e) => panic!("{what}: {e}"),
    }
}

/// Files, and how much of each is in use: behind that, a write-ahead file is empty.
fn files(disk: &MemDisk) -> Vec<(String, usize)> {
    let used = |path: &String| {
        let bytes = disk.bytes(path);
        let last = bytes.iter().rposition(|b| *b != 0).unwrap_or(0);
        (last + 200).min(bytes.len())
    };
    disk.paths().into_iter().map(|p| (p.clone(), used(&p))).collect()
}

#[test]
fn every_flipped_byte_is_reported_or_harmless() {
    runtime().block_on(async {
        let (disk, expected) = sample().await;
        let mut flips = 0;
        for (path, used) in files(&disk) {
            for at in 0..used {
                // Zeroes between frames are all alike.
                let bytes = disk.bytes(&path);
                let dull = |b: &[u8]| b.iter().all(|b| *b == 0);
                if at % 97 != 0 && dull(&bytes[at.saturating_sub(9)..(at + 9).min(used)]) {
                    continue;
                }
                let damaged = disk.copy();
                damaged.edit(&path, |b| b[at] ^= 1 << (at % 8));
                judge(&damaged, &path, &expected, &format!("a flip in {path} at {at}")).await;
                flips += 1;
            }
        }
        assert!(flips > 2_000, "only {flips} places were tried");
    });
}

#[test]
fn every_cut_is_reported_or_harmless() {
    runtime().block_on(async {
        let (disk, expected) = sample().await;
        for (path, used) in files(&disk) {
            for len in
                (0..used).step_by(if used > 9_000 { 61 } else { 7 }).chain([used / 4096 * 4096])
            {
                let damaged = disk.copy();
                damaged.edit(&path, |b| b.truncate(len));
                judge(&damaged, &path, &expected, &format!("{path} cut to {len}")).await;
            }
        }
    });
}

#[test]
fn every_missing_file_is_reported_or_harmless() {
    runtime().block_on(async {
        let (disk, expected) = sample().await;
        for (path, _) in files(&disk) {
            let damaged = disk.copy();
            damaged.delete(&path);
            judge(&damaged, &path, &expected, &format!("{path} missing")).await;
        }
    });
}

/// After a repair the store opens, and serves everything but what the repair named.
#[test]
fn a_repair_loses_only_what_it_names() {
    runtime().block_on(async {
        let (disk, expected) = sample().await;
        let mut repaired = 0;
        for (path, used) in files(&disk) {
            for at in (0..used).step_by(7) {
                let damaged = disk.copy();
                damaged.edit(&path, |b| b[at] ^= 0x55);
                if fsck::check(damaged.disk()).is_ok_and(|r| r.is_sound()) {
                    continue;
                }
                let what = format!("a flip in {path} at {at}");
                let repair = match fsck::repair(damaged.disk()) {
                    Ok(repair) => repair,
                    Err(OpenError::Newer { .. }) => continue,
                    Err(e) => panic!("{what}: {e}"),
                };
                assert!(repair.after.is_sound(), "{what}: {:?}\n{}", repair.actions, repair.after);
                let content = served(&damaged).await;
                let content = content.unwrap_or_else(|e| panic!("{what}, repaired: {e}"));
                check_losses(&content, &expected, &repair, &what);
                repaired += 1;
            }
        }
        assert!(repaired > 300, "only {repaired} repairs were tried");
    });
}

fn check_losses(content: &Content, expected: &Content, repair: &fsck::Repair, what: &str) {
    // Without a manifest nobody knows what was trimmed.
    let lost = |kind| repair.findings.iter().flat_map(|f| &f.lost).any(|l| l.kind == kind);
    let trims_lost = repair.findings.iter().any(|f| f.damage.file == "manifest")
        || lost(LostKind::Trim)
        || lost(LostKind::Anything);
    for log in LOGS {
        for e in &content[&log] {
            let was = expected[&log].contains(e);
            assert!(was || trims_lost, "{what}: {:?} of {log} was not there before", e.position);
        }
        for e in expected[&log].iter().filter(|e| !content[&log].contains(e)) {
            let lost = repair.findings.iter().flat_map(|f| &f.lost);
            let named = lost
                .filter(|l| l.log.is_none_or(|l| l == log))
                .any(|l| l.from <= e.position && e.position < l.before);
            assert!(named, "{what}: {:?} of {log} is gone unnamed: {repair:?}", e.position);
        }
    }
}

/// The torn end of a crash is cut; what follows in later runs is found again and again.
#[test]
fn torn_ends_are_cut_for_good() {
    runtime().block_on(async {
        let disk = MemDisk::new();
        let id = LogId::new(1, 0);
        let mut expected = Vec::new();
        for run in 0..20u32 {
            let unmarked = Options { idle_marker_after: Duration::from_secs(3600), ..quiet() };
            let (log, report) = EmbeddedLog::open(disk.env(), unmarked).await.unwrap();
            // A frame that lost its header looks like the file's earlier use.
            let seen = run > 0 && (run - 1) % 3 != 1;
            assert_eq!(report.torn_bytes > 0, seen, "run {run}: {report:?}");
            log.create(vec![id]).await.unwrap();
            let (read, end) = read_all(&log, id, Position::START).await;
            end.unwrap();
            let read: Vec<u32> = read.iter().map(|e| e.attributes).collect();
            assert_eq!(read, expected, "run {run}");
            for n in 0..3 {
                let entries = vec![entry(run * 10 + n, 900)];
                log.append(vec![(id, batch(1, entries))]).await.remove(0).unwrap();
                expected.push(run * 10 + n);
            }
            if run % 7 == 6 {
                log.checkpoint().await.unwrap();
            }
            let unacknowledged = vec![entry(999, 6_000)];
            log.append(vec![(id, batch(1, unacknowledged))]).await.remove(0).unwrap();
            log.crash().await;
            tear_last_frame(&disk, run as usize % 3);
        }
    });
}

/// Damages the newest frame as a power loss in the middle of its write would.
fn tear_last_frame(disk: &MemDisk, how: usize) {
    let (path, at) = disk
        .paths()
        .into_iter()
        .filter(|p| p.ends_with(".wal"))
        .flat_map(|p| {
            let bytes = disk.bytes(&p);
            let frames = (0..bytes.len()).step_by(4096);
            frames
                .filter(|at| bytes[*at..].starts_with(b"MSWF"))
                .map(|at| {
                    let lsn = u64::from_le_bytes(bytes[at + 32..at + 40].try_into().unwrap());
                    (lsn, p.clone(), at)
                })
                .collect::<Vec<_>>()
        })
        .max()
        .map(|(_, p, at)| (p, at))
        .unwrap();
    disk.edit(&path, |b| match how {
        0 => b[at + 4096..at + 8192].fill(0),
        1 => b[at..at + 512].fill(0xee),
        _ => b[at + 1024..at + 1536].fill(7),
    });
}

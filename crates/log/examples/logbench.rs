//! Measures the embedded store on a real disk.
//!
//! `cargo run --release -p millstream-log --example logbench -- [DIR] [SECONDS] [CASE…]`
//! where a case is PRODUCERSxBATCH (default: 1x1 64x1 1x500 16x500), or that with `:sealed` behind
//! it, `disk`, `read`, `recover`,
//! or `logs` (memory of 10,000 logs). `nosync` before the cases switches the syncs off.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use millstream_base::Timestamp;
use millstream_env::disk::AlignedBuf;
use millstream_env::{Env, OpenMode};
use millstream_log::{
    Batch, ChunkKey, EmbeddedLog, KeyNumber, LogId, LogStore, NewEntry, Options, Position,
    ReadLimit,
};
use millstream_secrets::DataKey;

const RECORD_BYTES: usize = 1024;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "/tmp/logbench".into()));
    let seconds: u64 = args.next().map_or(5, |s| s.parse().expect("seconds"));
    let mut cases: Vec<String> = args.collect();
    let mut options = Options::default();
    if let Some(at) = cases.iter().position(|c| c == "nosync") {
        options.sync = false;
        cases.remove(at);
    }
    if cases.is_empty() {
        cases = ["disk", "1x1", "64x1", "1x500", "16x500", "read", "recover", "logs"]
            .map(String::from)
            .into();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for case in cases {
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            let env = Env::real(&dir);
            match case.as_str() {
                "disk" => disk(&env),
                "read" => read(env, options.clone()).await,
                "recover" => recover(env, options.clone()).await,
                "logs" => logs(env, options.clone()).await,
                case => {
                    let (case, seal) = match case.strip_suffix(":sealed") {
                        Some(case) => (case, Some(Arc::new(key()))),
                        None => (case, None),
                    };
                    let (producers, batch) = case.split_once('x').expect("PRODUCERSxBATCH");
                    let (producers, batch) = (producers.parse().unwrap(), batch.parse().unwrap());
                    append(env, options.clone(), producers, batch, seal, seconds).await;
                }
            }
        }
        let _ = std::fs::remove_dir_all(&dir);
    });
}

/// One 4 KiB write and sync, as a lone append makes.
fn disk(env: &Env) {
    let path = Path::new("probe");
    let file = env.disk.open(path, OpenMode::CreateNew).unwrap();
    file.preallocate(64 << 20).unwrap();
    let mut block = AlignedBuf::with_capacity(1 << 20);
    block.extend_from_slice(&vec![0; 1 << 20]);
    for at in 0..64 {
        file.write_all_at(&block, at << 20).unwrap();
    }
    file.sync_data().unwrap();
    let file = env.disk.open(path, OpenMode::WriteDirect).unwrap();
    let mut times = Vec::new();
    for at in 0..8192u64 {
        let began = Instant::now();
        file.write_all_at(&block[..4096], at * 4096).unwrap();
        file.sync_data().unwrap();
        times.push(began.elapsed());
    }
    println!("disk: 4 KiB write + sync      {}", percentiles(&mut times));
}

fn records(n: usize) -> Vec<NewEntry> {
    let value = Bytes::from(vec![b'x'; n * RECORD_BYTES]);
    (0..n)
        .map(|i| NewEntry {
            attributes: 0,
            key: Bytes::from_static(b"partition-key-17"),
            value: value.slice(i * RECORD_BYTES..(i + 1) * RECORD_BYTES),
        })
        .collect()
}

fn key() -> ChunkKey {
    ChunkKey::new(KeyNumber::from_u64(1), DataKey::from_bytes(&[1; 32]))
}

async fn append(
    env: Env,
    options: Options,
    producers: usize,
    batch: usize,
    seal: Option<Arc<ChunkKey>>,
    seconds: u64,
) {
    let (log, _) = EmbeddedLog::open(env.clone(), options).await.unwrap();
    let ids: Vec<LogId> = (0..16).map(|m| LogId::new(1, m)).collect();
    log.create(ids.clone()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for p in 0..producers {
        let (log, id, stop) = (log.clone(), ids[p % ids.len()], stop.clone());
        let (entries, done, seal) = (records(batch), done.clone(), seal.clone());
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                let batch = Batch {
                    at: Timestamp::from_millis(1),
                    entries: entries.clone(),
                    seal: seal.clone(),
                };
                log.append(vec![(id, batch)]).await.remove(0).unwrap();
                times.push(began.elapsed());
                done.fetch_add(entries.len() as u64, Ordering::Relaxed);
            }
            times
        }));
    }
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut rss = Vec::new();
    for _ in 0..seconds * 4 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        rss.push(rss_mib());
    }
    let count = done.load(Ordering::Relaxed);
    let (elapsed, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    stop.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let s = log.stats();
    let sealed = if seal.is_some() { " sealed" } else { "" };
    println!(
        "{producers:>3} x {batch:<4}{sealed} {:>9.0} records/s {:>6.0} MB/s  {}  {:.1} records/sync  \
         {:.2} us CPU/record  {} checkpoints {} merges {} segments  RSS {}..{} MiB",
        count as f64 / elapsed,
        (count as usize * RECORD_BYTES) as f64 / elapsed / 1e6,
        percentiles(&mut times),
        s.entries as f64 / s.syncs.max(1) as f64,
        cpu * 1e6 / count as f64,
        s.checkpoints,
        s.merges,
        s.segments,
        rss.iter().min().unwrap(),
        rss.iter().max().unwrap(),
    );
    log.shutdown().await;
}

async fn fill(log: &EmbeddedLog, mib: usize) {
    let entries = records(500);
    for _ in 0..mib * 1024 / 500 {
        let batch = Batch { at: Timestamp::from_millis(1), entries: entries.clone(), seal: None };
        log.append(vec![(LogId::new(1, 0), batch)]).await.remove(0).unwrap();
    }
}

async fn read(env: Env, options: Options) {
    let (log, _) = EmbeddedLog::open(env.clone(), options).await.unwrap();
    let id = LogId::new(1, 0);
    log.create(vec![id]).await.unwrap();
    fill(&log, 1024).await;
    let limit = ReadLimit { entries_max: 10_000, bytes_max: 1 << 20 };
    for (what, from) in [("from the start", Position::START), ("once more", Position::START)] {
        let (began, mut next, mut bytes) = (Instant::now(), from, 0);
        loop {
            let page = log.read(id, next, limit).await.unwrap();
            if page.entries.is_empty() {
                break;
            }
            bytes += page.entries.iter().map(|e| e.value.len()).sum::<usize>();
            next = page.next;
        }
        let rate = bytes as f64 / began.elapsed().as_secs_f64() / 1e6;
        println!("read {what}: {rate:.0} MB/s over {} MiB", bytes >> 20);
    }
    // The newest 64 MiB are in memory.
    let tail = log.tail(id).unwrap().borrow().next;
    let from = Position::new(tail.lsn - 120, 0);
    let (began, mut bytes) = (Instant::now(), 0);
    for _ in 0..50 {
        let mut next = from;
        loop {
            let page = log.read(id, next, limit).await.unwrap();
            if page.entries.is_empty() {
                break;
            }
            bytes += page.entries.iter().map(|e| e.value.len()).sum::<usize>();
            next = page.next;
        }
    }
    println!("read from memory: {:.0} MB/s", bytes as f64 / began.elapsed().as_secs_f64() / 1e6);
    log.shutdown().await;
}

async fn recover(env: Env, options: Options) {
    let (log, report) = EmbeddedLog::open(env.clone(), options.clone()).await.unwrap();
    println!("start of an empty store: {:?}", report.duration);
    log.create(vec![LogId::new(1, 0)]).await.unwrap();
    fill(&log, 500).await;
    log.crash().await;
    let (log, report) = EmbeddedLog::open(env, options).await.unwrap();
    println!("recovery: {report}");
    log.shutdown().await;
}

async fn logs(env: Env, options: Options) {
    println!("RSS before any log: {} MiB", rss_mib());
    let (log, _) = EmbeddedLog::open(env, options).await.unwrap();
    let ids: Vec<LogId> = (0..10_000).map(|m| LogId::new(1 + m / 10, m % 10)).collect();
    for some in ids.chunks(500) {
        log.create(some.to_vec()).await.unwrap();
    }
    println!("RSS with 10,000 logs: {} MiB", rss_mib());
    let began = Instant::now();
    for round in 0..10 {
        for some in ids.chunks(500) {
            let batches = some.iter().map(|id| {
                (*id, Batch { at: Timestamp::from_millis(round), entries: records(1), seal: None })
            });
            for result in log.append(batches.collect()).await {
                result.unwrap();
            }
        }
    }
    println!("10 x 10,000 logs x 1 record in calls of 500: {:?}", began.elapsed());
    let began = Instant::now();
    log.checkpoint().await.unwrap();
    println!("checkpoint: {:?}; RSS {} MiB; {:?}", began.elapsed(), rss_mib(), log.stats());
    log.shutdown().await;
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |p: usize| times[(times.len() * p / 100).min(times.len() - 1)].as_micros();
    format!("p50 {} us p99 {} us", at(50), at(99))
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

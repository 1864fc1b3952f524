//! The store in the simulated world: torn writes, lost unsynced data, crashes at every step.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millstream_env::sim::{CrashKind, DiskFaults, DiskOptions, Mood, PlantedBug, SimNode, run};
use millstream_env::{BoxFuture, Env};
use millstream_log::contract::{self, Subject};
use millstream_log::{AppendError, EmbeddedLog, LogId, LogStore, Options, Position};
use parking_lot::Mutex;
use support::{batch, entry, read_all};

fn options() -> Options {
    Options {
        own_segment_bytes_min: 8 << 10,
        merge_fan_in: 2,
        merge_interval: Duration::from_millis(20),
        scrub_bytes_per_sec: 0,
        ..Options::tiny()
    }
}

#[derive(Default)]
struct Oracle {
    /// By log, position and number of every acknowledged entry.
    acknowledged: BTreeMap<LogId, BTreeMap<Position, u32>>,
    /// Batches that were begun: the first number of each, and how many.
    begun: BTreeMap<u32, u32>,
    trimmed: BTreeMap<LogId, Position>,
    trim_begun: BTreeMap<LogId, Position>,
    numbers: u32,
}

const LOGS: [LogId; 5] =
    [LogId::new(1, 0), LogId::new(1, 1), LogId::new(2, 0), LogId::new(3, 0), LogId::new(3, 1)];

/// Writes until the node stops or the work is done.
async fn work(store: EmbeddedLog, oracle: Arc<Mutex<Oracle>>, seed: u64, calls: u32) {
    let mut rng = seed;
    let mut draw = move |n: u64| {
        rng = rng.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (rng >> 33) % n
    };
    for _ in 0..calls {
        let log = LOGS[draw(5) as usize];
        if draw(12) == 0 {
            let before = {
                let mut oracle = oracle.lock();
                let known = oracle.acknowledged.get(&log);
                let at = known.and_then(|k| k.keys().nth(draw(1 + k.len() as u64) as usize));
                let Some(at) = at.copied() else { continue };
                let begun = oracle.trim_begun.entry(log).or_default();
                *begun = at.max(*begun);
                at
            };
            if store.trim(log, before).await.is_ok() {
                let mut oracle = oracle.lock();
                let trimmed = oracle.trimmed.entry(log).or_default();
                *trimmed = before.max(*trimmed);
            }
            continue;
        }
        let count = 1 + draw(5) as u32;
        let first = {
            let mut oracle = oracle.lock();
            let first = oracle.numbers;
            oracle.numbers += count;
            oracle.begun.insert(first, count);
            first
        };
        let entries = (first..first + count).map(|n| entry(n, draw(1_500) as usize)).collect();
        match store.append(vec![(log, batch(u64::from(first), entries))]).await.remove(0) {
            Ok(range) => {
                let mut oracle = oracle.lock();
                let log = oracle.acknowledged.entry(log).or_default();
                for i in 0..count {
                    log.insert(Position::new(range.first.lsn, range.first.index + i), first + i);
                }
            }
            Err(AppendError::Stopped { .. }) => return,
            Err(AppendError::Full { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

/// What is on the disk is what the oracle knows.
async fn verify(store: EmbeddedLog, oracle: Arc<Mutex<Oracle>>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for log in LOGS {
        let (entries, end) = read_all(&store, log, Position::START).await;
        end.map_err(|e| e.to_string())?;
        let tail = store.tail(log).map_err(|e| e.to_string())?.borrow().next;
        let mut oracle = oracle.lock();
        let trimmed = oracle.trimmed.get(&log).copied().unwrap_or_default();
        let trim_begun = oracle.trim_begun.get(&log).copied().unwrap_or_default();
        let mut last = None;
        for e in &entries {
            if e.position < trimmed || e.position >= tail || last >= Some(e.position) {
                return Err(format!("{log}: an entry at {:?} is out of place", e.position));
            }
            last = Some(e.position);
            let n = e.attributes;
            let expected = entry(n, e.value.len());
            if expected.key != e.key || expected.value != e.value || !seen.insert(n) {
                return Err(format!("{log}: entry {n} was changed or doubled"));
            }
            let Some((first, count)) = oracle.begun.range(..=n).next_back() else {
                return Err(format!("{log}: entry {n} was invented"));
            };
            if n >= first + count {
                return Err(format!("{log}: entry {n} was invented"));
            }
        }
        let held: BTreeMap<Position, u32> =
            entries.iter().map(|e| (e.position, e.attributes)).collect();
        for (position, n) in oracle.acknowledged.get(&log).into_iter().flatten() {
            if *position >= trim_begun && held.get(position) != Some(n) {
                return Err(format!("{log}: acknowledged entry {n} at {position:?} is lost"));
            }
        }
        // What was found counts from now on: whoever read it must read it again.
        oracle.acknowledged.entry(log).or_default().extend(held);
    }
    Ok(())
}

/// A store's lives, each ended by a crash. `Err`: what the oracle found wrong.
async fn lives(node: SimNode, seed: u64, full: bool) -> Result<u64, String> {
    let oracle: Arc<Mutex<Oracle>> = Arc::default();
    let mut crashes = 0;
    for life in 0..6 {
        let env = if life == 0 { node.env() } else { node.restart().await };
        let mood = Mood { crash_one_in: if life % 2 == 0 { 60 } else { 0 }, ..Mood::CALM };
        let (known, door) = (oracle.clone(), env.clone());
        let opened = node.call("open", async move {
            let (store, _) = EmbeddedLog::open(door, options()).await.map_err(|e| e.to_string())?;
            // A crash before the logs were made is no failure: they are made again.
            let exists = store.tail(LOGS[4]).is_ok();
            if exists {
                verify(store.clone(), known).await?;
            } else {
                store.create(LOGS.to_vec()).await.map_err(|e| e.to_string())?;
            }
            Ok::<_, String>(store)
        });
        let Ok(store) = opened.await else { continue };
        let store = store?;
        node.set_mood(mood);
        let disk = node.disk();
        if life % 3 == 1 {
            let kind = if seed.is_multiple_of(2) { CrashKind::PowerLoss } else { CrashKind::Kill };
            disk.crash_at(disk.ops() + 5 + seed.wrapping_mul(life + 7) % 150, kind);
        }
        if life == 3 {
            disk.set_faults(DiskFaults { sync_error_one_in: 40, ..DiskFaults::default() });
        }
        if full && life == 2 {
            disk.set_capacity(disk.used() + (100 << 10));
        }
        let workers = (0..4).map(|w| {
            let (store, oracle) = (store.clone(), oracle.clone());
            node.call("work", work(store, oracle, seed * 31 + life * 7 + w, 60))
        });
        futures_util::future::join_all(workers).await;
        drop(store);
        crashes += u64::from(node.stop().is_some());
        node.crash(if life % 2 == 0 { CrashKind::PowerLoss } else { CrashKind::Kill });
        disk.set_capacity(1 << 30);
    }
    let env = node.restart().await;
    let end = node.call("last", async move {
        let (store, _) = EmbeddedLog::open(env, options()).await.map_err(|e| e.to_string())?;
        verify(store.clone(), oracle).await?;
        store.shutdown().await;
        Ok::<_, String>(())
    });
    end.await.map_err(|_| "the last life ended by itself".to_string())??;
    Ok(crashes)
}

#[test]
fn nothing_acknowledged_is_lost_in_any_crash() {
    let mut crashes = 0;
    // MILLSTREAM_SIM_SEEDS asks for more than the ordinary number.
    let seeds = std::env::var("MILLSTREAM_SIM_SEEDS").map_or(120, |n| n.parse().unwrap());
    for seed in 0..seeds {
        let report = run(seed, |world| async move {
            lives(world.node("node", DiskOptions::default()), seed, seed % 4 == 0).await
        });
        assert_eq!(report.panics, Vec::<String>::new(), "seed {seed}");
        crashes += report.value.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
    assert!(crashes > 100, "only {crashes} crashes");
}

/// The simulation itself is tested: a disk that lies about syncs is found out.
#[test]
fn a_skipped_sync_is_found_out() {
    let found = (0..60).any(|seed| {
        let bug = Some(PlantedBug::SkipSync { one_in: 10 });
        let options = DiskOptions { planted_bug: bug, ..DiskOptions::default() };
        let report =
            run(seed, |world| async move { lives(world.node("node", options), seed, false).await });
        report.value.is_err() || !report.panics.is_empty()
    });
    assert!(found, "sixty seeds did not notice that syncs are skipped");
}

#[test]
fn one_seed_gives_one_run() {
    let hash = |seed| {
        run(seed, |world| async move {
            lives(world.node("node", DiskOptions::default()), seed, true).await
        })
        .trace_hash
    };
    for seed in 0..12 {
        assert_eq!(hash(seed), hash(seed), "seed {seed}");
    }
}

struct InSim {
    node: SimNode,
    kind: CrashKind,
}

impl InSim {
    async fn start(env: Env) -> Arc<dyn LogStore> {
        Arc::new(EmbeddedLog::open(env, options()).await.unwrap().0)
    }
}

impl Subject for InSim {
    fn open(&self) -> BoxFuture<'_, Arc<dyn LogStore>> {
        Box::pin(Self::start(self.node.env()))
    }
    fn restart(&self, store: Arc<dyn LogStore>) -> BoxFuture<'_, Arc<dyn LogStore>> {
        Box::pin(async move {
            drop(store);
            self.node.crash(self.kind);
            Self::start(self.node.restart().await).await
        })
    }
}

#[test]
fn the_contract_holds_on_the_simulated_disk() {
    for (seed, kind) in [(1, CrashKind::PowerLoss), (2, CrashKind::Kill), (3, CrashKind::PowerLoss)]
    {
        let report = run(seed, |world| async move {
            let node = world.node("node", DiskOptions::default());
            contract::check(&InSim { node, kind }).await;
        });
        assert_eq!(report.panics, Vec::<String>::new());
    }
}

//! The simulated doors hold what they promise.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::disk::{Disk, File, OpenMode};

fn make(disk: &SimDisk, path: &str) -> Box<dyn File> {
    disk.open(Path::new(path), OpenMode::Create).unwrap()
}

fn durable(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let f = make(disk, path);
    f.write_all_at(bytes, 0).unwrap();
    f.sync_data().unwrap();
    disk.sync_dir(Path::new("")).unwrap();
}

/// Runs `before` on a fresh node, takes the power away, and gives the disk after it to `after`.
fn over_power_loss(
    seeds: std::ops::Range<u64>,
    before: impl Fn(&SimDisk),
    mut after: impl FnMut(&SimDisk),
) {
    for seed in seeds {
        let after = &mut after;
        let before = &before;
        run(seed, |world| async move {
            let node = world.node("n", DiskOptions::default());
            before(&node.disk());
            node.crash(CrashKind::PowerLoss);
            node.restart().await;
            after(&node.disk());
        });
    }
}

#[test]
fn synced_bytes_under_synced_names_survive_every_power_loss() {
    over_power_loss(
        0..50,
        |d| {
            durable(d, "a", &[7; 3000]);
            make(d, "a").write_all_at(&[9; 100], 5000).unwrap();
        },
        |d| assert_eq!(d.peek("a").unwrap()[..3000], [7; 3000]),
    );
}

#[test]
fn unsynced_bytes_are_lost_kept_or_torn_between_sectors() {
    let mut outcomes = std::collections::BTreeSet::new();
    over_power_loss(
        0..200,
        |d| {
            durable(d, "a", &[1; 4 * SECTOR]);
            make(d, "a").write_all_at(&[2; 4 * SECTOR], 0).unwrap();
        },
        |d| {
            let bytes = d.peek("a").unwrap();
            let sectors: Vec<u8> = bytes.chunks(SECTOR).map(|s| s[0]).collect();
            for s in bytes.chunks(SECTOR) {
                assert!(s.iter().all(|b| *b == s[0]), "a sector is never torn inside");
            }
            outcomes.insert(sectors);
        },
    );
    assert!(outcomes.contains(&vec![1, 1, 1, 1]), "lost: {outcomes:?}");
    assert!(outcomes.contains(&vec![2, 2, 2, 2]), "kept: {outcomes:?}");
    assert!(outcomes.contains(&vec![2, 2, 1, 1]), "torn: {outcomes:?}");
    assert!(outcomes.contains(&vec![1, 2, 1, 2]), "mixed: {outcomes:?}");
}

#[test]
fn a_kill_keeps_everything_that_was_written() {
    for seed in 0..30 {
        run(seed, |world| async move {
            let node = world.node("n", DiskOptions::default());
            make(&node.disk(), "a").write_all_at(&[5; 1000], 0).unwrap();
            node.crash(CrashKind::Kill);
            node.restart().await;
            assert_eq!(node.disk().peek("a").unwrap(), [5; 1000]);
        });
    }
}

#[test]
fn names_survive_for_certain_only_after_sync_dir() {
    let (mut lost, mut kept) = (0, 0);
    over_power_loss(
        0..100,
        |d| {
            d.create_dir_all(Path::new("d")).unwrap();
            d.sync_dir(Path::new("")).unwrap();
            make(d, "d/b").sync_data().unwrap();
        },
        |d| match d.list(Path::new("d")).unwrap().len() {
            0 => lost += 1,
            _ => kept += 1,
        },
    );
    assert!(lost > 10 && kept > 10, "{lost} lost, {kept} kept");
}

#[test]
fn an_unsynced_rename_is_whole_or_undone() {
    let mut seen = std::collections::BTreeSet::new();
    over_power_loss(
        0..100,
        |d| {
            durable(d, "old", b"old");
            durable(d, "new", b"new");
            d.rename(Path::new("new"), Path::new("old")).unwrap();
        },
        |d| {
            let names = d.list(Path::new("")).unwrap();
            let content = d.peek("old").unwrap();
            assert!(content == b"old" || content == b"new");
            assert_eq!(names.len(), if content == b"new" { 1 } else { 2 });
            seen.insert(content);
        },
    );
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_removal_can_come_undone_until_the_directory_is_synced() {
    let mut back = 0;
    over_power_loss(
        0..60,
        |d| {
            durable(d, "a", b"x");
            d.remove(Path::new("a")).unwrap();
        },
        |d| back += d.files().len(),
    );
    assert!(back > 5 && back < 55, "{back}");
}

#[test]
fn a_failed_sync_gives_bytes_up_and_the_next_sync_does_not_tell() {
    let mut lost = 0;
    for seed in 0..40 {
        run(seed, |world| async move {
            let node = world.node("n", DiskOptions::default());
            let disk = node.disk();
            durable(&disk, "a", &[1; 8 * SECTOR]);
            let f = make(&disk, "a");
            f.write_all_at(&[2; 8 * SECTOR], 0).unwrap();
            disk.set_faults(DiskFaults { sync_error_one_in: 1, ..DiskFaults::default() });
            f.sync_data().unwrap_err();
            disk.set_faults(DiskFaults::default());
            f.sync_data().unwrap();
            node.crash(CrashKind::PowerLoss);
            node.restart().await;
            node.disk().peek("a").unwrap().contains(&1)
        })
        .value
        .then(|| lost += 1);
    }
    assert!(lost > 30, "{lost}");
}

#[test]
fn a_skipped_sync_is_the_planted_lie() {
    let mut lost = 0;
    for seed in 0..60 {
        let options = DiskOptions {
            planted_bug: Some(PlantedBug::SkipSync { one_in: 1 }),
            ..DiskOptions::default()
        };
        run(seed, |world| async move {
            let node = world.node("n", options);
            durable(&node.disk(), "a", &[3; 600]);
            node.crash(CrashKind::PowerLoss);
            node.restart().await;
            node.disk().peek("a").unwrap() != [3; 600]
        })
        .value
        .then(|| lost += 1);
    }
    assert!(lost > 5 && lost < 60, "{lost}");
}

#[test]
fn a_full_disk_refuses_growth_and_serves_overwrites() {
    run(1, |world| async move {
        let node = world.node("n", DiskOptions { capacity: 8192, ..DiskOptions::default() });
        let disk = node.disk();
        let f = make(&disk, "a");
        f.preallocate(8192).unwrap();
        let kind = |r: std::io::Result<()>| r.unwrap_err().kind();
        assert_eq!(kind(f.write_all_at(&[1; 10], 8190)), std::io::ErrorKind::StorageFull);
        assert_eq!(kind(make(&disk, "b").preallocate(1)), std::io::ErrorKind::StorageFull);
        f.write_all_at(&[1; 8192], 0).unwrap();
        assert_eq!(disk.free_bytes().unwrap(), 0);
        disk.set_capacity(10_000);
        make(&disk, "b").preallocate(1000).unwrap();
    });
}

#[test]
fn direct_writes_must_be_aligned() {
    run(1, |world| async move {
        let disk = world.node("n", DiskOptions::default()).disk();
        make(&disk, "a").preallocate(8192).unwrap();
        let f = disk.open(Path::new("a"), OpenMode::WriteDirect).unwrap();
        f.write_all_at(&[1; 4096], 4096).unwrap();
        let refused = f.write_all_at(&[1; 4096], 512).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    });
}

#[test]
fn locks_exclude_and_vanish_with_the_process() {
    run(1, |world| async move {
        let node = world.node("n", DiskOptions::default());
        let disk = node.disk();
        let held = disk.lock(Path::new("lock")).unwrap();
        let refused = disk.lock(Path::new("lock")).err().unwrap();
        assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
        drop(held);
        let _held = disk.lock(Path::new("lock")).unwrap();
        node.crash(CrashKind::Kill);
        node.restart().await;
        let _taken = node.disk().lock(Path::new("lock")).unwrap();
        drop(_held); // the old holder's guard must not free the new one's lock
        assert!(node.disk().lock(Path::new("lock")).is_err());
    });
}

#[test]
fn rot_flips_one_bit_where_it_is_stored() {
    over_power_loss(
        0..5,
        |d| {
            durable(d, "a", &[0; 100]);
            d.rot("a", 50, 3).unwrap();
        },
        |d| {
            let bytes = d.peek("a").unwrap();
            assert_eq!(bytes[50], 8);
            assert_eq!(bytes.iter().filter(|b| **b != 0).count(), 1);
        },
    );
}

#[test]
fn a_crash_ends_tasks_and_shuts_the_disk_to_them() {
    run(3, |world| async move {
        let node = world.node("n", DiskOptions::default());
        let env = node.env();
        let disk = node.disk();
        let steps = Arc::new(AtomicU64::new(0));
        let seen = steps.clone();
        let ticking = node.env();
        env.spawn("ticker", async move {
            loop {
                ticking.sleep(Duration::from_millis(10)).await;
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        tokio::time::sleep(Duration::from_millis(105)).await;
        let f = make(&disk, "a");
        disk.crash_at(2, CrashKind::Kill);
        f.write_all_at(&[1; 10], 0).unwrap();
        f.write_all_at(&[1; 10], 10).unwrap_err();
        assert!(node.stop().is_some());
        f.sync_data().unwrap_err();
        let before = steps.load(Ordering::Relaxed);
        assert!(before >= 8, "{before}");
        node.restart().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(steps.load(Ordering::Relaxed), before);
        f.sync_data().unwrap_err();
        make(&node.disk(), "a").sync_data().unwrap();
    });
}

#[test]
fn a_call_into_a_node_that_stops_ends_as_unknown() {
    run(3, |world| async move {
        let node = world.node("n", DiskOptions::default());
        let env = node.env();
        let dying = node.call("client", async move { env.fatal("a sync failed").await }).await;
        assert_eq!(dying, Err(Stopped));
        assert_eq!(node.stop(), Some(Stop::Fatal { reason: "a sync failed".into() }));
        assert_eq!(node.call("client", async {}).await, Err(Stopped));
        node.restart().await;
        assert_eq!(node.call("client", async { 5 }).await, Ok(5));
    });
}

#[test]
fn blocking_jobs_return_their_result_in_virtual_time() {
    run(5, |world| async move {
        let node = world.node("n", DiskOptions::default());
        node.set_mood(Mood::SLOW);
        let env = node.env();
        for i in 0..20 {
            assert_eq!(env.blocking(move || i * 2).await, i * 2);
        }
        assert!(world.elapsed() > Duration::from_millis(200), "{:?}", world.elapsed());
    });
}

#[test]
fn panics_of_running_nodes_are_reported() {
    let report = run(1, |world| async move {
        let node = world.node("n", DiskOptions::default());
        node.call("bad", async { panic!("a broken promise") }).await
    });
    assert_eq!(report.value, Err(Stopped));
    assert_eq!(report.panics, ["task bad of n: a broken promise"]);
}

#[test]
fn the_wall_clock_steps_and_durations_do_not() {
    run(1, |world| async move {
        let start = world.now();
        assert_eq!(start, WALL_START);
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.step_clock(-60_000);
        assert_eq!(world.now(), start.plus(Duration::from_secs(5)).minus(Duration::from_secs(60)));
        assert_eq!(world.elapsed(), Duration::from_secs(5));
    });
}

/// Several tasks that race for files, pauses and chance.
fn busy(seed: u64) -> Report<u64> {
    run(seed, |world| async move {
        let node = world.node("n", DiskOptions::default());
        node.set_mood(Mood { crash_one_in: 60, ..Mood::CALM });
        let mut sum = 0u64;
        for _ in 0..3 {
            let env = node.env();
            let tasks: Vec<_> = (0..4u64)
                .map(|i| {
                    let env2 = env.clone();
                    env.spawn("worker", async move {
                        let path = format!("file{}", env2.random_u64() % 3);
                        for _ in 0..10 {
                            env2.hesitate("step").await;
                            let Ok(f) = env2.disk.open(Path::new(&path), OpenMode::Create) else {
                                return;
                            };
                            let _ = f.write_all_at(&env2.random_bytes::<64>(), i * 64);
                            let _ = f.sync_data();
                        }
                    })
                })
                .collect();
            for t in tasks {
                t.join().await;
            }
            sum += node.disk().ops();
            node.restart().await;
        }
        sum
    })
}

#[test]
fn one_seed_gives_one_run_and_another_gives_another() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let (a, b) = (busy(seed), busy(seed));
        assert_eq!((a.trace_hash, a.events, a.value), (b.trace_hash, b.events, b.value));
        hashes.insert(a.trace_hash);
    }
    assert_eq!(hashes.len(), 20);
}

#[test]
fn the_generator_is_even_enough() {
    let mut rng = Rng::new(9);
    let mut counts = [0u32; 10];
    for _ in 0..10_000 {
        counts[rng.below(10) as usize] += 1;
    }
    assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
    let weighted = (0..1000).filter(|_| rng.weighted(&[1, 3]) == 1).count();
    assert!((680..820).contains(&weighted), "{weighted}");
}

//! The recorder on a disk that tears, forgets, fills up and fails, as seeds decide.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millstream_audit::{Options, Recorder, verify};
use millstream_env::Disk;
use millstream_env::sim::{CrashKind, DiskFaults, DiskOptions, SimNode, SimWorld, run};
use parking_lot::Mutex;

/// Seeds per scenario; one costs a few milliseconds.
const SEEDS: u64 = 300;

fn options() -> Options {
    Options { file_bytes_max: 3000, ..Options::default() }
}

fn event(id: u64) -> String {
    format!("{{\"eventID\":\"{id}\",\"pad\":\"{}\"}}", "x".repeat(id as usize % 700))
}

/// Events with their ids, in the order of the trail.
fn events(disk: &dyn Disk) -> Vec<u64> {
    let mut found = Vec::new();
    for name in millstream_audit::trail_files(disk).unwrap() {
        let file = disk.open(&name.path(), millstream_env::OpenMode::Read).unwrap();
        let lines = millstream_audit::Lines::of(&*file).unwrap();
        lines
            .forward(|line| {
                let entry = millstream_audit::parse_line(&line.bytes).unwrap();
                let json: serde_json::Value = serde_json::from_slice(entry.content).unwrap();
                found.extend(json["eventID"].as_str().map(|id| id.parse::<u64>().unwrap()));
                true
            })
            .unwrap();
    }
    found
}

/// Records until the node goes down; tells which events were answered.
async fn life(world: &SimWorld, node: &SimNode, first: u64, crash: CrashKind) -> Vec<u64> {
    let answered = Arc::new(Mutex::new(Vec::new()));
    let steps = world.draw(|rng| rng.between(1, 120));
    let crashing = world.draw(|rng| rng.one_in(4));
    if !crashing {
        node.disk().crash_at(steps, crash);
    }
    let env = node.env();
    let heard = answered.clone();
    env.clone().spawn("callers", async move {
        let Ok((recorder, _)) = Recorder::open(env.clone(), options()).await else { return };
        for caller in 0..4 {
            let (recorder, heard, tasks) = (recorder.clone(), heard.clone(), env.clone());
            tasks.spawn("caller", async move {
                for i in 0..25 {
                    let id = first + caller * 25 + i;
                    if recorder.record(event(id)).await.is_ok() {
                        heard.lock().push(id);
                    }
                }
            });
        }
    });
    tokio::time::sleep(Duration::from_secs(100)).await;
    node.crash(crash);
    node.restart().await;
    std::mem::take(&mut *answered.lock())
}

#[test]
fn an_answered_event_survives_any_crash_and_the_chain_holds() {
    for seed in 0..SEEDS {
        let report = run(seed, |world| async move {
            let node = world.node("n", DiskOptions::default());
            let mut answered = Vec::new();
            for turn in 0..3 {
                let kinds = [CrashKind::PowerLoss, CrashKind::PowerLoss, CrashKind::Kill];
                let kind = world.draw(|rng| *rng.pick(&kinds));
                answered.extend(life(&world, &node, turn * 1000, kind).await);
            }
            let env = node.env();
            let (recorder, _) = Recorder::open(env.clone(), options()).await.unwrap();
            recorder.record(event(9999)).await.unwrap();
            let report = verify(&*env.disk, None).unwrap();
            assert!(report.is_sound(), "seed {seed}: {report:?}");
            assert_eq!(report.head, Some(recorder.head().hash), "seed {seed}");
            let kept = events(&*env.disk);
            for id in answered {
                assert_eq!(kept.iter().filter(|k| **k == id).count(), 1, "seed {seed}: event {id}");
            }
        });
        assert!(report.panics.is_empty(), "seed {seed}: {:?}", report.panics);
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost_when_it_has_room_again() {
    for seed in 0..SEEDS / 10 {
        run(seed, |world| async move {
            let node = world.node("n", DiskOptions::default());
            let env = node.env();
            let (recorder, _) = Recorder::open(env.clone(), options()).await.unwrap();
            recorder.record(event(1)).await.unwrap();
            node.disk().set_capacity(0);
            let error = recorder.record(event(2)).await.unwrap_err().to_string();
            assert!(error.starts_with("the audit trail can't be written: "), "{error}");
            assert!(!recorder.is_writable());
            let report = verify(&*env.disk, None).unwrap();
            assert!(report.is_sound() && report.unfinished_bytes == 0, "{report:?}");
            node.disk().set_capacity(1 << 30);
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert!(recorder.is_writable(), "it is tried again by itself");
            recorder.record(event(3)).await.unwrap();
            assert_eq!(events(&*env.disk), [1, 2, 3]);
            assert!(verify(&*env.disk, None).unwrap().is_sound());
        });
    }
}

#[test]
fn failing_writes_leave_a_whole_chain() {
    for seed in 0..SEEDS / 3 {
        run(seed, |world| async move {
            let node = world.node("n", DiskOptions::default());
            let env = node.env();
            let (recorder, _) = Recorder::open(env.clone(), options()).await.unwrap();
            let faults = DiskFaults { write_error_one_in: 4, ..DiskFaults::default() };
            node.disk().set_faults(faults);
            for id in 0..60 {
                let _ = recorder.record(event(id)).await;
            }
            node.disk().set_faults(DiskFaults::default());
            tokio::time::sleep(Duration::from_secs(3)).await;
            recorder.record(event(60)).await.unwrap();
            let report = verify(&*env.disk, None).unwrap();
            assert!(report.is_sound(), "seed {seed}: {report:?}");
            assert_eq!(events(&*env.disk), (0..=60).collect::<Vec<_>>(), "seed {seed}");
        });
    }
}

#[test]
fn a_sync_that_fails_ends_the_node() {
    run(1, |world| async move {
        let node = world.node("n", DiskOptions::default());
        let env = node.env();
        let (recorder, _) = Recorder::open(env.clone(), options()).await.unwrap();
        node.disk().set_faults(DiskFaults { sync_error_one_in: 1, ..DiskFaults::default() });
        let answer = recorder.record(event(1));
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        assert!(!matches!(answer, Ok(Ok(()))), "an answer follows the sync");
        assert!(node.stop().is_some(), "the node stops itself");
    });
}

#[test]
fn more_than_may_wait_is_refused_at_once() {
    run(1, |world| async move {
        let node = world.node("n", DiskOptions::default());
        let options = Options { queue_events_max: 3, ..options() };
        let (recorder, _) = Recorder::open(node.env(), options).await.unwrap();
        for id in 0..3 {
            recorder.offer(event(id)).unwrap();
        }
        assert!(recorder.offer(event(3)).is_err());
        recorder.close().await;
        assert_eq!(events(&*node.env().disk).len(), 3);
        assert!(recorder.offer(event(4)).is_err(), "closed");
        assert!(node.env().disk.list(Path::new("")).unwrap().len() == 1);
    });
}

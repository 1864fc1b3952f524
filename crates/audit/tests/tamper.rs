//! Whatever is done to the files behind the node's back shows.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millstream_audit::{Hash, Options, Report, Trail, Trouble, trail_files, verify};
use millstream_base::Timestamp;
use millstream_env::{Disk, RealDisk};
use proptest::prelude::*;

fn now(i: u64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + i)
}

fn options() -> Options {
    Options { file_bytes_max: 2000, sync: false, ..Options::default() }
}

fn event(i: u64) -> String {
    format!("{{\"eventID\":\"id-{i}\",\"eventName\":\"CreateStream\"}}")
}

/// A trail of forty events in several files.
fn trail(dir: &Path) -> Hash {
    let disk = Arc::new(RealDisk::new(dir));
    let (mut trail, repair) = Trail::open(disk, options(), now(0)).unwrap();
    assert_eq!(repair, None);
    for i in 0..40 {
        trail.append(&[event(i)], now(i)).unwrap();
    }
    trail.head().hash
}

fn check(dir: &Path, expect: Option<Hash>) -> Report {
    verify(&RealDisk::new(dir), expect).unwrap()
}

fn path(dir: &Path, number: u64) -> std::path::PathBuf {
    dir.join(format!("audit-{number:08}.jsonl"))
}

/// Changes the lines of one file.
fn change(dir: &Path, number: u64, change: impl FnOnce(&mut Vec<String>)) {
    let path = path(dir, number);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
}

fn troubles(report: &Report) -> Vec<&Trouble> {
    report.findings.iter().map(|finding| &finding.trouble).collect()
}

#[test]
fn a_trail_that_nobody_touched_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let head = trail(dir.path());
    let report = check(dir.path(), Some(head));
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.events, report.head), (40, Some(head)));
    assert!(report.files > 3);
    assert_eq!(report.lines, 40 + report.files);
    assert_eq!(report.entries, Some((1, report.lines)));
}

#[test]
fn every_kind_of_tampering_is_found() {
    type Change = fn(&mut Vec<String>);
    let cases: [(&str, Change); 5] = [
        ("changed", |lines| lines[2] = lines[2].replace("CreateStream", "DeleteStream")),
        ("removed", |lines| drop(lines.remove(2))),
        ("reordered", |lines| lines.swap(2, 3)),
        ("doubled", |lines| lines.insert(2, lines[2].clone())),
        ("cut off", |lines| lines.truncate(lines.len() - 1)),
    ];
    for (name, tampering) in cases {
        let dir = tempfile::tempdir().unwrap();
        trail(dir.path());
        change(dir.path(), 2, tampering);
        let report = check(dir.path(), None);
        assert!(!report.is_sound(), "{name}");
    }
}

#[test]
fn missing_files_are_found_wherever_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let head = trail(dir.path());
    let files = trail_files(&RealDisk::new(dir.path())).unwrap();
    let gone = |number| {
        let other = tempfile::tempdir().unwrap();
        for file in files.iter().filter(|file| file.0 != number) {
            std::fs::copy(path(dir.path(), file.0), path(other.path(), file.0)).unwrap();
        }
        check(other.path(), Some(head))
    };
    assert!(matches!(troubles(&gone(1))[..], [Trouble::BeginningMissing { removed: 0, .. }]));
    assert!(matches!(troubles(&gone(2))[0], Trouble::FilesMissing { .. }));
    // The end can be missed only by who knows what it was.
    let last = gone(files.len() as u64);
    assert_eq!(troubles(&last), [&Trouble::Unexpected(head)]);
}

#[test]
fn a_hash_from_before_stays_in_a_trail_that_grows() {
    let dir = tempfile::tempdir().unwrap();
    let head = trail(dir.path());
    let disk = Arc::new(RealDisk::new(dir.path()));
    let (mut trail, _) = Trail::open(disk, options(), now(50)).unwrap();
    trail.append(&[event(50)], now(50)).unwrap();
    assert_ne!(trail.head().hash, head);
    assert!(check(dir.path(), Some(head)).is_sound());
}

#[test]
fn old_files_go_and_the_trail_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::new(dir.path()));
    let options = Options { retention: Duration::from_secs(10), ..options() };
    let (mut trail, _) = Trail::open(disk.clone(), options.clone(), now(0)).unwrap();
    for i in 0..100 {
        trail.append(&[event(i)], now(i)).unwrap();
    }
    let first = trail_files(&*disk).unwrap()[0];
    assert!(first.0 > 3, "{first}");
    let report = check(dir.path(), None);
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.removed.as_ref().unwrap().last_file, first.0 - 1);
    drop(trail);
    // It goes on after a restart, and one file too few is seen.
    let (mut trail, repair) = Trail::open(disk, options, now(100)).unwrap();
    assert_eq!(repair, None);
    trail.append(&[event(100)], now(100)).unwrap();
    drop(trail);
    assert!(check(dir.path(), None).is_sound());
    let first = trail_files(&RealDisk::new(dir.path())).unwrap()[0];
    std::fs::remove_file(path(dir.path(), first.0)).unwrap();
    let report = check(dir.path(), None);
    assert!(matches!(troubles(&report)[..], [Trouble::BeginningMissing { .. }]), "{report:?}");
}

#[test]
fn all_files_together_stay_below_their_bound() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::new(dir.path()));
    let options = Options { bytes_max: 10_000, ..options() };
    let (mut trail, _) = Trail::open(disk.clone(), options, now(0)).unwrap();
    for i in 0..300 {
        trail.append(&[event(i)], now(i)).unwrap();
        // Noting what goes needs room itself.
        assert!(trail.bytes() <= 10_000 + 2_500, "{}", trail.bytes());
    }
    let report = check(dir.path(), None);
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.bytes, trail.bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// One byte anywhere, changed to anything else, is found.
    #[test]
    fn any_changed_byte_is_found(at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        let dir = tempfile::tempdir().unwrap();
        let head = trail(dir.path());
        let files = trail_files(&RealDisk::new(dir.path())).unwrap();
        let file = path(dir.path(), files[at.index(files.len())].0);
        let mut bytes = std::fs::read(&file).unwrap();
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        std::fs::write(&file, bytes).unwrap();
        let report = check(dir.path(), Some(head));
        prop_assert!(!report.is_sound(), "{report:?}");
    }
}

/// Files full of noise: reading, opening and asking end in order, and nothing is taken for sound.
#[test]
fn fuzz_files() {
    bolero::check!().with_iterations(300).for_each(|bytes: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::new(dir.path()));
        std::fs::write(path(dir.path(), 1), bytes).unwrap();
        assert!(!verify(&*disk, None).unwrap().is_sound());
        millstream_audit::lookup(&*disk, &Default::default()).unwrap();
        let (mut trail, repair) = Trail::open(disk.clone(), options(), now(0)).unwrap();
        assert_eq!(repair.is_some(), !bytes.is_empty());
        trail.append(&[event(1)], now(1)).unwrap();
        let report = verify(&*disk, None).unwrap();
        assert!(report.is_sound(), "{report:?}");
        if let Some(repair) = repair {
            let kept = std::fs::read(dir.path().join(&repair.kept_as)).unwrap();
            assert_eq!(kept, bytes, "what was cut off is kept");
            assert_eq!(report.repairs, [repair]);
        }
    });
}

#[test]
fn files_of_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("audit-1.jsonl"), "x").unwrap();
    trail(dir.path());
    assert!(check(dir.path(), None).is_sound());
    let disk: &dyn Disk = &RealDisk::new(dir.path());
    assert!(disk.list(Path::new("")).unwrap().contains(&"audit-1.jsonl".to_owned()));
}

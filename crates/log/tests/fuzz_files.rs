//! Arbitrary bytes in the write-ahead files: recovery and the check end with an answer, never with
//! a panic, and never serve an entry that was not written.
#![allow(clippy::disallowed_methods)]

mod support;

use millstream_log::{EmbeddedLog, LogId, LogStore, OpenError, Position, ReadError, fsck};
use support::{MemDisk, batch, entry, quiet, read_all, runtime};

const LOG: LogId = LogId::new(1, 0);

fn sample(checkpoint: bool) -> MemDisk {
    runtime().block_on(async {
        let disk = MemDisk::new();
        let (store, _) = EmbeddedLog::open(disk.env(), quiet()).await.unwrap();
        store.create(vec![LOG]).await.unwrap();
        for n in 0..5 {
            let entries = vec![entry(n, 30), entry(n + 100, 500)];
            store.append(vec![(LOG, batch(1, entries))]).await.remove(0).unwrap();
        }
        if checkpoint {
            store.shutdown().await;
        } else {
            store.crash().await;
        }
        disk
    })
}

/// Each edit: where (two bytes), how it is done, and with what.
fn edit(bytes: &mut [u8], edits: &[(u16, u8, u8)], span: usize) {
    for (at, how, with) in edits {
        let at = *at as usize % span.min(bytes.len());
        match how % 4 {
            0 => bytes[at] ^= with,
            1 => bytes[at] = *with,
            2 => {
                let len = (*with as usize).min(bytes.len() - at);
                bytes[at..at + len].fill(0);
            }
            _ => {
                // A piece from elsewhere in the file.
                let (from, len) = (*with as usize * 64 % span, 512);
                let piece = bytes[from..(from + len).min(bytes.len())].to_vec();
                let len = piece.len().min(bytes.len() - at);
                bytes[at..at + len].copy_from_slice(&piece[..len]);
            }
        }
    }
}

fn judge(disk: &MemDisk) {
    match fsck::check(disk.disk()) {
        Ok(_) | Err(OpenError::Newer { .. } | OpenError::Damaged(_)) => {}
        Err(e) => panic!("{e}"),
    }
    runtime().block_on(async {
        let store = match EmbeddedLog::open(disk.env(), quiet()).await {
            Ok((store, _)) => store,
            Err(OpenError::Newer { .. } | OpenError::Damaged(_)) => return,
            Err(e) => panic!("{e}"),
        };
        let (entries, end) = read_all(&store, LOG, Position::START).await;
        for e in entries {
            let written = entry(e.attributes, e.value.len());
            assert_eq!((e.key, e.value), (written.key, written.value));
        }
        let fine =
            matches!(end, Ok(()) | Err(ReadError::Corrupt { .. } | ReadError::NotFound { .. }));
        assert!(fine, "{end:?}");
        store.crash().await;
    });
}

#[test]
fn wal_files_of_any_content() {
    let sample = sample(false);
    let path = sample.only("wal/", "1.wal");
    let sample = sample.image();
    bolero::check!().with_type::<Vec<(u16, u8, u8)>>().with_iterations(300).for_each(|edits| {
        let disk = MemDisk::of(&sample);
        disk.edit(&path, |bytes| edit(bytes, edits, 32 << 10));
        judge(&disk);
    });
}

#[test]
fn segment_files_of_any_content() {
    let sample = sample(true);
    let path = sample.only("seg/", ".seg");
    let sample = sample.image();
    bolero::check!().with_type::<Vec<(u16, u8, u8)>>().with_iterations(300).for_each(|edits| {
        let disk = MemDisk::of(&sample);
        disk.edit(&path, |bytes| {
            let span = bytes.len();
            edit(bytes, edits, span);
        });
        judge(&disk);
    });
}

#[test]
fn raw_bytes_as_files() {
    let sample = sample(true).image();
    bolero::check!().with_type::<(u8, Vec<u8>)>().with_iterations(300).for_each(|(which, raw)| {
        let disk = MemDisk::of(&sample);
        let paths = disk.paths();
        let path = &paths[*which as usize % paths.len()];
        disk.edit(path, |bytes| *bytes = raw.clone());
        judge(&disk);
    });
}

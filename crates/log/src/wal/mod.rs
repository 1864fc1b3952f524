//! The write-ahead files: their names, their supply, and reading them back.

mod files;
mod scan;

use std::fmt;

pub(crate) use files::{NextFile, WalFiles};
pub(crate) use scan::{ScanEnd, Scanned, Window, cut, scan, settle};

pub(crate) const WAL_DIR: &str = "wal";

/// A place in the write-ahead log: a file's sequence number and a byte in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WalPosition {
    pub seq: u64,
    pub offset: u64,
}

impl fmt::Display for WalPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", wal_path(self.seq), self.offset)
    }
}

pub(crate) fn wal_path(seq: u64) -> String {
    format!("{WAL_DIR}/{seq:010}.wal")
}

/// The sequence number in a file's name, whichever state the file is in.
fn seq_of(name: &str) -> Option<u64> {
    name.split('.').next()?.parse().ok()
}

/// The sequence number of a file that may hold frames.
pub(crate) fn live_seq_of(name: &str) -> Option<u64> {
    name.strip_suffix(".wal")?.parse().ok()
}

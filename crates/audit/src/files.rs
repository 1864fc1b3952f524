//! The names of a trail's files: `audit-00000001.jsonl`, counted from 1 on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use millstream_env::Disk;

/// The name of one file of a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName(pub u64);

impl FileName {
    /// The number in a name of this form; nothing else is a file of a trail.
    pub fn read(name: &str) -> Option<FileName> {
        let digits = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
        let number = FileName(digits.parse().ok()?);
        (number.to_string() == name).then_some(number)
    }

    pub fn path(self) -> PathBuf {
        PathBuf::from(self.to_string())
    }

    /// Where what was cut off this file is kept; `place` tells several of them apart.
    pub(crate) fn torn(self, place: u64) -> String {
        format!("audit-{:08}.torn-{place}", self.0)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audit-{:08}.jsonl", self.0)
    }
}

/// The files of the trail in the root of `disk`, oldest first.
///
/// # Errors
/// The directory can't be read.
pub fn trail_files(disk: &dyn Disk) -> io::Result<Vec<FileName>> {
    let names = disk.list(Path::new(""))?;
    let mut files: Vec<FileName> = names.iter().filter_map(|name| FileName::read(name)).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(FileName(7).to_string(), "audit-00000007.jsonl");
        assert_eq!(FileName::read("audit-00000007.jsonl"), Some(FileName(7)));
        assert_eq!(FileName::read("audit-123456789.jsonl"), Some(FileName(123_456_789)));
        for other in ["audit-7.jsonl", "audit-00000007.torn-1", "audit-+0000007.jsonl", "x"] {
            assert_eq!(FileName::read(other), None, "{other}");
        }
    }
}

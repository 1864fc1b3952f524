//! CPU and memory of a process, as Linux shows them below /proc.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

/// A process to look at.
#[derive(Clone, Debug)]
pub struct Process {
    folder: PathBuf,
}

/// How much a process has used so far, and how much memory it holds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// In user and kernel mode, all threads.
    pub cpu: Duration,
    pub resident_bytes: u64,
}

impl Process {
    pub fn by_id(pid: u32) -> Self {
        Process { folder: PathBuf::from(format!("/proc/{pid}")) }
    }

    /// This very process.
    pub fn own() -> Self {
        Process { folder: PathBuf::from("/proc/self") }
    }

    /// # Errors
    /// No such process, or not Linux.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let path = self.folder.join("stat");
        let stat = std::fs::read_to_string(&path)
            .with_context(|| format!("{} (is the process there?)", path.display()))?;
        parse_stat(&stat).with_context(|| format!("{} has an unknown form", path.display()))
    }
}

/// Fields are numbered as in proc(5): 14 user and 15 kernel ticks, 24 resident pages. The second
/// one, the name, stands in brackets and may hold anything.
fn parse_stat(stat: &str) -> Option<Usage> {
    let after_name = stat.rsplit_once(')')?.1;
    let field = |number: usize| after_name.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Usage {
        cpu: Duration::from_nanos(ticks * 1_000_000_000 / per_second),
        resident_bytes: field(24)? * rustix::param::page_size() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 5 0 99 1000 300 1";
        let usage = parse_stat(stat).unwrap();
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
        assert_eq!(usage.cpu, Duration::from_nanos(200 * tick));
        assert_eq!(usage.resident_bytes, 300 * rustix::param::page_size() as u64);
        assert_eq!(parse_stat("nonsense"), None);
    }
}

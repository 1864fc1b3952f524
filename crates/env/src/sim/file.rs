//! The bytes of one simulated file: what programs see, what is on stable storage, and which
//! sectors lie between.
//!
//! ```text
//!  now      [ A ][ B'][ C"][ D ]      what a read returns
//!  durable  [ A ][ B ][ C ][ D ]      what a power loss leaves for certain
//!  dirty          ^    ^ older: C'    each comes out of a power loss as any of its versions
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::Rng;
use super::disk::SECTOR;

#[derive(Default)]
pub(crate) struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that differ from `durable` since the last sync.
    dirty: BTreeMap<usize, Dirty>,
    /// Sectors that a failed sync gave up: the system believes them written. They are lost unless
    /// they are written again.
    doomed: BTreeSet<usize>,
    /// Lengths the file went through since the last sync.
    lens: Vec<Len>,
    /// Since the last sync.
    writes: u64,
}

/// A change of length. One by `set_len` is whole or undone, as file systems journal it; one by a
/// write can stop anywhere between.
#[derive(Clone, Copy)]
struct Len {
    to: usize,
    by_write: bool,
}

struct Dirty {
    /// Number of the write that made it dirty first.
    since: u64,
    /// Contents between `durable` and `now`, oldest first, at most [`OLDER_MAX`].
    older: Vec<Vec<u8>>,
}

/// Intermediate contents kept per sector.
const OLDER_MAX: usize = 2;

/// How the dirty sectors of a file come out of a power loss.
#[derive(Clone, Copy)]
enum Survival {
    Nothing,
    Everything,
    /// The first writes, the last of them up to some sector.
    InOrder,
    EachSector,
}

impl Inode {
    pub(crate) fn len(&self) -> usize {
        self.now.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.now
    }

    pub(crate) fn write(&mut self, buf: &[u8], offset: usize) {
        let end = offset + buf.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
            self.lens.push(Len { to: end, by_write: true });
        }
        self.writes += 1;
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            self.doomed.remove(&sector);
            match self.dirty.get_mut(&sector) {
                None => {
                    self.dirty.insert(sector, Dirty { since: self.writes, older: Vec::new() });
                }
                Some(d) if d.older.len() < OLDER_MAX => {
                    d.older.push(slice(&self.now, sector).to_vec());
                }
                Some(_) => {}
            }
        }
        self.now[offset..end].copy_from_slice(buf);
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        self.lens.push(Len { to: len, by_write: false });
        if len < self.now.len() {
            self.dirty.split_off(&len.div_ceil(SECTOR));
            self.doomed.split_off(&len.div_ceil(SECTOR));
        }
        self.now.resize(len, 0);
    }

    /// Everything written before is durable.
    pub(crate) fn sync(&mut self) {
        self.settle_len(self.lens.len(), self.now.len());
        for sector in std::mem::take(&mut self.dirty).into_keys() {
            copy(&self.now, &mut self.durable, sector);
        }
    }

    /// A sync that failed: some sectors made it, the others are given up. Nothing tells which.
    pub(crate) fn fail_sync(&mut self, rng: &mut Rng) {
        self.settle_len(self.lens.len(), self.now.len());
        for sector in std::mem::take(&mut self.dirty).into_keys() {
            if rng.one_in(2) {
                copy(&self.now, &mut self.durable, sector);
            } else {
                self.doomed.insert(sector);
            }
        }
    }

    /// The system drops its cache of what it believes written, as it may at any time.
    pub(crate) fn evict(&mut self) {
        for sector in std::mem::take(&mut self.doomed) {
            copy(&self.durable, &mut self.now, sector);
        }
    }

    /// A power loss: what was not synced is lost, kept or torn, as the seed has it.
    pub(crate) fn lose_power(&mut self, rng: &mut Rng) {
        let all = [
            Survival::Nothing,
            Survival::Everything,
            Survival::InOrder,
            Survival::InOrder,
            Survival::EachSector,
        ];
        let survival = *rng.pick(&all);
        let (steps, kept_len) = self.surviving_len(survival, rng);
        let last_write = rng.between(0, self.writes);
        self.settle_len(steps, kept_len);
        let dirty: Vec<(usize, Dirty)> = std::mem::take(&mut self.dirty).into_iter().collect();
        let last_sector = self.torn_sector(&dirty, last_write, rng);
        for (sector, d) in dirty {
            let keep = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::InOrder => (d.since, sector) <= (last_write, last_sector),
                Survival::EachSector => rng.one_in(2),
            };
            if keep {
                self.keep(sector, &d, survival, rng);
            }
        }
        self.doomed.clear();
        self.now.clone_from(&self.durable);
    }

    /// Inside the last surviving write the tear may be anywhere.
    fn torn_sector(&self, dirty: &[(usize, Dirty)], write: u64, rng: &mut Rng) -> usize {
        let of_last: Vec<usize> =
            dirty.iter().filter(|(_, d)| d.since == write).map(|(s, _)| *s).collect();
        if of_last.is_empty() { usize::MAX } else { *rng.pick(&of_last) }
    }

    fn keep(&mut self, sector: usize, d: &Dirty, survival: Survival, rng: &mut Rng) {
        let versions = d.older.len() as u64 + 1;
        let version = match survival {
            Survival::EachSector | Survival::InOrder => rng.below(versions) as usize,
            Survival::Nothing | Survival::Everything => d.older.len(),
        };
        match d.older.get(version) {
            None => copy(&self.now, &mut self.durable, sector),
            Some(old) => {
                let start = sector * SECTOR;
                let end = (start + old.len()).min(self.durable.len());
                if start < end {
                    self.durable[start..end].copy_from_slice(&old[..end - start]);
                }
            }
        }
    }

    /// Flips one bit wherever it is stored.
    pub(crate) fn rot(&mut self, offset: usize, bit: u8) {
        for side in [&mut self.now, &mut self.durable] {
            if let Some(b) = side.get_mut(offset) {
                *b ^= 1 << (bit & 7);
            }
        }
    }

    /// How many changes of length survive, and the length that follows.
    fn surviving_len(&self, survival: Survival, rng: &mut Rng) -> (usize, usize) {
        let all = self.lens.len();
        let steps = match survival {
            Survival::Nothing => 0,
            Survival::Everything => all,
            Survival::InOrder | Survival::EachSector => rng.between(0, all as u64) as usize,
        };
        let before = |n: usize| if n == 0 { self.durable.len() } else { self.lens[n - 1].to };
        match self.lens.get(steps.wrapping_sub(1)) {
            Some(Len { to, by_write: true }) if steps < all || rng.one_in(2) => {
                let low = before(steps - 1);
                let sectors = (to - low).div_ceil(SECTOR) as u64;
                (steps, (low + rng.below(sectors + 1) as usize * SECTOR).min(*to))
            }
            _ => (steps, before(steps)),
        }
    }

    /// Gives the durable side the length `len` after the first `steps` changes, with zeroes where
    /// nothing was; lengths and writes count anew.
    fn settle_len(&mut self, steps: usize, len: usize) {
        if let Some(least) = self.lens[..steps].iter().map(|l| l.to).min() {
            self.durable.truncate(least);
        }
        self.durable.resize(len, 0);
        self.lens.clear();
        self.writes = 0;
    }
}

fn slice(bytes: &[u8], sector: usize) -> &[u8] {
    let end = bytes.len().min((sector + 1) * SECTOR);
    &bytes[(sector * SECTOR).min(end)..end]
}

fn copy(from: &[u8], to: &mut [u8], sector: usize) {
    let source = slice(from, sector);
    let start = (sector * SECTOR).min(to.len());
    let end = (start + source.len()).min(to.len());
    to[start..end].copy_from_slice(&source[..end - start]);
}

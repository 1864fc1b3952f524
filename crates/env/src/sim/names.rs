//! The names on a simulated disk: as programs see them, as stable storage has them, and the
//! changes between, in order.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Rng;
use super::file::Inode;

pub(crate) type InodeRef = Arc<Mutex<Inode>>;

#[derive(Clone)]
pub(crate) enum Entry {
    Dir,
    File(InodeRef),
}

#[derive(Default)]
pub(crate) struct Names {
    now: BTreeMap<String, Entry>,
    durable: BTreeMap<String, Entry>,
    pending: Vec<Change>,
}

/// One call's effect on names: all of it or nothing survives.
struct Change {
    /// A path, and what stands there afterwards.
    effects: Vec<(String, Option<Entry>)>,
}

impl Names {
    pub(crate) fn file(&self, path: &str) -> io::Result<InodeRef> {
        match self.now.get(path) {
            Some(Entry::File(f)) => Ok(f.clone()),
            Some(Entry::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        path.is_empty() || self.now.contains_key(path)
    }

    pub(crate) fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.now.get(path), Some(Entry::Dir))
    }

    pub(crate) fn create(&mut self, path: &str) -> io::Result<InodeRef> {
        if !self.is_dir(parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = InodeRef::default();
        self.change(vec![(path.to_string(), Some(Entry::File(inode.clone())))]);
        Ok(inode)
    }

    pub(crate) fn create_dir_all(&mut self, path: &str) -> io::Result<()> {
        if self.is_dir(path) {
            return Ok(());
        }
        if self.exists(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.create_dir_all(parent(path))?;
        self.change(vec![(path.to_string(), Some(Entry::Dir))]);
        Ok(())
    }

    /// Files only: the stores rename nothing else.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.file(from)?;
        if !self.is_dir(parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.is_dir(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.change(vec![(from.to_string(), None), (to.to_string(), Some(Entry::File(file)))]);
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &str) -> io::Result<()> {
        self.file(path)?;
        self.change(vec![(path.to_string(), None)]);
        Ok(())
    }

    pub(crate) fn remove_dir(&mut self, path: &str) -> io::Result<()> {
        if !matches!(self.now.get(path), Some(Entry::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !self.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.change(vec![(path.to_string(), None)]);
        Ok(())
    }

    pub(crate) fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        if !self.is_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let below = self.now.keys().filter(|k| parent(k) == dir);
        Ok(below.map(|k| k[dir.len()..].trim_start_matches('/').to_string()).collect())
    }

    /// All files, by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&String, &InodeRef)> {
        self.now.iter().filter_map(|(path, entry)| match entry {
            Entry::File(f) => Some((path, f)),
            Entry::Dir => None,
        })
    }

    /// The names in `dir` are durable as they are now.
    pub(crate) fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        if !self.is_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (settled, waiting) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|c| c.effects.iter().any(|(path, _)| parent(path) == dir));
        self.pending = waiting;
        for change in settled {
            // What an earlier, still unsettled change (of another directory) did to the same name
            // is overtaken.
            for (path, _) in &change.effects {
                self.pending.iter_mut().for_each(|p| p.effects.retain(|(at, _)| at != path));
            }
            self.settle(change);
        }
        Ok(())
    }

    /// A power loss: of the changes that were not synced none, all, the first few or any survive.
    pub(crate) fn lose_power(&mut self, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        let first = rng.between(0, pending.len() as u64) as usize;
        let how = rng.below(4);
        for (i, change) in pending.into_iter().enumerate() {
            let keep = match how {
                0 => false,
                1 => true,
                2 => i < first,
                _ => rng.one_in(2),
            };
            if keep {
                self.settle(change);
            }
        }
        let kept: Vec<String> = self.durable.keys().cloned().collect();
        for path in kept {
            // In order of the paths a directory comes before what it holds.
            let home = parent(&path);
            if !home.is_empty() && !self.durable.contains_key(home) {
                self.durable.remove(&path);
            }
        }
        self.now.clone_from(&self.durable);
    }

    fn change(&mut self, effects: Vec<(String, Option<Entry>)>) {
        apply(&mut self.now, &effects);
        self.pending.push(Change { effects });
    }

    fn settle(&mut self, change: Change) {
        apply(&mut self.durable, &change.effects);
    }
}

fn apply(names: &mut BTreeMap<String, Entry>, effects: &[(String, Option<Entry>)]) {
    for (path, entry) in effects {
        match entry {
            Some(e) => names.insert(path.clone(), e.clone()),
            None => names.remove(path),
        };
    }
}

pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

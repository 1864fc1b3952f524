//! A log store in memory, as simple as the contract allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_base::Timestamp;
use millstream_env::BoxFuture;
use millstream_log::{
    AppendError, Batch, ChunkKeys, Entries, Entry, LogError, LogId, LogStore, NoKeys, Position,
    PositionRange, ReadError, ReadLimit, Tail,
};
use parking_lot::Mutex;
use tokio::sync::watch;

pub(super) struct MemoryLog {
    logs: Arc<Mutex<Logs>>,
    keys: Arc<dyn ChunkKeys>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        MemoryLog { logs: Arc::default(), keys: Arc::new(NoKeys) }
    }
}

#[derive(Default)]
struct Logs {
    lsn: u64,
    logs: BTreeMap<LogId, Log>,
    /// Appends fail as on a full disk.
    full: bool,
}

struct Log {
    entries: Vec<Entry>,
    trimmed: Position,
    tail: watch::Sender<Tail>,
}

impl MemoryLog {
    pub(super) fn fill_disk(&self, full: bool) {
        self.logs.lock().full = full;
    }

    pub(super) fn unseal(&self, log: LogId) {
        self.logs.lock().logs[&log].tail.send_modify(|tail| tail.sealed = false);
    }

    /// The logs that exist.
    pub(super) fn list(&self) -> Vec<LogId> {
        self.logs.lock().logs.keys().copied().collect()
    }

    /// Entries that were not given back yet.
    pub(super) fn kept(&self, log: LogId) -> usize {
        self.logs.lock().logs[&log].entries.len()
    }

    fn append_one(&self, log: LogId, batch: Batch) -> Result<PositionRange, AppendError> {
        let mut logs = self.logs.lock();
        if logs.full {
            return Err(AppendError::Full { reason: "0 bytes left".into() });
        }
        logs.lsn += 3; // positions are not dense
        let lsn = logs.lsn;
        let found = logs.logs.get_mut(&log).ok_or(AppendError::NotFound { log })?;
        let tail = *found.tail.borrow();
        if tail.sealed {
            return Err(AppendError::Sealed { log });
        }
        let at = batch.at.max(tail.last_at);
        let count = batch.entries.len() as u32;
        for (index, new) in (0..).zip(batch.entries) {
            let position = Position::new(lsn, index);
            let (attributes, key, value) = (new.attributes, new.key, new.value);
            let sealed = batch.seal.as_ref().map(|key| key.reference());
            found.entries.push(Entry { position, at, sealed, attributes, key, value });
        }
        let next = Position::new(lsn, count);
        found.tail.send_replace(Tail { next, last_at: at, sealed: false });
        Ok(PositionRange { first: Position::new(lsn, 0), count, at })
    }
}

impl LogStore for MemoryLog {
    fn create(&self, new: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>> {
        let tail = Tail { next: Position::START, last_at: Timestamp::ZERO, sealed: false };
        let mut logs = self.logs.lock();
        for log in new {
            logs.logs.entry(log).or_insert_with(|| Log {
                entries: Vec::new(),
                trimmed: Position::START,
                tail: watch::Sender::new(tail),
            });
        }
        Box::pin(async { Ok(()) })
    }

    fn append(
        &self,
        batches: Vec<(LogId, Batch)>,
    ) -> BoxFuture<'_, Vec<Result<PositionRange, AppendError>>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            batches.into_iter().map(|(log, batch)| self.append_one(log, batch)).collect()
        })
    }

    fn read(
        &self,
        log: LogId,
        from: Position,
        limit: ReadLimit,
    ) -> BoxFuture<'_, Result<Entries, ReadError>> {
        let logs = self.logs.lock();
        let Some(found) = logs.logs.get(&log) else {
            return Box::pin(async move { Err(ReadError::NotFound { log }) });
        };
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let locked = |e: &Entry| e.sealed.filter(|key| self.keys.get(*key).is_none());
        for entry in found.entries.iter().filter(|e| e.position >= from) {
            if let Some(key) = locked(entry) {
                if entries.is_empty() {
                    return Box::pin(async move { Err(ReadError::Locked { log, key }) });
                }
                break;
            }
            bytes += entry.key.len() + entry.value.len();
            let room = entries.len() < limit.entries_max && bytes <= limit.bytes_max;
            if !room && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        let next = match entries.last() {
            Some(last) => last.position.next(),
            None => from.max(found.trimmed),
        };
        Box::pin(async move { Ok(Entries { entries, next }) })
    }

    fn find(&self, log: LogId, at: Timestamp) -> BoxFuture<'_, Result<Position, ReadError>> {
        let logs = self.logs.lock();
        let position = logs.logs.get(&log).map(|found| {
            let first = found.entries.iter().find(|e| e.at >= at);
            first.map_or(found.tail.borrow().next, |e| e.position)
        });
        Box::pin(async move { position.ok_or(ReadError::NotFound { log }) })
    }

    fn with_keys(&self, keys: Arc<dyn ChunkKeys>) -> Arc<dyn LogStore> {
        Arc::new(MemoryLog { logs: self.logs.clone(), keys })
    }

    fn tail(&self, log: LogId) -> Result<watch::Receiver<Tail>, LogError> {
        let logs = self.logs.lock();
        logs.logs.get(&log).map(|l| l.tail.subscribe()).ok_or(LogError::NotFound { log })
    }

    fn trim(&self, log: LogId, before: Position) -> BoxFuture<'_, Result<(), LogError>> {
        let mut logs = self.logs.lock();
        let done = logs.logs.get_mut(&log).ok_or(LogError::NotFound { log }).map(|found| {
            let before = before.min(found.tail.borrow().next);
            found.trimmed = found.trimmed.max(before);
            found.entries.retain(|e| e.position >= before);
        });
        Box::pin(async { done })
    }

    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Tail, LogError>> {
        let mut logs = self.logs.lock();
        let done = logs.logs.get_mut(&log).ok_or(LogError::NotFound { log }).map(|found| {
            found.tail.send_modify(|tail| tail.sealed = true);
            *found.tail.borrow()
        });
        Box::pin(async { done })
    }

    fn delete(&self, gone: Vec<LogId>) -> BoxFuture<'_, Result<(), LogError>> {
        let mut logs = self.logs.lock();
        logs.logs.retain(|log, _| !gone.contains(log));
        Box::pin(async { Ok(()) })
    }
}

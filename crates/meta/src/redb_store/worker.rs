//! The one task that calls redb.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use millstream_env::{Disk, Env, OpenMode};
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use tokio::sync::mpsc;

use super::backend::{Backend, Faults};
use super::{Call, Reply};
use crate::memory::fits;
use crate::store::{Change, Expect, Key, MetaError, Revision, Row};
use crate::watchers::Watchers;

/// Key to revision (8 bytes, little-endian), checksum (4) and value.
const ROWS: TableDefinition<&str, &[u8]> = TableDefinition::new("rows");
/// The store's own numbers.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
const REVISION: &str = "revision";
const FORMAT: &str = "format";
/// The format that this program writes and reads.
const FORMAT_NOW: u64 = 1;

/// What redb's files start with.
const MAGIC: &[u8; 4] = b"redb";
const ROW_HEAD: usize = 12;
/// Changes that share a transaction.
const GROUP_MAX: usize = 128;
/// redb's page cache, bytes. Engines keep their rows in memory; this serves writes and scans.
const CACHE_BYTES: usize = 8 << 20;

pub(super) struct Worker {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    watchers: Watchers,
    faults: Arc<Faults>,
    /// Absent after a failure, until it was opened anew.
    database: Option<Database>,
    revision: u64,
}

struct Write {
    key: Key,
    value: Option<Bytes>,
    expect: Expect,
    reply: Reply<Revision>,
}

impl Worker {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        watchers: Watchers,
    ) -> Result<Worker, MetaError> {
        let faults = Arc::new(Faults::default());
        let mut worker = Worker { disk, path, watchers, faults, database: None, revision: 0 };
        worker.make_if_missing()?;
        worker.reopen()?;
        Ok(worker)
    }

    pub(super) async fn run(mut self, env: Env, mut calls: mpsc::Receiver<Call>) {
        while let Some(first) = calls.recv().await {
            let mut writes = Vec::new();
            let mut open = self.sort(first, &mut writes);
            while open
                && writes.len() < GROUP_MAX
                && let Ok(call) = calls.try_recv()
            {
                open = self.sort(call, &mut writes);
            }
            if !writes.is_empty() {
                self.write(writes);
            }
            if self.faults.sync.load(Ordering::Relaxed) {
                env.fatal("a sync of the metadata file failed").await;
            }
            if !open {
                break;
            }
        }
        self.close();
    }

    /// Reads are answered at once: they may or may not see the changes that wait beside them.
    /// False when the store is to be closed.
    fn sort(&mut self, call: Call, writes: &mut Vec<Write>) -> bool {
        match call {
            Call::Close => return false,
            Call::Get { key, reply } => {
                let _ = reply.send(self.get(&key));
            }
            Call::Scan { prefix, after, limit, reply } => {
                let _ = reply.send(self.scan(&prefix, after.as_ref(), limit));
            }
            Call::Write { key, value, expect, reply } => {
                writes.push(Write { key, value, expect, reply });
            }
        }
        true
    }

    fn get(&mut self, key: &Key) -> Result<Option<Row>, MetaError> {
        let database = self.database()?;
        let found = guarded(|| {
            let rows = database.begin_read()?.open_table(ROWS)?;
            Ok(rows.get(key.as_str())?.map(|row| decode(key.clone(), row.value())))
        });
        found.map_err(|e| self.read_failed(e))?.transpose()
    }

    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        let from = match after {
            Some(key) if key.as_str() >= prefix => Bound::Excluded(key.as_str()),
            _ => Bound::Included(prefix),
        };
        let database = self.database()?;
        let found = guarded(|| {
            let rows = database.begin_read()?.open_table(ROWS)?;
            let mut found = Vec::new();
            for row in rows.range::<&str>((from, Bound::Unbounded))?.take(limit) {
                let (key, value) = row?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                found.push(decode(Key::new(key.value()), value.value()));
            }
            Ok(found)
        });
        found.map_err(|e| self.read_failed(e))?.into_iter().collect()
    }

    /// Makes the changes in one transaction, and answers when it is durable.
    fn write(&mut self, writes: Vec<Write>) {
        match self.try_write(&writes) {
            Ok(results) => {
                for (write, result) in writes.into_iter().zip(results) {
                    if let Ok((revision, true)) = &result {
                        self.watchers.publish(&change(&write, *revision));
                    }
                    let _ = write.reply.send(result.map(|(revision, _)| revision));
                }
            }
            Err(e) => {
                for write in writes {
                    let _ = write.reply.send(Err(e.clone()));
                }
            }
        }
    }

    /// Per change: its revision and whether there was anything to change.
    #[allow(clippy::type_complexity)]
    fn try_write(
        &mut self,
        writes: &[Write],
    ) -> Result<Vec<Result<(Revision, bool), MetaError>>, MetaError> {
        let mut revision = self.revision;
        let database = self.database()?;
        let results = guarded(|| commit(database, writes, &mut revision));
        match results {
            Ok(results) => {
                self.revision = revision;
                Ok(results)
            }
            Err(e) => Err(self.fail(e)),
        }
    }

    /// After a failed commit redb serves nothing any more: close it, and open it anew on demand.
    fn fail(&mut self, e: Broken) -> MetaError {
        let error = self.broken(e);
        tracing::error!(error = %error, file = %self.path.display(), "the metadata store failed");
        self.close();
        error
    }

    /// redb reads and writes once more as it closes, and trips over rotten pages there as well.
    fn close(&mut self) {
        let database = self.database.take();
        let _ = guarded(|| {
            drop(database);
            Ok(())
        });
    }

    fn read_failed(&mut self, e: Broken) -> MetaError {
        match e {
            Broken::Store(e) => self.error(*e),
            // It stopped in the middle: nothing is known of its state.
            broken @ Broken::What(_) => self.fail(broken),
        }
    }

    fn database(&mut self) -> Result<&Database, MetaError> {
        if self.database.is_none() {
            self.reopen()?;
        }
        Ok(self.database.as_ref().expect("it was just opened"))
    }

    fn reopen(&mut self) -> Result<(), MetaError> {
        self.faults.full.store(false, Ordering::Relaxed);
        let file = self.disk.open(&self.path, OpenMode::Write).map_err(|e| self.io(e))?;
        // redb would make a database of an empty file, and of one that lost its head.
        let mut head = [0; MAGIC.len()];
        if file.read_exact_at(&mut head, 0).is_err() || head != *MAGIC {
            return Err(self.broken(Broken::What("not a metadata store".into())));
        }
        let opened = open_database(Backend::new(file, self.faults.clone()));
        let database = opened.map_err(|e| self.broken(e))?;
        self.revision = verify(&database).map_err(|e| self.broken(e))?;
        self.database = Some(database);
        Ok(())
    }

    /// A new file gets its name when it is whole, so that a crash leaves none that can't be read.
    fn make_if_missing(&self) -> Result<(), MetaError> {
        let dir = self.path.parent().unwrap_or(Path::new(""));
        let name = self.path.file_name().expect("the path names a file").to_string_lossy();
        let io = |e| self.io(e);
        self.disk.create_dir_all(dir).map_err(io)?;
        if self.disk.list(dir).map_err(io)?.iter().any(|n| *n == name) {
            return self.sync_names(dir); // whoever made it may have been killed before doing so
        }
        let new = self.path.with_file_name(format!("{name}.new"));
        let file = self.disk.open(&new, OpenMode::Create).map_err(io)?;
        file.set_len(0).map_err(io)?;
        let made = open_database(Backend::new(file, self.faults.clone()));
        let made = made.and_then(|database| Ok(found_tables(&database)?));
        made.map_err(|e| self.broken(e))?;
        self.disk.rename(&new, &self.path).map_err(io)?;
        self.sync_names(dir)
    }

    fn sync_names(&self, dir: &Path) -> Result<(), MetaError> {
        self.disk.sync_dir(dir).map_err(|e| self.io(e))?;
        match dir.parent() {
            Some(above) => self.disk.sync_dir(above).map_err(|e| self.io(e)),
            None => Ok(()),
        }
    }

    fn io(&self, e: std::io::Error) -> MetaError {
        let reason = format!("{}: {e}", self.path.display());
        match e.kind() {
            std::io::ErrorKind::StorageFull => MetaError::Full { reason },
            _ => MetaError::Unavailable { reason },
        }
    }

    fn broken(&self, e: Broken) -> MetaError {
        match e {
            Broken::Store(e) => self.error(*e),
            Broken::What(what) => {
                MetaError::Corrupt { reason: format!("{}: {what}", self.path.display()) }
            }
        }
    }

    fn error(&self, e: redb::Error) -> MetaError {
        let reason = format!("{}: {e}", self.path.display());
        match e {
            _ if self.faults.full.load(Ordering::Relaxed) => MetaError::Full { reason },
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableDoesNotExist(_) => MetaError::Corrupt { reason },
            // What is not a database at all, or ends too early, shows as one of these.
            redb::Error::Io(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                MetaError::Corrupt { reason }
            }
            _ => MetaError::Unavailable { reason },
        }
    }
}

enum Broken {
    Store(Box<redb::Error>),
    What(String),
}

/// redb asserts some of what it reads; a file that breaks those is damaged, and no reason to die.
fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Broken> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => Ok(result?),
        Err(_) => Err(Broken::What("its pages are damaged".into())),
    }
}

fn open_database(backend: Backend) -> Result<Database, Broken> {
    guarded(|| {
        let mut builder = Database::builder();
        Ok(builder.set_cache_size(CACHE_BYTES).create_with_backend(backend)?)
    })
}

fn found_tables(database: &Database) -> Result<(), redb::Error> {
    let write = begin(database)?;
    write.open_table(ROWS)?;
    {
        let mut numbers = write.open_table(NUMBERS)?;
        numbers.insert(FORMAT, FORMAT_NOW)?;
        numbers.insert(REVISION, 0)?;
    }
    Ok(write.commit()?)
}

impl From<redb::Error> for Broken {
    fn from(e: redb::Error) -> Self {
        Broken::Store(Box::new(e))
    }
}

/// Reads all there is; returns the revision.
fn verify(database: &Database) -> Result<u64, Broken> {
    guarded(|| try_verify(database))?.map_err(Broken::What)
}

fn try_verify(database: &Database) -> Result<Result<u64, String>, redb::Error> {
    let read = database.begin_read()?;
    let numbers = read.open_table(NUMBERS)?;
    let number = |name| numbers.get(name).map(|n| n.map(|n| n.value()));
    match number(FORMAT)? {
        Some(FORMAT_NOW) => {}
        Some(newer) if newer > FORMAT_NOW => {
            let what = format!("format {newer}, and this program knows up to {FORMAT_NOW}");
            return Ok(Err(what));
        }
        other => return Ok(Err(format!("format {other:?}"))),
    }
    let Some(revision) = number(REVISION)? else {
        return Ok(Err("its revision is missing".into()));
    };
    let rows = read.open_table(ROWS)?;
    let mut count = 0;
    let mut last: Option<Key> = None;
    for row in rows.iter()? {
        let (key, value) = row?;
        let row = match decode(Key::new(key.value()), value.value()) {
            Ok(row) => row,
            Err(e) => return Ok(Err(e.to_string())),
        };
        if last.as_ref().is_some_and(|last| *last >= row.key) || row.revision.0 > revision {
            return Ok(Err(format!("row {} is out of order", row.key)));
        }
        last = Some(row.key);
        count += 1;
    }
    match rows.len()? {
        len if len == count => Ok(Ok(revision)),
        len => Ok(Err(format!("{count} of {len} rows are left"))),
    }
}

fn begin(database: &Database) -> Result<redb::WriteTransaction, redb::Error> {
    let mut write = database.begin_write()?;
    write.set_two_phase_commit(true);
    Ok(write)
}

#[allow(clippy::type_complexity)]
fn commit(
    database: &Database,
    writes: &[Write],
    revision: &mut u64,
) -> Result<Vec<Result<(Revision, bool), MetaError>>, redb::Error> {
    let transaction = begin(database)?;
    let before = *revision;
    let mut results = Vec::with_capacity(writes.len());
    {
        let mut rows = transaction.open_table(ROWS)?;
        for write in writes {
            results.push(apply(&mut rows, write, revision)?);
        }
        transaction.open_table(NUMBERS)?.insert(REVISION, *revision)?;
    }
    match *revision == before {
        true => transaction.abort()?,
        false => transaction.commit()?,
    }
    Ok(results)
}

fn apply(
    rows: &mut redb::Table<'_, &str, &[u8]>,
    write: &Write,
    revision: &mut u64,
) -> Result<Result<(Revision, bool), MetaError>, redb::Error> {
    let key = write.key.as_str();
    let found = rows.get(key)?.map(|row| decode(write.key.clone(), row.value()));
    let found = match found.transpose() {
        Ok(row) => row.map(|row| row.revision),
        Err(e) => return Ok(Err(e)),
    };
    if !fits(write.expect, found) {
        return Ok(Err(MetaError::Conflict { key: write.key.clone() }));
    }
    if write.value.is_none() && found.is_none() {
        return Ok(Ok((Revision(*revision), false)));
    }
    *revision += 1;
    match &write.value {
        Some(value) => drop(rows.insert(key, encode(key, *revision, value).as_slice())?),
        None => drop(rows.remove(key)?),
    }
    Ok(Ok((Revision(*revision), true)))
}

fn change(write: &Write, revision: Revision) -> Change {
    let key = write.key.clone();
    match write.value.clone() {
        Some(value) => Change::Put(Row { key, value, revision }),
        None => Change::Deleted { key, revision },
    }
}

fn encode(key: &str, revision: u64, value: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(ROW_HEAD + value.len());
    row.extend_from_slice(&revision.to_le_bytes());
    row.extend_from_slice(&checksum(key, revision, value).to_le_bytes());
    row.extend_from_slice(value);
    row
}

fn decode(key: Key, row: &[u8]) -> Result<Row, MetaError> {
    let corrupt = || MetaError::Corrupt { reason: format!("row {key} is damaged") };
    let (head, value) = row.split_at_checked(ROW_HEAD).ok_or_else(corrupt)?;
    let revision = u64::from_le_bytes(head[..8].try_into().expect("8 bytes"));
    let sum = u32::from_le_bytes(head[8..].try_into().expect("4 bytes"));
    if sum != checksum(key.as_str(), revision, value) {
        return Err(corrupt());
    }
    Ok(Row { value: Bytes::copy_from_slice(value), revision: Revision(revision), key })
}

fn checksum(key: &str, revision: u64, value: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(key.as_bytes());
    digest.update(&revision.to_le_bytes());
    digest.update(value);
    digest.finalize() as u32
}

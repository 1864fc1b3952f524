//! Segment files: immutable, written behind the write-ahead log, each log's chunks in one stretch.
//!
//! ```text
//!  [header 64][log 1: chunk chunk chunk][log 2: chunk][log 7: chunk chunk] .. sparse index,
//!             '---------- run ---------''--- run ---'                        run table, trailer
//! ```

mod footer;
mod reader;
mod writer;

use std::path::Path;
use std::sync::Arc;

use millstream_base::Timestamp;
use millstream_env::{Disk, File, OpenMode};
use parking_lot::{Mutex, RwLock};

use crate::codec::Fields;
use crate::damage::FileError;
use crate::frame::Incarnation;
use crate::lru::Lru;
use crate::options::Options;
use crate::store::LogId;

pub(crate) use footer::{Block, Run, SEGMENT_HEADER_LEN, TRAILER_LEN, Trailer};
pub(crate) use reader::ChunkReader;
pub(crate) use writer::SegmentWriter;

pub(crate) const SEGMENT_DIR: &str = "seg";

pub(crate) fn segment_path(id: u64) -> String {
    format!("{SEGMENT_DIR}/{id:012}.seg")
}

/// What the manifest knows of a segment file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub id: u64,
    /// The one family it holds; `None` if several share it.
    pub family: Option<u32>,
    pub file_bytes: u64,
    /// Bytes of chunks.
    pub data_bytes: u64,
    pub min_lsn: u64,
    pub max_lsn: u64,
    pub min_at: Timestamp,
    pub max_at: Timestamp,
    pub runs: u32,
    pub entries: u64,
}

impl SegmentRow {
    pub(crate) const LEN: usize = 80;

    pub(crate) fn encode(&self, b: &mut Vec<u8>) {
        b.extend(self.id.to_le_bytes());
        b.extend((self.family.is_some() as u32).to_le_bytes());
        b.extend(self.family.unwrap_or(0).to_le_bytes());
        let numbers = [
            self.file_bytes,
            self.data_bytes,
            self.min_lsn,
            self.max_lsn,
            self.min_at.as_millis(),
            self.max_at.as_millis(),
            u64::from(self.runs),
            self.entries,
        ];
        for n in numbers {
            b.extend(n.to_le_bytes());
        }
    }

    pub(crate) fn decode(f: &mut Fields) -> Option<Self> {
        let id = f.u64()?;
        let (own, family) = (f.u32()?, f.u32()?);
        Some(SegmentRow {
            id,
            family: (own != 0).then_some(family),
            file_bytes: f.u64()?,
            data_bytes: f.u64()?,
            min_lsn: f.u64()?,
            max_lsn: f.u64()?,
            min_at: Timestamp::from_millis(f.u64()?),
            max_at: Timestamp::from_millis(f.u64()?),
            runs: u32::try_from(f.u64()?).ok()?,
            entries: f.u64()?,
        })
    }

    pub(crate) fn path(&self) -> String {
        segment_path(self.id)
    }
    pub(crate) fn may_hold(&self, log: LogId) -> bool {
        self.family.is_none_or(|f| f == log.family())
    }
}

/// The segments of one moment, by their first lsn.
pub(crate) struct SegmentSet {
    pub rows: Vec<SegmentRow>,
}

impl SegmentSet {
    pub(crate) fn new(mut rows: Vec<SegmentRow>) -> Self {
        rows.sort_unstable_by_key(|r| (r.min_lsn, r.id));
        SegmentSet { rows }
    }
}

/// The segment files of a running store: the current set, open files, cached index blocks.
pub(crate) struct Segments {
    pub disk: Arc<dyn Disk>,
    pub incarnation: Incarnation,
    pub read_ahead: usize,
    set: RwLock<Arc<SegmentSet>>,
    files: Mutex<Lru<u64, Arc<dyn File>>>,
    blocks: Mutex<Lru<(u64, u64), Block>>,
}

impl Segments {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        incarnation: Incarnation,
        options: &Options,
        rows: Vec<SegmentRow>,
    ) -> Self {
        Segments {
            disk,
            incarnation,
            read_ahead: options.read_ahead_bytes as usize,
            set: RwLock::new(Arc::new(SegmentSet::new(rows))),
            files: Mutex::new(Lru::new(options.open_files_max)),
            blocks: Mutex::new(Lru::new(options.index_cache_bytes as usize)),
        }
    }

    pub(crate) fn set(&self) -> Arc<SegmentSet> {
        self.set.read().clone()
    }

    /// Makes `rows` the current set and forgets what is open or cached of others.
    pub(crate) fn replace(&self, rows: Vec<SegmentRow>) {
        let set = Arc::new(SegmentSet::new(rows));
        *self.set.write() = set.clone();
        let ids: std::collections::HashSet<u64> = set.rows.iter().map(|r| r.id).collect();
        self.files.lock().retain(|id| ids.contains(id));
        self.blocks.lock().retain(|(id, _)| ids.contains(id));
    }

    pub(crate) fn file(&self, id: u64) -> Result<Arc<dyn File>, FileError> {
        if let Some(file) = self.files.lock().get(id) {
            return Ok(file);
        }
        let path = segment_path(id);
        let file = self.disk.open(Path::new(&path), OpenMode::Read);
        let file: Arc<dyn File> = Arc::from(file.map_err(|e| FileError::io(&path, e))?);
        self.files.lock().insert(id, file.clone(), 1);
        Ok(file)
    }

    /// Forgets what is cached of a segment's footer.
    pub(crate) fn forget_index(&self, id: u64) {
        self.blocks.lock().retain(|(of, _)| *of != id);
    }

    pub(crate) fn cached_index_bytes(&self) -> usize {
        self.blocks.lock().weight()
    }
}

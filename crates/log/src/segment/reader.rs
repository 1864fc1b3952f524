//! Reads segment files: footer pieces through the cache, chunks through a buffer, all checked.

use std::sync::Arc;

use bytes::Bytes;
use millstream_base::Timestamp;
use millstream_env::File;

use super::footer::{
    Block, Key, RUN_LEN, RUNS_PER_BLOCK, Run, SEGMENT_HEADER_LEN, SPARSE_LEN, Sparse, TRAILER_LEN,
    Trailer, check_header,
};
use super::{SegmentRow, Segments};
use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader, ChunkKind};
use crate::codec::crc;
use crate::damage::{Damage, FileError};
use crate::store::{LogId, Position};

impl Segments {
    /// The runs of `log` in a segment that hold something at or after `from`, in order.
    pub(crate) fn runs_of(
        &self,
        row: &SegmentRow,
        log: LogId,
        from: Position,
    ) -> Result<Vec<Run>, FileError> {
        let keys = self.keys(row)?;
        // The block before the first key that is not smaller may hold the log's first runs.
        let first = keys.1.partition_point(|k| k.log < log).saturating_sub(1);
        let mut found = Vec::new();
        for at in first..keys.1.len() {
            if keys.1[at].log > log {
                break;
            }
            let block = self.run_block(row, &keys, at)?;
            found.extend(block.iter().filter(|r| r.log == log && r.end > from));
        }
        Ok(found)
    }

    pub(crate) fn all_runs(&self, row: &SegmentRow) -> Result<Vec<Run>, FileError> {
        let keys = self.keys(row)?;
        let mut runs = Vec::with_capacity(row.runs as usize);
        for at in 0..keys.1.len() {
            runs.extend(self.run_block(row, &keys, at)?.iter());
        }
        Ok(runs)
    }

    /// Where in the file to begin looking for `position` in `run`.
    pub(crate) fn seek(
        &self,
        row: &SegmentRow,
        run: &Run,
        position: Position,
    ) -> Result<u64, FileError> {
        let sparse = self.sparse(row, run)?;
        let before = sparse.partition_point(|s| s.position <= position);
        Ok(run.offset + before.checked_sub(1).map_or(0, |i| sparse[i].offset))
    }

    /// Where in the file to begin looking for the first chunk of time `at` or later.
    pub(crate) fn seek_time(
        &self,
        row: &SegmentRow,
        run: &Run,
        at: Timestamp,
    ) -> Result<u64, FileError> {
        let sparse = self.sparse(row, run)?;
        let before = sparse.partition_point(|s| s.at < at);
        Ok(run.offset + before.checked_sub(1).map_or(0, |i| sparse[i].offset))
    }

    /// The trailer and the keys, checked against the manifest's row.
    pub(crate) fn keys(&self, row: &SegmentRow) -> Result<Arc<(Trailer, Vec<Key>)>, FileError> {
        let block = self.block(row, u64::MAX, || {
            let damaged = |offset: u64, what: String| Damage::new(row.path(), offset, what);
            let file = self.file(row.id)?;
            let len = file.len().map_err(|e| FileError::io(row.path(), e))?;
            if len != row.file_bytes {
                let what = format!("the file is {len} bytes long, not {}", row.file_bytes);
                return Err(damaged(len.min(row.file_bytes), what).into());
            }
            let header = self.bytes(row, 0, SEGMENT_HEADER_LEN)?;
            check_header(&header, &self.incarnation, row.id).map_err(|e| damaged(0, e))?;
            let at = row.file_bytes - TRAILER_LEN as u64;
            let trailer = Trailer::decode(&self.bytes(row, at, TRAILER_LEN)?);
            let trailer = trailer.map_err(|e| damaged(at, e))?;
            if trailer.row != *row || trailer.incarnation != self.incarnation {
                return Err(damaged(at, "the file is not the one the manifest means".into()).into());
            }
            let keys = self.bytes(row, trailer.keys_offset, trailer.keys_len())?;
            if crc(&keys) != trailer.keys_crc {
                let what = "the run table's keys fail their checksum".into();
                return Err(damaged(trailer.keys_offset, what).into());
            }
            let keys = Key::decode_all(&keys).expect("the length is a multiple of a key's");
            Ok(Block::Keys(Arc::new((trailer, keys))))
        })?;
        let Block::Keys(keys) = block else { unreachable!("cached under the keys' offset") };
        Ok(keys)
    }

    fn run_block(
        &self,
        row: &SegmentRow,
        keys: &(Trailer, Vec<Key>),
        at: usize,
    ) -> Result<Arc<Vec<Run>>, FileError> {
        let offset = keys.0.runs_offset + (at * RUNS_PER_BLOCK * RUN_LEN) as u64;
        let runs = RUNS_PER_BLOCK.min(row.runs as usize - at * RUNS_PER_BLOCK);
        let block = self.block(row, offset, || {
            let bytes = self.bytes(row, offset, runs * RUN_LEN)?;
            if crc(&bytes) != keys.1[at].crc {
                let what = "a block of the run table fails its checksum";
                return Err(Damage::new(row.path(), offset, what).into());
            }
            let runs = Run::decode_all(&bytes).expect("the length is a multiple of a run's");
            Ok(Block::Runs(Arc::new(runs)))
        })?;
        let Block::Runs(runs) = block else { unreachable!("cached under a run block's offset") };
        Ok(runs)
    }

    pub(crate) fn sparse(
        &self,
        row: &SegmentRow,
        run: &Run,
    ) -> Result<Arc<Vec<Sparse>>, FileError> {
        if run.sparse_count == 0 {
            return Ok(Arc::default());
        }
        let block = self.block(row, run.sparse_offset, || {
            let bytes =
                self.bytes(row, run.sparse_offset, run.sparse_count as usize * SPARSE_LEN)?;
            if crc(&bytes) != run.sparse_crc {
                let what = format!("the sparse index of log {} fails its checksum", run.log);
                return Err(Damage::new(row.path(), run.sparse_offset, what).into());
            }
            let sparse =
                Sparse::decode_all(&bytes).expect("the length is a multiple of an entry's");
            Ok(Block::Sparse(Arc::new(sparse)))
        })?;
        let Block::Sparse(sparse) = block else { unreachable!("cached under a sparse offset") };
        Ok(sparse)
    }

    fn block(
        &self,
        row: &SegmentRow,
        offset: u64,
        load: impl FnOnce() -> Result<Block, FileError>,
    ) -> Result<Block, FileError> {
        if let Some(block) = self.blocks.lock().get((row.id, offset)) {
            return Ok(block);
        }
        let block = load()?;
        self.blocks.lock().insert((row.id, offset), block.clone(), block.weight());
        Ok(block)
    }

    fn bytes(&self, row: &SegmentRow, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        if offset.saturating_add(len as u64) > row.file_bytes {
            let what = "the footer points behind the file's end";
            return Err(Damage::new(row.path(), row.file_bytes, what).into());
        }
        let mut bytes = vec![0; len];
        let read = self.file(row.id)?.read_exact_at(&mut bytes, offset);
        read.map_err(|e| FileError::io(row.path(), e))?;
        Ok(bytes)
    }
}

/// A chunk in a segment file.
pub(crate) struct StoredChunk {
    pub offset: u64,
    pub header: ChunkHeader,
    /// Header and payload.
    pub bytes: Bytes,
}

/// Reads chunks one after the other from a stretch of a segment file.
pub(crate) struct ChunkReader {
    path: String,
    file: Arc<dyn File>,
    pub at: u64,
    end: u64,
    fetch: usize,
    buf: Bytes,
    buf_start: u64,
}

impl ChunkReader {
    /// Reads from `start` to `end`, `fetch` bytes at once unless a chunk is larger.
    pub(crate) fn new(
        segments: &Segments,
        row: &SegmentRow,
        start: u64,
        end: u64,
        fetch: usize,
    ) -> Result<Self, FileError> {
        let file = segments.file(row.id)?;
        let (path, buf) = (row.path(), Bytes::new());
        Ok(ChunkReader { path, file, at: start, end, fetch, buf, buf_start: start })
    }

    /// The next chunk, checked; `None` at the end of the stretch.
    pub(crate) fn next(&mut self) -> Result<Option<StoredChunk>, FileError> {
        let offset = self.at;
        let Some(header) = self.peek()? else { return Ok(None) };
        let bytes = self.get(offset, header.chunk_len())?;
        header.check(&bytes[CHUNK_HEADER_LEN..]).map_err(|e| self.damage(offset, e))?;
        self.at += bytes.len() as u64;
        Ok(Some(StoredChunk { offset, header, bytes }))
    }

    /// The next chunk's header; the payload is not looked at.
    pub(crate) fn peek(&mut self) -> Result<Option<ChunkHeader>, FileError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let bytes = self.get(self.at, CHUNK_HEADER_LEN)?;
        let header = ChunkHeader::decode(&bytes).map_err(|e| self.damage(self.at, e))?;
        if header.kind != ChunkKind::Data || self.at + header.chunk_len() as u64 > self.end {
            return Err(self.damage(self.at, "a chunk that does not belong here").into());
        }
        Ok(Some(header))
    }

    /// Steps over the chunk that was peeked at.
    pub(crate) fn skip(&mut self, header: &ChunkHeader) {
        self.at += header.chunk_len() as u64;
    }

    fn damage(&self, offset: u64, what: impl std::fmt::Display) -> Damage {
        Damage::new(&self.path, offset, what)
    }

    fn get(&mut self, offset: u64, len: usize) -> Result<Bytes, FileError> {
        let have = (offset >= self.buf_start)
            .then(|| (offset - self.buf_start) as usize)
            .filter(|from| from + len <= self.buf.len());
        if let Some(from) = have {
            return Ok(self.buf.slice(from..from + len));
        }
        let want = (self.fetch.max(len) as u64).min(self.end - offset) as usize;
        if want < len {
            return Err(self.damage(offset, "a chunk is cut off").into());
        }
        let mut buf = vec![0; want];
        let read = self.file.read_exact_at(&mut buf, offset);
        read.map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damage(offset, "the file ends").into(),
            _ => FileError::io(&self.path, e),
        })?;
        self.buf = Bytes::from(buf);
        self.buf_start = offset;
        Ok(self.buf.slice(..len))
    }
}

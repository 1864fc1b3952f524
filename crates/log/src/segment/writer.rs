//! Writes one segment file: chunks as they are, then the footer; durable and named when finished.

use std::path::{Path, PathBuf};

use millstream_env::disk::{ALIGNMENT, AlignedBuf};
use millstream_env::{Disk, File, OpenMode};

use super::footer::{
    Key, RUNS_PER_BLOCK, Run, SPARSE_STEP, Sparse, TRAILER_LEN, Trailer, encode_header,
};
use super::{SEGMENT_DIR, SegmentRow, segment_path};
use crate::chunk::ChunkHeader;
use crate::codec::crc;
use crate::damage::FileError;
use crate::frame::Incarnation;
use crate::store::LogId;

/// One write to the disk.
const WRITE_BYTES: usize = 1 << 20;

pub(crate) struct SegmentWriter<'a> {
    disk: &'a dyn Disk,
    tmp: PathBuf,
    file: Box<dyn File>,
    buf: AlignedBuf,
    /// Bytes written to the file; `buf` comes next.
    written: u64,
    incarnation: Incarnation,
    row: SegmentRow,
    runs: Vec<Run>,
    run_open: bool,
    /// Of the run being written, then of all runs.
    sparse: Vec<Sparse>,
    sparse_bytes: Vec<u8>,
    sparse_next: u64,
}

impl<'a> SegmentWriter<'a> {
    /// Begins segment `id`, for which about `bytes` of chunks will come.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        incarnation: Incarnation,
        id: u64,
        family: Option<u32>,
        bytes: u64,
    ) -> Result<Self, FileError> {
        let tmp = PathBuf::from(format!("{SEGMENT_DIR}/{id:012}.new"));
        let open = || {
            disk.open(&tmp, OpenMode::Create)?.preallocate(bytes.max(1))?;
            disk.open(&tmp, OpenMode::WriteDirect)
        };
        let file = open().inspect_err(|_| {
            let _ = disk.remove(&tmp);
        });
        let file = file.map_err(|e| FileError::io(tmp.display(), e))?;
        let mut buf = AlignedBuf::with_capacity(WRITE_BYTES + ALIGNMENT);
        buf.extend_from_slice(&encode_header(&incarnation, id));
        let row = SegmentRow { id, family, min_lsn: u64::MAX, ..SegmentRow::default() };
        Ok(SegmentWriter {
            disk,
            tmp,
            file,
            buf,
            written: 0,
            incarnation,
            row,
            runs: Vec::new(),
            run_open: false,
            sparse: Vec::new(),
            sparse_bytes: Vec::new(),
            sparse_next: 0,
        })
    }

    /// Appends a chunk. Chunks come by log, then by position; one that does not follow the one
    /// before, or that comes after [`SegmentWriter::end_run`], begins another run.
    pub(crate) fn chunk(&mut self, header: &ChunkHeader, bytes: &[u8]) -> Result<(), FileError> {
        debug_assert_eq!(bytes.len(), header.chunk_len());
        let offset = self.written + self.buf.len() as u64;
        if !self.run_open || self.runs.last().is_none_or(|r| r.log != header.log) {
            self.end_run();
            self.open_run(header.log, header, offset);
        }
        let run = self.runs.last_mut().expect("one was just opened");
        assert!(run.end <= header.first_position(), "chunks of log {} go back", header.log);
        let within = offset - run.offset;
        if within >= self.sparse_next {
            let position = header.first_position();
            self.sparse.push(Sparse { position, at: header.at, offset: within });
            self.sparse_next = within + SPARSE_STEP;
        }
        run.end = header.end_position();
        run.last_at = header.at;
        run.chunks += 1;
        run.entries += u64::from(header.count);
        run.len = within + bytes.len() as u64;
        let row = &mut self.row;
        row.data_bytes += bytes.len() as u64;
        row.entries += u64::from(header.count);
        row.min_lsn = row.min_lsn.min(header.lsn);
        row.max_lsn = row.max_lsn.max(header.lsn);
        row.min_at = if row.entries == u64::from(header.count) { header.at } else { row.min_at };
        row.min_at = row.min_at.min(header.at);
        row.max_at = row.max_at.max(header.at);
        self.write(bytes)
    }

    /// The next chunk begins another run, even if it is of the same log: something of that log in
    /// another file lies between.
    pub(crate) fn end_run(&mut self) {
        self.run_open = false;
        if self.sparse.is_empty() {
            return;
        }
        let run = self.runs.last_mut().expect("sparse entries belong to a run");
        let start = self.sparse_bytes.len();
        for s in &self.sparse {
            s.encode(&mut self.sparse_bytes);
        }
        run.sparse_offset = start as u64;
        run.sparse_count = self.sparse.len() as u32;
        run.sparse_crc = crc(&self.sparse_bytes[start..]);
        self.sparse.clear();
    }

    /// Writes the footer, syncs, and gives the file its name (durable after the directory's sync).
    pub(crate) fn finish(mut self) -> Result<SegmentRow, FileError> {
        let result = self.write_footer().and_then(|()| self.name());
        if result.is_err() {
            let _ = self.disk.remove(&self.tmp);
        }
        result.map(|()| self.row)
    }

    /// Gives up: the file is removed.
    pub(crate) fn abandon(self) {
        drop(self.file);
        let _ = self.disk.remove(&self.tmp);
    }

    fn open_run(&mut self, log: LogId, header: &ChunkHeader, offset: u64) {
        self.run_open = true;
        self.sparse_next = SPARSE_STEP;
        self.runs.push(Run {
            log,
            offset,
            len: 0,
            first: header.first_position(),
            end: header.first_position(),
            first_at: header.at,
            last_at: header.at,
            chunks: 0,
            entries: 0,
            sparse_offset: 0,
            sparse_count: 0,
            sparse_crc: 0,
        });
    }

    fn write_footer(&mut self) -> Result<(), FileError> {
        self.end_run();
        let sparse_start = self.written + self.buf.len() as u64;
        let sparse = std::mem::take(&mut self.sparse_bytes);
        self.write(&sparse)?;
        let runs_offset = self.written + self.buf.len() as u64;
        let (mut runs, mut keys) = (Vec::new(), Vec::new());
        for block in self.runs.chunks_mut(RUNS_PER_BLOCK) {
            let start = runs.len();
            for run in block.iter_mut() {
                run.sparse_offset += sparse_start;
                run.encode(&mut runs);
            }
            let crc = crc(&runs[start..]);
            Key { log: block[0].log, first: block[0].first, crc }.encode(&mut keys);
        }
        self.write(&runs)?;
        let keys_offset = self.written + self.buf.len() as u64;
        self.write(&keys)?;
        let end = self.written + self.buf.len() as u64 + TRAILER_LEN as u64;
        self.row.file_bytes = end.next_multiple_of(ALIGNMENT as u64);
        self.row.runs = self.runs.len() as u32;
        let trailer = Trailer {
            incarnation: self.incarnation,
            row: self.row,
            runs_offset,
            keys_offset,
            keys_crc: crc(&keys),
        };
        self.write(&vec![0; (self.row.file_bytes - end) as usize])?;
        self.write(&trailer.encode())?;
        self.flush(self.buf.len())
    }

    fn name(&self) -> Result<(), FileError> {
        let path = segment_path(self.row.id);
        let name = || {
            if self.file.len()? != self.row.file_bytes {
                self.file.set_len(self.row.file_bytes)?;
            }
            self.file.sync_data()?;
            self.disk.rename(&self.tmp, Path::new(&path))
        };
        name().map_err(|e| FileError::io(&path, e))
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), FileError> {
        while !bytes.is_empty() {
            let room = WRITE_BYTES - self.buf.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buf.extend_from_slice(now);
            bytes = later;
            if self.buf.len() == WRITE_BYTES {
                self.flush(WRITE_BYTES)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, len: usize) -> Result<(), FileError> {
        debug_assert_eq!(len % ALIGNMENT, 0);
        let written = self.file.write_all_at(&self.buf[..len], self.written);
        written.map_err(|e| FileError::io(self.tmp.display(), e))?;
        self.written += len as u64;
        self.buf.clear();
        Ok(())
    }
}

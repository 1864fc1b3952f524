//! The manifest: what the segment files are, what every log's state was at the last checkpoint, and
//! where the write-ahead log goes on from there. Replaced as a whole, by rename.
//!
//! ```text
//!   0 magic "MSMF"   4 version   8 incarnation (16)
//!  24 generation    32 checkpoint lsn   40 write-ahead file   48 offset in it
//!  56 next segment  64 segments (4)     68 logs (4)
//!  72 segment rows (80 each), log rows (41 each), CRC-32C of all before
//! ```
//!
//! Two copies: `manifest` is the truth, `manifest.copy` is written after it and is for repair only.

use std::path::Path;

use millstream_base::Timestamp;
use millstream_env::{Disk, OpenMode};

use crate::codec::{Fields, crc, u16_at, u32_at};
use crate::damage::{Damage, FileError};
use crate::frame::Incarnation;
use crate::memory::LogRow;
use crate::segment::SegmentRow;
use crate::store::{LogId, Position};
use crate::wal::WalPosition;

pub(crate) const MANIFEST: &str = "manifest";
pub(crate) const MANIFEST_COPY: &str = "manifest.copy";
const MAGIC: [u8; 4] = *b"MSMF";
const VERSION: u16 = 1;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    pub incarnation: Incarnation,
    pub generation: u64,
    pub checkpoint_lsn: u64,
    /// Where frame `checkpoint_lsn + 1` is, or will be; file 0 before the first checkpoint.
    pub wal: WalPosition,
    pub next_segment: u64,
    pub segments: Vec<SegmentRow>,
    /// Sorted by log.
    pub logs: Vec<LogRow>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut b = Vec::with_capacity(80 + 80 * self.segments.len() + 41 * self.logs.len());
        b.extend(MAGIC);
        b.extend(VERSION.to_le_bytes());
        b.extend([0; 2]);
        b.extend(self.incarnation);
        let numbers = [
            self.generation,
            self.checkpoint_lsn,
            self.wal.seq,
            self.wal.offset,
            self.next_segment,
        ];
        for n in numbers {
            b.extend(n.to_le_bytes());
        }
        b.extend((self.segments.len() as u32).to_le_bytes());
        b.extend((self.logs.len() as u32).to_le_bytes());
        for s in &self.segments {
            s.encode(&mut b);
        }
        for l in &self.logs {
            b.extend(l.log.as_u64().to_le_bytes());
            b.push(l.sealed as u8);
            put_position(&mut b, l.trim);
            put_position(&mut b, l.next);
            b.extend(l.last_at.as_millis().to_le_bytes());
        }
        let sum = crc(&b);
        b.extend(sum.to_le_bytes());
        b
    }

    pub(crate) fn decode(b: &[u8]) -> Result<Self, String> {
        if b.len() < 76 || b[..4] != MAGIC {
            return Err("this is no manifest".into());
        }
        let (body, sum) = b.split_at(b.len() - 4);
        if crc(body) != u32_at(sum, 0) {
            return Err("the manifest fails its checksum".into());
        }
        if u16_at(b, 4) != VERSION {
            return Err(format!(
                "the manifest has format version {}, this program reads {VERSION}",
                u16_at(b, 4)
            ));
        }
        Self::parse(&body[8..]).ok_or_else(|| "the manifest's rows don't add up".into())
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let mut f = Fields::new(body);
        let mut m = Manifest {
            incarnation: f.bytes(16)?.try_into().ok()?,
            generation: f.u64()?,
            checkpoint_lsn: f.u64()?,
            wal: WalPosition { seq: f.u64()?, offset: f.u64()? },
            next_segment: f.u64()?,
            ..Manifest::default()
        };
        let (segments, logs) = (f.u32()?, f.u32()?);
        for _ in 0..segments {
            m.segments.push(SegmentRow::decode(&mut f)?);
        }
        for _ in 0..logs {
            m.logs.push(LogRow {
                log: LogId::from_u64(f.u64()?),
                sealed: f.u8()? != 0,
                trim: position(&mut f)?,
                next: position(&mut f)?,
                last_at: Timestamp::from_millis(f.u64()?),
            });
        }
        f.is_at_end().then_some(m)
    }

    pub(crate) fn load(disk: &dyn Disk, path: &str) -> Result<Self, FileError> {
        let bytes = read_file(disk, path)?;
        Ok(Self::decode(&bytes).map_err(|what| Damage::new(path, 0, what))?)
    }

    /// Writes the next manifest beside the present one; the present one still counts.
    pub(crate) fn stage(&self, disk: &dyn Disk) -> Result<(), FileError> {
        stage_file(disk, MANIFEST, &self.encode())
    }

    /// Puts the staged manifest in place. If this fails, nobody knows which one counts.
    pub(crate) fn commit(&self, disk: &dyn Disk) -> Result<(), FileError> {
        commit_file(disk, MANIFEST)?;
        if let Err(e) = write_file(disk, MANIFEST_COPY, &self.encode()) {
            tracing::warn!(reason = %e, "the manifest has no copy at the moment");
        }
        Ok(())
    }
}

fn put_position(b: &mut Vec<u8>, p: Position) {
    b.extend(p.lsn.to_le_bytes());
    b.extend(p.index.to_le_bytes());
}

fn position(f: &mut Fields) -> Option<Position> {
    Some(Position::new(f.u64()?, f.u32()?))
}

pub(crate) fn read_file(disk: &dyn Disk, path: &str) -> Result<Vec<u8>, FileError> {
    let read = || {
        let file = disk.open(Path::new(path), OpenMode::Read)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    read().map_err(|e| FileError::io(path, e))
}

/// Replaces a small file of the root directory, durably and whole.
pub(crate) fn write_file(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Result<(), FileError> {
    stage_file(disk, path, bytes)?;
    commit_file(disk, path)
}

fn stage_file(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Result<(), FileError> {
    let tmp = format!("{path}.new");
    let tmp = Path::new(&tmp);
    let stage = || {
        let file = disk.open(tmp, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)?;
        file.sync_data()
    };
    stage().map_err(|e| {
        let _ = disk.remove(tmp);
        FileError::io(tmp.display(), e)
    })
}

fn commit_file(disk: &dyn Disk, path: &str) -> Result<(), FileError> {
    let renamed = disk.rename(Path::new(&format!("{path}.new")), Path::new(path));
    renamed.and_then(|()| disk.sync_dir(Path::new(""))).map_err(|e| FileError::io(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        Manifest {
            incarnation: [7; 16],
            generation: 3,
            checkpoint_lsn: 99,
            wal: WalPosition { seq: 4, offset: 8192 },
            next_segment: 12,
            segments: vec![SegmentRow { id: 11, family: Some(5), ..SegmentRow::default() }],
            logs: vec![LogRow { sealed: true, ..LogRow::empty(LogId::new(5, 0)) }],
        }
    }

    #[test]
    fn a_manifest_round_trips() {
        let bytes = sample().encode();
        assert_eq!(bytes.len(), 72 + 80 + 41 + 4);
        assert_eq!(Manifest::decode(&bytes).unwrap(), sample());
    }

    #[test]
    fn every_flip_and_every_cut_is_noticed() {
        let bytes = sample().encode();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert!(Manifest::decode(&bad).is_err(), "byte {at}");
            assert!(Manifest::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}

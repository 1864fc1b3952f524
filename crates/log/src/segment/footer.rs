//! The end of a segment file: where a position or a time is found without scanning.
//!
//! ```text
//!  chunks | sparse entries (28 each) | run blocks (42 runs of 96) | keys (24 each) | zeroes | trailer
//!                 ^ per run, one per 64 KiB       ^ one key per block
//! ```
//!
//! The trailer's checksum covers the keys' checksum, a key covers its block's, a run its sparse
//! entries': each piece is read and checked by itself, so that a lookup in a file with ten thousand
//! runs reads two small pieces.

use std::sync::Arc;

use millstream_base::Timestamp;

use super::SegmentRow;
use crate::codec::{Fields, crc, put, u16_at, u32_at, u64_at};
use crate::frame::Incarnation;
use crate::store::{LogId, Position};

pub(crate) const SEGMENT_HEADER_LEN: usize = 64;
pub(crate) const TRAILER_LEN: usize = 160;
pub(crate) const RUN_LEN: usize = 96;
pub(crate) const RUNS_PER_BLOCK: usize = 42;
pub(crate) const KEY_LEN: usize = 24;
pub(crate) const SPARSE_LEN: usize = 28;
/// A sparse entry is written when this much of a run lies behind the last one.
pub(crate) const SPARSE_STEP: u64 = 64 << 10;
const MAGIC: [u8; 4] = *b"MSSG";
const TRAILER_MAGIC: [u8; 4] = *b"MSST";
const VERSION: u16 = 1;

/// One log's chunks in one file: contiguous, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub log: LogId,
    pub offset: u64,
    pub len: u64,
    pub first: Position,
    /// The least position after the last entry.
    pub end: Position,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub chunks: u32,
    pub entries: u64,
    pub sparse_offset: u64,
    pub sparse_count: u32,
    pub sparse_crc: u32,
}

impl Run {
    pub(crate) fn encode(&self, b: &mut Vec<u8>) {
        let start = b.len();
        for n in [self.log.as_u64(), self.offset, self.len, self.first.lsn] {
            b.extend(n.to_le_bytes());
        }
        b.extend(self.first.index.to_le_bytes());
        b.extend(self.end.lsn.to_le_bytes());
        b.extend(self.end.index.to_le_bytes());
        b.extend(self.first_at.as_millis().to_le_bytes());
        b.extend(self.last_at.as_millis().to_le_bytes());
        b.extend(self.chunks.to_le_bytes());
        b.extend(self.entries.to_le_bytes());
        b.extend(self.sparse_offset.to_le_bytes());
        b.extend(self.sparse_count.to_le_bytes());
        b.extend(self.sparse_crc.to_le_bytes());
        b.resize(start + RUN_LEN, 0);
    }

    fn decode(f: &mut Fields) -> Option<Self> {
        let run = Run {
            log: LogId::from_u64(f.u64()?),
            offset: f.u64()?,
            len: f.u64()?,
            first: Position::new(f.u64()?, f.u32()?),
            end: Position::new(f.u64()?, f.u32()?),
            first_at: Timestamp::from_millis(f.u64()?),
            last_at: Timestamp::from_millis(f.u64()?),
            chunks: f.u32()?,
            entries: f.u64()?,
            sparse_offset: f.u64()?,
            sparse_count: f.u32()?,
            sparse_crc: f.u32()?,
        };
        f.bytes(RUN_LEN - 92)?;
        Some(run)
    }

    pub(crate) fn decode_all(bytes: &[u8]) -> Option<Vec<Run>> {
        let mut f = Fields::new(bytes);
        let mut runs = Vec::with_capacity(bytes.len() / RUN_LEN);
        while !f.is_at_end() {
            runs.push(Run::decode(&mut f)?);
        }
        Some(runs)
    }
}

/// A chunk's place within its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sparse {
    pub position: Position,
    pub at: Timestamp,
    /// From the start of the run.
    pub offset: u64,
}

impl Sparse {
    pub(crate) fn encode(&self, b: &mut Vec<u8>) {
        b.extend(self.position.lsn.to_le_bytes());
        b.extend(self.position.index.to_le_bytes());
        b.extend(self.at.as_millis().to_le_bytes());
        b.extend(self.offset.to_le_bytes());
    }

    pub(crate) fn decode_all(bytes: &[u8]) -> Option<Vec<Sparse>> {
        let mut f = Fields::new(bytes);
        let mut all = Vec::with_capacity(bytes.len() / SPARSE_LEN);
        while !f.is_at_end() {
            all.push(Sparse {
                position: Position::new(f.u64()?, f.u32()?),
                at: Timestamp::from_millis(f.u64()?),
                offset: f.u64()?,
            });
        }
        Some(all)
    }
}

/// The first run of a block, and the block's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub log: LogId,
    pub first: Position,
    pub crc: u32,
}

impl Key {
    pub(crate) fn encode(&self, b: &mut Vec<u8>) {
        b.extend(self.log.as_u64().to_le_bytes());
        b.extend(self.first.lsn.to_le_bytes());
        b.extend(self.first.index.to_le_bytes());
        b.extend(self.crc.to_le_bytes());
    }

    pub(crate) fn decode_all(bytes: &[u8]) -> Option<Vec<Key>> {
        let mut f = Fields::new(bytes);
        let mut keys = Vec::with_capacity(bytes.len() / KEY_LEN);
        while !f.is_at_end() {
            keys.push(Key {
                log: LogId::from_u64(f.u64()?),
                first: Position::new(f.u64()?, f.u32()?),
                crc: f.u32()?,
            });
        }
        Some(keys)
    }
}

/// The last bytes of the file: what is where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub incarnation: Incarnation,
    pub row: SegmentRow,
    pub runs_offset: u64,
    pub keys_offset: u64,
    pub keys_crc: u32,
}

impl Trailer {
    pub(crate) fn keys_len(&self) -> usize {
        (self.row.runs as usize).div_ceil(RUNS_PER_BLOCK) * KEY_LEN
    }

    pub(crate) fn encode(&self) -> [u8; TRAILER_LEN] {
        let mut row = Vec::with_capacity(SegmentRow::LEN);
        self.row.encode(&mut row);
        let mut b = [0; TRAILER_LEN];
        put(&mut b, 0, &TRAILER_MAGIC);
        put(&mut b, 4, &VERSION.to_le_bytes());
        put(&mut b, 8, &self.incarnation);
        put(&mut b, 24, &self.runs_offset.to_le_bytes());
        put(&mut b, 32, &self.keys_offset.to_le_bytes());
        put(&mut b, 40, &self.keys_crc.to_le_bytes());
        put(&mut b, 48, &row);
        let sum = crc(&b[..TRAILER_LEN - 4]);
        put(&mut b, TRAILER_LEN - 4, &sum.to_le_bytes());
        b
    }

    pub(crate) fn decode(b: &[u8]) -> Result<Self, String> {
        if b.len() != TRAILER_LEN || b[..4] != TRAILER_MAGIC {
            return Err("the segment's trailer is not there".into());
        }
        if crc(&b[..TRAILER_LEN - 4]) != u32_at(b, TRAILER_LEN - 4) {
            return Err("the segment's trailer fails its checksum".into());
        }
        version(u16_at(b, 4))?;
        let row = SegmentRow::decode(&mut Fields::new(&b[48..48 + SegmentRow::LEN]));
        Ok(Trailer {
            incarnation: b[8..24].try_into().expect("sixteen bytes"),
            runs_offset: u64_at(b, 24),
            keys_offset: u64_at(b, 32),
            keys_crc: u32_at(b, 40),
            row: row.ok_or("the segment's trailer does not add up")?,
        })
    }
}

pub(crate) fn encode_header(incarnation: &Incarnation, id: u64) -> [u8; SEGMENT_HEADER_LEN] {
    let mut b = [0; SEGMENT_HEADER_LEN];
    put(&mut b, 0, &MAGIC);
    put(&mut b, 4, &VERSION.to_le_bytes());
    put(&mut b, 8, incarnation);
    put(&mut b, 24, &id.to_le_bytes());
    let sum = crc(&b[..SEGMENT_HEADER_LEN - 4]);
    put(&mut b, SEGMENT_HEADER_LEN - 4, &sum.to_le_bytes());
    b
}

/// Whether `b` is the header of segment `id`.
pub(crate) fn check_header(b: &[u8], incarnation: &Incarnation, id: u64) -> Result<(), String> {
    if b.len() >= 6 && b[..4] == MAGIC {
        version(u16_at(b, 4))?;
    }
    if b != encode_header(incarnation, id) {
        return Err("the segment's header is not what was written".into());
    }
    Ok(())
}

fn version(found: u16) -> Result<(), String> {
    if found == VERSION {
        return Ok(());
    }
    Err(format!("the segment has format version {found}, this program reads {VERSION}"))
}

/// A checked piece of a footer, as the cache holds it.
#[derive(Clone)]
pub(crate) enum Block {
    Keys(Arc<(Trailer, Vec<Key>)>),
    Runs(Arc<Vec<Run>>),
    Sparse(Arc<Vec<Sparse>>),
}

impl Block {
    /// Memory it takes, about.
    pub(crate) fn weight(&self) -> usize {
        let entries = match self {
            Block::Keys(k) => size_of::<Trailer>() + k.1.len() * size_of::<Key>(),
            Block::Runs(r) => r.len() * size_of::<Run>(),
            Block::Sparse(s) => s.len() * size_of::<Sparse>(),
        };
        entries + 128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(b: &mut Vec<u8>, longs: &[u64]) {
        longs.iter().for_each(|n| b.extend(n.to_le_bytes()));
    }

    /// The format as bytes: a change here is a change of the format version.
    #[test]
    fn runs_sparse_entries_and_keys_are_these_bytes() {
        let run = Run {
            log: LogId::from_u64(1),
            offset: 2,
            len: 3,
            first: Position::new(4, 5),
            end: Position::new(6, 7),
            first_at: Timestamp::from_millis(8),
            last_at: Timestamp::from_millis(9),
            chunks: 10,
            entries: 11,
            sparse_offset: 12,
            sparse_count: 13,
            sparse_crc: 14,
        };
        let mut expected = Vec::new();
        numbers(&mut expected, &[1, 2, 3, 4]);
        expected.extend(5u32.to_le_bytes());
        numbers(&mut expected, &[6]);
        expected.extend(7u32.to_le_bytes());
        numbers(&mut expected, &[8, 9]);
        expected.extend(10u32.to_le_bytes());
        numbers(&mut expected, &[11, 12]);
        expected.extend(13u32.to_le_bytes());
        expected.extend(14u32.to_le_bytes());
        expected.resize(RUN_LEN, 0);
        let mut bytes = Vec::new();
        run.encode(&mut bytes);
        assert_eq!(bytes, expected);
        assert_eq!(Run::decode_all(&bytes), Some(vec![run]));
        assert_eq!(Run::decode_all(&bytes[1..]), None);

        let sparse =
            Sparse { position: Position::new(1, 2), at: Timestamp::from_millis(3), offset: 4 };
        let mut bytes = Vec::new();
        sparse.encode(&mut bytes);
        assert_eq!(bytes, b"\x01\0\0\0\0\0\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0");
        assert_eq!(Sparse::decode_all(&bytes), Some(vec![sparse]));

        let key = Key { log: LogId::from_u64(1), first: Position::new(2, 3), crc: 4 };
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        assert_eq!(bytes, b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\x04\0\0\0");
        assert_eq!(Key::decode_all(&bytes), Some(vec![key]));
    }

    #[test]
    fn a_trailer_is_these_bytes_and_every_flip_is_noticed() {
        let row = SegmentRow { id: 9, family: Some(7), runs: 1, ..SegmentRow::default() };
        let trailer = Trailer {
            incarnation: *b"0123456789abcdef",
            row,
            runs_offset: 1,
            keys_offset: 2,
            keys_crc: 3,
        };
        let bytes = trailer.encode();
        let mut expected = b"MSST\x01\0\0\x000123456789abcdef".to_vec();
        numbers(&mut expected, &[1, 2, 3]);
        row.encode(&mut expected);
        expected.resize(TRAILER_LEN - 4, 0);
        expected.extend(crc(&expected).to_le_bytes());
        assert_eq!(bytes[..], expected);
        assert_eq!(Trailer::decode(&bytes), Ok(trailer));
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[at / 8] ^= 1 << (at % 8);
            assert!(Trailer::decode(&bad).is_err(), "bit {at}");
        }
    }
}

//! A frame: one group of chunks, written with one write and made durable with one sync.
//!
//! ```text
//!   0 magic "MSWF"   4 version    6 zero (2)   8 incarnation of the data directory (16)
//!  24 file sequence  32 lsn      40 epoch     48 durable lsn   56 file length
//!  64 body length    68 chunks   72 CRC-32C of the chunks' header checksums
//!  76 zero (16)      92 CRC-32C of the 92 bytes before
//!  96 chunks, then zeroes to the next multiple of 4096
//! ```
//!
//! A chunk's header checksum covers the checksum of its payload, so the frame's covers every byte.
//! The incarnation and the file sequence tell a frame from what a recycled file still holds; `lsn`
//! grows by one from frame to frame; `epoch` is the number of the run that wrote it. `durable lsn`
//! is the newest frame that was synced when this one was written: a frame that can't be read, with
//! a later one that calls it durable, was damaged, not torn.

use bytes::{Bytes, BytesMut};
use millstream_env::disk::ALIGNMENT;

use crate::chunk::{CHUNK_HEADER_LEN, ChunkHeader, header_crc};
use crate::codec::{crc, put, u16_at, u32_at, u64_at};
use crate::damage::Wrong;

pub(crate) const FRAME_HEADER_LEN: usize = 96;
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"MSWF";
pub(crate) const FRAME_VERSION: u16 = 1;
const CRC_AT: usize = 92;

/// What marks the files of one data directory as its own.
pub(crate) type Incarnation = [u8; 16];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub incarnation: Incarnation,
    pub file_seq: u64,
    pub lsn: u64,
    pub epoch: u64,
    pub durable_lsn: u64,
    pub file_len: u64,
    pub body_len: u32,
    pub chunks: u32,
    pub body_crc: u32,
}

impl FrameHeader {
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_LEN] {
        let mut b = [0; FRAME_HEADER_LEN];
        put(&mut b, 0, &FRAME_MAGIC);
        put(&mut b, 4, &FRAME_VERSION.to_le_bytes());
        put(&mut b, 8, &self.incarnation);
        put(&mut b, 24, &self.file_seq.to_le_bytes());
        put(&mut b, 32, &self.lsn.to_le_bytes());
        put(&mut b, 40, &self.epoch.to_le_bytes());
        put(&mut b, 48, &self.durable_lsn.to_le_bytes());
        put(&mut b, 56, &self.file_len.to_le_bytes());
        put(&mut b, 64, &self.body_len.to_le_bytes());
        put(&mut b, 68, &self.chunks.to_le_bytes());
        put(&mut b, 72, &self.body_crc.to_le_bytes());
        let sum = crc(&b[..CRC_AT]);
        put(&mut b, CRC_AT, &sum.to_le_bytes());
        b
    }

    /// Reads the header at the front of `b`, or says what is wrong with it.
    pub(crate) fn decode(b: &[u8]) -> Result<Self, Wrong> {
        if b.len() < FRAME_HEADER_LEN || b[..4] != FRAME_MAGIC {
            return Wrong::broken("no frame begins here");
        }
        if crc(&b[..CRC_AT]) != u32_at(b, CRC_AT) {
            return Wrong::broken("a frame's header fails its checksum");
        }
        if u16_at(b, 4) != FRAME_VERSION {
            return Wrong::unknown(format!(
                "a frame has format version {}, this program reads {FRAME_VERSION}",
                u16_at(b, 4)
            ));
        }
        Ok(FrameHeader {
            incarnation: b[8..24].try_into().expect("sixteen bytes"),
            file_seq: u64_at(b, 24),
            lsn: u64_at(b, 32),
            epoch: u64_at(b, 40),
            durable_lsn: u64_at(b, 48),
            file_len: u64_at(b, 56),
            body_len: u32_at(b, 64),
            chunks: u32_at(b, 68),
            body_crc: u32_at(b, 72),
        })
    }

    /// Bytes in the file, padding included.
    pub(crate) fn frame_len(&self) -> u64 {
        padded(self.body_len as u64)
    }
}

/// Length of a frame with a body of `body_len` bytes, padding included.
pub(crate) fn padded(body_len: u64) -> u64 {
    (FRAME_HEADER_LEN as u64 + body_len).next_multiple_of(ALIGNMENT as u64)
}

/// Collects the chunks of one frame in the buffer that will be written.
pub(crate) struct FrameBuilder {
    pub buf: BytesMut,
    sums: Vec<u8>,
}

impl FrameBuilder {
    pub(crate) fn new(mut buf: BytesMut) -> Self {
        buf.clear();
        buf.extend_from_slice(&[0; FRAME_HEADER_LEN]);
        FrameBuilder { buf, sums: Vec::new() }
    }

    /// Notes a chunk that was appended to `buf`.
    pub(crate) fn add(&mut self, header_crc: u32) {
        self.sums.extend_from_slice(&header_crc.to_le_bytes());
    }

    /// Completes the header (its lengths and checksums are computed here) and pads.
    pub(crate) fn finish(mut self, mut header: FrameHeader) -> BytesMut {
        header.body_len = (self.buf.len() - FRAME_HEADER_LEN) as u32;
        header.chunks = (self.sums.len() / 4) as u32;
        header.body_crc = crc(&self.sums);
        put(&mut self.buf, 0, &header.encode());
        self.buf.resize(padded(header.body_len.into()) as usize, 0);
        self.buf
    }
}

/// How much of a frame recovery checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameCheck {
    /// Every checksum: always, outside a planted bug.
    Whole,
    #[cfg_attr(not(feature = "planted-bugs"), allow(dead_code))]
    HeaderOnly,
}

/// The chunks of a frame's body by their headers alone, as far as those are whole.
pub(crate) fn unchecked_body(body: &Bytes) -> Vec<(ChunkHeader, Bytes)> {
    let mut chunks = Vec::new();
    let mut at = 0;
    while let Some(rest) = body.get(at..)
        && let Ok(chunk) = ChunkHeader::decode(rest)
        && chunk.chunk_len() <= rest.len()
    {
        chunks.push((chunk, body.slice(at..at + chunk.chunk_len())));
        at += chunk.chunk_len();
    }
    chunks
}

/// The chunks of a frame's body, each checked; or the offset in the body of the first wrong one
/// and what is wrong.
pub(crate) fn check_body(
    header: &FrameHeader,
    body: &Bytes,
) -> Result<Vec<(ChunkHeader, Bytes)>, (u64, Wrong)> {
    let mut chunks = Vec::with_capacity(header.chunks.min(65_536) as usize);
    let mut sums = Vec::with_capacity(4 * chunks.capacity());
    let mut at = 0;
    while at < body.len() {
        let wrong = |what: Wrong| (at as u64, what);
        let broken = |what: String| (at as u64, Wrong::Broken(what));
        let chunk = ChunkHeader::decode(&body[at..]).map_err(wrong)?;
        let end = at + chunk.chunk_len();
        let payload = body
            .get(at + CHUNK_HEADER_LEN..end)
            .ok_or_else(|| broken("a chunk reaches over its frame".into()))?;
        chunk.check(payload).map_err(wrong)?;
        if chunk.lsn != header.lsn {
            return Err(broken(format!("a chunk of frame {} says {}", header.lsn, chunk.lsn)));
        }
        sums.extend_from_slice(&header_crc(&body[at..]).to_le_bytes());
        chunks.push((chunk, body.slice(at..end)));
        at = end;
    }
    if chunks.len() != header.chunks as usize || crc(&sums) != header.body_crc {
        return Err((0, Wrong::Broken(format!("frame {} fails its checksum", header.lsn))));
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FrameHeader {
        FrameHeader {
            incarnation: *b"0123456789abcdef",
            file_seq: 1,
            lsn: 2,
            epoch: 3,
            durable_lsn: 4,
            file_len: 0x10000,
            body_len: 0,
            chunks: 0,
            body_crc: 0,
        }
    }

    /// The format as bytes: a change here is a change of the format version.
    #[test]
    fn an_empty_frame_is_these_bytes() {
        let buf = FrameBuilder::new(BytesMut::new()).finish(header());
        let mut expected = b"MSWF\x01\0\0\x000123456789abcdef".to_vec();
        for n in [1u64, 2, 3, 4, 0x10000] {
            expected.extend(n.to_le_bytes());
        }
        expected.extend([0; 28]); // body length, chunks, checksum of nothing, zeroes
        expected.extend(crc(&expected).to_le_bytes());
        expected.resize(ALIGNMENT, 0);
        assert_eq!(&buf[..], expected);
    }

    #[test]
    fn every_flipped_bit_of_the_header_is_noticed() {
        let bytes = header().encode();
        assert_eq!(FrameHeader::decode(&bytes).unwrap(), header());
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[at / 8] ^= 1 << (at % 8);
            assert!(FrameHeader::decode(&bad).is_err(), "bit {at}");
        }
    }
}

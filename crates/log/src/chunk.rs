//! A chunk: what one call did to one log, self-contained, the same bytes in the write-ahead log, in
//! memory and in segment files.
//!
//! ```text
//!   0 magic "MSCH"      4 kind       5 flags      6 zero (2)
//!   8 log              16 lsn       24 first index
//!  28 count            32 time ms   40 payload length   44 CRC-32C of the payload
//!  48 key reference    56 nonce (12)                    68 CRC-32C of the 68 bytes before
//!  72 payload: entries, each: attributes, key length, value length (varints), key, value
//! ```
//!
//! All numbers little-endian. Flag bit 0: the payload is sealed (see `seal`) under the key that is
//! named, with that nonce; both are zero in other chunks. A reader that meets a flag it does not know
//! refuses the chunk.

use bytes::{BufMut, Bytes, BytesMut};
use millstream_base::Timestamp;

use crate::codec::{crc, put, put_varint, u32_at, u64_at, varint, varint_len};
use crate::damage::Wrong;
use crate::key::{KeyNumber, Seal};
use crate::store::{Entry, LogId, NewEntry, Position};

pub(crate) const CHUNK_HEADER_LEN: usize = 72;
pub(crate) const CHUNK_MAGIC: [u8; 4] = *b"MSCH";
/// Flag bit 0.
const SEALED: u8 = 1;
pub(crate) const PAYLOAD_CRC_AT: usize = 44;
const KEY_AT: usize = 48;
const NONCE_AT: usize = 56;
pub(crate) const CRC_AT: usize = 68;
/// Payload of a trim: lsn and index of the first position kept.
pub(crate) const TRIM_LEN: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ChunkKind {
    Data = 1,
    Create = 2,
    Seal = 3,
    Trim = 4,
    Delete = 5,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHeader {
    pub kind: ChunkKind,
    pub log: LogId,
    pub lsn: u64,
    pub first: u32,
    pub count: u32,
    pub at: Timestamp,
    pub payload_len: u32,
    pub payload_crc: u32,
    /// Of data only.
    pub seal: Option<Seal>,
}

impl ChunkHeader {
    pub(crate) fn encode(&self) -> [u8; CHUNK_HEADER_LEN] {
        let mut b = [0; CHUNK_HEADER_LEN];
        put(&mut b, 0, &CHUNK_MAGIC);
        b[4] = self.kind as u8;
        put(&mut b, 8, &self.log.as_u64().to_le_bytes());
        put(&mut b, 16, &self.lsn.to_le_bytes());
        put(&mut b, 24, &self.first.to_le_bytes());
        put(&mut b, 28, &self.count.to_le_bytes());
        put(&mut b, 32, &self.at.as_millis().to_le_bytes());
        put(&mut b, 40, &self.payload_len.to_le_bytes());
        put(&mut b, PAYLOAD_CRC_AT, &self.payload_crc.to_le_bytes());
        if let Some(seal) = &self.seal {
            b[5] = SEALED;
            put(&mut b, KEY_AT, &seal.key.as_u64().to_le_bytes());
            put(&mut b, NONCE_AT, &seal.nonce);
        }
        let sum = crc(&b[..CRC_AT]);
        put(&mut b, CRC_AT, &sum.to_le_bytes());
        b
    }

    /// Reads the header at the front of `b`, or says what is wrong with it.
    pub(crate) fn decode(b: &[u8]) -> Result<Self, Wrong> {
        if b.len() < CHUNK_HEADER_LEN {
            return Wrong::broken(format!("a chunk's header is cut off after {} bytes", b.len()));
        }
        if b[..4] != CHUNK_MAGIC {
            return Wrong::broken("no chunk begins here");
        }
        if crc(&b[..CRC_AT]) != u32_at(b, CRC_AT) {
            return Wrong::broken("a chunk's header fails its checksum");
        }
        if b[5] & !SEALED != 0 || b[6..8] != [0, 0] {
            return Wrong::unknown(format!(
                "a chunk uses features (flags {:#04x}) that this version does not know",
                b[5]
            ));
        }
        let kind = match b[4] {
            1 => ChunkKind::Data,
            2 => ChunkKind::Create,
            3 => ChunkKind::Seal,
            4 => ChunkKind::Trim,
            5 => ChunkKind::Delete,
            k => {
                return Wrong::unknown(format!(
                    "a chunk is of kind {k}, which this version does not know"
                ));
            }
        };
        let seal = (b[5] & SEALED != 0).then(|| {
            let nonce = b[NONCE_AT..CRC_AT].try_into().expect("twelve bytes");
            Seal { key: KeyNumber::from_u64(u64_at(b, KEY_AT)), nonce }
        });
        if seal.is_some() && kind != ChunkKind::Data {
            return Wrong::unknown(format!("a chunk of kind {} is sealed", b[4]));
        }
        Ok(ChunkHeader {
            kind,
            log: LogId::from_u64(u64_at(b, 8)),
            lsn: u64_at(b, 16),
            first: u32_at(b, 24),
            count: u32_at(b, 28),
            at: Timestamp::from_millis(u64_at(b, 32)),
            payload_len: u32_at(b, 40),
            payload_crc: u32_at(b, PAYLOAD_CRC_AT),
            seal,
        })
    }

    pub(crate) fn chunk_len(&self) -> usize {
        CHUNK_HEADER_LEN + self.payload_len as usize
    }
    pub(crate) fn first_position(&self) -> Position {
        Position::new(self.lsn, self.first)
    }
    /// The least position after this chunk's entries.
    pub(crate) fn end_position(&self) -> Position {
        Position::new(self.lsn, self.first + self.count)
    }

    /// Whether `payload` is what was written.
    pub(crate) fn check(&self, payload: &[u8]) -> Result<(), Wrong> {
        if payload.len() != self.payload_len as usize {
            return Wrong::broken(format!(
                "a chunk of log {} at {}.{} is cut off",
                self.log, self.lsn, self.first
            ));
        }
        if crc(payload) != self.payload_crc {
            return Wrong::broken(format!(
                "{} entries of log {} from {}.{} fail their checksum",
                self.count, self.log, self.lsn, self.first
            ));
        }
        Ok(())
    }
}

/// Bytes of the entries of a batch, encoded.
pub(crate) fn payload_len(entries: &[NewEntry]) -> u64 {
    entries
        .iter()
        .map(|e| {
            (varint_len(e.attributes)
                + varint_len(e.key.len() as u32)
                + varint_len(e.value.len() as u32)
                + e.key.len()
                + e.value.len()) as u64
        })
        .sum()
}

/// Appends a whole chunk to `out`; returns the checksum of its header, which covers everything.
pub(crate) fn write_chunk(
    out: &mut BytesMut,
    mut header: ChunkHeader,
    payload: impl FnOnce(&mut BytesMut),
) -> u32 {
    let start = out.len();
    out.extend_from_slice(&[0; CHUNK_HEADER_LEN]);
    payload(out);
    let body = &out[start + CHUNK_HEADER_LEN..];
    header.payload_len = body.len() as u32;
    header.payload_crc = crc(body);
    let bytes = header.encode();
    put(out, start, &bytes);
    u32_at(&bytes, CRC_AT)
}

pub(crate) fn write_entries(out: &mut impl BufMut, entries: &[NewEntry]) {
    let mut lens = [0; 15];
    for e in entries {
        let mut n = put_varint(&mut lens, e.attributes);
        n += put_varint(&mut lens[n..], e.key.len() as u32);
        n += put_varint(&mut lens[n..], e.value.len() as u32);
        out.put_slice(&lens[..n]);
        out.put_slice(&e.key);
        out.put_slice(&e.value);
    }
}

/// The checksum of an encoded header, which stands for the whole chunk in the frame's checksum.
pub(crate) fn header_crc(b: &[u8]) -> u32 {
    u32_at(b, CRC_AT)
}

/// An entry's place in its payload.
pub(crate) struct Placed {
    pub attributes: u32,
    key_at: usize,
    value_at: usize,
    end: usize,
}

impl Placed {
    /// What a read counts: key and value.
    pub(crate) fn weight(&self) -> usize {
        self.end - self.key_at
    }
}

/// Walks the entries of a checked payload without copying them.
pub(crate) struct Walk<'a> {
    payload: &'a Bytes,
    at: usize,
    position: Position,
    time: Timestamp,
    key: Option<KeyNumber>,
    left: u32,
}

impl<'a> Walk<'a> {
    /// `payload`: opened, if it was sealed.
    pub(crate) fn new(header: &ChunkHeader, payload: &'a Bytes) -> Self {
        Walk {
            payload,
            at: 0,
            position: header.first_position(),
            time: header.at,
            key: header.seal.map(|s| s.key),
            left: header.count,
        }
    }

    /// The next entry's place, or what is wrong with it; `None` at the end.
    pub(crate) fn place(&mut self) -> Option<Result<(Position, Placed), Wrong>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let position = self.position;
        self.position.index += 1;
        let placed = self.parse().ok_or_else(|| {
            self.left = 0;
            Wrong::Broken(format!("the entry at {}.{} is malformed", position.lsn, position.index))
        });
        Some(placed.map(|p| (position, p)))
    }

    fn parse(&mut self) -> Option<Placed> {
        let mut at = self.at;
        let attributes = varint(self.payload, &mut at)?;
        let key_len = varint(self.payload, &mut at)? as usize;
        let value_len = varint(self.payload, &mut at)? as usize;
        let value_at = at.checked_add(key_len)?;
        let end = value_at.checked_add(value_len).filter(|&e| e <= self.payload.len())?;
        self.at = end;
        Some(Placed { attributes, key_at: at, value_at, end })
    }

    pub(crate) fn entry(&self, position: Position, p: &Placed) -> Entry {
        Entry {
            position,
            at: self.time,
            sealed: self.key,
            attributes: p.attributes,
            key: self.payload.slice(p.key_at..p.value_at),
            value: self.payload.slice(p.value_at..p.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(entries: &[NewEntry]) -> Vec<u8> {
        let mut out = BytesMut::new();
        let header = ChunkHeader {
            kind: ChunkKind::Data,
            log: LogId::new(2, 1),
            lsn: 3,
            first: 4,
            count: entries.len() as u32,
            at: Timestamp::from_millis(5),
            payload_len: 0,
            payload_crc: 0,
            seal: None,
        };
        write_chunk(&mut out, header, |out| write_entries(out, entries));
        out.to_vec()
    }

    fn entry(attributes: u32, key: &'static str, value: &'static str) -> NewEntry {
        NewEntry { attributes, key: key.into(), value: value.into() }
    }

    /// The format as bytes: a change here is a change of the format version.
    #[test]
    fn a_chunk_is_these_bytes() {
        let bytes = chunk(&[entry(300, "k", "vv"), entry(0, "", "")]);
        let mut expected = b"MSCH\x01\0\0\0".to_vec();
        expected.extend(b"\x01\0\0\0\x02\0\0\0"); // log 2/1
        expected.extend(b"\x03\0\0\0\0\0\0\0\x04\0\0\0\x02\0\0\0"); // 3.4, two entries
        expected.extend(b"\x05\0\0\0\0\0\0\0\x0a\0\0\0"); // time, payload length
        expected.extend(crc(b"\xac\x02\x01\x02kvv\0\0\0").to_le_bytes());
        expected.extend([0; 20]);
        expected.extend(crc(&expected).to_le_bytes());
        expected.extend(b"\xac\x02\x01\x02kvv\0\0\0");
        assert_eq!(bytes, expected);
        assert_eq!(payload_len(&[entry(300, "k", "vv"), entry(0, "", "")]), 10);
    }

    #[test]
    fn what_was_written_is_read() {
        let entries = [entry(1, "a", "x"), entry(u32::MAX, "bb", ""), entry(2, "", "yy")];
        let bytes = Bytes::from(chunk(&entries));
        let header = ChunkHeader::decode(&bytes).unwrap();
        let payload = bytes.slice(CHUNK_HEADER_LEN..);
        header.check(&payload).unwrap();
        let mut walk = Walk::new(&header, &payload);
        for (i, e) in entries.iter().enumerate() {
            let (position, placed) = walk.place().unwrap().unwrap();
            assert_eq!(position, Position::new(3, 4 + i as u32));
            let got = walk.entry(position, &placed);
            assert_eq!((got.attributes, &got.key, &got.value), (e.attributes, &e.key, &e.value));
            assert_eq!(placed.weight(), e.key.len() + e.value.len());
        }
        assert!(walk.place().is_none());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = chunk(&[entry(7, "key", "value")]);
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            let noticed = match ChunkHeader::decode(&bad) {
                Err(_) => true,
                Ok(h) => h.check(&bad[CHUNK_HEADER_LEN..]).is_err(),
            };
            assert!(noticed, "bit {at}");
        }
    }

    #[test]
    fn unknown_flags_are_refused_with_their_value() {
        let mut bytes = chunk(&[]);
        bytes[5] = 2;
        let sum = crc(&bytes[..CRC_AT]);
        put(&mut bytes, CRC_AT, &sum.to_le_bytes());
        let error = ChunkHeader::decode(&bytes).unwrap_err();
        assert!(matches!(&error, Wrong::Unknown(e) if e.contains("flags 0x02")), "{error}");
    }
}

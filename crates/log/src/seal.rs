//! Sealed chunks: encryption at rest with keys that the caller brings.
//!
//! ```text
//!  payload of a sealed chunk:   [ entries, AES-256-GCM ][ tag (16) ][ place tag (16) ]
//!                                 with nonce 0            of them     with nonce 1
//! ```
//!
//! The entries are sealed by the task that appends them, bound to their log, their count and their
//! key. Their position is given later, by the writer; so a second tag, over the whole header and the
//! first tag, binds them to it: a chunk that was moved, even within its log, does not open. The two
//! nonces of a chunk differ in their lowest bit; the other 95 bits are random, so that no counter
//! has to survive a crash.
//!
//! Invariant: a sealed chunk is opened whole and right, or not at all.
//! Invariant: nothing but opening needs a key: recovery, checkpoints, merges and checks move sealed
//! bytes as they are.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use millstream_secrets::{NONCE_BYTES, TAG_BYTES};

use crate::chunk::{CRC_AT, ChunkHeader, ChunkKind, PAYLOAD_CRC_AT, payload_len, write_entries};
use crate::damage::Wrong;
use crate::key::{ChunkKey, Seal};
use crate::store::{LogId, NewEntry};

/// What sealing adds to a payload.
pub(crate) const SEAL_LEN: usize = 2 * TAG_BYTES;
/// The entries of a batch, sealed, and not yet in a place.
pub(crate) struct SealedEntries {
    pub seal: Seal,
    pub count: u32,
    /// Ciphertext and its tag.
    bytes: Vec<u8>,
    key: ChunkKey,
}

impl SealedEntries {
    pub(crate) fn new(
        log: LogId,
        entries: &[NewEntry],
        key: Arc<ChunkKey>,
        random: [u8; NONCE_BYTES],
    ) -> Self {
        let (seal, count) = (Seal::new(key.reference(), random), entries.len() as u32);
        let mut bytes = Vec::with_capacity(payload_len(entries) as usize + TAG_BYTES);
        write_entries(&mut bytes, entries);
        let aad = entries_aad(log, count, &seal);
        let tag = key.key.seal_in_place(seal.nonce, &aad, &mut bytes);
        bytes.extend_from_slice(&tag);
        SealedEntries { seal, count, bytes, key: (*key).clone() }
    }

    /// Length of the chunk's payload.
    pub(crate) fn payload_len(&self) -> usize {
        self.bytes.len() + TAG_BYTES
    }

    /// Writes the payload for the place that `header` says.
    pub(crate) fn write(&self, header: &ChunkHeader, out: &mut impl BufMut) {
        assert_eq!(header.payload_len as usize, self.payload_len(), "the header knows its payload");
        let tag = &self.bytes[self.bytes.len() - TAG_BYTES..];
        let aad = place_aad(header, tag);
        let place = self.key.key.seal_in_place(self.seal.place_nonce(), &aad, &mut []);
        out.put_slice(&self.bytes);
        out.put_slice(&place);
    }
}

/// The entries of a sealed chunk, as an unsealed one holds them.
pub(crate) fn open(header: &ChunkHeader, payload: &[u8], key: &ChunkKey) -> Result<Bytes, Wrong> {
    let seal = header.seal.expect("only sealed chunks are opened");
    let wrong = || {
        Wrong::Broken(format!(
            "{} entries of log {} from {}.{} don't open with their key",
            header.count, header.log, header.lsn, header.first
        ))
    };
    let (sealed, place) = payload.split_last_chunk::<TAG_BYTES>().ok_or_else(wrong)?;
    let (entries, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or_else(wrong)?;
    let key = &key.key;
    let opened = key.open_in_place(seal.place_nonce(), &place_aad(header, tag), &mut [], place);
    opened.map_err(|_| wrong())?;
    let mut plain = vec![0; entries.len()];
    let aad = entries_aad(header.log, header.count, &seal);
    key.open_into(seal.nonce, &aad, entries, tag, &mut plain).map_err(|_| wrong())?;
    Ok(plain.into())
}

fn entries_aad(log: LogId, count: u32, seal: &Seal) -> [u8; 21] {
    let mut aad = [0; 21];
    aad[0] = ChunkKind::Data as u8;
    aad[1..9].copy_from_slice(&log.as_u64().to_le_bytes());
    aad[9..13].copy_from_slice(&count.to_le_bytes());
    aad[13..].copy_from_slice(&seal.key.as_u64().to_le_bytes());
    aad
}

/// The header but for its two checksums, which depend on the place tag, and the entries' tag.
fn place_aad(header: &ChunkHeader, tag: &[u8]) -> [u8; CRC_AT + TAG_BYTES] {
    let mut aad = [0; CRC_AT + TAG_BYTES];
    aad[..CRC_AT].copy_from_slice(&header.encode()[..CRC_AT]);
    aad[PAYLOAD_CRC_AT..PAYLOAD_CRC_AT + 4].fill(0);
    aad[CRC_AT..].copy_from_slice(tag);
    aad
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use millstream_base::Timestamp;
    use millstream_secrets::DataKey;

    use super::*;
    use crate::chunk::{CHUNK_HEADER_LEN, write_chunk};
    use crate::key::KeyNumber;

    fn key(n: u8) -> Arc<ChunkKey> {
        Arc::new(ChunkKey::new(KeyNumber::from_u64(n.into()), DataKey::from_bytes(&[n; 32])))
    }

    fn sealed(log: LogId, lsn: u64, key: &Arc<ChunkKey>) -> Bytes {
        let value = Bytes::from_static(b"planted plaintext");
        let entries = [NewEntry { attributes: 3, key: "partition".into(), value }];
        let sealed = SealedEntries::new(log, &entries, key.clone(), [7; NONCE_BYTES]);
        let header = ChunkHeader {
            kind: ChunkKind::Data,
            log,
            lsn,
            first: 0,
            count: 1,
            at: Timestamp::from_millis(5),
            payload_len: sealed.payload_len() as u32,
            payload_crc: 0,
            seal: Some(sealed.seal),
        };
        let mut out = BytesMut::new();
        write_chunk(&mut out, header, |out| sealed.write(&header, out));
        out.freeze()
    }

    fn open_chunk(chunk: &[u8], key: &ChunkKey) -> Result<Bytes, Wrong> {
        let header = ChunkHeader::decode(chunk)?;
        header.check(&chunk[CHUNK_HEADER_LEN..])?;
        open(&header, &chunk[CHUNK_HEADER_LEN..], key)
    }

    #[test]
    fn a_sealed_chunk_opens_with_its_key_alone_and_shows_nothing_without() {
        let chunk = sealed(LogId::new(1, 2), 3, &key(1));
        let plain = open_chunk(&chunk, &key(1)).unwrap();
        assert_eq!(&plain[..], b"\x03\x09\x11partitionplanted plaintext");
        for secret in [&b"partition"[..], b"planted"] {
            assert!(!chunk.windows(secret.len()).any(|w| w == secret));
        }
        let error = open_chunk(&chunk, &key(2)).unwrap_err();
        assert!(error.to_string().contains("from 3.0 don't open"), "{error}");
        assert_eq!(format!("{:?}", key(1)), "ChunkKey(0000000000000001, …)");
    }

    /// Whoever can write to the disk can make checksums right, but not the tags.
    #[test]
    fn no_bit_can_be_changed_even_with_right_checksums() {
        let chunk = sealed(LogId::new(1, 2), 3, &key(1));
        for at in 0..chunk.len() * 8 {
            let mut bad = chunk.to_vec();
            bad[at / 8] ^= 1 << (at % 8);
            let sum = crate::codec::crc(&bad[CHUNK_HEADER_LEN..]);
            bad[PAYLOAD_CRC_AT..PAYLOAD_CRC_AT + 4].copy_from_slice(&sum.to_le_bytes());
            let sum = crate::codec::crc(&bad[..CRC_AT]);
            bad[CRC_AT..CHUNK_HEADER_LEN].copy_from_slice(&sum.to_le_bytes());
            let checksums = PAYLOAD_CRC_AT..PAYLOAD_CRC_AT + 4;
            if checksums.contains(&(at / 8)) || (CRC_AT..CHUNK_HEADER_LEN).contains(&(at / 8)) {
                assert_eq!(bad, chunk, "repaired");
                continue;
            }
            let opened = ChunkHeader::decode(&bad).and_then(|header| match header.seal {
                Some(_) => open_chunk(&bad, &key(1)),
                // Without the flag it is ciphertext: garbage, never another plaintext.
                None => Wrong::broken("not sealed"),
            });
            assert!(opened.is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_payload_moved_to_another_place_does_not_open() {
        let log = LogId::new(1, 2);
        let chunk = sealed(log, 3, &key(1));
        for (other, lsn) in [(log, 4), (LogId::new(1, 3), 3)] {
            let mut moved = sealed(other, lsn, &key(1)).to_vec();
            moved[CHUNK_HEADER_LEN..].copy_from_slice(&chunk[CHUNK_HEADER_LEN..]);
            let header = ChunkHeader::decode(&moved).unwrap();
            assert!(open(&header, &moved[CHUNK_HEADER_LEN..], &key(1)).is_err(), "{other} {lsn}");
        }
    }
}

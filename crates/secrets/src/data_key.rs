//! Large buffers, sealed in place.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::sealing::OpenError;
use crate::{KEY_BYTES, NONCE_BYTES, TAG_BYTES};

/// Proof that a buffer is what was sealed; stored beside it.
pub type Tag = [u8; TAG_BYTES];

/// Seals buffers with AES-256-GCM where they stand. The key schedule is made once; clones share it,
/// and it is wiped with the last of them.
#[derive(Clone)]
pub struct DataKey(Arc<LessSafeKey>);

impl DataKey {
    /// AES-GCM's own bound for one message: 2^36 - 32 bytes (NIST SP 800-38D, 5.2.1.1).
    pub const MESSAGE_BYTES_MAX: u64 = (1 << 36) - 32;

    pub fn from_bytes(key: &[u8; KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 keys have 32 bytes");
        DataKey(Arc::new(LessSafeKey::new(key)))
    }

    /// A key from 32 bytes of any origin; `None` if there are more or fewer.
    pub fn from_slice(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(DataKey::from_bytes)
    }

    /// Makes `buffer` ciphertext of the same length.
    ///
    /// A nonce MUST be used once in the life of a key: twice gives away both plaintexts and lets
    /// anyone forge tags. `aad` is not stored, but the buffer opens only with the same.
    ///
    /// # Panics
    /// If `buffer` is longer than [`DataKey::MESSAGE_BYTES_MAX`].
    pub fn seal_in_place(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], buffer: &mut [u8]) -> Tag {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer);
        let tag = tag.expect("messages are below AES-GCM's bound");
        tag.as_ref().try_into().expect("AES-GCM's tags have 16 bytes")
    }

    /// Makes `buffer` plaintext again.
    ///
    /// # Errors
    /// [`OpenError`]: not what was sealed; `buffer` is wiped then, so that nobody reads garbage.
    pub fn open_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(aad), tag, buffer);
        if opened.is_err() {
            buffer.fill(0);
            return Err(OpenError);
        }
        Ok(())
    }

    /// As [`DataKey::open_in_place`], from `sealed` into `plain`, which has the same length.
    ///
    /// # Errors
    /// [`OpenError`]: not what was sealed; `plain` is wiped then.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn open_into(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        sealed: &[u8],
        tag: &Tag,
        plain: &mut [u8],
    ) -> Result<(), OpenError> {
        assert_eq!(sealed.len(), plain.len(), "room for the plaintext");
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_separate_gather(nonce, Aad::from(aad), sealed, tag, plain);
        if opened.is_err() {
            plain.fill(0);
            return Err(OpenError);
        }
        Ok(())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; NONCE_BYTES] = [1; NONCE_BYTES];

    #[test]
    fn buffers_come_back_in_place_and_apart() {
        let key = DataKey::from_bytes(&[5; KEY_BYTES]);
        let plain: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let mut buffer = plain.clone();
        let tag = key.seal_in_place(NONCE, b"chunk 7", &mut buffer);
        assert_ne!(buffer, plain);

        let mut apart = vec![0; buffer.len()];
        key.clone().open_into(NONCE, b"chunk 7", &buffer, &tag, &mut apart).unwrap();
        assert_eq!(apart, plain);
        key.open_in_place(NONCE, b"chunk 7", &mut buffer, &tag).unwrap();
        assert_eq!(buffer, plain);
    }

    #[test]
    fn a_wrong_nonce_place_tag_or_bit_is_an_error_and_leaves_zeros() {
        let key = DataKey::from_bytes(&[5; KEY_BYTES]);
        let mut sealed = b"planted plaintext".to_vec();
        let tag = key.seal_in_place(NONCE, b"7", &mut sealed);
        let mut bent = sealed.clone();
        bent[3] ^= 1;
        let mut other_tag = tag;
        other_tag[0] ^= 1;
        let wrong = [
            ([2; NONCE_BYTES], b"7", sealed.clone(), tag),
            (NONCE, b"8", sealed.clone(), tag),
            (NONCE, b"7", bent, tag),
            (NONCE, b"7", sealed.clone(), other_tag),
        ];
        for (nonce, aad, mut buffer, tag) in wrong {
            let mut apart = vec![9; buffer.len()];
            assert_eq!(key.open_into(nonce, aad, &buffer, &tag, &mut apart), Err(OpenError));
            assert!(apart.iter().all(|b| *b == 0));
            assert_eq!(key.open_in_place(nonce, aad, &mut buffer, &tag), Err(OpenError));
            assert!(buffer.iter().all(|b| *b == 0));
        }
    }

    #[test]
    fn debug_hides_the_key_and_lengths_are_checked() {
        assert_eq!(format!("{:?}", DataKey::from_bytes(&[5; KEY_BYTES])), "DataKey(…)");
        assert!(DataKey::from_slice(&[5; KEY_BYTES]).is_some());
        assert!(DataKey::from_slice(&[5; 16]).is_none());
    }
}

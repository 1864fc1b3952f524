//! Small secrets, sealed for storage.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::{KEY_BYTES, NONCE_BYTES, TAG_BYTES, random};

/// Bytes that a sealed secret is longer than the secret: version, nonce and tag.
pub const SEAL_OVERHEAD: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// How sealed bytes begin: what follows is nonce, AES-256-GCM ciphertext, tag.
const VERSION: u8 = 1;

/// Seals secrets of one purpose with AES-256-GCM.
///
/// Nonces are random, so that a key is good for 2^32 seals (NIST SP 800-38D, 8.3): far beyond the
/// rows that a node can hold. What is sealed by the million takes a [`crate::DataKey`].
pub struct SealingKey(LessSafeKey);

/// What can't be opened: not sealed by this key under this context, or damaged. Which of them is
/// not told, since nobody can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed with another key, for another place, or damaged")]
pub struct OpenError;

impl SealingKey {
    pub fn from_bytes(key: &[u8; KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 keys have 32 bytes");
        SealingKey(LessSafeKey::new(key))
    }

    /// Seals `plain` for the place that `context` names (a row's key, say): only who names the same
    /// place opens it, so that sealed rows can't be exchanged for each other.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce = random::<NONCE_BYTES>();
        let mut sealed = Vec::with_capacity(plain.len() + SEAL_OVERHEAD);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut sealed[1 + NONCE_BYTES..],
            )
            .expect("a secret in memory is shorter than 64 GiB");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// # Errors
    /// [`OpenError`] for anything but what [`SealingKey::seal`] gave for this context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Secret, OpenError> {
        let (version, rest) = sealed.split_first().ok_or(OpenError)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
        if *version != VERSION || body.len() < TAG_BYTES {
            return Err(OpenError);
        }
        let mut plain = Zeroizing::new(vec![0; body.len() - TAG_BYTES]);
        let (body, tag) = body.split_at(plain.len());
        self.0
            .open_separate_gather(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(context),
                body,
                tag,
                &mut plain,
            )
            .map_err(|_| OpenError)?;
        Ok(Secret::new(std::mem::take(&mut *plain)))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealingKey {
        SealingKey::from_bytes(&[3; KEY_BYTES])
    }

    #[test]
    fn what_was_sealed_opens_and_looks_like_nothing() {
        let sealed = key().seal(b"user/ada", b"hunter2");
        assert_eq!(sealed.len(), 7 + SEAL_OVERHEAD);
        assert!(!sealed.windows(7).any(|w| w == b"hunter2"));
        assert_eq!(key().open(b"user/ada", &sealed), Ok(Secret::from("hunter2")));
        assert_ne!(sealed, key().seal(b"user/ada", b"hunter2"), "nonces differ");
    }

    #[test]
    fn another_context_or_key_opens_nothing() {
        let sealed = key().seal(b"user/ada", b"hunter2");
        assert_eq!(key().open(b"user/bob", &sealed), Err(OpenError));
        assert_eq!(key().open(b"", &sealed), Err(OpenError));
        let other = SealingKey::from_bytes(&[4; KEY_BYTES]);
        assert_eq!(other.open(b"user/ada", &sealed), Err(OpenError));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let sealed = key().seal(b"c", b"hunter2");
        for at in 0..sealed.len() * 8 {
            let mut bent = sealed.clone();
            bent[at / 8] ^= 1 << (at % 8);
            assert_eq!(key().open(b"c", &bent), Err(OpenError), "bit {at}");
        }
        for len in 0..sealed.len() {
            assert_eq!(key().open(b"c", &sealed[..len]), Err(OpenError), "{len} bytes");
        }
    }

    #[test]
    fn nothing_is_a_secret_too() {
        assert_eq!(key().open(b"", &key().seal(b"", b"")), Ok(Secret::default()));
    }
}

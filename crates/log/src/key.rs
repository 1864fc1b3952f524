//! Keys of sealed chunks, and how a chunk names its own.

use std::fmt;

use millstream_secrets::{DataKey, NONCE_BYTES};

/// Chunks that may be sealed under one key. Two nonces of 95 random bits each: with this many
/// chunks, two are the same with a probability of 2^-36 (NIST SP 800-38D, 8.3, allows 2^-32).
pub const CHUNKS_PER_KEY_MAX: u64 = 1 << 30;

/// Names a key for as long as anything is sealed under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyNumber(u64);

impl KeyNumber {
    pub const fn from_u64(n: u64) -> Self {
        KeyNumber(n)
    }
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
impl fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A key that chunks are sealed with, and its name. Clones share the key.
#[derive(Clone)]
pub struct ChunkKey {
    reference: KeyNumber,
    pub(crate) key: DataKey,
}

impl ChunkKey {
    pub fn new(reference: KeyNumber, key: DataKey) -> Self {
        ChunkKey { reference, key }
    }
    pub fn reference(&self) -> KeyNumber {
        self.reference
    }
}

impl fmt::Debug for ChunkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkKey({}, …)", self.reference)
    }
}

/// One name, one key.
impl PartialEq for ChunkKey {
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference
    }
}
impl Eq for ChunkKey {}

/// The keys that are at hand for reading.
pub trait ChunkKeys: Send + Sync + 'static {
    /// The key of that name, if it may be used now. Asked for every chunk that is read, so it must
    /// be quick; a key that is no longer given is not used any more, from then on.
    fn get(&self, key: KeyNumber) -> Option<ChunkKey>;
}

/// No keys: sealed chunks can't be read.
#[derive(Clone, Copy, Debug)]
pub struct NoKeys;

impl ChunkKeys for NoKeys {
    fn get(&self, _: KeyNumber) -> Option<ChunkKey> {
        None
    }
}

/// What the header of a sealed chunk says of its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub key: KeyNumber,
    /// With the lowest bit of its first byte clear.
    pub nonce: [u8; NONCE_BYTES],
}

impl Seal {
    /// A seal for one chunk; `random` is used for nothing else.
    pub(crate) fn new(key: KeyNumber, random: [u8; NONCE_BYTES]) -> Self {
        let mut nonce = random;
        nonce[0] &= !1;
        Seal { key, nonce }
    }

    /// The nonce of the place tag.
    pub(crate) fn place_nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = self.nonce;
        nonce[0] |= 1;
        nonce
    }
}

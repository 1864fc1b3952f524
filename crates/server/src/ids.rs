//! Request ids: unique, cheap, of the forms that AWS's answers carry.
//!
//! They are names, not secrets: a counter under a random key, mixed. No lock, no system call.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use millstream_env::Env;

/// Bytes behind an `x-amz-id-2`; AWS sends 64 to 80.
const EXTENDED_BYTES: usize = 72;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Where a node's request ids come from.
pub struct RequestIds {
    key: [u64; 2],
    next: AtomicU64,
}

/// One request's id: a random-looking UUID (version 4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    text: [u8; 36],
    seed: u64,
}

impl RequestIds {
    pub fn new(env: &Env) -> Self {
        RequestIds { key: [env.random_u64(), env.random_u64()], next: AtomicU64::new(0) }
    }

    pub fn next(&self) -> RequestId {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let high = mix(self.key[0].wrapping_add(n.wrapping_mul(GOLDEN)));
        let low = mix(high ^ self.key[1]);
        RequestId::new(high, low)
    }
}

impl RequestId {
    fn new(high: u64, low: u64) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (i, byte) in bytes.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        RequestId { text, seed: low }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).expect("hexadecimal digits and hyphens")
    }

    /// The value of `x-amzn-RequestId`.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.text).expect("hexadecimal digits and hyphens")
    }

    /// The value of `x-amz-id-2`: base64 of bytes that mean nothing, as long as AWS's.
    pub fn extended_header(&self) -> HeaderValue {
        let mut bytes = [0; EXTENDED_BYTES];
        for (i, chunk) in bytes.chunks_exact_mut(8).enumerate() {
            let n = self.seed.wrapping_add((i as u64 + 1).wrapping_mul(GOLDEN));
            chunk.copy_from_slice(&mix(n).to_le_bytes());
        }
        let mut text = [0; EXTENDED_BYTES / 3 * 4];
        let text = base64_simd::STANDARD.encode(&bytes, base64_simd::Out::from_slice(&mut text));
        HeaderValue::from_bytes(text).expect("base64 digits")
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The odd number nearest to 2^64 divided by the golden ratio: spreads a counter over all bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a permutation of 64 bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[tokio::test]
    async fn ids_are_distinct_uuids() {
        let ids = RequestIds::new(&Env::real("/"));
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let id = ids.next();
            let text = id.as_str();
            assert_eq!(text.len(), 36);
            assert_eq!(text.as_bytes()[14], b'4');
            assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{text}");
            assert!(text.split('-').map(str::len).eq([8, 4, 4, 4, 12]), "{text}");
            assert_eq!(id.extended_header().len(), 96);
            assert!(seen.insert(text.to_owned()));
        }
    }
}

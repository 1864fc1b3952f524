//! Hash keys: where a partition key stands on the ring of 2^128 places, and who owns which part.

use std::fmt;

use md5::{Digest, Md5};

use crate::md5_lanes::{self, LANES, MESSAGE_MAX};

/// A place on the ring: an unsigned 128-bit number, printed in decimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKey(pub u128);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashKeyError {
    #[error("{text:?} is not a decimal number without leading zeros")]
    Malformed { text: String },
    /// A number as it should be, but not below 2^128.
    #[error("hash key {text} is not in [0, 2^128-1]")]
    OutOfRange { text: String },
}

impl HashKey {
    pub const MIN: HashKey = HashKey(0);
    pub const MAX: HashKey = HashKey(u128::MAX);

    /// The MD5 digest of the key's UTF-8 bytes, read as a big-endian number.
    pub fn of_partition_key(key: &[u8]) -> Self {
        HashKey(u128::from_be_bytes(Md5::digest(key).into()))
    }

    /// [`HashKey::of_partition_key`] of each key, in their order; three times as fast for many.
    pub fn of_partition_keys<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Vec<Self> {
        let keys: Vec<&[u8]> = keys.into_iter().collect();
        let mut hashed = Vec::with_capacity(keys.len());
        for keys in keys.chunks(LANES) {
            let all_short = keys.iter().all(|key| key.len() <= MESSAGE_MAX);
            if keys.len() > LANES / 2 && all_short {
                let lane = |lane| keys.get(lane).copied().unwrap_or_default();
                let digests = md5_lanes::digests(std::array::from_fn(lane));
                let keys = digests.iter().take(keys.len());
                hashed.extend(keys.map(|digest| HashKey(u128::from_be_bytes(*digest))));
            } else {
                hashed.extend(keys.iter().map(|key| HashKey::of_partition_key(key)));
            }
        }
        hashed
    }

    /// Reads `0` or up to 39 digits without leading zeros (service model, HashKey).
    pub fn parse(text: &str) -> Result<Self, HashKeyError> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let no_zero_first = text == "0" || !text.starts_with('0');
        if !digits || !no_zero_first || !(1..=39).contains(&text.len()) {
            return Err(HashKeyError::Malformed { text: text.chars().take(64).collect() });
        }
        text.parse().map(HashKey).map_err(|_| HashKeyError::OutOfRange { text: text.into() })
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A part of the ring, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashKeyRange {
    pub start: HashKey,
    pub end: HashKey,
}

impl HashKeyRange {
    pub const ALL: HashKeyRange = HashKeyRange { start: HashKey::MIN, end: HashKey::MAX };

    /// # Panics
    /// If `start` lies after `end`.
    pub fn new(start: HashKey, end: HashKey) -> Self {
        assert!(start <= end, "a range from {start} to {end} is empty");
        HashKeyRange { start, end }
    }

    pub fn contains(&self, key: HashKey) -> bool {
        self.start <= key && key <= self.end
    }

    /// Whether `self` ends right before `next` starts.
    pub fn is_followed_by(&self, next: &HashKeyRange) -> bool {
        self.end.0.checked_add(1) == Some(next.start.0)
    }

    /// The ranges of a new stream's `count` shards: floor(2^128 / count) wide each, and the last
    /// one takes the rest.
    ///
    /// # Panics
    /// If `count` is zero.
    pub fn split_evenly(count: u32) -> impl Iterator<Item = HashKeyRange> {
        assert!(count > 0, "a stream has at least one shard");
        let count = u128::from(count);
        // floor(2^128 / count) without leaving 128 bits; irrelevant for one shard.
        let rest = u128::from(u128::MAX % count == count - 1);
        let width = (u128::MAX / count).wrapping_add(rest);
        (0..count).map(move |i| {
            let last = i == count - 1;
            let start = if i == 0 { 0 } else { i * width };
            let end = if last { u128::MAX } else { (i + 1) * width - 1 };
            HashKeyRange { start: HashKey(start), end: HashKey(end) }
        })
    }
}

impl fmt::Display for HashKeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_keys_hash_as_one_by_one(keys in prop::collection::vec("\\PC{0,70}", 0..100)) {
            let many = HashKey::of_partition_keys(keys.iter().map(String::as_bytes));
            let each: Vec<_> =
                keys.iter().map(|k| HashKey::of_partition_key(k.as_bytes())).collect();
            prop_assert_eq!(many, each);
        }
    }

    /// Computed with an independent implementation of MD5.
    #[test]
    fn partition_keys_hash_as_on_aws() {
        for (key, hash, shard_of_four) in [
            ("a", 16955237001963240173058271559858726497, 0),
            ("partitionKey-1", 159499196025307651934328298402289840726, 1),
            ("ü", 255482112228542481294366945247899473731, 3),
        ] {
            let got = HashKey::of_partition_key(key.as_bytes());
            assert_eq!(got, HashKey(hash), "{key}");
            let owner = HashKeyRange::split_evenly(4).position(|r| r.contains(got));
            assert_eq!(owner, Some(shard_of_four), "{key}");
        }
    }

    #[test]
    fn three_shards_have_the_ranges_aws_gives_them() {
        let ends: Vec<_> = HashKeyRange::split_evenly(3).map(|r| r.to_string()).collect();
        assert_eq!(
            ends,
            [
                "0-113427455640312821154458202477256070484",
                "113427455640312821154458202477256070485-226854911280625642308916404954512140969",
                "226854911280625642308916404954512140970-340282366920938463463374607431768211455",
            ]
        );
    }

    #[test]
    fn hash_keys_are_read_strictly() {
        let max = u128::MAX.to_string();
        assert_eq!(HashKey::parse(&max), Ok(HashKey::MAX));
        assert_eq!(HashKey::parse("0"), Ok(HashKey::MIN));
        let over = "340282366920938463463374607431768211456";
        assert_eq!(HashKey::parse(over), Err(HashKeyError::OutOfRange { text: over.into() }));
        for bad in ["", "00", "01", "-1", "+1", "1a", " 1", &"9".repeat(40)] {
            assert!(matches!(HashKey::parse(bad), Err(HashKeyError::Malformed { .. })), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn even_ranges_tile_the_ring(count in 1u32..5000) {
            let ranges: Vec<_> = HashKeyRange::split_evenly(count).collect();
            prop_assert_eq!(ranges.len(), count as usize);
            prop_assert_eq!(ranges[0].start, HashKey::MIN);
            prop_assert_eq!(ranges[ranges.len() - 1].end, HashKey::MAX);
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].is_followed_by(&pair[1]));
            }
        }
    }
}

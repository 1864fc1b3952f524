//! A shard's number and its printed name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a shard within its stream, from 0, never used again.
///
/// Prints as `shardId-000000000007`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ShardId(u32);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a shard id")]
pub struct ShardIdError {
    pub text: String,
}

impl ShardId {
    /// The largest number AWS takes: 2^31 - 1.
    pub const NUMBER_MAX: u32 = i32::MAX as u32;

    /// # Panics
    /// If `number` is above [`ShardId::NUMBER_MAX`].
    pub const fn new(number: u32) -> Self {
        assert!(number <= Self::NUMBER_MAX, "shard numbers end at 2^31 - 1");
        ShardId(number)
    }

    /// Characters of the printed name.
    pub const LEN: usize = 20;

    pub const fn number(self) -> u32 {
        self.0
    }

    /// The printed name, without allocation.
    pub fn text(self) -> [u8; Self::LEN] {
        let mut text = *b"shardId-000000000000";
        let mut n = self.0;
        for digit in text[8..].iter_mut().rev() {
            *digit = b'0' + (n % 10) as u8;
            n /= 10;
        }
        text
    }

    /// Reads a shard id as AWS does: whatever stands before the last hyphen is passed over, and
    /// what follows is a decimal number of any length up to [`ShardId::NUMBER_MAX`].
    pub fn parse(text: &str) -> Result<Self, ShardIdError> {
        let broken = || ShardIdError { text: text.chars().take(256).collect() };
        let (_, digits) = text.rsplit_once('-').ok_or_else(broken)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(broken());
        }
        match digits.parse::<u128>() {
            Ok(n) if n <= Self::NUMBER_MAX as u128 => Ok(ShardId(n as u32)),
            _ => Err(broken()),
        }
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_forms_are_read_and_the_long_form_is_printed() {
        for (text, number) in [
            ("shardId-000000000000", 0),
            ("shardId-7", 7),
            ("shard-12", 12),
            ("a-b-c-0042", 42),
            ("-5", 5),
            ("shardId-2147483647", 2_147_483_647),
        ] {
            assert_eq!(ShardId::parse(text), Ok(ShardId::new(number)), "{text}");
        }
        assert_eq!(ShardId::new(2_147_483_647).to_string(), "shardId-002147483647");
        assert_eq!(ShardId::new(0).to_string(), "shardId-000000000000");
    }

    #[test]
    fn other_texts_are_no_shard_ids() {
        for text in ["", "7", "shardId", "shardId-", "shardId-x", "shardId-2147483648", "a-1b"] {
            assert!(ShardId::parse(text).is_err(), "{text}");
        }
    }
}

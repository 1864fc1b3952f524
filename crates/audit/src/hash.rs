//! The link of the chain: SHA-256, as 64 hexadecimal digits wherever people see it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{self, SHA256};

/// The hash of a line and thereby of all before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a hash of 64 hexadecimal digits")]
pub struct HashError(String);

/// Digits of a hash in text.
pub(crate) const DIGITS: usize = 64;

impl Hash {
    /// What stands before the first line of all.
    pub const START: Hash = Hash([0; 32]);

    /// The hash of a line with the text `entry` after a line with this one: SHA-256 over the digits
    /// of this hash and the text, so that `printf %s%s "$previous" "$entry" | sha256sum` tells it.
    #[must_use]
    pub fn then(&self, entry: &[u8]) -> Hash {
        let mut context = digest::Context::new(&SHA256);
        context.update(self.to_string().as_bytes());
        context.update(entry);
        Hash::finish(context)
    }

    /// The hash of bytes that belong to no chain.
    pub fn of(bytes: &[u8]) -> Hash {
        let mut context = digest::Context::new(&SHA256);
        context.update(bytes);
        Hash::finish(context)
    }

    fn finish(context: digest::Context) -> Hash {
        let digest = context.finish();
        Hash(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let wrong = || HashError(text.chars().take(DIGITS + 1).collect());
        let digits = text.as_bytes();
        if digits.len() != DIGITS {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0]).ok_or_else(wrong)? << 4 | value(pair[1]).ok_or_else(wrong)?;
        }
        Ok(Hash(bytes))
    }
}

/// Only the digits that we write: a second spelling of a hash would be a change that nobody sees.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        // FIPS 180-4, example of one block.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash::of(b"abc").to_string(), abc);
        assert_eq!(abc.parse::<Hash>(), Ok(Hash::of(b"abc")));
        let joined = format!("{}abc", Hash::START);
        assert_eq!(Hash::START.then(b"abc"), Hash::of(joined.as_bytes()));
        for wrong in ["", &abc[1..], &abc.to_uppercase(), &abc.replace('b', "g")] {
            assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
        }
    }
}

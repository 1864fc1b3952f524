//! Ciphertexts that say themselves which key opens them.
//!
//! ```text
//! version   1 byte, 0x01
//! region    1 byte of length, then its name
//! account   12 digits
//! key       16 bytes, its id
//! material  4 bytes, big endian: which of the key's materials
//! salt      16 bytes: each ciphertext has a key of its own, derived from material and salt
//! sealed    the rest: `millstream_secrets::SealingKey`'s form
//! ```
//!
//! All up to `sealed` is authenticated with it, and so is the encryption context.

use millstream_base::{AccountId, Region, Scope};
use millstream_secrets::EncryptionContext;

use crate::names::{KeyArn, KeyId};

const VERSION: u8 = 1;
pub(crate) const SALT_BYTES: usize = 16;

/// A ciphertext, cut into its parts; nothing is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphertext<'a> {
    pub key: KeyArn,
    pub material: u32,
    pub(crate) salt: [u8; SALT_BYTES],
    pub(crate) head: &'a [u8],
    pub(crate) sealed: &'a [u8],
}

impl<'a> Ciphertext<'a> {
    /// `None`: not one of ours.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (region_len, rest) = rest.split_first()?;
        let (region, rest) = rest.split_at_checked(usize::from(*region_len))?;
        let (account, rest) = rest.split_first_chunk::<12>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (material, rest) = rest.split_first_chunk::<4>()?;
        let (salt, sealed) = rest.split_first_chunk::<SALT_BYTES>()?;
        let region = Region::new(std::str::from_utf8(region).ok()?).ok()?;
        let account = AccountId::new(std::str::from_utf8(account).ok()?).ok()?;
        Some(Ciphertext {
            key: KeyArn::new(Scope::new(account, region), KeyId::from_bytes(*id)),
            material: u32::from_be_bytes(*material),
            salt: *salt,
            head: &bytes[..bytes.len() - sealed.len()],
            sealed,
        })
    }
}

/// Everything before the sealed part.
pub(crate) fn head(key: &KeyArn, material: u32, salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    let region = key.scope.region.as_str().as_bytes();
    let mut head = Vec::with_capacity(64 + region.len());
    head.push(VERSION);
    head.push(u8::try_from(region.len()).expect("regions have at most 64 bytes"));
    head.extend_from_slice(region);
    head.extend_from_slice(key.scope.account.as_str().as_bytes());
    head.extend_from_slice(key.id.as_bytes());
    head.extend_from_slice(&material.to_be_bytes());
    head.extend_from_slice(salt);
    head
}

/// What is authenticated with a ciphertext: `head` and the context, each name and value behind its
/// length, so that no two contexts are spelled alike.
pub(crate) fn authenticated(head: &[u8], context: &EncryptionContext) -> Vec<u8> {
    let length = |text: &str| (text.len() as u64).to_be_bytes();
    let mut bytes = head.to_vec();
    for (name, value) in context {
        for text in [name, value] {
            bytes.extend_from_slice(&length(text));
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn() -> KeyArn {
        KeyArn::parse("arn:aws:kms:eu-west-1:000000000012:key/1234abcd-12ab-34cd-56ef-1234567890ab")
            .unwrap()
    }

    #[test]
    fn a_ciphertext_names_its_key() {
        let mut bytes = head(&arn(), 7, &[9; SALT_BYTES]);
        let head_len = bytes.len();
        bytes.extend_from_slice(b"sealed");
        let parsed = Ciphertext::parse(&bytes).unwrap();
        assert_eq!((parsed.key, parsed.material, parsed.salt), (arn(), 7, [9; SALT_BYTES]));
        assert_eq!((parsed.head, parsed.sealed), (&bytes[..head_len], &b"sealed"[..]));
        for len in 0..head_len {
            assert_eq!(Ciphertext::parse(&bytes[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn contexts_that_run_together_are_different() {
        let context = |pairs: &[(&str, &str)]| -> Vec<u8> {
            let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            authenticated(b"", &pairs.collect())
        };
        let spelled = [
            context(&[]),
            context(&[("", "")]),
            context(&[("a", "bc")]),
            context(&[("ab", "c")]),
            context(&[("a", "b"), ("c", "")]),
        ];
        for (at, one) in spelled.iter().enumerate() {
            assert!(spelled[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }
}

//! Unique ids and access keys, in AWS's forms.

use millstream_secrets::{Secret, random};

/// The digits of AWS's ids: base 32.
const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Characters of secret access keys, as base64 has them.
const SECRET_DIGITS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Random characters of an id after its prefix of four: as long as AWS's (17 for entities).
const ENTITY_CHARS: usize = 17;
/// An access key id has 20 characters.
const KEY_CHARS: usize = 16;
/// A secret access key has 40 characters: 240 bits.
const SECRET_CHARS: usize = 40;

/// `AIDA…`, `AROA…`, `AGPA…`, `ANPA…`.
pub(crate) fn unique_id(prefix: &str) -> String {
    with_prefix::<ENTITY_CHARS>(prefix)
}

/// `AKIA…` of a user, `ASIA…` of a session.
pub(crate) fn access_key_id(prefix: &str) -> String {
    with_prefix::<KEY_CHARS>(prefix)
}

pub(crate) fn secret_access_key() -> Secret {
    let bytes: [u8; SECRET_CHARS] = random();
    Secret::new(bytes.map(|b| SECRET_DIGITS[usize::from(b & 63)]).to_vec())
}

fn with_prefix<const N: usize>(prefix: &str) -> String {
    let bytes: [u8; N] = random();
    let mut id = String::with_capacity(prefix.len() + N);
    id.push_str(prefix);
    id.extend(bytes.iter().map(|b| char::from(DIGITS[usize::from(b & 31)])));
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_lengths_of_aws() {
        assert_eq!(unique_id("AIDA").len(), 21);
        assert_eq!(access_key_id("AKIA").len(), 20);
        assert_eq!(secret_access_key().len(), 40);
        assert_ne!(unique_id("AIDA"), unique_id("AIDA"));
    }
}

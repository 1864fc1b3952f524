//! The key from which all keys of a node are derived.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::sealing::SealingKey;
use crate::{KEY_BYTES, random};

/// 256 bits that stand outside the data directory. Wiped when dropped.
#[derive(Clone)]
pub struct RootKey(Zeroizing<[u8; KEY_BYTES]>);

impl RootKey {
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        RootKey(Zeroizing::new(bytes))
    }

    pub fn random() -> Self {
        RootKey::from_bytes(random())
    }

    /// The key itself, for whoever keeps it outside the node (a file, a key ring).
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The key for one purpose, as in `"iam secret keys"`. Different purposes give keys that tell
    /// nothing of each other; the same purpose gives the same key for ever.
    pub fn derive(&self, purpose: &str) -> SealingKey {
        SealingKey::from_bytes(&self.derived(&["seal", purpose]))
    }

    /// What names this key without telling anything of it; two keys never share one.
    pub fn fingerprint(&self) -> Fingerprint {
        let derived = self.derived(&["fingerprint"]);
        let mut short = [0; Fingerprint::BYTES];
        short.copy_from_slice(&derived[..Fingerprint::BYTES]);
        Fingerprint(short)
    }

    /// HKDF-SHA256 (RFC 5869); `info` is a path whose first segment keeps uses apart.
    fn derived(&self, info: &[&str]) -> Zeroizing<[u8; KEY_BYTES]> {
        struct Length;
        impl KeyType for Length {
            fn len(&self) -> usize {
                KEY_BYTES
            }
        }
        let pseudorandom = Salt::new(HKDF_SHA256, b"millstream root key v1").extract(&*self.0);
        let mut spelled = Vec::new();
        for segment in info {
            spelled.extend_from_slice(segment.as_bytes());
            spelled.push(0);
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        pseudorandom
            .expand(&[&spelled], Length)
            .and_then(|okm| okm.fill(&mut *key))
            .expect("32 bytes are within HKDF's bounds");
        key
    }
}

/// Constant time.
impl PartialEq for RootKey {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&*self.0, &*other.0).is_ok()
    }
}

impl Eq for RootKey {}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({})", self.fingerprint())
    }
}

/// Names a root key where anyone may read it. Printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; Fingerprint::BYTES]);

impl Fingerprint {
    pub const BYTES: usize = 16;
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_purposes_do_not_open_each_other() {
        let root = RootKey::from_bytes([7; KEY_BYTES]);
        let sealed = root.derive("iam").seal(b"row", b"secret");
        assert_eq!(root.derive("iam").open(b"row", &sealed).unwrap().expose(), b"secret");
        assert!(root.derive("kms").open(b"row", &sealed).is_err());
        assert!(RootKey::random().derive("iam").open(b"row", &sealed).is_err());
    }

    /// Both stand on disks: another value would lock every node out of its data. The values were
    /// computed apart from this code, from RFC 5869 by Python's hmac.
    #[test]
    fn the_derivation_stays_what_it_was() {
        let root = RootKey::from_bytes([7; KEY_BYTES]);
        assert_eq!(root.fingerprint().to_string(), "6b2fa96bdbbbd0ab8137023908f521b4");
        let derived = root.derived(&["seal", "kms"]);
        assert_eq!(derived[..4], [0x93, 0x2e, 0x77, 0x87]);
    }

    #[test]
    fn debug_shows_the_fingerprint_only() {
        let root = RootKey::from_bytes([0xab; KEY_BYTES]);
        let shown = format!("{root:?}");
        assert_eq!(shown, format!("RootKey({})", root.fingerprint()));
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }
}

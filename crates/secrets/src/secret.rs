//! Bytes or text that nobody else shall see.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

/// Wiped when dropped, hidden in `Debug`, compared in constant time.
///
/// Clones are wiped as well; share an `Arc<Secret>` where many look at the same one.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Secret(Zeroizing::new(bytes.into()))
    }

    /// The bytes themselves. Whoever copies them out answers for the copy.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is UTF-8.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// In bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Secret::new(bytes)
    }
}

/// The text's memory is taken over, not copied.
impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret::new(text.into_bytes())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret::new(text.as_bytes())
    }
}

/// Takes as long for a near miss as for a far one; only the lengths can be told apart.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_what_equality_sees() {
        let secret = Secret::from("wJalrXUtnFEMI");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret, Secret::from("wJalrXUtnFEMI".to_owned()));
        assert_ne!(secret, Secret::from("wJalrXUtnFEMi"));
        assert_ne!(secret, Secret::from("wJalrXUtnFEM"));
        assert_eq!(secret.expose_text(), Some("wJalrXUtnFEMI"));
        assert_eq!(Secret::new(vec![0xff]).expose_text(), None);
    }
}

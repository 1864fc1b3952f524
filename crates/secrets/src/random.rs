//! Randomness for keys. Everything else that is random comes from `env`.

use aws_lc_rs::rand;

use crate::secret::Secret;

/// `N` random bytes of cryptographic quality.
///
/// # Panics
/// If the operating system gives no randomness: no key could be made then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// `bytes` random bytes of cryptographic quality.
///
/// # Panics
/// As [`random`].
pub fn random_secret(bytes: usize) -> Secret {
    let mut secret = vec![0; bytes];
    fill(&mut secret);
    Secret::new(secret)
}

fn fill(bytes: &mut [u8]) {
    rand::fill(bytes).expect("the operating system gives randomness");
}

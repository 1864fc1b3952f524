//! Secrets in memory, and secrets sealed for the disk.
//!
//! A [`Secret`] is wiped when it is dropped and never printed. The node has one [`RootKey`]; each
//! purpose derives a [`SealingKey`] of its own from it, and what the key seals can be stored
//! anywhere: it opens only with the same key and the same context, else with an error. A
//! [`DataKey`] does the same for large buffers in place; data keys come wrapped from a [`KeyRing`].
//!
//! Invariant: no secret is in a `Debug` text, in an error or in memory that was given back.
//! Invariant: wrong bytes, a wrong key or a wrong context are an error, never wrong plaintext.

mod data_key;
mod random;
mod ring;
mod root;
mod root_source;
mod sealing;
mod secret;

pub use data_key::{DataKey, Tag};
pub use random::{random, random_secret};
pub use ring::{EncryptionContext, KeyError, KeyRef, KeyRing, NewDataKey, WRAPPED_BYTES_MAX};
pub use root::{Fingerprint, RootKey};
pub use root_source::{BoxFuture, Root, RootSource, RootUnavailable};
pub use sealing::{OpenError, SEAL_OVERHEAD, SealingKey};
pub use secret::Secret;

/// Length of every key of this crate, in bytes: AES-256.
pub const KEY_BYTES: usize = 32;

/// Length of AES-GCM's nonces, in bytes (96 bits).
pub const NONCE_BYTES: usize = 12;

/// Length of AES-GCM's authentication tags, in bytes.
pub const TAG_BYTES: usize = 16;

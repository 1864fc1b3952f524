//! Keys that never leave the node: their states, aliases and versions, and encryption under them.
//!
//! A key is a row. Its material is sealed under the node's root key; whoever encrypts or decrypts
//! says which key and in which encryption context, and gets bytes that name their key themselves.
//! All keys are kept in memory as well, true by a watch: a key's state is known without a read.
//!
//! [`Kms`] is also the embedded [`millstream_secrets::KeyRing`]: records at rest are sealed with
//! data keys that it wraps.
//!
//! Invariant: key material leaves this crate in no form but sealed.
//! Invariant: a change of a key is durable before it is answered.
//! Invariant: knows no HTTP, no AWS shapes, and nothing of policies but their text.

mod aliases;
mod ciphertext;
mod crypto;
mod deletion;
mod directory;
mod engine;
mod error;
mod keys;
mod names;
mod ring;
mod rotation;
mod row;

pub use aliases::Alias;
pub use ciphertext::Ciphertext;
pub use crypto::{Decrypted, Encrypted};
pub use directory::Key;
pub use engine::{Kms, Options};
pub use error::{Error, Result};
pub use keys::NewKey;
pub use names::{AliasName, KeyArn, KeyId, KeyName, NameProblem};
pub use row::{Manager, Material, Origin, RotationSchedule, State};

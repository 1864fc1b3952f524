//! Keys from outside the node: where its root key comes from, and other people's key rings.
//!
//! All that is secret in a data directory is sealed under keys derived from one root key. That key
//! is made at random, once, and stands in the directory's tables wrapped by a [`Holder`] outside of
//! it: a file, a variable of the environment, a program, AWS KMS or a Vault. So the holder can be
//! exchanged without touching anything else ([`NodeRoot`]), and the directory alone opens nothing.
//!
//! Data keys of records can be wrapped elsewhere too: [`AwsKms`] and [`Vault`] are key rings.

mod aws_kms;
mod command;
mod error;
mod file;
mod holder;
mod node_root;
mod remote;
mod text;
mod vault;

pub use aws_kms::{AwsKms, AwsKmsOptions};
pub use error::HolderError;
pub use file::{default_path, make as make_file};
pub use holder::{Holder, HolderOptions, HolderSpec, Make, SpecError};
pub use millstream_client::Trust;
pub use node_root::{NodeRoot, describe};
pub use text::{encode as key_text, parse as parse_key_text};
pub use vault::{Vault, VaultOptions};

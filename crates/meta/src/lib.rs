//! Small durable rows: compare-and-set, scans, watches and leases.
//!
//! A row is a key and a document of bytes; the row is the unit of atomicity. What must change
//! together belongs in one row.
//!
//! [`RedbMeta`] keeps rows in one file of a node's data directory; [`MemoryMeta`] keeps them until
//! the process ends. Both pass the suite in [`contract`].

pub mod contract;
pub mod document;
pub mod lease;
mod memory;
pub mod mirror;
mod redb_store;
pub mod store;
mod watchers;

pub use document::{Document, DocumentError};
pub use lease::{Lease, LeaseState};
pub use memory::MemoryMeta;
pub use mirror::Mirror;
pub use redb_store::RedbMeta;
pub use store::{Change, Expect, Key, MetaError, MetaStore, Revision, Row, Watch};

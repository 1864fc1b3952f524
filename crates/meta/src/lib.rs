//! Small durable rows: compare-and-set, scans, watches and leases.
//!
//! A row is a key and a document of bytes; the row is the unit of atomicity. What must change
//! together belongs in one row.

pub mod store;

pub use store::{Change, Expect, Key, MetaError, MetaStore, Revision, Row, Watch};

//! Black-box tests: real clients against the real binary.
//!
//! A case is written once, as data, in `cases/*.json` (see `cases/README.md`); the [`runner`] plays
//! it through any [`client::Client`]: raw HTTP in both codecs and both HTTP versions ([`raw`]), or
//! an SDK behind a small generic driver program ([`driver`]). The [`server`] module owns the
//! process under test and kills only what it started.
//!
//! Invariant: depends on no crate of the house; only the binary's outside is touched.
#![allow(
    clippy::disallowed_methods,
    reason = "a test program stands outside the house and touches the real clock, files and threads"
)]

pub mod attack;
pub mod base64;
pub mod catalogue;
pub mod cbor;
pub mod chance;
pub mod client;
pub mod consume;
pub mod doors;
pub mod driver;
pub mod event_stream;
pub mod fixture;
pub mod http_step;
pub mod matcher;
pub mod peers;
pub mod raw;
pub mod runner;
pub mod scene;
pub mod server;
pub mod socket;

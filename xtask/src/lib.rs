//! The project's own tasks, `cargo xtask …`: one file per command.
//!
//! Stands outside the house: depends on no crate of it, so that it builds in seconds and can build,
//! check and run all of them.
#![allow(
    clippy::disallowed_methods,
    reason = "a tool of the developers works on the real files, clock and threads"
)]

pub mod attack;
pub mod bench;
pub mod codegen;
pub mod crash;
pub mod fuzz;
pub mod interop;
pub mod models;
pub mod operations;
pub mod peers;
pub mod run;
pub mod serve;
pub mod sim;
pub mod test;
pub mod tidy;
pub mod tree;

//! The operations on queues.

mod control;
mod life;
mod list;
mod policy;
mod receipt;
mod records;
mod tags;

//! Adapters between AWS's shapes and the engines: the only place where both worlds meet.

pub mod kinesis;

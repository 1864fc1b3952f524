//! Adapters between AWS's shapes and the engines: the only place where both worlds meet.

pub mod cloudtrail;
pub mod cloudwatch;
pub mod iam;
pub mod kinesis;
pub mod kms;
pub mod sts;

pub use crate::call::Call;

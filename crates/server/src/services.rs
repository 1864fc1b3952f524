//! Adapters between AWS's shapes and the engines: the only place where both worlds meet.

pub mod cloudtrail;
pub mod cloudwatch;
pub mod iam;
pub mod kinesis;
pub mod kms;
pub mod sts;

use std::sync::Arc;

use crate::access::Origin;
use crate::auth::Caller;
use crate::ids::RequestId;

/// What a call brings along.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: RequestId,
    pub caller: Caller,
    /// Where it came from; there for callers with an identity.
    pub origin: Option<Arc<Origin>>,
}

//! A call: who asks, under which id, and where it came from.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, header};
use millstream_base::Timestamp;

use crate::auth::Caller;
use crate::ids::RequestId;
use crate::peer::Peer;

/// What a call brings along beside its input.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: RequestId,
    pub caller: Caller,
    /// There for callers with an identity.
    pub origin: Option<Arc<Origin>>,
}

/// Where and when a request came from. Gathered for callers with an identity only.
#[derive(Clone, Debug)]
pub struct Origin {
    pub peer: Peer,
    pub user_agent: Option<HeaderValue>,
    pub at: Timestamp,
}

impl Origin {
    pub fn of(parts: &Parts, at: Timestamp) -> Arc<Origin> {
        let user_agent = parts.headers.get(header::USER_AGENT).cloned();
        Arc::new(Origin { peer: Peer::of(parts).clone(), user_agent, at })
    }
}

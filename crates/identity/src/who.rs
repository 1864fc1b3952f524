//! Callers and their rights, as memory keeps them.

use std::sync::Arc;

use millstream_policy::{Kind as PolicyKind, NamedPolicy, Policy, Principal, Rights};

use crate::session::Session;

/// A caller whose signature was checked, with everything that decides what it may do.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub principal: Principal,
    pub rights: Rights,
    /// Of temporary credentials.
    pub session: Option<Arc<Session>>,
}

/// What an entity's policies come to.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) generation: u64,
    pub(crate) rights: Rights,
    /// Of a user or root that signs with a key of its own.
    pub(crate) who: Option<Arc<Authenticated>>,
}

/// Reads a document that was checked when it was stored. `None`: it can't be read any more.
pub(crate) fn parse(name: &str, document: &str) -> Option<Arc<NamedPolicy>> {
    match Policy::parse(PolicyKind::Identity, document) {
        Ok(policy) => Some(Arc::new(NamedPolicy::new(name, policy))),
        Err(error) => {
            tracing::error!(name, %error, "a stored policy can't be read: its holders have no rights");
            None
        }
    }
}

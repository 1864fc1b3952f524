//! What a principal carries: the policies that speak for and against it.

use std::sync::Arc;

use crate::Policy;

/// A policy and what it is called.
#[derive(Debug)]
pub struct NamedPolicy {
    /// The ARN of a managed policy, the name of an inline one.
    pub name: Box<str>,
    pub policy: Policy,
}

impl NamedPolicy {
    pub fn new(name: &str, policy: Policy) -> NamedPolicy {
        NamedPolicy { name: name.into(), policy }
    }
}

/// The policies of a principal. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// Managed and inline ones, of a user's groups too. One that allows is enough.
    pub identity: Vec<Arc<NamedPolicy>>,
    /// The permissions boundary, which must allow too.
    pub boundary: Option<Arc<NamedPolicy>>,
    /// Those of a session, if it was given any: one of them must allow too.
    pub session: Option<Vec<Arc<NamedPolicy>>>,
}

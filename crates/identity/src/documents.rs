//! What a document must be before it is stored.

use millstream_base::limits::{
    GROUP_INLINE_CHARS_MAX, MANAGED_POLICY_CHARS_MAX, ROLE_INLINE_CHARS_MAX,
    TRUST_POLICY_CHARS_MAX, USER_INLINE_CHARS_MAX,
};
use millstream_policy::{Kind as PolicyKind, Policy};

use crate::error::{Error, Quota, Result};
use crate::model::{Entity, Kind};

/// # Errors
/// [`Error::Document`], or a managed policy that is too long.
pub(crate) fn check_managed(document: &str) -> Result<()> {
    check(PolicyKind::Identity, document)?;
    check_chars(chars(document), MANAGED_POLICY_CHARS_MAX, Quota::PolicySize)
}

/// # Errors
/// [`Error::Document`], or a trust policy that is too long.
pub(crate) fn check_trust(document: &str) -> Result<()> {
    check(PolicyKind::Trust, document)?;
    check_chars(chars(document), TRUST_POLICY_CHARS_MAX, Quota::TrustPolicySize)
}

/// An inline policy. How long all of them may be is told by [`check_inline_sum`].
///
/// # Errors
/// [`Error::Document`].
pub(crate) fn check_inline(document: &str) -> Result<()> {
    check(PolicyKind::Identity, document)
}

/// # Errors
/// The inline policies of `entity` are too long together.
pub(crate) fn check_inline_sum(entity: &Entity) -> Result<()> {
    let (max, quota) = match entity.kind {
        Kind::User | Kind::Root => (USER_INLINE_CHARS_MAX, Quota::UserPolicySize),
        Kind::Group => (GROUP_INLINE_CHARS_MAX, Quota::GroupPolicySize),
        Kind::Role => (ROLE_INLINE_CHARS_MAX, Quota::RolePolicySize),
    };
    check_chars(entity.inline.values().map(|document| chars(document)).sum(), max, quota)
}

fn check(kind: PolicyKind, document: &str) -> Result<()> {
    match Policy::parse(kind, document) {
        Ok(_) => Ok(()),
        Err(fault) => Err(Error::Document { reason: fault.to_string() }),
    }
}

fn check_chars(chars: usize, max: usize, quota: Quota) -> Result<()> {
    if chars <= max { Ok(()) } else { Err(Error::Limit { quota, max }) }
}

/// White space is not counted. Source: IAM guide, "IAM and AWS STS character limits".
fn chars(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

//! Every sentence that a client of IAM can read, and which error carries it.
//!
//! The words are AWS's where AWS's are known from its users' reports, and ours where they are not,
//! marked so.

use std::fmt::Display;

use millstream_api::iam::errors as model;
use millstream_base::limits::{
    GROUP_INLINE_CHARS_MAX, MANAGED_POLICY_CHARS_MAX, ROLE_INLINE_CHARS_MAX,
    TRUST_POLICY_CHARS_MAX, USER_INLINE_CHARS_MAX,
};
use millstream_identity::{Error, Kind, Obstacle, Quota, What};
use millstream_wire::ServiceError;

/// What a client reads when the engine refuses or fails.
pub fn of_engine(error: Error) -> ServiceError {
    match error {
        Error::NotFound { what, name } => not_found(what, &name),
        Error::Exists { what, name } => exists(what, &name),
        Error::InUse { obstacle, .. } => model::delete_conflict(conflict(obstacle)),
        Error::Limit { quota, max } => model::limit_exceeded(limit(quota, max)),
        // AWS says "Syntax errors in policy."; why, is ours.
        Error::Document { reason } => {
            model::malformed_policy_document(format!("Syntax errors in policy: {reason}."))
        }
        Error::Invalid { reason } => model::invalid_input(reason),
        Error::Unmodifiable { what: What::Policy, name } => ServiceError::new(
            "AccessDenied",
            403,
            format!("Cannot perform this operation on the AWS managed policy {name}."),
        ),
        Error::Unmodifiable { what, name } => {
            model::unmodifiable_entity(format!("The {what} {name} cannot be modified."))
        }
        Error::Busy => model::concurrent_modification(
            "The request was rejected because multiple requests to change this object were \
             submitted simultaneously. Wait a few minutes and submit your request again.",
        ),
        error @ (Error::Meta(_) | Error::Root(_)) => {
            tracing::error!(%error, "identities can't be read or changed");
            model::service_failure("The request processing has failed because of an unknown error.")
        }
    }
}

/// The sentence is that of the decision.
pub fn access_denied(sentence: String) -> ServiceError {
    ServiceError::new("AccessDenied", 403, sentence)
}

fn not_found(what: What, name: &str) -> ServiceError {
    model::no_such_entity(match what {
        What::User => format!("The user with name {name} cannot be found."),
        What::Group => format!("The group with name {name} cannot be found."),
        What::Role => format!("The role with name {name} cannot be found."),
        What::Root => "The root user has no access keys here.".to_owned(), // ours
        What::Policy => format!("Policy {name} does not exist or is not attachable."),
        What::PolicyVersion => {
            let (arn, version) = name.split_once(' ').unwrap_or((name, ""));
            format!("Policy {arn} version {version} does not exist or is not attachable.")
        }
        What::InlinePolicy => format!("The policy with name {name} cannot be found."),
        What::Attachment => format!("Policy {name} was not found."),
        What::Boundary => format!("{name} has no permissions boundary."), // ours
        What::AccessKey => format!("The Access Key with id {name} cannot be found."),
        What::Membership => format!("User is not in group {name}."), // ours
        What::OidcProvider => format!("OpenIDConnect Provider not found for arn {name}"),
        What::AccountAlias => format!("The account alias {name} cannot be found."), // ours
    })
}

/// A missing inline policy, with whose it would be.
pub fn no_inline(kind: Kind, name: &str) -> ServiceError {
    let kind = kind.name();
    model::no_such_entity(format!("The {kind} policy with name {name} cannot be found."))
}

fn exists(what: What, name: &str) -> ServiceError {
    model::entity_already_exists(match what {
        What::User => format!("User with name {name} already exists."),
        What::Group => format!("Group with name {name} already exists."),
        What::Role => format!("Role with name {name} already exists."),
        What::Policy => {
            format!("A policy called {name} already exists. Duplicate names are not allowed.")
        }
        What::OidcProvider => format!("Provider with url {name} already exists."),
        _ => format!("The {what} {name} already exists."),
    })
}

fn conflict(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::AccessKeys => "Cannot delete entity, must delete access keys first.",
        Obstacle::InlinePolicies => "Cannot delete entity, must delete policies first.",
        Obstacle::AttachedPolicies => "Cannot delete entity, must detach all policies first.",
        Obstacle::Groups => "Cannot delete entity, must remove user from all groups first.",
        Obstacle::Users => "Cannot delete entity, must remove users from group first.",
        Obstacle::Attached => "Cannot delete a policy attached to entities.",
        Obstacle::Versions => {
            "This policy has more than one version. Before you delete a policy, you must delete the \
             policy's versions. The default version is deleted with the policy."
        }
        Obstacle::DefaultVersion => "Cannot delete the default version of a policy.",
    }
}

fn limit(quota: Quota, max: usize) -> String {
    let size =
        |max: usize, of: &str| format!("Maximum policy size of {max} bytes exceeded for {of}");
    match quota {
        Quota::VersionsPerPolicy => format!(
            "A managed policy can have up to {max} versions. Before you create a new version, you \
             must delete an existing version."
        ),
        Quota::PolicySize => {
            format!("Cannot exceed quota for PolicySize: {MANAGED_POLICY_CHARS_MAX}")
        }
        Quota::UserPolicySize => size(USER_INLINE_CHARS_MAX, "user"),
        Quota::GroupPolicySize => size(GROUP_INLINE_CHARS_MAX, "group"),
        Quota::RolePolicySize => size(ROLE_INLINE_CHARS_MAX, "role"),
        Quota::TrustPolicySize => {
            format!("Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARS_MAX}")
        }
        Quota::TagsPerResource => {
            format!("The number of tags has reached the maximum limit of {max}.") // ours
        }
        quota => format!("Cannot exceed quota for {quota}: {max}"),
    }
}

pub fn name_needed() -> ServiceError {
    ServiceError::new(
        "ValidationError",
        400,
        "Must specify userName when calling with non-User credentials",
    )
}

/// Ours.
pub fn bad_marker(marker: impl Display) -> ServiceError {
    model::invalid_input(format!("Invalid Marker: {marker}"))
}

/// Ours.
pub fn bad_status() -> ServiceError {
    model::invalid_input("Status must be Active or Inactive.")
}

/// Ours.
pub fn doubled_tags() -> ServiceError {
    model::invalid_input(
        "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
    )
}

pub fn reserved_tag() -> ServiceError {
    model::invalid_input(
        "System tags cannot be added, updated or removed: keys can't begin with aws:",
    )
}

pub fn no_login_profile(user: &str) -> ServiceError {
    model::no_such_entity(format!("Login Profile for User {user} cannot be found."))
}

/// Ours: organisations are not here.
pub fn no_organisations() -> ServiceError {
    model::invalid_input("Service control policies are not supported here.")
}

/// Ours.
pub fn bad_context(key: &str) -> ServiceError {
    model::invalid_input(format!("Invalid context entry: {key}"))
}

//! Why the engine refuses, or can't.

use millstream_meta::MetaError;

/// What went wrong with a call. Sentences for clients are made where the API is spoken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there is no {what} {name}")]
    NotFound { what: What, name: String },
    #[error("{what} {name} exists already")]
    Exists { what: What, name: String },
    /// Something still depends on it.
    #[error("{what} {name} can't be deleted: {obstacle:?}")]
    InUse { what: What, name: String, obstacle: Obstacle },
    #[error("more than {max} {quota}")]
    Limit { quota: Quota, max: usize },
    #[error("malformed policy document: {reason}")]
    Document { reason: String },
    #[error("{reason}")]
    Invalid { reason: String },
    /// Built in, or the declarative file's.
    #[error("{what} {name} can't be changed")]
    Unmodifiable { what: What, name: String },
    /// Others changed the row again and again.
    #[error("too many changes at once")]
    Busy,
    /// The root key can't be had: nothing can be sealed or opened.
    #[error("{0}")]
    Root(String),
    #[error(transparent)]
    Meta(#[from] MetaError),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    User,
    Group,
    Role,
    Root,
    Policy,
    PolicyVersion,
    InlinePolicy,
    Attachment,
    Boundary,
    AccessKey,
    Membership,
    OidcProvider,
    AccountAlias,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            What::User => "user",
            What::Group => "group",
            What::Role => "role",
            What::Root => "root user",
            What::Policy => "policy",
            What::PolicyVersion => "policy version",
            What::InlinePolicy => "inline policy",
            What::Attachment => "attached policy",
            What::Boundary => "permissions boundary",
            What::AccessKey => "access key",
            What::Membership => "membership",
            What::OidcProvider => "OpenID Connect provider",
            What::AccountAlias => "account alias",
        })
    }
}

impl From<crate::model::Kind> for What {
    fn from(kind: crate::model::Kind) -> Self {
        use crate::model::Kind;
        match kind {
            Kind::User => What::User,
            Kind::Group => What::Group,
            Kind::Role => What::Role,
            Kind::Root => What::Root,
        }
    }
}

/// What keeps something from being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    AccessKeys,
    InlinePolicies,
    AttachedPolicies,
    Groups,
    Users,
    /// A policy is attached to something.
    Attached,
    Versions,
    DefaultVersion,
}

/// What there may be only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    AccessKeysPerUser,
    PoliciesPerUser,
    PoliciesPerGroup,
    PoliciesPerRole,
    GroupsPerUser,
    VersionsPerPolicy,
    PolicySize,
    UserPolicySize,
    GroupPolicySize,
    RolePolicySize,
    TrustPolicySize,
    TagsPerResource,
    Users,
    Groups,
    Roles,
    Policies,
    OidcProviders,
    ClientIds,
}

impl std::fmt::Display for Quota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Quota::AccessKeysPerUser => "AccessKeysPerUser",
            Quota::PoliciesPerUser => "PoliciesPerUser",
            Quota::PoliciesPerGroup => "PoliciesPerGroup",
            Quota::PoliciesPerRole => "PoliciesPerRole",
            Quota::GroupsPerUser => "GroupsPerUser",
            Quota::VersionsPerPolicy => "VersionsPerPolicy",
            Quota::PolicySize => "PolicySize",
            Quota::UserPolicySize => "UserPolicySize",
            Quota::GroupPolicySize => "GroupPolicySize",
            Quota::RolePolicySize => "RolePolicySize",
            Quota::TrustPolicySize => "ACLSizePerRole",
            Quota::TagsPerResource => "TagsPerResource",
            Quota::Users => "UsersPerAccount",
            Quota::Groups => "GroupsPerAccount",
            Quota::Roles => "RolesPerAccount",
            Quota::Policies => "PoliciesPerAccount",
            Quota::OidcProviders => "OpenIdConnectProvidersPerAccount",
            Quota::ClientIds => "ClientIdsPerOpenIdConnectProvider",
        })
    }
}

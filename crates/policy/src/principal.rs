//! Who asks: an authenticated principal, as policies see it.

use millstream_base::{AccountId, Tags};
use std::collections::BTreeMap;

/// Who asks, and what policies and conditions can know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub kind: PrincipalKind,
    /// As answers name it: of a user, of the root, of a role's session; a service's or provider's
    /// name.
    pub arn: Box<str>,
    /// None for services and for nobody.
    pub account: Option<AccountId>,
    /// `AIDA…`, `AROA…:SESSION`, the root's account; empty where there is none.
    pub user_id: Box<str>,
    /// `aws:PrincipalTag`: of the user, of the role and its session.
    pub tags: Tags,
    /// Further condition keys that hold for all its requests, such as `aws:TokenIssueTime`,
    /// `aws:MultiFactorAuthPresent`, `aws:SourceIdentity`, `aws:FederatedProvider`.
    pub facts: BTreeMap<Box<str>, Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// The account itself: allowed everything in it that no policy denies.
    Root,
    User {
        name: Box<str>,
    },
    /// A session of a role.
    AssumedRole {
        /// With its path: `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
        role_arn: Box<str>,
    },
    /// An AWS service, such as `firehose.amazonaws.com`.
    Service,
    /// Who shows a token of an identity provider, and is about to assume a role. `arn` is the
    /// provider's ARN or name, `user_id` the token's subject.
    WebIdentity,
    /// Who signed nothing.
    Anonymous,
}

impl Principal {
    /// The root of an account.
    pub fn root(partition: &str, account: AccountId) -> Principal {
        Principal {
            arn: format!("arn:{partition}:iam::{account}:root").into(),
            user_id: account.as_str().into(),
            ..Principal::bare(PrincipalKind::Root, Some(account))
        }
    }

    /// A user; `path` begins and ends with `/`.
    pub fn user(
        partition: &str,
        account: AccountId,
        path: &str,
        name: &str,
        id: &str,
        tags: Tags,
    ) -> Principal {
        Principal {
            arn: format!("arn:{partition}:iam::{account}:user{path}{name}").into(),
            user_id: id.into(),
            tags,
            ..Principal::bare(PrincipalKind::User { name: name.into() }, Some(account))
        }
    }

    /// A session of the role with this ARN and id (`AROA…`).
    pub fn assumed_role(
        account: AccountId,
        role_arn: &str,
        role_id: &str,
        session: &str,
        tags: Tags,
    ) -> Principal {
        let partition = role_arn.split(':').nth(1).unwrap_or("aws");
        let role = role_arn.rsplit('/').next().unwrap_or_default();
        Principal {
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}").into(),
            user_id: format!("{role_id}:{session}").into(),
            tags,
            ..Principal::bare(
                PrincipalKind::AssumedRole { role_arn: role_arn.into() },
                Some(account),
            )
        }
    }

    /// A service by its name: `firehose.amazonaws.com`.
    pub fn service(name: &str) -> Principal {
        Principal { arn: name.into(), ..Principal::bare(PrincipalKind::Service, None) }
    }

    /// The bearer of a provider's token.
    pub fn web_identity(provider: &str, subject: &str) -> Principal {
        Principal {
            arn: provider.into(),
            user_id: subject.into(),
            ..Principal::bare(PrincipalKind::WebIdentity, None)
        }
    }

    /// Who signed nothing.
    pub fn anonymous() -> Principal {
        Principal { arn: "anonymous".into(), ..Principal::bare(PrincipalKind::Anonymous, None) }
    }

    fn bare(kind: PrincipalKind, account: Option<AccountId>) -> Principal {
        Principal {
            kind,
            account,
            arn: Box::default(),
            user_id: Box::default(),
            tags: Tags::new(),
            facts: BTreeMap::new(),
        }
    }

    /// `aws:PrincipalArn`: a session's is its role's.
    pub fn principal_arn(&self) -> &str {
        match &self.kind {
            PrincipalKind::AssumedRole { role_arn } => role_arn,
            _ => &self.arn,
        }
    }
}

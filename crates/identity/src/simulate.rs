//! What would be decided: SimulatePrincipalPolicy and SimulateCustomPolicy.

use std::sync::Arc;

use millstream_base::AccountId;
use millstream_policy::{
    Action, Applying, Ask, Context, Decision, Kind as PolicyKind, NamedPolicy, Policy, PolicyType,
    Principal, Reason, Resource, ResourcePolicy, Rights, decide, explain,
};

use crate::engine::Identities;
use crate::entities::Subject;
use crate::error::{Error, Result, What};
use crate::model::Kind;
use crate::rights::PARTITION;
use crate::who;

/// A simulation of the same identity with several actions and resources.
#[derive(Clone, Debug)]
pub struct Simulation {
    pub principal: Principal,
    pub rights: Rights,
    pub resource_policy: Option<Arc<Policy>>,
    /// Whose the resources are, where their ARNs don't tell.
    pub resource_owner: Option<AccountId>,
}

/// What came out for one action and resource.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub applying: Vec<Applying>,
    /// Whether the permissions boundary allows it; `None`: there is none.
    pub boundary_allows: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    ExplicitDeny,
    ImplicitDeny,
}

impl Identities {
    /// The principal and rights of a user, group or role by its ARN.
    ///
    /// # Errors
    /// There is none.
    pub fn simulated(&self, account: AccountId, arn: &str) -> Result<(Principal, Rights)> {
        let missing = |what| Error::NotFound { what, name: arn.to_owned() };
        let own = arn.strip_prefix(&format!("arn:aws:iam::{account}:"));
        let rest = own.ok_or_else(|| missing(What::User))?;
        let kinds = [Kind::User, Kind::Group, Kind::Role];
        let kind = kinds
            .into_iter()
            .find(|kind| rest.strip_prefix(kind.name()).is_some_and(|rest| rest.starts_with('/')));
        let kind = kind.ok_or_else(|| missing(What::User))?;
        let name = rest.rsplit('/').next().unwrap_or_default();
        let held = self.entity(Subject::new(account, kind, name))?;
        if held.arn() != arn {
            return Err(missing(kind.into()));
        }
        let resolved = self.inner.directory.resolve(&held);
        let rights = resolved.rights.clone();
        let principal = match (kind, &resolved.who) {
            (_, Some(who)) => who.principal.clone(),
            (Kind::Role, None) => Principal::assumed_role(
                account,
                arn,
                &held.entity.id,
                "simulation",
                held.entity.tags.clone(),
            ),
            _ => custom_principal(account),
        };
        Ok((principal, rights))
    }
}

/// Nobody in particular, in `account`.
pub fn custom_principal(account: AccountId) -> Principal {
    Principal::user(PARTITION, account, "/", "simulation", "AIDASIMULATION", Default::default())
}

/// Documents as policies of an identity.
///
/// # Errors
/// [`Error::Document`] of the first that is none.
pub fn custom_policies(documents: &[String], prefix: &str) -> Result<Vec<Arc<NamedPolicy>>> {
    let parse = |(at, document): (usize, &String)| {
        let policy = Policy::parse(PolicyKind::Identity, document)
            .map_err(|fault| Error::Document { reason: fault.to_string() })?;
        Ok(Arc::new(NamedPolicy::new(&format!("{prefix}.{at}"), policy)))
    };
    (1..).zip(documents).map(parse).collect()
}

/// A document as the policy of a resource.
///
/// # Errors
/// [`Error::Document`].
pub fn custom_resource_policy(document: &str) -> Result<Arc<Policy>> {
    let policy = Policy::parse(PolicyKind::Resource, document);
    policy.map(Arc::new).map_err(|fault| Error::Document { reason: fault.to_string() })
}

impl Simulation {
    /// # Errors
    /// `action` is none.
    pub fn run(&self, action: &str, resource: &str, context: &Context<'_>) -> Result<Outcome> {
        let parsed = Action::new(action)
            .map_err(|_| Error::Invalid { reason: format!("Invalid Action: {action}") })?;
        let of = Resource::of(resource);
        let ask = Ask {
            principal: &self.principal,
            rights: &self.rights,
            action: &parsed,
            resource: Resource { owner: of.owner.or(self.resource_owner), ..of },
            resource_policy: match &self.resource_policy {
                Some(policy) => ResourcePolicy::Grants(policy),
                None => ResourcePolicy::None,
            },
            endpoint_policy: None,
            context,
        };
        let verdict = match decide(&ask) {
            Decision::Allow => Verdict::Allowed,
            Decision::Deny(Reason::Explicit(_)) => Verdict::ExplicitDeny,
            Decision::Deny(Reason::NoneAllows(_)) => Verdict::ImplicitDeny,
        };
        let applying = explain(&ask);
        let boundary_allows = self.rights.boundary.as_ref().map(|_| {
            let mut of_boundary =
                applying.iter().filter(|a| a.kind == PolicyType::Boundary).peekable();
            of_boundary.peek().is_some() && of_boundary.all(|a| a.allows)
        });
        Ok(Outcome { verdict, applying, boundary_allows })
    }

    /// The condition keys that the policies name, each once.
    pub fn context_keys(&self) -> Vec<String> {
        let rights = &self.rights;
        let named = rights.identity.iter().chain(&rights.boundary);
        let mut keys: Vec<String> = Vec::new();
        for key in named.flat_map(|named| named.policy.condition_keys()) {
            if !keys.iter().any(|known| known.eq_ignore_ascii_case(&key)) {
                keys.push(key);
            }
        }
        keys
    }
}

/// A policy for use as a boundary.
///
/// # Errors
/// [`Error::Document`].
pub fn custom_boundary(document: &str) -> Result<Arc<NamedPolicy>> {
    who::parse("PermissionsBoundaryPolicyInputList.1", document)
        .ok_or_else(|| Error::Document { reason: "the boundary is no policy".to_owned() })
}

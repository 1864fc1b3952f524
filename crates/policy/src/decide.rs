//! The decision: what all policies together say to one request.
//!
//! An explicit denial anywhere wins. Else, within an account, the identity's policies or the
//! resource's may allow; between accounts both must. A permissions boundary, a session's policies
//! and an endpoint's policy take away what they don't allow; but what a resource's policy allows to
//! a user or a role's session by its own ARN, within the account, neither boundary nor session
//! takes away. Source: IAM guide, "Policy evaluation for requests within a single account",
//! "Cross-account policy evaluation logic", "Permissions boundaries for IAM entities".

use std::fmt;
use std::sync::Arc;

use millstream_base::AccountId;

use crate::action::Action;
use crate::context::Context;
use crate::facts::Facts;
use crate::policy::{Policy, Question, Saying};
use crate::principal::{Principal, PrincipalKind};
use crate::principals::Closeness;
use crate::rights::{NamedPolicy, Rights};

/// May `principal` do `action` on `resource`?
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub principal: &'a Principal,
    pub rights: &'a Rights,
    pub action: &'a Action,
    pub resource: Resource<'a>,
    pub resource_policy: ResourcePolicy<'a>,
    /// Of the private endpoint that the request came through, if it has one.
    pub endpoint_policy: Option<&'a Policy>,
    pub context: &'a Context<'a>,
}

/// What the action is done to.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// An ARN, or `*` where an action has no resource.
    pub arn: &'a str,
    /// Whose it is; None if it is nobody's, which is as if it were the caller's.
    pub owner: Option<AccountId>,
}

impl<'a> Resource<'a> {
    /// Where an action has no resource.
    pub const ANY: Resource<'static> = Resource { arn: "*", owner: None };

    /// A resource by its ARN, which names the owner.
    pub fn of(arn: &'a str) -> Resource<'a> {
        let owner = arn.split(':').nth(4).and_then(|account| AccountId::new(account).ok());
        Resource { arn, owner }
    }
}

/// The policy of the resource, and what it is worth.
#[derive(Clone, Copy, Debug)]
pub enum ResourcePolicy<'a> {
    /// The resource has none.
    None,
    /// It may allow what the identity's policies don't: streams, consumers, queues.
    Grants(&'a Policy),
    /// Nobody is allowed what it doesn't allow, the account's own identities included: the trust
    /// policy of a role, the policy of a key.
    Governs(&'a Policy),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny(Reason),
}

/// Why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A statement denies it.
    Explicit(PolicyType),
    /// No policy of this type allows it.
    NoneAllows(PolicyType),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyType {
    Identity,
    Resource,
    Boundary,
    Session,
    Endpoint,
}

impl Decision {
    pub fn is_allow(self) -> bool {
        self == Decision::Allow
    }
}

impl PolicyType {
    fn name(self) -> &'static str {
        match self {
            PolicyType::Identity => "identity-based policy",
            PolicyType::Resource => "resource-based policy",
            PolicyType::Boundary => "permissions boundary",
            PolicyType::Session => "session policy",
            PolicyType::Endpoint => "VPC endpoint policy",
        }
    }
}

impl Reason {
    /// The sentence of AWS's `AccessDenied`.
    ///
    /// Source of the forms: IAM guide, "Troubleshoot access denied error messages".
    pub fn sentence(self, ask: &Ask) -> String {
        Denied {
            who: &ask.principal.arn,
            action: ask.action,
            resource: ask.resource.arn,
            why: self,
        }
        .to_string()
    }
}

struct Denied<'a> {
    who: &'a str,
    action: &'a Action,
    resource: &'a str,
    why: Reason,
}

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Denied { who, action, resource, why } = self;
        let action = action.as_str();
        write!(f, "User: {who} is not authorized to perform: {action} on resource: {resource} ")?;
        match why {
            Reason::Explicit(policy) => {
                let article = if *policy == PolicyType::Identity { "an" } else { "a" };
                write!(f, "with an explicit deny in {article} {}", policy.name())
            }
            Reason::NoneAllows(policy) => {
                write!(f, "because no {} allows the {action} action", policy.name())
            }
        }
    }
}

/// Decides.
pub fn decide(ask: &Ask) -> Decision {
    let question = question(ask);
    let rights = ask.rights;
    let identity = any_says(&rights.identity, &question);
    let resource = match ask.resource_policy {
        ResourcePolicy::None => Saying::Nothing,
        ResourcePolicy::Grants(policy) | ResourcePolicy::Governs(policy) => policy.says(&question),
    };
    let boundary = rights.boundary.as_ref().map(|named| named.policy.says(&question));
    let session = rights.session.as_ref().map(|policies| any_says(policies, &question));
    let endpoint = ask.endpoint_policy.map(|policy| policy.says(&question));
    let sayings = [
        (PolicyType::Identity, Some(identity)),
        (PolicyType::Resource, Some(resource)),
        (PolicyType::Boundary, boundary),
        (PolicyType::Session, session),
        (PolicyType::Endpoint, endpoint),
    ];
    if let Some((policy, _)) = sayings.iter().find(|(_, saying)| *saying == Some(Saying::Deny)) {
        return Decision::Deny(Reason::Explicit(*policy));
    }
    let none_allows = |policy| Decision::Deny(Reason::NoneAllows(policy));
    if endpoint == Some(Saying::Nothing) {
        return none_allows(PolicyType::Endpoint);
    }
    let granted = match resource {
        Saying::Allow(closeness) => Some(closeness),
        _ => None,
    };
    let needs_identity = match (is_own(ask), granted) {
        (true, Some(Closeness::Itself)) => return Decision::Allow,
        (true, granted) if is_governed(ask) && granted.is_none() => {
            return none_allows(PolicyType::Resource);
        }
        (true, granted) => granted != Some(Closeness::Role),
        (false, None) => return none_allows(PolicyType::Resource),
        (false, Some(_)) => !is_judged_there_alone(ask.principal),
    };
    let is_root = ask.principal.kind == PrincipalKind::Root;
    if needs_identity && !is_root && identity == Saying::Nothing {
        return none_allows(PolicyType::Identity);
    }
    if boundary == Some(Saying::Nothing) {
        return none_allows(PolicyType::Boundary);
    }
    if session == Some(Saying::Nothing) {
        return none_allows(PolicyType::Session);
    }
    Decision::Allow
}

/// A statement that applies to a request.
#[derive(Clone, Debug)]
pub struct Applying {
    pub kind: PolicyType,
    /// The name of the policy; none for those of resources and endpoints.
    pub policy: Option<Arc<NamedPolicy>>,
    /// Its place in the policy, from 0.
    pub statement: usize,
    pub allows: bool,
}

/// All statements that apply, for simulations.
pub fn explain(ask: &Ask) -> Vec<Applying> {
    let question = question(ask);
    let rights = ask.rights;
    let mut all = vec![];
    let mut add = |kind, name: Option<&Arc<NamedPolicy>>, policy: &Policy| {
        let applying = policy.applying(&question).map(|(statement, allows)| Applying {
            kind,
            policy: name.cloned(),
            statement,
            allows,
        });
        all.extend(applying);
    };
    let named = |kind| move |named| (kind, named);
    let identity = rights.identity.iter().map(named(PolicyType::Identity));
    let boundary = rights.boundary.iter().map(named(PolicyType::Boundary));
    let session = rights.session.iter().flatten().map(named(PolicyType::Session));
    for (kind, named) in identity.chain(boundary).chain(session) {
        add(kind, Some(named), &named.policy);
    }
    if let ResourcePolicy::Grants(policy) | ResourcePolicy::Governs(policy) = ask.resource_policy {
        add(PolicyType::Resource, None, policy);
    }
    if let Some(policy) = ask.endpoint_policy {
        add(PolicyType::Endpoint, None, policy);
    }
    all
}

fn question<'a>(ask: &Ask<'a>) -> Question<'a> {
    Question {
        facts: Facts { principal: ask.principal, context: ask.context },
        action: ask.action,
        resource: ask.resource.arn,
        bounded: ask.rights.boundary.is_some(),
    }
}

fn any_says(policies: &[Arc<NamedPolicy>], question: &Question) -> Saying {
    let mut all = Saying::Nothing;
    for named in policies {
        match named.policy.says(question) {
            Saying::Deny => return Saying::Deny,
            Saying::Nothing => {}
            allow => all = allow,
        }
    }
    all
}

/// Whether caller and resource are of one account. Who has no account is a stranger everywhere.
fn is_own(ask: &Ask) -> bool {
    match (ask.principal.account, ask.resource.owner) {
        (Some(caller), Some(owner)) => caller == owner,
        (_, None) => true,
        (None, Some(_)) => false,
    }
}

fn is_governed(ask: &Ask) -> bool {
    matches!(ask.resource_policy, ResourcePolicy::Governs(_))
}

/// Whether no account stands behind the caller that could allow it anything.
fn is_judged_there_alone(who: &Principal) -> bool {
    who.account.is_none()
}

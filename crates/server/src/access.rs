//! Whether a caller may: gathers what a decision needs, asks the policies, and puts the refusal into
//! AWS's sentence.
//!
//! In the modes "any" and "keys" callers have no identity; everything is allowed to them, and
//! nothing is gathered. Services call [`allowed`] (what it is done to is known by ARN) from their
//! `authorise`.

use millstream_policy::rules::{self, Rule};
use millstream_policy::{Action, Ask, Context, Decision, Resource, ResourcePolicy, Value, decide};

use crate::call::Call;

/// Condition keys that every request may have, beside those of [`allowed`]'s caller.
const GLOBAL_KEYS: usize = 10;

/// The rule of an operation; the service by its prefix in actions.
///
/// # Panics
/// If the tables don't have the operation; a test proves that they have all.
pub fn rule(service: &str, operation: &str) -> &'static Rule {
    rules::rule(service, operation)
        .unwrap_or_else(|| panic!("{service}:{operation} stands in no table of millstream-policy"))
}

/// Whether the caller may do `action` to `resource`. `context` has the condition keys that the
/// service brings: the resource's tags, the request's, its own.
///
/// # Errors
/// AWS's sentence of the refusal; each service has its own error to carry it.
pub fn allowed<'a>(
    call: &'a Call,
    action: &'a Action,
    resource: Resource<'a>,
    policy: ResourcePolicy<'a>,
    mut context: Context<'a>,
) -> Result<(), String> {
    let Some(who) = &call.caller.who else { return Ok(()) };
    if let Some(owner) = &resource.owner {
        context.set_text("aws:ResourceAccount", owner.as_str().to_owned());
    }
    // The region that the resource is in: an ARN may name another one than the signature does.
    if let Some(region) = resource.arn.split(':').nth(3).filter(|region| !region.is_empty()) {
        context.set_text("aws:RequestedRegion", region);
    }
    describe(call, &mut context);
    let endpoint_policy = call.origin.as_ref().and_then(|o| o.peer.door.policy.as_deref());
    let ask = Ask {
        principal: &who.principal,
        rights: &who.rights,
        action,
        resource,
        resource_policy: policy,
        endpoint_policy,
        context: &context,
    };
    match decide(&ask) {
        Decision::Allow => Ok(()),
        Decision::Deny(reason) => Err(reason.sentence(&ask)),
    }
}

/// Adds the condition keys that every request has.
pub fn describe<'a>(call: &'a Call, context: &mut Context<'a>) {
    let region = call.caller.scope.region.as_str();
    context.set_text("aws:RequestedRegion", region);
    context.set("aws:ViaAWSService", Value::Flag(false));
    if let Some(origin) = &call.origin {
        let door = &origin.peer.door;
        let address = Value::Address(origin.peer.address.ip().to_canonical());
        match &door.endpoint_id {
            // As on AWS: through an endpoint a caller has no address of the public network.
            Some(endpoint) => {
                context.set_text("aws:SourceVpce", endpoint.as_str());
                context.set("aws:VpcSourceIp", address);
            }
            None => context.set("aws:SourceIp", address),
        }
        context.set("aws:SecureTransport", Value::Flag(origin.peer.is_secure()));
        context.set("aws:CurrentTime", Value::Time(origin.at));
        context.set("aws:EpochTime", Value::Number(origin.at.as_secs() as i64));
        if let Some(agent) = origin.user_agent.as_ref().and_then(|agent| agent.to_str().ok()) {
            context.set_text("aws:UserAgent", agent);
        }
    }
}

/// A context with room for what [`allowed`] adds.
pub fn context<'a>() -> Context<'a> {
    Context::with_capacity(GLOBAL_KEYS)
}

/// As [`allowed`], for an operation whose resource has no policy of its own.
///
/// # Errors
/// As [`allowed`].
pub fn allowed_operation(
    call: &Call,
    service: &str,
    operation: &str,
    resource: &str,
    context: Context<'_>,
) -> Result<(), String> {
    if call.caller.who.is_none() {
        return Ok(());
    }
    let action = &rule(service, operation).action;
    allowed(call, action, Resource::of(resource), ResourcePolicy::None, context)
}

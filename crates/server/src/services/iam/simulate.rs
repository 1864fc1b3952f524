//! SimulatePrincipalPolicy and SimulateCustomPolicy: what would be decided, and by which statements.

use std::borrow::Cow;

use millstream_api::iam as api;
use millstream_base::AccountId;
use millstream_identity::{
    Outcome, Simulation, Verdict, custom_boundary, custom_policies, custom_principal,
    custom_resource_policy,
};
use millstream_policy::{Applying, Context, PolicyType, Principal, Rights, Value};
use millstream_wire::ServiceError;

use super::page::page;
use super::{Iam, account_of, errors};
use crate::services::Call;

pub(super) async fn simulate_principal_policy(
    iam: &Iam,
    call: &Call,
    input: api::SimulatePrincipalPolicyRequest,
) -> Result<api::SimulatePolicyResponse, ServiceError> {
    let account = account_of(call);
    let (principal, mut rights) =
        iam.identities.simulated(account, &input.policy_source_arn).map_err(errors::of_engine)?;
    let further = input.policy_input_list.unwrap_or_default();
    let further = custom_policies(&further, "PolicyInputList").map_err(errors::of_engine)?;
    rights.identity.extend(further);
    if let Some(boundary) = boundary(input.permissions_boundary_policy_input_list)? {
        rights.boundary = Some(boundary);
    }
    let question = Question {
        actions: input.action_names,
        resources: input.resource_arns,
        resource_policy: input.resource_policy,
        resource_owner: input.resource_owner,
        caller_arn: input.caller_arn,
        context: input.context_entries,
        marker: input.marker,
        max_items: input.max_items,
    };
    answer(iam, account, principal, rights, question)
}

pub(super) async fn simulate_custom_policy(
    iam: &Iam,
    call: &Call,
    input: api::SimulateCustomPolicyRequest,
) -> Result<api::SimulatePolicyResponse, ServiceError> {
    let account = account_of(call);
    let identity = custom_policies(&input.policy_input_list, "PolicyInputList");
    let rights = Rights {
        identity: identity.map_err(errors::of_engine)?,
        boundary: boundary(input.permissions_boundary_policy_input_list)?,
        session: None,
    };
    if input.ordered_organization_policy_input_list.is_some_and(|list| !list.is_empty()) {
        return Err(errors::no_organisations());
    }
    let question = Question {
        actions: input.action_names,
        resources: input.resource_arns,
        resource_policy: input.resource_policy,
        resource_owner: input.resource_owner,
        caller_arn: input.caller_arn,
        context: input.context_entries,
        marker: input.marker,
        max_items: input.max_items,
    };
    answer(iam, account, custom_principal(account), rights, question)
}

pub(super) async fn get_context_keys_for_custom_policy(
    _: &Iam,
    call: &Call,
    input: api::GetContextKeysForCustomPolicyRequest,
) -> Result<api::GetContextKeysForPolicyResponse, ServiceError> {
    let identity = custom_policies(&input.policy_input_list, "PolicyInputList");
    let identity = identity.map_err(errors::of_engine)?;
    let rights = Rights { identity, ..Rights::default() };
    Ok(keys(custom_principal(account_of(call)), rights))
}

pub(super) async fn get_context_keys_for_principal_policy(
    iam: &Iam,
    call: &Call,
    input: api::GetContextKeysForPrincipalPolicyRequest,
) -> Result<api::GetContextKeysForPolicyResponse, ServiceError> {
    let arn = &input.policy_source_arn;
    let (principal, mut rights) =
        iam.identities.simulated(account_of(call), arn).map_err(errors::of_engine)?;
    let further = input.policy_input_list.unwrap_or_default();
    let further = custom_policies(&further, "PolicyInputList").map_err(errors::of_engine)?;
    rights.identity.extend(further);
    Ok(keys(principal, rights))
}

fn keys(principal: Principal, rights: Rights) -> api::GetContextKeysForPolicyResponse {
    let simulation = Simulation { principal, rights, resource_policy: None, resource_owner: None };
    api::GetContextKeysForPolicyResponse { context_key_names: Some(simulation.context_keys()) }
}

/// What both operations are asked.
struct Question {
    actions: Vec<String>,
    resources: Option<Vec<String>>,
    resource_policy: Option<String>,
    resource_owner: Option<String>,
    caller_arn: Option<String>,
    context: Option<Vec<api::ContextEntry>>,
    marker: Option<String>,
    max_items: Option<i32>,
}

fn answer(
    iam: &Iam,
    account: AccountId,
    principal: Principal,
    rights: Rights,
    question: Question,
) -> Result<api::SimulatePolicyResponse, ServiceError> {
    let principal = match &question.caller_arn {
        None => principal,
        Some(arn) => iam.identities.simulated(account, arn).map_err(errors::of_engine)?.0,
    };
    let resource_policy = question.resource_policy.as_deref().map(custom_resource_policy);
    let owner = question.resource_owner.as_deref().and_then(|arn| {
        let id = arn.split(':').nth(4).unwrap_or(arn);
        AccountId::new(id).ok()
    });
    let simulation = Simulation {
        principal,
        rights,
        resource_policy: resource_policy.transpose().map_err(errors::of_engine)?,
        resource_owner: owner,
    };
    let context = context(question.context.unwrap_or_default())?;
    let resources = question.resources.unwrap_or_else(|| vec!["*".to_owned()]);
    let mut results: Vec<(String, api::EvaluationResult)> = Vec::new();
    for action in &question.actions {
        for resource in &resources {
            let outcome = simulation.run(action, resource, &context).map_err(errors::of_engine)?;
            // In the order asked: the marker counts.
            let place = format!("{:08}", results.len());
            results.push((place, result(action, resource, &outcome)));
        }
    }
    let page = page(results, |(at, _)| at, question.marker.as_deref(), question.max_items)?;
    Ok(api::SimulatePolicyResponse {
        evaluation_results: Some(page.items.into_iter().map(|(_, result)| result).collect()),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

fn result(action: &str, resource: &str, outcome: &Outcome) -> api::EvaluationResult {
    let decision = match outcome.verdict {
        Verdict::Allowed => api::PolicyEvaluationDecisionType::Allowed,
        Verdict::ExplicitDeny => api::PolicyEvaluationDecisionType::ExplicitDeny,
        Verdict::ImplicitDeny => api::PolicyEvaluationDecisionType::ImplicitDeny,
    };
    let matched = outcome.applying.iter().filter(|a| a.kind != PolicyType::Boundary);
    let boundary = outcome.boundary_allows.map(|allowed| api::PermissionsBoundaryDecisionDetail {
        allowed_by_permissions_boundary: Some(allowed),
    });
    api::EvaluationResult {
        eval_action_name: action.to_owned(),
        eval_resource_name: Some(resource.to_owned()),
        eval_decision: decision,
        matched_statements: Some(matched.map(statement).collect()),
        missing_context_values: Some(Vec::new()),
        permissions_boundary_decision_detail: boundary,
        ..api::EvaluationResult::default()
    }
}

fn statement(applying: &Applying) -> api::Statement {
    let name = applying.policy.as_ref().map_or("ResourcePolicy", |named| &named.name);
    let kind = match applying.kind {
        PolicyType::Resource => api::PolicySourceType::Resource,
        _ if name.starts_with("arn:aws:iam::aws:") => api::PolicySourceType::AwsManaged,
        _ if name.starts_with("arn:") => api::PolicySourceType::UserManaged,
        _ => api::PolicySourceType::None,
    };
    api::Statement {
        source_policy_id: Some(name.to_owned()),
        source_policy_type: Some(kind),
        ..api::Statement::default()
    }
}

fn boundary(
    documents: Option<Vec<String>>,
) -> Result<Option<std::sync::Arc<millstream_policy::NamedPolicy>>, ServiceError> {
    let first = documents.unwrap_or_default().into_iter().next();
    let boundary = first.as_deref().map(custom_boundary);
    boundary.transpose().map_err(errors::of_engine)
}

/// # Errors
/// A value that is not of the type it is given for.
fn context(entries: Vec<api::ContextEntry>) -> Result<Context<'static>, ServiceError> {
    let mut context = Context::with_capacity(entries.len());
    for entry in entries {
        let Some(key) = entry.context_key_name else { continue };
        let mut values = entry.context_key_values.unwrap_or_default();
        let value = match values.len() {
            1 => Value::Text(Cow::Owned(values.remove(0))),
            _ => Value::Many(values.into_iter().map(Cow::Owned).collect()),
        };
        if key.is_empty() {
            return Err(errors::bad_context(&key));
        }
        context.set(key, value);
    }
    Ok(context)
}

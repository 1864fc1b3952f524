//! Managed policies and their versions.

use std::sync::Arc;

use millstream_api::iam as api;
use millstream_identity::model::PolicyVersion;
use millstream_identity::{Error, Held, HeldPolicy, Kind, NewPolicy, Usage, What, find_version};
use millstream_wire::ServiceError;

use super::holders::tag_page;
use super::page::page;
use super::{Iam, account_of, errors, shapes, under};
use crate::services::Call;

pub(super) async fn create_policy(
    iam: &Iam,
    call: &Call,
    input: api::CreatePolicyRequest,
) -> Result<api::CreatePolicyResponse, ServiceError> {
    let new = NewPolicy {
        name: input.policy_name,
        path: input.path,
        document: input.policy_document,
        description: input.description.filter(|text| !text.is_empty()),
        tags: shapes::tags(input.tags)?,
        declared: false,
    };
    let made = iam.identities.create_policy(account_of(call), new).await;
    let made = made.map_err(errors::of_engine)?;
    Ok(api::CreatePolicyResponse { policy: Some(shapes::policy(&made, &Usage::new(), true)) })
}

pub(super) async fn get_policy(
    iam: &Iam,
    call: &Call,
    input: api::GetPolicyRequest,
) -> Result<api::GetPolicyResponse, ServiceError> {
    let held = find(iam, call, &input.policy_arn)?;
    let usage = iam.identities.policy_usage(account_of(call));
    Ok(api::GetPolicyResponse { policy: Some(shapes::policy(&held, &usage, true)) })
}

pub(super) async fn list_policies(
    iam: &Iam,
    call: &Call,
    input: api::ListPoliciesRequest,
) -> Result<api::ListPoliciesResponse, ServiceError> {
    let usage = iam.identities.policy_usage(account_of(call));
    let scope = input.scope.unwrap_or(api::PolicyScopeType::All);
    let mut all: Vec<Arc<HeldPolicy>> = Vec::new();
    if scope != api::PolicyScopeType::Local {
        all.extend(iam.identities.built_in_policies().iter().cloned());
    }
    if scope != api::PolicyScopeType::Aws {
        all.extend(iam.identities.policies(account_of(call)));
    }
    let used = |held: &HeldPolicy| {
        let (attached, bounded) = usage.get(&held.policy.id).copied().unwrap_or_default();
        match input.policy_usage_filter {
            None => attached + bounded > 0,
            Some(api::PolicyUsageType::PermissionsBoundary) => bounded > 0,
            Some(_) => attached > 0,
        }
    };
    let only_used = input.only_attached.unwrap_or(false) || input.policy_usage_filter.is_some();
    all.retain(|held| under(input.path_prefix.as_deref(), &held.policy.path));
    all.retain(|held| !only_used || used(held));
    // By ARN: an account's policy may have the name of one that every account has.
    all.sort_by_key(|held| held.arn.to_ascii_lowercase());
    let page = page(all, |held| &held.arn, input.marker.as_deref(), input.max_items)?;
    let shape = |held: &Arc<HeldPolicy>| shapes::policy(held, &usage, false);
    Ok(api::ListPoliciesResponse {
        policies: Some(page.items.iter().map(shape).collect()),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(super) async fn delete_policy(
    iam: &Iam,
    call: &Call,
    input: api::DeletePolicyRequest,
) -> Result<(), ServiceError> {
    let deleted = iam.identities.delete_policy(account_of(call), &input.policy_arn).await;
    deleted.map_err(of_policy)
}

pub(super) async fn create_policy_version(
    iam: &Iam,
    call: &Call,
    input: api::CreatePolicyVersionRequest,
) -> Result<api::CreatePolicyVersionResponse, ServiceError> {
    let as_default = input.set_as_default.unwrap_or(false);
    let (arn, document) = (&input.policy_arn, &input.policy_document);
    let made = iam.identities.create_version(account_of(call), arn, document, as_default).await;
    let made = made.map_err(of_policy)?;
    let held = find(iam, call, arn)?;
    let version = shapes::version(&held, &made, false);
    Ok(api::CreatePolicyVersionResponse { policy_version: Some(version) })
}

pub(super) async fn get_policy_version(
    iam: &Iam,
    call: &Call,
    input: api::GetPolicyVersionRequest,
) -> Result<api::GetPolicyVersionResponse, ServiceError> {
    let held = find(iam, call, &input.policy_arn)?;
    let version = find_version(&held.policy, &held.arn, &input.version_id);
    let version = shapes::version(&held, version.map_err(errors::of_engine)?, true);
    Ok(api::GetPolicyVersionResponse { policy_version: Some(version) })
}

pub(super) async fn list_policy_versions(
    iam: &Iam,
    call: &Call,
    input: api::ListPolicyVersionsRequest,
) -> Result<api::ListPolicyVersionsResponse, ServiceError> {
    let held = find(iam, call, &input.policy_arn)?;
    // The newest first, as AWS lists them; a marker counts downwards from the largest number.
    let mut versions: Vec<(String, PolicyVersion)> = held
        .policy
        .versions
        .iter()
        .map(|version| (format!("{:010}", u32::MAX - version.number), version.clone()))
        .collect();
    versions.sort_by(|a, b| a.0.cmp(&b.0));
    let page = page(versions, |(key, _)| key, input.marker.as_deref(), input.max_items)?;
    let shape = |(_, version): &(String, PolicyVersion)| shapes::version(&held, version, false);
    Ok(api::ListPolicyVersionsResponse {
        versions: Some(page.items.iter().map(shape).collect()),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(super) async fn set_default_policy_version(
    iam: &Iam,
    call: &Call,
    input: api::SetDefaultPolicyVersionRequest,
) -> Result<(), ServiceError> {
    let (arn, version) = (&input.policy_arn, &input.version_id);
    let set = iam.identities.set_default_version(account_of(call), arn, version);
    set.await.map_err(of_policy)
}

pub(super) async fn delete_policy_version(
    iam: &Iam,
    call: &Call,
    input: api::DeletePolicyVersionRequest,
) -> Result<(), ServiceError> {
    let (arn, version) = (&input.policy_arn, &input.version_id);
    let deleted = iam.identities.delete_version(account_of(call), arn, version);
    deleted.await.map_err(of_policy)
}

pub(super) async fn tag_policy(
    iam: &Iam,
    call: &Call,
    input: api::TagPolicyRequest,
) -> Result<(), ServiceError> {
    let tags = shapes::tags(Some(input.tags))?;
    let tagged = iam.identities.tag_policy(account_of(call), &input.policy_arn, &tags);
    tagged.await.map_err(of_policy)
}

pub(super) async fn untag_policy(
    iam: &Iam,
    call: &Call,
    input: api::UntagPolicyRequest,
) -> Result<(), ServiceError> {
    let untagged =
        iam.identities.untag_policy(account_of(call), &input.policy_arn, &input.tag_keys);
    untagged.await.map_err(of_policy)
}

pub(super) async fn list_policy_tags(
    iam: &Iam,
    call: &Call,
    input: api::ListPolicyTagsRequest,
) -> Result<api::ListPolicyTagsResponse, ServiceError> {
    let held = find(iam, call, &input.policy_arn)?;
    let tags = shapes::tag_shapes(&held.policy.tags);
    let page = tag_page(tags, input.marker.as_deref(), input.max_items)?;
    let (is_truncated, marker) = (page.is_truncated, page.marker);
    Ok(api::ListPolicyTagsResponse { tags: page.items, is_truncated, marker })
}

pub(super) async fn list_entities_for_policy(
    iam: &Iam,
    call: &Call,
    input: api::ListEntitiesForPolicyRequest,
) -> Result<api::ListEntitiesForPolicyResponse, ServiceError> {
    let held = find(iam, call, &input.policy_arn)?;
    let holders = iam.identities.holders(account_of(call), &held.policy.id);
    let mut all = match input.policy_usage_filter {
        Some(api::PolicyUsageType::PermissionsBoundary) => holders.bounded,
        Some(_) => holders.attached,
        None => [holders.attached, holders.bounded].concat(),
    };
    let wanted = |kind: Kind| match input.entity_filter {
        None => true,
        Some(api::EntityType::User) => kind == Kind::User,
        Some(api::EntityType::Group) => kind == Kind::Group,
        Some(api::EntityType::Role) => kind == Kind::Role,
        Some(_) => false,
    };
    all.retain(|held| wanted(held.entity.kind));
    all.retain(|held| under(input.path_prefix.as_deref(), &held.entity.path));
    let mut all: Vec<(String, Arc<Held>)> =
        all.into_iter().map(|held| (held.arn().to_ascii_lowercase(), held)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.dedup_by(|a, b| a.0 == b.0);
    let page = page(all, |(arn, _)| arn, input.marker.as_deref(), input.max_items)?;
    let of = |kind: Kind| {
        page.items.iter().map(|(_, held)| &held.entity).filter(move |entity| entity.kind == kind)
    };
    Ok(api::ListEntitiesForPolicyResponse {
        policy_users: Some(
            of(Kind::User)
                .map(|entity| api::PolicyUser {
                    user_name: Some(entity.name.clone()),
                    user_id: Some(entity.id.clone()),
                })
                .collect(),
        ),
        policy_groups: Some(
            of(Kind::Group)
                .map(|entity| api::PolicyGroup {
                    group_name: Some(entity.name.clone()),
                    group_id: Some(entity.id.clone()),
                })
                .collect(),
        ),
        policy_roles: Some(
            of(Kind::Role)
                .map(|entity| api::PolicyRole {
                    role_name: Some(entity.name.clone()),
                    role_id: Some(entity.id.clone()),
                })
                .collect(),
        ),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

/// A policy that is looked at is "not found" in other words than one that is to be attached.
fn of_policy(error: Error) -> ServiceError {
    match error {
        Error::NotFound { what: What::Policy, name } => {
            errors::of_engine(Error::NotFound { what: What::Attachment, name })
        }
        error => errors::of_engine(error),
    }
}

fn find(iam: &Iam, call: &Call, arn: &str) -> Result<Arc<HeldPolicy>, ServiceError> {
    iam.identities.policy(account_of(call), arn).map_err(of_policy)
}

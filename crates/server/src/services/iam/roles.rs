//! Roles: who may assume them, and for how long.

use std::sync::Arc;

use millstream_api::iam as api;
use millstream_base::limits::IAM_ROLE_SESSION_SECS_DEFAULT;
use millstream_identity::model::RoleFacts;
use millstream_identity::{Held, Kind, NewEntity, RoleChange};
use millstream_wire::ServiceError;

use super::page::page;
use super::{Iam, account_of, errors, name_of, shapes, subject, under};
use crate::services::Call;

pub(super) async fn create_role(
    iam: &Iam,
    call: &Call,
    input: api::CreateRoleRequest,
) -> Result<api::CreateRoleResponse, ServiceError> {
    let role = RoleFacts {
        trust: input.assume_role_policy_document,
        description: input.description.filter(|text| !text.is_empty()),
        session_secs_max: secs(input.max_session_duration).unwrap_or(IAM_ROLE_SESSION_SECS_DEFAULT),
    };
    let new = NewEntity {
        path: input.path,
        tags: shapes::tags(input.tags)?,
        boundary: input.permissions_boundary,
        role: Some(role),
        ..NewEntity::default()
    };
    let subject = subject(call, Kind::Role, &input.role_name);
    let made = iam.identities.create_entity(subject, new).await.map_err(errors::of_engine)?;
    Ok(api::CreateRoleResponse { role: shapes::role(&made) })
}

pub(super) async fn get_role(
    iam: &Iam,
    call: &Call,
    input: api::GetRoleRequest,
) -> Result<api::GetRoleResponse, ServiceError> {
    let held = find(iam, call, &input.role_name)?;
    Ok(api::GetRoleResponse { role: shapes::role(&held) })
}

pub(super) async fn list_roles(
    iam: &Iam,
    call: &Call,
    input: api::ListRolesRequest,
) -> Result<api::ListRolesResponse, ServiceError> {
    let mut roles = iam.identities.entities(account_of(call), Kind::Role);
    roles.retain(|role| under(input.path_prefix.as_deref(), &role.entity.path));
    let page = page(roles, |held| name_of(held), input.marker.as_deref(), input.max_items)?;
    // Lists have neither tags nor boundaries.
    let shape = |held: &Arc<Held>| api::Role {
        tags: None,
        permissions_boundary: None,
        ..shapes::role(held)
    };
    Ok(api::ListRolesResponse {
        roles: page.items.iter().map(shape).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(super) async fn update_role(
    iam: &Iam,
    call: &Call,
    input: api::UpdateRoleRequest,
) -> Result<api::UpdateRoleResponse, ServiceError> {
    let change = RoleChange {
        description: Some(input.description.as_deref().unwrap_or_default()),
        session_secs_max: Some(
            secs(input.max_session_duration).unwrap_or(IAM_ROLE_SESSION_SECS_DEFAULT),
        ),
        ..RoleChange::default()
    };
    edit(iam, call, &input.role_name, change).await?;
    Ok(api::UpdateRoleResponse {})
}

pub(super) async fn update_role_description(
    iam: &Iam,
    call: &Call,
    input: api::UpdateRoleDescriptionRequest,
) -> Result<api::UpdateRoleDescriptionResponse, ServiceError> {
    let change = RoleChange { description: Some(&input.description), ..RoleChange::default() };
    edit(iam, call, &input.role_name, change).await?;
    let held = find(iam, call, &input.role_name)?;
    Ok(api::UpdateRoleDescriptionResponse { role: Some(shapes::role(&held)) })
}

pub(super) async fn update_assume_role_policy(
    iam: &Iam,
    call: &Call,
    input: api::UpdateAssumeRolePolicyRequest,
) -> Result<(), ServiceError> {
    let change = RoleChange { trust: Some(&input.policy_document), ..RoleChange::default() };
    edit(iam, call, &input.role_name, change).await
}

pub(super) async fn delete_role(
    iam: &Iam,
    call: &Call,
    input: api::DeleteRoleRequest,
) -> Result<(), ServiceError> {
    let subject = subject(call, Kind::Role, &input.role_name);
    iam.identities.delete_entity(subject).await.map_err(errors::of_engine)
}

/// There are no instances here: the list is empty. Tools ask before they delete a role.
pub(super) async fn list_instance_profiles_for_role(
    iam: &Iam,
    call: &Call,
    input: api::ListInstanceProfilesForRoleRequest,
) -> Result<api::ListInstanceProfilesForRoleResponse, ServiceError> {
    find(iam, call, &input.role_name)?;
    Ok(api::ListInstanceProfilesForRoleResponse {
        instance_profiles: Vec::new(),
        is_truncated: Some(false),
        marker: None,
    })
}

async fn edit(
    iam: &Iam,
    call: &Call,
    name: &str,
    change: RoleChange<'_>,
) -> Result<(), ServiceError> {
    iam.identities.edit_role(account_of(call), name, change).await.map_err(errors::of_engine)
}

fn find(iam: &Iam, call: &Call, name: &str) -> Result<Arc<Held>, ServiceError> {
    iam.identities.entity(subject(call, Kind::Role, name)).map_err(errors::of_engine)
}

fn secs(duration: Option<i32>) -> Option<u32> {
    u32::try_from(duration?).ok()
}

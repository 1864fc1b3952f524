//! Groups and their members.

use millstream_api::iam as api;
use millstream_identity::{Kind, NewEntity};
use millstream_wire::ServiceError;

use super::page::page;
use super::{Iam, account_of, errors, name_of, shapes, subject, under};
use crate::services::Call;

pub(super) async fn create_group(
    iam: &Iam,
    call: &Call,
    input: api::CreateGroupRequest,
) -> Result<api::CreateGroupResponse, ServiceError> {
    let new = NewEntity { path: input.path, ..NewEntity::default() };
    let subject = subject(call, Kind::Group, &input.group_name);
    let made = iam.identities.create_entity(subject, new).await.map_err(errors::of_engine)?;
    Ok(api::CreateGroupResponse { group: shapes::group(&made) })
}

pub(super) async fn get_group(
    iam: &Iam,
    call: &Call,
    input: api::GetGroupRequest,
) -> Result<api::GetGroupResponse, ServiceError> {
    let group = iam.identities.entity(subject(call, Kind::Group, &input.group_name));
    let group = group.map_err(errors::of_engine)?;
    let members = iam.identities.members(account_of(call), &group.entity.id);
    let page = page(members, |held| name_of(held), input.marker.as_deref(), input.max_items)?;
    Ok(api::GetGroupResponse {
        group: shapes::group(&group),
        users: page.items.iter().map(|held| shapes::user(held)).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(super) async fn list_groups(
    iam: &Iam,
    call: &Call,
    input: api::ListGroupsRequest,
) -> Result<api::ListGroupsResponse, ServiceError> {
    let mut groups = iam.identities.entities(account_of(call), Kind::Group);
    groups.retain(|group| under(input.path_prefix.as_deref(), &group.entity.path));
    let page = page(groups, |held| name_of(held), input.marker.as_deref(), input.max_items)?;
    Ok(api::ListGroupsResponse {
        groups: page.items.iter().map(|held| shapes::group(held)).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(super) async fn update_group(
    iam: &Iam,
    call: &Call,
    input: api::UpdateGroupRequest,
) -> Result<(), ServiceError> {
    let subject = subject(call, Kind::Group, &input.group_name);
    let (path, name) = (input.new_path.as_deref(), input.new_group_name.as_deref());
    iam.identities.rename_entity(subject, path, name).await.map_err(errors::of_engine)
}

pub(super) async fn delete_group(
    iam: &Iam,
    call: &Call,
    input: api::DeleteGroupRequest,
) -> Result<(), ServiceError> {
    let subject = subject(call, Kind::Group, &input.group_name);
    iam.identities.delete_entity(subject).await.map_err(errors::of_engine)
}

pub(super) async fn add_user_to_group(
    iam: &Iam,
    call: &Call,
    input: api::AddUserToGroupRequest,
) -> Result<(), ServiceError> {
    let added = iam.identities.add_to_group(account_of(call), &input.group_name, &input.user_name);
    added.await.map_err(errors::of_engine)
}

pub(super) async fn remove_user_from_group(
    iam: &Iam,
    call: &Call,
    input: api::RemoveUserFromGroupRequest,
) -> Result<(), ServiceError> {
    let (group, user) = (&input.group_name, &input.user_name);
    let removed = iam.identities.remove_from_group(account_of(call), group, user);
    removed.await.map_err(errors::of_engine)
}

pub(super) async fn list_groups_for_user(
    iam: &Iam,
    call: &Call,
    input: api::ListGroupsForUserRequest,
) -> Result<api::ListGroupsForUserResponse, ServiceError> {
    let groups = iam.identities.groups_of(account_of(call), &input.user_name);
    let groups = groups.map_err(errors::of_engine)?;
    let page = page(groups, |held| name_of(held), input.marker.as_deref(), input.max_items)?;
    Ok(api::ListGroupsForUserResponse {
        groups: page.items.iter().map(|held| shapes::group(held)).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

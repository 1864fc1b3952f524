//! Users and their access keys.

use std::sync::Arc;

use millstream_api::iam as api;
use millstream_identity::model::AccessKey;
use millstream_identity::{Held, Kind, NewEntity, Subject};
use millstream_wire::{ServiceError, Time};

use super::page::page;
use super::{Iam, account_of, errors, name_of, named_or_self, shapes, subject, under};
use crate::services::Call;

pub(super) async fn create_user(
    iam: &Iam,
    call: &Call,
    input: api::CreateUserRequest,
) -> Result<api::CreateUserResponse, ServiceError> {
    let new = NewEntity {
        path: input.path,
        tags: shapes::tags(input.tags)?,
        boundary: input.permissions_boundary,
        ..NewEntity::default()
    };
    let subject = subject(call, Kind::User, &input.user_name);
    let made = iam.identities.create_entity(subject, new).await.map_err(errors::of_engine)?;
    Ok(api::CreateUserResponse { user: Some(shapes::user(&made)) })
}

pub(super) async fn get_user(
    iam: &Iam,
    call: &Call,
    input: api::GetUserRequest,
) -> Result<api::GetUserResponse, ServiceError> {
    let (kind, name) = named_or_self(call, input.user_name)?;
    let held = find(iam, subject(call, kind, &name))?;
    Ok(api::GetUserResponse { user: shapes::user(&held) })
}

pub(super) async fn list_users(
    iam: &Iam,
    call: &Call,
    input: api::ListUsersRequest,
) -> Result<api::ListUsersResponse, ServiceError> {
    let mut users = iam.identities.entities(account_of(call), Kind::User);
    users.retain(|user| under(input.path_prefix.as_deref(), &user.entity.path));
    let page = page(users, |held| name_of(held), input.marker.as_deref(), input.max_items)?;
    // Lists have neither tags nor boundaries.
    let shape = |held: &Arc<Held>| api::User {
        tags: None,
        permissions_boundary: None,
        ..shapes::user(held)
    };
    Ok(api::ListUsersResponse {
        users: page.items.iter().map(shape).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(super) async fn update_user(
    iam: &Iam,
    call: &Call,
    input: api::UpdateUserRequest,
) -> Result<(), ServiceError> {
    let subject = subject(call, Kind::User, &input.user_name);
    let (path, name) = (input.new_path.as_deref(), input.new_user_name.as_deref());
    iam.identities.rename_entity(subject, path, name).await.map_err(errors::of_engine)
}

pub(super) async fn delete_user(
    iam: &Iam,
    call: &Call,
    input: api::DeleteUserRequest,
) -> Result<(), ServiceError> {
    let subject = subject(call, Kind::User, &input.user_name);
    iam.identities.delete_entity(subject).await.map_err(errors::of_engine)
}

pub(super) async fn create_access_key(
    iam: &Iam,
    call: &Call,
    input: api::CreateAccessKeyRequest,
) -> Result<api::CreateAccessKeyResponse, ServiceError> {
    let (kind, name) = named_or_self(call, input.user_name)?;
    let made = iam.identities.create_key(subject(call, kind, &name)).await;
    let made = made.map_err(errors::of_engine)?;
    Ok(api::CreateAccessKeyResponse {
        access_key: api::AccessKey {
            user_name: name,
            access_key_id: made.key.id,
            status: api::StatusType::Active,
            secret_access_key: made.secret.expose_text().unwrap_or_default().to_owned(),
            create_date: Some(shapes::time(made.key.created)),
        },
    })
}

pub(super) async fn list_access_keys(
    iam: &Iam,
    call: &Call,
    input: api::ListAccessKeysRequest,
) -> Result<api::ListAccessKeysResponse, ServiceError> {
    let (kind, name) = named_or_self(call, input.user_name)?;
    let held = find(iam, subject(call, kind, &name))?;
    let mut keys = held.entity.keys.clone();
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    let page = page(keys, |key| &key.id, input.marker.as_deref(), input.max_items)?;
    let shape = |key: &AccessKey| api::AccessKeyMetadata {
        user_name: Some(name.clone()),
        access_key_id: Some(key.id.clone()),
        status: Some(match key.active {
            true => api::StatusType::Active,
            false => api::StatusType::Inactive,
        }),
        create_date: Some(shapes::time(key.created)),
    };
    Ok(api::ListAccessKeysResponse {
        access_key_metadata: page.items.iter().map(shape).collect(),
        is_truncated: page.is_truncated,
        marker: page.marker,
    })
}

pub(super) async fn update_access_key(
    iam: &Iam,
    call: &Call,
    input: api::UpdateAccessKeyRequest,
) -> Result<(), ServiceError> {
    let (kind, name) = named_or_self(call, input.user_name)?;
    let active = match input.status {
        api::StatusType::Active => true,
        api::StatusType::Inactive => false,
        _ => return Err(errors::bad_status()),
    };
    let subject = subject(call, kind, &name);
    let set = iam.identities.set_key_active(subject, &input.access_key_id, active);
    set.await.map_err(errors::of_engine)
}

pub(super) async fn delete_access_key(
    iam: &Iam,
    call: &Call,
    input: api::DeleteAccessKeyRequest,
) -> Result<(), ServiceError> {
    let (kind, name) = named_or_self(call, input.user_name)?;
    let subject = subject(call, kind, &name);
    iam.identities.delete_key(subject, &input.access_key_id).await.map_err(errors::of_engine)
}

pub(super) async fn get_access_key_last_used(
    iam: &Iam,
    call: &Call,
    input: api::GetAccessKeyLastUsedRequest,
) -> Result<api::GetAccessKeyLastUsedResponse, ServiceError> {
    let found = iam.identities.key_last_used(account_of(call), &input.access_key_id).await;
    let (owner, used) = found.map_err(errors::of_engine)?;
    // What AWS says of a key that was never used.
    const NEVER: &str = "N/A";
    let last = match used {
        Some(used) => api::AccessKeyLastUsed {
            last_used_date: Some(Time::from_secs(i64::try_from(used.secs).unwrap_or(i64::MAX))),
            service_name: used.service,
            region: used.region,
        },
        None => api::AccessKeyLastUsed {
            last_used_date: None,
            service_name: NEVER.to_owned(),
            region: NEVER.to_owned(),
        },
    };
    Ok(api::GetAccessKeyLastUsedResponse {
        user_name: Some(owner.entity.name.clone()),
        access_key_last_used: Some(last),
    })
}

fn find(iam: &Iam, subject: Subject<'_>) -> Result<Arc<Held>, ServiceError> {
    iam.identities.entity(subject).map_err(errors::of_engine)
}

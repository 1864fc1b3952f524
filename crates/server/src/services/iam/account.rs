//! The account as a whole, its alias, and what users of AWS have that there is not here: passwords,
//! devices, certificates. Tools ask for those before they delete a user; the answers are empty.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_api::iam as api;
use millstream_base::limits as bounds;
use millstream_identity::{Held, HeldPolicy, Kind, Subject, Usage};
use millstream_wire::ServiceError;

use super::page::page;
use super::{Iam, account_of, errors, named_or_self, shapes, subject};
use crate::services::Call;

pub(super) async fn get_account_summary(
    iam: &Iam,
    call: &Call,
    _: api::GetAccountSummaryInput,
) -> Result<api::GetAccountSummaryResponse, ServiceError> {
    let account = account_of(call);
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let of = |kind| iam.identities.entities(account, kind).len();
    let policies = iam.identities.policies(account);
    let versions: usize = policies.iter().map(|held| held.policy.versions.len()).sum();
    let root = iam.identities.entities(account, Kind::Root);
    let root_keys = root.iter().any(|root| !root.entity.keys.is_empty());
    let map = [
        ("Users", of(Kind::User)),
        ("UsersQuota", bounds::IAM_USERS_PER_ACCOUNT_MAX),
        ("Groups", of(Kind::Group)),
        ("GroupsQuota", bounds::IAM_GROUPS_PER_ACCOUNT_MAX),
        ("Roles", of(Kind::Role)),
        ("RolesQuota", bounds::IAM_ROLES_PER_ACCOUNT_MAX),
        ("Policies", policies.len()),
        ("PoliciesQuota", bounds::IAM_POLICIES_PER_ACCOUNT_MAX),
        ("PolicyVersionsInUse", versions),
        ("VersionsPerPolicyQuota", bounds::IAM_POLICY_VERSIONS_MAX),
        ("PolicySizeQuota", bounds::MANAGED_POLICY_CHARS_MAX),
        ("UserPolicySizeQuota", bounds::USER_INLINE_CHARS_MAX),
        ("GroupPolicySizeQuota", bounds::GROUP_INLINE_CHARS_MAX),
        ("RolePolicySizeQuota", bounds::ROLE_INLINE_CHARS_MAX),
        ("AssumeRolePolicySizeQuota", bounds::TRUST_POLICY_CHARS_MAX),
        ("AccessKeysPerUserQuota", bounds::IAM_ACCESS_KEYS_PER_USER_MAX),
        ("GroupsPerUserQuota", bounds::IAM_GROUPS_PER_USER_MAX),
        ("AttachedPoliciesPerUserQuota", bounds::IAM_ATTACHED_POLICIES_MAX),
        ("AttachedPoliciesPerGroupQuota", bounds::IAM_ATTACHED_POLICIES_MAX),
        ("AttachedPoliciesPerRoleQuota", bounds::IAM_ATTACHED_POLICIES_MAX),
        ("Providers", iam.identities.providers(account).len()),
        ("AccountAccessKeysPresent", usize::from(root_keys)),
        ("AccountMFAEnabled", 0),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("InstanceProfiles", 0),
        ("ServerCertificates", 0),
    ];
    let map = map.map(|(name, n)| (name.to_owned(), count(n)));
    Ok(api::GetAccountSummaryResponse { summary_map: Some(BTreeMap::from(map)) })
}

/// One entry of the details, in the order in which they are listed.
enum Detail {
    Entity(Arc<Held>),
    Policy(Arc<HeldPolicy>),
}

pub(super) async fn get_account_authorization_details(
    iam: &Iam,
    call: &Call,
    input: api::GetAccountAuthorizationDetailsRequest,
) -> Result<api::GetAccountAuthorizationDetailsResponse, ServiceError> {
    let account = account_of(call);
    let filter = input.filter.unwrap_or_default();
    let wanted = |one: api::EntityType| filter.is_empty() || filter.contains(&one);
    let mut all: Vec<(String, Detail)> = Vec::new();
    for (kind, name) in [
        (Kind::User, api::EntityType::User),
        (Kind::Group, api::EntityType::Group),
        (Kind::Role, api::EntityType::Role),
    ] {
        if wanted(name) {
            let held = iam.identities.entities(account, kind);
            all.extend(held.into_iter().map(|held| (held.arn(), Detail::Entity(held))));
        }
    }
    let usage = iam.identities.policy_usage(account);
    if wanted(api::EntityType::LocalManagedPolicy) {
        let held = iam.identities.policies(account);
        all.extend(held.into_iter().map(|held| (held.arn.clone(), Detail::Policy(held))));
    }
    if wanted(api::EntityType::AWSManagedPolicy) {
        // Those that someone carries, as AWS does.
        let carried = |held: &&Arc<HeldPolicy>| usage.contains_key(&held.policy.id);
        let held = iam.identities.built_in_policies().iter().filter(carried).cloned();
        all.extend(held.map(|held| (held.arn.clone(), Detail::Policy(held))));
    }
    all.sort_by_key(|(arn, _)| arn.to_ascii_lowercase());
    let page = page(all, |(arn, _)| arn, input.marker.as_deref(), input.max_items)?;
    let mut answer = api::GetAccountAuthorizationDetailsResponse {
        user_detail_list: Some(Vec::new()),
        group_detail_list: Some(Vec::new()),
        role_detail_list: Some(Vec::new()),
        policies: Some(Vec::new()),
        is_truncated: page.is_truncated,
        marker: page.marker,
    };
    for (_, detail) in &page.items {
        match detail {
            Detail::Policy(held) => {
                answer.policies.get_or_insert_default().push(policy_detail(held, &usage));
            }
            Detail::Entity(held) => match held.entity.kind {
                Kind::Group => {
                    answer.group_detail_list.get_or_insert_default().push(group_detail(iam, held));
                }
                Kind::Role => {
                    answer.role_detail_list.get_or_insert_default().push(role_detail(iam, held));
                }
                Kind::User | Kind::Root => {
                    answer.user_detail_list.get_or_insert_default().push(user_detail(iam, held));
                }
            },
        }
    }
    Ok(answer)
}

fn inline(held: &Held) -> Option<Vec<api::PolicyDetail>> {
    let detail = |(name, document): (&String, &String)| api::PolicyDetail {
        policy_name: Some(name.clone()),
        policy_document: Some(shapes::document(document)),
    };
    Some(held.entity.inline.iter().map(detail).collect())
}

fn attached(iam: &Iam, held: &Held) -> Option<Vec<api::AttachedPolicy>> {
    let subject = Subject::new(held.account, held.entity.kind, &held.entity.name);
    let attached = iam.identities.attached(subject).unwrap_or_default();
    Some(attached.iter().map(|held| shapes::attached(held)).collect())
}

fn user_detail(iam: &Iam, held: &Held) -> api::UserDetail {
    let user = shapes::user(held);
    let groups = iam.identities.groups_of(held.account, &held.entity.name).unwrap_or_default();
    api::UserDetail {
        path: Some(user.path),
        user_name: Some(user.user_name),
        user_id: Some(user.user_id),
        arn: Some(user.arn),
        create_date: Some(user.create_date),
        user_policy_list: inline(held),
        group_list: Some(groups.iter().map(|group| group.entity.name.clone()).collect()),
        attached_managed_policies: attached(iam, held),
        permissions_boundary: user.permissions_boundary,
        tags: user.tags,
    }
}

fn group_detail(iam: &Iam, held: &Held) -> api::GroupDetail {
    let group = shapes::group(held);
    api::GroupDetail {
        path: Some(group.path),
        group_name: Some(group.group_name),
        group_id: Some(group.group_id),
        arn: Some(group.arn),
        create_date: Some(group.create_date),
        group_policy_list: inline(held),
        attached_managed_policies: attached(iam, held),
    }
}

fn role_detail(iam: &Iam, held: &Held) -> api::RoleDetail {
    let role = shapes::role(held);
    api::RoleDetail {
        path: Some(role.path),
        role_name: Some(role.role_name),
        role_id: Some(role.role_id),
        arn: Some(role.arn),
        create_date: Some(role.create_date),
        assume_role_policy_document: role.assume_role_policy_document,
        instance_profile_list: Some(Vec::new()),
        role_policy_list: inline(held),
        attached_managed_policies: attached(iam, held),
        permissions_boundary: role.permissions_boundary,
        tags: role.tags,
        ..api::RoleDetail::default()
    }
}

fn policy_detail(held: &HeldPolicy, usage: &Usage) -> api::ManagedPolicyDetail {
    let policy = shapes::policy(held, usage, true);
    let versions = held.policy.versions.iter().map(|v| shapes::version(held, v, true));
    api::ManagedPolicyDetail {
        policy_name: policy.policy_name,
        policy_id: policy.policy_id,
        arn: policy.arn,
        path: policy.path,
        default_version_id: policy.default_version_id,
        attachment_count: policy.attachment_count,
        permissions_boundary_usage_count: policy.permissions_boundary_usage_count,
        is_attachable: policy.is_attachable,
        description: policy.description,
        create_date: policy.create_date,
        update_date: policy.update_date,
        policy_version_list: Some(versions.collect()),
    }
}

pub(super) async fn create_account_alias(
    iam: &Iam,
    call: &Call,
    input: api::CreateAccountAliasRequest,
) -> Result<(), ServiceError> {
    let set = iam.identities.set_alias(account_of(call), &input.account_alias);
    set.await.map_err(errors::of_engine)
}

pub(super) async fn list_account_aliases(
    iam: &Iam,
    call: &Call,
    _: api::ListAccountAliasesRequest,
) -> Result<api::ListAccountAliasesResponse, ServiceError> {
    Ok(api::ListAccountAliasesResponse {
        account_aliases: iam.identities.alias(account_of(call)).into_iter().collect(),
        is_truncated: Some(false),
        marker: None,
    })
}

pub(super) async fn delete_account_alias(
    iam: &Iam,
    call: &Call,
    input: api::DeleteAccountAliasRequest,
) -> Result<(), ServiceError> {
    let deleted = iam.identities.delete_alias(account_of(call), &input.account_alias);
    deleted.await.map_err(errors::of_engine)
}

pub(super) async fn get_login_profile(
    iam: &Iam,
    call: &Call,
    input: api::GetLoginProfileRequest,
) -> Result<api::GetLoginProfileResponse, ServiceError> {
    Err(errors::no_login_profile(&exists(iam, call, input.user_name)?))
}

pub(super) async fn delete_login_profile(
    iam: &Iam,
    call: &Call,
    input: api::DeleteLoginProfileRequest,
) -> Result<(), ServiceError> {
    Err(errors::no_login_profile(&exists(iam, call, input.user_name)?))
}

pub(super) async fn list_mfa_devices(
    iam: &Iam,
    call: &Call,
    input: api::ListMFADevicesRequest,
) -> Result<api::ListMFADevicesResponse, ServiceError> {
    exists(iam, call, input.user_name)?;
    Ok(api::ListMFADevicesResponse { is_truncated: Some(false), ..Default::default() })
}

pub(super) async fn list_virtual_mfa_devices(
    _: &Iam,
    _: &Call,
    _: api::ListVirtualMFADevicesRequest,
) -> Result<api::ListVirtualMFADevicesResponse, ServiceError> {
    Ok(api::ListVirtualMFADevicesResponse { is_truncated: Some(false), ..Default::default() })
}

pub(super) async fn list_signing_certificates(
    iam: &Iam,
    call: &Call,
    input: api::ListSigningCertificatesRequest,
) -> Result<api::ListSigningCertificatesResponse, ServiceError> {
    exists(iam, call, input.user_name)?;
    Ok(api::ListSigningCertificatesResponse { is_truncated: Some(false), ..Default::default() })
}

pub(super) async fn list_ssh_public_keys(
    iam: &Iam,
    call: &Call,
    input: api::ListSSHPublicKeysRequest,
) -> Result<api::ListSSHPublicKeysResponse, ServiceError> {
    exists(iam, call, input.user_name)?;
    Ok(api::ListSSHPublicKeysResponse {
        ssh_public_keys: Some(Vec::new()),
        is_truncated: Some(false),
        marker: None,
    })
}

pub(super) async fn list_service_specific_credentials(
    iam: &Iam,
    call: &Call,
    input: api::ListServiceSpecificCredentialsRequest,
) -> Result<api::ListServiceSpecificCredentialsResponse, ServiceError> {
    if input.all_users != Some(true) {
        exists(iam, call, input.user_name)?;
    }
    Ok(api::ListServiceSpecificCredentialsResponse {
        service_specific_credentials: Some(Vec::new()),
        is_truncated: Some(false),
        marker: None,
    })
}

/// The name of the user that is asked about, if there is one.
fn exists(iam: &Iam, call: &Call, name: Option<String>) -> Result<String, ServiceError> {
    let (kind, name) = named_or_self(call, name)?;
    iam.identities.entity(subject(call, kind, &name)).map_err(errors::of_engine)?;
    Ok(name)
}

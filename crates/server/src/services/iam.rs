//! IAM: users, groups, roles, policies, access keys, OpenID Connect providers, simulation.
//!
//! IAM is global: an account's identities are the same in every region, and requests are signed for
//! us-east-1. The account is the caller's.

mod account;
mod authorise;
pub mod errors;
mod groups;
mod holders;
mod page;
mod policies;
mod providers;
mod roles;
mod shapes;
mod simulate;
mod users;

use millstream_api::iam as api;
use millstream_base::AccountId;
use millstream_identity::{Held, Identities, Kind, Subject};
use millstream_policy::PrincipalKind;
use millstream_wire::ServiceError;

use super::Call;

/// The service, on its engine.
pub struct Iam {
    pub(crate) identities: Identities,
}

impl Iam {
    pub fn new(identities: Identities) -> Self {
        Iam { identities }
    }
}

/// Each operation's function has the operation's name and stands in the named module.
macro_rules! served {
    ($($module:ident { $($name:ident $In:ident -> $Out:ty;)* })*) => {
        impl api::IAM for Iam {
            type Ctx = Call;

            async fn authorise(
                &self,
                call: &Call,
                request: api::Request<'_>,
            ) -> Result<(), ServiceError> {
                self.check_access(call, request)
            }

            $($(async fn $name(
                &self,
                call: &Call,
                input: api::$In,
            ) -> Result<$Out, ServiceError> {
                $module::$name(self, call, input).await
            })*)*
        }
    };
}

served! {
    users {
        create_user CreateUserRequest -> api::CreateUserResponse;
        get_user GetUserRequest -> api::GetUserResponse;
        list_users ListUsersRequest -> api::ListUsersResponse;
        update_user UpdateUserRequest -> ();
        delete_user DeleteUserRequest -> ();
        create_access_key CreateAccessKeyRequest -> api::CreateAccessKeyResponse;
        list_access_keys ListAccessKeysRequest -> api::ListAccessKeysResponse;
        update_access_key UpdateAccessKeyRequest -> ();
        delete_access_key DeleteAccessKeyRequest -> ();
        get_access_key_last_used GetAccessKeyLastUsedRequest -> api::GetAccessKeyLastUsedResponse;
    }
    groups {
        create_group CreateGroupRequest -> api::CreateGroupResponse;
        get_group GetGroupRequest -> api::GetGroupResponse;
        list_groups ListGroupsRequest -> api::ListGroupsResponse;
        update_group UpdateGroupRequest -> ();
        delete_group DeleteGroupRequest -> ();
        add_user_to_group AddUserToGroupRequest -> ();
        remove_user_from_group RemoveUserFromGroupRequest -> ();
        list_groups_for_user ListGroupsForUserRequest -> api::ListGroupsForUserResponse;
    }
    roles {
        create_role CreateRoleRequest -> api::CreateRoleResponse;
        get_role GetRoleRequest -> api::GetRoleResponse;
        list_roles ListRolesRequest -> api::ListRolesResponse;
        update_role UpdateRoleRequest -> api::UpdateRoleResponse;
        update_role_description UpdateRoleDescriptionRequest
            -> api::UpdateRoleDescriptionResponse;
        update_assume_role_policy UpdateAssumeRolePolicyRequest -> ();
        delete_role DeleteRoleRequest -> ();
        list_instance_profiles_for_role ListInstanceProfilesForRoleRequest
            -> api::ListInstanceProfilesForRoleResponse;
    }
    holders {
        put_user_policy PutUserPolicyRequest -> ();
        get_user_policy GetUserPolicyRequest -> api::GetUserPolicyResponse;
        list_user_policies ListUserPoliciesRequest -> api::ListUserPoliciesResponse;
        delete_user_policy DeleteUserPolicyRequest -> ();
        attach_user_policy AttachUserPolicyRequest -> ();
        detach_user_policy DetachUserPolicyRequest -> ();
        list_attached_user_policies ListAttachedUserPoliciesRequest
            -> api::ListAttachedUserPoliciesResponse;
        put_group_policy PutGroupPolicyRequest -> ();
        get_group_policy GetGroupPolicyRequest -> api::GetGroupPolicyResponse;
        list_group_policies ListGroupPoliciesRequest -> api::ListGroupPoliciesResponse;
        delete_group_policy DeleteGroupPolicyRequest -> ();
        attach_group_policy AttachGroupPolicyRequest -> ();
        detach_group_policy DetachGroupPolicyRequest -> ();
        list_attached_group_policies ListAttachedGroupPoliciesRequest
            -> api::ListAttachedGroupPoliciesResponse;
        put_role_policy PutRolePolicyRequest -> ();
        get_role_policy GetRolePolicyRequest -> api::GetRolePolicyResponse;
        list_role_policies ListRolePoliciesRequest -> api::ListRolePoliciesResponse;
        delete_role_policy DeleteRolePolicyRequest -> ();
        attach_role_policy AttachRolePolicyRequest -> ();
        detach_role_policy DetachRolePolicyRequest -> ();
        list_attached_role_policies ListAttachedRolePoliciesRequest
            -> api::ListAttachedRolePoliciesResponse;
        put_user_permissions_boundary PutUserPermissionsBoundaryRequest -> ();
        delete_user_permissions_boundary DeleteUserPermissionsBoundaryRequest -> ();
        put_role_permissions_boundary PutRolePermissionsBoundaryRequest -> ();
        delete_role_permissions_boundary DeleteRolePermissionsBoundaryRequest -> ();
        tag_user TagUserRequest -> ();
        untag_user UntagUserRequest -> ();
        list_user_tags ListUserTagsRequest -> api::ListUserTagsResponse;
        tag_role TagRoleRequest -> ();
        untag_role UntagRoleRequest -> ();
        list_role_tags ListRoleTagsRequest -> api::ListRoleTagsResponse;
    }
    policies {
        create_policy CreatePolicyRequest -> api::CreatePolicyResponse;
        get_policy GetPolicyRequest -> api::GetPolicyResponse;
        list_policies ListPoliciesRequest -> api::ListPoliciesResponse;
        delete_policy DeletePolicyRequest -> ();
        create_policy_version CreatePolicyVersionRequest -> api::CreatePolicyVersionResponse;
        get_policy_version GetPolicyVersionRequest -> api::GetPolicyVersionResponse;
        list_policy_versions ListPolicyVersionsRequest -> api::ListPolicyVersionsResponse;
        set_default_policy_version SetDefaultPolicyVersionRequest -> ();
        delete_policy_version DeletePolicyVersionRequest -> ();
        tag_policy TagPolicyRequest -> ();
        untag_policy UntagPolicyRequest -> ();
        list_policy_tags ListPolicyTagsRequest -> api::ListPolicyTagsResponse;
        list_entities_for_policy ListEntitiesForPolicyRequest
            -> api::ListEntitiesForPolicyResponse;
    }
    providers {
        create_open_id_connect_provider CreateOpenIDConnectProviderRequest
            -> api::CreateOpenIDConnectProviderResponse;
        get_open_id_connect_provider GetOpenIDConnectProviderRequest
            -> api::GetOpenIDConnectProviderResponse;
        list_open_id_connect_providers ListOpenIDConnectProvidersRequest
            -> api::ListOpenIDConnectProvidersResponse;
        delete_open_id_connect_provider DeleteOpenIDConnectProviderRequest -> ();
        update_open_id_connect_provider_thumbprint UpdateOpenIDConnectProviderThumbprintRequest
            -> ();
        add_client_id_to_open_id_connect_provider AddClientIDToOpenIDConnectProviderRequest -> ();
        remove_client_id_from_open_id_connect_provider
            RemoveClientIDFromOpenIDConnectProviderRequest -> ();
        tag_open_id_connect_provider TagOpenIDConnectProviderRequest -> ();
        untag_open_id_connect_provider UntagOpenIDConnectProviderRequest -> ();
        list_open_id_connect_provider_tags ListOpenIDConnectProviderTagsRequest
            -> api::ListOpenIDConnectProviderTagsResponse;
    }
    account {
        get_account_summary GetAccountSummaryInput -> api::GetAccountSummaryResponse;
        get_account_authorization_details GetAccountAuthorizationDetailsRequest
            -> api::GetAccountAuthorizationDetailsResponse;
        create_account_alias CreateAccountAliasRequest -> ();
        list_account_aliases ListAccountAliasesRequest -> api::ListAccountAliasesResponse;
        delete_account_alias DeleteAccountAliasRequest -> ();
        get_login_profile GetLoginProfileRequest -> api::GetLoginProfileResponse;
        delete_login_profile DeleteLoginProfileRequest -> ();
        list_mfa_devices ListMFADevicesRequest -> api::ListMFADevicesResponse;
        list_virtual_mfa_devices ListVirtualMFADevicesRequest
            -> api::ListVirtualMFADevicesResponse;
        list_signing_certificates ListSigningCertificatesRequest
            -> api::ListSigningCertificatesResponse;
        list_ssh_public_keys ListSSHPublicKeysRequest -> api::ListSSHPublicKeysResponse;
        list_service_specific_credentials ListServiceSpecificCredentialsRequest
            -> api::ListServiceSpecificCredentialsResponse;
    }
    simulate {
        simulate_principal_policy SimulatePrincipalPolicyRequest -> api::SimulatePolicyResponse;
        simulate_custom_policy SimulateCustomPolicyRequest -> api::SimulatePolicyResponse;
        get_context_keys_for_custom_policy GetContextKeysForCustomPolicyRequest
            -> api::GetContextKeysForPolicyResponse;
        get_context_keys_for_principal_policy GetContextKeysForPrincipalPolicyRequest
            -> api::GetContextKeysForPolicyResponse;
    }
}

/// The caller's account.
fn account_of(call: &Call) -> AccountId {
    call.caller.scope.account
}

fn subject<'a>(call: &Call, kind: Kind, name: &'a str) -> Subject<'a> {
    Subject::new(account_of(call), kind, name)
}

/// The user that a call names, or else the caller itself.
///
/// # Errors
/// The caller is no user.
fn named_or_self(call: &Call, name: Option<String>) -> Result<(Kind, String), ServiceError> {
    if let Some(name) = name {
        return Ok((Kind::User, name));
    }
    match call.caller.who.as_ref().map(|who| &who.principal.kind) {
        Some(PrincipalKind::User { name }) => Ok((Kind::User, name.to_string())),
        Some(PrincipalKind::Root) => Ok((Kind::Root, "root".to_owned())),
        _ => Err(errors::name_needed()),
    }
}

/// Whether a path is asked for.
fn under(prefix: Option<&str>, path: &str) -> bool {
    path.starts_with(prefix.unwrap_or("/"))
}

fn name_of(held: &Held) -> &str {
    &held.entity.name
}

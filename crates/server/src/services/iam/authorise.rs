//! Which user, group, role, policy or provider a request is about, and whether the caller may do
//! that to it.

use millstream_api::iam::{Request, Tag};
use millstream_base::Tags;
use millstream_identity::Kind;
use millstream_identity::model::{entity_arn, oidc_arn, policy_arn};
use millstream_policy::tables::When;
use millstream_policy::{Action, Resource, ResourcePolicy, Value};
use millstream_wire::ServiceError;

use super::{Iam, account_of, errors, named_or_self, shapes, subject};
use crate::access;
use crate::services::Call;

/// What a request is about.
struct About<'a> {
    operation: &'static str,
    target: Target<'a>,
}

/// What the action is done to.
enum Target<'a> {
    Account,
    Entity(Kind, &'a str),
    /// A user, or else the caller.
    UserOrSelf(Option<&'a str>),
    /// The owner of an access key.
    OwnerOf(&'a str),
    /// By its ARN: a policy, a provider.
    Named(&'a str),
    /// One that is to be made: its path is in the request.
    New(String),
}

impl Iam {
    /// # Errors
    /// AccessDenied.
    pub(super) fn check_access(
        &self,
        call: &Call,
        request: Request<'_>,
    ) -> Result<(), ServiceError> {
        if call.caller.who.is_none() {
            return Ok(());
        }
        let about = about(call, request);
        let rule = access::rule("iam", about.operation);
        let brought = Brought::of(request)?;
        self.ask(call, &rule.action, &about.target, &brought)?;
        for further in &rule.further {
            if matches!(further.when, When::Tags) && brought.tags.is_empty() {
                continue;
            }
            self.ask(call, &further.action, &about.target, &brought)?;
        }
        Ok(())
    }

    fn ask(
        &self,
        call: &Call,
        action: &Action,
        target: &Target<'_>,
        brought: &Brought<'_>,
    ) -> Result<(), ServiceError> {
        let account = account_of(call);
        let mut held = None;
        let arn = match target {
            Target::Account => "*".to_owned(),
            Target::Named(arn) => (*arn).to_owned(),
            Target::New(arn) => arn.clone(),
            Target::OwnerOf(key) => match self.identities.key_owner(account, key) {
                Some(owner) => owner.arn(),
                None => entity_arn(account, Kind::User, "/", "*"),
            },
            Target::Entity(..) | Target::UserOrSelf(_) => {
                let (kind, name) = match target {
                    Target::Entity(kind, name) => (*kind, (*name).to_owned()),
                    Target::UserOrSelf(name) => named_or_self(call, name.map(str::to_owned))?,
                    _ => unreachable!("the others were matched above"),
                };
                held = self.identities.entity(subject(call, kind, &name)).ok();
                // One that isn't there is denied, or not found, under the path that most have.
                held.as_ref()
                    .map_or_else(|| entity_arn(account, kind, "/", &name), |held| held.arn())
            }
        };
        let mut context = access::context();
        if let Some(held) = &held {
            context.set_tags("aws:ResourceTag", &held.entity.tags);
            context.set_tags("iam:ResourceTag", &held.entity.tags);
        }
        if let Some(arn) = brought.policy_arn {
            context.set_text("iam:PolicyARN", arn);
        }
        let known = held.as_ref().and_then(|held| held.entity.boundary.as_ref());
        if let Some(boundary) = brought.boundary.or(known.map(|known| known.arn.as_str())) {
            context.set_text("iam:PermissionsBoundary", boundary.to_owned());
        }
        context.set_tags("aws:RequestTag", &brought.tags);
        let keys = brought.tags.keys().chain(brought.tag_keys);
        let keys: Vec<_> = keys.map(|key| key.as_str().into()).collect();
        if !keys.is_empty() {
            context.set("aws:TagKeys", Value::Many(keys));
        }
        let resource = Resource { arn: &arn, owner: Some(account) };
        access::allowed(call, action, resource, ResourcePolicy::None, context)
            .map_err(errors::access_denied)
    }
}

/// What a request brings that policies can look at.
struct Brought<'a> {
    tags: Tags,
    tag_keys: &'a [String],
    policy_arn: Option<&'a str>,
    boundary: Option<&'a str>,
}

impl<'a> Brought<'a> {
    fn of(request: Request<'a>) -> Result<Brought<'a>, ServiceError> {
        let tags: Option<&[Tag]> = match request {
            Request::CreateUser(i) => i.tags.as_deref(),
            Request::CreateRole(i) => i.tags.as_deref(),
            Request::CreatePolicy(i) => i.tags.as_deref(),
            Request::CreateOpenIDConnectProvider(i) => i.tags.as_deref(),
            Request::TagUser(i) => Some(&i.tags),
            Request::TagRole(i) => Some(&i.tags),
            Request::TagPolicy(i) => Some(&i.tags),
            Request::TagOpenIDConnectProvider(i) => Some(&i.tags),
            _ => None,
        };
        let tag_keys: &[String] = match request {
            Request::UntagUser(i) => &i.tag_keys,
            Request::UntagRole(i) => &i.tag_keys,
            Request::UntagPolicy(i) => &i.tag_keys,
            Request::UntagOpenIDConnectProvider(i) => &i.tag_keys,
            _ => &[],
        };
        let policy_arn = match request {
            Request::AttachUserPolicy(i) => Some(i.policy_arn.as_str()),
            Request::AttachGroupPolicy(i) => Some(i.policy_arn.as_str()),
            Request::AttachRolePolicy(i) => Some(i.policy_arn.as_str()),
            Request::DetachUserPolicy(i) => Some(i.policy_arn.as_str()),
            Request::DetachGroupPolicy(i) => Some(i.policy_arn.as_str()),
            Request::DetachRolePolicy(i) => Some(i.policy_arn.as_str()),
            _ => None,
        };
        let boundary = match request {
            Request::CreateUser(i) => i.permissions_boundary.as_deref(),
            Request::CreateRole(i) => i.permissions_boundary.as_deref(),
            Request::PutUserPermissionsBoundary(i) => Some(i.permissions_boundary.as_str()),
            Request::PutRolePermissionsBoundary(i) => Some(i.permissions_boundary.as_str()),
            _ => None,
        };
        let tags = shapes::tags(tags.map(<[Tag]>::to_vec))?;
        Ok(Brought { tags, tag_keys, policy_arn, boundary })
    }
}

/// A match over all operations: which member names what the action is done to.
macro_rules! targets {
    ($request:expr; $($pattern:pat => $target:expr => [$($Op:ident)*])*) => {
        match $request {
            $($(Request::$Op($pattern) => {
                About { operation: stringify!($Op), target: $target }
            })*)*
        }
    };
}

fn about<'a>(call: &Call, request: Request<'a>) -> About<'a> {
    let account = account_of(call);
    let path = |path: &'a Option<String>| path.as_deref().unwrap_or("/");
    targets! { request;
        i => Target::New(entity_arn(account, Kind::User, path(&i.path), &i.user_name))
            => [CreateUser]
        i => Target::New(entity_arn(account, Kind::Group, path(&i.path), &i.group_name))
            => [CreateGroup]
        i => Target::New(entity_arn(account, Kind::Role, path(&i.path), &i.role_name))
            => [CreateRole]
        i => Target::New(policy_arn(account, path(&i.path), &i.policy_name)) => [CreatePolicy]
        i => Target::New(oidc_arn(account, i.url.trim_start_matches("https://")))
            => [CreateOpenIDConnectProvider]
        i => Target::Entity(Kind::User, &i.user_name) => [
            UpdateUser DeleteUser PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy
            AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies
            PutUserPermissionsBoundary DeleteUserPermissionsBoundary TagUser UntagUser ListUserTags
            ListGroupsForUser
        ]
        i => Target::UserOrSelf(i.user_name.as_deref()) => [
            GetUser CreateAccessKey ListAccessKeys UpdateAccessKey DeleteAccessKey GetLoginProfile
            DeleteLoginProfile ListMFADevices ListSigningCertificates ListSSHPublicKeys
            ListServiceSpecificCredentials
        ]
        i => Target::OwnerOf(&i.access_key_id) => [GetAccessKeyLastUsed]
        i => Target::Entity(Kind::Group, &i.group_name) => [
            GetGroup UpdateGroup DeleteGroup AddUserToGroup RemoveUserFromGroup PutGroupPolicy
            GetGroupPolicy ListGroupPolicies DeleteGroupPolicy AttachGroupPolicy DetachGroupPolicy
            ListAttachedGroupPolicies
        ]
        i => Target::Entity(Kind::Role, &i.role_name) => [
            GetRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy DeleteRole PutRolePolicy
            GetRolePolicy ListRolePolicies DeleteRolePolicy AttachRolePolicy DetachRolePolicy
            ListAttachedRolePolicies PutRolePermissionsBoundary DeleteRolePermissionsBoundary TagRole
            UntagRole ListRoleTags ListInstanceProfilesForRole
        ]
        i => Target::Named(&i.policy_arn) => [
            GetPolicy DeletePolicy CreatePolicyVersion GetPolicyVersion ListPolicyVersions
            SetDefaultPolicyVersion DeletePolicyVersion TagPolicy UntagPolicy ListPolicyTags
            ListEntitiesForPolicy
        ]
        i => Target::Named(&i.open_id_connect_provider_arn) => [
            GetOpenIDConnectProvider DeleteOpenIDConnectProvider
            UpdateOpenIDConnectProviderThumbprint AddClientIDToOpenIDConnectProvider
            RemoveClientIDFromOpenIDConnectProvider TagOpenIDConnectProvider
            UntagOpenIDConnectProvider ListOpenIDConnectProviderTags
        ]
        i => Target::Named(&i.policy_source_arn) => [
            SimulatePrincipalPolicy GetContextKeysForPrincipalPolicy
        ]
        _ => Target::Account => [
            ListUsers ListGroups ListRoles ListPolicies ListOpenIDConnectProviders
            GetAccountSummary GetAccountAuthorizationDetails CreateAccountAlias ListAccountAliases
            DeleteAccountAlias SimulateCustomPolicy GetContextKeysForCustomPolicy
            ListVirtualMFADevices
        ]
    }
}

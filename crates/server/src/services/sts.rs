//! STS: temporary credentials of roles and users, and who one is.
//!
//! Regions don't matter: a session is good in all of them.

pub mod errors;

use std::borrow::Cow;
use std::collections::BTreeSet;

use millstream_api::sts as api;
use millstream_base::Tags;
use millstream_env::Env;
use millstream_identity::{AssumeRole, Assumed, Authenticated, Credentials, Identities};
use millstream_policy::Context;
use millstream_wire::{ServiceError, Time};

use super::Call;
use crate::access;

/// The service, on its engine.
pub struct Sts {
    env: Env,
    identities: Identities,
}

impl Sts {
    pub fn new(env: Env, identities: Identities) -> Self {
        Sts { env, identities }
    }
}

impl api::STS for Sts {
    type Ctx = Call;

    /// Sessions are given or refused by trust policies, in the engine; who one is, anyone may ask.
    async fn authorise(&self, call: &Call, request: api::Request<'_>) -> Result<(), ServiceError> {
        let operation = match request {
            api::Request::AssumeRole(_)
            | api::Request::AssumeRoleWithWebIdentity(_)
            | api::Request::GetCallerIdentity(_)
            | api::Request::GetSessionToken(_) => return Ok(()),
            api::Request::DecodeAuthorizationMessage(_) => api::Op::DecodeAuthorizationMessage,
            api::Request::GetAccessKeyInfo(_) => api::Op::GetAccessKeyInfo,
        };
        access::allowed_operation(call, "sts", operation.name(), "*", access::context())
            .map_err(errors::access_denied)
    }

    async fn assume_role(
        &self,
        call: &Call,
        input: api::AssumeRoleRequest,
    ) -> Result<api::AssumeRoleResponse, ServiceError> {
        let who = known(call)?;
        self.identities.unlock().await.map_err(errors::of_engine)?;
        if input.serial_number.is_some() || input.token_code.is_some() {
            return Err(errors::no_mfa());
        }
        let asked = AssumeRole {
            role_arn: input.role_arn,
            session_name: input.role_session_name,
            duration_secs: secs(input.duration_seconds),
            external_id: input.external_id,
            policy: input.policy,
            policy_arns: arns(input.policy_arns),
            tags: tags(input.tags)?,
            transitive: input.transitive_tag_keys.unwrap_or_default().into_iter().collect(),
            source_identity: input.source_identity,
        };
        let now = self.env.now();
        let context = self.context(call);
        let assumed = self.identities.assume_role(who, asked, &context, now);
        let assumed = assumed.map_err(errors::of_sts)?;
        Ok(api::AssumeRoleResponse {
            credentials: Some(credentials(&assumed.credentials)),
            assumed_role_user: Some(user(&assumed)),
            packed_policy_size: Some(i32::from(assumed.packed_percent)),
            source_identity: assumed.source_identity,
            ..api::AssumeRoleResponse::default()
        })
    }

    async fn assume_role_with_web_identity(
        &self,
        call: &Call,
        input: api::AssumeRoleWithWebIdentityRequest,
    ) -> Result<api::AssumeRoleWithWebIdentityResponse, ServiceError> {
        self.identities.unlock().await.map_err(errors::of_engine)?;
        let asked = AssumeRole {
            role_arn: input.role_arn,
            session_name: input.role_session_name,
            duration_secs: secs(input.duration_seconds),
            policy: input.policy,
            policy_arns: arns(input.policy_arns),
            tags: Tags::new(),
            transitive: BTreeSet::new(),
            external_id: None,
            source_identity: None,
        };
        let (now, context) = (self.env.now(), self.context(call));
        let token = &input.web_identity_token;
        let assumed = self.identities.assume_role_with_web_identity(token, asked, &context, now);
        let assumed = assumed.map_err(errors::of_sts)?;
        let web = assumed.web.clone();
        Ok(api::AssumeRoleWithWebIdentityResponse {
            credentials: Some(credentials(&assumed.credentials)),
            subject_from_web_identity_token: web.as_ref().map(|web| web.subject.clone()),
            provider: web.as_ref().map(|web| web.provider.clone()),
            audience: web.map(|web| web.audience),
            packed_policy_size: Some(i32::from(assumed.packed_percent)),
            assumed_role_user: Some(user(&assumed)),
            ..api::AssumeRoleWithWebIdentityResponse::default()
        })
    }

    async fn get_session_token(
        &self,
        call: &Call,
        input: api::GetSessionTokenRequest,
    ) -> Result<api::GetSessionTokenResponse, ServiceError> {
        let who = known(call)?;
        self.identities.unlock().await.map_err(errors::of_engine)?;
        if input.serial_number.is_some() || input.token_code.is_some() {
            return Err(errors::no_mfa());
        }
        let secs = secs(input.duration_seconds);
        let made = self.identities.session_token(who, secs, self.env.now());
        let made = made.map_err(errors::of_sts)?;
        Ok(api::GetSessionTokenResponse {
            credentials: Some(credentials(&made)),
            ..api::GetSessionTokenResponse::default()
        })
    }

    async fn get_caller_identity(
        &self,
        call: &Call,
        _: api::GetCallerIdentityRequest,
    ) -> Result<api::GetCallerIdentityResponse, ServiceError> {
        let account = call.caller.scope.account;
        let (user_id, arn) = match &call.caller.who {
            Some(who) => (who.principal.user_id.to_string(), who.principal.arn.to_string()),
            // Whoever may call without identities may do everything, as the root may.
            None => (account.to_string(), format!("arn:aws:iam::{account}:root")),
        };
        Ok(api::GetCallerIdentityResponse {
            user_id: Some(user_id),
            account: Some(account.to_string()),
            arn: Some(arn),
        })
    }

    async fn get_access_key_info(
        &self,
        _: &Call,
        input: api::GetAccessKeyInfoRequest,
    ) -> Result<api::GetAccessKeyInfoResponse, ServiceError> {
        let account = self.identities.key_account(&input.access_key_id);
        let account = account.ok_or_else(|| errors::no_such_key(&input.access_key_id))?;
        Ok(api::GetAccessKeyInfoResponse { account: Some(account.to_string()) })
    }
}

impl Sts {
    /// The condition keys that every request has.
    fn context<'a>(&self, call: &'a Call) -> Context<'a> {
        let mut context = access::context();
        access::describe(call, &mut context);
        context
    }
}

/// # Errors
/// The mode of authentication knows no identities, so nobody can have a session.
fn known(call: &Call) -> Result<&Authenticated, ServiceError> {
    call.caller.who.as_deref().ok_or_else(errors::no_identities)
}

fn secs(duration: Option<i32>) -> Option<u32> {
    u32::try_from(duration?).ok()
}

fn arns(policies: Option<Vec<api::PolicyDescriptorType>>) -> Vec<String> {
    policies.unwrap_or_default().into_iter().filter_map(|policy| policy.arn).collect()
}

/// # Errors
/// The same key twice.
fn tags(tags: Option<Vec<api::Tag>>) -> Result<Tags, ServiceError> {
    let mut all = Tags::new();
    for tag in tags.unwrap_or_default() {
        if all.keys().any(|key: &String| key.eq_ignore_ascii_case(&tag.key)) {
            return Err(errors::doubled_tags());
        }
        all.insert(tag.key, tag.value);
    }
    Ok(all)
}

fn credentials(made: &Credentials) -> api::Credentials {
    let text = |secret: &millstream_secrets::Secret| {
        Cow::from(secret.expose_text().unwrap_or_default()).into_owned()
    };
    api::Credentials {
        access_key_id: made.access_key_id.clone(),
        secret_access_key: text(&made.secret_access_key),
        session_token: text(&made.session_token),
        expiration: Time::from_secs(i64::try_from(made.expires.as_secs()).unwrap_or(i64::MAX)),
    }
}

fn user(assumed: &Assumed) -> api::AssumedRoleUser {
    api::AssumedRoleUser { assumed_role_id: assumed.id.clone(), arn: assumed.arn.clone() }
}

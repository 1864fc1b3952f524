//! Temporary credentials: who may have which, and for how long.

use std::collections::BTreeSet;

use millstream_base::limits::{
    SESSION_POLICY_CHARS_MAX, STS_CHAINED_SESSION_SECS_MAX, STS_ROLE_SESSION_SECS_DEFAULT,
    STS_ROOT_SESSION_SECS_MAX, STS_SESSION_POLICY_ARNS_MAX, STS_SESSION_TAGS_MAX,
    STS_SESSION_TOKEN_SECS_DEFAULT,
};
use millstream_base::{AccountId, Tags, Timestamp};
use millstream_policy::{
    Action, Ask, Context, Decision, Kind as PolicyKind, Policy, Principal, PrincipalKind, Resource,
    ResourcePolicy, Rights, Value, decide,
};

use crate::engine::Identities;
use crate::held::Held;
use crate::model::{Kind, oidc_arn};
use crate::oidc::{self, Claims, JwtError};
use crate::session::{AccountId12, Session, Source, WebIdentity};
use crate::tokens::{self, Credentials, TokenError};
use crate::who::Authenticated;

/// What AssumeRole is asked for.
#[derive(Clone, Debug, Default)]
pub struct AssumeRole {
    pub role_arn: String,
    pub session_name: String,
    pub duration_secs: Option<u32>,
    pub external_id: Option<String>,
    pub policy: Option<String>,
    pub policy_arns: Vec<String>,
    pub tags: Tags,
    pub transitive: BTreeSet<String>,
    pub source_identity: Option<String>,
}

/// A role that was assumed.
#[derive(Clone, Debug)]
pub struct Assumed {
    pub credentials: Credentials,
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`
    pub arn: String,
    /// `AROA…:SESSION`
    pub id: String,
    pub source_identity: Option<String>,
    /// How much of what a session can hold it takes, in percent.
    pub packed_percent: u8,
    /// Of a web identity.
    pub web: Option<WebIdentity>,
}

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StsError {
    /// The sentence tells why.
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Invalid(String),
    #[error("malformed session policy: {0}")]
    Document(String),
    #[error("policies and tags take {percent} % of what a session can hold")]
    TooLarge { percent: usize },
    #[error(transparent)]
    Token(#[from] JwtError),
    #[error("incorrect token audience")]
    Audience,
    /// [`Identities::unlock`] was not called, or failed.
    #[error("the root key was not fetched yet")]
    Sealed,
}

impl Identities {
    /// Gives `caller` credentials of a role. `context` has the condition keys of the request; those
    /// of the call itself are added here.
    ///
    /// # Errors
    /// [`StsError`].
    pub fn assume_role(
        &self,
        caller: &Authenticated,
        asked: AssumeRole,
        context: &Context<'_>,
        now: Timestamp,
    ) -> Result<Assumed, StsError> {
        if caller.principal.kind == PrincipalKind::Root {
            return Err(StsError::Denied("Roles may not be assumed by root accounts.".to_owned()));
        }
        let chained = matches!(caller.principal.kind, PrincipalKind::AssumedRole { .. });
        let before = caller.session.as_deref().filter(|_| chained);
        let asked = inherit(asked, before)?;
        let mut context = context.clone();
        describe(&mut context, &asked);
        let role = self.role(&asked.role_arn).ok_or_else(|| {
            let (who, arn) = (&caller.principal.arn, &asked.role_arn);
            StsError::Denied(format!(
                "User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            ))
        })?;
        for action in actions("sts:AssumeRole", &asked) {
            self.allowed(&caller.principal, &caller.rights, &role, action, &context)?;
        }
        let max = match chained {
            true => Some(STS_CHAINED_SESSION_SECS_MAX),
            false => None,
        };
        self.give(&role, asked, max, None, now)
    }

    /// Gives the bearer of an issuer's token credentials of a role.
    ///
    /// # Errors
    /// [`StsError`].
    pub fn assume_role_with_web_identity(
        &self,
        token: &str,
        mut asked: AssumeRole,
        context: &Context<'_>,
        now: Timestamp,
    ) -> Result<Assumed, StsError> {
        let issuer = oidc::issuer_of(token)?;
        let issuer = self.issuer(&issuer).ok_or(JwtError::UnknownIssuer(issuer))?;
        let claims = issuer.verify(token, now)?;
        let denied = || {
            let sentence = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
            StsError::Denied(sentence.to_owned())
        };
        let role = self.role(&asked.role_arn).ok_or_else(denied)?;
        let audience = self.audience(role.account, &issuer.audiences, &claims);
        let audience = audience.ok_or(StsError::Audience)?;
        let provider = claims.provider.clone();
        let mut context = context.clone();
        asked.source_identity = None;
        describe(&mut context, &asked);
        let federated = oidc_arn(role.account, &provider);
        context.set_text(format!("{provider}:sub"), claims.subject.clone());
        context.set_text(format!("{provider}:aud"), audience.clone());
        if let Some(party) = &claims.authorized_party {
            context.set_text(format!("{provider}:azp"), party.clone());
        }
        context.set_text("aws:FederatedProvider", federated.clone());
        let mut bearer = Principal::web_identity(&federated, &claims.subject);
        bearer.account = Some(role.account);
        let action = "sts:AssumeRoleWithWebIdentity";
        self.allowed(&bearer, &Rights::default(), &role, action, &context).map_err(|_| denied())?;
        let web = WebIdentity { provider, subject: claims.subject, audience };
        self.give(&role, asked, None, Some(web), now)
    }

    /// Gives a user, or the root of an account, credentials of its own for a while.
    ///
    /// # Errors
    /// A session can't have another one of this kind.
    pub fn session_token(
        &self,
        caller: &Authenticated,
        duration_secs: Option<u32>,
        now: Timestamp,
    ) -> Result<Credentials, StsError> {
        let (kind, name) = match &caller.principal.kind {
            PrincipalKind::User { name } if caller.session.is_none() => (Kind::User, &**name),
            PrincipalKind::Root if caller.session.is_none() => (Kind::Root, "root"),
            _ => {
                let sentence = "Cannot call GetSessionToken with session credentials";
                return Err(StsError::Denied(sentence.to_owned()));
            }
        };
        let account = caller.principal.account.unwrap_or(AccountId::DEFAULT);
        let mut secs = duration_secs.unwrap_or(STS_SESSION_TOKEN_SECS_DEFAULT);
        if kind == Kind::Root {
            secs = secs.min(STS_ROOT_SESSION_SECS_MAX);
        }
        let session = Session {
            account: AccountId12(account),
            of: Source {
                kind,
                name: name.to_owned(),
                id: caller.principal.user_id.to_string(),
                session_name: String::new(),
            },
            issued: now,
            expires: Timestamp::from_secs(now.as_secs() + u64::from(secs)),
            policies: Vec::new(),
            policy_arns: Vec::new(),
            tags: Tags::new(),
            transitive: BTreeSet::new(),
            source_identity: None,
            web: None,
        };
        let sealing = self.unsealing().ok_or(StsError::Sealed)?;
        tokens::seal(&sealing.tokens, &session).map_err(too_large)
    }

    /// The issuer that this configuration knows under `url`.
    pub fn issuer(&self, url: &str) -> Option<&oidc::Issuer> {
        let wanted = oidc::provider_of(url);
        self.inner.issuers.iter().find(|issuer| issuer.provider() == wanted)
    }

    /// The audience of a token that counts in `account`.
    fn audience(&self, account: AccountId, taken: &[String], claims: &Claims) -> Option<String> {
        let provider = self.inner.directory.oidc(account, &claims.provider);
        let is_taken = |audience: &&String| {
            taken.contains(audience)
                || provider.as_ref().is_some_and(|p| p.client_ids.contains(*audience))
        };
        claims.audiences.iter().find(is_taken).cloned()
    }

    fn role(&self, arn: &str) -> Option<std::sync::Arc<Held>> {
        let (account, rest) = arn.strip_prefix("arn:aws:iam::")?.split_once(':')?;
        let name = rest.strip_prefix("role/")?.rsplit('/').next()?;
        let account = AccountId::new(account).ok()?;
        let role = self.inner.directory.entity(account, Kind::Role, name)?;
        (role.arn() == arn).then_some(role)
    }

    fn allowed(
        &self,
        principal: &Principal,
        rights: &Rights,
        role: &Held,
        action: &str,
        context: &Context<'_>,
    ) -> Result<(), StsError> {
        let trust = role.entity.role.as_ref().map_or("", |facts| &facts.trust);
        let arn = role.arn();
        let trust = Policy::parse(PolicyKind::Trust, trust).map_err(|fault| {
            tracing::error!(%fault, role = arn, "a trust policy can't be read: nobody is trusted");
            StsError::Denied(format!("{action} on {arn} is not allowed"))
        })?;
        let action = Action::new(action).expect("a service and a name");
        let mut with_tags = context.clone();
        with_tags.set_tags("aws:ResourceTag", &role.entity.tags);
        let ask = Ask {
            principal,
            rights,
            action: &action,
            resource: Resource { arn: &arn, owner: Some(role.account) },
            resource_policy: ResourcePolicy::Governs(&trust),
            endpoint_policy: None,
            context: &with_tags,
        };
        match decide(&ask) {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) => Err(StsError::Denied(reason.sentence(&ask))),
        }
    }

    /// Makes the session. What may be had was checked; how long and how large, is checked here.
    fn give(
        &self,
        role: &Held,
        asked: AssumeRole,
        secs_max: Option<u32>,
        web: Option<WebIdentity>,
        now: Timestamp,
    ) -> Result<Assumed, StsError> {
        let allowed = role.entity.role.as_ref().map_or(0, |facts| facts.session_secs_max);
        let secs = asked.duration_secs.unwrap_or(STS_ROLE_SESSION_SECS_DEFAULT);
        if secs_max.is_some_and(|max| secs > max) {
            return Err(StsError::Invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed \
                 by role chaining"
                    .to_owned(),
            ));
        }
        if secs > allowed {
            return Err(StsError::Invalid(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
                    .to_owned(),
            ));
        }
        self.check_session_policies(role.account, &asked)?;
        let session = Session {
            account: AccountId12(role.account),
            of: Source {
                kind: Kind::Role,
                name: role.entity.name.clone(),
                id: role.entity.id.clone(),
                session_name: asked.session_name.clone(),
            },
            issued: now,
            expires: Timestamp::from_secs(now.as_secs() + u64::from(secs)),
            policies: asked.policy.into_iter().collect(),
            policy_arns: asked.policy_arns,
            tags: asked.tags,
            transitive: asked.transitive,
            source_identity: asked.source_identity.clone(),
            web: web.clone(),
        };
        let sealing = self.unsealing().ok_or(StsError::Sealed)?;
        let credentials = tokens::seal(&sealing.tokens, &session).map_err(too_large)?;
        let percent = percent(credentials.session_token.len());
        let (account, name) = (role.account, &role.entity.name);
        let (id, session_name) = (&role.entity.id, &asked.session_name);
        Ok(Assumed {
            arn: format!("arn:aws:sts::{account}:assumed-role/{name}/{session_name}"),
            id: format!("{id}:{session_name}"),
            credentials,
            source_identity: asked.source_identity,
            packed_percent: u8::try_from(percent).unwrap_or(100),
            web,
        })
    }

    fn check_session_policies(
        &self,
        account: AccountId,
        asked: &AssumeRole,
    ) -> Result<(), StsError> {
        if let Some(policy) = &asked.policy {
            if policy.chars().count() > SESSION_POLICY_CHARS_MAX {
                let percent = policy.chars().count() * 100 / SESSION_POLICY_CHARS_MAX;
                return Err(StsError::TooLarge { percent });
            }
            Policy::parse(PolicyKind::Session, policy)
                .map_err(|fault| StsError::Document(fault.to_string()))?;
        }
        if asked.policy_arns.len() > STS_SESSION_POLICY_ARNS_MAX {
            return Err(StsError::Invalid(format!(
                "You cannot provide more than {STS_SESSION_POLICY_ARNS_MAX} session policy ARNs."
            )));
        }
        for arn in &asked.policy_arns {
            if self.inner.directory.policy_by_arn(account, arn).is_none() {
                return Err(StsError::Invalid(format!("Policy {arn} does not exist.")));
            }
        }
        Ok(())
    }
}

/// Adds what goes from a session to the sessions of the roles that it assumes.
fn inherit(mut asked: AssumeRole, before: Option<&Session>) -> Result<AssumeRole, StsError> {
    for key in &asked.transitive {
        if !asked.tags.keys().any(|known| known.eq_ignore_ascii_case(key)) {
            return Err(StsError::Invalid(format!(
                "The specified transitive tag key must be included in the requested tags: {key}"
            )));
        }
    }
    let Some(before) = before else { return check_tags(asked) };
    for (key, value) in before.tags.iter().filter(|(key, _)| before.transitive.contains(*key)) {
        if asked.tags.keys().any(|known| known.eq_ignore_ascii_case(key)) {
            return Err(StsError::Invalid(
                "One of the specified transitive tag keys can't be set because it conflicts with a \
                 transitive tag key from the calling session."
                    .to_owned(),
            ));
        }
        asked.tags.insert(key.clone(), value.clone());
        asked.transitive.insert(key.clone());
    }
    match (&before.source_identity, &asked.source_identity) {
        (Some(known), Some(other)) if known != other => {
            return Err(StsError::Denied(
                "SourceIdentity can't be changed in a chained session".to_owned(),
            ));
        }
        (Some(known), _) => asked.source_identity = Some(known.clone()),
        (None, _) => {}
    }
    check_tags(asked)
}

fn check_tags(asked: AssumeRole) -> Result<AssumeRole, StsError> {
    let (count, max) = (asked.tags.len(), STS_SESSION_TAGS_MAX);
    match count > max {
        true => Err(StsError::Invalid(format!("{count} session tags are more than {max}"))),
        false => Ok(asked),
    }
}

/// The condition keys of the call.
fn describe(context: &mut Context<'_>, asked: &AssumeRole) {
    context.set_text("sts:RoleSessionName", asked.session_name.clone());
    if let Some(id) = &asked.external_id {
        context.set_text("sts:ExternalId", id.clone());
    }
    if let Some(identity) = &asked.source_identity {
        context.set_text("sts:SourceIdentity", identity.clone());
    }
    let secs = asked.duration_secs.unwrap_or(STS_ROLE_SESSION_SECS_DEFAULT);
    context.set("sts:DurationSeconds", Value::Number(i64::from(secs)));
    for (key, value) in &asked.tags {
        context.set_text(format!("aws:RequestTag/{key}"), value.clone());
    }
    let texts = |keys: &mut dyn Iterator<Item = &String>| {
        Value::Many(keys.map(|key| key.clone().into()).collect())
    };
    context.set("aws:TagKeys", texts(&mut asked.tags.keys()));
    context.set("sts:TransitiveTagKeys", texts(&mut asked.transitive.iter()));
}

/// Everything that a call must be allowed.
fn actions(first: &'static str, asked: &AssumeRole) -> Vec<&'static str> {
    let mut all = vec![first];
    if !asked.tags.is_empty() {
        all.push("sts:TagSession");
    }
    if asked.source_identity.is_some() {
        all.push("sts:SetSourceIdentity");
    }
    all
}

fn too_large(error: TokenError) -> StsError {
    match error {
        TokenError::TooLarge { bytes, .. } => StsError::TooLarge { percent: percent(bytes) },
        TokenError::Invalid => StsError::Invalid(error.to_string()),
    }
}

fn percent(bytes: usize) -> usize {
    (bytes * 100).div_ceil(tokens::TOKEN_BYTES_MAX)
}

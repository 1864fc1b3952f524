//! Who called, in CloudTrail's words.
//!
//! Source: AWS CloudTrail user guide, "CloudTrail userIdentity element".

use http::request::Parts;
use millstream_audit::{UserIdentity, event_time};
use millstream_identity::Authenticated;
use millstream_policy::PrincipalKind;
use millstream_wire::sigv4::Claim;
use serde_json::{Value, json};

use crate::auth::Caller;

/// The identity of a caller; of nobody, what it claimed to be.
pub(super) fn of(caller: Option<&Caller>, parts: &Parts) -> UserIdentity {
    let Some(caller) = caller else {
        let claim = Claim::of(parts).ok();
        return UserIdentity {
            kind: "Unknown".to_owned(),
            access_key_id: claim.map(|claim| cut(&claim.access_key_id)),
            ..UserIdentity::default()
        };
    };
    match &caller.who {
        Some(who) => of_principal(who, &caller.access_key_id),
        // Where there are no identities, an account's keys are its root's.
        None => of_account(caller),
    }
}

/// Whether a caller proved nothing: who shows a token of an identity provider for the first time.
pub(super) fn is_nobody(caller: &Caller) -> bool {
    let kind = caller.who.as_ref().map(|who| &who.principal.kind);
    matches!(kind, Some(PrincipalKind::Anonymous | PrincipalKind::WebIdentity))
}

fn of_account(caller: &Caller) -> UserIdentity {
    let account = caller.scope.account.to_string();
    UserIdentity {
        kind: "Root".to_owned(),
        principal_id: Some(account.clone()),
        arn: Some(format!("arn:aws:iam::{account}:root")),
        access_key_id: Some(cut(&caller.access_key_id)),
        account_id: Some(account),
        ..UserIdentity::default()
    }
}

fn of_principal(who: &Authenticated, access_key_id: &str) -> UserIdentity {
    let principal = &who.principal;
    let (kind, user_name) = match &principal.kind {
        PrincipalKind::Root => ("Root", None),
        PrincipalKind::User { name } => ("IAMUser", Some(name.to_string())),
        PrincipalKind::AssumedRole { .. } => ("AssumedRole", None),
        PrincipalKind::Service => ("AWSService", None),
        PrincipalKind::WebIdentity => ("WebIdentityUser", Some(principal.user_id.to_string())),
        PrincipalKind::Anonymous => ("Unknown", None),
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    UserIdentity {
        kind: kind.to_owned(),
        principal_id: some(&principal.user_id),
        arn: some(&principal.arn),
        account_id: principal.account.map(|account| account.to_string()),
        access_key_id: some(&cut(access_key_id)),
        user_name,
        session_context: session_context(who),
    }
}

fn session_context(who: &Authenticated) -> Option<Value> {
    let session = who.session.as_ref()?;
    let mut context = json!({
        "attributes": {"creationDate": event_time(session.issued), "mfaAuthenticated": "false"},
    });
    if let PrincipalKind::AssumedRole { role_arn } = &who.principal.kind {
        let account = who.principal.account.map(|account| account.to_string());
        context["sessionIssuer"] = json!({
            "type": "Role",
            "principalId": session.of.id,
            "arn": role_arn,
            "accountId": account,
            "userName": session.of.name,
        });
    }
    if let Some(source) = &session.source_identity {
        context["sourceIdentity"] = source.as_str().into();
    }
    Some(context)
}

/// Longest access key id told, in bytes: IAM's have 16 to 128.
const ACCESS_KEY_ID_BYTES_MAX: usize = 128;

fn cut(id: &str) -> String {
    id[..id.floor_char_boundary(ACCESS_KEY_ID_BYTES_MAX)].to_owned()
}

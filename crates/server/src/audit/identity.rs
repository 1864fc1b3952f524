//! Who called, in CloudTrail's words.

use http::request::Parts;
use millstream_audit::UserIdentity;
use millstream_wire::sigv4::Claim;

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
    // Where there are no identities, an account's keys are its root's.
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

/// Longest access key id told, in bytes: IAM's have 16 to 128.
const ACCESS_KEY_ID_BYTES_MAX: usize = 128;

fn cut(id: &str) -> String {
    id[..id.floor_char_boundary(ACCESS_KEY_ID_BYTES_MAX)].to_owned()
}

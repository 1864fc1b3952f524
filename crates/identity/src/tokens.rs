//! Temporary credentials: everything that a session is stands in its token, sealed.
//!
//! Any node that has the root key can open a token, and none has to remember it. What a session
//! may do is decided anew from its role or user as they are now: a role that was deleted or changed
//! counts at once. Opened tokens are kept in a bounded table, by their access key id.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use millstream_base::Timestamp;
use millstream_secrets::{SealingKey, Secret};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::held::Held;
use crate::session::Session;
use crate::who::Authenticated;

/// Most bytes of a token: a few of them fit in a request's headers.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Opened tokens kept in memory; some 4 KiB each.
const SESSIONS_MAX: usize = 10_000;

/// What is sealed: the session and the secret that its requests are signed with.
#[derive(Serialize, Deserialize)]
struct Inside<S> {
    /// Raised when an older program would misread it.
    v: u32,
    secret: String,
    session: S,
}

const VERSION: u32 = 1;

/// Temporary credentials, complete.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: Arc<Secret>,
    /// Text that can stand in a header. A secret of its own.
    pub session_token: Arc<Secret>,
    pub expires: Timestamp,
}

/// A token that was opened.
pub(crate) struct OpenSession {
    pub(crate) token: Secret,
    pub(crate) session: Arc<Session>,
    pub(crate) secret: Arc<Secret>,
    /// What it came to, as long as its role or user is the same.
    pub(crate) bound: ArcSwapOption<Bound>,
}

/// A session's rights, and what they were made of.
pub(crate) struct Bound {
    pub(crate) source: Arc<Held>,
    pub(crate) generation: u64,
    pub(crate) who: Arc<Authenticated>,
}

/// The opened tokens.
#[derive(Default)]
pub(crate) struct Sessions {
    open: RwLock<HashMap<Box<str>, Arc<OpenSession>>>,
}

/// Why a token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not one of ours, or not of this access key")]
    Invalid,
    #[error("the token would have {bytes} bytes, more than {max}")]
    TooLarge { bytes: usize, max: usize },
}

/// Seals a session under a new access key id.
///
/// # Errors
/// [`TokenError::TooLarge`]: policies and tags do not fit.
pub(crate) fn seal(sealing: &SealingKey, session: &Session) -> Result<Credentials, TokenError> {
    let access_key_id = crate::ids::access_key_id("ASIA");
    let secret = crate::ids::secret_access_key();
    let text = secret.expose_text().unwrap_or_default().to_owned();
    let inside = Inside { v: VERSION, secret: text, session };
    let plain = Secret::new(serde_json::to_vec(&inside).expect("sessions are plain structures"));
    drop(Secret::from(inside.secret));
    let sealed = sealing.seal(access_key_id.as_bytes(), plain.expose());
    let token = base64_simd::STANDARD.encode_to_string(sealed);
    let (bytes, max) = (token.len(), TOKEN_BYTES_MAX);
    if bytes > max {
        return Err(TokenError::TooLarge { bytes, max });
    }
    Ok(Credentials {
        access_key_id,
        secret_access_key: Arc::new(secret),
        session_token: Arc::new(Secret::from(token)),
        expires: session.expires,
    })
}

/// Opens a token that came with a request.
///
/// # Errors
/// [`TokenError::Invalid`], whatever is wrong with it.
pub(crate) fn open(
    sealing: &SealingKey,
    access_key_id: &str,
    token: &str,
) -> Result<OpenSession, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Invalid);
    }
    let invalid = |_| TokenError::Invalid;
    let sealed =
        base64_simd::STANDARD.decode_to_vec(token.as_bytes()).map_err(|_| TokenError::Invalid)?;
    let plain = sealing.open(access_key_id.as_bytes(), &sealed).map_err(|_| TokenError::Invalid)?;
    let inside: Inside<Session> = serde_json::from_slice(plain.expose()).map_err(invalid)?;
    if inside.v != VERSION {
        return Err(TokenError::Invalid);
    }
    Ok(OpenSession {
        token: Secret::from(token),
        session: Arc::new(inside.session),
        secret: Arc::new(Secret::from(inside.secret)),
        bound: ArcSwapOption::empty(),
    })
}

impl Sessions {
    /// The opened token of `access_key_id`, if it is exactly `token`.
    pub(crate) fn get(&self, access_key_id: &str, token: &str) -> Option<Arc<OpenSession>> {
        let known = self.open.read().get(access_key_id).cloned()?;
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(
            known.token.expose(),
            token.as_bytes(),
        );
        same.is_ok().then_some(known)
    }

    pub(crate) fn keep(&self, access_key_id: &str, session: Arc<OpenSession>, now: Timestamp) {
        let mut open = self.open.write();
        if open.len() >= SESSIONS_MAX {
            open.retain(|_, known| known.session.expires > now);
        }
        if open.len() >= SESSIONS_MAX {
            open.clear(); // they are opened again when they are next used
        }
        open.insert(access_key_id.into(), session);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use millstream_base::{AccountId, Tags};

    use super::*;
    use crate::model::Kind;
    use crate::session::{AccountId12, Source};

    fn session() -> Session {
        Session {
            account: AccountId12(AccountId::DEFAULT),
            of: Source {
                kind: Kind::Role,
                name: "reader".into(),
                id: "AROAX".into(),
                session_name: "s".into(),
            },
            issued: Timestamp::from_secs(1),
            expires: Timestamp::from_secs(2),
            policies: vec![],
            policy_arns: vec![],
            tags: Tags::new(),
            transitive: BTreeSet::new(),
            source_identity: None,
            web: None,
        }
    }

    fn key() -> SealingKey {
        SealingKey::from_bytes(&[5; 32])
    }

    #[test]
    fn a_token_opens_with_its_own_key_id_only() {
        let made = seal(&key(), &session()).unwrap();
        let token = made.session_token.expose_text().unwrap();
        let opened = open(&key(), &made.access_key_id, token).unwrap();
        assert_eq!(*opened.session, session());
        assert_eq!(opened.secret, made.secret_access_key);
        assert!(open(&key(), "ASIAOTHER", token).is_err());
        let other = SealingKey::from_bytes(&[6; 32]);
        assert!(open(&other, &made.access_key_id, token).is_err());
    }

    #[test]
    fn sessions_that_do_not_fit_are_refused() {
        let policies = vec!["x".repeat(TOKEN_BYTES_MAX)];
        let error = seal(&key(), &Session { policies, ..session() }).unwrap_err();
        assert!(matches!(error, TokenError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn debug_of_credentials_hides_them() {
        let made = seal(&key(), &session()).unwrap();
        let shown = format!("{made:?}");
        assert!(!shown.contains(made.secret_access_key.expose_text().unwrap()), "{shown}");
        assert!(!shown.contains(made.session_token.expose_text().unwrap()), "{shown}");
    }

    #[test]
    fn fuzz_tokens_of_strangers() {
        let made = seal(&key(), &session()).unwrap();
        bolero::check!().with_type::<(Vec<u8>, u16, u8)>().for_each(|(bytes, at, flip)| {
            let text = String::from_utf8_lossy(bytes);
            assert!(open(&key(), &made.access_key_id, &text).is_err());
            let mut bent = made.session_token.expose().to_vec();
            let at = usize::from(*at) % bent.len();
            bent[at] ^= flip;
            let text = String::from_utf8_lossy(&bent);
            let same = text.as_bytes() == made.session_token.expose();
            assert_eq!(open(&key(), &made.access_key_id, &text).is_ok(), same);
        });
    }
}

//! Who calls: reads the signature's claim, proves it where access keys are configured, and tells
//! account and region.
//!
//! In mode "any" a request must look signed, in AWS's forms, and whoever signed it is welcome. In
//! mode "keys" the signature is checked over the body with one of the configured keys. In mode "iam"
//! it is checked with the key of an identity, whose rights then decide what it may do.
//!
//! An access key id of twelve digits is taken as the account; everyone else acts in the default
//! account, or in the one of their key. The region is that of the credential scope.

use std::collections::HashMap;
use std::sync::Arc;

use http::request::Parts;
use millstream_base::{AccountId, Arn, Region, Scope, Timestamp};
pub use millstream_identity::Authenticated as Who;
use millstream_identity::{Found, Identities, Stranger};
use millstream_policy::{Principal, Rights};
use millstream_secrets::Secret;
use millstream_wire::sigv4::{Claim, Scope as KeyScope, SigningKey, UNSIGNED_PAYLOAD};
use millstream_wire::{Service, ServiceError};
use parking_lot::RwLock;

use crate::config::{Auth, AuthMode, Server};
use crate::peer::Peer;

/// Derived keys kept: one per access key, day and region in use, half a KiB each.
const SIGNING_KEYS_MAX: usize = 16 << 10;
/// What is hashed in the place of a body that the signature does not cover.
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// The session's name of a role that a client certificate stands for.
const CERTIFICATE_SESSION: &str = "client-certificate";

/// Tells who calls.
pub struct Authenticator {
    mode: AuthMode,
    account: AccountId,
    region: Region,
    keys: HashMap<String, Key>,
    identities: Identities,
    derived: RwLock<HashMap<(String, KeyScope), Derived>>,
}

struct Key {
    secret: Arc<Secret>,
    account: Option<AccountId>,
}

/// A signing key, and the secret that it was derived from: a key id may be given another secret.
#[derive(Clone)]
struct Derived {
    secret: Arc<Secret>,
    key: SigningKey,
}

/// A caller, as far as the mode of authentication proves it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub access_key_id: String,
    /// The caller's account and the region it signed for.
    pub scope: Scope,
    /// Its identity. Without one everything is allowed: the modes "any" and "keys" know none.
    pub who: Option<Arc<Who>>,
}

impl Authenticator {
    /// # Errors
    /// An account or region of the configuration that is none.
    pub fn new(
        server: &Server,
        auth: &Auth,
        identities: Identities,
    ) -> Result<Self, millstream_base::NameError> {
        let mut keys = HashMap::new();
        for key in &auth.keys {
            let account = key.account.as_deref().map(AccountId::new).transpose()?;
            let secret = Arc::new(Secret::from(key.secret_access_key.as_str()));
            keys.insert(key.access_key_id.clone(), Key { secret, account });
        }
        Ok(Authenticator {
            mode: auth.mode,
            account: AccountId::new(&server.account)?,
            region: Region::new(&server.region)?,
            keys,
            identities,
            derived: RwLock::default(),
        })
    }

    /// Whether the body's hash will be needed: hashing is the largest part of a request's cost.
    pub fn wants_hash(&self, parts: &Parts) -> bool {
        self.mode != AuthMode::Any && !is_unsigned(parts)
    }

    /// Checks the claim that the request makes and, in the other modes than "any", its proof, which must be for
    /// `service`. `payload_hash` is there when [`Authenticator::wants_hash`] asked for it.
    ///
    /// # Errors
    /// AWS's: nothing signed, signed in a broken form, by an unknown key, at another time, or with
    /// a signature that does not match.
    pub fn authenticate(
        &self,
        parts: &Parts,
        payload_hash: Option<&str>,
        now: Timestamp,
        service: &'static Service,
    ) -> Result<Caller, ServiceError> {
        if let Some(arn) = Peer::of(parts).principal()
            && !Claim::is_made(parts)
        {
            return self.of_certificate(arn);
        }
        let claim = Claim::of(parts)?;
        let (account, who) = match self.mode {
            AuthMode::Any => (None, None),
            AuthMode::Keys => {
                let key = self.keys.get(&claim.access_key_id).ok_or_else(unrecognized)?;
                self.prove(parts, payload_hash, now, &claim, service, &key.secret)?;
                (key.account, None)
            }
            AuthMode::Iam => {
                let found = self.find(&claim, now)?;
                self.prove(parts, payload_hash, now, &claim, service, &found.secret)?;
                found.note_use(now, &claim.scope.service, &claim.scope.region);
                (found.who.principal.account, Some(found.who))
            }
        };
        let account =
            account.or_else(|| AccountId::new(&claim.access_key_id).ok()).unwrap_or(self.account);
        let region = Region::new(&claim.scope.region).unwrap_or_else(|_| self.region.clone());
        Ok(Caller { access_key_id: claim.access_key_id, scope: Scope::new(account, region), who })
    }

    /// The identity that a client's certificate stands for. Only for a request without a signature,
    /// which would say more exactly who calls.
    fn of_certificate(&self, arn: &str) -> Result<Caller, ServiceError> {
        let who = match self.mode {
            AuthMode::Any | AuthMode::Keys => None,
            AuthMode::Iam => {
                let found = self.identities.find_by_arn(arn, CERTIFICATE_SESSION);
                Some(found.map_err(|_| unrecognized())?)
            }
        };
        let account = Arn::parse(arn).map_or(self.account, |arn| arn.account);
        let scope = Scope::new(account, self.region.clone());
        Ok(Caller { access_key_id: String::new(), scope, who })
    }

    /// A caller of the default account and region that signed nothing: for the node's own questions.
    pub fn nobody(&self) -> Caller {
        let scope = Scope::new(self.account, self.region.clone());
        Caller { access_key_id: String::new(), scope, who: None }
    }

    /// Who signed nothing and shows a token of an identity provider instead, to be looked at by the
    /// operation itself. May do nothing else.
    pub fn bearer(&self) -> Caller {
        let (principal, rights) = (Principal::anonymous(), Rights::default());
        let who = Who { principal, rights, session: None };
        Caller { who: Some(Arc::new(who)), ..self.nobody() }
    }

    fn find(&self, claim: &Claim, now: Timestamp) -> Result<Found, ServiceError> {
        let token = claim.session_token.as_deref();
        self.identities.find(&claim.access_key_id, token, now).map_err(|stranger| match stranger {
            Stranger::Unknown => unrecognized(),
            Stranger::Expired => expired(),
        })
    }

    /// Whether the request was signed with `secret`, for `service`, now.
    fn prove(
        &self,
        parts: &Parts,
        payload_hash: Option<&str>,
        now: Timestamp,
        claim: &Claim,
        service: &'static Service,
        secret: &Arc<Secret>,
    ) -> Result<(), ServiceError> {
        let name = service.signing_name;
        if claim.scope.service != name {
            return Err(invalid_signature(format!(
                "Credential should be scoped to correct service: '{name}'. "
            )));
        }
        claim.check_time(now.as_secs())?;
        let payload_hash = payload_hash.unwrap_or(UNSIGNED_PAYLOAD);
        let name = (claim.access_key_id.clone(), claim.scope.clone());
        let known =
            self.derived.read().get(&name).filter(|d| Arc::ptr_eq(&d.secret, secret)).cloned();
        if let Some(known) = known {
            return claim.verify(parts, payload_hash, &known.key);
        }
        let key = SigningKey::derive(secret.expose_text().unwrap_or_default(), &claim.scope);
        claim.verify(parts, payload_hash, &key)?;
        // Only who knows the secret gets into the cache: regions are whatever a claim says.
        let mut derived = self.derived.write();
        if derived.len() >= SIGNING_KEYS_MAX {
            derived.clear(); // mostly of days that are over; the rest is derived again
        }
        derived.insert(name, Derived { secret: secret.clone(), key });
        Ok(())
    }
}

fn is_unsigned(parts: &Parts) -> bool {
    parts.headers.get(CONTENT_SHA256).is_some_and(|v| v == UNSIGNED_PAYLOAD)
}

fn unrecognized() -> ServiceError {
    ServiceError::new(
        "UnrecognizedClientException",
        400,
        "The security token included in the request is invalid.",
    )
}

fn expired() -> ServiceError {
    ServiceError::new(
        "ExpiredTokenException",
        400,
        "The security token included in the request is expired",
    )
}

fn invalid_signature(message: String) -> ServiceError {
    ServiceError::new("InvalidSignatureException", 400, message)
}

//! Who calls: reads the signature's claim, proves it where access keys are configured, and tells
//! account and region.
//!
//! In mode "any" a request must look signed, in AWS's forms, and whoever signed it is welcome. In
//! mode "keys" the signature is checked over the body with one of the configured keys.
//!
//! An access key id of twelve digits is taken as the account; everyone else acts in the default
//! account, or in the one of their key. The region is that of the credential scope.

use std::collections::HashMap;
use std::sync::Arc;

use http::request::Parts;
use millstream_base::{AccountId, Arn, Region, Scope, Timestamp};
use millstream_wire::sigv4::{Claim, Scope as KeyScope, SigningKey, UNSIGNED_PAYLOAD};
use millstream_wire::{Service, ServiceError};
use parking_lot::RwLock;

use crate::access::Who;
use crate::config::{Auth, AuthMode, Server};
use crate::peer::Peer;

/// Derived keys kept: one per access key, day and region in use.
const SIGNING_KEYS_MAX: usize = 1024;
/// What is hashed in the place of a body that the signature does not cover.
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// Tells who calls.
pub struct Authenticator {
    mode: AuthMode,
    account: AccountId,
    region: Region,
    keys: HashMap<String, Key>,
    derived: RwLock<HashMap<(String, KeyScope), SigningKey>>,
}

struct Key {
    secret: String,
    account: Option<AccountId>,
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
    pub fn new(server: &Server, auth: &Auth) -> Result<Self, millstream_base::NameError> {
        let mut keys = HashMap::new();
        for key in &auth.keys {
            let account = key.account.as_deref().map(AccountId::new).transpose()?;
            let secret = key.secret_access_key.clone();
            keys.insert(key.access_key_id.clone(), Key { secret, account });
        }
        Ok(Authenticator {
            mode: auth.mode,
            account: AccountId::new(&server.account)?,
            region: Region::new(&server.region)?,
            keys,
            derived: RwLock::default(),
        })
    }

    /// Whether the body's hash will be needed: hashing is the largest part of a request's cost.
    pub fn wants_hash(&self, parts: &Parts) -> bool {
        self.mode == AuthMode::Keys && !is_unsigned(parts)
    }

    /// Checks the claim that the request makes and, in mode "keys", its proof, which must be for
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
        if let Some(caller) = self.of_certificate(parts) {
            return Ok(caller);
        }
        let claim = Claim::of(parts)?;
        let account = match self.mode {
            AuthMode::Any => None,
            AuthMode::Keys => self.prove(parts, payload_hash, now, &claim, service)?,
        };
        let account =
            account.or_else(|| AccountId::new(&claim.access_key_id).ok()).unwrap_or(self.account);
        let region = Region::new(&claim.scope.region).unwrap_or_else(|_| self.region.clone());
        Ok(Caller {
            access_key_id: claim.access_key_id,
            scope: Scope::new(account, region),
            who: None,
        })
    }

    /// The identity that the client's certificate stands for, if the request is not signed: a
    /// signature says more exactly who calls.
    fn of_certificate(&self, parts: &Parts) -> Option<Caller> {
        let principal = Peer::of(parts).principal()?;
        if Claim::is_made(parts) {
            return None;
        }
        let account = Arn::parse(principal).map_or(self.account, |arn| arn.account);
        let scope = Scope::new(account, self.region.clone());
        Some(Caller { access_key_id: String::new(), scope })
    }

    /// A caller of the default account and region that signed nothing: for the node's own questions.
    pub fn nobody(&self) -> Caller {
        let scope = Scope::new(self.account, self.region.clone());
        Caller { access_key_id: String::new(), scope, who: None }
    }

    /// The account of the key that signed, if its configuration names one.
    fn prove(
        &self,
        parts: &Parts,
        payload_hash: Option<&str>,
        now: Timestamp,
        claim: &Claim,
        service: &'static Service,
    ) -> Result<Option<AccountId>, ServiceError> {
        let key = self.keys.get(&claim.access_key_id).ok_or_else(unrecognized)?;
        let name = service.signing_name;
        if claim.scope.service != name {
            return Err(invalid_signature(format!(
                "Credential should be scoped to correct service: '{name}'. "
            )));
        }
        claim.check_time(now.as_secs())?;
        let payload_hash = payload_hash.unwrap_or(UNSIGNED_PAYLOAD);
        claim.verify(parts, payload_hash, &self.signing_key(claim, &key.secret))?;
        Ok(key.account)
    }

    fn signing_key(&self, claim: &Claim, secret: &str) -> SigningKey {
        let name = (claim.access_key_id.clone(), claim.scope.clone());
        if let Some(key) = self.derived.read().get(&name) {
            return key.clone();
        }
        let key = SigningKey::derive(secret, &claim.scope);
        let mut derived = self.derived.write();
        if derived.len() >= SIGNING_KEYS_MAX {
            derived.clear(); // mostly of days that are over; the rest is derived again
        }
        derived.insert(name, key.clone());
        key
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

fn invalid_signature(message: String) -> ServiceError {
    ServiceError::new("InvalidSignatureException", 400, message)
}

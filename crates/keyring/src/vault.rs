//! HashiCorp Vault's transit engine (and OpenBao's, which is the same) as a key ring.
//!
//! A key's name is a name in the engine. Vault has no encryption context; the context goes in as
//! `associated_data`, which its AES-GCM keys authenticate. A key is "disabled" here when Vault
//! denies access to it, and gone when it is not there.
//!
//! Source: Vault's HTTP API documentation, "Transit secrets engine": encrypt, decrypt,
//! datakey/plaintext, keys.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use millstream_base::Scope;
use millstream_client::{Endpoint, Error, HttpVersion, Timeouts, Transport, Trust};
use millstream_env::Env;
use millstream_secrets::{
    BoxFuture, EncryptionContext, KEY_BYTES, KeyError, KeyRef, KeyRing, NewDataKey, Secret,
    random_secret,
};
use serde_json::{Value, json};

use crate::error::HolderError;
use crate::remote::Known;

/// How Vault is reached.
#[derive(Clone, Debug)]
pub struct VaultOptions {
    /// `https://vault.example.org:8200`.
    pub address: String,
    /// Where the transit engine is mounted.
    pub mount: String,
    /// `env:NAME`, or `file:PATH`, which an agent may renew: it is read at each call.
    pub token: String,
    /// Whose certificates are believed.
    pub trust: Trust,
}

impl Default for VaultOptions {
    fn default() -> Self {
        VaultOptions {
            address: "https://127.0.0.1:8200".to_owned(),
            mount: "transit".to_owned(),
            token: "env:VAULT_TOKEN".to_owned(),
            trust: Trust::System,
        }
    }
}

/// The ring. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    env: Env,
    endpoint: Endpoint,
    transport: Transport,
    options: VaultOptions,
    known: Known,
}

/// The alias that has no meaning in Vault stands for this key.
const MANAGED: (&str, &str) = ("alias/aws/kinesis", "aws-kinesis");

impl Vault {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// [`HolderError::Service`]: the address is none, or names can't be part of a path.
    pub async fn connect(options: VaultOptions) -> Result<Vault, HolderError> {
        let failed = |reason: String| HolderError::Service { service: "Vault", reason };
        let endpoint = Endpoint::parse(&options.address).map_err(|e| failed(e.to_string()))?;
        if !options.mount.split('/').all(is_name) {
            return Err(failed(format!("{:?} is no mount", options.mount)));
        }
        let transport = Transport::new(&endpoint, HttpVersion::Http1, timeouts(), &options.trust);
        let transport = transport.map_err(|e| failed(e.to_string()))?;
        let (env, known) = (Env::real("."), Known::default());
        Ok(Vault(Arc::new(Inner { env, endpoint, transport, options, known })))
    }

    pub(crate) async fn encrypt(
        &self,
        key: &str,
        plain: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, HolderError> {
        let wrapped = self.0.wrap(&KeyRef::new(key), plain, context).await;
        wrapped.map_err(|e| HolderError::Service { service: "Vault", reason: e.to_string() })
    }

    pub(crate) async fn decrypt(
        &self,
        key: &str,
        wrapped: &[u8],
        context: &EncryptionContext,
    ) -> Result<Secret, HolderError> {
        let opened = self.0.unwrap(&KeyRef::new(key), wrapped, context).await;
        opened.map_err(|e| HolderError::Service { service: "Vault", reason: e.to_string() })
    }
}

fn timeouts() -> Timeouts {
    Timeouts { attempt: Duration::from_secs(10), ..Timeouts::default() }
}

/// What can stand in a path as it is.
fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !text.is_empty() && text != ".." && text != "." && text.bytes().all(allowed)
}

impl Inner {
    async fn wrap(
        &self,
        key: &KeyRef,
        plain: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, KeyError> {
        let body = json!({
            "plaintext": base64_simd::STANDARD.encode_to_string(plain),
            "associated_data": associated(context),
        });
        let answer = self.call(Method::POST, "encrypt", key, Some(body)).await?;
        let text = answer["data"]["ciphertext"].as_str().ok_or_else(unreadable)?;
        Ok(text.as_bytes().to_vec())
    }

    async fn unwrap(
        &self,
        key: &KeyRef,
        wrapped: &[u8],
        context: &EncryptionContext,
    ) -> Result<Secret, KeyError> {
        let not_ours = || KeyError::InvalidCiphertext { reason: "it is not Vault's".to_owned() };
        let text = std::str::from_utf8(wrapped).ok().filter(|text| text.starts_with("vault:v"));
        let text = text.ok_or_else(not_ours)?;
        let body = json!({ "ciphertext": text, "associated_data": associated(context) });
        let answer = self.call(Method::POST, "decrypt", key, Some(body)).await?;
        let text = answer["data"]["plaintext"].as_str().ok_or_else(unreadable)?;
        let plain = base64_simd::STANDARD.decode_to_vec(text).map_err(|_| unreadable())?;
        Ok(Secret::new(plain))
    }

    /// One call about `key`; what it tells of the key's state is kept in mind.
    async fn call(
        &self,
        method: Method,
        what: &str,
        key: &KeyRef,
        body: Option<Value>,
    ) -> Result<Value, KeyError> {
        let answer = self.exchange(method, what, key, body).await;
        let state = answer.as_ref().map(drop).map_err(Clone::clone);
        self.known.heard(key, state, self.env.now());
        answer
    }

    async fn exchange(
        &self,
        method: Method,
        what: &str,
        key: &KeyRef,
        body: Option<Value>,
    ) -> Result<Value, KeyError> {
        if !is_name(key.as_str()) {
            return Err(KeyError::NotFound { key: key.to_string() });
        }
        let unavailable = |reason: String| KeyError::Unavailable { reason };
        let path = format!("/v1/{}/{what}/{key}", self.options.mount);
        let path = path.parse().map_err(|_| KeyError::NotFound { key: key.to_string() })?;
        let token = self.token()?;
        let mut token = http::HeaderValue::from_bytes(token.expose().trim_ascii())
            .map_err(|_| unavailable("the token is no token".to_owned()))?;
        token.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(self.endpoint.uri(path))
            .header("x-vault-token", token)
            .header("x-vault-request", "true")
            .body(Full::new(body.map_or_else(Bytes::new, |body| body.to_string().into())))
            .map_err(|e| unavailable(e.to_string()))?;
        let answer = self.transport.send(request).await;
        let answer = answer.map_err(|e: Error| unavailable(e.to_string()))?;
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match status {
            200..=299 => Ok(body),
            _ => Err(refusal(key, status, &body)),
        }
    }

    fn token(&self) -> Result<Secret, KeyError> {
        let missing = |reason: String| KeyError::Unavailable { reason };
        match self.options.token.split_once(':') {
            Some(("env", name)) => std::env::var(name)
                .map(Secret::from)
                .map_err(|_| missing(format!("{name} is not set in the environment"))),
            #[allow(
                clippy::disallowed_methods,
                reason = "a file that another program renews, outside the data directory"
            )]
            Some(("file", path)) => std::fs::read(path)
                .map(Secret::from)
                .map_err(|e| missing(format!("the token in {path}: {e}"))),
            _ => Err(missing("the token is to be given as env:NAME or file:PATH".to_owned())),
        }
    }
}

/// The context, each name and value behind its length, in base64.
fn associated(context: &EncryptionContext) -> String {
    let mut bytes = Vec::new();
    for text in context.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn unreadable() -> KeyError {
    KeyError::Unavailable { reason: "Vault's answer can't be read".to_owned() }
}

fn refusal(key: &KeyRef, status: u16, body: &Value) -> KeyError {
    let said: Vec<&str> =
        body["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (reason, key) = (said.join("; "), key.to_string());
    match status {
        403 => KeyError::AccessDenied { key, reason },
        404 => KeyError::NotFound { key },
        400 if reason.contains("encryption key not found") => KeyError::NotFound { key },
        // A version below min_decryption_version, another context, another key, bent bytes.
        400 => KeyError::InvalidCiphertext { reason },
        429 => KeyError::Throttled { key },
        _ => KeyError::Unavailable { reason: format!("HTTP {status}: {reason}") },
    }
}

impl KeyRing for Vault {
    /// `name` is a key of the engine, with or without `alias/` before it.
    fn resolve<'a>(
        &'a self,
        _scope: &'a Scope,
        name: &'a str,
    ) -> BoxFuture<'a, Result<KeyRef, KeyError>> {
        Box::pin(async move {
            let name = match name {
                managed if managed == MANAGED.0 => MANAGED.1,
                name => name.strip_prefix("alias/").unwrap_or(name),
            };
            let key = KeyRef::new(name);
            self.0.call(Method::GET, "keys", &key, None).await?;
            Ok(key)
        })
    }

    fn usable(&self, key: &KeyRef) -> Result<(), KeyError> {
        self.0.known.state(key)
    }

    fn generate_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<NewDataKey, KeyError>> {
        Box::pin(async move {
            let plaintext = random_secret(KEY_BYTES);
            let wrapped = self.0.wrap(key, plaintext.expose(), context).await?;
            Ok(NewDataKey { plaintext, wrapped })
        })
    }

    fn unwrap_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        wrapped: &'a [u8],
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<Secret, KeyError>> {
        Box::pin(self.0.unwrap(key, wrapped, context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_lead_elsewhere_are_none() {
        for good in ["orders", "a.b-c_d", "aws-kinesis"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a?b", "a#b", "ä", "a b", "%2e"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let key = KeyRef::new("orders");
        let of = |status, said: &str| refusal(&key, status, &json!({ "errors": [said] }));
        assert!(matches!(of(403, "permission denied"), KeyError::AccessDenied { .. }));
        assert!(matches!(of(404, ""), KeyError::NotFound { .. }));
        assert!(matches!(of(400, "encryption key not found"), KeyError::NotFound { .. }));
        let bent = of(400, "cipher: message authentication failed");
        assert!(matches!(bent, KeyError::InvalidCiphertext { .. }));
        assert!(matches!(of(503, "Vault is sealed"), KeyError::Unavailable { .. }));
    }
}

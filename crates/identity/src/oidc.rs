//! OpenID Connect: issuers whose tokens are taken, and the proof of a token.
//!
//! RS256 and ES256 with the issuer's published keys (RFC 7517, 7518, 7519). A token is never trusted
//! for what it says about its own algorithm: the key that its `kid` names decides.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use millstream_base::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Longest token that is looked at. Source: STS model, WebIdentityToken.
pub const TOKEN_BYTES_MAX: usize = 20_000;
/// Most keys of one issuer.
const KEYS_MAX: usize = 100;
/// How far clocks may differ.
const SKEW_SECS: u64 = 60;

/// An issuer and its keys, which may be exchanged at any time.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// As in `iss`: `https://issuer.example.com`.
    pub url: Arc<str>,
    /// Audiences that are taken in every account; those of an account's provider are added.
    pub audiences: Arc<[String]>,
    keys: Arc<ArcSwap<Vec<Jwk>>>,
}

/// A public key.
#[derive(Clone, Debug)]
struct Jwk {
    kid: Option<String>,
    key: Key,
}

#[derive(Clone, Debug)]
enum Key {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point of P-256.
    P256(Vec<u8>),
}

/// What a token that was proven says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The issuer without `https://`.
    pub provider: String,
    pub subject: String,
    /// The audiences; at least one.
    pub audiences: Vec<String>,
    /// The party the token was made for, where it says so.
    pub authorized_party: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("no issuer {0} is configured")]
    UnknownIssuer(String),
    #[error("the issuer has no key {0}")]
    UnknownKey(String),
    #[error("the signature does not match")]
    BadSignature,
    #[error("the token expired at {expired} and it is {now} now")]
    Expired { expired: u64, now: u64 },
    #[error("the token is not valid before {from} and it is {now} now")]
    NotYet { from: u64, now: u64 },
}

/// A set of keys that can't be used, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON web key set: {0}")]
pub struct JwksError(String);

impl Issuer {
    pub fn new(url: &str, audiences: Vec<String>) -> Self {
        Issuer { url: url.into(), audiences: audiences.into(), keys: Arc::default() }
    }

    /// Without `https://`, as ARNs and condition keys name it.
    pub fn provider(&self) -> &str {
        provider_of(&self.url)
    }

    /// Takes the keys of a JWKS document in place of those known; returns how many can be used.
    ///
    /// # Errors
    /// The document is none, or holds no key of a kind that is known here.
    pub fn set_keys(&self, jwks: &str) -> Result<usize, JwksError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_str(jwks).map_err(|e| JwksError(e.to_string()))?;
        let keys: Vec<Jwk> = set.keys.iter().take(KEYS_MAX).filter_map(jwk).collect();
        if keys.is_empty() {
            return Err(JwksError("no RSA or P-256 key for signatures in it".to_owned()));
        }
        let count = keys.len();
        self.keys.store(Arc::new(keys));
        Ok(count)
    }

    /// Whether it has keys, and one named `kid` if the token names one.
    pub fn has_key_for(&self, token: &str) -> bool {
        let kid = header(token).ok().and_then(|h| h.kid);
        let keys = self.keys.load();
        keys.iter().any(|key| kid.is_none() || key.kid == kid)
    }

    /// Proves a token and tells what it says.
    ///
    /// # Errors
    /// [`JwtError`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, JwtError> {
        let header = header(token)?;
        let (signed, signature) =
            token.rsplit_once('.').ok_or(JwtError::Malformed("a token has three parts"))?;
        let signature = decode(signature)?;
        let keys = self.keys.load();
        let mut candidates =
            keys.iter().filter(|key| header.kid.is_none() || key.kid == header.kid).peekable();
        if candidates.peek().is_none() {
            return Err(JwtError::UnknownKey(header.kid.unwrap_or_default()));
        }
        if !candidates.any(|key| key.key.verify(&header.alg, signed.as_bytes(), &signature)) {
            return Err(JwtError::BadSignature);
        }
        let payload = signed.split_once('.').map_or("", |(_, payload)| payload);
        claims(&decode(payload)?, now.as_secs())
    }
}

impl Key {
    fn verify(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        match (self, alg) {
            (Key::Rsa { n, e }, "RS256") => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Key::P256(point), "ES256") => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// The `iss` of a token, before anything of it is proven.
///
/// # Errors
/// [`JwtError::Malformed`].
pub fn issuer_of(token: &str) -> Result<String, JwtError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(JwtError::Malformed("the token is too long"));
    }
    let payload = token.split('.').nth(1).ok_or(JwtError::Malformed("a token has three parts"))?;
    let payload: Value = serde_json::from_slice(&decode(payload)?)
        .map_err(|_| JwtError::Malformed("the payload is no JSON"))?;
    let issuer = payload.get("iss").and_then(Value::as_str);
    issuer.map(str::to_owned).ok_or(JwtError::Malformed("iss is missing"))
}

pub(crate) fn provider_of(url: &str) -> &str {
    let bare = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
    bare.trim_end_matches('/')
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
}

fn header(token: &str) -> Result<Header, JwtError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(JwtError::Malformed("the token is too long"));
    }
    let (header, _) =
        token.split_once('.').ok_or(JwtError::Malformed("a token has three parts"))?;
    let header: Header = serde_json::from_slice(&decode(header)?)
        .map_err(|_| JwtError::Malformed("the header is no JSON"))?;
    Ok(header)
}

fn claims(payload: &[u8], now: u64) -> Result<Claims, JwtError> {
    let claims: Value = serde_json::from_slice(payload)
        .map_err(|_| JwtError::Malformed("the payload is no JSON"))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let time = |name: &str| {
        let value = claims.get(name)?;
        value.as_u64().or_else(|| value.as_f64().map(|secs| secs.max(0.0) as u64))
    };
    let expired = time("exp").ok_or(JwtError::Malformed("exp is missing"))?;
    if expired.saturating_add(SKEW_SECS) < now {
        return Err(JwtError::Expired { expired, now });
    }
    if let Some(from) = time("nbf").or_else(|| time("iat"))
        && from > now.saturating_add(SKEW_SECS)
    {
        return Err(JwtError::NotYet { from, now });
    }
    let issuer = text("iss").ok_or(JwtError::Malformed("iss is missing"))?;
    let audiences = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    if audiences.is_empty() {
        return Err(JwtError::Malformed("aud is missing"));
    }
    Ok(Claims {
        provider: provider_of(&issuer).to_owned(),
        subject: text("sub").ok_or(JwtError::Malformed("sub is missing"))?,
        audiences,
        authorized_party: text("azp"),
    })
}

/// `None`: not a key for signatures that is known here.
fn jwk(value: &Value) -> Option<Jwk> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let part = |name: &str| decode(text(name)?).ok();
    let key = match text("kty")? {
        "RSA" => Key::Rsa { n: part("n")?, e: part("e")? },
        "EC" if text("crv") == Some("P-256") => {
            let (x, y) = (part("x")?, part("y")?);
            (x.len() == 32 && y.len() == 32).then(|| Key::P256([&[4][..], &x, &y].concat()))?
        }
        _ => return None,
    };
    Some(Jwk { kid: text("kid").map(str::to_owned), key })
}

fn decode(text: &str) -> Result<Vec<u8>, JwtError> {
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(text.as_bytes())
        .map_err(|_| JwtError::Malformed("a part is no base64url"))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn encode(bytes: &[u8]) -> String {
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
    }

    /// An issuer with one P-256 key, and that key.
    fn issuer() -> (Issuer, EcdsaKeyPair) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let jwks = serde_json::json!({"keys": [{
            "kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig",
            "x": encode(&point[1..33]), "y": encode(&point[33..]),
        }]});
        let issuer = Issuer::new("https://issuer.test", vec!["app".into()]);
        assert_eq!(issuer.set_keys(&jwks.to_string()), Ok(1));
        (issuer, pair)
    }

    fn token(pair: &EcdsaKeyPair, header: &str, claims: &Value) -> String {
        let signed =
            format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }

    fn good() -> Value {
        serde_json::json!({
            "iss": "https://issuer.test", "sub": "job-1", "aud": "app", "exp": NOW + 60,
        })
    }

    const HEADER: &str = r#"{"alg":"ES256","kid":"k1"}"#;

    #[test]
    fn a_token_of_the_issuer_is_read() {
        let (issuer, pair) = issuer();
        let token = token(&pair, HEADER, &good());
        assert_eq!(issuer_of(&token).as_deref(), Ok("https://issuer.test"));
        let claims = issuer.verify(&token, Timestamp::from_secs(NOW)).unwrap();
        assert_eq!((&*claims.provider, &*claims.subject), ("issuer.test", "job-1"));
        assert_eq!(claims.audiences, ["app"]);
    }

    #[test]
    fn what_is_not_proven_is_refused() {
        let (issuer, pair) = issuer();
        let at = Timestamp::from_secs(NOW);
        let late = Timestamp::from_secs(NOW + 1000);
        let whole = token(&pair, HEADER, &good());
        assert!(matches!(issuer.verify(&whole, late), Err(JwtError::Expired { .. })));
        let none = token(&pair, r#"{"alg":"none","kid":"k1"}"#, &good());
        assert_eq!(issuer.verify(&none, at), Err(JwtError::BadSignature));
        let symmetric = token(&pair, r#"{"alg":"HS256","kid":"k1"}"#, &good());
        assert_eq!(issuer.verify(&symmetric, at), Err(JwtError::BadSignature));
        let other = token(&pair, r#"{"alg":"ES256","kid":"k2"}"#, &good());
        assert!(matches!(issuer.verify(&other, at), Err(JwtError::UnknownKey(_))));
        let (_, stranger) = self::issuer();
        let forged = token(&stranger, HEADER, &good());
        assert_eq!(issuer.verify(&forged, at), Err(JwtError::BadSignature));
        for missing in ["sub", "aud", "exp", "iss"] {
            let mut claims = good();
            claims.as_object_mut().unwrap().remove(missing);
            let token = token(&pair, HEADER, &claims);
            assert!(matches!(issuer.verify(&token, at), Err(JwtError::Malformed(_))), "{missing}");
        }
        let mut claims = good();
        claims["nbf"] = (NOW + 600).into();
        let early = token(&pair, HEADER, &claims);
        assert!(matches!(issuer.verify(&early, at), Err(JwtError::NotYet { .. })));
    }

    #[test]
    fn fuzz_tokens_and_key_sets() {
        let (issuer, pair) = issuer();
        let whole = token(&pair, HEADER, &good());
        bolero::check!().with_type::<(Vec<u8>, u16, u8)>().for_each(|(bytes, at, flip)| {
            let text = String::from_utf8_lossy(bytes);
            let now = Timestamp::from_secs(NOW);
            assert!(issuer.verify(&text, now).is_err());
            let _ = issuer_of(&text);
            let _ = Issuer::new("https://x", vec![]).set_keys(&text);
            let mut bent = whole.clone().into_bytes();
            let at = usize::from(*at) % bent.len();
            bent[at] ^= flip;
            let bent = String::from_utf8_lossy(&bent);
            if issuer.verify(&bent, now).is_ok() {
                // The last digit of base64 has bits that say nothing.
                let same = |part: &str| decode(part).unwrap();
                for (a, b) in bent.split('.').zip(whole.split('.')) {
                    assert_eq!(same(a), same(b));
                }
            }
        });
    }
}

//! Signature Version 4 as the receiving side sees it: what a request claims, and whether it is true.
//!
//! ```text
//! request --claim()--> Claim { access key, scope, signed headers, signature, time, token }
//! secret + scope ----> SigningKey (cache it: it is the same for a day)
//! request + Claim + hash of the body --> canonical request --> string to sign --> signature
//! ```
//!
//! Signing is the business of `millstream-client`, with AWS's own signer.
//!
//! Invariant: no clock and no secrets of its own; signatures are compared in constant time.

mod canonical;
mod claim;
mod time;

use std::time::Duration;

use aws_lc_rs::{constant_time, digest, hmac};
use http::request::Parts;

use crate::ServiceError;
use time::{parse_time, show_time};

pub use canonical::canonical_request;

/// How far a signature's time may lie from the receiver's.
///
/// Source: the services' own sentences ("- 5 min."), streams reference A4.
pub const SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// Longest life of a presigned request: a week.
pub const EXPIRES_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// `x-amz-content-sha256` of a request whose body is not covered by the signature.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Most headers that a signature may cover; as many as a request of HTTP/1.1 may have.
pub const SIGNED_HEADERS_MAX: usize = 100;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// For what a signing key is good: `20150830/us-east-1/kinesis/aws4_request`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `YYYYMMDD`
    pub date: String,
    pub region: String,
    pub service: String,
}

impl Scope {
    fn write(&self, out: &mut String) {
        for part in [&self.date, &self.region, &self.service] {
            out.push_str(part);
            out.push('/');
        }
        out.push_str(TERMINATOR);
    }
}

/// Where the claim stood in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned request.
    Query,
}

/// The headers that a signature covers, in lower case and in the order in which they are listed:
/// each once, at most [`SIGNED_HEADERS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedHeaders(String);

impl SignedHeaders {
    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(';')
    }

    /// `host;x-amz-date`
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a request says about its sender. Nothing of it is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub form: Form,
    pub access_key_id: String,
    pub scope: Scope,
    /// Which headers the signature covers.
    pub signed_headers: SignedHeaders,
    /// Hexadecimal.
    pub signature: String,
    /// The time as sent, `20150830T123600Z` where it is well-formed.
    pub time: String,
    pub session_token: Option<String>,
    /// Life of a presigned request.
    pub expires: Option<Duration>,
}

impl Claim {
    /// Reads the claim of a request.
    ///
    /// # Errors
    /// The services' errors for a missing, doubled or incomplete one (streams reference A4, 9-12).
    pub fn of(parts: &Parts) -> Result<Claim, ServiceError> {
        claim::of(parts)
    }

    /// Whether a request says at all who sent it, in whatever form.
    pub fn is_made(parts: &Parts) -> bool {
        let query = parts.uri.query().unwrap_or_default();
        parts.headers.contains_key(http::header::AUTHORIZATION) || query.contains("X-Amz-")
    }

    /// Whether the claim is of a time that `now` (seconds since the epoch) accepts.
    ///
    /// # Errors
    /// The services' sentences for an expired signature and for one from the future; and for a time
    /// that can't be read.
    pub fn check_time(&self, now_secs: u64) -> Result<(), ServiceError> {
        let Some(signed) = parse_time(&self.time) else {
            return Err(error(
                "IncompleteSignatureException",
                format!("Date must be in ISO-8601 'basic format'. Got '{}'.", self.time),
            ));
        };
        let now = i64::try_from(now_secs).unwrap_or(i64::MAX);
        let skew = SKEW_MAX.as_secs() as i64;
        let life = self.expires.map_or(skew, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        let texts = || [signed, now].map(show_time);
        if signed.saturating_add(life) < now {
            let [then, now_text] = texts();
            let bound = show_time(now.saturating_sub(life));
            let minutes = life / 60;
            return Err(error(
                "InvalidSignatureException",
                format!(
                    "Signature expired: {then} is now earlier than {bound} ({now_text} - {minutes} \
                     min.)"
                ),
            ));
        }
        if signed > now.saturating_add(skew) {
            let [then, now_text] = texts();
            let bound = show_time(now.saturating_add(skew));
            return Err(error(
                "InvalidSignatureException",
                format!(
                    "Signature not yet current: {then} is still later than {bound} ({now_text} + 5 \
                     min.)"
                ),
            ));
        }
        Ok(())
    }

    /// What is signed, given the canonical request.
    pub fn string_to_sign(&self, canonical_request: &str) -> String {
        let mut out = String::with_capacity(192);
        for line in [ALGORITHM, &self.time] {
            out.push_str(line);
            out.push('\n');
        }
        self.scope.write(&mut out);
        out.push('\n');
        push_hex(&mut out, digest::digest(&digest::SHA256, canonical_request.as_bytes()).as_ref());
        out
    }

    /// Whether the request was signed with `key` over a body of this hash.
    ///
    /// # Errors
    /// `InvalidSignatureException` with the service's sentence, and behind it, as the services do,
    /// the canonical request and the string to sign that were computed here.
    pub fn verify(
        &self,
        parts: &Parts,
        payload_hash: &str,
        key: &SigningKey,
    ) -> Result<(), ServiceError> {
        let request = canonical_request(parts, self, payload_hash);
        let to_sign = self.string_to_sign(&request);
        let expected = hmac::sign(&key.0, to_sign.as_bytes());
        let is_right = |claimed: [u8; digest::SHA256_OUTPUT_LEN]| {
            constant_time::verify_slices_are_equal(expected.as_ref(), &claimed).is_ok()
        };
        if unhex(&self.signature).is_some_and(is_right) {
            return Ok(());
        }
        Err(error(
            "InvalidSignatureException",
            format!(
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details.\n\nThe Canonical String for this request should have \
                 been\n'{request}'\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
            ),
        ))
    }
}

/// The key of one day, region and service, derived from a secret.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    pub fn derive(secret_access_key: &str, scope: &Scope) -> Self {
        let secret = format!("AWS4{secret_access_key}");
        let parts = [&*scope.date, &*scope.region, &*scope.service, TERMINATOR];
        SigningKey(parts.iter().fold(hmac_key(secret.as_bytes()), |key, part| {
            hmac_key(hmac::sign(&key, part.as_bytes()).as_ref())
        }))
    }
}

impl SigningKey {
    /// The signature of a string to sign, in hexadecimal: what a signer does, here for tests and
    /// benches.
    pub fn sign(&self, string_to_sign: &str) -> String {
        let mut out = String::with_capacity(2 * digest::SHA256_OUTPUT_LEN);
        push_hex(&mut out, hmac::sign(&self.0, string_to_sign.as_bytes()).as_ref());
        out
    }
}

/// SHA-256 of a body, fed as it arrives; ends as the hexadecimal text that is signed.
pub struct PayloadHash(digest::Context);

impl Default for PayloadHash {
    fn default() -> Self {
        PayloadHash(digest::Context::new(&digest::SHA256))
    }
}

impl PayloadHash {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> String {
        let mut out = String::with_capacity(2 * digest::SHA256_OUTPUT_LEN);
        push_hex(&mut out, self.0.finish().as_ref());
        out
    }
}

fn hmac_key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

fn error(code: &'static str, message: impl Into<String>) -> ServiceError {
    ServiceError::new(code, 400, message)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)] as char);
        out.push(HEX[usize::from(byte & 15)] as char);
    }
}

/// The bytes that 64 digits stand for; as AWS's signers do, in lower case.
fn unhex(text: &str) -> Option<[u8; digest::SHA256_OUTPUT_LEN]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 2 * digest::SHA256_OUTPUT_LEN] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

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

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::{constant_time, digest, hmac};
use http::HeaderMap;
use http::request::Parts;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::{ServiceError, uri};

pub use canonical::canonical_request;

/// How far a signature's time may lie from the receiver's.
///
/// Source: the services' own sentences ("- 5 min."), streams reference A4.
pub const SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// Longest life of a presigned request: a week.
pub const EXPIRES_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// `x-amz-content-sha256` of a request whose body is not covered by the signature.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

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
        let Scope { date, region, service } = self;
        let _ = write!(out, "{date}/{region}/{service}/{TERMINATOR}");
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

/// What a request says about its sender. Nothing of it is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub form: Form,
    pub access_key_id: String,
    pub scope: Scope,
    /// Lower case, as listed.
    pub signed_headers: Vec<String>,
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
        let header = parts.headers.get(http::header::AUTHORIZATION);
        let query = uri::query_pairs(parts.uri.query().unwrap_or_default());
        let in_query = query.iter().any(|(name, _)| name == "X-Amz-Algorithm");
        match (header, in_query) {
            (Some(_), true) => Err(error(
                "InvalidSignatureException",
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP \
                 header.",
            )),
            (Some(value), false) if value.as_bytes().trim_ascii_start().starts_with(b"AWS4-") => {
                of_header(&String::from_utf8_lossy(value.as_bytes()), &parts.headers)
            }
            (None, true) => of_query(&query),
            (None, false) if query.iter().any(|(n, _)| n.starts_with("X-Amz-")) => of_query(&query),
            _ => Err(error("MissingAuthenticationTokenException", "Missing Authentication Token")),
        }
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
        let [then, now_text] = [signed, now].map(show_time);
        if signed.saturating_add(life) < now {
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
        let mut out = format!("{ALGORITHM}\n{}\n", self.time);
        self.scope.write(&mut out);
        out.push('\n');
        out.push_str(&hex(digest::digest(&digest::SHA256, canonical_request.as_bytes()).as_ref()));
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
        let claimed = unhex(&self.signature).unwrap_or_default();
        if constant_time::verify_slices_are_equal(expected.as_ref(), &claimed).is_ok() {
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
        hex(self.0.finish().as_ref())
    }
}

fn hmac_key(bytes: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}

fn error(code: &'static str, message: impl Into<String>) -> ServiceError {
    ServiceError::new(code, 400, message)
}

fn of_header(value: &str, headers: &HeaderMap) -> Result<Claim, ServiceError> {
    let field = |name: &str| {
        value
            .split([',', ' '])
            .filter_map(|part| part.split_once('='))
            .find_map(|(n, v)| (n == name && !v.is_empty()).then(|| v.to_owned()))
    };
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let [credential, signature, signed_headers] =
        ["Credential", "Signature", "SignedHeaders"].map(|name| (name, field(name)));
    let time = header("x-amz-date").or_else(|| header("date"));
    let mut faults = String::new();
    for (name, found) in [&credential, &signature, &signed_headers] {
        if found.is_none() {
            let _ = write!(faults, "Authorization header requires '{name}' parameter. ");
        }
    }
    if time.is_none() {
        faults.push_str(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
        );
    }
    let (Some(credential), Some(signature), Some(signed_headers), Some(time), true) =
        (credential.1, signature.1, signed_headers.1, time, faults.is_empty())
    else {
        return Err(error(
            "IncompleteSignatureException",
            format!("{faults}Authorization={value}"),
        ));
    };
    let (access_key_id, scope) = split_credential(&credential)?;
    check_algorithm(value.split_ascii_whitespace().next().unwrap_or_default())?;
    checked(Claim {
        form: Form::Header,
        access_key_id,
        scope,
        signed_headers: signed_headers.to_ascii_lowercase().split(';').map(str::to_owned).collect(),
        signature,
        time,
        session_token: header("x-amz-security-token"),
        expires: None,
    })
}

fn of_query(query: &[(String, String)]) -> Result<Claim, ServiceError> {
    let field = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let names = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
        "X-Amz-Date",
    ];
    let found = names.map(|name| field(name).filter(|v| !v.is_empty()));
    let mut faults = String::new();
    for (name, value) in names.iter().zip(&found) {
        if value.is_none() {
            let _ = write!(faults, "AWS query-string parameters must include '{name}'. ");
        }
    }
    let [Some(algorithm), Some(credential), Some(signature), Some(signed_headers), Some(time)] =
        found
    else {
        faults.push_str("Re-examine the query-string parameters.");
        return Err(error("IncompleteSignatureException", faults));
    };
    let (access_key_id, scope) = split_credential(&credential)?;
    check_algorithm(&algorithm)?;
    checked(Claim {
        form: Form::Query,
        access_key_id,
        scope,
        signed_headers: signed_headers.to_ascii_lowercase().split(';').map(str::to_owned).collect(),
        signature,
        time,
        session_token: field("X-Amz-Security-Token"),
        expires: field("X-Amz-Expires").map(|text| parse_expires(&text)).transpose()?,
    })
}

fn check_algorithm(algorithm: &str) -> Result<(), ServiceError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(error(
        "IncompleteSignatureException",
        format!("Unsupported AWS 'algorithm': '{algorithm}'."),
    ))
}

fn parse_expires(text: &str) -> Result<Duration, ServiceError> {
    let secs = text.parse().ok().map(Duration::from_secs);
    secs.filter(|life| (Duration::from_secs(1)..=EXPIRES_MAX).contains(life)).ok_or_else(|| {
        let max = EXPIRES_MAX.as_secs();
        error(
            "IncompleteSignatureException",
            format!("X-Amz-Expires must be between 1 and {max} seconds."),
        )
    })
}

/// What must agree within a claim: the day of its scope and of its time, and the signed host.
fn checked(mut claim: Claim) -> Result<Claim, ServiceError> {
    if let Some(time) = parse_time(&claim.time) {
        claim.time = show_time(time);
        let (day, scope_day) = (&claim.time[..8], &claim.scope.date);
        if day != scope_day {
            return Err(error(
                "InvalidSignatureException",
                format!(
                    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                     from HTTP: '{scope_day}' != '{day}', from '{}'.",
                    claim.time
                ),
            ));
        }
    }
    // The JavaScript SDK signs HTTP/2's own spelling.
    if !claim.signed_headers.iter().any(|name| name == "host" || name == ":authority") {
        return Err(error(
            "InvalidSignatureException",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    Ok(claim)
}

fn split_credential(credential: &str) -> Result<(String, Scope), ServiceError> {
    // From the end: an access key id may hold slashes, the scope's parts can't.
    let mut parts = credential.rsplitn(5, '/');
    let mut next = || parts.next().filter(|p| !p.is_empty()).map(str::to_owned);
    let (terminator, service, region, date, key) = (next(), next(), next(), next(), next());
    match (key, date, region, service, terminator.as_deref()) {
        (Some(key), Some(date), Some(region), Some(service), Some(TERMINATOR)) => {
            Ok((key, Scope { date, region, service }))
        }
        _ => Err(error(
            "IncompleteSignatureException",
            format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            ),
        )),
    }
}

/// Seconds since the epoch of `20150830T123600Z` or of an HTTP date.
fn parse_time(text: &str) -> Option<i64> {
    let civil = jiff::civil::DateTime::strptime(TIME_FORMAT, text)
        .or_else(|_| jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", text));
    Some(civil.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

fn show_time(secs: i64) -> String {
    match Timestamp::from_second(secs) {
        Ok(t) => t.strftime(TIME_FORMAT).to_string(),
        Err(_) => format!("{secs:08}"),
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [HEX[usize::from(b >> 4)] as char, HEX[usize::from(b & 15)] as char])
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, d| byte << 4 | d)).collect())
}

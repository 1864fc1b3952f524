//! Reading a claim out of a request, in the header form and in the query form.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;

use super::time::{is_basic, parse_time, show_time};
use super::{
    ALGORITHM, Claim, EXPIRES_MAX, Form, SIGNED_HEADERS_MAX, Scope, SignedHeaders, TERMINATOR,
    error,
};
use crate::{ServiceError, uri};

/// The services' errors for a missing, doubled or incomplete claim (streams reference A4, 9-12).
pub(super) fn of(parts: &Parts) -> Result<Claim, ServiceError> {
    let header = parts.headers.get(http::header::AUTHORIZATION);
    let query = match parts.uri.query() {
        Some(query) if query.contains("X-Amz-") => uri::query_pairs(query),
        _ => Vec::new(),
    };
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

fn of_header(value: &str, headers: &HeaderMap) -> Result<Claim, ServiceError> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let names = ["Credential", "Signature", "SignedHeaders"];
    let mut found = [None; 3];
    for (name, field) in value.split([',', ' ']).filter_map(|part| part.split_once('=')) {
        if let Some(at) = names.iter().position(|n| *n == name)
            && !field.is_empty()
        {
            found[at] = found[at].or(Some(field));
        }
    }
    let time = header("x-amz-date").or_else(|| header("date"));
    let mut faults = String::new();
    for (name, found) in names.iter().zip(found) {
        if found.is_none() {
            let _ = write!(faults, "Authorization header requires '{name}' parameter. ");
        }
    }
    if time.is_none() {
        faults.push_str(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
        );
    }
    let ([Some(credential), Some(signature), Some(signed)], Some(time)) = (found, time) else {
        return Err(error(
            "IncompleteSignatureException",
            format!("{faults}Authorization={value}"),
        ));
    };
    let (access_key_id, scope) = split_credential(credential)?;
    check_algorithm(value.split_ascii_whitespace().next().unwrap_or_default())?;
    checked(Claim {
        form: Form::Header,
        access_key_id,
        scope,
        signed_headers: signed_headers(signed)?,
        signature: signature.to_owned(),
        time: time.to_owned(),
        session_token: header("x-amz-security-token").map(str::to_owned),
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
    let [Some(algorithm), Some(credential), Some(signature), Some(signed), Some(time)] = found
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
        signed_headers: signed_headers(&signed)?,
        signature,
        time,
        session_token: field("X-Amz-Security-Token"),
        expires: field("X-Amz-Expires").map(|text| parse_expires(&text)).transpose()?,
    })
}

/// # Errors
/// Too many, or one of them twice: nothing that a signer does, but what would make a small request
/// dear.
fn signed_headers(list: &str) -> Result<SignedHeaders, ServiceError> {
    let found = SignedHeaders(list.to_ascii_lowercase());
    let mut names = [""; SIGNED_HEADERS_MAX];
    for (at, name) in found.iter().enumerate() {
        if at == SIGNED_HEADERS_MAX || names[..at].contains(&name) {
            return Err(error(
                "IncompleteSignatureException",
                format!(
                    "SignedHeaders must name each header once and at most {SIGNED_HEADERS_MAX} of \
                     them."
                ),
            ));
        }
        names[at] = name;
    }
    Ok(found)
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
        if !is_basic(&claim.time) {
            claim.time = show_time(time);
        }
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
    if !claim.signed_headers.iter().any(|name| matches!(name, "host" | ":authority")) {
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

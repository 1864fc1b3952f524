//! The one spelling of a request that both sides hash.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::request::Parts;

use super::{Claim, Form};
use crate::uri::{encode, query_pairs};

/// The canonical request: method, path, query, signed headers, their names, and the body's hash.
///
/// A header listed as signed but not sent counts as empty, so that the signature can't match.
pub fn canonical_request(parts: &Parts, claim: &Claim, payload_hash: &str) -> String {
    let mut out = String::with_capacity(512);
    out.push_str(parts.method.as_str());
    out.push('\n');
    out.push_str(&canonical_path(parts.uri.path()));
    out.push('\n');
    write_query(&mut out, parts.uri.query().unwrap_or_default(), claim.form);
    out.push('\n');
    for name in &claim.signed_headers {
        out.push_str(name);
        out.push(':');
        write_header(&mut out, parts, name);
        out.push('\n');
    }
    let _ = write!(out, "\n{}\n{payload_hash}", claim.signed_headers.join(";"));
    out
}

fn write_query(out: &mut String, query: &str, form: Form) {
    let mut pairs: Vec<_> = query_pairs(query)
        .into_iter()
        .filter(|(name, _)| form == Form::Header || name != "X-Amz-Signature")
        .map(|(name, value)| (encode(&name, ""), encode(&value, "")))
        .collect();
    pairs.sort();
    for (i, (name, value)) in pairs.iter().enumerate() {
        let _ = write!(out, "{}{name}={value}", if i == 0 { "" } else { "&" });
    }
}

fn write_header(out: &mut String, parts: &Parts, name: &str) {
    let mut values = parts.headers.get_all(name).iter().peekable();
    if values.peek().is_none() && (name == "host" || name == ":authority") {
        // HTTP/2 has it in the request line.
        out.push_str(parts.uri.authority().map_or("", |a| a.as_str()));
    }
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(',');
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        for (j, word) in text.split([' ', '\t']).filter(|w| !w.is_empty()).enumerate() {
            if j > 0 {
                out.push(' ');
            }
            out.push_str(word);
        }
    }
}

/// The path without `.`, `..` and empty segments, encoded once more than it was sent.
fn canonical_path(path: &str) -> Cow<'_, str> {
    if path == "/" || path.is_empty() {
        return Cow::Borrowed("/");
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            s => kept.push(s),
        }
    }
    let slash = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    Cow::Owned(encode(&format!("/{}{slash}", kept.join("/")), "/"))
}

//! The one spelling of a request that both sides hash.

use http::request::Parts;

use super::{Claim, Form};

/// The canonical request: method, path, query, signed headers, their names, and the body's hash.
///
/// A header listed as signed but not sent counts as empty, so that the signature can't match.
pub fn canonical_request(parts: &Parts, claim: &Claim, payload_hash: &str) -> String {
    let mut out = String::with_capacity(512);
    out.push_str(parts.method.as_str());
    out.push('\n');
    match &*claim.scope.service {
        // S3's object names are what they are.
        "s3" => out.push_str(parts.uri.path()),
        _ => write_path(&mut out, parts.uri.path()),
    }
    out.push('\n');
    write_query(&mut out, parts.uri.query().unwrap_or_default(), claim.form);
    out.push('\n');
    for name in claim.signed_headers.iter() {
        out.push_str(name);
        out.push(':');
        write_header(&mut out, parts, name);
        out.push('\n');
    }
    for line in ["", claim.signed_headers.as_str()] {
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(payload_hash);
    out
}

/// Names and values in one spelling, ordered.
fn write_query(out: &mut String, query: &str, form: Form) {
    if query.is_empty() {
        return;
    }
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (respell(name), respell(value)))
        .filter(|(name, _)| form == Form::Header || name != "X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    for (i, (name, value)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
}

/// Percent-encodes what `text` means, byte by byte.
fn respell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let (byte, after) = match (first, rest) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (value_of(*high) << 4 | value_of(*low), after)
            }
            _ => (*first, rest),
        };
        push_encoded(&mut out, byte);
        bytes = after;
    }
    out
}

fn value_of(hex_digit: u8) -> u8 {
    (hex_digit as char).to_digit(16).expect("a hexadecimal digit was asked for") as u8
}

fn push_encoded(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        out.push(byte as char);
    } else {
        out.push('%');
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
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
        write_value(out, &String::from_utf8_lossy(value.as_bytes()));
    }
}

/// Blanks around it go, those within become one.
fn write_value(out: &mut String, value: &str) {
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let bytes = value.as_bytes();
    let is_plain = !bytes.contains(&b'\t')
        && !bytes.windows(2).any(|pair| pair == b"  ")
        && !bytes.first().is_some_and(|b| is_blank(*b))
        && !bytes.last().is_some_and(|b| is_blank(*b));
    if is_plain {
        return out.push_str(value);
    }
    for (i, word) in value.split([' ', '\t']).filter(|word| !word.is_empty()).enumerate() {
        if i > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}

/// The path without `.`, `..` and empty segments, encoded once more than it was sent.
fn write_path(out: &mut String, path: &str) {
    if path == "/" || path.is_empty() {
        return out.push('/');
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
    for segment in &kept {
        out.push('/');
        segment.bytes().for_each(|byte| push_encoded(out, byte));
    }
    if kept.is_empty() || path.ends_with('/') {
        out.push('/');
    }
}

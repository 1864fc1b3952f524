//! REST-JSON: operations found by method and path, members in labels, query, headers and body.
//!
//! The bindings are data ([`Http`](crate::operation::Http)); shapes are written and read through an
//! encoder and a decoder that send their top-level members to the right place, so that no shape
//! needs code of its own for it.
//!
//! Timestamps are HTTP dates in headers, ISO 8601 in labels and queries, epoch seconds in bodies: the
//! protocol's defaults, which no model of ours overrides.

mod decode;
mod encode;
mod text;

use bytes::Bytes;
use http::HeaderMap;

use crate::codec::{Codec, DecodeError};
use crate::constraint::Missing;
use crate::operation::{Operation, Place, Protocol, Reply};
use crate::uri;
use crate::value::Value;

pub use decode::RestDecoder;
pub use encode::Parts;

/// A path's labels: name and decoded value.
pub type Labels = Vec<(&'static str, String)>;

/// The operation that answers `method` on `path` (both as they came; `query` without its question
/// mark), as an index into `operations`, with the path's labels.
pub fn route(
    operations: &'static [Operation],
    method: &str,
    path: &str,
    query: &str,
) -> Option<(usize, Labels)> {
    let found = operations.iter().enumerate().filter(|(_, op)| op.http.method == method);
    let found = found.filter_map(|(i, op)| Some((i, labels(op.http.uri, path, query)?)));
    // Where several fit, the one with the most literal path is meant.
    found.min_by_key(|(_, labels)| labels.len())
}

fn labels(template: &'static str, path: &str, query: &str) -> Option<Labels> {
    let (template, constants) = template.split_once('?').unwrap_or((template, ""));
    if !constants.split('&').filter(|c| !c.is_empty()).all(|c| query.split('&').any(|q| q == c)) {
        return None;
    }
    let mut labels = Labels::new();
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    for segment in template.split('/').filter(|segment| !segment.is_empty()) {
        let part = parts.next()?;
        match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            None if segment == part => {}
            None => return None,
            Some(label) => match label.strip_suffix('+') {
                None => labels.push((label, uri::decode(part))),
                Some(label) => {
                    let rest = parts.by_ref().fold(part.to_owned(), |all, p| all + "/" + p);
                    labels.push((label, uri::decode(&rest)));
                }
            },
        }
    }
    parts.peek().is_none().then_some(labels)
}

/// A call that arrived at a REST service.
#[derive(Debug)]
pub struct Rest {
    pub labels: Labels,
    /// As it came, without its question mark.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Protocol for Rest {
    fn decode<T: Value>(&self, op: &'static Operation) -> Result<(T, Missing), DecodeError> {
        let query = uri::query_pairs(&self.query);
        let mut decoder = RestDecoder::new(op.http.request, &self.headers, &self.body);
        decoder.labels(&self.labels).query(&query);
        let value = T::decode(&mut decoder)?;
        Ok((value, decoder.finish()?))
    }

    fn encode<T: Value>(&self, op: &'static Operation, output: &T) -> Reply {
        let parts = Parts::of(op.http.response, output);
        let content_type = parts.content_type();
        let status = parts.status.unwrap_or(op.http.status);
        let mut reply = Reply::whole(status, content_type, parts.body.unwrap_or_default());
        for (name, value) in parts.headers {
            match name.eq_ignore_ascii_case("content-type") {
                true => reply.content_type = value.into(),
                false => reply.headers.push((name.into(), value)),
            }
        }
        reply
    }

    fn codec(&self) -> Codec {
        Codec::RestJson
    }
}

/// A call to a REST service, ready to be signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: &'static str,
    /// Path and query.
    pub uri: String,
    pub headers: Vec<(String, String)>,
    /// Nothing where there is no body.
    pub content_type: Option<&'static str>,
    pub body: Bytes,
}

/// Spells a call. A label without a value is spelled empty; the service will refuse it.
pub fn encode_request<T: Value>(op: &'static Operation, input: &T) -> Request {
    let parts = Parts::of(op.http.request, input);
    let (template, constants) = op.http.uri.split_once('?').unwrap_or((op.http.uri, ""));
    let mut spelled = String::new();
    for segment in template.split('/').skip(1) {
        spelled.push('/');
        match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            None => spelled.push_str(segment),
            Some(label) => {
                let keep = if label.ends_with('+') { "/" } else { "" };
                let name = label.trim_end_matches('+');
                let value = parts.labels.iter().find(|(label, _)| *label == name);
                spelled.push_str(&uri::encode(value.map_or("", |(_, v)| v), keep));
            }
        }
    }
    let mut separator = '?';
    let pairs = parts.query.iter().map(|(n, v)| uri::encode(n, "") + "=" + &uri::encode(v, ""));
    for pair in constants.split('&').filter(|c| !c.is_empty()).map(str::to_owned).chain(pairs) {
        spelled.push(separator);
        spelled.push_str(&pair);
        separator = '&';
    }
    let content_type = parts.body.is_some().then(|| parts.content_type());
    Request {
        method: op.http.method,
        uri: spelled,
        headers: parts.headers,
        content_type,
        body: parts.body.unwrap_or_default(),
    }
}

/// Reads the answer of a call that succeeded.
///
/// # Errors
/// As [`Codec::decode`].
pub fn decode_response<T: Value>(
    op: &'static Operation,
    status: u16,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<T, DecodeError> {
    let mut decoder = RestDecoder::new(op.http.response, headers, body);
    decoder.status(status);
    let value = T::decode(&mut decoder)?;
    decoder.finish()?;
    Ok(value)
}

/// Whether the payload of `op`'s input is the body as it is.
pub fn has_payload(op: &Operation) -> bool {
    op.http.request.iter().any(|binding| binding.place == Place::Payload)
}

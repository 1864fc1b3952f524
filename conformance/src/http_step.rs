//! A request as it stands on the wire: what a case of the catalogue says and a client sends.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A request as it stands on the wire.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpStep {
    /// The method; absent: POST.
    #[serde(default = "post")]
    pub method: String,
    /// The path; absent: `/`.
    #[serde(default = "root")]
    pub path: String,
    /// The operation for `X-Amz-Target`; absent: no such header.
    pub op: Option<String>,
    /// The whole `X-Amz-Target`.
    pub target: Option<String>,
    /// `Content-Type`; absent: no such header.
    #[serde(rename = "type")]
    pub content_type: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether credentials are sent.
    #[serde(default = "yes")]
    pub auth: bool,
    /// Text, or `{"$hex": …}`, `{"$json": …}`, `{"$cbor": …}`, `{"$fill": [count, "text"]}`,
    /// `{"$join": [parts…]}`.
    #[serde(default)]
    pub body: Value,
}

fn post() -> String {
    "POST".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn yes() -> bool {
    true
}

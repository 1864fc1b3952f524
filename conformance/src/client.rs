//! What plays a step: one call in, one answer out, in the neutral form.

use anyhow::{Result, bail};
use bytes::Bytes;
use serde_json::Value;

use crate::http_step::HttpStep;

/// One operation to perform. Parameters are in the neutral form (see [`crate::cbor`]).
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation's name, such as `PutRecord`.
    pub operation: String,
    /// Its input.
    pub params: Value,
    /// Sent as the access key id, so that every case has an account to itself.
    pub account: String,
    /// Sent as the region of the credential scope.
    pub region: String,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status, when the client tells it.
    pub status: Option<u16>,
    /// The error, when it was one.
    pub fault: Option<Fault>,
    /// The output in the neutral form; `Null` for a body of zero bytes.
    pub body: Value,
    /// Headers with lower-case names; empty when the client does not tell them.
    pub headers: Vec<(String, String)>,
    /// The body as it came, when the client tells it.
    pub raw: Option<Bytes>,
}

/// An error as a client saw it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The error's type without namespace.
    pub kind: String,
    /// Its sentence, if it had one.
    pub message: Option<String>,
}

impl Answer {
    /// The first header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Something that performs calls against one endpoint.
pub trait Client: Send {
    /// The whole name, for messages: `raw/cbor/h2`.
    fn name(&self) -> String;

    /// The word that `clients` and `not` of a case use: `raw`, `boto3`, `cli`, `js`, `rust`,
    /// `java`, `go`.
    fn family(&self) -> &'static str;

    /// The codec, for cases that depend on it.
    fn codec(&self) -> Codec {
        Codec::Json
    }

    /// Performs one call.
    ///
    /// # Errors
    /// The client could not send it or could not read the answer; an error *answer* is an `Ok`.
    fn call(&mut self, call: &Call) -> Result<Answer>;

    /// Sends one request as written. Only the raw client can.
    ///
    /// # Errors
    /// As [`Client::call`].
    fn http(&mut self, step: &HttpStep, account: &str, region: &str) -> Result<Answer> {
        bail!("{} can't send {:?} for {account} in {region}", self.name(), step.method)
    }
}

/// The two codecs of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    Json,
    Cbor,
}

//! Calls in AWS's query protocol: a form goes out, XML comes back as a tree of elements.
//!
//! For services whose shapes nobody needs as types: IAM and STS, as people manage identities.

use std::fmt::Write as _;

use bytes::Bytes;
use millstream_wire::uri::encode;

use crate::client::Client;
use crate::element::Element;
use crate::error::Error;

impl Client {
    /// Calls an operation of a service that speaks the query protocol, and returns its result
    /// element. Repeats as [`Client::send`] does.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn query(
        &self,
        version: &str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Element, Error> {
        let mut form = format!("Action={operation}&Version={version}");
        for (name, value) in parameters {
            let _ = write!(form, "&{}={}", encode(name, ""), encode(value, ""));
        }
        let request = http::Request::post("/")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("user-agent", crate::client::USER_AGENT)
            .body(Bytes::from(form))
            .expect("constants are header values");
        let answer = self.exchange(&request).await?;
        let text = std::str::from_utf8(answer.body())
            .map_err(|_| Error::Decode(format!("{operation}: not UTF-8")))?;
        let root = Element::parse(text).map_err(|e| Error::Decode(format!("{operation}: {e}")))?;
        let result = root.child(&format!("{operation}Result")).cloned();
        Ok(result.unwrap_or_default())
    }
}

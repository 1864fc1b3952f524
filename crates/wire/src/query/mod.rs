//! AWS's query protocol: a form goes in, XML comes out.
//!
//! A request is a form of dotted names (`MetricData.member.1.MetricName=Requests`), its operation
//! the form's `Action`. An answer is `<XResponse><XResult>…</XResult><ResponseMetadata>…`, an error
//! an `<ErrorResponse>`. Lists lie in `member`, maps in `entry`, `key` and `value`; the flattened
//! forms are read as well.

mod form;
mod xml;

use bytes::Bytes;

use crate::codec::Codec;
use crate::coding::DecodeError;
use crate::constraint::Missing;
use crate::error::ServiceError;
use crate::operation::{Operation, Protocol, QueryNames, Reply};
use crate::value::Value;

pub use form::{Form, FormDecoder, PAIRS_MAX};
pub use xml::XmlEncoder;

/// The content type of requests.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// The content type of answers.
pub const XML: &str = "text/xml";

/// A call in the query protocol.
#[derive(Debug)]
pub struct Query {
    pub form: Form,
    /// Answers carry it in their body.
    pub request_id: String,
}

impl Protocol for Query {
    fn decode<T: Value>(&self, _: &'static Operation) -> Result<(T, Missing), DecodeError> {
        let mut decoder = FormDecoder::new(&self.form);
        Ok((T::decode(&mut decoder)?, decoder.finish()))
    }

    fn encode<T: Value>(&self, op: &'static Operation, output: &T) -> Reply {
        self.reply(op, |xml| {
            xml.open_result(op.name);
            output.encode(xml);
        })
    }

    fn encode_nothing(&self, op: &'static Operation) -> Reply {
        self.reply(op, |_| {})
    }

    /// Of parts that aren't written as query answers are: events.
    fn codec(&self) -> Codec {
        Codec::Json
    }
}

impl Query {
    fn reply(&self, op: &'static Operation, result: impl FnOnce(&mut XmlEncoder)) -> Reply {
        let mut xml = XmlEncoder::default();
        let name = format!("{}Response", op.name);
        xml.open(&name, namespace(op.service.query));
        result(&mut xml);
        xml.open("ResponseMetadata", "");
        xml.element("RequestId", &self.request_id);
        xml.close("ResponseMetadata");
        xml.close(&name);
        Reply::whole(op.http.status, XML, xml.finish().into())
    }
}

/// The body that tells `error`.
pub fn encode_error(error: &ServiceError, names: Option<&QueryNames>, request_id: &str) -> Bytes {
    let mut xml = XmlEncoder::default();
    xml.open("ErrorResponse", namespace(names));
    xml.open("Error", "");
    xml.element("Type", fault(error));
    xml.element("Code", &error.code);
    if let Some(message) = &error.message {
        xml.element("Message", message);
    }
    xml.close("Error");
    xml.element("RequestId", request_id);
    xml.close("ErrorResponse");
    xml.finish().into()
}

/// The value of the header `x-amzn-query-error`, with which a service that once spoke query only
/// tells its old error codes in its newer protocols.
pub fn error_header(error: &ServiceError) -> String {
    format!("{};{}", error.code, fault(error))
}

/// Whose fault an error is.
fn fault(error: &ServiceError) -> &'static str {
    if error.status < 500 { "Sender" } else { "Receiver" }
}

fn namespace(names: Option<&QueryNames>) -> &str {
    names.map_or("", |names| names.namespace)
}

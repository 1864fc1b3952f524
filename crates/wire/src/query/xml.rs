//! Writing XML as the query protocol has it: one element per member, no attributes.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::coding::Encoder;
use crate::time::{self, Time};

/// An [`Encoder`] into XML. Every value stands in the element that was announced last.
#[derive(Debug, Default)]
pub struct XmlEncoder {
    text: String,
    /// The element of the value that comes next.
    next: String,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    element: String,
    is_map: bool,
}

impl XmlEncoder {
    pub fn finish(self) -> String {
        self.text
    }

    /// Opens an element; `namespace` may be empty.
    pub fn open(&mut self, name: &str, namespace: &str) {
        let _ = write!(self.text, "<{name}");
        if !namespace.is_empty() {
            self.text.push_str(" xmlns=\"");
            escape(&mut self.text, namespace);
            self.text.push('"');
        }
        self.text.push('>');
    }

    pub fn close(&mut self, name: &str) {
        let _ = write!(self.text, "</{name}>");
    }

    /// A whole element with text in it.
    pub fn element(&mut self, name: &str, text: &str) {
        self.open(name, "");
        escape(&mut self.text, text);
        self.close(name);
    }

    /// Announces the result of an operation, which is written next.
    pub(super) fn open_result(&mut self, operation: &str) {
        self.next = format!("{operation}Result");
    }

    fn scalar(&mut self, text: &str) {
        let name = std::mem::take(&mut self.next);
        self.element(&name, text);
        self.value_ended();
    }

    fn container(&mut self, is_map: bool) {
        let element = std::mem::take(&mut self.next);
        self.open(&element, "");
        self.open.push(Open { element, is_map });
    }

    fn container_end(&mut self) {
        let ended = self.open.pop().expect("a container ends after it began");
        self.close(&ended.element);
        self.value_ended();
    }

    fn value_ended(&mut self) {
        if self.open.last().is_some_and(|open| open.is_map) {
            self.close("entry");
        }
    }
}

impl Encoder for XmlEncoder {
    fn boolean(&mut self, value: bool) {
        self.scalar(if value { "true" } else { "false" });
    }

    fn long(&mut self, value: i64) {
        self.scalar(&value.to_string());
    }

    fn double(&mut self, value: f64) {
        match value {
            f64::INFINITY => self.scalar("Infinity"),
            f64::NEG_INFINITY => self.scalar("-Infinity"),
            value => self.scalar(&format!("{value:?}")),
        }
    }

    fn string(&mut self, value: &str) {
        self.scalar(value);
    }

    fn blob(&mut self, value: &Bytes) {
        self.scalar(&base64_simd::STANDARD.encode_to_string(value));
    }

    fn time(&mut self, value: Time) {
        self.scalar(&time::iso_date(value));
    }

    fn structure(&mut self, _: usize) {
        self.container(false);
    }

    fn member(&mut self, name: &'static str) {
        name.clone_into(&mut self.next);
    }

    fn structure_end(&mut self) {
        self.container_end();
    }

    fn list(&mut self, _: usize) {
        self.container(false);
    }

    fn item(&mut self) {
        "member".clone_into(&mut self.next);
    }

    fn list_end(&mut self) {
        self.container_end();
    }

    fn map(&mut self, _: usize) {
        self.container(true);
    }

    fn key(&mut self, key: &str) {
        self.open("entry", "");
        self.element("key", key);
        "value".clone_into(&mut self.next);
    }

    fn map_end(&mut self) {
        self.container_end();
    }
}

/// What XML 1.0 can't say at all becomes U+FFFD.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Parsers would make a line feed of it.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'.. => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::value::Value;

    #[test]
    fn text_is_escaped_and_containers_are_closed() {
        let mut xml = XmlEncoder::default();
        xml.member("Map");
        BTreeMap::from([("a<".to_owned(), vec!["\r&\u{1}".to_owned()])]).encode(&mut xml);
        let whole = "<Map><entry><key>a&lt;</key><value><member>&#13;&amp;\u{fffd}</member>\
                     </value></entry></Map>";
        assert_eq!(xml.finish(), whole);
    }
}

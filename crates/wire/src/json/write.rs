//! Writing JSON text.

use base64_simd::STANDARD;
use bytes::Bytes;

use crate::coding::Encoder;
use crate::time::Time;

/// An [`Encoder`] into JSON text.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    text: Vec<u8>,
}

impl JsonEncoder {
    pub fn finish(self) -> Vec<u8> {
        self.text
    }

    /// A comma, unless this is the first part of its container.
    fn comma(&mut self) {
        if !matches!(self.text.last(), Some(b'{' | b'[') | None) {
            self.text.push(b',');
        }
    }

    fn quoted(&mut self, text: &str) {
        self.text.push(b'"');
        // Looks at every byte, many at once; a search would stop at each.
        let special = text.bytes().fold(false, |found, b| found | is_special(b));
        match special {
            false => self.text.extend_from_slice(text.as_bytes()),
            true => self.escaped(text.as_bytes()),
        }
        self.text.push(b'"');
    }

    fn escaped(&mut self, mut rest: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        while let Some(at) = rest.iter().position(|b| is_special(*b)) {
            self.text.extend_from_slice(&rest[..at]);
            match rest[at] {
                b'"' => self.text.extend_from_slice(b"\\\""),
                b'\\' => self.text.extend_from_slice(b"\\\\"),
                b'\n' => self.text.extend_from_slice(b"\\n"),
                b'\r' => self.text.extend_from_slice(b"\\r"),
                b'\t' => self.text.extend_from_slice(b"\\t"),
                b => {
                    let digits = [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]];
                    self.text.extend_from_slice(b"\\u00");
                    self.text.extend_from_slice(&digits);
                }
            }
            rest = &rest[at + 1..];
        }
        self.text.extend_from_slice(rest);
    }
}

/// What stands escaped between quotes.
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

impl Encoder for JsonEncoder {
    fn boolean(&mut self, value: bool) {
        self.text.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn long(&mut self, value: i64) {
        self.text.extend_from_slice(value.to_string().as_bytes());
    }

    fn double(&mut self, value: f64) {
        let text = match value {
            v if v.is_nan() => "\"NaN\"".to_owned(),
            v if v == f64::INFINITY => "\"Infinity\"".to_owned(),
            v if v == f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
            v => format!("{v:?}"),
        };
        self.text.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, value: &str) {
        self.quoted(value);
    }

    fn blob(&mut self, value: &Bytes) {
        self.text.push(b'"');
        STANDARD.encode_append(value, &mut self.text);
        self.text.push(b'"');
    }

    fn time(&mut self, value: Time) {
        self.text.extend_from_slice(value.to_string().as_bytes());
    }

    fn structure(&mut self, _: usize) {
        self.text.push(b'{');
    }

    fn member(&mut self, name: &'static str) {
        self.comma();
        self.text.push(b'"');
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
    }

    fn structure_end(&mut self) {
        self.text.push(b'}');
    }

    fn list(&mut self, _: usize) {
        self.text.push(b'[');
    }

    fn item(&mut self) {
        self.comma();
    }

    fn list_end(&mut self) {
        self.text.push(b']');
    }

    fn map(&mut self, _: usize) {
        self.text.push(b'{');
    }

    fn key(&mut self, key: &str) {
        self.comma();
        self.quoted(key);
        self.text.push(b':');
    }

    fn map_end(&mut self) {
        self.text.push(b'}');
    }
}

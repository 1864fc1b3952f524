//! Writing a structure whose top-level members travel in different places.

use bytes::Bytes;

use super::text;
use crate::coding::Encoder;
use crate::json::JsonEncoder;
use crate::operation::{Binding, Place};
use crate::time::{self, Time};
use crate::value::Value;

/// A structure, taken apart.
#[derive(Debug, Default)]
pub struct Parts {
    pub labels: Vec<(&'static str, String)>,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub status: Option<u16>,
    /// `None` if nothing is left for a body.
    pub body: Option<Bytes>,
    content_type: Option<&'static str>,
}

impl Parts {
    pub fn of<T: Value>(bindings: &'static [Binding], value: &T) -> Parts {
        let payload = bindings.iter().any(|binding| binding.place == Place::Payload);
        let mut encoder = RestEncoder {
            bindings,
            parts: Parts::default(),
            json: JsonEncoder::default(),
            depth: 0,
            to: To::Body,
            texts: Vec::new(),
            payload,
            has_body: !payload && T::MEMBER_COUNT > bindings.len(),
            written: false,
        };
        value.encode(&mut encoder);
        encoder.finish()
    }

    pub fn content_type(&self) -> &'static str {
        self.content_type.unwrap_or("application/json")
    }
}

/// Where the current top-level member goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Body,
    Place(Place),
}

struct RestEncoder {
    bindings: &'static [Binding],
    parts: Parts,
    json: JsonEncoder,
    /// Containers open below the structure itself.
    depth: usize,
    to: To,
    /// The items of a list that is becoming text.
    texts: Vec<String>,
    /// Whether one member is the whole body.
    payload: bool,
    /// Whether there is a body even if no member of it is present.
    has_body: bool,
    /// Whether the body holds anything.
    written: bool,
}

impl RestEncoder {
    fn finish(mut self) -> Parts {
        if self.parts.body.is_none() && self.written {
            self.parts.body = Some(self.json.finish().into());
        }
        self.parts
    }

    /// The place of the current member, if that is not JSON.
    fn place(&self) -> Option<Place> {
        match self.to {
            To::Body | To::Place(Place::Payload) => None,
            To::Place(place) => Some(place),
        }
    }

    fn is_raw(&self) -> bool {
        self.depth == 0 && self.to == To::Place(Place::Payload)
    }

    /// One text for the current place, or one item of a list there.
    fn text(&mut self, text: String) {
        if self.depth > 0 {
            return self.texts.push(text);
        }
        match self.place() {
            Some(Place::Label(name)) => self.parts.labels.push((name, text)),
            Some(Place::Query(name)) => self.parts.query.push((name.to_owned(), text)),
            Some(Place::Header(name)) => self.parts.headers.push((name.to_owned(), text)),
            Some(Place::Status) => self.parts.status = text.parse().ok(),
            Some(Place::Payload) | None => {}
        }
    }

    fn is_header(&self) -> bool {
        matches!(self.place(), Some(Place::Header(_)))
    }

    fn open(&mut self) {
        self.depth += 1;
        self.written = true;
    }
}

impl Encoder for RestEncoder {
    fn boolean(&mut self, value: bool) {
        match self.place() {
            Some(_) => self.text(value.to_string()),
            None => self.json.boolean(value),
        }
    }

    fn long(&mut self, value: i64) {
        match self.place() {
            Some(_) => self.text(value.to_string()),
            None => self.json.long(value),
        }
    }

    fn double(&mut self, value: f64) {
        match self.place() {
            Some(_) if value.is_infinite() => {
                self.text(if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned());
            }
            Some(_) => self.text(format!("{value:?}")),
            None => self.json.double(value),
        }
    }

    fn string(&mut self, value: &str) {
        if self.is_raw() {
            self.parts.content_type = Some("text/plain");
            self.parts.body = Some(Bytes::copy_from_slice(value.as_bytes()));
            return;
        }
        match self.place() {
            Some(_) => self.text(value.to_owned()),
            None => self.json.string(value),
        }
    }

    fn blob(&mut self, value: &Bytes) {
        if self.is_raw() {
            self.parts.content_type = Some("application/octet-stream");
            self.parts.body = Some(value.clone());
            return;
        }
        match self.place() {
            Some(_) => self.text(base64_simd::STANDARD.encode_to_string(value)),
            None => self.json.blob(value),
        }
    }

    fn time(&mut self, value: Time) {
        match self.place() {
            Some(_) if self.is_header() => self.text(time::http_date(value)),
            Some(_) => self.text(time::iso_date(value)),
            None => self.json.time(value),
        }
    }

    fn structure(&mut self, members: usize) {
        if self.to == To::Body && self.depth == 0 && !self.written {
            // The structure itself; the body is opened with its first member.
            return;
        }
        self.open();
        self.json.structure(members);
    }

    fn member(&mut self, name: &'static str) {
        if self.depth > 0 {
            return self.json.member(name);
        }
        let binding = self.bindings.iter().find(|binding| binding.member == name);
        self.to = binding.map_or(To::Body, |binding| To::Place(binding.place));
        if self.to == To::Body && !self.payload {
            if !self.written {
                self.written = true;
                self.json.structure(0);
            }
            self.json.member(name);
        }
    }

    fn structure_end(&mut self) {
        if self.depth > 0 {
            self.depth -= 1;
            self.json.structure_end();
        } else if self.written && !self.payload {
            self.json.structure_end();
        } else if self.has_body {
            self.written = true;
            self.json.structure(0);
            self.json.structure_end();
        }
    }

    fn list(&mut self, items: usize) {
        match self.place() {
            Some(_) => self.depth += 1,
            None => {
                self.open();
                self.json.list(items);
            }
        }
    }

    fn item(&mut self) {
        if self.place().is_none() {
            self.json.item();
        }
    }

    fn list_end(&mut self) {
        self.depth -= 1;
        if self.place().is_none() {
            return self.json.list_end();
        }
        let texts = std::mem::take(&mut self.texts);
        match self.is_header() {
            true => self.text(text::join(&texts)),
            false => texts.into_iter().for_each(|text| self.text(text)),
        }
    }

    fn map(&mut self, entries: usize) {
        self.open();
        self.json.map(entries);
    }

    fn key(&mut self, key: &str) {
        self.json.key(key);
    }

    fn map_end(&mut self) {
        self.depth -= 1;
        self.json.map_end();
    }
}

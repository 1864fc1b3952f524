//! A value of any shape of a model that is read at run time, for AWS's protocol cases.

#![allow(clippy::disallowed_methods, dead_code)]

use std::cell::Cell;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use millstream_wire::check::{Check, MemberInfo};
use millstream_wire::operation::{Binding, Place};
use millstream_wire::value::{Shown, Validator};
use millstream_wire::{Codec, DecodeError, Decoder, Encoder, Time, Value};
use serde_json::{Map, Value as Json, json};

/// One case, with the shapes it speaks about.
pub struct Case {
    pub json: Json,
    shapes: &'static Json,
}

/// The cases of a file that use only what our models use.
pub fn cases(file: &str) -> Vec<Case> {
    let path = format!("{}/tests/data/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("cases, made by cargo xtask models");
    let suites: Vec<Json> = serde_json::from_str(&text).expect("cases");
    let all = suites.into_iter().flat_map(|mut suite| {
        let shapes: &'static Json = Box::leak(Box::new(suite["shapes"].take()));
        let cases = suite["cases"].as_array().cloned().unwrap_or_default();
        cases.into_iter().map(move |json| Case { json, shapes })
    });
    all.filter(Case::is_ours).collect()
}

/// What none of our models has.
fn is_foreign(part: &Json) -> bool {
    let foreign = ["document", "jsonvalue", "timestampFormat"];
    foreign.iter().any(|key| !part[*key].is_null())
}

impl Case {
    fn is_ours(&self) -> bool {
        let given = self.json["given"].to_string();
        let foreign = ["requestcompression", "httpChecksum"].iter().any(|key| given.contains(key));
        let (side, value) = match self.json["response"].is_null() {
            true => ("input", &self.json["params"]),
            false => ("output", &self.json["result"]),
        };
        !foreign && self.shape(side).is_none_or(|shape| shape.is_ours(value))
    }

    pub fn id(&self) -> &str {
        self.json["id"].as_str().unwrap_or_default()
    }

    pub fn is_error(&self) -> bool {
        self.json["errorCode"].is_string()
    }

    pub fn shape(&self, side: &str) -> Option<Shape> {
        let name = self.json["given"][side]["shape"].as_str()?;
        Some(Shape { shapes: self.shapes, name: name.to_owned().leak() })
    }

    /// CBOR bodies are kept as base64.
    pub fn body(&self, text: &str, codec: Codec) -> Bytes {
        match codec.is_cbor() {
            true => base64_simd::STANDARD.decode_to_vec(text).expect("base64").into(),
            false => text.to_owned().into(),
        }
    }

    pub fn headers(&self, side: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.json[side]["headers"].as_object().into_iter().flatten() {
            let name: HeaderName = name.parse().expect("a header's name");
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            headers.append(name, value.parse().expect("a header's value"));
        }
        headers
    }
}

/// The places of the members of a case's input or output.
pub fn bindings(case: &Case, side: &str) -> &'static [Binding] {
    let Some(shape) = case.shape(side) else { return &[] };
    let json = shape.json();
    let mut bindings = Vec::new();
    for (name, member) in json["members"].as_object().into_iter().flatten() {
        let wire: &'static str = member["locationName"].as_str().unwrap_or(name).to_owned().leak();
        let place = match member["location"].as_str() {
            Some("uri") => Place::Label(wire),
            Some("querystring") => Place::Query(wire),
            Some("header") => Place::Header(wire),
            Some("statusCode") => Place::Status,
            _ if json["payload"] == name.as_str() => Place::Payload,
            _ => continue,
        };
        bindings.push(Binding { member: wire_name(name, member), place });
    }
    bindings.leak()
}

fn wire_name(name: &str, member: &Json) -> &'static str {
    let renamed = member["location"].is_null().then(|| member["locationName"].as_str()).flatten();
    renamed.unwrap_or(name).to_owned().leak()
}

/// A shape by its name.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    shapes: &'static Json,
    name: &'static str,
}

thread_local! {
    static NEXT: Cell<Option<Shape>> = const { Cell::new(None) };
}

impl Shape {
    /// The next [`Dynamic`] that is decoded is of this shape.
    pub fn expect_next(self) {
        NEXT.set(Some(self));
    }

    fn json(self) -> &'static Json {
        &self.shapes[self.name]
    }

    fn kind(self) -> &'static str {
        self.json()["type"].as_str().expect("a shape's type")
    }

    fn of(self, part: &'static Json) -> Shape {
        Shape { shapes: self.shapes, name: part["shape"].as_str().expect("a shape's name") }
    }

    fn members(self) -> Vec<(&'static str, &'static Json)> {
        let members = self.json()["members"].as_object().into_iter().flatten();
        members.map(|(name, member)| (name.as_str(), member)).collect()
    }

    /// Whether the parts of `value` and this shape itself are of kinds that our models have.
    fn is_ours(self, value: &Json) -> bool {
        let json = self.json();
        if is_foreign(json) {
            return false;
        }
        let inner =
            |part: &'static Json, value: &Json| !is_foreign(part) && self.of(part).is_ours(value);
        let members = self.members().into_iter().all(|(name, member)| {
            let in_map = !member["location"].is_null() && self.of(member).kind() == "map";
            let made_up = !member["idempotencyToken"].is_null();
            !in_map && !made_up && (value[name].is_null() || inner(member, &value[name]))
        });
        let items = value.as_array().into_iter().flatten().all(|item| inner(&json["member"], item));
        let values = match json["value"].is_null() {
            true => true,
            false => value.as_object().into_iter().flatten().all(|(_, v)| inner(&json["value"], v)),
        };
        members && items && values
    }

    fn encode(self, value: &Json, e: &mut dyn Encoder) {
        match self.kind() {
            "structure" => {
                let given = |(name, _): &(&str, &Json)| !value[*name].is_null();
                let present: Vec<_> = self.members().into_iter().filter(given).collect();
                e.structure(present.len());
                for (name, member) in present {
                    e.member(wire_name(name, member));
                    self.of(member).encode(&value[name], e);
                }
                e.structure_end();
            }
            "list" => {
                let items = value.as_array().expect("a list");
                e.list(items.len());
                for item in items {
                    e.item();
                    self.of(&self.json()["member"]).encode(item, e);
                }
                e.list_end();
            }
            "map" => {
                let entries = value.as_object().expect("a map");
                e.map(entries.len());
                for (key, value) in entries {
                    e.key(key);
                    self.of(&self.json()["value"]).encode(value, e);
                }
                e.map_end();
            }
            "boolean" => e.boolean(value.as_bool().expect("a boolean")),
            "integer" | "long" => e.long(value.as_i64().expect("a whole number")),
            "float" | "double" => e.double(number(value)),
            "timestamp" => e.time(Time::from_secs_f64(number(value))),
            "blob" => e.blob(&Bytes::from(value.as_str().expect("a text").to_owned())),
            _ => e.string(value.as_str().expect("a text")),
        }
    }

    fn decode(self, d: &mut dyn Decoder) -> Result<Json, DecodeError> {
        Ok(match self.kind() {
            "structure" => {
                let members = self.members();
                let info = |(name, member): &(&'static str, &Json)| MemberInfo {
                    name: wire_name(name, member),
                    required: false,
                    checks: &[],
                };
                let infos: &'static [MemberInfo] =
                    members.iter().map(info).collect::<Vec<_>>().leak();
                let mut object = Map::new();
                d.structure()?;
                while let Some(index) = d.member(infos)? {
                    let (name, member) = members[index];
                    object.insert(name.to_owned(), self.of(member).decode(d)?);
                }
                Json::Object(object)
            }
            "list" => {
                let mut items = Vec::new();
                d.list()?;
                while d.item()? {
                    items.push(self.of(&self.json()["member"]).decode(d)?);
                }
                Json::Array(items)
            }
            "map" => {
                let mut entries = Map::new();
                d.map()?;
                while let Some(key) = d.key()? {
                    entries.insert(key, self.of(&self.json()["value"]).decode(d)?);
                }
                Json::Object(entries)
            }
            "boolean" => d.boolean()?.into(),
            "integer" => d.integer()?.into(),
            "long" => d.long()?.into(),
            "float" | "double" => match d.double()? {
                v if v.is_nan() => json!("NaN"),
                v if v.is_infinite() => json!(if v > 0.0 { "Infinity" } else { "-Infinity" }),
                v => json!(v),
            },
            "timestamp" => json!(d.time()?.as_secs_f64()),
            "blob" => String::from_utf8_lossy(&d.blob()?).into_owned().into(),
            _ => d.string()?.into(),
        })
    }
}

fn number(value: &Json) -> f64 {
    match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => value.as_f64().expect("a number"),
    }
}

/// A value with its shape.
#[derive(Debug, Default)]
pub struct Dynamic {
    shape: Option<Shape>,
    value: Json,
}

impl Dynamic {
    pub fn new(shape: Shape, value: &Json) -> Self {
        Dynamic { shape: Some(shape), value: value.clone() }
    }

    pub fn into_json(self) -> Json {
        self.value
    }
}

impl Value for Dynamic {
    fn encode(&self, e: &mut dyn Encoder) {
        self.shape.expect("a value to encode has a shape").encode(&self.value, e);
    }

    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        let shape = NEXT.get().expect("a shape to expect");
        Ok(Dynamic { shape: Some(shape), value: shape.decode(d)? })
    }

    fn validate(&self, _: &mut Validator<'_>, _: &'static [Check]) {}

    fn show(&self, _: &mut Shown) {}
}

/// Equal but for how numbers are spelled, for nulls, and for members that say nothing.
pub fn agree(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            let [left, right] = [left, right].map(|n| n.as_f64().unwrap_or(f64::NAN));
            (left - right).abs() <= 1e-6 * left.abs().max(1.0)
        }
        (Json::Array(left), Json::Array(right)) => {
            let right: Vec<_> = right.iter().filter(|item| !item.is_null()).collect();
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| agree(l, r))
        }
        (Json::Object(left), Json::Object(right)) => {
            let keys = left.keys().chain(right.keys());
            keys.into_iter().all(|key| {
                let of = |object: &Map<String, Json>| object.get(key).cloned().unwrap_or_default();
                agree(&of(left), &of(right))
            })
        }
        (Json::Null, right) => says_nothing(right),
        (left, Json::Null) => says_nothing(left),
        _ => left == right,
    }
}

fn says_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.values().all(says_nothing),
        Json::String(text) => text.is_empty(),
        _ => false,
    }
}

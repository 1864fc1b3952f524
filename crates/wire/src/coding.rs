//! A place to write values to, and a place to pull values from.
//!
//! Shapes speak to `dyn Encoder` and `dyn Decoder` only, so that one generated body per shape serves
//! every protocol, and a further protocol costs no generated code.

use bytes::Bytes;

use crate::constraint::{MemberInfo, Missing, push_item, push_key, push_member};
use crate::text::Text;
use crate::time::Time;

/// Most containers within each other, in either direction of any codec.
///
/// The deepest request that the services themselves accept is DynamoDB's 32 levels of attribute
/// values, three containers each.
pub const DEPTH_MAX: usize = 128;

/// Most items and entries of all lists and maps of one body: three bytes of text may become a
/// hundred of memory, before anybody can say that they are too many.
///
/// The most that a service itself takes are PutMetricData's 1,000 metrics of 150 values and counts
/// each.
pub const PARTS_MAX: u32 = 400_000;

/// Why bytes are not the value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON or CBOR at all, nested too deeply, or not an object on top.
    #[error("the body cannot be parsed")]
    Malformed,
    /// Parsable, but a value has the wrong type; the sentence is the service's.
    #[error("{0}")]
    Mismatch(String),
}

/// Where values are written. Containers announce their length, each part announces itself.
pub trait Encoder {
    fn boolean(&mut self, value: bool);
    fn long(&mut self, value: i64);
    fn double(&mut self, value: f64);
    fn string(&mut self, value: &str);
    fn blob(&mut self, value: &Bytes);
    fn time(&mut self, value: Time);
    fn structure(&mut self, members: usize);
    /// Announces the member whose value is written next.
    fn member(&mut self, name: &'static str);
    fn structure_end(&mut self);
    fn list(&mut self, items: usize);
    /// Announces that the next item is written next.
    fn item(&mut self);
    fn list_end(&mut self);
    fn map(&mut self, entries: usize);
    /// Announces the entry whose value is written next.
    fn key(&mut self, key: &str);
    fn map_end(&mut self);
}

/// Where values are pulled from, in the order in which they come.
///
/// Nulls and unknown members never reach the puller. All errors are final: after one the decoder
/// must not be used again.
pub trait Decoder {
    fn boolean(&mut self) -> Result<bool, DecodeError>;
    /// Floored and clamped, as the services do.
    fn integer(&mut self) -> Result<i32, DecodeError>;
    /// Floored and clamped, as the services do.
    fn long(&mut self) -> Result<i64, DecodeError>;
    fn double(&mut self) -> Result<f64, DecodeError>;
    fn string(&mut self) -> Result<String, DecodeError>;
    fn blob(&mut self) -> Result<Bytes, DecodeError>;
    /// A string that may share its memory with others.
    fn shared_text(&mut self) -> Result<Text, DecodeError> {
        self.string().map(Text::from)
    }
    fn time(&mut self) -> Result<Time, DecodeError>;
    /// A string that should be one of `values` but need not be.
    fn enumeration(&mut self, _values: &'static [&'static str]) -> Result<String, DecodeError> {
        self.string()
    }
    fn structure(&mut self) -> Result<(), DecodeError>;
    /// The index of the next member that is one of `members` and not null; `None` ends the structure.
    fn member(&mut self, members: &'static [MemberInfo]) -> Result<Option<usize>, DecodeError>;
    fn list(&mut self) -> Result<(), DecodeError>;
    /// Whether a further item follows; `false` ends the list.
    fn item(&mut self) -> Result<bool, DecodeError>;
    fn map(&mut self) -> Result<(), DecodeError>;
    /// The key of the next entry; `None` ends the map.
    fn key(&mut self) -> Result<Option<String>, DecodeError>;
    /// Takes note that the structure that just ended lacks a required member.
    fn absent(&mut self, member: &'static str);
}

/// The types a shape can ask for, as the services' sentences name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    String,
    Integer,
    Long,
    Double,
    Boolean,
    Blob,
    Time,
    List,
    Map,
    Structure,
}

/// The types a body can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got<'a> {
    String(&'a str),
    Number,
    Boolean,
    Blob,
    List,
    Structure,
    Null,
}

/// The service's sentence for one type where another was asked for (streams reference, D5).
pub(crate) fn mismatch(asked: Asked, got: Got<'_>) -> DecodeError {
    let class = match got {
        Got::List => return sentence("Start of list found where not expected"),
        Got::Structure => return sentence("Start of structure or map found where not expected."),
        _ if asked == Asked::List => return sentence("Expected list or null"),
        _ if asked == Asked::Map => return sentence("Expected map or null"),
        _ if asked == Asked::Structure => return sentence("Expected null"),
        Got::String(text) if asked == Asked::Boolean => {
            return sentence(&format!("'{text}' can not be converted to an Boolean"));
        }
        Got::String(_) => "java.lang.String",
        Got::Number => "com.amazon.coral.value.json.numbers.TruncatingBigNumber",
        Got::Boolean => "java.lang.Boolean",
        Got::Blob => "java.nio.HeapByteBuffer",
        Got::Null => return DecodeError::Malformed,
    };
    let target = match asked {
        Asked::String => "an String",
        Asked::Integer => "an Integer",
        Asked::Long => "an Long",
        Asked::Double => "an Double",
        Asked::Boolean => "an Boolean",
        Asked::Blob => "a Blob",
        Asked::Time => "milliseconds since epoch",
        Asked::List | Asked::Map | Asked::Structure => unreachable!("answered above"),
    };
    sentence(&format!("class {class} can not be converted to {target}"))
}

fn sentence(text: &str) -> DecodeError {
    DecodeError::Mismatch(text.to_owned())
}

/// The containers a decoder is inside of, and what was missing in those it left.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    stack: Vec<Frame>,
    /// Items and entries handed out so far.
    parts: u32,
    pub(crate) missing: Missing,
}

#[derive(Debug)]
pub(crate) struct Frame {
    place: Place,
    /// Values still to come, where the codec says so beforehand.
    pub(crate) left: Option<u64>,
    /// Parts seen so far: items, entries or members.
    pub(crate) seen: u64,
}

#[derive(Debug)]
enum Place {
    Structure(&'static str),
    List,
    Map(String),
}

impl Frames {
    pub(crate) fn depth(&self) -> usize {
        self.stack.len()
    }

    pub(crate) fn structure(&mut self, left: Option<u64>) -> Result<(), DecodeError> {
        self.push(Place::Structure(""), left)
    }

    pub(crate) fn list(&mut self, left: Option<u64>) -> Result<(), DecodeError> {
        self.push(Place::List, left)
    }

    pub(crate) fn map(&mut self, left: Option<u64>) -> Result<(), DecodeError> {
        self.push(Place::Map(String::new()), left)
    }

    fn push(&mut self, place: Place, left: Option<u64>) -> Result<(), DecodeError> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(DecodeError::Malformed);
        }
        self.stack.push(Frame { place, left, seen: 0 });
        Ok(())
    }

    pub(crate) fn pop(&mut self) {
        self.stack.pop();
    }

    /// The innermost container; callers are inside of one whenever they ask for its next part.
    pub(crate) fn top(&mut self) -> &mut Frame {
        self.stack.last_mut().expect("inside a container while its parts are asked for")
    }

    /// Counts an item or an entry.
    pub(crate) fn part(&mut self) -> Result<(), DecodeError> {
        self.parts += 1;
        if self.parts > PARTS_MAX { Err(DecodeError::Malformed) } else { Ok(()) }
    }

    pub(crate) fn at_member(&mut self, name: &'static str) {
        self.top().place = Place::Structure(name);
    }

    pub(crate) fn at_key(&mut self, key: &str) {
        self.top().place = Place::Map(key.to_owned());
    }

    pub(crate) fn absent(&mut self, member: &'static str) {
        let mut path = String::new();
        for frame in &self.stack {
            match &frame.place {
                Place::Structure(name) => push_member(&mut path, name),
                Place::List => push_item(&mut path, frame.seen),
                Place::Map(key) => push_key(&mut path, key),
            }
        }
        push_member(&mut path, member);
        self.missing.insert(path);
    }
}

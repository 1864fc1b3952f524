//! AWS's protocols as pure functions: shapes, JSON, REST-JSON, CBOR, query and XML, event streams,
//! errors, SigV4.
//!
//! A shape is declared once with [`shape!`] and thereby speaks every codec ([`Value`]). A service is
//! declared once with [`operations!`] and thereby has a trait to implement, a table and a dispatcher.
//! The declarations themselves are generated into `millstream-api`.
//!
//! Invariant: names no service, does no I/O, reads no clock.
//! Invariant: no input makes it panic, recurse without bound, or allocate more than a small multiple
//! of the input's length.

pub mod buffers;
pub mod cbor;
pub mod check;
pub mod codec;
mod coding;
mod constraint;
pub mod error;
pub mod events;
pub mod json;
pub mod operation;
pub mod pattern;
pub mod query;
pub mod rest;
#[cfg(feature = "test-support")]
pub mod sample;
mod shape;
pub mod sigv4;
pub mod text;
pub mod time;
pub mod uri;
pub mod value;
#[doc(hidden)]
pub mod visit;

pub use check::{Check, MemberInfo, Missing};
pub use codec::{Codec, DecodeError, Decoder, Encoder};
pub use error::ServiceError;
pub use events::{Event, Events};
pub use operation::{Operation, Protocol, Reply, Rpc, Service};
pub use text::Text;
pub use time::Time;
pub use value::{Structure, Value};

/// What generated files import.
pub mod prelude {
    pub use std::collections::BTreeMap;

    pub use bytes::Bytes;

    pub use crate::{Text, Time, enumeration, errors, events, operations, shape};
}

/// What the macros name; not for people.
#[doc(hidden)]
pub mod hidden {
    pub use bytes::Bytes;

    pub use crate::codec::Codec;
    pub use crate::coding::{DecodeError, Decoder, Encoder};
    pub use crate::constraint::{Check, MemberInfo, build};
    pub use crate::events::Event;
    pub use crate::json::object_hash;
    pub use crate::value::{Member, Shown, Structure, Validator, Value, constraint_enum};
    pub use crate::visit::ShapeVisitor;
}

//! Listening in: what went into a call and what came out of it, without secrets and record data.
//!
//! A protocol that decodes and encodes as the one within, and retells both typed values on the way.
//! So every operation of every service is heard, the ones to come too.

use std::sync::OnceLock;

use millstream_wire::check::Missing;
use millstream_wire::{Codec, DecodeError, Operation, Protocol, Reply, Value};
use serde_json::Value as Json;

use super::kinds::Kind;
use super::retold::retell;

/// What was heard of one call.
#[derive(Debug)]
pub struct Notes {
    answer_wanted: bool,
    request: OnceLock<Json>,
    response: OnceLock<Json>,
}

impl Notes {
    /// CloudTrail tells answers of calls that change something only.
    pub fn new(kind: Kind, operation: &str) -> Self {
        let answer_wanted = kind == Kind::Write || operation.starts_with("Put");
        Notes { answer_wanted, request: OnceLock::new(), response: OnceLock::new() }
    }

    /// The input, if it could be decoded.
    pub fn request(&self) -> Option<&Json> {
        self.request.get()
    }

    pub fn response(&self) -> Option<&Json> {
        self.response.get()
    }
}

/// A protocol that is listened to.
pub struct Heard<'a, P> {
    protocol: P,
    notes: Option<&'a Notes>,
}

impl<'a, P> Heard<'a, P> {
    pub fn new(protocol: P, notes: Option<&'a Notes>) -> Self {
        Heard { protocol, notes }
    }
}

impl<P: Protocol> Protocol for Heard<'_, P> {
    fn decode<T: Value>(&self, op: &'static Operation) -> Result<(T, Missing), DecodeError> {
        let decoded = self.protocol.decode::<T>(op)?;
        if let Some(notes) = self.notes {
            let _ = notes.request.set(retell(&decoded.0));
        }
        Ok(decoded)
    }

    fn encode<T: Value>(&self, op: &'static Operation, output: &T) -> Reply {
        if let Some(notes) = self.notes.filter(|notes| notes.answer_wanted) {
            let _ = notes.response.set(retell(output));
        }
        self.protocol.encode(op, output)
    }

    fn encode_nothing(&self, op: &'static Operation) -> Reply {
        self.protocol.encode_nothing(op)
    }

    fn codec(&self) -> Codec {
        self.protocol.codec()
    }
}

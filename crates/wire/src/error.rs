//! Errors as they travel: code, status, message, and the members a modelled error may carry.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::Codec;
use crate::coding::{DecodeError, Decoder, Encoder};
use crate::constraint::{Check, MemberInfo};
use crate::value::{Shown, Structure, Validator, Value};

/// Most bytes of a code or message that we read out of a foreign body.
pub const ERROR_TEXT_MAX: usize = 64 << 10;

/// An error of a service, on its way to a client or received from one.
///
/// The body is a map of `__type` (the bare code) and `message`; SerializationException spells the
/// latter `Message`, and some errors have none (streams reference, A1 and A4).
#[derive(Clone, thiserror::Error)]
#[error("{code}{}", display_message(.message))]
pub struct ServiceError {
    pub code: Cow<'static, str>,
    /// The HTTP status: 400 for a caller's fault, 500 for ours, unless the model says otherwise.
    pub status: u16,
    pub message: Option<String>,
    /// Further members of the modelled error.
    pub members: Option<Arc<dyn ErrorMembers>>,
}

/// The members of a modelled error beside its message.
pub trait ErrorMembers: Send + Sync + fmt::Debug {
    fn present(&self) -> usize;
    fn encode_members(&self, e: &mut dyn Encoder);
}

impl<T: Structure + Send + Sync + fmt::Debug> ErrorMembers for T {
    fn present(&self) -> usize {
        Structure::present(self)
    }

    fn encode_members(&self, e: &mut dyn Encoder) {
        Structure::encode_members(self, e);
    }
}

impl ServiceError {
    pub fn new(
        code: impl Into<Cow<'static, str>>,
        status: u16,
        message: impl Into<String>,
    ) -> Self {
        let message = Some(message.into());
        ServiceError { code: code.into(), status, message, members: None }
    }

    /// An error without a sentence.
    pub fn bare(code: impl Into<Cow<'static, str>>, status: u16) -> Self {
        ServiceError { code: code.into(), status, message: None, members: None }
    }

    /// Adds what the modelled error `shape` holds; its message member must be left out of `shape`.
    pub fn with_members(
        mut self,
        shape: impl Structure + Send + Sync + fmt::Debug + 'static,
    ) -> Self {
        self.members = Some(Arc::new(shape));
        self
    }

    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", 400, message)
    }

    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", 400, message)
    }

    pub fn unknown_operation() -> Self {
        Self::bare("UnknownOperationException", 400)
    }

    pub fn internal_failure(message: impl Into<String>) -> Self {
        Self::new("InternalFailure", 500, message)
    }

    /// The value of the `x-amzn-errortype` header.
    pub fn error_type(&self) -> &str {
        &self.code
    }

    pub fn encode(&self, codec: Codec) -> Bytes {
        codec.encode(&Envelope(self))
    }

    /// Reads an error answer: the code from `__type` or `code` of the body, else from the
    /// `x-amzn-errortype` header, else the status itself; a namespace before `#` and anything from
    /// `:` on is cut off.
    pub fn decode(codec: Codec, status: u16, error_type: Option<&str>, body: &Bytes) -> Self {
        let read = codec.decode::<Read>(body).map(|(read, _)| read).unwrap_or_default();
        let code = read.code.or(error_type.map(str::to_owned));
        let code = code.map_or_else(|| status.to_string(), |code| bare_code(&code).to_owned());
        ServiceError { code: code.into(), status, message: read.message, members: None }
    }
}

impl fmt::Debug for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceError")
            .field("code", &self.code)
            .field("status", &self.status)
            .field("message", &self.message)
            .field("members", &self.members)
            .finish()
    }
}

/// Equal when a client sees the same code, status and message.
impl PartialEq for ServiceError {
    fn eq(&self, other: &Self) -> bool {
        (&self.code, self.status, &self.message) == (&other.code, other.status, &other.message)
    }
}

impl From<DecodeError> for ServiceError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed => Self::bare("SerializationException", 400),
            DecodeError::Mismatch(sentence) => Self::serialization(sentence),
        }
    }
}

fn display_message(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}

fn bare_code(code: &str) -> &str {
    let code = code.rsplit_once('#').map_or(code, |(_, bare)| bare);
    code.split_once(':').map_or(code, |(bare, _)| bare)
}

struct Envelope<'a>(&'a ServiceError);

impl Value for Envelope<'_> {
    fn encode(&self, e: &mut dyn Encoder) {
        let error = self.0;
        let further = error.members.as_ref().map_or(0, |members| members.present());
        e.structure(1 + usize::from(error.message.is_some()) + further);
        e.member("__type");
        e.string(&error.code);
        if let Some(message) = &error.message {
            let serialization = error.code == "SerializationException";
            e.member(if serialization { "Message" } else { "message" });
            e.string(message);
        }
        if let Some(members) = &error.members {
            members.encode_members(e);
        }
        e.structure_end();
    }

    fn decode(_: &mut dyn Decoder) -> Result<Self, DecodeError> {
        Err(DecodeError::Malformed)
    }

    fn validate(&self, _: &mut Validator<'_>, _: &'static [Check]) {}

    fn show(&self, _: &mut Shown) {}
}

#[derive(Default)]
struct Read {
    code: Option<String>,
    message: Option<String>,
}

impl Value for Read {
    fn encode(&self, _: &mut dyn Encoder) {}

    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        const fn member(name: &'static str) -> MemberInfo {
            MemberInfo { name, required: false, checks: &[] }
        }
        static MEMBERS: [MemberInfo; 4] =
            [member("__type"), member("code"), member("message"), member("Message")];
        let mut read = Read::default();
        d.structure()?;
        while let Some(index) = d.member(&MEMBERS)? {
            let mut text = d.string()?;
            text.truncate(text.floor_char_boundary(ERROR_TEXT_MAX));
            match index {
                0 | 1 => read.code = Some(text),
                _ => read.message = Some(text),
            }
        }
        Ok(read)
    }

    fn validate(&self, _: &mut Validator<'_>, _: &'static [Check]) {}

    fn show(&self, _: &mut Shown) {}
}

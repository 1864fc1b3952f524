//! CBOR as the services speak it: definite lengths out, both forms in, blobs as byte strings.
//!
//! Decoded blobs are slices of the body; nothing is allocated for a length that a stranger merely
//! declares.

use bytes::Bytes;
use minicbor::data::Type;

use crate::coding::{Asked, DEPTH_MAX, DecodeError, Decoder, Encoder, Frames, Got, mismatch};
use crate::constraint::{MemberInfo, Missing};
use crate::json::find;
use crate::text::Text;
use crate::time::Time;
use crate::value::Value;

/// What a number under tag 1 counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// `application/x-amz-cbor-1.1`, contrary to RFC 8949.
    Millis,
    /// RFC 8949 and Smithy RPC v2.
    Seconds,
}

pub fn encode<T: Value>(value: &T, unit: TimeUnit) -> Vec<u8> {
    let mut encoder = CborEncoder::new(unit);
    value.encode(&mut encoder);
    encoder.finish()
}

/// # Errors
/// [`DecodeError::Malformed`] wins over a mismatch earlier in the body, as with JSON.
pub fn decode<T: Value>(body: &Bytes, unit: TimeUnit) -> Result<(T, Missing), DecodeError> {
    let mut decoder = CborDecoder::new(body, unit);
    let value = T::decode(&mut decoder).and_then(|value| Ok((value, decoder.finish()?)));
    match value {
        Err(DecodeError::Mismatch(_)) if !is_cbor(body) => Err(DecodeError::Malformed),
        other => other,
    }
}

/// Whether `body` is one CBOR item, nested no deeper than we read.
pub fn is_cbor(body: &Bytes) -> bool {
    let mut decoder = CborDecoder::new(body, TimeUnit::Millis);
    decoder.skip_value(0).and_then(|()| decoder.finish()).is_ok()
}

/// An [`Encoder`] into CBOR.
#[derive(Debug)]
pub struct CborEncoder {
    out: Vec<u8>,
    unit: TimeUnit,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

impl CborEncoder {
    pub fn new(unit: TimeUnit) -> Self {
        CborEncoder { out: Vec::new(), unit }
    }

    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        match value {
            0..24 => self.out.push(major | value as u8),
            24..0x100 => self.out.extend_from_slice(&[major | 24, value as u8]),
            0x100..0x1_0000 => {
                self.out.push(major | 25);
                self.out.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..0x1_0000_0000 => {
                self.out.push(major | 26);
                self.out.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend_from_slice(&value.to_be_bytes());
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }
}

impl Encoder for CborEncoder {
    fn boolean(&mut self, value: bool) {
        self.out.push(if value { 0xf5 } else { 0xf4 });
    }

    fn long(&mut self, value: i64) {
        match value {
            0.. => self.head(UNSIGNED, value.unsigned_abs()),
            _ => self.head(NEGATIVE, value.unsigned_abs() - 1),
        }
    }

    fn double(&mut self, value: f64) {
        self.out.push(0xfb);
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn string(&mut self, value: &str) {
        self.text(value);
    }

    fn blob(&mut self, value: &Bytes) {
        self.head(BYTES, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    fn time(&mut self, value: Time) {
        self.head(TAG, 1);
        let ms = value.as_millis();
        match self.unit {
            TimeUnit::Millis => self.long(ms),
            TimeUnit::Seconds if ms % 1000 == 0 => self.long(ms / 1000),
            TimeUnit::Seconds => self.double(ms as f64 / 1000.0),
        }
    }

    fn structure(&mut self, members: usize) {
        self.head(MAP, members as u64);
    }

    fn member(&mut self, name: &'static str) {
        self.text(name);
    }

    fn structure_end(&mut self) {}

    fn list(&mut self, items: usize) {
        self.head(ARRAY, items as u64);
    }

    fn item(&mut self) {}

    fn list_end(&mut self) {}

    fn map(&mut self, entries: usize) {
        self.head(MAP, entries as u64);
    }

    fn key(&mut self, key: &str) {
        self.text(key);
    }

    fn map_end(&mut self) {}
}

/// A [`Decoder`] over CBOR.
#[derive(Debug)]
pub struct CborDecoder<'a> {
    body: &'a Bytes,
    tokens: minicbor::Decoder<'a>,
    frames: Frames,
    unit: TimeUnit,
}

type Result<T, E = DecodeError> = std::result::Result<T, E>;

impl From<minicbor::decode::Error> for DecodeError {
    fn from(_: minicbor::decode::Error) -> Self {
        DecodeError::Malformed
    }
}

impl<'a> CborDecoder<'a> {
    pub fn new(body: &'a Bytes, unit: TimeUnit) -> Self {
        CborDecoder { body, tokens: minicbor::Decoder::new(body), frames: Frames::default(), unit }
    }

    /// Ends the reading: nothing may follow.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if something does.
    pub fn finish(self) -> Result<Missing> {
        if self.tokens.position() < self.body.len() {
            return Err(DecodeError::Malformed);
        }
        Ok(self.frames.missing)
    }

    /// The type that comes next, tags aside.
    fn peek(&mut self) -> Result<Type> {
        loop {
            match self.tokens.datatype()? {
                Type::Tag => drop(self.tokens.tag()?),
                other => return Ok(other),
            }
        }
    }

    /// The bytes of a definite text of up to 23 bytes, such as members' names; not checked to be
    /// UTF-8. `None`: something else comes.
    fn short_text(&mut self) -> Option<&[u8]> {
        const SHORT_MIN: u8 = TEXT << 5;
        const SHORT_MAX: u8 = SHORT_MIN | 23;
        let at = self.tokens.position();
        let head @ SHORT_MIN..=SHORT_MAX = *self.body.get(at)? else { return None };
        let end = at + 1 + usize::from(head - SHORT_MIN);
        let text = self.body.get(at + 1..end)?;
        self.tokens.set_position(end);
        Some(text)
    }

    fn null(&mut self) -> Result<bool> {
        const TAG_MIN: u8 = TAG << 5;
        // Neither a tag, behind which there may be one, nor a simple value.
        if self.body.get(self.tokens.position()).is_some_and(|head| *head < TAG_MIN) {
            return Ok(false);
        }
        let null = matches!(self.peek()?, Type::Null | Type::Undefined);
        if null {
            self.tokens.skip()?;
        }
        Ok(null)
    }

    /// Whether a further part of the innermost container follows; leaves it otherwise.
    fn next_part(&mut self) -> Result<bool> {
        let frame = self.frames.top();
        frame.seen += 1;
        let more = match &mut frame.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None if self.tokens.datatype()? == Type::Break => {
                self.tokens.skip()?;
                false
            }
            None => true,
        };
        if !more {
            self.frames.pop();
        }
        Ok(more)
    }

    fn wrong<T>(&mut self, asked: Asked) -> Result<T> {
        if self.frames.depth() == 0 {
            return Err(DecodeError::Malformed);
        }
        let text;
        let got = match self.peek()? {
            Type::String | Type::StringIndef => {
                text = self.joined()?;
                Got::String(&text)
            }
            Type::Bytes | Type::BytesIndef => Got::Blob,
            Type::Bool => Got::Boolean,
            Type::Null | Type::Undefined => Got::Null,
            Type::Array | Type::ArrayIndef => Got::List,
            Type::Map | Type::MapIndef => Got::Structure,
            kind if is_integer(kind) || is_real(kind) => Got::Number,
            _ => return Err(DecodeError::Malformed),
        };
        Err(mismatch(asked, got))
    }

    fn joined(&mut self) -> Result<String> {
        match self.peek()? {
            Type::StringIndef => {
                let mut text = String::new();
                for part in self.tokens.str_iter()? {
                    text.push_str(part?);
                }
                Ok(text)
            }
            _ => Ok(self.tokens.str()?.to_owned()),
        }
    }

    fn real(&mut self, asked: Asked) -> Result<f64> {
        match self.peek()? {
            kind if is_integer(kind) => Ok(i128::from(self.tokens.int()?) as f64),
            Type::F16 => self.half(),
            Type::F32 => Ok(self.tokens.f32()?.into()),
            Type::F64 => Ok(self.tokens.f64()?),
            _ => self.wrong(asked),
        }
    }

    /// A number of 16 bits.
    fn half(&mut self) -> Result<f64> {
        let at = self.tokens.position();
        let bits = self.body.get(at + 1..at + 3).ok_or(DecodeError::Malformed)?;
        self.tokens.set_position(at + 3);
        Ok(half_to_f64(u16::from_be_bytes([bits[0], bits[1]])))
    }

    fn whole(&mut self, asked: Asked) -> Result<i64> {
        let kind = self.peek()?;
        if is_integer(kind) {
            let value = i128::from(self.tokens.int()?);
            return Ok(value.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
        }
        Ok(self.real(asked)?.floor() as i64)
    }

    fn skip_value(&mut self, depth: usize) -> Result<()> {
        if self.frames.depth() + depth > DEPTH_MAX {
            return Err(DecodeError::Malformed);
        }
        match self.peek()? {
            Type::Array | Type::ArrayIndef => {
                let items = self.tokens.array()?;
                self.skip_parts(items, 1, depth)
            }
            Type::Map | Type::MapIndef => {
                let entries = self.tokens.map()?;
                self.skip_parts(entries, 2, depth)
            }
            Type::String | Type::StringIndef => self.joined().map(drop),
            Type::Break | Type::Unknown(_) => Err(DecodeError::Malformed),
            _ => Ok(self.tokens.skip()?),
        }
    }

    fn skip_parts(&mut self, mut left: Option<u64>, each: usize, depth: usize) -> Result<()> {
        loop {
            match &mut left {
                Some(0) => return Ok(()),
                Some(left) => *left -= 1,
                None if self.tokens.datatype()? == Type::Break => return Ok(self.tokens.skip()?),
                None => {}
            }
            for _ in 0..each {
                self.skip_value(depth + 1)?;
            }
        }
    }
}

impl Decoder for CborDecoder<'_> {
    fn boolean(&mut self) -> Result<bool> {
        match self.peek()? {
            Type::Bool => Ok(self.tokens.bool()?),
            _ => self.wrong(Asked::Boolean),
        }
    }

    fn integer(&mut self) -> Result<i32> {
        let value = self.whole(Asked::Integer)?;
        Ok(value.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
    }

    fn long(&mut self) -> Result<i64> {
        self.whole(Asked::Long)
    }

    fn double(&mut self) -> Result<f64> {
        self.real(Asked::Double)
    }

    fn string(&mut self) -> Result<String> {
        match self.peek()? {
            Type::String | Type::StringIndef => self.joined(),
            _ => self.wrong(Asked::String),
        }
    }

    fn shared_text(&mut self) -> Result<Text> {
        if let Some(length) = self.short_text().map(<[u8]>::len) {
            let end = self.tokens.position();
            let slice = self.body.slice(end - length..end);
            return Text::try_from(slice).map_err(|_| DecodeError::Malformed);
        }
        match self.peek()? {
            Type::String => {
                let length = self.tokens.str()?.len();
                let end = self.tokens.position();
                let slice = self.body.slice(end - length..end);
                Text::try_from(slice).map_err(|_| DecodeError::Malformed)
            }
            _ => self.string().map(Text::from),
        }
    }

    fn blob(&mut self) -> Result<Bytes> {
        match self.peek()? {
            Type::Bytes => {
                let length = self.tokens.bytes()?.len();
                let end = self.tokens.position();
                Ok(self.body.slice(end - length..end))
            }
            Type::BytesIndef => {
                let mut blob = Vec::new();
                for part in self.tokens.bytes_iter()? {
                    blob.extend_from_slice(part?);
                }
                Ok(blob.into())
            }
            _ => self.wrong(Asked::Blob),
        }
    }

    fn time(&mut self) -> Result<Time> {
        let kind = self.peek()?;
        if is_integer(kind) {
            let value = self.whole(Asked::Time)?;
            return Ok(match self.unit {
                TimeUnit::Millis => Time::from_millis(value),
                TimeUnit::Seconds => Time::from_secs(value),
            });
        }
        let value = self.real(Asked::Time)?;
        Ok(Time::from_secs_f64(match self.unit {
            TimeUnit::Millis => value / 1000.0,
            TimeUnit::Seconds => value,
        }))
    }

    fn structure(&mut self) -> Result<()> {
        match self.peek()? {
            Type::Map | Type::MapIndef => {
                let left = self.tokens.map()?;
                self.frames.structure(left)
            }
            _ => self.wrong(Asked::Structure),
        }
    }

    fn member(&mut self, members: &'static [MemberInfo]) -> Result<Option<usize>> {
        let mut hint = self.frames.top().seen as usize;
        while self.next_part()? {
            let found = match self.short_text() {
                Some(name) => {
                    let found = find(members, name, hint);
                    if found.is_none() && std::str::from_utf8(name).is_err() {
                        return Err(DecodeError::Malformed);
                    }
                    found
                }
                None => match self.peek()? {
                    Type::String => find(members, self.tokens.str()?.as_bytes(), hint),
                    Type::StringIndef => find(members, self.joined()?.as_bytes(), hint),
                    _ => return Err(DecodeError::Malformed),
                },
            };
            hint += 1;
            let Some(index) = found else {
                self.skip_value(0)?;
                continue;
            };
            if !self.null()? {
                self.frames.at_member(members[index].name);
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn list(&mut self) -> Result<()> {
        match self.peek()? {
            Type::Array | Type::ArrayIndef => {
                let left = self.tokens.array()?;
                self.frames.list(left)
            }
            _ => self.wrong(Asked::List),
        }
    }

    fn item(&mut self) -> Result<bool> {
        while self.next_part()? {
            if !self.null()? {
                self.frames.part()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn map(&mut self) -> Result<()> {
        match self.peek()? {
            Type::Map | Type::MapIndef => {
                let left = self.tokens.map()?;
                self.frames.map(left)
            }
            _ => self.wrong(Asked::Map),
        }
    }

    fn key(&mut self) -> Result<Option<String>> {
        while self.next_part()? {
            let key = match self.peek()? {
                Type::String | Type::StringIndef => self.joined()?,
                _ => return Err(DecodeError::Malformed),
            };
            if !self.null()? {
                self.frames.part()?;
                self.frames.at_key(&key);
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    fn absent(&mut self, member: &'static str) {
        self.frames.absent(member);
    }
}

fn is_integer(kind: Type) -> bool {
    use Type::{I8, I16, I32, I64, Int, U8, U16, U32, U64};
    matches!(kind, U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | Int)
}

fn is_real(kind: Type) -> bool {
    matches!(kind, Type::F16 | Type::F32 | Type::F64)
}

/// RFC 8949, appendix D, in our words: sign, 5 bits of exponent, 10 bits of fraction.
fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

//! Pulling values out of JSON text, front to back, each byte looked at about once.

use std::borrow::Cow;

use base64_simd::{AsOut, STANDARD};
use bytes::Bytes;
use memchr::memchr2;

use crate::buffers::{Buffers, Loan};
use crate::coding::{Asked, DEPTH_MAX, DecodeError, Decoder, Frames, Got, mismatch};
use crate::constraint::{MemberInfo, Missing};
use crate::text::Text;
use crate::time::Time;

/// A [`Decoder`] over JSON text.
#[derive(Debug)]
pub struct JsonDecoder<'a> {
    text: &'a [u8],
    at: usize,
    frames: Frames,
    /// Room for what the rest of the text can hold in blobs and texts; handed out slice by slice.
    arena: Loan<'static>,
}

/// Kept for the next bodies: what the blobs and texts of some dozens of requests take.
static ARENAS: Buffers = Buffers::new(8 << 20);

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> JsonDecoder<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        JsonDecoder { text, at: 0, frames: Frames::default(), arena: ARENAS.take(0) }
    }

    /// Ends the reading: only white space may follow.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if anything else does.
    pub fn finish(mut self) -> Result<Missing> {
        self.space();
        if self.at < self.text.len() {
            return Err(DecodeError::Malformed);
        }
        Ok(self.frames.missing)
    }

    /// Containers that are open.
    pub(crate) fn depth(&self) -> usize {
        self.frames.depth()
    }

    pub(super) fn skip_all(mut self) -> Result<Missing> {
        self.skip_value(0)?;
        self.finish()
    }

    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> Result<()> {
        if self.peek() != byte {
            return Err(DecodeError::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(DecodeError::Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    /// Steps to the next part of the innermost container, or out of it.
    fn next_part(&mut self, end: u8) -> Result<bool> {
        self.space();
        let frame = self.frames.top();
        let first = frame.seen == 0;
        frame.seen += 1;
        if self.peek() == end {
            self.at += 1;
            self.frames.pop();
            return Ok(false);
        }
        if !first {
            self.eat(b',')?;
            self.space();
        }
        Ok(true)
    }

    fn colon(&mut self) -> Result<()> {
        self.space();
        self.eat(b':')?;
        self.space();
        Ok(())
    }

    /// Eats a null, if that is what comes.
    fn null(&mut self) -> Result<bool> {
        let null = self.peek() == b'n';
        if null {
            self.word(b"null")?;
        }
        Ok(null)
    }

    /// The raw text between quotes, and whether it holds escapes.
    fn raw_string(&mut self) -> Result<(&'a [u8], bool)> {
        self.eat(b'"')?;
        let rest = &self.text[self.at..];
        let mut end = 0;
        let mut escaped = false;
        loop {
            let stop = memchr2(b'"', b'\\', &rest[end..]).ok_or(DecodeError::Malformed)?;
            end += stop;
            if rest[end] == b'"' {
                break;
            }
            escaped = true;
            end += 2;
            if end > rest.len() {
                return Err(DecodeError::Malformed);
            }
        }
        self.at += end + 1;
        Ok((&rest[..end], escaped))
    }

    fn text_string(&mut self) -> Result<Cow<'a, str>> {
        let (raw, escaped) = self.raw_string()?;
        if raw.iter().any(|byte| *byte < 0x20) {
            return Err(DecodeError::Malformed);
        }
        let text = std::str::from_utf8(raw).map_err(|_| DecodeError::Malformed)?;
        if escaped { unescape(text).map(Cow::Owned) } else { Ok(Cow::Borrowed(text)) }
    }

    /// The text of a number, and whether it is written without fraction and exponent.
    fn number(&mut self) -> Result<(&'a str, bool)> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        let mut whole = true;
        if self.peek() == b'.' {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]);
        Ok((text.expect("digits are text"), whole))
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start { Err(DecodeError::Malformed) } else { Ok(()) }
    }

    fn real(&mut self) -> Result<f64> {
        let (text, _) = self.number()?;
        Ok(text.parse().expect("JSON's numbers are a subset of Rust's"))
    }

    fn is_number(&self) -> bool {
        matches!(self.peek(), b'-' | b'0'..=b'9')
    }

    /// What comes next is not what was asked for: the sentence about it.
    fn wrong<T>(&mut self, asked: Asked) -> Result<T> {
        if self.frames.depth() == 0 {
            return Err(DecodeError::Malformed);
        }
        let text;
        let got = match self.peek() {
            b'"' => {
                text = self.text_string()?;
                Got::String(&text)
            }
            b'-' | b'0'..=b'9' => Got::Number,
            b't' | b'f' => Got::Boolean,
            b'[' => Got::List,
            b'{' => Got::Structure,
            _ => return Err(DecodeError::Malformed),
        };
        Err(mismatch(asked, got))
    }

    fn skip_value(&mut self, depth: usize) -> Result<()> {
        if self.frames.depth() + depth > DEPTH_MAX {
            return Err(DecodeError::Malformed);
        }
        self.space();
        match self.peek() {
            b'"' => self.text_string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'[' => self.skip_parts(b']', depth, |_| Ok(())),
            b'{' => self.skip_parts(b'}', depth, |reader| {
                reader.text_string()?;
                reader.colon()
            }),
            _ => Err(DecodeError::Malformed),
        }
    }

    fn skip_parts(
        &mut self,
        end: u8,
        depth: usize,
        head: impl Fn(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.at += 1;
        self.space();
        if self.peek() == end {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            head(self)?;
            self.skip_value(depth + 1)?;
            self.space();
            if self.peek() == end {
                self.at += 1;
                return Ok(());
            }
            self.eat(b',')?;
        }
    }

    /// Makes room for `size` bytes in the arena, and for all that can follow them.
    fn make_room(&mut self, size: usize) {
        if self.arena.capacity() < size {
            self.arena = ARENAS.take(size + self.text.len() - self.at);
        }
    }

    /// Decodes base64 `text` into the next free part of the arena.
    fn base64(&mut self, text: &[u8]) -> Result<Bytes> {
        if text.is_empty() {
            return Ok(Bytes::new());
        }
        let size = STANDARD.decoded_length(text).map_err(|_| not_base64(text))?;
        self.make_room(size);
        self.arena.resize(size, 0);
        let done = STANDARD.decode(text, self.arena.as_mut().as_out()).map(|bytes| bytes.len());
        let done = done.map_err(|_| not_base64(text))?;
        let mut blob = self.arena.split_to(size);
        blob.truncate(done);
        Ok(blob.freeze())
    }
}

impl Decoder for JsonDecoder<'_> {
    fn boolean(&mut self) -> Result<bool> {
        match self.peek() {
            b't' => self.word(b"true").map(|()| true),
            b'f' => self.word(b"false").map(|()| false),
            _ => self.wrong(Asked::Boolean),
        }
    }

    fn integer(&mut self) -> Result<i32> {
        if !self.is_number() {
            return self.wrong(Asked::Integer);
        }
        let value = self.long()?;
        Ok(value.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
    }

    fn long(&mut self) -> Result<i64> {
        if !self.is_number() {
            return self.wrong(Asked::Long);
        }
        let start = self.at;
        let (text, whole) = self.number()?;
        match text.parse() {
            Ok(value) if whole => Ok(value),
            _ => {
                self.at = start;
                Ok(self.real()?.floor() as i64)
            }
        }
    }

    fn double(&mut self) -> Result<f64> {
        if self.is_number() {
            return self.real();
        }
        let start = self.at;
        if self.peek() == b'"' {
            let known = match &*self.text_string()? {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            };
            if let Some(value) = known {
                return Ok(value);
            }
        }
        self.at = start;
        self.wrong(Asked::Double)
    }

    fn string(&mut self) -> Result<String> {
        if self.peek() != b'"' {
            return self.wrong(Asked::String);
        }
        self.text_string().map(Cow::into_owned)
    }

    fn shared_text(&mut self) -> Result<Text> {
        if self.peek() != b'"' {
            return self.wrong(Asked::String);
        }
        let text = self.text_string()?;
        self.make_room(text.len());
        self.arena.extend_from_slice(text.as_bytes());
        let bytes = self.arena.split().freeze();
        Ok(Text::try_from(bytes).expect("copied from a string"))
    }

    fn blob(&mut self) -> Result<Bytes> {
        if self.peek() != b'"' {
            return self.wrong(Asked::Blob);
        }
        let (raw, escaped) = self.raw_string()?;
        if !escaped {
            return self.base64(raw);
        }
        let text = std::str::from_utf8(raw).map_err(|_| DecodeError::Malformed)?;
        let text = unescape(text)?;
        self.base64(text.as_bytes())
    }

    fn time(&mut self) -> Result<Time> {
        if !self.is_number() {
            return self.wrong(Asked::Time);
        }
        self.real().map(Time::from_secs_f64)
    }

    fn structure(&mut self) -> Result<()> {
        self.space();
        if self.peek() != b'{' {
            return self.wrong(Asked::Structure);
        }
        self.at += 1;
        self.frames.structure(None)
    }

    fn member(&mut self, members: &'static [MemberInfo]) -> Result<Option<usize>> {
        let mut hint = self.frames.top().seen as usize;
        while self.next_part(b'}')? {
            let (raw, escaped) = match self.peek() {
                b'"' => self.raw_string()?,
                _ => return Err(DecodeError::Malformed),
            };
            let found = match escaped {
                false => find(members, raw, hint),
                true => find(members, unescape_bytes(raw)?.as_bytes(), hint),
            };
            if found.is_none() && (std::str::from_utf8(raw).is_err() || has_controls(raw)) {
                return Err(DecodeError::Malformed);
            }
            self.colon()?;
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
        if self.peek() != b'[' {
            return self.wrong(Asked::List);
        }
        self.at += 1;
        self.frames.list(None)
    }

    fn item(&mut self) -> Result<bool> {
        while self.next_part(b']')? {
            if !self.null()? {
                self.frames.part()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn map(&mut self) -> Result<()> {
        if self.peek() != b'{' {
            return self.wrong(Asked::Map);
        }
        self.at += 1;
        self.frames.map(None)
    }

    fn key(&mut self) -> Result<Option<String>> {
        while self.next_part(b'}')? {
            let key = self.text_string()?.into_owned();
            self.colon()?;
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

/// Members mostly come in the model's order: look at the expected place first.
pub(crate) fn find(members: &[MemberInfo], name: &[u8], hint: usize) -> Option<usize> {
    match members.get(hint) {
        Some(member) if member.name.as_bytes() == name => Some(hint),
        _ => members.iter().position(|member| member.name.as_bytes() == name),
    }
}

fn has_controls(raw: &[u8]) -> bool {
    raw.iter().any(|byte| *byte < 0x20)
}

fn unescape_bytes(raw: &[u8]) -> Result<String> {
    unescape(std::str::from_utf8(raw).map_err(|_| DecodeError::Malformed)?)
}

fn unescape(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).ok_or(DecodeError::Malformed)?;
        let mut used = 2;
        out.push(match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (char, length) = unicode(&rest.as_bytes()[at..])?;
                used = length;
                char
            }
            _ => return Err(DecodeError::Malformed),
        });
        rest = &rest[at + used..];
    }
    out.push_str(rest);
    Ok(out)
}

/// One `\uXXXX`, or two of them that are a surrogate pair, and its length in bytes.
fn unicode(escape: &[u8]) -> Result<(char, usize)> {
    let high = hex4(escape)?;
    if let Some(char) = char::from_u32(high) {
        return Ok((char, 6));
    }
    let low = hex4(&escape[6..])?;
    if !(0xd800..0xdc00).contains(&high) || !(0xdc00..0xe000).contains(&low) {
        return Err(DecodeError::Malformed);
    }
    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    char::from_u32(code).map(|char| (char, 12)).ok_or(DecodeError::Malformed)
}

fn hex4(escape: &[u8]) -> Result<u32> {
    match escape {
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 => digits[..4]
            .iter()
            .try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
            .ok_or(DecodeError::Malformed),
        _ => Err(DecodeError::Malformed),
    }
}

/// The service's sentence about a text that is not base64 (streams reference, D5).
fn not_base64(text: &[u8]) -> DecodeError {
    let shown = String::from_utf8_lossy(text);
    let body = text.trim_ascii_end();
    let unpadded = match text {
        [body @ .., b'=', b'='] | [body @ .., b'='] => body,
        body => body,
    };
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let what = if !body.len().is_multiple_of(4) {
        format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len())
    } else if let Some(at) = unpadded.iter().position(|b| !is_digit(b)) {
        let char = String::from_utf8_lossy(&unpadded[at..]).chars().next().unwrap_or_default();
        format!("Invalid Base64 character: '{char}'")
    } else {
        "Invalid last non-pad Base64 character dectected".to_owned()
    };
    DecodeError::Mismatch(format!("'{shown}' can not be converted to a Blob: {what}"))
}

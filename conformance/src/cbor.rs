//! A small CBOR of our own, and the translation between the neutral JSON form and CBOR bodies.
//!
//! Written from RFC 8949 and the Kinesis dialect (timestamps are tag 1 over integer
//! milliseconds), independently of the server's codec, so that a shared mistake can't hide.
//!
//! Neutral form: what the JSON protocol writes. Bytes are base64 text, timestamps are seconds.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Number, Value};

use crate::base64;

/// Deepest nesting decoded from an answer.
const DEPTH_MAX: usize = 64;

/// Members that hold bytes.
const BLOBS: [&str; 1] = ["Data"];
/// Members that hold a time.
const TIMES: [&str; 9] = [
    "Timestamp",
    "StreamCreationTimestamp",
    "ApproximateArrivalTimestamp",
    "ConsumerCreationTimestamp",
    "StartedAt",
    "EndedAt",
    "EarliestAllowedEndAt",
    "FirstReceiveTimestamp",
    "QueueCreationTimestamp",
];

/// How lengths of containers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// Counts in front, as most encoders do.
    Definite,
    /// Open containers closed by a break, and chunked byte strings, as Java's encoder may.
    Indefinite,
}

/// Encodes a neutral value. Text under a blob member that is base64 becomes a byte string, a number
/// under a time member becomes tag 1; anything else keeps its type, so that wrong types stay wrong.
pub fn encode(value: &Value, lengths: Lengths) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, None, value, lengths);
    out
}

fn put(out: &mut Vec<u8>, member: Option<&str>, value: &Value, lengths: Lengths) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(flag) => out.push(if *flag { 0xf5 } else { 0xf4 }),
        Value::Number(number) if member.is_some_and(|name| TIMES.contains(&name)) => {
            put_time(out, number);
        }
        Value::Number(number) => put_number(out, number),
        Value::String(text) if member.is_some_and(|name| BLOBS.contains(&name)) => {
            match base64::decode(text) {
                Some(bytes) => put_bytes(out, &bytes, lengths),
                None => put_text(out, text),
            }
        }
        Value::String(text) => put_text(out, text),
        Value::Array(items) => {
            open(out, 4, items.len(), lengths);
            for item in items {
                put(out, member, item, lengths);
            }
            close(out, lengths);
        }
        Value::Object(members) => {
            open(out, 5, members.len(), lengths);
            for (name, value) in members {
                put_text(out, name);
                put(out, Some(name), value, lengths);
            }
            close(out, lengths);
        }
    }
}

fn open(out: &mut Vec<u8>, major: u8, len: usize, lengths: Lengths) {
    match lengths {
        Lengths::Definite => head(out, major, len as u64),
        Lengths::Indefinite => out.push(major << 5 | 31),
    }
}

fn close(out: &mut Vec<u8>, lengths: Lengths) {
    if lengths == Lengths::Indefinite {
        out.push(0xff);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    head(out, 3, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8], lengths: Lengths) {
    if lengths == Lengths::Definite || bytes.len() < 2 {
        head(out, 2, bytes.len() as u64);
        out.extend_from_slice(bytes);
        return;
    }
    let (front, back) = bytes.split_at(bytes.len() / 2);
    out.push(0x5f);
    for chunk in [front, back] {
        head(out, 2, chunk.len() as u64);
        out.extend_from_slice(chunk);
    }
    out.push(0xff);
}

fn put_time(out: &mut Vec<u8>, seconds: &Number) {
    let millis = seconds.as_f64().unwrap_or(0.0) * 1000.0;
    out.push(0xc1);
    put_integer(out, millis.round() as i64);
}

fn put_number(out: &mut Vec<u8>, number: &Number) {
    if let Some(unsigned) = number.as_u64() {
        head(out, 0, unsigned);
    } else if let Some(integer) = number.as_i64() {
        put_integer(out, integer);
    } else {
        out.push(0xfb);
        out.extend_from_slice(&number.as_f64().unwrap_or(0.0).to_be_bytes());
    }
}

fn put_integer(out: &mut Vec<u8>, integer: i64) {
    if integer >= 0 {
        head(out, 0, integer.unsigned_abs());
    } else {
        head(out, 1, integer.unsigned_abs() - 1);
    }
}

fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let first = major << 5;
    match argument {
        0..=23 => out.push(first | argument as u8),
        24..=0xff => out.extend_from_slice(&[first | 24, argument as u8]),
        0x100..=0xffff => {
            out.push(first | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(first | 26);
            out.extend_from_slice(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.push(first | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

/// Decodes an answer into the neutral form.
///
/// # Errors
/// Bytes that are not one whole CBOR item, a byte string where no blob is expected, a time that is
/// not tag 1 over an integer.
pub fn decode(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.item(None, 0)?;
    ensure!(reader.at == bytes.len(), "{} bytes after the item", bytes.len() - reader.at);
    Ok(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn item(&mut self, member: Option<&str>, depth: usize) -> Result<Value> {
        ensure!(depth < DEPTH_MAX, "deeper than {DEPTH_MAX}");
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 31);
        let time = member.is_some_and(|name| TIMES.contains(&name));
        ensure!(!time || major == 6, "time member {member:?} has major type {major}, not a tag");
        match major {
            0 => Ok(self.argument(info)?.into()),
            1 => Ok((-1 - i64::try_from(self.argument(info)?)?).into()),
            2 => {
                let blob = member.is_some_and(|name| BLOBS.contains(&name));
                ensure!(blob, "byte string under {member:?}");
                Ok(Value::String(base64::encode(self.run(info, 2)?)))
            }
            3 => {
                let blob = member.is_some_and(|name| BLOBS.contains(&name));
                ensure!(!blob, "text under blob member {member:?}");
                Ok(Value::String(String::from_utf8(self.run(info, 3)?)?))
            }
            4 => self.array(info, member, depth),
            5 => self.map(info, depth),
            6 => self.time(info),
            _ => self.simple(info),
        }
    }

    fn array(&mut self, info: u8, member: Option<&str>, depth: usize) -> Result<Value> {
        let mut items = Vec::new();
        let mut left = self.count(info)?;
        while self.more(&mut left)? {
            items.push(self.item(member, depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, info: u8, depth: usize) -> Result<Value> {
        let mut members = Map::new();
        let mut left = self.count(info)?;
        while self.more(&mut left)? {
            let name = self.item(None, depth + 1)?;
            let name = name.as_str().context("a key is not text")?.to_owned();
            let value = self.item(Some(&name), depth + 1)?;
            ensure!(members.insert(name.clone(), value).is_none(), "key {name} twice");
        }
        Ok(Value::Object(members))
    }

    fn time(&mut self, info: u8) -> Result<Value> {
        let tag = self.argument(info)?;
        ensure!(tag == 1, "tag {tag}, only 1 (time) is expected");
        let first = self.byte()?;
        ensure!(first >> 5 == 0, "tag 1 over major type {}, not an integer", first >> 5);
        let millis = self.argument(first & 31)?;
        Ok(serde_json::json!(millis as f64 / 1000.0))
    }

    fn simple(&mut self, info: u8) -> Result<Value> {
        match info {
            20 => Ok(false.into()),
            21 => Ok(true.into()),
            22 | 23 => Ok(Value::Null),
            27 => {
                let bits = self.take(8)?.try_into().expect("eight bytes were taken");
                Ok(serde_json::json!(f64::from_be_bytes(bits)))
            }
            other => bail!("simple value {other}"),
        }
    }

    /// A byte or text string, in one piece or in chunks.
    fn run(&mut self, info: u8, major: u8) -> Result<Vec<u8>> {
        if info != 31 {
            let len = usize::try_from(self.argument(info)?)?;
            return Ok(self.take(len)?.to_vec());
        }
        let mut whole = Vec::new();
        loop {
            let first = self.byte()?;
            if first == 0xff {
                return Ok(whole);
            }
            ensure!(first >> 5 == major, "a chunk of another type");
            whole.extend(self.run(first & 31, major)?);
        }
    }

    fn count(&mut self, info: u8) -> Result<Option<u64>> {
        if info == 31 { Ok(None) } else { Ok(Some(self.argument(info)?)) }
    }

    fn more(&mut self, left: &mut Option<u64>) -> Result<bool> {
        match left {
            Some(0) => Ok(false),
            Some(count) => {
                *count -= 1;
                Ok(true)
            }
            None if self.bytes.get(self.at) == Some(&0xff) => {
                self.at += 1;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    fn argument(&mut self, info: u8) -> Result<u64> {
        match info {
            0..=23 => Ok(u64::from(info)),
            24..=27 => {
                let bytes = self.take(1 << (info - 24))?;
                Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            }
            other => bail!("length code {other}"),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(len).context("a length beyond all bounds")?;
        let slice = self.bytes.get(self.at..end).context("the bytes end within an item")?;
        self.at = end;
        Ok(slice)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn neutral_values_survive_both_ways() {
        let value = json!({
            "Data": base64::encode("hello"),
            "Timestamp": 1_700_000_000.123,
            "Records": [{"Data": "", "PartitionKey": "ü"}],
            "Limit": 10_000, "Small": -7, "Flag": true, "Ratio": 0.5,
        });
        for lengths in [Lengths::Definite, Lengths::Indefinite] {
            assert_eq!(decode(&encode(&value, lengths)).unwrap(), value, "{lengths:?}");
        }
    }

    #[test]
    fn kinesis_time_vector() {
        let bytes = encode(&json!({"Timestamp": 1_700_000_000.123}), Lengths::Definite);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "a16954696d657374616d70c11b0000018bcfe5687b");
    }

    #[test]
    fn float_times_and_plain_numbers_are_refused() {
        let mut float = encode(&json!({"Other": 1.5}), Lengths::Definite);
        float.splice(1..7, b"\x69Timestamp\xc1".iter().copied());
        assert!(decode(&float).unwrap_err().to_string().contains("not an integer"));
        assert!(decode(b"\xa1\x69Timestamp\x05").unwrap_err().to_string().contains("not a tag"));
    }
}

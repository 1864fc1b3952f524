//! Event streams as they stand on the wire, read anew from AWS's description of the format.
//!
//! A SubscribeToShard answer that has ended becomes one neutral value: all records, and what the
//! last event said of the rest.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

/// The content type of such answers.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// One frame, its text headers and payload.
#[derive(Debug)]
pub struct Frame {
    pub headers: Vec<(String, String)>,
    pub payload: Vec<u8>,
}

/// The frames of a whole answer.
///
/// # Errors
/// A length, a checksum or a header is wrong, or the last frame is cut off.
pub fn frames(mut rest: &[u8]) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    while !rest.is_empty() {
        ensure!(rest.len() >= 16, "{} bytes are left, too few for a frame", rest.len());
        let (total, headers) = (be32(rest, 0), be32(rest, 4));
        ensure!(total <= rest.len() && headers + 16 <= total, "lengths {total} and {headers}");
        ensure!(be32(rest, 8) == crc32(&rest[..8]) as usize, "the prelude's checksum");
        let (frame, behind) = rest.split_at(total);
        ensure!(be32(frame, total - 4) == crc32(&frame[..total - 4]) as usize, "the checksum");
        frames.push(Frame {
            headers: read_headers(&frame[12..12 + headers])?,
            payload: frame[12 + headers..total - 4].to_vec(),
        });
        rest = behind;
    }
    Ok(frames)
}

/// What an answer's frames tell, `read` being the payloads' codec.
///
/// # Errors
/// The first frame is no initial response, or a frame is none of SubscribeToShard's.
pub fn fold(frames: &[Frame], read: impl Fn(&[u8]) -> Result<Value>) -> Result<Value> {
    let (first, events) = frames.split_first().context("an answer without a frame")?;
    ensure!(header(first, ":event-type") == Some("initial-response"), "first comes {first:?}");
    let mut records = Vec::new();
    let mut last = Map::new();
    for frame in events {
        let kind = (header(frame, ":message-type"), header(frame, ":event-type"));
        if kind != (Some("event"), Some("SubscribeToShardEvent")) {
            bail!("{frame:?}");
        }
        let Value::Object(mut event) = read(&frame.payload)? else { bail!("{frame:?}") };
        match event.remove("Records") {
            Some(Value::Array(more)) => records.extend(more),
            other => bail!("Records are {other:?}"),
        }
        last = event;
    }
    last.insert("Records".to_owned(), Value::Array(records));
    last.insert("Events".to_owned(), json!(events.len()));
    Ok(Value::Object(last))
}

fn header<'a>(frame: &'a Frame, name: &str) -> Option<&'a str> {
    frame.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn read_headers(mut rest: &[u8]) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some((&length, behind)) = rest.split_first() {
        let (name, behind) = behind.split_at_checked(length.into()).context("a header's name")?;
        let (kind, behind) = behind.split_at_checked(3).context("a header's value")?;
        ensure!(kind[0] == 7, "a header of type {}", kind[0]);
        let length = usize::from(u16::from_be_bytes([kind[1], kind[2]]));
        let (value, behind) = behind.split_at_checked(length).context("a header's value")?;
        headers.push((String::from_utf8(name.to_vec())?, String::from_utf8(value.to_vec())?));
        rest = behind;
    }
    Ok(headers)
}

fn be32(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// The CRC-32 of zip and Ethernet, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first frame of an answer, as botocore reads it.
    const INITIAL: &str = "00000068000000564e6817240d3a6d6573736167652d747970650700056576656e740b\
        3a6576656e742d747970650700\
        10696e697469616c2d726573706f6e73650d3a636f6e74656e742d747970650700106170706c69636174696f6e\
        2f6a736f6e7b7dfe942c1d";

    #[test]
    fn the_known_first_frame_is_read() {
        let digits: Vec<u8> = INITIAL.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap();
        let mut bytes: Vec<u8> = digits.chunks(2).map(pair).collect();
        let read = frames(&bytes).unwrap();
        assert_eq!(read[0].payload, b"{}");
        assert_eq!(header(&read[0], ":content-type"), Some("application/json"));
        let told = fold(&read, |_| bail!("no event")).unwrap();
        assert_eq!(told, json!({"Records": [], "Events": 0}));
        bytes[50] ^= 1;
        assert!(frames(&bytes).is_err(), "a flipped bit");
    }
}

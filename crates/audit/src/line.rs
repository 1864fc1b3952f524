//! One line of a trail, and its only spelling:
//!
//! ```text
//! {"hash":"<64 digits>","entry":{"n":12,"at":1767225600000,"event":{...}}}
//! ```
//!
//! `hash` is [`Hash::then`] of the line before and the text after `"entry":` without the last brace.
//! `n` counts all entries of a trail from 1 on; `at` is the time of writing in milliseconds since
//! the epoch and never steps back. The kinds are `file` (the first line of each file), `event`, and
//! `note` (what the trail says about itself).
//!
//! Reading is strict: whatever is not spelled as we write it is no line.

use crate::hash::{DIGITS, Hash};

/// Longest line, its end included, in bytes. Events are bounded well below: a CloudTrail event has
/// at most 256 KB (AWS CloudTrail user guide, "CloudTrail record contents", version 1.11).
pub const LINE_BYTES_MAX: usize = 512 << 10;

const BEFORE_HASH: &[u8] = b"{\"hash\":\"";
const BEFORE_ENTRY: &[u8] = b"\",\"entry\":";
const END: &[u8] = b"}";

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Event,
    Note,
}

/// A line, read. The hash is claimed, not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub hash: Hash,
    /// The text that the hash covers.
    pub text: &'a [u8],
    pub n: u64,
    /// Milliseconds since the epoch.
    pub at: u64,
    pub kind: Kind,
    /// JSON, not looked at.
    pub content: &'a [u8],
}

/// Bytes that are no line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("the line is not of the form {{\"hash\":…,\"entry\":…}}")]
    Form,
    #[error("the hash is none")]
    Hash,
    #[error("the entry is not of the form {{\"n\":…,\"at\":…,\"event\":…}}")]
    Entry,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Event => "event",
            Kind::Note => "note",
        }
    }

    fn named(name: &[u8]) -> Option<Kind> {
        [Kind::File, Kind::Event, Kind::Note]
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }
}

/// Reads a line without its end.
///
/// # Errors
/// [`LineError`].
pub fn parse_line(line: &[u8]) -> Result<Entry<'_>, LineError> {
    if line.len() >= LINE_BYTES_MAX {
        return Err(LineError::TooLong);
    }
    let rest = line.strip_prefix(BEFORE_HASH).ok_or(LineError::Form)?;
    let (hash, rest) = rest.split_at_checked(DIGITS).ok_or(LineError::Form)?;
    let text = rest.strip_prefix(BEFORE_ENTRY).ok_or(LineError::Form)?;
    let text = text.strip_suffix(END).ok_or(LineError::Form)?;
    let hash = std::str::from_utf8(hash).map_err(|_| LineError::Hash)?;
    let hash = hash.parse().map_err(|_| LineError::Hash)?;
    let (n, at, kind, content) = parse_entry(text).ok_or(LineError::Entry)?;
    Ok(Entry { hash, text, n, at, kind, content })
}

fn parse_entry(text: &[u8]) -> Option<(u64, u64, Kind, &[u8])> {
    let (n, rest) = number(text.strip_prefix(b"{\"n\":")?)?;
    let (at, rest) = number(rest.strip_prefix(b",\"at\":")?)?;
    let rest = rest.strip_prefix(b",\"")?;
    let end = memchr::memchr(b'"', rest)?;
    let kind = Kind::named(&rest[..end])?;
    let content = rest[end..].strip_prefix(b"\":")?.strip_suffix(b"}")?;
    Some((n, at, kind, content))
}

/// The number at the start of `text` as we write it, and what follows.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    if number.len() > 1 && number[0] == b'0' {
        return None;
    }
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

/// Appends a line to `out` and tells its hash. `content` is JSON on one line.
pub(crate) fn write_line(
    out: &mut Vec<u8>,
    previous: Hash,
    n: u64,
    at: u64,
    kind: Kind,
    content: &str,
) -> Hash {
    assert!(!content.contains('\n'), "an entry is one line");
    let entry = format!("{{\"n\":{n},\"at\":{at},\"{}\":{content}}}", kind.name());
    let hash = previous.then(entry.as_bytes());
    out.extend_from_slice(BEFORE_HASH);
    out.extend_from_slice(hash.to_string().as_bytes());
    out.extend_from_slice(BEFORE_ENTRY);
    out.extend_from_slice(entry.as_bytes());
    out.extend_from_slice(END);
    out.push(b'\n');
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_line_reads_back_and_is_json() {
        let mut out = Vec::new();
        let hash = write_line(&mut out, Hash::START, 1, 2, Kind::Event, "{\"a\":\"}\"}");
        let line = out.strip_suffix(b"\n").unwrap();
        let entry = parse_line(line).unwrap();
        assert_eq!((entry.n, entry.at, entry.kind, entry.hash), (1, 2, Kind::Event, hash));
        assert_eq!(entry.content, b"{\"a\":\"}\"}");
        assert_eq!(Hash::START.then(entry.text), hash);
        let json: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(json["entry"]["event"]["a"], "}");
        assert_eq!(json["hash"], hash.to_string());
    }

    #[test]
    fn there_is_one_spelling() {
        let mut out = Vec::new();
        write_line(&mut out, Hash::START, 10, 2, Kind::Note, "{}");
        let good = String::from_utf8(out).unwrap();
        let good = good.trim_end();
        for (from, to) in [
            ("\"n\":10", "\"n\":010"),
            ("\"n\":10", "\"n\":"),
            ("\"n\":10", "\"n\": 10"),
            ("\"n\":10", "\"n\":99999999999999999999"),
            ("note", "notes"),
            ("{\"hash", " {\"hash"),
            ("{}}}", "{}"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(parse_line(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    /// Whatever a stranger put into a file, reading ends with an entry or an error, and an entry is
    /// exactly the bytes that would be written for it.
    #[test]
    fn fuzz_lines() {
        bolero::check!().for_each(|bytes: &[u8]| {
            if let Ok(entry) = parse_line(bytes) {
                let mut again = Vec::new();
                again.extend_from_slice(BEFORE_HASH);
                again.extend_from_slice(entry.hash.to_string().as_bytes());
                again.extend_from_slice(BEFORE_ENTRY);
                let head =
                    format!("{{\"n\":{},\"at\":{},\"{}\":", entry.n, entry.at, entry.kind.name());
                again.extend_from_slice(head.as_bytes());
                again.extend_from_slice(entry.content);
                again.extend_from_slice(b"}}");
                assert_eq!(again, bytes);
            }
        });
    }
}

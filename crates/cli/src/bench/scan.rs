//! Members of an answer found without reading it all: by name, in JSON or CBOR.
//!
//! Good for names that occur once at the top of a known answer; a load generator that decoded
//! answers would measure itself.

use memchr::memmem::Finder;

/// A member's name as it stands in bodies of one codec.
pub struct Member {
    name: Finder<'static>,
    cbor: bool,
}

impl Member {
    pub fn new(name: &str, cbor: bool) -> Self {
        let written = if cbor {
            assert!(name.len() < 256, "a member's name is shorter than 256 bytes: {name}");
            let mut bytes = match name.len() {
                n @ 0..24 => vec![0x60 | n as u8],
                n => vec![0x78, n as u8],
            };
            bytes.extend_from_slice(name.as_bytes());
            bytes
        } else {
            format!("\"{name}\"").into_bytes()
        };
        Member { name: Finder::new(&written).into_owned(), cbor }
    }

    /// How often the name occurs.
    pub fn count(&self, body: &[u8]) -> u64 {
        self.name.find_iter(body).count() as u64
    }

    /// The unsigned number after the name's first occurrence.
    pub fn number(&self, body: &[u8]) -> Option<u64> {
        let value = self.value(body)?;
        if self.cbor {
            return cbor_head(value, 0).map(|(n, _)| n);
        }
        let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
        std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
    }

    /// The text after the name's first occurrence; in JSON one without escapes, as tokens are.
    pub fn text<'a>(&self, body: &'a [u8]) -> Option<&'a str> {
        let value = self.value(body)?;
        let bytes = if self.cbor {
            let (length, rest) = cbor_head(value, 3)?;
            rest.get(..usize::try_from(length).ok()?)?
        } else {
            let inner = value.strip_prefix(b"\"")?;
            &inner[..memchr::memchr(b'"', inner)?]
        };
        std::str::from_utf8(bytes).ok()
    }

    fn value<'a>(&self, body: &'a [u8]) -> Option<&'a [u8]> {
        let after = &body[self.name.find(body)? + self.name.needle().len()..];
        if self.cbor {
            return Some(after);
        }
        let colon = after.iter().position(|b| !b.is_ascii_whitespace())?;
        let after = after[colon..].strip_prefix(b":")?;
        Some(after.trim_ascii_start())
    }
}

/// The number in the head of a data item of this major type, and what follows the head.
fn cbor_head(item: &[u8], major: u8) -> Option<(u64, &[u8])> {
    let (first, rest) = item.split_first()?;
    if first >> 5 != major {
        return None;
    }
    let width = match first & 31 {
        n @ 0..24 => return Some((u64::from(n), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(width)?;
    Some((number.iter().fold(0, |n, b| n << 8 | u64::from(*b)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_members_are_found_wherever_they_stand() {
        let failed = Member::new("FailedRecordCount", false);
        for (body, number) in [
            (r#"{"FailedRecordCount":0,"Records":[]}"#, Some(0)),
            (r#"{"Records":[], "FailedRecordCount" : 17}"#, Some(17)),
            (r#"{"FailedRecordCount":"x"}"#, None),
            (r#"{"Records":[]}"#, None),
        ] {
            assert_eq!(failed.number(body.as_bytes()), number, "{body}");
        }
        let next = Member::new("NextShardIterator", false);
        assert_eq!(next.text(br#"{"NextShardIterator":"AAAB+/=","x":1}"#), Some("AAAB+/="));
        assert_eq!(next.text(br#"{"NextShardIterator":null}"#), None);
        assert_eq!(next.text(br#"{"NextShardIterator":"cut"#), None);
    }

    #[test]
    fn cbor_members_are_found_wherever_they_stand() {
        let failed = Member::new("FailedRecordCount", true);
        let with = |value: &[u8]| [b"\xbf\x71FailedRecordCount", value, b"\xff"].concat();
        assert_eq!(failed.number(&with(&[5])), Some(5));
        assert_eq!(failed.number(&with(&[0x18, 200])), Some(200));
        assert_eq!(failed.number(&with(&[0x19, 1, 0xf4])), Some(500));
        assert_eq!(failed.number(&with(&[0x61])), None);
        let next = Member::new("NextShardIterator", true);
        let body = [b"\xa1\x71NextShardIterator\x78\x1e".as_slice(), &[b'a'; 30]].concat();
        assert_eq!(next.text(&body), Some("a".repeat(30).as_str()));
        assert_eq!(next.text(&body[..40]), None);
        assert_eq!(next.count(&[body.clone(), body].concat()), 2);
    }
}

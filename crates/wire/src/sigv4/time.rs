//! Times as signatures spell them: `20150830T123600Z`, or an HTTP date.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const BASIC: &str = "%Y%m%dT%H%M%SZ";
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Seconds since the epoch of `20150830T123600Z` or of an HTTP date.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let civil = match of_basic(text) {
        Some(civil) => civil,
        None => jiff::civil::DateTime::strptime(HTTP_DATE, text).ok()?,
    };
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Whether `text` is spelled as it is in scopes and strings to sign.
pub(super) fn is_basic(text: &str) -> bool {
    of_basic(text).is_some()
}

pub(super) fn show_time(secs: i64) -> String {
    match Timestamp::from_second(secs) {
        Ok(t) => t.strftime(BASIC).to_string(),
        Err(_) => format!("{secs:08}"),
    }
}

/// By hand: every request has one.
fn of_basic(text: &str) -> Option<jiff::civil::DateTime> {
    let text: &[u8; 16] = text.as_bytes().try_into().ok()?;
    if (text[8], text[15]) != (b'T', b'Z') {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        text[range].iter().try_fold(0_i16, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let small = |at: usize| number(at..at + 2).map(|n| n as i8);
    jiff::civil::DateTime::new(
        number(0..4)?,
        small(4)?,
        small(6)?,
        small(9)?,
        small(11)?,
        small(13)?,
        0,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read() {
        for (text, secs) in [
            ("20150830T123600Z", Some(1_440_938_160)),
            ("Sun, 30 Aug 2015 12:36:00 GMT", Some(1_440_938_160)),
            ("20160229T000000Z", Some(1_456_704_000)),
            ("20150229T000000Z", None),
            ("20151330T123600Z", None),
            ("20150830T243600Z", None),
            ("20150830 123600Z", None),
            ("2015083\u{e9}T12360Z", None),
            ("+0150830T123600Z", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text), secs, "{text}");
            if let Some(secs) = secs {
                assert_eq!(is_basic(text), show_time(secs) == text);
            }
        }
    }
}

//! Times as signatures spell them: `20150830T123600Z`, or an HTTP date.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const BASIC: &str = "%Y%m%dT%H%M%SZ";
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Seconds since the epoch of `20150830T123600Z` or of an HTTP date.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    of_basic(text).or_else(|| {
        let civil = jiff::civil::DateTime::strptime(HTTP_DATE, text).ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    })
}

/// Whether a text that was read is spelled as it is in scopes and strings to sign.
pub(super) fn is_basic(text: &str) -> bool {
    text.len() == BASIC_LEN
}

pub(super) fn show_time(secs: i64) -> String {
    match Timestamp::from_second(secs) {
        Ok(t) => t.strftime(BASIC).to_string(),
        Err(_) => format!("{secs:08}"),
    }
}

/// Length of `20150830T123600Z`; an HTTP date is longer.
const BASIC_LEN: usize = 16;

/// By hand: every request has one.
fn of_basic(text: &str) -> Option<i64> {
    let text: &[u8; BASIC_LEN] = text.as_bytes().try_into().ok()?;
    if (text[8], text[15]) != (b'T', b'Z') {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(&text[..4])?, number(&text[4..6])?, number(&text[6..8])?);
    let clock = [&text[9..11], &text[11..13], &text[13..15]].map(number);
    let [Some(hour @ 0..=23), Some(minute @ 0..=59), Some(second @ 0..=59)] = clock else {
        return None;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=month_days).contains(&day) {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from 1970-01-01, in the calendar of today. The year begins in March, so that the leap day
/// is its last; 719,468 days lie between 0000-03-01 and 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
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

    #[test]
    fn every_day_reads_as_it_is_written() {
        for day in (-20_000..200_000).step_by(7) {
            let secs = day * 86_400 + 12_345;
            assert_eq!(parse_time(&show_time(secs)), Some(secs));
        }
    }
}

//! Dates in policies: ISO 8601 in W3C's profile, or seconds since the epoch.

use millstream_base::Timestamp;

/// Milliseconds since the epoch of `2026`, `2026-11`, `2026-11-21`, `2026-11-21T13:56Z`,
/// `2026-11-21T13:56:06.5+01:00`, or of a number of seconds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if text.len() != 4 && !text.contains(['-', 'T']) {
        return seconds(text);
    }
    if text.len() > 1 && text.starts_with('-') {
        return seconds(text);
    }
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |text| digits(text, 2))?;
    let day = parts.next().map_or(Some(1), |text| digits(text, 2))?;
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    if !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let midnight = days_since_epoch(year, month, day) * 86_400_000;
    match time {
        None => Some(midnight),
        Some(_) if date.len() != 10 => None,
        Some(time) => Some(midnight + clock(time)?),
    }
}

/// `2026-11-21T13:56:06Z`
pub(crate) fn text_of(time: Timestamp) -> String {
    let secs = time.as_secs();
    let (days, second) = ((secs / 86_400) as i64, secs % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

fn seconds(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(part) || whole.len() > 12 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    Some(sign * (whole * 1000 + millis(part)))
}

/// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.s`, then `Z` or `+hh:mm`.
fn clock(text: &str) -> Option<i64> {
    let zone = text.find(['Z', '+', '-'])?;
    let (time, zone) = text.split_at(zone);
    let mut parts = time.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = digits(parts.next()?, 2)?;
    let (second, part) = match parts.next() {
        None => (0, 0),
        Some(text) => match text.split_once('.') {
            None => (digits(text, 2)?, 0),
            Some((second, part)) => {
                digits(part, part.len())?;
                (digits(second, 2)?, millis(part))
            }
        },
    };
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(((hour * 60 + minute) * 60 + second) * 1000 + part - offset(zone)?)
}

fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hour, minute) = zone[1..].split_once(':')?;
    let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 60 + minute) * 60_000)
}

/// The first three digits behind the point.
fn millis(part: &str) -> i64 {
    let digit = |at: usize| part.as_bytes().get(at).map_or(0, |b| i64::from(b - b'0'));
    digit(0) * 100 + digit(1) * 10 + digit(2)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let plain = text.len() == count && count > 0 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.bytes().take(15).fold(0, |sum, b| sum * 10 + i64::from(b - b'0')))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The calendar counted from March, so that the leap day comes last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_form() {
        for (text, expected) in [
            ("1970", Some(0)),
            ("1970-01", Some(0)),
            ("1970-01-02", Some(86_400_000)),
            ("2026-11-21T13:56Z", Some(1_795_269_360_000)),
            ("2026-11-21T13:56:06Z", Some(1_795_269_366_000)),
            ("2026-11-21T13:56:06.25Z", Some(1_795_269_366_250)),
            ("2026-11-21T14:56:06+01:00", Some(1_795_269_366_000)),
            ("2000-02-29", Some(951_782_400_000)),
            ("1795269366", Some(1_795_269_366_000)),
            ("1795269366.5", Some(1_795_269_366_500)),
            ("0", Some(0)),
            ("-1", Some(-1000)),
            ("2001-02-29", None),
            ("2026-13", None),
            ("2026-11-21T13:56", None),
            ("2026-11T13:56Z", None),
            ("2026-11-21T25:00Z", None),
            ("yesterday", None),
            ("", None),
            ("1e9", None),
            ("-", None),
            ("T", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn times_are_read_as_they_are_written(secs in 0_u64..253_402_300_800) {
            let text = text_of(Timestamp::from_secs(secs));
            assert_eq!(parse(&text), Some(secs as i64 * 1000), "{text}");
        }
        #[test]
        fn any_text_is_a_date_or_none(text in "\\PC{0,30}|[0-9TZ:.+-]{0,30}") {
            let _ = parse(&text);
        }
    }
}

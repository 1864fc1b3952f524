//! A point in time on the wire: microseconds since the Unix epoch, before or after it.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Microseconds since 1970-01-01T00:00:00Z.
///
/// Clients send fractions of seconds down to the microsecond; the services answer milliseconds, and
/// so do our encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    pub const fn from_micros(us: i64) -> Self {
        Time(us)
    }

    /// Stops at the earliest and latest time that can be written.
    pub const fn from_millis(ms: i64) -> Self {
        Time(ms.saturating_mul(1000))
    }

    pub const fn from_secs(s: i64) -> Self {
        Time(s.saturating_mul(1_000_000))
    }

    /// Nearest microsecond to `s` seconds; stops at the bounds, and not-a-number is the epoch.
    pub fn from_secs_f64(s: f64) -> Self {
        Time((s * 1e6).round() as i64)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Epoch seconds with as many of three fraction digits as are needed: `1700000000.123`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.as_millis();
        let (secs, rest) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
        let sign = if ms < 0 { "-" } else { "" };
        match rest {
            0 => write!(f, "{sign}{secs}"),
            _ => write!(f, "{sign}{secs}.{:03}", rest),
        }
    }
}

/// `2015-08-30T12:36:00Z`, with a fraction only if there is one.
pub(crate) fn iso_date(time: Time) -> String {
    timestamp(time).map(|t| t.to_string()).unwrap_or_default()
}

/// `Sun, 30 Aug 2015 12:36:00 GMT`, with a fraction only if there is one.
pub(crate) fn http_date(time: Time) -> String {
    let Some(stamp) = timestamp(time) else { return String::new() };
    let format = match time.as_millis().rem_euclid(1000) {
        0 => "%a, %d %b %Y %H:%M:%S GMT",
        _ => "%a, %d %b %Y %H:%M:%S.%3f GMT",
    };
    stamp.strftime(format).to_string()
}

fn timestamp(time: Time) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.as_millis()).ok()
}

/// Reads ISO 8601, an HTTP date, or epoch seconds: whatever it looks like.
pub(crate) fn parse_time(text: &str) -> Option<Time> {
    if let Ok(secs) = text.parse() {
        return Some(Time::from_secs_f64(secs));
    }
    let whole: Option<Timestamp> = text.parse().ok();
    let stamp = whole.or_else(|| {
        let civil = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S%.f GMT", text).ok();
        let civil = civil.and_then(|c| c.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let civil = civil.map(|zoned| zoned.timestamp());
        civil.or_else(|| rfc2822::DateTimeParser::new().parse_timestamp(text).ok())
    });
    stamp.map(|stamp| Time::from_micros(stamp.as_microsecond()))
}

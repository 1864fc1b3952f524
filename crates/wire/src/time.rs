//! A point in time on the wire: microseconds since the Unix epoch, before or after it.

use std::fmt;

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

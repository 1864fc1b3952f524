//! Durations and sizes as people write them: `"5s"`, `"1h 30m"`, `"64MiB"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _};

/// A length of time in whole milliseconds. Written as numbers with `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes. Written as a number with `B`, `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024) or
/// `kB`, `MB`, `GB`, `TB` (powers of 1000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("`{0}` is not a duration such as \"250ms\", \"5s\", \"10m\", \"1h 30m\" or \"7d\"")]
    Span(String),
    #[error("`{0}` is not a size such as \"512B\", \"64KiB\", \"16MiB\" or \"2GB\"")]
    ByteSize(String),
}

const SPAN_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

impl Span {
    pub const fn from_millis(ms: u64) -> Self {
        Span(Duration::from_millis(ms))
    }
    pub const fn from_secs(s: u64) -> Self {
        Span(Duration::from_secs(s))
    }
}

impl ByteSize {
    pub const fn mib(n: u64) -> Self {
        ByteSize(n << 20)
    }
    pub const fn kib(n: u64) -> Self {
        ByteSize(n << 10)
    }
    /// As a length in memory; stops at the largest one there is.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::Span(text.to_owned());
        if text.trim() == "0" {
            return Ok(Span(Duration::ZERO));
        }
        let mut total: u64 = 0;
        let mut parts = 0;
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (ms, after) = number_and_unit(rest, &SPAN_UNITS).ok_or_else(wrong)?;
            total = total.checked_add(ms).ok_or_else(wrong)?;
            rest = after.trim_start();
            parts += 1;
        }
        if parts == 0 { Err(wrong()) } else { Ok(Span::from_millis(total)) }
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::ByteSize(text.to_owned());
        if text.trim() == "0" {
            return Ok(ByteSize(0));
        }
        let (bytes, rest) = number_and_unit(text.trim(), &SIZE_UNITS).ok_or_else(wrong)?;
        if rest.is_empty() { Ok(ByteSize(bytes)) } else { Err(wrong()) }
    }
}

/// The product of the number and the unit at the start of `text`, and what follows them.
fn number_and_unit<'a>(text: &'a str, units: &[(&str, u64)]) -> Option<(u64, &'a str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let after = text[digits..].trim_start();
    let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
    let (_, factor) = units.iter().find(|(name, _)| *name == &after[..letters])?;
    Some((number.checked_mul(*factor)?, &after[letters..]))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ms = self.0.as_millis() as u64;
        if ms == 0 {
            return f.write_str("0s");
        }
        let mut first = true;
        for (unit, factor) in SPAN_UNITS {
            if ms >= factor {
                write!(f, "{}{}{unit}", if first { "" } else { " " }, ms / factor)?;
                ms %= factor;
                first = false;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = &SIZE_UNITS[..4];
        match binary.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
        {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        String::deserialize(de)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        String::deserialize(de)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_as_people_do() {
        for (text, ms, written) in [
            ("5s", 5000, "5s"),
            ("250ms", 250, "250ms"),
            ("1h 30m", 5_400_000, "1h 30m"),
            ("1h30m", 5_400_000, "1h 30m"),
            ("90s", 90_000, "1m 30s"),
            ("365d", 31_536_000_000, "365d"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span, Span::from_millis(ms), "{text}");
            assert_eq!(span.to_string(), written);
            assert_eq!(written.parse::<Span>().unwrap(), span);
        }
        for text in ["", "5", "s", "5 parsecs", "-5s", "1.5s", "5s,", "99999999999999999999s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_as_people_do() {
        for (text, bytes, written) in [
            ("16MiB", 16 << 20, "16MiB"),
            ("16 MiB", 16 << 20, "16MiB"),
            ("1500B", 1500, "1500B"),
            ("2GB", 2_000_000_000, "1953125KiB"),
            ("1024KiB", 1 << 20, "1MiB"),
            ("0", 0, "0B"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size, ByteSize(bytes), "{text}");
            assert_eq!(size.to_string(), written);
            assert_eq!(written.parse::<ByteSize>().unwrap(), size);
        }
        for text in ["", "16", "MiB", "16mib", "1.5GiB", "-1B", "1MiB 2KiB", "99999999TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}

//! Where a reader starts: `trim-horizon`, `latest`, a time, or a time ago.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    TrimHorizon,
    Latest,
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<From, String> {
        match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "trim-horizon" => return Ok(From::TrimHorizon),
            "latest" => return Ok(From::Latest),
            _ => {}
        }
        if let Ok(seconds) = text.parse::<f64>() {
            return Timestamp::from_millisecond((seconds * 1000.0) as i64)
                .map(From::At)
                .map_err(|e| e.to_string());
        }
        if let Ok(at) = text.parse() {
            return Ok(From::At(at));
        }
        crate::args::positive_duration(text).map(From::Ago).map_err(|_| {
            "expected trim-horizon, latest, a time (2026-11-21T08:00:00Z, or epoch seconds), or a \
             duration before now (15m)"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_names_times_or_durations() {
        let at = |ms| From::At(Timestamp::from_millisecond(ms).unwrap());
        for (text, position) in [
            ("trim-horizon", From::TrimHorizon),
            ("TRIM_HORIZON", From::TrimHorizon),
            ("LATEST", From::Latest),
            ("2026-11-21T08:00:00Z", at(1_795_248_000_000)),
            ("2026-11-21T09:00:00+01:00", at(1_795_248_000_000)),
            ("1795248000.5", at(1_795_248_000_500)),
            ("15m", From::Ago(Duration::from_secs(900))),
        ] {
            assert_eq!(text.parse(), Ok(position), "{text}");
        }
        assert!("yesterday".parse::<From>().unwrap_err().contains("trim-horizon"));
    }
}

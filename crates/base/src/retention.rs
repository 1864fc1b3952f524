//! How long a stream keeps its records.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{RETENTION_HOURS_MAX, RETENTION_HOURS_MIN};

/// Whole hours, 24 to 8,760.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Retention(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    #[error("a retention of {hours} hours is shorter than {RETENTION_HOURS_MIN}")]
    TooShort { hours: i64 },
    #[error("a retention of {hours} hours is longer than {RETENTION_HOURS_MAX}")]
    TooLong { hours: i64 },
}

impl Retention {
    /// What a new stream has: 24 hours.
    pub const DEFAULT: Retention = Retention(RETENTION_HOURS_MIN);

    pub fn from_hours(hours: i64) -> Result<Self, RetentionError> {
        match hours {
            h if h < i64::from(RETENTION_HOURS_MIN) => Err(RetentionError::TooShort { hours }),
            h if h > i64::from(RETENTION_HOURS_MAX) => Err(RetentionError::TooLong { hours }),
            h => Ok(Retention(h as u32)),
        }
    }

    pub const fn hours(self) -> u32 {
        self.0
    }

    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64 * 3600)
    }
}

impl TryFrom<u32> for Retention {
    type Error = RetentionError;
    fn try_from(hours: u32) -> Result<Self, RetentionError> {
        Retention::from_hours(hours.into())
    }
}
impl From<Retention> for u32 {
    fn from(r: Retention) -> u32 {
        r.0
    }
}
impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hours", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_has_a_floor_and_a_ceiling() {
        assert_eq!(Retention::from_hours(24), Ok(Retention::DEFAULT));
        assert_eq!(Retention::from_hours(8760).unwrap().hours(), 8760);
        assert_eq!(Retention::from_hours(23), Err(RetentionError::TooShort { hours: 23 }));
        assert_eq!(Retention::from_hours(-1), Err(RetentionError::TooShort { hours: -1 }));
        assert_eq!(Retention::from_hours(8761), Err(RetentionError::TooLong { hours: 8761 }));
    }
}

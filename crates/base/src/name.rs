//! Names that AWS's API gives to accounts, regions and streams.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that breaks its rule, with the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not {rule}")]
pub struct NameError {
    pub what: &'static str,
    pub value: String,
    pub rule: &'static str,
}

/// An AWS account: twelve decimal digits, leading zeros included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 12]);

impl AccountId {
    /// The account of callers that name none: twelve zeros, as AWS emulators have it.
    pub const DEFAULT: AccountId = AccountId([b'0'; 12]);

    pub fn new(value: &str) -> Result<Self, NameError> {
        match <[u8; 12]>::try_from(value.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Ok(AccountId(digits)),
            _ => Err(broken("account id", value, "12 decimal digits")),
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("twelve ASCII digits")
    }
}

/// A region's name such as `us-east-1`: 1 to 64 letters, digits and hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Box<str>);

impl Region {
    pub const LEN_MAX: usize = 64;

    pub fn new(value: &str) -> Result<Self, NameError> {
        let fits = (1..=Self::LEN_MAX).contains(&value.len());
        if fits && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Ok(Region(value.into()));
        }
        Err(broken("region", value, "1 to 64 letters, digits and hyphens"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition that ARNs of this region carry.
    pub fn partition(&self) -> &'static str {
        match self.as_str() {
            r if r.starts_with("cn-") => "aws-cn",
            r if r.starts_with("us-gov-") => "aws-us-gov",
            r if r.starts_with("us-iso-") => "aws-iso",
            r if r.starts_with("us-isob-") => "aws-iso-b",
            _ => "aws",
        }
    }
}

/// A stream's name: 1 to 128 of `a-z A-Z 0-9 _ . -`.
///
/// Source: service model, StreamName.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Box<str>);

impl StreamName {
    pub const LEN_MAX: usize = 128;

    pub fn new(value: &str) -> Result<Self, NameError> {
        let fits = (1..=Self::LEN_MAX).contains(&value.len());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if fits && value.bytes().all(allowed) {
            return Ok(StreamName(value.into()));
        }
        Err(broken("stream name", value, "1 to 128 of a-z A-Z 0-9 _ . -"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where names are unique: one account in one region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub account: AccountId,
    pub region: Region,
}

impl Scope {
    pub fn new(account: AccountId, region: Region) -> Self {
        Scope { account, region }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}

fn broken(what: &'static str, value: &str, rule: &'static str) -> NameError {
    NameError { what, value: value.chars().take(256).collect(), rule }
}

/// Text in, text out: for display, for parsing and in documents.
macro_rules! textual {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                $name::new(s)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                $name::new(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}
textual!(AccountId, Region, StreamName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_are_twelve_digits() {
        assert_eq!(AccountId::new("000000000000").unwrap(), AccountId::DEFAULT);
        for bad in ["", "12345678901", "1234567890123", "12345678901a", "１２３４"] {
            assert!(AccountId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stream_names_follow_the_model() {
        let longest = "a".repeat(128);
        for good in ["a", "A_b.c-9", longest.as_str()] {
            assert_eq!(StreamName::new(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(129);
        for bad in ["", "a b", "a/b", "ü", too_long.as_str()] {
            assert!(StreamName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn partitions_follow_the_region() {
        for (region, partition) in
            [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
        {
            assert_eq!(Region::new(region).unwrap().partition(), partition);
        }
        assert!(Region::new("us/east").is_err());
    }
}

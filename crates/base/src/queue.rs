//! Queues' ids and ARNs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Arn, ArnError, NameError, Region, Scope};

/// A queue's generated id: 1 to 64 of `a-z 0-9`. It says nothing about the queue's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueId(Box<str>);

impl QueueId {
    pub const LEN_MAX: usize = 64;
    /// Characters of the ids that are made here: 124 random bits.
    const LEN_MADE: usize = 24;

    pub fn new(value: &str) -> Result<Self, NameError> {
        let fits = (1..=Self::LEN_MAX).contains(&value.len());
        if fits && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Ok(QueueId(value.into()));
        }
        let value = value.chars().take(256).collect();
        Err(NameError { what: "queue id", value, rule: "1 to 64 of a-z 0-9" })
    }

    /// An id of random bits.
    pub fn from_random(mut bits: u128) -> Self {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut text = String::with_capacity(Self::LEN_MADE);
        for _ in 0..Self::LEN_MADE {
            text.push(char::from(DIGITS[(bits % 36) as usize]));
            bits /= 36;
        }
        QueueId(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for QueueId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        QueueId::new(&text)
    }
}
impl From<QueueId> for String {
    fn from(id: QueueId) -> String {
        id.0.into()
    }
}
impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A queue's whole name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueArn {
    pub scope: Scope,
    pub id: QueueId,
}

impl QueueArn {
    /// Reads `arn:aws:kinesis:REGION:ACCOUNT:queue/ID`. The partition is not kept: it is the
    /// region's.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let arn = Arn::parse(text)?;
        let other =
            || ArnError::OtherKind { text: text.chars().take(256).collect(), wanted: "queue" };
        let id = arn.resource.strip_prefix("queue/").ok_or_else(other)?;
        if arn.service != "kinesis" {
            return Err(other());
        }
        let scope = Scope::new(arn.account, Region::new(arn.region)?);
        Ok(QueueArn { scope, id: QueueId::new(id)? })
    }
}

impl fmt::Display for QueueArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { account, region } = &self.scope;
        write!(f, "arn:{}:kinesis:{region}:{account}:queue/{}", region.partition(), self.id)
    }
}
impl fmt::Debug for QueueArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_arns_print_as_they_were_read() {
        let text = "arn:aws:kinesis:us-east-1:123456789012:queue/abc123";
        let arn = QueueArn::parse(text).unwrap();
        assert_eq!((arn.to_string().as_str(), arn.id.as_str()), (text, "abc123"));
        for bad in ["", "queue/a", "arn:aws:kinesis:us-east-1:123456789012:stream/abc"] {
            assert!(QueueArn::parse(bad).is_err(), "{bad}");
        }
        assert!(QueueArn::parse("arn:aws:kinesis:us-east-1:123456789012:queue/A-b").is_err());
    }

    #[test]
    fn made_ids_are_ids() {
        for bits in [0, 1, u128::MAX] {
            let id = QueueId::from_random(bits);
            assert_eq!(QueueId::new(id.as_str()), Ok(id));
        }
        assert_ne!(QueueId::from_random(1), QueueId::from_random(2));
    }
}

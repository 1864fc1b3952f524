//! Amazon Resource Names: parsed at the door, printed in answers.

use std::fmt;
use std::sync::Arc;

use crate::{AccountId, NameError, Region, Scope, StreamName};

/// An ARN cut into its six parts; only the account is checked, the rest is as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: AccountId,
    /// Everything after the fifth colon.
    pub resource: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    #[error("{text:?} is not an ARN")]
    Malformed { text: String },
    #[error("{text:?} is not the ARN of a {wanted}")]
    OtherKind { text: String, wanted: &'static str },
    #[error(transparent)]
    Name(#[from] NameError),
}

impl<'a> Arn<'a> {
    pub fn parse(text: &'a str) -> Result<Self, ArnError> {
        let malformed = || ArnError::Malformed { text: text.chars().take(256).collect() };
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or_else(malformed);
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        if arn != "arn" || !partition.starts_with("aws") || resource.is_empty() {
            return Err(malformed());
        }
        Ok(Arn { partition, service, region, account: AccountId::new(account)?, resource })
    }
}

/// A stream's whole name: account, region and name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamArn(Arc<Parts>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    scope: Scope,
    name: StreamName,
}

impl StreamArn {
    pub fn new(scope: Scope, name: StreamName) -> Self {
        StreamArn(Arc::new(Parts { scope, name }))
    }

    /// Reads `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`. The partition is not kept: it is the
    /// region's.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        match ResourceArn::parse(text)? {
            ResourceArn::Stream(stream) => Ok(stream),
            ResourceArn::Consumer { .. } => {
                Err(ArnError::OtherKind { text: text.into(), wanted: "stream" })
            }
        }
    }

    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }
    pub fn account(&self) -> AccountId {
        self.0.scope.account
    }
    pub fn region(&self) -> &Region {
        &self.0.scope.region
    }
    pub fn name(&self) -> &StreamName {
        &self.0.name
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (region, account) = (self.region(), self.account());
        write!(f, "arn:{}:kinesis:{region}:{account}:stream/{}", region.partition(), self.name())
    }
}
impl fmt::Debug for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a `ResourceARN` member can point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceArn {
    Stream(StreamArn),
    /// `stream/NAME/consumer/CONSUMER:CREATION_SECONDS`
    Consumer {
        stream: StreamArn,
        consumer: StreamName,
        created_secs: u64,
    },
}

impl fmt::Display for ResourceArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceArn::Stream(stream) => stream.fmt(f),
            ResourceArn::Consumer { stream, consumer, created_secs } => {
                write!(f, "{stream}/consumer/{consumer}:{created_secs}")
            }
        }
    }
}

impl ResourceArn {
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let other = || ArnError::OtherKind {
            text: text.chars().take(256).collect(),
            wanted: "stream or consumer",
        };
        let arn = Arn::parse(text)?;
        let resource = arn.resource.strip_prefix("stream/").ok_or_else(other)?;
        if arn.service != "kinesis" {
            return Err(other());
        }
        let scope = Scope::new(arn.account, Region::new(arn.region)?);
        let Some((name, consumer)) = resource.split_once("/consumer/") else {
            return Ok(ResourceArn::Stream(StreamArn::new(scope, StreamName::new(resource)?)));
        };
        let (consumer, created) = consumer.rsplit_once(':').ok_or_else(other)?;
        Ok(ResourceArn::Consumer {
            stream: StreamArn::new(scope, StreamName::new(name)?),
            consumer: StreamName::new(consumer)?,
            created_secs: created.parse().map_err(|_| other())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_arns_print_as_they_were_read() {
        for text in [
            "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
            "arn:aws-cn:kinesis:cn-north-1:000000000000:stream/a.b-c_d",
        ] {
            assert_eq!(StreamArn::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_arns_are_refused() {
        for text in [
            "",
            "orders",
            "arn:aws:kinesis:us-east-1:123456789012",
            "arn:aws:kinesis:us-east-1:123456789012:",
            "arn:aws:kinesis:us-east-1:1234:stream/orders",
            "arn:aws:sqs:us-east-1:123456789012:stream/orders",
            "arn:aws:kinesis:us-east-1:123456789012:queue/orders",
            "arn:aws:kinesis:us-east-1:123456789012:stream/",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a b",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:1",
            "urn:aws:kinesis:us-east-1:123456789012:stream/a",
        ] {
            assert!(StreamArn::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn consumer_arns_carry_their_creation() {
        let text = "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:1700000000";
        let ResourceArn::Consumer { stream, consumer, created_secs } =
            ResourceArn::parse(text).unwrap()
        else {
            panic!("{text} names a consumer");
        };
        assert_eq!((stream.name().as_str(), consumer.as_str()), ("a", "c"));
        assert_eq!(created_secs, 1_700_000_000);
        assert_eq!(ResourceArn::parse(text).unwrap().to_string(), text);
    }
}

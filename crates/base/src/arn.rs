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
            ResourceArn::Consumer(_) => {
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
    Consumer(ConsumerArn),
}

/// A fan-out consumer's whole name: its stream, its own name and when it was registered.
///
/// `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME/consumer/CONSUMER:CREATION_SECONDS`. One that was
/// deregistered and registered again has another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerArn {
    pub stream: StreamArn,
    /// Follows the rule of stream names.
    pub name: StreamName,
    pub created_secs: u64,
}

impl ConsumerArn {
    /// # Errors
    /// [`ArnError`] if `text` is not the ARN of a consumer.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        match ResourceArn::parse(text)? {
            ResourceArn::Consumer(consumer) => Ok(consumer),
            _ => Err(ArnError::OtherKind { text: text.into(), wanted: "consumer" }),
        }
    }
}

impl fmt::Display for ConsumerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/consumer/{}:{}", self.stream, self.name, self.created_secs)
    }
}

impl fmt::Debug for ConsumerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ResourceArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceArn::Stream(stream) => stream.fmt(f),
            ResourceArn::Consumer(consumer) => consumer.fmt(f),
        }
    }
}

impl ResourceArn {
    /// The stream, or the consumer's.
    pub fn stream(&self) -> &StreamArn {
        match self {
            ResourceArn::Stream(stream) => stream,
            ResourceArn::Consumer(consumer) => &consumer.stream,
        }
    }

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
        Ok(ResourceArn::Consumer(ConsumerArn {
            stream: StreamArn::new(scope, StreamName::new(name)?),
            name: StreamName::new(consumer)?,
            created_secs: created.parse().map_err(|_| other())?,
        }))
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
        let consumer = ConsumerArn::parse(text).unwrap();
        assert_eq!((consumer.stream.name().as_str(), consumer.name.as_str()), ("a", "c"));
        assert_eq!(consumer.created_secs, 1_700_000_000);
        assert_eq!(ResourceArn::parse(text).unwrap().to_string(), text);
        let text = "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a/consumer/c:1700000000";
        assert_eq!(ConsumerArn::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn other_arns_are_no_consumers() {
        for text in [
            "",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:x",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/:1",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:18446744073709551616",
        ] {
            assert!(ConsumerArn::parse(text).is_err(), "{text}");
        }
    }
}

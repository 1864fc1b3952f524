//! A fan-out consumer's whole name: its stream, its own name and when it was registered.

use std::fmt;

use crate::{ArnError, ResourceArn, StreamArn, StreamName};

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
            ResourceArn::Consumer { stream, consumer, created_secs } => {
                Ok(ConsumerArn { stream, name: consumer, created_secs })
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumer_arns_print_as_they_were_read() {
        let text = "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a/consumer/c:1700000000";
        assert_eq!(ConsumerArn::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn other_arns_are_refused() {
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

//! What operations are to an audit: reading or writing, management or data, and what they act on.

use millstream_base::Scope;
use millstream_wire::{Operation, Service};
use serde_json::Value;

/// What a call of an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A management call that changes nothing.
    Read,
    /// A management call that changes something, or may.
    Write,
    /// It moves records or metrics.
    Data,
}

/// CloudTrail's data events of Data Streams, and what queues do with records.
///
/// Source: AWS CloudTrail user guide, "Logging data events", resource types AWS::Kinesis::Stream and
/// AWS::Kinesis::StreamConsumer.
const DATA: &[&str] = &[
    "PutRecord",
    "PutRecords",
    "GetRecords",
    "GetShardIterator",
    "SubscribeToShard",
    "ReceiveQueueRecords",
    "AcknowledgeQueueRecords",
    "UpdateQueueRecordsVisibility",
    "ReceiveDeadLetterQueueRecords",
    "AcknowledgeDeadLetterQueueRecords",
    "UpdateDeadLetterQueueRecordsVisibility",
    "RestoreDeadLetterQueueRecords",
];

/// All that we have of CloudWatch are data events there (resource type AWS::CloudWatch::Metric).
const DATA_SERVICE: &str = "monitoring";

/// Beginnings of the names of operations that change nothing. Those of KMS and STS count as
/// read-only in CloudTrail although something is made: it is not kept.
const READING: &[&str] = &[
    "Describe",
    "List",
    "Get",
    "Lookup",
    "Simulate",
    "Subscribe",
    "AssumeRole",
    "Decode",
    "Encrypt",
    "Decrypt",
    "ReEncrypt",
    "Generate",
    "Verify",
];

pub fn kind_of(operation: &Operation) -> Kind {
    let service = operation.service.signing_name;
    if service == DATA_SERVICE || service == "kinesis" && DATA.contains(&operation.name) {
        Kind::Data
    } else if is_read_only(operation) {
        Kind::Read
    } else {
        Kind::Write
    }
}

pub(super) fn is_read_only(operation: &Operation) -> bool {
    READING.iter().any(|start| operation.name.starts_with(start))
}

/// `kinesis.amazonaws.com`
pub(super) fn source(service: &Service) -> String {
    format!("{}.amazonaws.com", service.signing_name)
}

/// Members that name what a call acts on: their place, and the type as CloudFormation names it.
const NAMED: &[(&str, &str, &str, &str)] = &[
    ("kinesis", "streamName", "AWS::Kinesis::Stream", "stream/"),
    ("iam", "userName", "AWS::IAM::User", "user/"),
    ("iam", "roleName", "AWS::IAM::Role", "role/"),
    ("iam", "groupName", "AWS::IAM::Group", "group/"),
    ("iam", "policyName", "AWS::IAM::Policy", "policy/"),
    ("kms", "aliasName", "AWS::KMS::Alias", ""),
    ("kms", "keyId", "AWS::KMS::Key", "key/"),
    ("kms", "targetKeyId", "AWS::KMS::Key", "key/"),
];

/// Type and ARN of what a call acts on, as far as its parameters and its answer tell.
pub(super) fn resources(
    operation: &Operation,
    scope: &Scope,
    asked: &Value,
    answered: &Value,
) -> Vec<(&'static str, String)> {
    let service = operation.service.signing_name;
    let mut found = Vec::new();
    for (member, value) in asked.as_object().into_iter().chain(answered.as_object()).flatten() {
        let Some(text) = value.as_str() else { continue };
        if text.starts_with("arn:") {
            found.push((type_of(text), text.to_owned()));
        } else if let Some((_, _, kind, place)) =
            NAMED.iter().find(|(of, name, ..)| *of == service && name == member)
        {
            let region = if service == "iam" { "" } else { scope.region.as_str() };
            let (account, text) = (scope.account, text.trim_start_matches('/'));
            found.push((kind, format!("arn:aws:{service}:{region}:{account}:{place}{text}")));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn type_of(arn: &str) -> &'static str {
    let mut parts = arn.splitn(6, ':').skip(2);
    let service = parts.next().unwrap_or_default();
    let resource = parts.nth(2).unwrap_or_default();
    match (service, resource.split('/').next().unwrap_or_default()) {
        ("kinesis", "stream") if resource.contains("/consumer/") => "AWS::Kinesis::StreamConsumer",
        ("kinesis", "stream") => "AWS::Kinesis::Stream",
        ("kinesis", _) => "AWS::Kinesis::Queue",
        ("iam", "user") => "AWS::IAM::User",
        ("iam", "role") => "AWS::IAM::Role",
        ("iam", "group") => "AWS::IAM::Group",
        ("iam", "policy") => "AWS::IAM::Policy",
        ("kms", "key") => "AWS::KMS::Key",
        ("kms", "alias") => "AWS::KMS::Alias",
        _ => "AWS::Resource",
    }
}

#[cfg(test)]
mod tests {
    use millstream_api::kinesis::Op;
    use millstream_base::{AccountId, Region};
    use serde_json::json;

    use super::*;

    #[test]
    fn data_calls_are_told_from_management_calls() {
        for (op, kind) in [
            (Op::CreateStream, Kind::Write),
            (Op::DescribeStream, Kind::Read),
            (Op::GetRecords, Kind::Data),
            (Op::PutRecords, Kind::Data),
            (Op::UpdateMaxRecordSize, Kind::Write),
            (Op::ListShards, Kind::Read),
            (Op::SubscribeToShard, Kind::Data),
        ] {
            assert_eq!(kind_of(op.info()), kind, "{op:?}");
        }
        let known = |name: &&&str| Op::named(name).is_some();
        assert_eq!(DATA.iter().filter(known).count(), DATA.len(), "all of them exist");
    }

    #[test]
    fn what_a_call_acts_on_has_a_type_and_an_arn() {
        let account = AccountId::new("000000000007").unwrap();
        let scope = Scope::new(account, Region::new("us-east-1").unwrap());
        let arn = "arn:aws:kinesis:us-east-1:000000000007:stream/s";
        let asked = json!({"streamName": "s", "streamARN": arn, "shardCount": 1});
        let found = resources(Op::CreateStream.info(), &scope, &asked, &Value::Null);
        assert_eq!(found, [("AWS::Kinesis::Stream", arn.to_owned())]);
    }
}

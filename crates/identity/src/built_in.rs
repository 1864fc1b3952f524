//! Managed policies that every account has, as AWS's own: those about what is here.
//!
//! Names and ARNs are AWS's; documents say what AWS's say about the services of this house.

use std::sync::{Arc, LazyLock};

use millstream_base::{Tags, Timestamp};

use crate::held::HeldPolicy;
use crate::model::{ManagedPolicy, PolicyVersion};

/// What their ARNs start with.
pub(crate) const ARN_PREFIX: &str = "arn:aws:iam::aws:policy";

/// The policy with this ARN.
pub(crate) fn find(arn: &str) -> Option<Arc<HeldPolicy>> {
    BUILT_IN.iter().find(|held| held.arn == arn).cloned()
}

/// All of them, by name.
pub(crate) fn all() -> &'static [Arc<HeldPolicy>] {
    &BUILT_IN
}

/// A name, its path, what it is for, and what it allows.
type Entry = (&'static str, &'static str, &'static str, &'static [&'static str]);

const ENTRIES: [Entry; 13] = [
    ("AdministratorAccess", "/", "Provides full access to all services and resources.", &["*"]),
    ("AmazonKinesisFullAccess", "/", "Provides full access to all streams.", &["kinesis:*"]),
    (
        "AmazonKinesisReadOnlyAccess",
        "/",
        "Provides read only access to all streams.",
        &["kinesis:Get*", "kinesis:List*", "kinesis:Describe*", "kinesis:SubscribeToShard"],
    ),
    (
        "AmazonKinesisFirehoseFullAccess",
        "/",
        "Provides full access to all delivery streams.",
        &["firehose:*"],
    ),
    (
        "AmazonKinesisVideoStreamsFullAccess",
        "/",
        "Provides full access to all video streams.",
        &["kinesisvideo:*"],
    ),
    ("AmazonDynamoDBFullAccess", "/", "Provides full access to all tables.", &["dynamodb:*"]),
    ("AWSLambda_FullAccess", "/", "Provides full access to all functions.", &["lambda:*"]),
    ("CloudWatchFullAccess", "/", "Provides full access to metrics.", &["cloudwatch:*"]),
    (
        "CloudWatchReadOnlyAccess",
        "/",
        "Provides read only access to metrics.",
        &["cloudwatch:Get*", "cloudwatch:List*", "cloudwatch:Describe*"],
    ),
    ("IAMFullAccess", "/", "Provides full access to IAM.", &["iam:*"]),
    (
        "IAMReadOnlyAccess",
        "/",
        "Provides read only access to IAM.",
        &["iam:Get*", "iam:List*", "iam:Simulate*", "iam:Generate*"],
    ),
    (
        "ReadOnlyAccess",
        "/",
        "Provides read-only access to all services and resources.",
        &[
            "cloudtrail:LookupEvents",
            "cloudwatch:Describe*",
            "cloudwatch:Get*",
            "cloudwatch:List*",
            "dynamodb:BatchGetItem",
            "dynamodb:Describe*",
            "dynamodb:Get*",
            "dynamodb:List*",
            "dynamodb:Query",
            "dynamodb:Scan",
            "firehose:Describe*",
            "firehose:List*",
            "iam:Get*",
            "iam:List*",
            "iam:Simulate*",
            "kinesis:Describe*",
            "kinesis:Get*",
            "kinesis:List*",
            "kinesis:SubscribeToShard",
            "kinesisanalytics:Describe*",
            "kinesisanalytics:Get*",
            "kinesisanalytics:List*",
            "kinesisvideo:Describe*",
            "kinesisvideo:Get*",
            "kinesisvideo:List*",
            "kms:Describe*",
            "kms:Get*",
            "kms:List*",
            "lambda:Get*",
            "lambda:List*",
            "sts:GetCallerIdentity",
        ],
    ),
    (
        "AWSKeyManagementServicePowerUser",
        "/",
        "Provides access to KMS without managing keys' material or policies.",
        &[
            "kms:CreateAlias",
            "kms:CreateKey",
            "kms:DeleteAlias",
            "kms:Describe*",
            "kms:GenerateRandom",
            "kms:Get*",
            "kms:List*",
            "kms:TagResource",
            "kms:UntagResource",
            "iam:ListGroups",
            "iam:ListRoles",
            "iam:ListUsers",
        ],
    ),
];

static BUILT_IN: LazyLock<Vec<Arc<HeldPolicy>>> = LazyLock::new(|| {
    let mut all: Vec<_> = ENTRIES.iter().zip(1..).map(|(entry, at)| make(entry, at)).collect();
    all.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
    all
});

fn make((name, path, description, actions): &Entry, at: u32) -> Arc<HeldPolicy> {
    let document = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }],
    });
    let (created, updated) = (BIRTH, BIRTH);
    let policy = ManagedPolicy {
        id: format!("ANPAMILLSTREAM{at:07}"),
        name: (*name).to_owned(),
        path: (*path).to_owned(),
        created,
        updated,
        description: Some((*description).to_owned()),
        tags: Tags::new(),
        versions: vec![PolicyVersion { number: 1, created, document: document.to_string() }],
        default: 1,
        next: 2,
        declared: false,
    };
    HeldPolicy::built_in(format!("{ARN_PREFIX}{path}{name}"), policy)
}

/// When AWS made its first ones: 2015-02-06.
const BIRTH: Timestamp = Timestamp::from_secs(1_423_180_800);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_a_policy() {
        for held in all() {
            assert!(held.parsed().is_some(), "{}", held.arn);
            assert!(find(&held.arn).is_some());
        }
    }
}

//! KMS.

use super::{Form, Further, Group, Service, TAG_KEYS, TAGS, When};

/// Of cryptographic operations.
const CRYPTO: &[&str] = &[
    "kms:EncryptionAlgorithm",
    "kms:EncryptionContext:",
    "kms:EncryptionContextKeys",
    "kms:RequestAlias",
];

pub(super) static KMS: Service = Service {
    prefix: "kms",
    groups: &[
        Group {
            resource: Form::Key,
            keys: CRYPTO,
            operations: &[
                "Decrypt",
                "Encrypt",
                "GenerateDataKey",
                "GenerateDataKeyWithoutPlaintext",
                "ReEncrypt",
            ],
        },
        Group {
            resource: Form::Key,
            keys: &[],
            operations: &[
                "CancelKeyDeletion",
                "DescribeKey",
                "DisableKey",
                "DisableKeyRotation",
                "EnableKey",
                "EnableKeyRotation",
                "GetKeyPolicy",
                "GetKeyRotationStatus",
                "ListKeyPolicies",
                "ListKeyRotations",
                "ListResourceTags",
                "PutKeyPolicy",
                "RotateKeyOnDemand",
                "ScheduleKeyDeletion",
                "UpdateKeyDescription",
            ],
        },
        Group { resource: Form::Key, keys: TAGS, operations: &["TagResource"] },
        Group { resource: Form::Key, keys: TAG_KEYS, operations: &["UntagResource"] },
        Group {
            resource: Form::Alias,
            keys: &[],
            operations: &["CreateAlias", "DeleteAlias", "UpdateAlias"],
        },
        Group { resource: Form::Any, keys: TAGS, operations: &["CreateKey"] },
        Group {
            resource: Form::Any,
            keys: &[],
            operations: &["GenerateRandom", "ListAliases", "ListKeys"],
        },
    ],
    renamed: &[("ReEncrypt", "ReEncryptFrom")],
    further: &[
        Further {
            operation: "ReEncrypt",
            when: When::Always,
            action: "kms:ReEncryptTo",
            resource: Form::Key,
        },
        Further {
            operation: "CreateAlias",
            when: When::Always,
            action: "kms:CreateAlias",
            resource: Form::Key,
        },
        Further {
            operation: "DeleteAlias",
            when: When::Always,
            action: "kms:DeleteAlias",
            resource: Form::Key,
        },
        Further {
            operation: "UpdateAlias",
            when: When::Always,
            action: "kms:UpdateAlias",
            resource: Form::Key,
        },
        Further {
            operation: "CreateKey",
            when: When::Tags,
            action: "kms:TagResource",
            resource: Form::Any,
        },
    ],
    others: &["CreateGrant", "ListGrants", "ReEncryptTo", "RetireGrant", "RevokeGrant"],
};

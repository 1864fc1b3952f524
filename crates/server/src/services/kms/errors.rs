//! Every sentence that a client of KMS can read, and which error carries it.
//!
//! The words are AWS's where AWS's are known from recorded answers, and ours where they are not,
//! marked so.

use std::fmt::Display;

use millstream_api::kms::errors as model;
use millstream_base::TagError;
use millstream_base::limits::{
    KMS_CONTEXT_BYTES_MAX, KMS_DELETION_WINDOW_DAYS_MAX, KMS_DELETION_WINDOW_DAYS_MIN,
    KMS_POLICY_BYTES_MAX,
};
use millstream_kms::{Error, KeyArn, NameProblem};
use millstream_wire::ServiceError;

/// What a client reads when the engine refuses or fails.
pub fn of_engine(error: Error) -> ServiceError {
    match error {
        Error::Name(NameProblem::KeyId(text)) => invalid_key_id(&text),
        Error::Name(NameProblem::Arn(text)) => model::invalid_arn(format!("Invalid arn {text}")),
        Error::Name(NameProblem::Region(region)) => {
            model::not_found(format!("Invalid arn {region}"))
        }
        Error::Name(NameProblem::MultiRegion(arn)) | Error::NotFound { arn } => {
            model::not_found(format!("Key '{arn}' does not exist"))
        }
        Error::AliasNotFound { arn } => model::not_found(format!("Alias {arn} is not found.")),
        Error::AliasExists { arn } => {
            model::already_exists(format!("An alias with the name {arn} already exists"))
        }
        // Ours.
        Error::TooManyAliases { arn, max } => {
            model::limit_exceeded(format!("{arn} has {max} aliases already."))
        }
        // Ours.
        Error::TooManyKeys { max } => {
            model::limit_exceeded(format!("The account has {max} keys in the Region already."))
        }
        Error::Disabled { arn } => model::disabled(format!("{arn} is disabled.")),
        Error::PendingDeletion { arn } => {
            model::kms_invalid_state(format!("{arn} is pending deletion."))
        }
        Error::NotPendingDeletion { arn } => {
            model::kms_invalid_state(format!("{arn} is not pending deletion."))
        }
        // Ours; at AWS the policies of such keys allow nobody to.
        Error::Managed { arn } => access_denied(format!(
            "{arn} is managed by AWS; the operation is for keys of the account."
        )),
        // Ours.
        Error::TooManyRotations { arn, max } => {
            model::limit_exceeded(format!("{arn} was rotated on demand {max} times already."))
        }
        Error::Tag(error) => tag(&error),
        Error::InvalidCiphertext => bare("InvalidCiphertextException"),
        Error::IncorrectKey { .. } => model::incorrect_key(
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ),
        error @ (Error::Root(_) | Error::Meta(_) | Error::Corrupt { .. }) => {
            tracing::error!(%error, "a key can't be used");
            // What is wrong with the node is for who runs it.
            model::kms_internal("The key can't be used for now.")
        }
    }
}

/// As [`of_engine`], of a ciphertext's key, of which a stranger shall learn nothing.
pub fn of_decryption(error: Error) -> ServiceError {
    match error {
        Error::NotFound { .. } => access_denied(
            "The ciphertext refers to a customer master key that does not exist, does not exist \
             in this region, or you are not allowed to access.",
        ),
        error => of_engine(error),
    }
}

fn bare(code: &'static str) -> ServiceError {
    ServiceError::bare(code, 400)
}

pub fn access_denied(sentence: impl Into<String>) -> ServiceError {
    ServiceError::new("AccessDeniedException", 400, sentence)
}

pub fn invalid_key_id(text: &str) -> ServiceError {
    model::not_found(format!("Invalid keyId '{text}'"))
}

pub fn alias_not_taken() -> ServiceError {
    model::invalid_arn("Key Aliases are not supported for this operation")
}

/// Ours.
pub fn other_account(arn: &KeyArn) -> ServiceError {
    access_denied(format!("{arn} belongs to another account."))
}

// CreateKey.

/// Ours.
pub fn unsupported(what: impl Display, value: impl Display) -> ServiceError {
    model::unsupported_operation(format!("{what} {value} is not supported."))
}

pub fn two_specs() -> ServiceError {
    ServiceError::validation(
        "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. \
         CustomerMasterKeySpec is deprecated.",
    )
}

/// Ours.
pub fn policy_too_long() -> ServiceError {
    model::limit_exceeded(format!(
        "A key policy can't be longer than {KMS_POLICY_BYTES_MAX} bytes."
    ))
}

/// Ours, with what is wrong.
pub fn policy_malformed(reason: impl Display) -> ServiceError {
    model::malformed_policy_document(format!("The key policy is malformed: {reason}"))
}

/// The only name that a policy can have is `default`.
pub fn no_such_policy() -> ServiceError {
    model::not_found("No such policy exists")
}

/// Ours.
fn tag(error: &TagError) -> ServiceError {
    match error {
        TagError::TooMany { max, .. } => {
            model::limit_exceeded(format!("A key can't have more than {max} tags."))
        }
        TagError::Reserved { key } => {
            model::tag(format!("Tag key {key} begins with the reserved prefix aws:."))
        }
        error => model::tag(format!("Invalid tag: {error}.")),
    }
}

/// Ours.
pub fn tag_doubled(key: &str) -> ServiceError {
    model::tag(format!("Tag key {key} is given more than once."))
}

// Deletion.

/// Ours.
pub fn window() -> ServiceError {
    ServiceError::validation(format!(
        "PendingWindowInDays must be between {KMS_DELETION_WINDOW_DAYS_MIN} and \
         {KMS_DELETION_WINDOW_DAYS_MAX}."
    ))
}

// Aliases.

pub fn alias_without_prefix() -> ServiceError {
    ServiceError::validation(
        "Alias must start with the prefix \"alias/\". Please see \
         https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
    )
}

/// Ours.
pub fn alias_name(name: &str) -> ServiceError {
    model::invalid_alias_name(format!("{name} contains invalid characters for an alias"))
}

pub fn alias_reserved() -> ServiceError {
    bare("NotAuthorizedException")
}

// Encryption.

pub fn data_key_size() -> ServiceError {
    ServiceError::validation("Please specify either number of bytes or key spec.")
}

pub fn random_size() -> ServiceError {
    ServiceError::validation("NumberOfBytes is required.")
}

/// Ours.
pub fn ciphertext_missing() -> ServiceError {
    ServiceError::validation("CiphertextBlob is required.")
}

/// Ours.
pub fn context_too_long() -> ServiceError {
    ServiceError::validation(format!(
        "The encryption context can't be longer than {KMS_CONTEXT_BYTES_MAX} bytes."
    ))
}

/// Ours.
pub fn algorithm(name: impl Display) -> ServiceError {
    model::invalid_key_usage(format!("The key can't be used with the algorithm {name}."))
}

/// Ours.
pub fn no_enclaves() -> ServiceError {
    model::unsupported_operation("Recipient is not supported: there are no enclaves here.")
}

/// Ours.
pub fn no_key_store(id: &str) -> ServiceError {
    model::custom_key_store_not_found(format!("Custom key store {id} does not exist."))
}

pub fn dry_run() -> ServiceError {
    model::dry_run_operation("The request would have succeeded, but the DryRun option is set.")
}

// Lists.

/// Ours.
pub fn marker() -> ServiceError {
    model::invalid_marker("The marker is not valid.")
}

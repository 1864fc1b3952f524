//! Every sentence that a client of STS can read, and which error carries it.

use millstream_api::sts::errors as model;
use millstream_identity::{Error, StsError, oidc::JwtError};
use millstream_wire::ServiceError;

/// The sentence is that of the decision.
pub fn access_denied(sentence: String) -> ServiceError {
    ServiceError::new("AccessDenied", 403, sentence)
}

fn validation(message: impl Into<String>) -> ServiceError {
    ServiceError::new("ValidationError", 400, message)
}

pub fn of_sts(error: StsError) -> ServiceError {
    match error {
        StsError::Denied(sentence) => access_denied(sentence),
        StsError::Invalid(sentence) => validation(sentence),
        // AWS says "Syntax errors in policy."; why, is ours.
        StsError::Document(reason) => {
            model::malformed_policy_document(format!("Syntax errors in policy: {reason}."))
        }
        StsError::TooLarge { percent } => model::packed_policy_too_large(format!(
            "Packed policy consumes {percent}% of allotted space, please use smaller policy."
        )),
        StsError::Token(error) => of_token(&error),
        StsError::Audience => model::invalid_identity_token("Incorrect token audience"),
        StsError::Sealed => {
            tracing::error!("the root key was not fetched: no session can be made");
            ServiceError::internal_failure("Internal service failure.")
        }
    }
}

fn of_token(error: &JwtError) -> ServiceError {
    match error {
        JwtError::Malformed(reason) => model::invalid_identity_token(format!(
            "The ID Token provided is not a valid JWT. ({reason})"
        )),
        JwtError::UnknownIssuer(_) => {
            model::invalid_identity_token("No OpenIDConnect provider found in your account for it")
        }
        JwtError::UnknownKey(_) => model::invalid_identity_token(
            "Couldn't retrieve verification key from your identity provider,  please reference \
             AssumeRoleWithWebIdentity documentation for requirements",
        ),
        JwtError::BadSignature => model::invalid_identity_token("Token signature invalid"),
        JwtError::Expired { expired, now } => model::expired_token(format!(
            "Token expired: current date/time {now} must be before \
                                          the expiration date/time {expired}"
        )),
        JwtError::NotYet { .. } => model::invalid_identity_token("Token is not yet valid"),
    }
}

pub fn of_engine(error: Error) -> ServiceError {
    tracing::error!(%error, "no session can be made");
    ServiceError::internal_failure("Internal service failure.")
}

/// Ours.
pub fn no_mfa() -> ServiceError {
    ServiceError::new(
        "AccessDenied",
        403,
        "MultiFactorAuthentication failed: there are no MFA devices here.",
    )
}

/// Ours.
pub fn no_identities() -> ServiceError {
    ServiceError::new(
        "AccessDenied",
        403,
        "Sessions need identities: this node runs without auth.mode \"iam\".",
    )
}

pub fn no_such_key(id: &str) -> ServiceError {
    validation(format!("The access key {id} does not exist."))
}

/// Ours.
pub fn doubled_tags() -> ServiceError {
    ServiceError::new(
        "InvalidParameterValue",
        400,
        "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
    )
}

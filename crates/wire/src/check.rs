//! Checking values: AWS's one sentence about all constraints that were violated.
//!
//! Promise: every violated constraint is found, in the order of the model, and at most
//! [`VIOLATIONS_MAX`] are told.

pub use crate::constraint::{Check, MemberInfo, Missing};
use crate::error::ServiceError;
pub use crate::value::{SHOWN_BYTES_MAX, VIOLATIONS_MAX};
use crate::value::{Validator, Value};

/// Checks `value` as a whole.
///
/// `namespace` is the Java package that the service shows in front of structures.
///
/// # Errors
/// `ValidationException` with the sentence.
pub fn validate<T: Value>(
    value: &T,
    missing: &Missing,
    namespace: &'static str,
) -> Result<(), ServiceError> {
    let mut validator = Validator::new(missing, namespace);
    value.validate(&mut validator, &[]);
    match validator.sentence() {
        None => Ok(()),
        Some(sentence) => Err(ServiceError::validation(sentence)),
    }
}

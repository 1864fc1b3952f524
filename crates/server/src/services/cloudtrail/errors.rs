//! Every sentence that a client of CloudTrail can read. The errors are the model's; the words are
//! ours where not marked.

use std::io;

use millstream_api::cloudtrail::errors as model;
use millstream_wire::ServiceError;

pub fn no_trail() -> ServiceError {
    model::unsupported_operation("This node keeps no audit trail.")
}

/// The sentence is that of the decision. The model has no such error; AWS's JSON services say it so.
pub fn access_denied(sentence: String) -> ServiceError {
    ServiceError::new("AccessDeniedException", 400, sentence)
}

pub fn event_category(name: &str) -> ServiceError {
    model::invalid_event_category(format!("The event category {name} is not valid."))
}

/// Source: API reference, LookupEvents: "Currently the list can contain only one item."
pub fn several_attributes() -> ServiceError {
    model::invalid_lookup_attributes("You can only use one lookup attribute.")
}

pub fn unknown_attribute(name: &str) -> ServiceError {
    model::invalid_lookup_attributes(format!("The lookup attribute {name} is not valid."))
}

pub fn time_range() -> ServiceError {
    model::invalid_time_range("The start time must be earlier than the end time.")
}

pub fn token() -> ServiceError {
    model::invalid_next_token(
        "The next token is not valid, or the other parameters are not those of the call that gave it.",
    )
}

pub fn unreadable(error: &io::Error) -> ServiceError {
    tracing::error!(%error, "the audit trail can't be read");
    ServiceError::internal_failure("The audit trail can't be read.")
}

//! What is wrong with a document, for its author: always with the place.

/// Why a text is not a policy of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it has {bytes} bytes, more than {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("it has {chars} characters that are not blanks, more than {max}")]
    TooLong { chars: usize, max: usize },
    #[error("it is not a JSON object")]
    NotJson,
    #[error("{at} is missing")]
    Missing { at: String },
    #[error("{at} is not known")]
    Unknown { at: String },
    #[error("{at} is given twice")]
    Twice { at: String },
    #[error("{at} can't stand in a policy of this kind")]
    Misplaced { at: String },
    #[error("{at} must be {wanted}")]
    Wrong { at: String, wanted: &'static str },
    #[error("{at} names {text}, which is not the resource")]
    OtherResource { at: String, text: String },
    #[error("{at} must be an action of {service}")]
    OtherService { at: String, service: &'static str },
}

pub(crate) type Result<T> = std::result::Result<T, Fault>;

pub(crate) fn wrong<T>(at: impl Into<String>, wanted: &'static str) -> Result<T> {
    Err(Fault::Wrong { at: at.into(), wanted })
}

//! Tags of a resource: the rules that hold for streams and consumers alike.

use std::collections::BTreeMap;

use crate::limits::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_PER_RESOURCE_MAX};

/// Keys and values, in the order of the keys' bytes, as AWS lists them.
pub type Tags = BTreeMap<String, String>;

/// Why tags can't be taken, in the order in which AWS looks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error("tag text {text:?} has characters that tags can't have")]
    InvalidCharacters { text: String },
    /// A per cent sign passes the first check and fails the second, on AWS too.
    #[error("tag text {text:?} has a per cent sign")]
    IllegalCharacters { text: String },
    #[error("tag key {key:?} starts with the reserved prefix aws:")]
    Reserved { key: String },
    #[error("{what} {text:?} is not {min} to {max} characters long")]
    Length { what: &'static str, text: String, min: usize, max: usize },
    #[error("{count} tags are more than {max}")]
    TooMany { count: usize, max: usize },
}

/// Looks at tags that are to be added to a resource that has `existing` ones.
///
/// Source of the order: streams' AddTagsToStream looks at the set of characters, then for a per
/// cent sign, then at the count of the union.
pub fn check_added<'a>(
    existing: &Tags,
    added: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<(), TagError> {
    for (key, value) in added.clone() {
        check_text(key)?;
        check_text(value)?;
    }
    for (key, value) in added.clone() {
        check_percent(key)?;
        check_percent(value)?;
        check_length("tag key", key, 1, TAG_KEY_CHARS_MAX)?;
        check_length("tag value", value, 0, TAG_VALUE_CHARS_MAX)?;
        check_reserved(key)?;
    }
    let new: std::collections::BTreeSet<&str> =
        added.map(|(key, _)| key).filter(|key| !existing.contains_key(*key)).collect();
    let count = existing.len() + new.len();
    if count > TAGS_PER_RESOURCE_MAX {
        return Err(TagError::TooMany { count, max: TAGS_PER_RESOURCE_MAX });
    }
    Ok(())
}

/// Looks at keys that are to be removed; keys that are not there are no fault.
pub fn check_removed<'a>(keys: impl Iterator<Item = &'a str> + Clone) -> Result<(), TagError> {
    for key in keys.clone() {
        check_text(key)?;
    }
    for key in keys {
        check_percent(key)?;
        check_reserved(key)?;
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), TagError> {
    let allowed =
        |c: char| c.is_alphanumeric() || c.is_whitespace() || "_./=+-%@:".contains(c) || is_mark(c);
    match text.chars().all(allowed) {
        true => Ok(()),
        false => Err(TagError::InvalidCharacters { text: text.into() }),
    }
}

/// Combining marks belong to the letters before them (Devanagari, Thai, decomposed accents).
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{dff}' | '\u{e30}'..='\u{e4f}')
}

fn check_percent(text: &str) -> Result<(), TagError> {
    match text.contains('%') {
        true => Err(TagError::IllegalCharacters { text: text.into() }),
        false => Ok(()),
    }
}

fn check_reserved(key: &str) -> Result<(), TagError> {
    match key.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("aws:")) {
        true => Err(TagError::Reserved { key: key.into() }),
        false => Ok(()),
    }
}

fn check_length(what: &'static str, text: &str, min: usize, max: usize) -> Result<(), TagError> {
    match (min..=max).contains(&text.chars().count()) {
        true => Ok(()),
        false => Err(TagError::Length { what, text: text.into(), min, max }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(existing: usize, added: &[(&str, &str)]) -> Result<(), TagError> {
        let existing = (0..existing).map(|i| (format!("k{i}"), String::new())).collect();
        check_added(&existing, added.iter().copied())
    }

    #[test]
    fn ordinary_tags_pass() {
        let good = [("team", "a b"), ("kubernetes.io/x:y", "v=+-@"), ("größe", ""), ("名前", "値")];
        assert_eq!(check(0, &good), Ok(()));
    }

    #[test]
    fn faults_are_found_in_the_order_aws_looks() {
        use TagError::*;
        assert!(matches!(check(50, &[("a%", "x"), ("b!", "x")]), Err(InvalidCharacters { .. })));
        assert!(matches!(check(50, &[("a%", "x")]), Err(IllegalCharacters { .. })));
        assert!(matches!(check(50, &[("aws:a", "x")]), Err(Reserved { .. })));
        assert_eq!(check(50, &[("a", "x")]), Err(TooMany { count: 51, max: 50 }));
        assert_eq!(check(50, &[("k3", "x")]), Ok(()), "overwriting adds nothing");
        let long = "a".repeat(129);
        assert!(matches!(check(0, &[(&long, "")]), Err(Length { .. })));
    }

    #[test]
    fn removal_takes_unknown_keys_and_refuses_bad_ones() {
        assert_eq!(check_removed(["never-there"].into_iter()), Ok(()));
        assert!(matches!(
            check_removed(["a!"].into_iter()),
            Err(TagError::InvalidCharacters { .. })
        ));
        assert!(matches!(
            check_removed(["%"].into_iter()),
            Err(TagError::IllegalCharacters { .. })
        ));
    }
}

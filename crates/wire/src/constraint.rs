//! The constraints of the models as data, and the paths at which they are told to be violated.

use std::collections::HashSet;
use std::fmt::Write as _;

/// A member as decoders and validation see it.
#[derive(Debug)]
pub struct MemberInfo {
    /// The name on the wire.
    pub name: &'static str,
    pub required: bool,
    pub checks: &'static [Check],
}

/// One constraint of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// Inclusive bounds of characters, bytes, items or entries.
    Length(Option<u64>, Option<u64>),
    /// Inclusive bounds of a number.
    Range(Option<i64>, Option<i64>),
    /// A Java regular expression that must match the whole text.
    Pattern(&'static str),
    /// What each item of the list must satisfy.
    Items(&'static [Check]),
    /// What each key of the map must satisfy.
    Keys(&'static [Check]),
    /// What each value of the map must satisfy.
    Values(&'static [Check]),
}

/// How declarations spell constraints.
pub mod build {
    use super::Check;

    pub const fn length(min: u64, max: u64) -> Check {
        Check::Length(Some(min), Some(max))
    }

    pub const fn length_min(min: u64) -> Check {
        Check::Length(Some(min), None)
    }

    pub const fn length_max(max: u64) -> Check {
        Check::Length(None, Some(max))
    }

    pub const fn range(min: i64, max: i64) -> Check {
        Check::Range(Some(min), Some(max))
    }

    pub const fn range_min(min: i64) -> Check {
        Check::Range(Some(min), None)
    }

    pub const fn range_max(max: i64) -> Check {
        Check::Range(None, Some(max))
    }

    pub const fn pattern(java: &'static str) -> Check {
        Check::Pattern(java)
    }

    pub const fn items(checks: &'static [Check]) -> Check {
        Check::Items(checks)
    }

    pub const fn keys(checks: &'static [Check]) -> Check {
        Check::Keys(checks)
    }

    pub const fn values(checks: &'static [Check]) -> Check {
        Check::Values(checks)
    }
}

/// Most paths kept. Each is a violation of its own, and far fewer violations are told.
const MISSING_MAX: usize = 10_000;

/// The paths of required members that were absent or null in a decoded body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing(HashSet<String>);

impl Missing {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    pub(crate) fn insert(&mut self, path: String) {
        if self.0.len() < MISSING_MAX {
            self.0.insert(path);
        }
    }

    /// Takes over the paths of `inner`, which was read as the value of `member` if that is given.
    pub(crate) fn extend(&mut self, inner: Missing, member: Option<&str>) {
        self.0.extend(inner.0.into_iter().map(|path| match member {
            None => path,
            Some(member) => {
                let mut whole = String::new();
                push_member(&mut whole, member);
                whole + "." + &path
            }
        }));
    }
}

/// `StreamName` is `streamName` in a path.
pub(crate) fn push_member(path: &mut String, name: &str) {
    push_dot(path);
    let mut chars = name.chars();
    path.extend(chars.next().map(|c| c.to_ascii_lowercase()));
    path.push_str(chars.as_str());
}

pub(crate) fn push_item(path: &mut String, number: u64) {
    push_dot(path);
    let _ = write!(path, "{number}.member");
}

pub(crate) fn push_key(path: &mut String, key: &str) {
    push_dot(path);
    path.push_str(key);
    path.push_str(".member");
}

fn push_dot(path: &mut String) {
    if !path.is_empty() {
        path.push('.');
    }
}

//! Constraints of members, and AWS's one sentence about all that were violated.
//!
//! Promise: every violated constraint is found, in the order of the model, and at most
//! [`VIOLATIONS_MAX`] are told.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::error::ServiceError;
use crate::pattern;
use crate::value::Value;

/// Most violations one sentence lists and counts, as the services do.
pub const VIOLATIONS_MAX: usize = 10;

/// Most bytes of one offending value that a sentence repeats.
pub const SHOWN_BYTES_MAX: usize = 64 << 10;

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
        self.0.insert(path);
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
    let mut validator = Validator { missing, namespace, path: Vec::new(), violations: Vec::new() };
    value.validate(&mut validator, &[]);
    match validator.sentence() {
        None => Ok(()),
        Some(sentence) => Err(ServiceError::validation(sentence)),
    }
}

/// Walks a value and collects what it violates.
#[derive(Debug)]
pub struct Validator<'a> {
    missing: &'a Missing,
    namespace: &'static str,
    path: Vec<Step>,
    violations: Vec<String>,
}

#[derive(Debug)]
enum Step {
    Member(&'static str),
    Item(u64),
    Key(String),
}

impl Validator<'_> {
    /// Whether enough was found.
    pub fn is_full(&self) -> bool {
        self.violations.len() >= VIOLATIONS_MAX
    }

    pub fn in_member(&mut self, name: &'static str, inner: impl FnOnce(&mut Self)) {
        self.within(Step::Member(name), inner);
    }

    /// `index` counts from 0; the sentence counts from 1.
    pub fn in_item(&mut self, index: usize, inner: impl FnOnce(&mut Self)) {
        self.within(Step::Item(index as u64 + 1), inner);
    }

    pub fn in_key(&mut self, key: &str, inner: impl FnOnce(&mut Self)) {
        self.within(Step::Key(key.to_owned()), inner);
    }

    fn within(&mut self, step: Step, inner: impl FnOnce(&mut Self)) {
        self.path.push(step);
        inner(self);
        self.path.pop();
    }

    /// Reports the current member if it is required and was not given; then there is no value to
    /// check further.
    pub fn reports_missing(&mut self) -> bool {
        if self.missing.is_empty() {
            return false;
        }
        let path = self.path();
        let missing = self.missing.contains(&path);
        if missing {
            self.add(format!(
                "Value null at '{path}' failed to satisfy constraint: Member must not be null"
            ));
        }
        missing
    }

    /// Whether `value` violates `checks`, without reporting it.
    pub fn violates<T: Value>(&mut self, value: &T, checks: &'static [Check]) -> bool {
        let before = self.violations.len();
        value.validate(self, checks);
        let violated = self.violations.len() > before;
        self.violations.truncate(before);
        violated
    }

    /// Reports that `value`, as the sentence shows it (blobs are not shown), violates `constraint`.
    pub fn violated<T: Value>(&mut self, value: &T, constraint: &str) {
        if self.is_full() {
            return;
        }
        let mut text = String::from("Value ");
        let mut shown = Shown { text: String::new(), namespace: self.namespace };
        value.show(&mut shown);
        if T::SHOWN {
            let _ = write!(text, "'{}' ", shown.text);
        }
        let end = if T::SHOWN { "" } else { "." };
        let path = self.path();
        let _ = write!(text, "at '{path}' failed to satisfy constraint: {constraint}{end}");
        self.add(text);
    }

    /// Patterns first, then the lower and then the upper bound of the length.
    pub fn check_text<T: Value>(&mut self, value: &T, text: &str, checks: &'static [Check]) {
        for check in checks {
            match *check {
                Check::Pattern(java) if !pattern::matches(java, text) => {
                    self.violated(value, &constraint_pattern(java));
                }
                Check::Length(min, max) => {
                    self.check_length(value, min, max, text_length(text));
                }
                _ => {}
            }
        }
    }

    pub fn check_size<T: Value>(&mut self, value: &T, size: usize, checks: &'static [Check]) {
        for check in checks {
            if let Check::Length(min, max) = *check {
                self.check_length(value, min, max, size as u64);
            }
        }
    }

    fn check_length<T: Value>(&mut self, v: &T, min: Option<u64>, max: Option<u64>, length: u64) {
        if let Some(min) = min.filter(|min| length < *min) {
            self.violated(v, &constraint_length_min(min));
        }
        if let Some(max) = max.filter(|max| length > *max) {
            self.violated(v, &constraint_length_max(max));
        }
    }

    pub fn check_number<T: Value>(&mut self, value: &T, number: f64, checks: &'static [Check]) {
        for check in checks {
            let Check::Range(min, max) = *check else { continue };
            if let Some(min) = min.filter(|min| number < *min as f64) {
                self.violated(value, &constraint_range_min(min));
            }
            if let Some(max) = max.filter(|max| number > *max as f64) {
                self.violated(value, &constraint_range_max(max));
            }
        }
    }

    fn add(&mut self, violation: String) {
        if !self.is_full() {
            self.violations.push(violation);
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Member(name) => push_member(&mut path, name),
                Step::Item(number) => push_item(&mut path, *number),
                Step::Key(key) => push_key(&mut path, key),
            }
        }
        path
    }

    fn sentence(&self) -> Option<String> {
        let n = self.violations.len();
        let errors = if n == 1 { "error" } else { "errors" };
        (n > 0).then(|| format!("{n} validation {errors} detected: {}", self.violations.join("; ")))
    }
}

/// Collects the text of an offending value, up to [`SHOWN_BYTES_MAX`].
#[derive(Debug)]
pub struct Shown {
    text: String,
    namespace: &'static str,
}

impl Shown {
    pub fn push(&mut self, text: &str) {
        let room = SHOWN_BYTES_MAX.saturating_sub(self.text.len());
        let cut = if text.len() <= room { text.len() } else { text.floor_char_boundary(room) };
        self.text.push_str(&text[..cut]);
    }

    pub fn is_full(&self) -> bool {
        self.text.len() + 4 > SHOWN_BYTES_MAX
    }

    /// `com.amazonaws.kinesis.v20131202.Tag@1f2e3d4c`: what Java prints for an object.
    pub fn structure(&mut self, name: &str, hash: u32) {
        let object = format!("{}.{name}@{hash:x}", self.namespace);
        self.push(&object);
    }

    pub fn list<T: Value>(&mut self, items: &[T]) {
        self.push("[");
        for (i, item) in items.iter().enumerate() {
            if self.is_full() {
                break;
            }
            if i > 0 {
                self.push(", ");
            }
            item.show(self);
        }
        self.push("]");
    }

    pub fn map<'a, T: Value + 'a>(&mut self, entries: impl Iterator<Item = (&'a String, &'a T)>) {
        self.push("{");
        for (i, (key, value)) in entries.enumerate() {
            if self.is_full() {
                break;
            }
            if i > 0 {
                self.push(", ");
            }
            self.push(key);
            self.push("=");
            value.show(self);
        }
        self.push("}");
    }
}

/// What each item, key or value must satisfy, as one bracketed list: upper bound, lower bound,
/// pattern, enum.
pub fn constraints_listed(checks: &[Check], values: Option<&[&str]>) -> String {
    let mut all = Vec::new();
    for check in checks {
        match *check {
            Check::Length(min, max) => {
                all.extend(max.map(constraint_length_max));
                all.extend(min.map(constraint_length_min));
            }
            Check::Range(min, max) => {
                all.extend(max.map(constraint_range_max));
                all.extend(min.map(constraint_range_min));
            }
            _ => {}
        }
    }
    for check in checks {
        if let Check::Pattern(java) = check {
            all.push(constraint_pattern(java));
        }
    }
    all.extend(values.map(constraint_enum));
    format!("[{}]", all.join(", "))
}

pub fn constraint_enum(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}

fn constraint_pattern(java: &str) -> String {
    format!("Member must satisfy regular expression pattern: {java}")
}

fn constraint_length_min(min: u64) -> String {
    format!("Member must have length greater than or equal to {min}")
}

fn constraint_length_max(max: u64) -> String {
    format!("Member must have length less than or equal to {max}")
}

fn constraint_range_min(min: i64) -> String {
    format!("Member must have value greater than or equal to {min}")
}

fn constraint_range_max(max: i64) -> String {
    format!("Member must have value less than or equal to {max}")
}

/// Unicode characters of `text`.
fn text_length(text: &str) -> u64 {
    if text.is_ascii() { text.len() as u64 } else { text.chars().count() as u64 }
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

//! Collecting what a value violates, into AWS's one sentence.

use std::fmt::Write as _;

use super::Value;
use crate::constraint::{Check, Missing, push_item, push_key, push_member};
use crate::pattern;

/// Most violations one sentence lists and counts, as the services do.
pub const VIOLATIONS_MAX: usize = 10;

/// Most bytes of one offending value that a sentence repeats.
pub const SHOWN_BYTES_MAX: usize = 64 << 10;

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

impl<'a> Validator<'a> {
    pub fn new(missing: &'a Missing, namespace: &'static str) -> Self {
        Validator { missing, namespace, path: Vec::new(), violations: Vec::new() }
    }

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

    /// All violations in one sentence; `None` if there is none.
    pub fn sentence(&self) -> Option<String> {
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

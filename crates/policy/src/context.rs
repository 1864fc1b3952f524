//! The condition keys of one request and their values.
//!
//! What follows from the principal is not in here: evaluation looks there itself. Values are kept
//! in the form in which they come and become text only when a condition asks.

use std::borrow::Cow;
use std::net::IpAddr;

use millstream_base::{Tags, Timestamp};

/// Condition keys with values, without those that follow from the principal. A key that is given
/// here wins over one that follows from the principal, as simulations need it.
#[derive(Clone, Debug, Default)]
pub struct Context<'a> {
    entries: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// What a condition key has.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    /// A key with several values, such as `aws:TagKeys`; none at all is as if it were absent.
    Many(Vec<Cow<'a, str>>),
    Flag(bool),
    Number(i64),
    Time(Timestamp),
    Address(IpAddr),
    /// A family of keys, such as `aws:ResourceTag/…`.
    Tags(&'a Tags),
}

impl<'a> Context<'a> {
    pub fn new() -> Context<'a> {
        Context::default()
    }

    /// Room for `count` keys.
    pub fn with_capacity(count: usize) -> Context<'a> {
        Context { entries: Vec::with_capacity(count) }
    }

    /// Gives a key its value. The first one given counts.
    pub fn set(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) {
        self.entries.push((key.into(), value));
    }

    /// Gives a key a text.
    pub fn set_text(&mut self, key: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) {
        self.set(key, Value::Text(text.into()));
    }

    /// Gives a family of keys, such as `aws:ResourceTag`, its tags.
    pub fn set_tags(&mut self, family: impl Into<Cow<'a, str>>, tags: &'a Tags) {
        self.set(family, Value::Tags(tags));
    }

    /// The value of the key `family` or `family/tag`. Neither minds upper and lower case.
    pub(crate) fn find(&self, family: &str, tag: Option<&str>) -> Option<Found<'_>> {
        self.entries.iter().find_map(|(key, value)| match (value, tag) {
            (Value::Tags(tags), Some(tag)) => key
                .eq_ignore_ascii_case(family)
                .then(|| tag_of(tags, tag))
                .flatten()
                .map(Found::Text),
            (Value::Tags(_), None) => None,
            (value, None) => key.eq_ignore_ascii_case(family).then_some(Found::Given(value)),
            (value, Some(tag)) => {
                let (start, end) = key.split_once('/')?;
                let same = start.eq_ignore_ascii_case(family) && end.eq_ignore_ascii_case(tag);
                same.then_some(Found::Given(value))
            }
        })
    }
}

/// A tag's value; of keys that differ in case only, the one that is written alike wins.
pub(crate) fn tag_of<'t>(tags: &'t Tags, key: &str) -> Option<&'t str> {
    let alike = || tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    tags.get(key).or_else(|| alike().map(|(_, value)| value)).map(String::as_str)
}

/// The value of a key, wherever it came from.
#[derive(Clone, Debug)]
pub(crate) enum Found<'v> {
    Given(&'v Value<'v>),
    Text(&'v str),
    Flag(bool),
}

/// One value of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'v> {
    Text(&'v str),
    Flag(bool),
    Number(i64),
    Time(Timestamp),
    Address(IpAddr),
}

impl<'v> Found<'v> {
    /// The only value; none if the key has several or none.
    pub(crate) fn single(&self) -> Option<Item<'v>> {
        Some(match self {
            Found::Text(text) => Item::Text(text),
            Found::Flag(flag) => Item::Flag(*flag),
            Found::Given(Value::Text(text)) => Item::Text(text),
            Found::Given(Value::Flag(flag)) => Item::Flag(*flag),
            Found::Given(Value::Number(number)) => Item::Number(*number),
            Found::Given(Value::Time(time)) => Item::Time(*time),
            Found::Given(Value::Address(address)) => Item::Address(*address),
            Found::Given(Value::Many(texts)) => match &texts[..] {
                [one] => Item::Text(one),
                _ => return None,
            },
            Found::Given(Value::Tags(_)) => return None,
        })
    }

    /// Whether there is no value at all.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Found::Given(Value::Many(texts)) if texts.is_empty())
    }

    /// Whether `test` holds for one of the values.
    pub(crate) fn any(&self, mut test: impl FnMut(Item<'_>) -> bool) -> bool {
        match self {
            Found::Given(Value::Many(texts)) => texts.iter().any(|text| test(Item::Text(text))),
            one => one.single().is_some_and(test),
        }
    }

    /// Whether `test` holds for all of the values.
    pub(crate) fn all(&self, mut test: impl FnMut(Item<'_>) -> bool) -> bool {
        !self.any(|item| !test(item))
    }
}

impl<'v> Item<'v> {
    /// As string operators see it.
    pub(crate) fn text(self) -> Cow<'v, str> {
        match self {
            Item::Text(text) => Cow::Borrowed(text),
            Item::Flag(true) => Cow::Borrowed("true"),
            Item::Flag(false) => Cow::Borrowed("false"),
            Item::Number(number) => Cow::Owned(number.to_string()),
            Item::Time(time) => Cow::Owned(crate::date::text_of(time)),
            Item::Address(address) => Cow::Owned(address.to_string()),
        }
    }
}

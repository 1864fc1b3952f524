//! Actions: what a request wants to do, and what statements say of actions.
//!
//! Upper and lower case are alike in both. The actions of our own services are numbered, so that a
//! statement can keep the set of those that it covers; asking for one of them is reading one bit.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::fault::{Result, wrong};
use crate::pattern::Pattern;
use crate::tables;

/// What a request wants to do: `kinesis:PutRecord`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    name: Box<str>,
    folded: Box<str>,
    number: Option<usize>,
}

impl Action {
    /// An action of any service.
    ///
    /// # Errors
    /// A text that is not `SERVICE:NAME`.
    pub fn new(name: &str) -> std::result::Result<Action, NotAnAction> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        match name.split_once(':') {
            Some((service, action))
                if !service.is_empty()
                    && !action.is_empty()
                    && service.bytes().all(plain)
                    && action.bytes().all(plain) =>
            {
                let folded = name.to_ascii_lowercase();
                let number = KNOWN.numbers.get(&*folded).copied();
                Ok(Action { name: name.into(), folded: folded.into(), number })
            }
            _ => Err(NotAnAction { text: name.chars().take(128).collect() }),
        }
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an action such as \"kinesis:PutRecord\"")]
pub struct NotAnAction {
    pub text: String,
}

/// The words of 64 actions that a set takes; more than our services have, which a test proves.
const WORDS: usize = 6;

/// A set of numbered actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers([u64; WORDS]);

impl Numbers {
    fn all() -> Numbers {
        Numbers([u64::MAX; WORDS])
    }
    fn add(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }
    fn has(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }
    pub(crate) fn join(&mut self, other: &Numbers) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }
    fn complement(mut self) -> Numbers {
        self.0.iter_mut().for_each(|word| *word = !*word);
        self
    }
}

/// The actions of our services, in the order of their folded names.
struct Known {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut names: Vec<String> = tables::actions()
        .map(|(service, name)| format!("{service}:{name}").to_lowercase())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() <= WORDS * 64, "{} actions are more than {WORDS} words", names.len());
    let numbers = names.iter().cloned().enumerate().map(|(at, name)| (name, at)).collect();
    Known { names, numbers }
});

/// The `Action` or `NotAction` of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Actions {
    patterns: Box<[ActionPattern]>,
    /// `NotAction`
    inverted: bool,
    /// The numbered actions that this covers.
    covered: Numbers,
}

#[derive(Clone, Debug)]
struct ActionPattern {
    /// None for any.
    service: Option<Box<str>>,
    name: Pattern,
}

impl Actions {
    /// `items` are the texts with their places.
    pub(crate) fn parse(items: &[(String, &str)], inverted: bool) -> Result<Actions> {
        let patterns: Box<[ActionPattern]> =
            items.iter().map(|(at, text)| ActionPattern::parse(at, text)).collect::<Result<_>>()?;
        let mut covered = Numbers::default();
        patterns.iter().for_each(|pattern| pattern.cover(&mut covered));
        let covered = if inverted { covered.complement() } else { covered };
        Ok(Actions { patterns, inverted, covered })
    }

    pub(crate) fn covered(&self) -> &Numbers {
        &self.covered
    }

    pub(crate) fn fits(&self, action: &Action) -> bool {
        match action.number {
            Some(number) => self.covered.has(number),
            None => self.is_named(&action.folded) != self.inverted,
        }
    }

    pub(crate) fn is_inverted(&self) -> bool {
        self.inverted
    }

    /// Whether a pattern names an action of another service.
    pub(crate) fn names_other_than(&self, service: &str) -> Option<usize> {
        self.patterns.iter().position(|pattern| match &pattern.service {
            Some(named) => **named != *service,
            None => false,
        })
    }

    fn is_named(&self, folded: &str) -> bool {
        let (service, name) = folded.split_once(':').expect("an action has a service");
        self.patterns.iter().any(|pattern| {
            pattern.service.as_deref().is_none_or(|wanted| wanted == service)
                && pattern.name.fits(name)
        })
    }
}

/// Whether a policy that covers `covered` may say something of `action`.
pub(crate) fn may_cover(covered: &Numbers, action: &Action) -> bool {
    action.number.is_none_or(|number| covered.has(number))
}

impl ActionPattern {
    fn parse(at: &str, text: &str) -> Result<ActionPattern> {
        if text == "*" {
            return Ok(ActionPattern { service: None, name: Pattern::Anything });
        }
        let wanted = "\"*\" or an action such as \"kinesis:Put*\"";
        let Some((service, name)) = text.split_once(':') else { return wrong(at, wanted) };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let wild = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?' | b'_' | b'-');
        let is_service = !service.is_empty() && service.bytes().all(plain);
        if !(is_service || service == "*") || name.is_empty() || !name.bytes().all(wild) {
            return wrong(at, wanted);
        }
        Ok(ActionPattern {
            service: is_service.then(|| service.to_ascii_lowercase().into()),
            name: Pattern::of(&name.to_ascii_lowercase()),
        })
    }

    fn cover(&self, covered: &mut Numbers) {
        let Some(service) = &self.service else {
            if self.name == Pattern::Anything {
                *covered = Numbers::all();
                return;
            }
            return self.cover_range(0..KNOWN.names.len(), covered);
        };
        if let Pattern::Exactly(name) = &self.name {
            if let Some(number) = KNOWN.numbers.get(&*format!("{service}:{name}")) {
                covered.add(*number);
            }
            return;
        }
        let from = KNOWN.names.partition_point(|name| **name < *format!("{service}:"));
        let to = KNOWN.names.partition_point(|name| **name < *format!("{service};"));
        self.cover_range(from..to, covered);
    }

    fn cover_range(&self, range: std::ops::Range<usize>, covered: &mut Numbers) {
        for number in range {
            let name = KNOWN.names[number].split_once(':').map_or("", |(_, name)| name);
            if self.name.fits(name) {
                covered.add(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(patterns: &[&str], inverted: bool, action: &str) -> bool {
        let items: Vec<(String, &str)> =
            patterns.iter().map(|text| ("Action".to_owned(), *text)).collect();
        Actions::parse(&items, inverted).unwrap().fits(&Action::new(action).unwrap())
    }

    #[test]
    fn actions_fit_whatever_their_case() {
        for (pattern, action, expected) in [
            ("*", "kinesis:PutRecord", true),
            ("*:*", "kinesis:PutRecord", true),
            ("*:put*", "kinesis:PutRecord", true),
            ("*:put*", "kinesis:GetRecords", false),
            ("kinesis:*", "kinesis:PutRecord", true),
            ("KINESIS:put*", "kinesis:PutRecord", true),
            ("kinesis:PutRecord", "kinesis:PutRecords", false),
            ("kinesis:PutRecord?", "kinesis:PutRecords", true),
            ("kinesis:PutRecord?", "kinesis:PutRecord", false),
            ("kinesis:*", "kinesisvideo:PutMedia", false),
            ("s3:Get*", "s3:GetObject", true),
            ("s3:Get*", "s3:PutObject", false),
            ("*", "s3:PutObject", true),
        ] {
            assert_eq!(fits(&[pattern], false, action), expected, "{pattern} {action}");
            assert_eq!(fits(&[pattern], true, action), !expected, "not {pattern} {action}");
        }
    }

    #[test]
    fn what_is_no_action_is_refused() {
        for text in ["", "kinesis", "kin*:Put", ":Put", "kinesis:", "kinesis:Put Record", "**"] {
            assert!(ActionPattern::parse("Action", text).is_err(), "{text}");
        }
        for text in ["", "kinesis", "kinesis:*", ":a", "a:"] {
            assert!(Action::new(text).is_err(), "{text}");
        }
    }
}

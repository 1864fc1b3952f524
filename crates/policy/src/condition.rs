//! The `Condition` of a statement: operators over condition keys.
//!
//! All keys of all operators must hold; of a key's values one must, or none with the operators that
//! negate. A key that the request does not have fails the operators that ask for something, and
//! passes those that negate, those with `IfExists` and those with `ForAllValues`.

use std::net::IpAddr;

use crate::context::Item;
use crate::date;
use crate::facts::{Facts, Key};
use crate::fault::{Fault, Result, wrong};
use crate::json::Node;
use crate::network::Network;
use crate::template::{ArnTemplate, Reading, Template};

/// One operator with one key.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    key: Key,
    quantifier: Quantifier,
    if_exists: bool,
    /// `…Not…`
    negated: bool,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    /// No word before the operator. One value of the key is enough.
    None,
    ForAllValues,
    ForAnyValue,
}

/// What is compared, with the values of the policy.
#[derive(Clone, Debug)]
enum Test {
    Equals(Vec<Template>),
    EqualsIgnoringCase(Vec<Template>),
    Like(Vec<Template>),
    Arn(Vec<ArnTemplate>),
    Number(Order, Vec<f64>),
    /// Milliseconds since the epoch.
    Date(Order, Vec<i64>),
    Bool(Vec<bool>),
    Binary(Vec<Vec<u8>>),
    Address(Vec<Network>),
    /// Whether the key must be absent.
    Null(Vec<bool>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// All conditions of a statement. `variables`: whether the document knows variables.
    pub(crate) fn parse_all(at: &str, value: &Node, variables: bool) -> Result<Vec<Condition>> {
        let Node::Object(operators) = value else { return wrong(at, "an object") };
        let mut conditions = vec![];
        for (operator, keys) in operators {
            let at = format!("{at}.{operator}");
            let Node::Object(keys) = keys else { return wrong(at, "an object") };
            for (key, values) in keys {
                let at = format!("{at}.{key}");
                conditions.push(Condition::parse(&at, operator, key, values, variables)?);
            }
        }
        Ok(conditions)
    }

    fn parse(at: &str, operator: &str, key: &str, values: &Node, vars: bool) -> Result<Condition> {
        let (quantifier, rest) = match operator.split_once(':') {
            Some((word, rest)) if word.eq_ignore_ascii_case("ForAllValues") => {
                (Quantifier::ForAllValues, rest)
            }
            Some((word, rest)) if word.eq_ignore_ascii_case("ForAnyValue") => {
                (Quantifier::ForAnyValue, rest)
            }
            _ => (Quantifier::None, operator),
        };
        let lower = rest.to_ascii_lowercase();
        let (name, if_exists) = match lower.strip_suffix("ifexists") {
            Some(name) => (name, true),
            None => (&*lower, false),
        };
        let values = plain_values(at, values)?;
        let (test, negated) = Test::parse(at, name, &values, vars)?;
        if matches!(test, Test::Null(_)) && (if_exists || quantifier != Quantifier::None) {
            return Err(Fault::Unknown { at: at.to_owned() });
        }
        if key.is_empty() {
            return wrong(at, "under the name of a condition key");
        }
        Ok(Condition { key: Key::of(key), quantifier, if_exists, negated, test })
    }

    /// Whether it holds.
    pub(crate) fn holds(&self, facts: &Facts) -> bool {
        let found = facts.find(&self.key);
        if let Test::Null(absent) = &self.test {
            return absent.contains(&found.is_none());
        }
        let Some(found) = found else {
            return match self.quantifier {
                _ if self.if_exists => true,
                Quantifier::ForAllValues => true,
                Quantifier::ForAnyValue => false,
                Quantifier::None => self.negated,
            };
        };
        let fits = |item: Item| self.test.fits(item, facts);
        match self.quantifier {
            Quantifier::ForAllValues => found.all(|item| fits(item) != self.negated),
            Quantifier::ForAnyValue => found.any(|item| fits(item) != self.negated),
            Quantifier::None => found.any(fits) != self.negated,
        }
    }

    /// The keys that it and its variables name.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        let (templates, arns): (&[Template], &[ArnTemplate]) = match &self.test {
            Test::Equals(t) | Test::EqualsIgnoringCase(t) | Test::Like(t) => (t, &[]),
            Test::Arn(arns) => (&[], arns),
            _ => (&[], &[]),
        };
        let variables = templates.iter().flat_map(Template::keys);
        let variables = variables.chain(arns.iter().flat_map(ArnTemplate::keys));
        std::iter::once(&self.key).chain(variables)
    }
}

impl Test {
    /// The test of an operator's name in lower case, and whether the operator negates it.
    fn parse(at: &str, name: &str, values: &[String], variables: bool) -> Result<(Test, bool)> {
        let templates = |wildcards: bool| {
            let reading = Reading { wildcards, variables };
            values.iter().map(|text| Template::parse(at, text, reading)).collect::<Result<Vec<_>>>()
        };
        let arns = || -> Result<Vec<ArnTemplate>> {
            Ok(templates(true)?.into_iter().map(ArnTemplate::of).collect())
        };
        let numbers = |order: Order| Ok(Test::Number(order, each(at, values, "a number", number)?));
        let dates = |order: Order| Ok(Test::Date(order, each(at, values, "a date", date::parse)?));
        let bools = || each(at, values, "true or false", flag);
        Ok(match name {
            "stringequals" => (Test::Equals(templates(false)?), false),
            "stringnotequals" => (Test::Equals(templates(false)?), true),
            "stringequalsignorecase" => (Test::EqualsIgnoringCase(templates(false)?), false),
            "stringnotequalsignorecase" => (Test::EqualsIgnoringCase(templates(false)?), true),
            "stringlike" => (Test::Like(templates(true)?), false),
            "stringnotlike" => (Test::Like(templates(true)?), true),
            "arnequals" | "arnlike" => (Test::Arn(arns()?), false),
            "arnnotequals" | "arnnotlike" => (Test::Arn(arns()?), true),
            "numericequals" => (numbers(Order::Equal)?, false),
            "numericnotequals" => (numbers(Order::Equal)?, true),
            "numericlessthan" => (numbers(Order::Less)?, false),
            "numericlessthanequals" => (numbers(Order::LessOrEqual)?, false),
            "numericgreaterthan" => (numbers(Order::Greater)?, false),
            "numericgreaterthanequals" => (numbers(Order::GreaterOrEqual)?, false),
            "dateequals" => (dates(Order::Equal)?, false),
            "datenotequals" => (dates(Order::Equal)?, true),
            "datelessthan" => (dates(Order::Less)?, false),
            "datelessthanequals" => (dates(Order::LessOrEqual)?, false),
            "dategreaterthan" => (dates(Order::Greater)?, false),
            "dategreaterthanequals" => (dates(Order::GreaterOrEqual)?, false),
            "bool" => (Test::Bool(bools()?), false),
            "null" => (Test::Null(bools()?), false),
            "binaryequals" => (Test::Binary(each(at, values, "base64", base64)?), false),
            "ipaddress" => (Test::Address(each(at, values, NETWORK, Network::parse)?), false),
            "notipaddress" => (Test::Address(each(at, values, NETWORK, Network::parse)?), true),
            _ => return wrong(at, "under a condition operator"),
        })
    }

    /// Whether one value of the request fits one value of the policy.
    fn fits(&self, item: Item, facts: &Facts) -> bool {
        match self {
            Test::Equals(templates) | Test::Like(templates) => {
                let text = item.text();
                templates.iter().any(|template| template.fits(&text, facts))
            }
            Test::EqualsIgnoringCase(templates) => {
                let text = item.text();
                templates.iter().any(|template| template.equals_ignoring_case(&text, facts))
            }
            Test::Arn(templates) => {
                let text = item.text();
                templates.iter().any(|template| template.fits(&text, facts))
            }
            Test::Number(order, wanted) => item_number(item)
                .is_some_and(|found| wanted.iter().any(|wanted| order.holds(found, *wanted))),
            Test::Date(order, wanted) => item_date(item)
                .is_some_and(|found| wanted.iter().any(|wanted| order.holds(found, *wanted))),
            Test::Bool(wanted) => item_flag(item).is_some_and(|found| wanted.contains(&found)),
            Test::Binary(wanted) => {
                base64(&item.text()).is_some_and(|found| wanted.contains(&found))
            }
            Test::Address(wanted) => item_address(item)
                .is_some_and(|found| wanted.iter().any(|network| network.has(found))),
            Test::Null(_) => unreachable!("absence is no matter of values"),
        }
    }
}

const NETWORK: &str = "an IP address or a network such as 203.0.113.0/24";

impl Order {
    fn holds<T: PartialOrd>(self, found: T, wanted: T) -> bool {
        match self {
            Order::Equal => found == wanted,
            Order::Less => found < wanted,
            Order::LessOrEqual => found <= wanted,
            Order::Greater => found > wanted,
            Order::GreaterOrEqual => found >= wanted,
        }
    }
}

/// A value or a list of values, as texts.
fn plain_values(at: &str, values: &Node) -> Result<Vec<String>> {
    let plain = |value: &Node| match value {
        Node::Text(text) | Node::Number(text) => Some(text.clone()),
        Node::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let read: Option<Vec<String>> = match values {
        Node::List(items) => items.iter().map(plain).collect(),
        one => plain(one).map(|text| vec![text]),
    };
    read.map_or_else(|| wrong(at, "a value or a list of values"), Ok)
}

fn each<T>(
    at: &str,
    values: &[String],
    wanted: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>> {
    values.iter().map(|text| read(text).map_or_else(|| wrong(at, wanted), Ok)).collect()
}

fn number(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    text.bytes().all(plain).then(|| text.parse().ok()).flatten().filter(|n: &f64| n.is_finite())
}

fn flag(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(text).ok()
}

fn item_number(item: Item) -> Option<f64> {
    match item {
        Item::Number(value) => Some(value as f64),
        Item::Time(time) => Some(time.as_secs() as f64),
        Item::Text(text) => number(text),
        Item::Flag(_) | Item::Address(_) => None,
    }
}

fn item_date(item: Item) -> Option<i64> {
    match item {
        Item::Time(time) => i64::try_from(time.as_millis()).ok(),
        Item::Number(secs) => secs.checked_mul(1000),
        Item::Text(text) => date::parse(text),
        Item::Flag(_) | Item::Address(_) => None,
    }
}

fn item_flag(item: Item) -> Option<bool> {
    match item {
        Item::Flag(value) => Some(value),
        Item::Text(text) => flag(text),
        _ => None,
    }
}

fn item_address(item: Item) -> Option<IpAddr> {
    match item {
        Item::Address(address) => Some(address),
        Item::Text(text) => text.parse().ok(),
        _ => None,
    }
}

//! The names of one case while it plays, and the small language of values.
//!
//! `{name}` in a text stands for a named value; a text that is only `{name}` keeps that value's
//! type. An object with one key that starts with `$` is a call of this language, for everything
//! too long or too lively to write down:
//!
//! | call | value |
//! |---|---|
//! | `{"$text": "hello"}` | base64 of the text |
//! | `{"$bytes": 1048576}` | base64 of so many bytes |
//! | `{"$repeat": ["a", 257]}` | a text repeated |
//! | `{"$copies": [500, value]}` | a list of copies, `{i}` counting from 0 |
//! | `{"$entries": [51, "k{i}", "v{i}"]}` | a map of so many entries |
//! | `{"$now": -3600}` | seconds of now plus so many |
//! | `{"$add": ["{t}", 0.001]}` | a sum |
//! | `{"$next": "{seq}"}` | a decimal number of any length plus one |
//! | `{"$tamper": "{token}"}` | the text with its middle character changed |
//! | `{"$cut": ["{token}", 20]}` | its first characters |
//! | `{"$literal": value}` | the value as it stands |

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::base64;

/// Named values of one case.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    names: BTreeMap<String, Value>,
}

impl Scene {
    /// The names every case starts with.
    pub fn new(stream: &str, account: &str, region: &str) -> Self {
        let arn = format!("arn:aws:kinesis:{region}:{account}:stream/{stream}");
        let mut scene = Self::default();
        scene.set("stream", stream.into());
        scene.set("account", account.into());
        scene.set("region", region.into());
        scene.set("arn", arn.into());
        scene
    }

    /// Names `value`.
    pub fn set(&mut self, name: &str, value: Value) {
        self.names.insert(name.to_owned(), value);
    }

    /// The value with names and calls replaced, patterns (`$re` and friends) left standing.
    ///
    /// # Errors
    /// An unknown name, a call with wrong arguments.
    pub fn expand(&self, value: &Value) -> Result<Value> {
        match value {
            Value::String(text) => self.expand_text(text),
            Value::Array(items) => items.iter().map(|item| self.expand(item)).collect(),
            Value::Object(members) => self.expand_object(members),
            other => Ok(other.clone()),
        }
    }

    /// As [`Scene::expand`], to a text.
    ///
    /// # Errors
    /// As [`Scene::expand`].
    pub fn text(&self, text: &str) -> Result<String> {
        Ok(as_text(&self.expand_text(text)?))
    }

    fn expand_object(&self, members: &Map<String, Value>) -> Result<Value> {
        if members.len() == 1
            && let Some((name, argument)) = members.iter().next()
            && name.starts_with('$')
        {
            return self.call(name, argument).with_context(|| format!("{name} {argument}"));
        }
        let mut out = Map::new();
        for (name, value) in members {
            out.insert(self.text(name)?, self.expand(value)?);
        }
        Ok(Value::Object(out))
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Value> {
        let list = argument.as_array().map_or(&[][..], Vec::as_slice);
        Ok(match (name, list) {
            ("$literal", _) => argument.clone(),
            ("$text", _) => base64::encode(as_text(&self.expand(argument)?)).into(),
            ("$bytes", _) => base64::encode(vec![b'x'; count(argument)?]).into(),
            ("$repeat", [text, times]) => as_text(&self.expand(text)?).repeat(count(times)?).into(),
            ("$copies", [times, value]) => self.copies(count(times)?, value)?,
            ("$entries", [times, key, value]) => self.entries(count(times)?, key, value)?,
            ("$now", _) => {
                json!(now() + argument.as_f64().context("seconds")?)
            }
            ("$add", [left, right]) => {
                let left = self.expand(left)?.as_f64().context("left is no number")?;
                json!(left + right.as_f64().context("right is no number")?)
            }
            ("$next", _) => successor(&as_text(&self.expand(argument)?)).into(),
            ("$tamper", _) => tamper(&as_text(&self.expand(argument)?)).into(),
            ("$cut", [text, length]) => {
                as_text(&self.expand(text)?).chars().take(count(length)?).collect::<String>().into()
            }
            _ => {
                let mut pattern = Map::new();
                pattern.insert(name.to_owned(), self.expand(argument)?);
                Value::Object(pattern)
            }
        })
    }

    fn copies(&self, times: usize, value: &Value) -> Result<Value> {
        let mut scene = self.clone();
        (0..times)
            .map(|index| {
                scene.set("i", index.to_string().into());
                scene.expand(value)
            })
            .collect()
    }

    fn entries(&self, times: usize, key: &Value, value: &Value) -> Result<Value> {
        let mut scene = self.clone();
        let mut out = Map::new();
        for index in 0..times {
            scene.set("i", index.to_string().into());
            out.insert(as_text(&scene.expand(key)?), scene.expand(value)?);
        }
        Ok(Value::Object(out))
    }

    fn expand_text(&self, text: &str) -> Result<Value> {
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
            && is_name(name)
        {
            return self.get(name).cloned();
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            out.push_str(&rest[..start]);
            let inner = &rest[start + 1..];
            match inner.find('}').filter(|end| is_name(&inner[..*end])) {
                Some(end) => {
                    out.push_str(&as_text(self.get(&inner[..end])?));
                    rest = &inner[end + 1..];
                }
                None => {
                    out.push('{');
                    rest = inner;
                }
            }
        }
        out.push_str(rest);
        Ok(out.into())
    }

    fn get(&self, name: &str) -> Result<&Value> {
        self.names.get(name).with_context(|| format!("no value is named {name}"))
    }
}

/// Seconds since 1970, to the millisecond.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    millis as f64 / 1000.0
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A text as it is, anything else as JSON.
pub fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn count(value: &Value) -> Result<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok()).context("not a count")
}

fn successor(decimal: &str) -> String {
    let mut digits: Vec<u8> = decimal.bytes().collect();
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return String::from_utf8_lossy(&digits).into_owned();
        }
    }
    format!("1{}", String::from_utf8_lossy(&digits))
}

fn tamper(text: &str) -> String {
    let middle = text.chars().count() / 2;
    let change = |c: char| if c == 'A' { 'B' } else { 'A' };
    text.chars().enumerate().map(|(at, c)| if at == middle { change(c) } else { c }).collect()
}

/// The part of `value` at a dotted path such as `Records.0.SequenceNumber`.
///
/// # Errors
/// Nothing is there.
pub fn part<'a>(value: &'a Value, path: &str) -> Result<&'a Value> {
    let mut at = value;
    for step in path.split('.') {
        let next = match at {
            Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            other => other.get(step),
        };
        let Some(next) = next else { bail!("{path}: no {step} in {at}") };
        at = next;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_calls_and_patterns() {
        let mut scene = Scene::new("s", "1", "r");
        scene.set("n", json!(5));
        let expanded = scene
            .expand(&json!([
                "{n}", "{n} of {stream}", {"$repeat": ["ab", 2]}, {"$copies": [2, "x{i}"]},
                {"$re": "^{account}\\d{12}$"}, {"$next": "1999"}, {"$cut": ["abcdef", 2]},
                {"$entries": [1, "k{i}", "v"]}, "{\"a\":{\"b\":1}}",
            ]))
            .unwrap();
        let expected = json!([
            5, "5 of s", "abab", ["x0", "x1"], {"$re": "^1\\d{12}$"}, "2000", "ab", {"k0": "v"},
            "{\"a\":{\"b\":1}}",
        ]);
        assert_eq!(expanded, expected);
        assert!(scene.expand(&json!("{unknown}")).is_err());
    }

    #[test]
    fn parts_by_path() {
        let value = json!({"Records": [{"Data": "a"}]});
        assert_eq!(part(&value, "Records.0.Data").unwrap(), "a");
        assert!(part(&value, "Records.1").is_err());
    }
}

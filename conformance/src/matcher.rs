//! Patterns of answers.
//!
//! A pattern is JSON. A scalar equals itself, a list matches item by item, an object matches when
//! its members do (others may be there). An object with one `$` key asks more:
//!
//! | pattern | matches |
//! |---|---|
//! | `{"$absent": true}` | no member, or null |
//! | `{"$present": true}` | any value but null |
//! | `{"$type": "integer"}` | `string`, `number`, `integer`, `boolean`, `list`, `object` |
//! | `{"$re": "^a+$"}` | text the expression finds |
//! | `{"$each": pattern}` | a list whose every item matches |
//! | `{"$len": 3}` | a list, map or text of that length |
//! | `{"$only": {…}}` | an object with these members and no others |
//! | `{"$not": pattern}` | whatever the pattern does not |
//! | `{"$all": […]}`, `{"$any": […]}` | every one, at least one |
//! | `{"$gt": v}`, `{"$lt": v}` | numbers, or decimal texts of any length |
//! | `{"$near": [seconds, tolerance]}` | a number within the tolerance |
//! | `{"$in_order": true}` | a list of texts that strictly increases |

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Fails with the place and both values when `value` does not match.
///
/// # Errors
/// The first difference.
pub fn matches(pattern: &Value, value: Option<&Value>) -> Result<()> {
    if let Value::Object(members) = pattern
        && members.len() == 1
        && let Some((name, argument)) = members.iter().next()
        && name.starts_with('$')
    {
        return ask(name, argument, value);
    }
    let value = value.with_context(|| format!("missing, expected {}", short(pattern)))?;
    match (pattern, value) {
        (Value::Object(members), Value::Object(found)) => {
            for (name, pattern) in members {
                matches(pattern, found.get(name)).with_context(|| name.clone())?;
            }
            Ok(())
        }
        (Value::Array(patterns), Value::Array(items)) => {
            let (want, have) = (patterns.len(), items.len());
            ensure!(want == have, "{have} items, expected {want}: {}", short(value));
            for (index, (pattern, item)) in patterns.iter().zip(items).enumerate() {
                matches(pattern, Some(item)).with_context(|| index.to_string())?;
            }
            Ok(())
        }
        (Value::Number(want), Value::Number(have)) if want.as_f64() == have.as_f64() => Ok(()),
        _ if pattern == value => Ok(()),
        _ => bail!("is {}, expected {}", short(value), short(pattern)),
    }
}

fn ask(name: &str, argument: &Value, value: Option<&Value>) -> Result<()> {
    let present = value.filter(|value| !value.is_null());
    if name == "$absent" {
        ensure!(present.is_none(), "is {}, expected nothing", short(present.unwrap_or(argument)));
        return Ok(());
    }
    if name == "$not" {
        let same = matches(argument, value).is_ok();
        ensure!(!same, "is {}, expected something else", short(value.unwrap_or(&Value::Null)));
        return Ok(());
    }
    let value = present.with_context(|| format!("missing, expected {name} {}", short(argument)))?;
    let holds = match name {
        "$present" => true,
        "$type" => is_type(argument.as_str().unwrap_or_default(), value),
        "$re" => {
            let expression = regex_lite::Regex::new(argument.as_str().unwrap_or_default())?;
            value.as_str().is_some_and(|text| expression.is_match(text))
        }
        "$each" => {
            let items = value.as_array().with_context(|| format!("no list: {}", short(value)))?;
            for (index, item) in items.iter().enumerate() {
                matches(argument, Some(item)).with_context(|| index.to_string())?;
            }
            true
        }
        "$len" => length(value).is_some_and(|length| Some(length as u64) == argument.as_u64()),
        "$only" => {
            matches(argument, Some(value))?;
            length(argument) == length(value)
        }
        "$all" => {
            for pattern in argument.as_array().context("$all wants a list")? {
                matches(pattern, Some(value))?;
            }
            true
        }
        "$any" => {
            let patterns = argument.as_array().context("$any wants a list")?;
            patterns.iter().any(|pattern| matches(pattern, Some(value)).is_ok())
        }
        "$gt" => greater(value, argument)?,
        "$lt" => greater(argument, value)?,
        "$near" => near(value, argument)?,
        "$in_order" => in_order(value)?,
        other => bail!("unknown pattern {other}"),
    };
    ensure!(holds, "is {}, expected {name} {}", short(value), short(argument));
    Ok(())
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "list" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Array(items) => Some(items.len()),
        Value::Object(members) => Some(members.len()),
        Value::String(text) => Some(text.chars().count()),
        _ => None,
    }
}

fn greater(left: &Value, right: &Value) -> Result<bool> {
    if let (Some(left), Some(right)) = (left.as_f64(), right.as_f64()) {
        return Ok(left > right);
    }
    let (Some(left), Some(right)) = (left.as_str(), right.as_str()) else {
        bail!("can't compare {} with {}", short(left), short(right))
    };
    Ok(decimal_key(left) > decimal_key(right))
}

/// A key that orders decimal texts of any length as numbers.
pub fn decimal_key(text: &str) -> (usize, &str) {
    let digits = text.trim_start_matches('0');
    (digits.len(), digits)
}

fn near(value: &Value, argument: &Value) -> Result<bool> {
    let bounds: Vec<f64> =
        argument.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let [middle, tolerance] = bounds[..] else { bail!("$near wants [number, tolerance]") };
    Ok(value.as_f64().is_some_and(|number| (number - middle).abs() <= tolerance))
}

fn in_order(value: &Value) -> Result<bool> {
    let items = value.as_array().context("no list")?;
    let mut before: Option<&str> = None;
    for item in items {
        let text = item.as_str().context("not a text")?;
        if before.is_some_and(|before| before >= text) {
            return Ok(false);
        }
        before = Some(text);
    }
    Ok(true)
}

/// A value cut to what fits a message.
pub fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 600 {
        return text;
    }
    text.chars().take(600).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_accept_and_refuse() {
        let value = json!({"A": [1, 2], "S": "abc", "N": null, "D": "100", "T": 5.25});
        let good = [
            json!({"A": [1, 2]}),
            json!({"S": {"$re": "^a.c$"}, "N": {"$absent": true}, "X": {"$absent": true}}),
            json!({"A": {"$each": {"$type": "integer"}}, "D": {"$gt": "99"}}),
            json!({"A": {"$len": 2}, "T": {"$near": [5, 0.5]}, "S": {"$not": "x"}}),
            json!({"$only": {"A": {"$present": true}, "S": "abc", "N": {"$absent": true},
                "D": {"$any": ["1", "100"]}, "T": 5.25}}),
        ];
        for pattern in good {
            matches(&pattern, Some(&value)).unwrap_or_else(|error| panic!("{pattern}: {error:#}"));
        }
        let bad = [
            json!({"A": [1]}),
            json!({"S": "abd"}),
            json!({"X": 1}),
            json!({"S": {"$absent": true}}),
            json!({"D": {"$gt": "101"}}),
            json!({"$only": {"A": [1, 2]}}),
            json!({"A": {"$each": 1}}),
            json!({"S": {"$unknown": 1}}),
        ];
        for pattern in bad {
            assert!(matches(&pattern, Some(&value)).is_err(), "{pattern} matched");
        }
    }
}

//! Whether a text is a policy document that can stand on a resource.
//!
//! The grammar is IAM's, of policies attached to resources: every statement names principals. What
//! a document allows is not decided here.

use millstream_base::limits::POLICY_BYTES_MAX;
use serde_json::{Map, Value};

/// What is wrong with a document, for its author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it has {bytes} bytes, more than {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("it is not a JSON object")]
    NotJson,
    #[error("{at} is missing")]
    Missing { at: String },
    #[error("{at} is not known")]
    Unknown { at: String },
    #[error("{at} must be {wanted}")]
    Wrong { at: String, wanted: &'static str },
    #[error("{at} names {text}, which is not the resource")]
    OtherResource { at: String, text: String },
}

type Checked = Result<(), Fault>;

/// Looks at a policy for the resource with this ARN.
pub(super) fn check(text: &str, resource: &str) -> Checked {
    let (bytes, max) = (text.len(), POLICY_BYTES_MAX);
    if bytes > max {
        return Err(Fault::TooLarge { bytes, max });
    }
    let Ok(Value::Object(policy)) = serde_json::from_str(text) else { return Err(Fault::NotJson) };
    known_keys("", &policy, &["Version", "Id", "Statement"])?;
    if let Some(version) = policy.get("Version")
        && !["2012-10-17", "2008-10-17"].contains(&version.as_str().unwrap_or(""))
    {
        return wrong("Version", "2012-10-17 or 2008-10-17");
    }
    text_if_any("Id", policy.get("Id"))?;
    match policy.get("Statement") {
        None => Err(Fault::Missing { at: "Statement".to_owned() }),
        Some(Value::Object(one)) => statement("Statement", one, resource),
        Some(Value::Array(several)) if !several.is_empty() => {
            several.iter().enumerate().try_for_each(|(at, one)| {
                let at = format!("Statement[{at}]");
                match one {
                    Value::Object(one) => statement(&at, one, resource),
                    _ => wrong(at, "an object"),
                }
            })
        }
        Some(_) => wrong("Statement", "an object or a list of objects"),
    }
}

const STATEMENT_KEYS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

fn statement(at: &str, statement: &Map<String, Value>, resource: &str) -> Checked {
    known_keys(&format!("{at}."), statement, &STATEMENT_KEYS)?;
    text_if_any(&format!("{at}.Sid"), statement.get("Sid"))?;
    match statement.get("Effect").map(Value::as_str) {
        None => return Err(Fault::Missing { at: format!("{at}.Effect") }),
        Some(Some("Allow" | "Deny")) => {}
        Some(_) => return wrong(format!("{at}.Effect"), "Allow or Deny"),
    }
    let (name, value) = one_of(at, statement, ["Principal", "NotPrincipal"])?;
    principal(&format!("{at}.{name}"), value)?;
    let (name, value) = one_of(at, statement, ["Action", "NotAction"])?;
    texts(&format!("{at}.{name}"), value, action)?;
    let (name, value) = one_of(at, statement, ["Resource", "NotResource"])?;
    texts(&format!("{at}.{name}"), value, |at, text| match name {
        "Resource" if !fits(text, resource) => {
            Err(Fault::OtherResource { at: at.to_owned(), text: text.to_owned() })
        }
        _ => Ok(()),
    })?;
    match statement.get("Condition") {
        Some(value) => condition(&format!("{at}.Condition"), value),
        None => Ok(()),
    }
}

/// The one of two keys that is there.
fn one_of<'a>(
    at: &str,
    statement: &'a Map<String, Value>,
    names: [&'static str; 2],
) -> Result<(&'static str, &'a Value), Fault> {
    match names.map(|name| statement.get(name)) {
        [Some(value), None] => Ok((names[0], value)),
        [None, Some(value)] => Ok((names[1], value)),
        [None, None] => Err(Fault::Missing { at: format!("{at}.{}", names[0]) }),
        [Some(_), Some(_)] => {
            wrong(format!("{at}.{}", names[1]), "absent where its opposite is given")
        }
    }
}

/// `"*"`, or kinds of principals with their names.
fn principal(at: &str, value: &Value) -> Checked {
    match value {
        Value::String(everyone) if everyone == "*" => Ok(()),
        Value::Object(kinds) if !kinds.is_empty() => {
            known_keys(
                &format!("{at}."),
                kinds,
                &["AWS", "Service", "Federated", "CanonicalUser"],
            )?;
            kinds.iter().try_for_each(|(kind, names)| {
                texts(&format!("{at}.{kind}"), names, |at, text| match kind.as_str() {
                    "AWS" => aws_principal(at, text),
                    _ if text.is_empty() => wrong(at, "a name"),
                    _ => Ok(()),
                })
            })
        }
        _ => wrong(at, "\"*\" or an object of principals"),
    }
}

/// Everyone, an account, the ARN of an identity, or the id that is left of one that is gone.
fn aws_principal(at: &str, text: &str) -> Checked {
    let is_account = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    let is_id = (16..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let is_arn = matches!(parts[..], ["arn", partition, "iam" | "sts", _, account, name]
        if partition.starts_with("aws") && account.len() == 12 && !name.is_empty());
    match text == "*" || is_account || is_id || is_arn {
        true => Ok(()),
        false => wrong(at, "\"*\", an account, or the ARN of an identity"),
    }
}

fn action(at: &str, text: &str) -> Checked {
    let is_of_kinesis = text.split_once(':').is_some_and(|(service, name)| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'*' || b == b'?';
        service.eq_ignore_ascii_case("kinesis") && !name.is_empty() && name.bytes().all(allowed)
    });
    match is_of_kinesis || text == "*" {
        true => Ok(()),
        false => wrong(at, "an action of kinesis"),
    }
}

/// Operators with keys with values.
fn condition(at: &str, value: &Value) -> Checked {
    let Value::Object(operators) = value else { return wrong(at, "an object") };
    operators.iter().try_for_each(|(operator, keys)| {
        let at = format!("{at}.{operator}");
        let Value::Object(keys) = keys else { return wrong(at, "an object") };
        keys.iter().try_for_each(|(key, values)| {
            let plain = |v: &Value| v.is_string() || v.is_boolean() || v.is_number();
            let fits = plain(values) || values.as_array().is_some_and(|v| v.iter().all(plain));
            match fits {
                true => Ok(()),
                false => wrong(format!("{at}.{key}"), "a value or a list of values"),
            }
        })
    })
}

/// A text, or a list of at least one.
fn texts(at: &str, value: &Value, check: impl Fn(&str, &str) -> Checked) -> Checked {
    let (one, several) = (std::slice::from_ref(value), value.as_array());
    let items = several.map_or(one, Vec::as_slice);
    if items.is_empty() {
        return wrong(at, "a text or a list of texts");
    }
    items.iter().try_for_each(|item| match item {
        Value::String(text) => check(at, text),
        _ => wrong(at, "a text or a list of texts"),
    })
}

fn text_if_any(at: &str, value: Option<&Value>) -> Checked {
    match value {
        None | Some(Value::String(_)) => Ok(()),
        Some(_) => wrong(at, "a text"),
    }
}

fn known_keys(prefix: &str, object: &Map<String, Value>, known: &[&str]) -> Checked {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(Fault::Unknown { at: format!("{prefix}{key}") }),
    }
}

fn wrong<T>(at: impl Into<String>, wanted: &'static str) -> Result<T, Fault> {
    Err(Fault::Wrong { at: at.into(), wanted })
}

/// Whether a pattern with `*` (any text) and `?` (any character) fits all of `text`. Time grows
/// with the product of both lengths at most.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";

    fn whole() -> Value {
        json!({
            "Version": "2012-10-17",
            "Id": "readers",
            "Statement": [{
                "Sid": "one",
                "Effect": "Allow",
                "Principal": {"AWS": ["000000000007", "arn:aws:iam::000000000007:role/reader"]},
                "Action": ["kinesis:GetRecords", "kinesis:Describe*"],
                "Resource": ARN,
                "Condition": {"StringEquals": {"aws:SourceAccount": "000000000007"}},
            }],
        })
    }

    fn said(policy: &Value) -> String {
        check(&policy.to_string(), ARN).unwrap_err().to_string()
    }

    #[test]
    fn documents_of_every_form_are_taken() {
        let mut policy = whole();
        check(&policy.to_string(), ARN).unwrap();
        policy["Statement"] = policy["Statement"][0].clone();
        for (key, value) in [
            ("Principal", json!("*")),
            ("Principal", json!({"Service": "lambda.amazonaws.com"})),
            ("Principal", json!({"AWS": "AROAEXAMPLE123456789"})),
            ("Action", json!("kinesis:*")),
            ("Action", json!("*")),
            ("Resource", json!("arn:aws:kinesis:*:000000000000:stream/or?ers")),
            ("Resource", json!(["*"])),
            ("Effect", json!("Deny")),
            (
                "Condition",
                json!({"Bool": {"aws:SecureTransport": false}, "ForAny": {"a": ["b", 1]}}),
            ),
        ] {
            let mut other = policy.clone();
            other["Statement"][key] = value;
            check(&other.to_string(), ARN).unwrap();
        }
        let mut opposite = policy.clone();
        let statement = opposite["Statement"].as_object_mut().unwrap();
        let action = statement.remove("Action").unwrap();
        statement.insert("NotAction".to_owned(), action);
        check(&opposite.to_string(), ARN).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        assert_eq!(check("", ARN), Err(Fault::NotJson));
        assert_eq!(check("[]", ARN), Err(Fault::NotJson));
        assert_eq!(check(&"[".repeat(10_000), ARN), Err(Fault::NotJson));
        let large = " ".repeat(POLICY_BYTES_MAX + 1);
        assert_eq!(
            check(&large, ARN).unwrap_err().to_string(),
            "it has 20481 bytes, more than 20480"
        );
        assert_eq!(said(&json!({})), "Statement is missing");
        assert_eq!(
            said(&json!({"Statement": []})),
            "Statement must be an object or a list of objects"
        );
        assert_eq!(said(&json!({"Statement": [5]})), "Statement[0] must be an object");
        let mut policy = whole();
        policy["Version"] = json!("2020-01-01");
        assert_eq!(said(&policy), "Version must be 2012-10-17 or 2008-10-17");
        let mut policy = whole();
        policy["version"] = json!("2012-10-17");
        assert_eq!(said(&policy), "version is not known");
        for (key, value, expected) in [
            ("Effect", json!("allow"), "Statement[0].Effect must be Allow or Deny"),
            ("Sid", json!(5), "Statement[0].Sid must be a text"),
            ("Effects", json!("Allow"), "Statement[0].Effects is not known"),
            (
                "Principal",
                json!("me"),
                "Statement[0].Principal must be \"*\" or an object of principals",
            ),
            ("Principal", json!({"Aws": "*"}), "Statement[0].Principal.Aws is not known"),
            (
                "Principal",
                json!({"AWS": "me"}),
                "Statement[0].Principal.AWS must be \"*\", an account, or the ARN of an identity",
            ),
            ("Action", json!("s3:GetObject"), "Statement[0].Action must be an action of kinesis"),
            ("Action", json!([]), "Statement[0].Action must be a text or a list of texts"),
            (
                "Action",
                json!(["kinesis:Get Records"]),
                "Statement[0].Action must be an action of kinesis",
            ),
            (
                "NotAction",
                json!("kinesis:*"),
                "Statement[0].NotAction must be absent where its opposite is given",
            ),
            (
                "Resource",
                json!("arn:aws:kinesis:us-east-1:000000000000:stream/order"),
                "Statement[0].Resource names \
                 arn:aws:kinesis:us-east-1:000000000000:stream/order, which is not the resource",
            ),
            ("Condition", json!([]), "Statement[0].Condition must be an object"),
            (
                "Condition",
                json!({"StringEquals": {"a": {}}}),
                "Statement[0].Condition.StringEquals.a must be a value or a list of values",
            ),
        ] {
            let mut policy = whole();
            policy["Statement"][0][key] = value;
            assert_eq!(said(&policy), expected);
        }
        for key in ["Effect", "Principal", "Action", "Resource"] {
            let mut policy = whole();
            policy["Statement"][0].as_object_mut().unwrap().remove(key);
            assert_eq!(said(&policy), format!("Statement[0].{key} is missing"));
        }
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a**", "a", true),
            ("?", "", false),
            ("*ab", "aab", true),
            ("stream/*/x", "stream/a/b/x", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}

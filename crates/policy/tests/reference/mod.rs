//! The slow reference: IAM's rules as the documentation tells them, over plain JSON, at no matter
//! what cost. Shares nothing with the crate but the JSON parser: wildcards are tried one by one,
//! conditions are read anew at each question, and the decision follows the documented flow chart
//! step by step.
//!
//! Sources: IAM user guide, "Policy evaluation logic" and its pages, "IAM JSON policy elements"
//! (Principal, NotPrincipal, Condition operators, single- and multivalued keys, variables).
#![allow(dead_code)]

use std::collections::BTreeMap;

use serde_json::Value;

/// Who asks, as plain facts.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// "root", "user", "session", "service", "web" or "nobody".
    pub kind: &'static str,
    pub account: String,
    pub arn: String,
    pub role_arn: String,
    pub id: String,
    pub name: String,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default)]
pub struct Case {
    pub caller: Caller,
    pub action: String,
    pub resource: String,
    /// Empty: nobody's.
    pub owner: String,
    pub identity: Vec<Value>,
    pub boundary: Option<Value>,
    pub session: Option<Vec<Value>>,
    pub resource_policy: Option<Value>,
    /// Whether that policy alone decides who may at all.
    pub governs: bool,
    pub endpoint: Option<Value>,
    /// Lower-case keys with all their values, as text.
    pub context: BTreeMap<String, Vec<String>>,
}

/// "allow", or why not: "explicit identity", "none boundary" and so on.
pub fn verdict(case: &Case) -> String {
    let caller = &case.caller;
    let facts = all_facts(case);
    let effects = |policy: &Value| effects_of(policy, case, &facts);
    let of_all = |policies: &[Value]| policies.iter().flat_map(effects).collect::<Vec<_>>();

    let identity = of_all(&case.identity);
    let resource = case.resource_policy.iter().flat_map(effects).collect::<Vec<_>>();
    let boundary = case.boundary.as_ref().map(effects);
    let session = case.session.as_ref().map(|policies| of_all(policies));
    let endpoint = case.endpoint.as_ref().map(effects);

    // Step 1: an explicit deny in any policy.
    let named = [
        ("identity", Some(&identity)),
        ("resource", Some(&resource)),
        ("boundary", boundary.as_ref()),
        ("session", session.as_ref()),
        ("endpoint", endpoint.as_ref()),
    ];
    for (name, effects) in named {
        if effects.is_some_and(|effects| effects.iter().any(|e| e.starts_with("deny"))) {
            return format!("explicit {name}");
        }
    }
    let allows = |effects: &Vec<String>| effects.iter().any(|e| e.starts_with("allow"));
    let named_so = |how: &str| resource.iter().any(|e| *e == format!("allow {how}"));

    // Step 2: the endpoint must let it through.
    if endpoint.as_ref().is_some_and(|e| !allows(e)) {
        return "none endpoint".into();
    }
    // Step 3: one account or two.
    let same_account =
        case.owner.is_empty() || (!caller.account.is_empty() && caller.account == case.owner);
    let identity_allows = caller.kind == "root" || allows(&identity);
    let limits = || {
        if boundary.as_ref().is_some_and(|b| !allows(b)) {
            return "none boundary".to_string();
        }
        if session.as_ref().is_some_and(|s| !allows(s)) {
            return "none session".to_string();
        }
        "allow".to_string()
    };
    if same_account {
        // A user, session or other principal that the resource names by itself needs nothing else.
        if named_so("itself") {
            return "allow".into();
        }
        // Its role or everyone: boundary and session limit it, its own policies need not allow.
        if named_so("role") || named_so("everyone") {
            return limits();
        }
        if case.governs && !allows(&resource) {
            return "none resource".into();
        }
        if !identity_allows {
            return "none identity".into();
        }
        return limits();
    }
    // Step 4: between accounts the resource must allow, and the caller's account too.
    if !allows(&resource) {
        return "none resource".into();
    }
    if caller.account.is_empty() {
        return limits();
    }
    if !identity_allows {
        return "none identity".into();
    }
    limits()
}

/// The effects of the statements that match: "allow HOW" or "deny".
fn effects_of(policy: &Value, case: &Case, facts: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let new_language = policy["Version"] == "2012-10-17";
    let mut found = vec![];
    for statement in several(&policy["Statement"]) {
        let deny = statement["Effect"] == "Deny";
        let how = match who_matches(statement, case, deny) {
            Some(how) => how,
            None => continue,
        };
        if !action_matches(statement, &case.action) {
            continue;
        }
        if !resource_matches(statement, &case.resource, facts, new_language) {
            continue;
        }
        if !conditions_hold(&statement["Condition"], facts, new_language) {
            continue;
        }
        found.push(if deny { "deny".to_string() } else { format!("allow {how}") });
    }
    found
}

fn several(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => vec![],
        one => vec![one],
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

// Principals.

fn who_matches(statement: &Value, case: &Case, deny: bool) -> Option<&'static str> {
    if let Some(principal) = statement.get("Principal") {
        let hows = names(principal).iter().filter_map(|n| how(n, &case.caller)).collect::<Vec<_>>();
        return ["itself", "role", "everyone", "account"].into_iter().find(|h| hows.contains(h));
    }
    let Some(not) = statement.get("NotPrincipal") else { return Some("itself") };
    let hows = names(not).iter().filter_map(|n| how(n, &case.caller)).collect::<Vec<_>>();
    if !deny {
        return hows.is_empty().then_some("everyone");
    }
    // "always deny any IAM principal that has a permissions boundary policy attached"
    if case.boundary.is_some() {
        return Some("everyone");
    }
    let needed: &[&str] = match case.caller.kind {
        "user" => &["account", "itself"],
        "session" => &["account", "role", "itself"],
        _ => &["itself"],
    };
    let spared = needed.iter().all(|n| hows.contains(n)) || hows.contains(&"everyone");
    (!spared).then_some("everyone")
}

/// Kind and name of each principal.
fn names(principal: &Value) -> Vec<(String, String)> {
    match principal {
        Value::Object(kinds) => {
            let each = |(kind, value): (&String, &Value)| {
                several(value).into_iter().map(|n| (kind.clone(), text(n))).collect::<Vec<_>>()
            };
            kinds.iter().flat_map(each).collect()
        }
        other => vec![("AWS".into(), text(other))],
    }
}

fn how((kind, name): &(String, String), caller: &Caller) -> Option<&'static str> {
    match (kind.as_str(), caller.kind) {
        ("AWS", _) if name == "*" => Some("everyone"),
        ("Service", "service") | ("Federated", "web") => (*name == caller.arn).then_some("itself"),
        ("AWS", "root" | "user" | "session") => {
            let root = format!("arn:aws:iam::{}:root", caller.account);
            if *name == caller.account || *name == root {
                return Some(if caller.kind == "root" { "itself" } else { "account" });
            }
            let role_id = caller.id.split(':').next().unwrap_or_default();
            match caller.kind {
                "user" if *name == caller.arn || *name == caller.id => Some("itself"),
                "session" if *name == caller.arn => Some("itself"),
                "session" if *name == caller.role_arn || *name == role_id => Some("role"),
                _ => None,
            }
        }
        _ => None,
    }
}

// Actions and resources.

fn action_matches(statement: &Value, action: &str) -> bool {
    let fits = |pattern: &Value| {
        let pattern = text(pattern).to_lowercase();
        pattern == "*" || wild(&pattern, &action.to_lowercase())
    };
    match statement.get("Action") {
        Some(actions) => several(actions).into_iter().any(fits),
        None => !several(&statement["NotAction"]).into_iter().any(fits),
    }
}

fn resource_matches(
    statement: &Value,
    resource: &str,
    facts: &BTreeMap<String, Vec<String>>,
    new_language: bool,
) -> bool {
    let fits = |pattern: &Value| match fill(&text(pattern), facts, new_language) {
        Some(symbols) => symbols_fit(&symbols, &resource.chars().collect::<Vec<_>>()),
        None => false,
    };
    match (statement.get("Resource"), statement.get("NotResource")) {
        (Some(patterns), _) => several(patterns).into_iter().any(fits),
        (None, Some(patterns)) => !several(patterns).into_iter().any(fits),
        (None, None) => true,
    }
}

/// A pattern's character: itself, any one, or any text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Symbol {
    Plain(char),
    Question,
    Star,
}

fn symbol(c: char) -> Symbol {
    match c {
        '*' => Symbol::Star,
        '?' => Symbol::Question,
        c => Symbol::Plain(c),
    }
}

fn wild(pattern: &str, text: &str) -> bool {
    let symbols: Vec<Symbol> = pattern.chars().map(symbol).collect();
    symbols_fit(&symbols, &text.chars().collect::<Vec<_>>())
}

/// By a table of all beginnings of both.
fn symbols_fit(symbols: &[Symbol], text: &[char]) -> bool {
    let mut fits = vec![vec![false; text.len() + 1]; symbols.len() + 1];
    fits[0][0] = true;
    for s in 1..=symbols.len() {
        for t in 0..=text.len() {
            fits[s][t] = match symbols[s - 1] {
                Symbol::Star => fits[s - 1][t] || (t > 0 && fits[s][t - 1]),
                Symbol::Question => t > 0 && fits[s - 1][t - 1],
                Symbol::Plain(c) => t > 0 && text[t - 1] == c && fits[s - 1][t - 1],
            };
        }
    }
    fits[symbols.len()][text.len()]
}

/// A text with its variables filled in; none if one has no single value and no default.
fn fill(
    text: &str,
    facts: &BTreeMap<String, Vec<String>>,
    new_language: bool,
) -> Option<Vec<Symbol>> {
    let chars: Vec<char> = text.chars().collect();
    let mut symbols = vec![];
    let mut at = 0;
    while at < chars.len() {
        if new_language && chars[at] == '$' && chars.get(at + 1) == Some(&'{') {
            let end = (at..chars.len()).find(|i| chars[*i] == '}')?;
            let inside: String = chars[at + 2..end].iter().collect();
            at = end + 1;
            if ["*", "?", "$"].contains(&inside.as_str()) {
                symbols.extend(inside.chars().map(Symbol::Plain));
                continue;
            }
            let (key, default) = match inside.split_once(',') {
                Some((key, default)) => {
                    (key.trim(), Some(default.trim().trim_matches('\'').to_string()))
                }
                None => (inside.trim(), None),
            };
            let value = match facts.get(&key.to_lowercase()).map(Vec::as_slice) {
                Some([one]) => one.clone(),
                _ => default?,
            };
            symbols.extend(value.chars().map(Symbol::Plain));
        } else {
            symbols.push(symbol(chars[at]));
            at += 1;
        }
    }
    Some(symbols)
}

// Conditions.

/// The request's keys and those of its caller, in lower case.
fn all_facts(case: &Case) -> BTreeMap<String, Vec<String>> {
    let caller = &case.caller;
    let mut facts = BTreeMap::new();
    let mut set = |key: &str, value: &str| {
        facts.insert(key.to_lowercase(), vec![value.to_string()]);
    };
    if caller.kind != "service" {
        let own = caller.kind == "session";
        set("aws:PrincipalArn", if own { &caller.role_arn } else { &caller.arn });
    }
    if !caller.account.is_empty() {
        set("aws:PrincipalAccount", &caller.account);
    }
    let kind = [
        ("root", "Account"),
        ("user", "User"),
        ("session", "AssumedRole"),
        ("web", "FederatedUser"),
        ("nobody", "Anonymous"),
    ];
    if let Some((_, kind)) = kind.iter().find(|(name, _)| *name == caller.kind) {
        set("aws:PrincipalType", kind);
    }
    if caller.kind == "user" {
        set("aws:username", &caller.name);
    }
    if !caller.id.is_empty() {
        set("aws:userid", &caller.id);
    }
    for (key, value) in &caller.tags {
        set(&format!("aws:PrincipalTag/{key}"), value);
    }
    set("aws:PrincipalIsAWSService", if caller.kind == "service" { "true" } else { "false" });
    if caller.kind == "service" {
        set("aws:PrincipalServiceName", &caller.arn);
    }
    for (key, values) in &case.context {
        if !values.is_empty() {
            facts.insert(key.to_lowercase(), values.clone());
        }
    }
    facts
}

fn conditions_hold(
    condition: &Value,
    facts: &BTreeMap<String, Vec<String>>,
    new_language: bool,
) -> bool {
    let Value::Object(operators) = condition else { return true };
    operators.iter().all(|(operator, keys)| {
        let Value::Object(keys) = keys else { return false };
        keys.iter().all(|(key, wanted)| {
            let wanted: Vec<String> = several(wanted).into_iter().map(text).collect();
            let values = facts.get(&key.to_lowercase());
            condition_holds(operator, values, &wanted, facts, new_language)
        })
    })
}

fn condition_holds(
    operator: &str,
    values: Option<&Vec<String>>,
    wanted: &[String],
    facts: &BTreeMap<String, Vec<String>>,
    new_language: bool,
) -> bool {
    let (set, operator) = match operator.split_once(':') {
        Some((set, rest)) => (set, rest),
        None => ("", operator),
    };
    let (operator, lenient) = match operator.strip_suffix("IfExists") {
        Some(rest) => (rest, true),
        None => (operator, false),
    };
    if operator == "Null" {
        let absent = if values.is_none() { "true" } else { "false" };
        return wanted.iter().any(|w| w.eq_ignore_ascii_case(absent));
    }
    let (positive, negative) = match operator {
        "StringNotEquals" => ("StringEquals", true),
        "StringNotEqualsIgnoreCase" => ("StringEqualsIgnoreCase", true),
        "StringNotLike" => ("StringLike", true),
        "NumericNotEquals" => ("NumericEquals", true),
        "DateNotEquals" => ("DateEquals", true),
        "NotIpAddress" => ("IpAddress", true),
        "ArnNotEquals" | "ArnNotLike" => ("ArnLike", true),
        other => (other, false),
    };
    let Some(values) = values else {
        return lenient || set == "ForAllValues" || (negative && set.is_empty());
    };
    let matches =
        |value: &String| wanted.iter().any(|w| one_fits(positive, value, w, facts, new_language));
    match set {
        "ForAllValues" => values.iter().all(|v| matches(v) != negative),
        "ForAnyValue" => values.iter().any(|v| matches(v) != negative),
        _ => values.iter().any(matches) != negative,
    }
}

fn one_fits(
    operator: &str,
    value: &str,
    wanted: &str,
    facts: &BTreeMap<String, Vec<String>>,
    new_language: bool,
) -> bool {
    let filled = || fill(wanted, facts, new_language);
    let plain = |symbols: Vec<Symbol>| -> String {
        let char_of = |s: &Symbol| match s {
            Symbol::Plain(c) => *c,
            Symbol::Question => '?',
            Symbol::Star => '*',
        };
        symbols.iter().map(char_of).collect()
    };
    match operator {
        "StringEquals" => filled().is_some_and(|w| plain(w) == value),
        "StringEqualsIgnoreCase" => {
            filled().is_some_and(|w| plain(w).to_lowercase() == value.to_lowercase())
        }
        "StringLike" => {
            filled().is_some_and(|w| symbols_fit(&w, &value.chars().collect::<Vec<_>>()))
        }
        "ArnEquals" | "ArnLike" => filled().is_some_and(|w| arn_fits(&w, value)),
        "Bool" => ["true", "false"]
            .iter()
            .any(|b| b.eq_ignore_ascii_case(value) && b.eq_ignore_ascii_case(wanted)),
        "BinaryEquals" => value == wanted,
        "IpAddress" => in_network(value, wanted),
        numeric if numeric.starts_with("Numeric") => {
            let (Ok(value), Ok(wanted)) = (value.parse::<f64>(), wanted.parse::<f64>()) else {
                return false;
            };
            compare(&numeric["Numeric".len()..], value - wanted)
        }
        date if date.starts_with("Date") => {
            let (Some(value), Some(wanted)) = (seconds(value), seconds(wanted)) else {
                return false;
            };
            compare(&date["Date".len()..], value - wanted)
        }
        other => panic!("no such operator: {other}"),
    }
}

fn compare(operator: &str, difference: f64) -> bool {
    match operator {
        "Equals" => difference == 0.0,
        "LessThan" => difference < 0.0,
        "LessThanEquals" => difference <= 0.0,
        "GreaterThan" => difference > 0.0,
        "GreaterThanEquals" => difference >= 0.0,
        other => panic!("no such comparison: {other}"),
    }
}

fn arn_fits(wanted: &[Symbol], value: &str) -> bool {
    let found: Vec<&str> = value.splitn(6, ':').collect();
    if found.len() < 6 || found[0] != "arn" {
        return false;
    }
    if wanted == [Symbol::Star] {
        return true;
    }
    let mut parts: Vec<Vec<Symbol>> = vec![vec![]];
    for symbol in wanted {
        match symbol {
            Symbol::Plain(':') if parts.len() < 6 => parts.push(vec![]),
            other => parts.last_mut().unwrap().push(*other),
        }
    }
    parts.len() == 6
        && parts
            .iter()
            .zip(found)
            .all(|(wanted, found)| symbols_fit(wanted, &found.chars().collect::<Vec<_>>()))
}

/// IPv4 only, bit by bit.
fn in_network(value: &str, wanted: &str) -> bool {
    let bits = |text: &str| -> Option<String> {
        let parts: Vec<u8> = text.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
        (parts.len() == 4).then(|| parts.iter().map(|p| format!("{p:08b}")).collect())
    };
    let (network, count) = wanted.split_once('/').unwrap_or((wanted, "32"));
    match (bits(value), bits(network), count.parse::<usize>()) {
        (Some(value), Some(network), Ok(count)) => value[..count] == network[..count],
        _ => false,
    }
}

/// Seconds since 1970 of `YYYY-MM-DDThh:mm:ssZ`, counted day by day, or of a number.
fn seconds(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(number);
    }
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let date: Vec<u64> = date.split('-').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let time: Vec<u64> = time.split(':').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let ([year, month, day], [hour, minute, second]) = (&date[..], &time[..]) else { return None };
    let leap = |y: u64| (y.is_multiple_of(4) && !y.is_multiple_of(100)) || y.is_multiple_of(400);
    let mut days = 0;
    for y in 1970..*year {
        days += if leap(y) { 366 } else { 365 };
    }
    for m in 1..*month {
        days += match m {
            2 if leap(*year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
    }
    days += day - 1;
    Some((days * 86400 + hour * 3600 + minute * 60 + second) as f64)
}

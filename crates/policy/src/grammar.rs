//! The grammar of documents: what a policy of each kind may and must say.

use crate::action::Actions;
use crate::condition::Condition;
use crate::fault::{Fault, Result, wrong};
use crate::json::{Node, texts};
use crate::policy::{Effect, Kind, Policy, Resources, Statement, Version};
use crate::principals::Principals;
use crate::template::{Reading, Template};

impl Policy {
    /// Reads a document of this kind.
    ///
    /// An identity's policy may have as many characters as the inline policies of a role; managed
    /// policies and users have closer bounds, for which see [`Policy::chars`].
    ///
    /// # Errors
    /// What is wrong first, with its place: `Statement[1].Action must be …`.
    pub fn parse(kind: Kind, text: &str) -> Result<Policy> {
        let (bytes, max) = (text.len(), kind.bytes_max());
        if bytes > max {
            return Err(Fault::TooLarge { bytes, max });
        }
        let chars = text.chars().filter(|c| !c.is_whitespace()).count();
        let max = kind.chars_max();
        if chars > max {
            return Err(Fault::TooLong { chars, max });
        }
        let Document { version, id, statements } = document(kind, text)?;
        Ok(Policy::new(kind, chars, version, id, statements))
    }
}

/// The members of a policy.
struct Document {
    version: Version,
    id: Option<String>,
    statements: Vec<Statement>,
}

/// Reads a whole document.
fn document(kind: Kind, text: &str) -> Result<Document> {
    let Some(Node::Object(members)) = Node::parse(text) else { return Err(Fault::NotJson) };
    let members = Members::new("", &members, &["Version", "Id", "Statement"])?;
    let version = match members.get("Version") {
        None => Version::V2008,
        Some(Node::Text(version)) if version == "2012-10-17" => Version::V2012,
        Some(Node::Text(version)) if version == "2008-10-17" => Version::V2008,
        Some(_) => return wrong("Version", "2012-10-17 or 2008-10-17"),
    };
    let id = text_if_any("Id", members.get("Id"))?;
    let read = |at: &str, node: &Node| match node {
        Node::Object(members) => statement(at, members, kind, version),
        _ => wrong(at, "an object"),
    };
    let statements = match members.get("Statement") {
        None => return Err(Fault::Missing { at: "Statement".to_owned() }),
        Some(one @ Node::Object(_)) => vec![read("Statement", one)?],
        Some(Node::List(several)) if !several.is_empty() => {
            let several = several.iter().enumerate();
            several
                .map(|(at, one)| read(&format!("Statement[{at}]"), one))
                .collect::<Result<_>>()?
        }
        Some(_) => return wrong("Statement", "an object or a list of objects"),
    };
    if kind.has_strict_sids() {
        check_sids(&statements)?;
    }
    Ok(Document { version, id, statements })
}

/// Each name of a statement stands in a policy once.
fn check_sids(statements: &[Statement]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for (at, statement) in statements.iter().enumerate() {
        let Some(sid) = statement.sid.as_deref().filter(|sid| !sid.is_empty()) else { continue };
        if !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return wrong(format!("Statement[{at}].Sid"), "letters and digits");
        }
        if !seen.insert(sid) {
            return wrong(format!("Statement[{at}].Sid"), "a name of its own");
        }
    }
    Ok(())
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

fn statement(
    at: &str,
    members: &[(String, Node)],
    kind: Kind,
    version: Version,
) -> Result<Statement> {
    let members = Members::new(&format!("{at}."), members, &STATEMENT_KEYS)?;
    let sid = text_if_any(&format!("{at}.Sid"), members.get("Sid"))?;
    let effect = match members.get("Effect") {
        None => return Err(Fault::Missing { at: format!("{at}.Effect") }),
        Some(Node::Text(effect)) if effect == "Allow" => Effect::Allow,
        Some(Node::Text(effect)) if effect == "Deny" => Effect::Deny,
        Some(_) => return wrong(format!("{at}.Effect"), "Allow or Deny"),
    };
    let principals = match kind.has_principals() {
        true => {
            let (name, value) = members.one_of(at, ["Principal", "NotPrincipal"])?;
            let at = format!("{at}.{name}");
            Some(Principals::parse(&at, value, name == "NotPrincipal")?)
        }
        false => members.none_of(at, ["Principal", "NotPrincipal"]).map(|()| None)?,
    };
    let (name, value) = members.one_of(at, ["Action", "NotAction"])?;
    let actions = Actions::parse(&texts(&format!("{at}.{name}"), value)?, name == "NotAction")?;
    let variables = version == Version::V2012;
    let resources = match kind.has_resources() {
        true => {
            let (name, value) = members.one_of(at, ["Resource", "NotResource"])?;
            let at = format!("{at}.{name}");
            Some(resources(&at, value, name == "NotResource", kind, variables)?)
        }
        false => members.none_of(at, ["Resource", "NotResource"]).map(|()| None)?,
    };
    let conditions = match members.get("Condition") {
        Some(value) => Condition::parse_all(&format!("{at}.Condition"), value, variables)?,
        None => vec![],
    };
    let conditions = conditions.into();
    Ok(Statement { sid, effect, principals, actions, resources, conditions })
}

fn resources(
    at: &str,
    value: &Node,
    inverted: bool,
    kind: Kind,
    variables: bool,
) -> Result<Resources> {
    let reading = Reading { wildcards: true, variables };
    let read = |(at, text): (String, &str)| {
        let known = text == "*" || text.starts_with("arn:");
        match known || kind == Kind::Resource {
            true => Template::parse(&at, text, reading),
            false => wrong(at, "\"*\" or an ARN"),
        }
    };
    let templates = texts(at, value)?.into_iter().map(read).collect::<Result<_>>()?;
    Ok(Resources { templates, inverted })
}

fn text_if_any(at: &str, value: Option<&Node>) -> Result<Option<String>> {
    match value {
        None => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text.clone())),
        Some(_) => wrong(at, "a text"),
    }
}

/// The members of an object, known by name and there once.
struct Members<'n>(&'n [(String, Node)]);

impl<'n> Members<'n> {
    fn new(prefix: &str, members: &'n [(String, Node)], known: &[&str]) -> Result<Members<'n>> {
        for (at, (name, _)) in members.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Fault::Unknown { at: format!("{prefix}{name}") });
            }
            if members[..at].iter().any(|(before, _)| before == name) {
                return Err(Fault::Twice { at: format!("{prefix}{name}") });
            }
        }
        Ok(Members(members))
    }

    fn get(&self, name: &str) -> Option<&'n Node> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The one of two that is there.
    fn one_of(&self, at: &str, names: [&'static str; 2]) -> Result<(&'static str, &'n Node)> {
        match names.map(|name| self.get(name)) {
            [Some(value), None] => Ok((names[0], value)),
            [None, Some(value)] => Ok((names[1], value)),
            [None, None] => Err(Fault::Missing { at: format!("{at}.{}", names[0]) }),
            [Some(_), Some(_)] => {
                wrong(format!("{at}.{}", names[1]), "absent where its opposite is given")
            }
        }
    }

    /// Neither must be there.
    fn none_of(&self, at: &str, names: [&'static str; 2]) -> Result<()> {
        match names.into_iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(Fault::Misplaced { at: format!("{at}.{name}") }),
            None => Ok(()),
        }
    }
}

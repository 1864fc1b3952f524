//! Which action each operation is, on which resource, and which condition keys it brings.
//!
//! Source: AWS's service authorization reference, one page per service (read 2026); what it does
//! not have yet (queues and channels of Data Streams) follows from the API reference of 2026.
//!
//! An operation that is not in here is allowed to nobody: who adds one adds its row, which a test
//! of the server asks for.

mod control;
mod identity;
mod keys;
mod streams;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::Action;

/// What an operation needs.
#[derive(Clone, Debug)]
pub struct Rule {
    pub service: &'static str,
    pub operation: &'static str,
    pub action: Action,
    pub resource: Form,
    /// Condition keys of the request that the operation brings beside the global ones.
    pub keys: &'static [&'static str],
    /// What it needs beside that.
    pub further: Vec<FurtherRule>,
}

/// A further action that an operation needs.
#[derive(Clone, Debug)]
pub struct FurtherRule {
    pub when: When,
    pub action: Action,
    pub resource: Form,
}

/// When a further action is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// The request brings tags for what it makes.
    Tags,
    /// The request names a role that the service shall take on.
    Role,
}

/// The kinds of resources that actions are done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// None: policies say `*`.
    Any,
    Stream,
    Consumer,
    Queue,
    Channel,
    /// Whatever the request's `ResourceARN` names.
    Named,
    User,
    Group,
    Role,
    ManagedPolicy,
    Provider,
    Key,
    Alias,
}

impl Form {
    /// The form of its ARNs.
    pub fn arn_form(self) -> &'static str {
        match self {
            Form::Any => "*",
            Form::Stream => "arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME",
            Form::Consumer => {
                "arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME/consumer/NAME:SECONDS"
            }
            Form::Queue => "arn:PARTITION:kinesis:REGION:ACCOUNT:queue/ID",
            Form::Channel => "arn:PARTITION:kinesis:REGION:ACCOUNT:channel/ID",
            Form::Named => "the request's ResourceARN",
            Form::User => "arn:PARTITION:iam::ACCOUNT:user/PATH/NAME",
            Form::Group => "arn:PARTITION:iam::ACCOUNT:group/PATH/NAME",
            Form::Role => "arn:PARTITION:iam::ACCOUNT:role/PATH/NAME",
            Form::ManagedPolicy => "arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME",
            Form::Provider => "arn:PARTITION:iam::ACCOUNT:oidc-provider/HOST",
            Form::Key => "arn:PARTITION:kms:REGION:ACCOUNT:key/ID",
            Form::Alias => "arn:PARTITION:kms:REGION:ACCOUNT:alias/NAME",
        }
    }
}

/// The rule of an operation of a service; the service by its prefix in actions.
pub fn rule(service: &str, operation: &str) -> Option<&'static Rule> {
    RULES.1.get(&(service, operation)).map(|at| &RULES.0[*at])
}

/// All rules.
pub fn rules() -> &'static [Rule] {
    &RULES.0
}

/// The actions of our services, as service and name: those of operations and further ones.
pub fn actions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |service: &'static Service| {
        let renamed = service.renamed.iter().map(|(_, action)| *action);
        let operations = service.groups.iter().flat_map(|group| group.operations).copied();
        let all = operations.chain(renamed).chain(service.others.iter().copied());
        all.map(|name| (service.prefix, name))
    };
    SERVICES.into_iter().flat_map(of)
}

static SERVICES: [&Service; 6] = [
    &streams::KINESIS,
    &control::CLOUDWATCH,
    &control::CLOUDTRAIL,
    &identity::IAM,
    &identity::STS,
    &keys::KMS,
];

/// The table of one service.
struct Service {
    /// Before the colon of its actions.
    prefix: &'static str,
    groups: &'static [Group],
    /// Operations whose action is called otherwise.
    renamed: &'static [(&'static str, &'static str)],
    further: &'static [Further],
    /// Actions that are no operation, or one that is not here.
    others: &'static [&'static str],
}

/// Operations on the same kind of resource, with the same keys.
struct Group {
    resource: Form,
    keys: &'static [&'static str],
    operations: &'static [&'static str],
}

struct Further {
    operation: &'static str,
    when: When,
    action: &'static str,
    resource: Form,
}

/// Keys of requests that bring tags, and of those that take tags away.
const TAGS: &[&str] = &["aws:RequestTag", "aws:TagKeys"];
const TAG_KEYS: &[&str] = &["aws:TagKeys"];

type Rules = (Vec<Rule>, HashMap<(&'static str, &'static str), usize>);

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let mut rules = vec![];
    for service in SERVICES {
        for group in service.groups {
            rules.extend(group.operations.iter().map(|name| service.rule(group, name)));
        }
    }
    let places = rules.iter().enumerate().map(|(at, r)| ((r.service, r.operation), at)).collect();
    (rules, places)
});

impl Service {
    fn rule(&self, group: &Group, operation: &'static str) -> Rule {
        let renamed = self.renamed.iter().find(|(name, _)| *name == operation);
        let name = renamed.map_or(operation, |(_, action)| action);
        let action = |name: &str| Action::new(name).expect("tables hold actions");
        let further = self.further.iter().filter(|further| further.operation == operation);
        Rule {
            service: self.prefix,
            operation,
            action: action(&format!("{}:{name}", self.prefix)),
            resource: group.resource,
            keys: group.keys,
            further: further
                .map(|f| FurtherRule {
                    when: f.when,
                    action: action(f.action),
                    resource: f.resource,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_stands_once() {
        let mut seen = HashSet::new();
        for rule in rules() {
            assert!(seen.insert((rule.service, rule.operation)), "{} twice", rule.operation);
        }
        for service in SERVICES {
            let operations: HashSet<_> = service.groups.iter().flat_map(|g| g.operations).collect();
            let named = service.renamed.iter().map(|(operation, _)| operation);
            for name in named.chain(service.further.iter().map(|f| &f.operation)) {
                assert!(operations.contains(name), "{}: {name}", service.prefix);
            }
        }
    }

    #[test]
    fn further_actions_are_numbered_too() {
        let known: HashSet<String> = actions().map(|(s, n)| format!("{s}:{n}")).collect();
        for rule in rules() {
            for further in &rule.further {
                assert!(known.contains(further.action.as_str()), "{:?}", further.action);
            }
        }
    }
}

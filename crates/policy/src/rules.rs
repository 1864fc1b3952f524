//! What an operation needs: its action on its resource, with keys, and what it needs beside that.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::action::Action;
use crate::tables::{Form, Group, SERVICES, Service, When};

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

/// The rule of an operation of a service; the service by its prefix in actions.
pub fn rule(service: &str, operation: &str) -> Option<&'static Rule> {
    RULES.1.get(&(service, operation)).map(|at| &RULES.0[*at])
}

/// All rules.
pub fn rules() -> &'static [Rule] {
    &RULES.0
}

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
    use crate::tables::actions;

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

//! A policy document, read and compiled.

use millstream_base::limits::{
    ENDPOINT_POLICY_CHARS_MAX, POLICY_BYTES_MAX, POLICY_TEXT_BYTES_MAX, ROLE_INLINE_CHARS_MAX,
    SESSION_POLICY_CHARS_MAX, TRUST_POLICY_CHARS_MAX,
};

use crate::action::{Action, Actions, Numbers, may_cover};
use crate::condition::Condition;
use crate::facts::{Facts, Key};
use crate::fault::{Fault, Result};
use crate::principal::Principal;
use crate::principals::{Closeness, Principals};
use crate::template::Template;

/// A policy: statements in a form that is quick to ask. Immutable; share it in an `Arc`.
#[derive(Clone, Debug)]
pub struct Policy {
    kind: Kind,
    version: Version,
    id: Option<String>,
    /// Characters that are not blanks.
    chars: usize,
    statements: Box<[Statement]>,
    /// The numbered actions that one statement or another covers.
    covered: Numbers,
}

/// What a document is attached to; it decides what a statement must and must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To a user, group or role, or a permissions boundary: no principals.
    Identity,
    /// To a stream, consumer, queue or key: principals and resources.
    Resource,
    /// To a role, saying who may assume it: principals, no resources.
    Trust,
    /// To a session: as to an identity.
    Session,
    /// To a private endpoint: principals and resources.
    Endpoint,
}

/// The language's version. A document that names none is of the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `2008-10-17`: without variables.
    V2008,
    /// `2012-10-17`
    V2012,
}

#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub sid: Option<String>,
    pub effect: Effect,
    pub principals: Option<Principals>,
    pub actions: Actions,
    pub resources: Option<Resources>,
    pub conditions: Box<[Condition]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// The `Resource` or `NotResource` of a statement.
#[derive(Clone, Debug)]
pub(crate) struct Resources {
    pub templates: Box<[Template]>,
    /// `NotResource`
    pub inverted: bool,
}

/// What one policy says to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    Nothing,
    /// An identity's policy names nobody; its word counts for [`Closeness::Itself`].
    Allow(Closeness),
    Deny,
}

/// What is asked of one policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'q> {
    pub facts: Facts<'q>,
    pub action: &'q Action,
    pub resource: &'q str,
    /// Whether who asks has a permissions boundary.
    pub bounded: bool,
}

impl Kind {
    /// Most characters that are not blanks.
    pub(crate) fn chars_max(self) -> usize {
        match self {
            Kind::Identity => ROLE_INLINE_CHARS_MAX,
            Kind::Resource => POLICY_BYTES_MAX,
            Kind::Trust => TRUST_POLICY_CHARS_MAX,
            Kind::Session => SESSION_POLICY_CHARS_MAX,
            Kind::Endpoint => ENDPOINT_POLICY_CHARS_MAX,
        }
    }
    /// Most bytes of the whole text.
    pub(crate) fn bytes_max(self) -> usize {
        match self {
            Kind::Resource => POLICY_BYTES_MAX,
            _ => POLICY_TEXT_BYTES_MAX,
        }
    }
    pub(crate) fn has_principals(self) -> bool {
        matches!(self, Kind::Resource | Kind::Trust | Kind::Endpoint)
    }
    pub(crate) fn has_resources(self) -> bool {
        self != Kind::Trust
    }
    /// Whether names of statements are letters and digits and differ.
    pub(crate) fn has_strict_sids(self) -> bool {
        matches!(self, Kind::Identity | Kind::Session | Kind::Trust)
    }
}

impl Policy {
    /// What a document says that was read.
    pub(crate) fn new(
        kind: Kind,
        chars: usize,
        version: Version,
        id: Option<String>,
        statements: Vec<Statement>,
    ) -> Policy {
        let mut covered = Numbers::default();
        statements.iter().for_each(|statement| covered.join(statement.actions.covered()));
        Policy { kind, version, id, chars, statements: statements.into(), covered }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
    pub fn version(&self) -> Version {
        self.version
    }
    /// The document's own `Id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
    /// Its characters, blanks not counted: IAM's quotas are in these.
    pub fn chars(&self) -> usize {
        self.chars
    }
    /// How many statements it has.
    pub fn statement_count(&self) -> usize {
        self.statements.len()
    }

    /// The condition keys that its conditions and variables name, each once, in their order.
    pub fn condition_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = vec![];
        for statement in &self.statements {
            let conditions = statement.conditions.iter().flat_map(Condition::keys);
            let templates = statement.resources.iter().flat_map(|r| r.templates.iter());
            for key in conditions.chain(templates.flat_map(Template::keys)).map(Key::text) {
                if !keys.iter().any(|known| known.eq_ignore_ascii_case(&key)) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// Whether a policy of kind [`Kind::Resource`] or [`Kind::Trust`] fits what it is attached to:
    /// its actions are of `service`, and each `Resource` names `resource`. Variables count as any
    /// text does: as they stand.
    ///
    /// # Errors
    /// [`Fault::OtherService`] and [`Fault::OtherResource`], with the place.
    pub fn check_attachment(&self, service: &'static str, resource: &str) -> Result<()> {
        let nobody = Principal::anonymous();
        let context = crate::Context::new();
        let facts = Facts { principal: &nobody, context: &context };
        for (index, statement) in self.statements.iter().enumerate() {
            let at = |member: &str| format!("Statement[{index}].{member}");
            if statement.actions.names_other_than(service).is_some() {
                let member = if statement.actions.is_inverted() { "NotAction" } else { "Action" };
                return Err(Fault::OtherService { at: at(member), service });
            }
            let Some(resources) = &statement.resources else { continue };
            let other = |template: &&Template| {
                matches!(template, Template::Plain(_)) && !template.fits(resource, &facts)
            };
            if let Some(template) = resources.templates.iter().find(other)
                && !resources.inverted
            {
                let text = template.to_string();
                return Err(Fault::OtherResource { at: at("Resource"), text });
            }
        }
        Ok(())
    }

    /// What it says: a denial if any statement denies, else the closest allowance.
    pub(crate) fn says(&self, question: &Question) -> Saying {
        if !may_cover(&self.covered, question.action) {
            return Saying::Nothing;
        }
        let mut saying = Saying::Nothing;
        for statement in &self.statements {
            match (statement.says(question), saying) {
                (Saying::Deny, _) => return Saying::Deny,
                (Saying::Allow(new), Saying::Allow(old)) => saying = Saying::Allow(new.max(old)),
                (new @ Saying::Allow(_), _) => saying = new,
                (Saying::Nothing, _) => {}
            }
        }
        saying
    }

    /// The statements that apply, by their places, and whether each allows.
    pub(crate) fn applying(&self, question: &Question) -> impl Iterator<Item = (usize, bool)> {
        let statements = self.statements.iter().enumerate();
        statements.filter_map(|(at, statement)| match statement.says(question) {
            Saying::Nothing => None,
            saying => Some((at, saying != Saying::Deny)),
        })
    }

    /// The name of a statement.
    pub fn sid(&self, statement: usize) -> Option<&str> {
        self.statements.get(statement)?.sid.as_deref()
    }
}

impl Statement {
    fn says(&self, question: &Question) -> Saying {
        if !self.actions.fits(question.action) {
            return Saying::Nothing;
        }
        let facts = &question.facts;
        let about = match (&self.principals, self.effect) {
            (None, Effect::Allow) => Saying::Allow(Closeness::Itself),
            (None, Effect::Deny) => Saying::Deny,
            (Some(principals), Effect::Allow) => match principals.allowed(facts.principal) {
                Some(closeness) => Saying::Allow(closeness),
                None => return Saying::Nothing,
            },
            (Some(principals), Effect::Deny) => {
                match principals.denied(facts.principal, question.bounded) {
                    true => Saying::Deny,
                    false => return Saying::Nothing,
                }
            }
        };
        let fits = |resources: &Resources| resources.fits(question.resource, facts);
        let applies = self.resources.as_ref().is_none_or(fits)
            && self.conditions.iter().all(|condition| condition.holds(facts));
        if applies { about } else { Saying::Nothing }
    }
}

impl Resources {
    fn fits(&self, resource: &str, facts: &Facts) -> bool {
        let named = self.templates.iter().any(|template| template.fits(resource, facts));
        named != self.inverted
    }
}

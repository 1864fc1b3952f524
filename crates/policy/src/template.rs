//! Texts with policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, and
//! `${*}`, `${?}`, `${$}` for the characters themselves.
//!
//! Variables exist in documents of version 2012-10-17 only; in older ones they are plain text. A
//! variable without a value makes the whole text one that nothing equals. What a variable brings is
//! plain text: wildcards in it are none.

use crate::facts::{Facts, Key};
use crate::fault::{Result, wrong};
use crate::pattern::{self, Pattern, Token};

/// A pattern whose variables are filled in when it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Template {
    Plain(Pattern),
    Variable(Box<[Piece]>),
}

#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Token(Token),
    Variable { key: Key, default: Option<Box<str>> },
}

/// Whether `*` and `?` are wildcards in a text, and whether `${…}` is a variable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub wildcards: bool,
    pub variables: bool,
}

impl Template {
    pub(crate) fn parse(at: &str, text: &str, reading: Reading) -> Result<Template> {
        let pieces = pieces(at, text, reading)?;
        let plain: Option<Vec<Token>> = pieces.iter().map(Piece::token).collect();
        Ok(match plain {
            Some(tokens) => Template::Plain(Pattern::of_tokens(&tokens)),
            None => Template::Variable(pieces.into()),
        })
    }

    /// Whether all of `text` fits.
    pub(crate) fn fits(&self, text: &str, facts: &Facts) -> bool {
        match self {
            Template::Plain(pattern) => pattern.fits(text),
            Template::Variable(_) => {
                self.filled(facts).is_some_and(|tokens| pattern::fits(&tokens, text))
            }
        }
    }

    /// As [`Template::fits`], whatever the case. For texts without wildcards.
    pub(crate) fn equals_ignoring_case(&self, text: &str, facts: &Facts) -> bool {
        let folded = |text: &str| text.to_lowercase();
        match self {
            Template::Plain(Pattern::Exactly(all)) => folded(all) == folded(text),
            Template::Plain(_) => false,
            Template::Variable(_) => self.filled(facts).is_some_and(|tokens| {
                let literal = |token: &Token| match token {
                    Token::Literal(c) => Some(*c),
                    _ => None,
                };
                folded(&tokens.iter().filter_map(literal).collect::<String>()) == folded(text)
            }),
        }
    }

    /// The condition keys that the variables name.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        let pieces: &[Piece] = match self {
            Template::Plain(_) => &[],
            Template::Variable(pieces) => pieces,
        };
        pieces.iter().filter_map(|piece| match piece {
            Piece::Variable { key, .. } => Some(key),
            Piece::Token(_) => None,
        })
    }

    /// The tokens with all variables filled in; none when one has no value.
    fn filled(&self, facts: &Facts) -> Option<Vec<Token>> {
        let Template::Variable(pieces) = self else { return None };
        let mut tokens = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Token(token) => tokens.push(*token),
                Piece::Variable { key, default } => {
                    let found = facts.find(key).and_then(|found| Some(found.single()?.text()));
                    let value = match (&found, default) {
                        (Some(value), _) => &**value,
                        (None, Some(default)) => default,
                        (None, None) => return None,
                    };
                    tokens.extend(value.chars().map(Token::Literal));
                }
            }
        }
        Some(tokens)
    }
}

/// As it was written, but for variables, of which only plain texts are shown.
impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Template::Plain(pattern) = self else { return f.write_str("${…}") };
        tokens_of(pattern).iter().try_for_each(|token| match token {
            Token::Literal(c) => write!(f, "{c}"),
            Token::One => f.write_str("?"),
            Token::Any => f.write_str("*"),
        })
    }
}

impl Piece {
    fn token(&self) -> Option<Token> {
        match self {
            Piece::Token(token) => Some(*token),
            Piece::Variable { .. } => None,
        }
    }
}

/// A template of an ARN, each of whose six parts is looked at by itself: no wildcard crosses a colon
/// but in the last part.
#[derive(Clone, Debug)]
pub(crate) enum ArnTemplate {
    /// `*`
    Anything,
    Parts(Box<[Pattern]>),
    Variable(Template),
}

impl ArnTemplate {
    pub(crate) fn of(template: Template) -> ArnTemplate {
        match &template {
            Template::Plain(Pattern::Anything) => ArnTemplate::Anything,
            Template::Plain(pattern) => {
                let tokens = tokens_of(pattern);
                ArnTemplate::Parts(parts_of(&tokens).map(Pattern::of_tokens).collect())
            }
            Template::Variable(_) => ArnTemplate::Variable(template),
        }
    }

    /// Whether `text` is an ARN each part of which fits the same part of this one.
    pub(crate) fn fits(&self, text: &str, facts: &Facts) -> bool {
        match self {
            ArnTemplate::Anything => is_arn(text),
            ArnTemplate::Parts(parts) => {
                let found = text.splitn(ARN_PARTS, ':');
                parts.len() == ARN_PARTS
                    && is_arn(text)
                    && parts.iter().zip(found).all(|(part, found)| part.fits(found))
            }
            ArnTemplate::Variable(template) => template.filled(facts).is_some_and(|tokens| {
                let (wanted, found) = (parts_of(&tokens), text.splitn(ARN_PARTS, ':'));
                parts_of(&tokens).count() == ARN_PARTS
                    && is_arn(text)
                    && wanted.zip(found).all(|(wanted, found)| pattern::fits(wanted, found))
            }),
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        let template = match self {
            ArnTemplate::Variable(template) => Some(template),
            ArnTemplate::Anything | ArnTemplate::Parts(_) => None,
        };
        template.into_iter().flat_map(Template::keys)
    }
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`
const ARN_PARTS: usize = 6;

fn parts_of(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    tokens.splitn(ARN_PARTS, |token| *token == Token::Literal(':'))
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.splitn(ARN_PARTS, ':').count() == ARN_PARTS
}

fn tokens_of(pattern: &Pattern) -> Vec<Token> {
    let plain = |text: &str| text.chars().map(Token::Literal).collect::<Vec<_>>();
    match pattern {
        Pattern::Anything => vec![Token::Any],
        Pattern::Exactly(all) => plain(all),
        Pattern::Beginning(head) => [plain(head), vec![Token::Any]].concat(),
        Pattern::Glob { head, middle, tail } => {
            [plain(head), middle.to_vec(), plain(tail)].concat()
        }
    }
}

fn pieces(at: &str, text: &str, reading: Reading) -> Result<Vec<Piece>> {
    let mut pieces = vec![];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if reading.variables
            && let Some(inside) = rest.strip_prefix("${")
        {
            let Some(end) = inside.find('}') else {
                return wrong(at, "a text whose variables end with }");
            };
            pieces.push(variable(at, &inside[..end])?);
            rest = &inside[end + 1..];
            continue;
        }
        let token = if reading.wildcards { Token::of(c) } else { Token::Literal(c) };
        pieces.push(Piece::Token(token));
        rest = &rest[c.len_utf8()..];
    }
    Ok(pieces)
}

/// What stands between `${` and `}`.
fn variable(at: &str, inside: &str) -> Result<Piece> {
    if let "*" | "?" | "$" = inside {
        let c = inside.chars().next().expect("one character");
        return Ok(Piece::Token(Token::Literal(c)));
    }
    let (name, default) = match inside.split_once(',') {
        None => (inside, None),
        Some((name, default)) => {
            let quoted = default.trim().strip_prefix('\'').and_then(|d| d.strip_suffix('\''));
            let Some(default) = quoted else {
                return wrong(at, "a text whose defaults stand between single quotes");
            };
            (name, Some(default.into()))
        }
    };
    let plain = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    let name = name.trim();
    if name.is_empty() || !name.chars().all(plain) {
        return wrong(at, "a text whose variables are condition keys");
    }
    Ok(Piece::Variable { key: Key::of(name), default })
}

//! Texts with policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, and
//! `${*}`, `${?}`, `${$}` for the characters themselves.
//!
//! Variables exist in documents of version 2012-10-17 only; in older ones they are plain text. A
//! variable without a value makes the whole text one that nothing equals. What a variable brings is
//! plain text: wildcards in it are none.

use std::borrow::Cow;

use crate::condition::{Facts, Key};
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

    /// Whether `text` is an ARN each part of which fits the same part of this one.
    pub(crate) fn fits_arn(&self, text: &str, facts: &Facts) -> bool {
        let tokens: Cow<[Token]> = match self {
            Template::Plain(Pattern::Anything) => return is_arn(text),
            Template::Plain(pattern) => Cow::Owned(tokens_of(pattern)),
            Template::Variable(_) => match self.filled(facts) {
                Some(tokens) => Cow::Owned(tokens),
                None => return false,
            },
        };
        let wanted: Vec<&[Token]> =
            tokens.splitn(6, |token| *token == Token::Literal(':')).collect();
        let found: Vec<&str> = text.splitn(6, ':').collect();
        wanted.len() == 6
            && is_arn(text)
            && wanted.iter().zip(found).all(|(wanted, found)| pattern::fits(wanted, found))
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

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.split(':').count() >= 6
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

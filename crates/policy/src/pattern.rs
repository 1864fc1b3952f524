//! Wildcards: `*` stands for any text, `?` for any one character; both cross `/` and `:`.
//!
//! A pattern is cut once into the text before its first wildcard, the text behind its last one, and
//! what lies between. Matching takes at most the product of both lengths.

/// A compiled pattern; fits whole texts only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `*`
    Anything,
    /// No wildcard.
    Exactly(Box<str>),
    /// `text*`
    Beginning(Box<str>),
    /// `head` and `tail` are the plain ends; `middle` begins and ends with a wildcard.
    Glob { head: Box<str>, middle: Box<[Token]>, tail: Box<str> },
}

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Any,
}

impl Pattern {
    /// Reads `*` and `?` as wildcards.
    pub(crate) fn of(text: &str) -> Pattern {
        let tokens: Vec<Token> = text.chars().map(Token::of).collect();
        Pattern::of_tokens(&tokens)
    }

    pub(crate) fn of_tokens(tokens: &[Token]) -> Pattern {
        let literal = |token: &&Token| matches!(token, Token::Literal(_));
        let head = tokens.iter().take_while(literal).count();
        if head == tokens.len() {
            return Pattern::Exactly(text_of(tokens));
        }
        let tail = tokens.iter().rev().take_while(literal).count();
        let middle = &tokens[head..tokens.len() - tail];
        match (head, middle, tail) {
            (0, [Token::Any], 0) => Pattern::Anything,
            (_, [Token::Any], 0) => Pattern::Beginning(text_of(&tokens[..head])),
            _ => Pattern::Glob {
                head: text_of(&tokens[..head]),
                middle: middle.into(),
                tail: text_of(&tokens[tokens.len() - tail..]),
            },
        }
    }

    /// Whether all of `text` fits.
    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Pattern::Anything => true,
            Pattern::Exactly(all) => **all == *text,
            Pattern::Beginning(head) => text.starts_with(&**head),
            Pattern::Glob { head, middle, tail } => text
                .strip_prefix(&**head)
                .and_then(|rest| rest.strip_suffix(&**tail))
                .is_some_and(|rest| fits(middle, rest)),
        }
    }
}

impl Token {
    pub(crate) fn of(c: char) -> Token {
        match c {
            '*' => Token::Any,
            '?' => Token::One,
            c => Token::Literal(c),
        }
    }
}

fn text_of(tokens: &[Token]) -> Box<str> {
    let chars = tokens.iter().filter_map(|token| match token {
        Token::Literal(c) => Some(*c),
        Token::One | Token::Any => None,
    });
    chars.collect::<String>().into()
}

/// Whether `tokens` fit all of `text`: greedy, going back to the last `*` only, which is enough.
pub(crate) fn fits(tokens: &[Token], text: &str) -> bool {
    let (mut at, mut rest) = (0, text.chars());
    let mut star: Option<(usize, std::str::Chars)> = None;
    loop {
        let before = rest.clone();
        let next = rest.next();
        match (tokens.get(at), next) {
            (Some(Token::Any), _) => {
                at += 1;
                star = Some((at, before.clone()));
                rest = before;
            }
            (None, None) => return true,
            (Some(Token::One), Some(_)) => at += 1,
            (Some(Token::Literal(wanted)), Some(found)) if *wanted == found => at += 1,
            _ => {
                let Some((after, mut from)) = star.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                at = after;
                rest = from.clone();
                star = Some((after, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a", "a", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*a", "a", false),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a**", "a", true),
            ("?", "", false),
            ("?", "ü", true),
            ("??", "ü", false),
            ("*ab", "aab", true),
            ("*?b", "b", false),
            ("a*b*c", "axbybzc", true),
            ("a*b*c", "axcyb", false),
            ("stream/*/x", "stream/a/b/x", true),
            ("arn:*:stream/a", "arn:aws:kinesis:r:1:stream/a", true),
        ] {
            assert_eq!(Pattern::of(pattern).fits(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn common_forms_are_kept_simple() {
        assert_eq!(Pattern::of("*"), Pattern::Anything);
        assert_eq!(Pattern::of("ab"), Pattern::Exactly("ab".into()));
        assert_eq!(Pattern::of("ab*"), Pattern::Beginning("ab".into()));
        assert!(matches!(Pattern::of("ab?"), Pattern::Glob { .. }));
        assert!(matches!(Pattern::of("a*b"), Pattern::Glob { .. }));
    }

    proptest::proptest! {
        #[test]
        fn fits_as_a_plain_recursion_does(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn slow(p: &[u8], t: &[u8]) -> bool {
                match p.split_first() {
                    None => t.is_empty(),
                    Some((b'*', p)) => (0..=t.len()).any(|skip| slow(p, &t[skip..])),
                    Some((c, p)) => t.first().is_some_and(|f| c == f || *c == b'?') && slow(p, &t[1..]),
                }
            }
            let expected = slow(pattern.as_bytes(), text.as_bytes());
            assert_eq!(Pattern::of(&pattern).fits(&text), expected);
        }
    }
}

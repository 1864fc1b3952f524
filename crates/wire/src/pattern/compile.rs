//! From a pattern's text to a program of small steps.

/// Most steps of a program; counted repetitions are written out.
const STEPS_MAX: usize = 100_000;

/// Why a pattern cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pattern {pattern:?} cannot be read at character {at}")]
pub struct PatternError {
    pub pattern: String,
    pub at: usize,
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) sets: Vec<Set>,
    /// The programs of look-arounds.
    pub(super) around: Vec<(Around, Program)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// One character of set `usize`.
    Set(usize),
    /// Goes on in both places, the first one first.
    Fork(usize, usize),
    Goto(usize),
    Start,
    End,
    Around(usize),
    Match,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Around {
    pub(super) ahead: bool,
    pub(super) wanted: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub(super) negated: bool,
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    Range(char, char),
    Class(Class),
    NotClass(Class),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Digit,
    Word,
    Space,
    Letter,
    Number,
    Separator,
    /// Marks, punctuation and symbols.
    Mark,
}

impl Set {
    pub(super) fn holds(&self, c: char) -> bool {
        self.negated != self.parts.iter().any(|part| part.holds(c))
    }
}

impl Part {
    fn holds(&self, c: char) -> bool {
        match self {
            Part::Range(low, high) => (*low..=*high).contains(&c),
            Part::Class(class) => class.holds(c),
            Part::NotClass(class) => !class.holds(c),
        }
    }
}

impl Class {
    fn holds(self, c: char) -> bool {
        match self {
            Class::Digit => c.is_ascii_digit(),
            Class::Word => c.is_ascii_alphanumeric() || c == '_',
            Class::Space => matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r'),
            Class::Letter => c.is_alphabetic(),
            Class::Number => c.is_numeric(),
            Class::Separator => c.is_whitespace() && !c.is_control(),
            Class::Mark => !(c.is_alphanumeric() || c.is_whitespace() || c.is_control()),
        }
    }
}

/// A pattern as a tree.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Set(Set),
    Start,
    End,
    Around(Around, Box<Node>),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>),
}

pub(super) fn compile(pattern: &str) -> Result<Program, PatternError> {
    let too_long = PatternError { pattern: pattern.to_owned(), at: 0 };
    assemble(&parse(pattern)?).ok_or(too_long)
}

pub(super) fn parse(pattern: &str) -> Result<Node, PatternError> {
    let mut parser = Parser { chars: pattern.chars().collect(), at: 0 };
    let node = parser.choice().and_then(|node| parser.at_end().then_some(node));
    node.ok_or(PatternError { pattern: pattern.to_owned(), at: parser.at })
}

fn assemble(node: &Node) -> Option<Program> {
    let mut program = Program { steps: Vec::new(), sets: Vec::new(), around: Vec::new() };
    program.add(node)?;
    program.steps.push(Step::Match);
    Some(program)
}

impl Program {
    fn add(&mut self, node: &Node) -> Option<()> {
        if self.steps.len() > STEPS_MAX {
            return None;
        }
        match node {
            Node::Set(set) => {
                self.steps.push(Step::Set(self.sets.len()));
                self.sets.push(set.clone());
            }
            Node::Start => self.steps.push(Step::Start),
            Node::End => self.steps.push(Step::End),
            Node::Around(around, inner) => {
                self.steps.push(Step::Around(self.around.len()));
                self.around.push((*around, assemble(inner)?));
            }
            Node::Sequence(nodes) => {
                for node in nodes {
                    self.add(node)?;
                }
            }
            Node::Choice(nodes) => self.add_choice(nodes)?,
            Node::Repeat(inner, min, max) => self.add_repeat(inner, *min, *max)?,
        }
        Some(())
    }

    fn add_choice(&mut self, nodes: &[Node]) -> Option<()> {
        let mut exits = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if i + 1 == nodes.len() {
                self.add(node)?;
                break;
            }
            let fork = self.placeholder();
            self.add(node)?;
            exits.push(self.placeholder());
            self.steps[fork] = Step::Fork(fork + 1, self.steps.len());
        }
        let end = self.steps.len();
        for exit in exits {
            self.steps[exit] = Step::Goto(end);
        }
        Some(())
    }

    fn add_repeat(&mut self, inner: &Node, min: usize, max: Option<usize>) -> Option<()> {
        for _ in 0..min {
            self.add(inner)?;
        }
        let Some(max) = max else {
            let fork = self.placeholder();
            self.add(inner)?;
            self.steps.push(Step::Goto(fork));
            self.steps[fork] = Step::Fork(fork + 1, self.steps.len());
            return Some(());
        };
        let mut forks = Vec::new();
        for _ in min..max {
            forks.push(self.placeholder());
            self.add(inner)?;
        }
        let end = self.steps.len();
        for fork in forks {
            self.steps[fork] = Step::Fork(fork + 1, end);
        }
        Some(())
    }

    fn placeholder(&mut self) -> usize {
        self.steps.push(Step::Match);
        self.steps.len() - 1
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn at_end(&self) -> bool {
        self.at == self.chars.len()
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn choice(&mut self) -> Option<Node> {
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        Some(if branches.len() == 1 { branches.remove(0) } else { Node::Choice(branches) })
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while self.peek().is_some_and(|c| c != '|' && c != ')') {
            let atom = self.atom()?;
            nodes.push(self.repeated(atom)?);
        }
        Some(Node::Sequence(nodes))
    }

    fn repeated(&mut self, mut node: Node) -> Option<Node> {
        loop {
            let (min, max) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => self.bounds()?,
                _ => return Some(node),
            };
            self.at += 1;
            // Lazy and possessive forms match the same whole texts wherever the models use them.
            let _ = self.eat("?") || self.eat("+");
            node = Node::Repeat(Box::new(node), min, max);
        }
    }

    /// `{3}`, `{3,}`, `{3,5}`; stops at the closing brace.
    fn bounds(&mut self) -> Option<(usize, Option<usize>)> {
        self.at += 1;
        let min = self.decimal()?;
        let max = match self.eat(",") {
            false => Some(min),
            true if self.peek() == Some('}') => None,
            true => Some(self.decimal()?),
        };
        (self.peek() == Some('}')).then_some((min, max))
    }

    fn decimal(&mut self) -> Option<usize> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect::<String>().parse().ok()
    }

    fn atom(&mut self) -> Option<Node> {
        match self.next()? {
            '(' => self.group(),
            '[' => self.set().map(Node::Set),
            '^' => Some(Node::Start),
            '$' => Some(Node::End),
            '.' => {
                let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
                let parts = breaks.map(|c| Part::Range(c, c)).into();
                Some(Node::Set(Set { negated: true, parts }))
            }
            '\\' => {
                let part = self.escape()?;
                Some(Node::Set(Set { negated: false, parts: vec![part] }))
            }
            '*' | '+' | '?' | '{' => None,
            c => Some(Node::Set(Set { negated: false, parts: vec![Part::Range(c, c)] })),
        }
    }

    fn group(&mut self) -> Option<Node> {
        let around =
            [("?=", true, true), ("?!", true, false), ("?<=", false, true), ("?<!", false, false)]
                .into_iter()
                .find(|(text, ..)| self.eat(text))
                .map(|(_, ahead, wanted)| Around { ahead, wanted });
        if around.is_none() {
            self.eat("?:");
        }
        let inner = self.choice()?;
        if !self.eat(")") {
            return None;
        }
        Some(match around {
            Some(around) => Node::Around(around, Box::new(inner)),
            None => inner,
        })
    }

    fn set(&mut self) -> Option<Set> {
        let mut set = Set { negated: self.eat("^"), parts: Vec::new() };
        let start = self.at;
        while self.at == start || self.peek()? != ']' {
            let part = self.set_part()?;
            let ranged = self.peek() == Some('-') && self.chars.get(self.at + 1) != Some(&']');
            match part {
                Part::Range(low, _) if ranged => {
                    self.at += 1;
                    match self.set_part()? {
                        Part::Range(high, _) if low <= high => {
                            set.parts.push(Part::Range(low, high))
                        }
                        // `a-\d` and the like: the dash is itself.
                        other => set.parts.extend([part, Part::Range('-', '-'), other]),
                    }
                }
                part => set.parts.push(part),
            }
        }
        self.at += 1;
        Some(set)
    }

    fn set_part(&mut self) -> Option<Part> {
        match self.next()? {
            '\\' => self.escape(),
            c => Some(Part::Range(c, c)),
        }
    }

    fn escape(&mut self) -> Option<Part> {
        let c = match self.next()? {
            'd' => return Some(Part::Class(Class::Digit)),
            'D' => return Some(Part::NotClass(Class::Digit)),
            'w' => return Some(Part::Class(Class::Word)),
            'W' => return Some(Part::NotClass(Class::Word)),
            's' => return Some(Part::Class(Class::Space)),
            'S' => return Some(Part::NotClass(Class::Space)),
            'p' => return self.property(),
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'x' => char::from_u32(self.hex(2)?)?,
            'u' => self.unicode()?,
            c if c.is_ascii_alphanumeric() => return None,
            c => c,
        };
        Some(Part::Range(c, c))
    }

    fn property(&mut self) -> Option<Part> {
        let known = [
            ("{L}", Class::Letter),
            ("{N}", Class::Number),
            ("{Z}", Class::Separator),
            ("{Zs}", Class::Separator),
            ("{M}", Class::Mark),
            ("{P}", Class::Mark),
            ("{S}", Class::Mark),
        ];
        if self.eat("{Print}") {
            return Some(Part::Range(' ', '~'));
        }
        known.into_iter().find(|(text, _)| self.eat(text)).map(|(_, class)| Part::Class(class))
    }

    /// Four digits; Java joins two of them that are a surrogate pair. A lone surrogate stands for the
    /// nearest character, since no text can hold one.
    fn unicode(&mut self) -> Option<char> {
        let high = self.hex(4)?;
        if let Some(c) = char::from_u32(high) {
            return Some(c);
        }
        let back = self.at;
        if high < 0xdc00 && self.eat("\\u") {
            let low = self.hex(4)?;
            if (0xdc00..0xe000).contains(&low) {
                return char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            }
        }
        self.at = back;
        Some(if high < 0xdc00 { '\u{d7ff}' } else { '\u{e000}' })
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        (0..digits).try_fold(0, |code, _| Some(code * 16 + self.next()?.to_digit(16)?))
    }
}

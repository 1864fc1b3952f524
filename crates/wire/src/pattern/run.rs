//! Running a program over a text: depth first, each step at most once per position.

use super::compile::{Program, Step};

pub(super) fn matches(program: &Program, text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    Run { program, chars: &chars, end: Some(chars.len()) }.from(0)
}

struct Run<'a> {
    program: &'a Program,
    chars: &'a [char],
    /// Where a match must end; anywhere if `None`.
    end: Option<usize>,
}

impl Run<'_> {
    fn from(&self, start: usize) -> bool {
        let width = self.program.steps.len();
        let mut seen = vec![0_u64; (width * (self.chars.len() + 1 - start)).div_ceil(64)];
        let mut todo = vec![(0, start)];
        while let Some((step, at)) = todo.pop() {
            let bit = (at - start) * width + step;
            if seen[bit / 64] & (1 << (bit % 64)) != 0 {
                continue;
            }
            seen[bit / 64] |= 1 << (bit % 64);
            match self.program.steps[step] {
                Step::Match if self.end.is_none_or(|end| end == at) => return true,
                Step::Match => {}
                Step::Fork(first, second) => todo.extend([(second, at), (first, at)]),
                Step::Goto(next) => todo.push((next, at)),
                _ => {
                    if let Some(used) = self.step(step, at) {
                        todo.push((step + 1, at + used));
                    }
                }
            }
        }
        false
    }

    /// Characters used by a step that fits here.
    fn step(&self, step: usize, at: usize) -> Option<usize> {
        match self.program.steps[step] {
            Step::Set(set) => {
                let c = self.chars.get(at)?;
                self.program.sets[set].holds(*c).then_some(1)
            }
            Step::Start => (at == 0).then_some(0),
            Step::End => (at == self.chars.len()).then_some(0),
            Step::Around(index) => {
                let (around, program) = &self.program.around[index];
                let found = if around.ahead {
                    Run { program, chars: self.chars, end: None }.from(at)
                } else {
                    let before = Run { program, chars: &self.chars[..at], end: Some(at) };
                    (0..=at).any(|start| before.from(start))
                };
                (found == around.wanted).then_some(0)
            }
            Step::Fork(..) | Step::Goto(_) | Step::Match => None,
        }
    }
}

//! Values of any shape that satisfy the model's constraints, from a seed; for tests.
//!
//! A [`Sampler`] is a decoder that reads nothing: asked for a member, an item or a text, it makes one
//! up. So every shape can be sampled, without any code of its own.

use bytes::Bytes;

use crate::coding::{DecodeError, Decoder};
use crate::constraint::{Check, MemberInfo};
use crate::pattern;
pub use crate::pattern::Random;
use crate::time::Time;
use crate::value::Value;

type Result<T> = std::result::Result<T, DecodeError>;

/// Containers within each other beyond which optional members are left out.
const DEPTH_FULL: usize = 6;

/// A value of `T`, the same for the same seed. The second part names the patterns for which no text
/// was found; then the value is not valid.
pub fn sample<T: Value>(seed: u64) -> (T, Vec<&'static str>) {
    let mut sampler =
        Sampler { random: Random(seed), stack: Vec::new(), checks: &[], unmet: vec![] };
    let value = T::decode(&mut sampler).expect("a sampler gives whatever it is asked for");
    (value, sampler.unmet)
}

/// A decoder that makes values up.
#[derive(Debug)]
pub struct Sampler {
    random: Random,
    stack: Vec<Frame>,
    /// The constraints of the value that is asked for next.
    checks: &'static [Check],
    unmet: Vec<&'static str>,
}

#[derive(Debug)]
struct Frame {
    /// Members looked at, or parts given.
    seen: u64,
    length: u64,
    checks: &'static [Check],
}

impl Sampler {
    fn length(&mut self, ordinary: u64) -> u64 {
        let bounds = self.checks.iter().find_map(|check| match check {
            Check::Length(min, max) => Some((min.unwrap_or(0), max.unwrap_or(u64::MAX))),
            _ => None,
        });
        let (min, max) = bounds.unwrap_or((0, u64::MAX));
        self.random.between(min, max.min(min.saturating_add(ordinary)))
    }

    fn range(&mut self, low: i64, high: i64) -> i64 {
        let bounds = self.checks.iter().find_map(|check| match check {
            Check::Range(min, max) => Some((min.unwrap_or(low), max.unwrap_or(high))),
            _ => None,
        });
        let (min, max) = bounds.unwrap_or((low, high));
        let (min, max) = (min.max(low), max.min(high));
        match self.random.below(4) {
            0 => min,
            1 => max,
            _ => {
                let width = max.abs_diff(min);
                let offset = if width == u64::MAX {
                    self.random.draw()
                } else {
                    self.random.between(0, width)
                };
                min.wrapping_add_unsigned(offset)
            }
        }
    }

    fn open(&mut self) {
        let length = if self.stack.len() > DEPTH_FULL { self.length(0) } else { self.length(3) };
        let checks = std::mem::take(&mut self.checks);
        self.stack.push(Frame { seen: 0, length, checks });
    }

    /// Whether the container has a further part.
    fn more(&mut self) -> bool {
        let frame = self.stack.last_mut().expect("inside a container");
        frame.seen += 1;
        let more = frame.seen <= frame.length;
        if !more {
            self.stack.pop();
        }
        more
    }

    fn inner(&self, pick: impl Fn(&'static Check) -> Option<&'static [Check]>) -> &'static [Check] {
        let frame = self.stack.last().expect("inside a container");
        frame.checks.iter().find_map(pick).unwrap_or_default()
    }

    fn text(&mut self) -> String {
        let found = self.checks.iter().find_map(|check| match check {
            Check::Pattern(java) => Some(*java),
            _ => None,
        });
        let Some(java) = found else { return self.any_text() };
        for attempt in 0..200_u64 {
            let text = pattern::sample(java, &mut self.random, 2 + attempt);
            let fits = self.checks.iter().all(|check| match check {
                Check::Length(min, max) => {
                    let length = text.chars().count() as u64;
                    min.is_none_or(|min| length >= min) && max.is_none_or(|max| length <= max)
                }
                _ => true,
            });
            if fits && pattern::matches(java, &text) {
                return text;
            }
        }
        self.unmet.push(java);
        String::new()
    }

    fn any_text(&mut self) -> String {
        const ODD: [char; 10] =
            ['"', '\\', '\n', '\u{0}', '/', 'ü', '\u{7f}', '中', '😀', '\u{2028}'];
        (0..self.length(12))
            .map(|_| match self.random.below(4) {
                0 => ODD[self.random.below(ODD.len() as u64) as usize],
                _ => char::from(self.random.between(0x20, 0x7e) as u8),
            })
            .collect()
    }
}

impl Decoder for Sampler {
    fn boolean(&mut self) -> Result<bool> {
        Ok(self.random.below(2) == 0)
    }

    fn integer(&mut self) -> Result<i32> {
        Ok(self.range(i32::MIN.into(), i32::MAX.into()) as i32)
    }

    fn long(&mut self) -> Result<i64> {
        Ok(self.range(i64::MIN, i64::MAX))
    }

    fn double(&mut self) -> Result<f64> {
        let whole = self.range(-1_000_000, 1_000_000);
        let fraction = self.random.below(8) as f64 / 8.0;
        let is_bound =
            self.checks.iter().any(|c| matches!(c, Check::Range(_, Some(max)) if *max == whole));
        Ok(if is_bound { whole as f64 } else { whole as f64 + fraction })
    }

    fn string(&mut self) -> Result<String> {
        Ok(self.text())
    }

    fn blob(&mut self) -> Result<Bytes> {
        let length = self.length(40);
        Ok((0..length).map(|_| self.random.draw() as u8).collect())
    }

    fn time(&mut self) -> Result<Time> {
        Ok(Time::from_millis(self.random.below(4_000_000_000_000) as i64 - 100_000_000_000))
    }

    fn enumeration(&mut self, values: &'static [&'static str]) -> Result<String> {
        Ok(values[self.random.below(values.len() as u64) as usize].to_owned())
    }

    fn structure(&mut self) -> Result<()> {
        self.open();
        Ok(())
    }

    fn member(&mut self, members: &'static [MemberInfo]) -> Result<Option<usize>> {
        loop {
            let depth = self.stack.len();
            let frame = self.stack.last_mut().expect("inside a structure");
            let index = frame.seen as usize;
            frame.seen += 1;
            let Some(member) = members.get(index) else {
                self.stack.pop();
                return Ok(None);
            };
            if member.required || depth <= DEPTH_FULL && self.random.below(2) == 0 {
                self.checks = member.checks;
                return Ok(Some(index));
            }
        }
    }

    fn list(&mut self) -> Result<()> {
        self.open();
        Ok(())
    }

    fn item(&mut self) -> Result<bool> {
        self.checks = self.inner(|c| if let Check::Items(i) = c { Some(*i) } else { None });
        Ok(self.more())
    }

    fn map(&mut self) -> Result<()> {
        self.open();
        Ok(())
    }

    fn key(&mut self) -> Result<Option<String>> {
        self.checks = self.inner(|c| if let Check::Keys(k) = c { Some(*k) } else { None });
        let values = self.inner(|c| if let Check::Values(v) = c { Some(*v) } else { None });
        if !self.more() {
            return Ok(None);
        }
        let key = self.text();
        self.checks = values;
        Ok(Some(key))
    }

    fn absent(&mut self, _: &'static str) {}
}

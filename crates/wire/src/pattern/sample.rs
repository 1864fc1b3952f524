//! Texts that a pattern probably matches; look-arounds are not minded.

use super::compile::{Node, Part, Set, parse};

/// A text for `java`; open repetitions go `extra` beyond their lower bound at most.
pub fn sample(java: &str, random: &mut Random, extra: u64) -> String {
    let mut out = String::new();
    if let Ok(node) = parse(java) {
        walk(&node, random, extra, &mut out);
    }
    out
}

fn walk(node: &Node, random: &mut Random, extra: u64, out: &mut String) {
    match node {
        Node::Set(set) => out.push(character(set, random)),
        Node::Start | Node::End | Node::Around(..) => {}
        Node::Sequence(nodes) => nodes.iter().for_each(|node| walk(node, random, extra, out)),
        Node::Choice(nodes) => {
            walk(&nodes[random.below(nodes.len() as u64) as usize], random, extra, out);
        }
        Node::Repeat(inner, min, max) => {
            let min = *min as u64;
            let max = max.map_or(u64::MAX, |max| max as u64).min(min + extra);
            for _ in 0..random.between(min, max) {
                walk(inner, random, extra, out);
            }
        }
    }
}

fn character(set: &Set, random: &mut Random) -> char {
    let listed: Vec<(u32, u32)> = set
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Range(low, high) => Some((u32::from(*low), u32::from(*high))),
            Part::Class(_) | Part::NotClass(_) => None,
        })
        .collect();
    for _ in 0..200 {
        let code = if set.negated || listed.is_empty() || random.below(4) == 0 {
            random.between(0x20, 0x7e) as u32
        } else {
            let (low, high) = listed[random.below(listed.len() as u64) as usize];
            random.between(low.into(), high.into()) as u32
        };
        if let Some(c) = char::from_u32(code).filter(|c| set.holds(*c)) {
            return c;
        }
    }
    'a'
}

/// Numbers that look random.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// Both bounds included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }
}

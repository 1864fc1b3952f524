//! The licences of everything that is built in, against a list of those we may ship.
//!
//! Reads each package's SPDX expression from `cargo metadata`: `OR` is our choice, `AND` and `WITH`
//! bind. No download, no tool: `cargo deny check licenses` (deny.toml) says the same when installed.

use anyhow::Result;

use super::{House, Problem};
use crate::tree;

/// Licences that allow what we do: ship binaries and sources under Apache-2.0.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BlueOak-1.0.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Every package has a licence that [`ALLOWED`] covers.
pub fn allowed(house: &House) -> Result<Vec<Problem>> {
    let lock = house.root.join("Cargo.lock");
    let mut problems = vec![];
    for package in tree::licensed(&house.root)? {
        let says = match &package.licence {
            None => format!("{} names no licence in its manifest", package.name),
            Some(expression) if !covers(expression) => {
                format!("{} is under {expression}, which is not on the list", package.name)
            }
            Some(_) => continue,
        };
        problems.push(Problem::new(&lock, 0, says));
    }
    Ok(problems)
}

/// Whether an SPDX expression can be met with [`ALLOWED`] licences.
fn covers(expression: &str) -> bool {
    // The old way to write a choice, before SPDX expressions.
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut reader = Reader { words: &words, at: 0 };
    reader.choice() && reader.at == words.len()
}

struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
}

impl Reader<'_> {
    fn choice(&mut self) -> bool {
        let mut met = self.all();
        while self.takes("OR") {
            // Both sides are read even when the first is met, so that the words are used up.
            let other = self.all();
            met = met || other;
        }
        met
    }

    fn all(&mut self) -> bool {
        let mut met = self.one();
        while self.takes("AND") {
            let other = self.one();
            met = met && other;
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.takes("(") {
            let met = self.choice();
            return self.takes(")") && met;
        }
        let Some(name) = self.words.get(self.at) else { return false };
        self.at += 1;
        if !self.takes("WITH") {
            return ALLOWED.contains(name);
        }
        let Some(exception) = self.words.get(self.at) else { return false };
        self.at += 1;
        ALLOWED.contains(&format!("{name} WITH {exception}").as_str())
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_needs_one_and_a_bond_needs_all() {
        let cases = [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("MIT AND (GPL-3.0 OR ISC)", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("MIT nonsense", false),
            ("", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(covers(expression), expected, "{expression}");
        }
    }

    #[test]
    fn deny_toml_allows_the_same() {
        let file = crate::run::root().join("deny.toml");
        let table: toml::Table =
            std::fs::read_to_string(file).expect("deny.toml is there").parse().expect("it is TOML");
        let listed = table["licenses"]["allow"].as_array().expect("a list of licences");
        let listed: Vec<&str> = listed.iter().filter_map(toml::Value::as_str).collect();
        assert_eq!(listed, ALLOWED);
    }
}

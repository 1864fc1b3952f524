//! What every source file and every manifest has: a header, a bounded length, the house's lints.

use anyhow::Result;

use super::{House, Problem};

/// Longest hand-written source file, in lines. A file this long holds two ideas.
const LINES_MAX: usize = 900;

/// Every Rust file says in its first lines what it is.
pub fn headers(house: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for file in house.files_ending(".rs") {
        if !has_header(&std::fs::read_to_string(file)?) {
            problems.push(Problem::new(
                file,
                1,
                "begin the file with `//!`: what it is and promises",
            ));
        }
    }
    Ok(problems)
}

/// No hand-written file is longer than [`LINES_MAX`].
pub fn lengths(house: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for file in house.files_ending(".rs") {
        let lines = std::fs::read_to_string(file)?.lines().count();
        let generated = file.iter().any(|part| part == "gen");
        if lines > LINES_MAX && !generated {
            let says = format!("{lines} lines, at most {LINES_MAX}: find the two ideas in it");
            problems.push(Problem::new(file, 0, says));
        }
    }
    Ok(problems)
}

/// Every package takes the workspace's lints, and no product code opts out of the banned calls.
pub fn lints(house: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for package in &house.packages {
        let manifest = package.folder.join("Cargo.toml");
        let table: toml::Table = std::fs::read_to_string(&manifest)?.parse()?;
        let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            problems.push(Problem::new(&manifest, 0, "add `[lints] workspace = true`"));
        }
        let outside = ["env", "sim", "xtask", "conformance"].contains(&package.crate_name());
        let product = |file: &&std::path::PathBuf| file.starts_with(package.folder.join("src"));
        for file in package.files.iter().filter(product).filter(|_| !outside) {
            let text = std::fs::read_to_string(file)?;
            for (line, text) in product_lines(&text) {
                if text.contains("clippy::disallowed") && !text.contains("reason") {
                    let says = "an exception from the banned calls needs a `reason = \"…\"`";
                    problems.push(Problem::new(file, line, says));
                }
            }
        }
    }
    Ok(problems)
}

/// No test is ignored and no code is left for later.
pub fn switched_off(house: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for file in house.files_ending(".rs").filter(|file| !file.ends_with("tidy/files.rs")) {
        let text = std::fs::read_to_string(file)?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            // What is searched for, not a promise: this file is left out above for that reason.
            let off = line.starts_with("#[ignore")
                || ["todo!(", "unimplemented!("].iter().any(|word| line.contains(word));
            if off && !line.starts_with("//") {
                let says = "an ignored test or unwritten code proves nothing";
                problems.push(Problem::new(file, index + 1, says));
            }
        }
    }
    Ok(problems)
}

/// `//!` comes before the first item; inner attributes and plain comments may stand above it.
fn has_header(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| {
        !line.is_empty()
            && !line.starts_with("#![")
            && (line.starts_with("//!") || !line.starts_with("//"))
    });
    first.is_some_and(|line| line.starts_with("//!"))
}

/// The numbered lines before the tests at the end of a file, a multi-line attribute joined into one.
fn product_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = vec![];
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim() == "#[cfg(test)]" {
            break;
        }
        match lines.last_mut() {
            Some((_, last)) if open => last.push_str(line.trim()),
            _ => lines.push((index + 1, line.trim().to_owned())),
        }
        let last = &lines.last().expect("a line was pushed or extended").1;
        open = last.starts_with("#") && !last.ends_with(']');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_follow_inner_attributes_but_not_items() {
        let cases = [
            ("//! What it is.\nuse std;\n", true),
            ("#![allow(x)]\n\n//! What it is.\n", true),
            ("// a remark\n//! What it is.\n", true),
            ("use std;\n//! Too late.\n", false),
            ("", false),
        ];
        for (text, expected) in cases {
            assert_eq!(has_header(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_attribute_over_several_lines_is_one_line() {
        let text = "#![allow(\n    clippy::x,\n    reason = \"y\"\n)]\nfn f() {}\n#[cfg(test)]\nfn g() {}\n";
        let lines = product_lines(text);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].1.contains("reason"));
        assert_eq!(lines[1].0, 5);
    }
}

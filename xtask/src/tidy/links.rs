//! Links of the documentation lead somewhere: to a file of the tree, to a heading of a page.

use std::path::Path;

use anyhow::Result;

use super::{House, Problem};

/// Every relative link of every Markdown page resolves.
pub fn resolve(house: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for page in house.files_ending(".md") {
        for (line, target) in links(&std::fs::read_to_string(page)?) {
            if let Some(why) = broken(page, &target)? {
                problems.push(Problem::new(page, line, format!("the link {target} {why}")));
            }
        }
    }
    Ok(problems)
}

/// Why `target`, as it stands in `page`, leads nowhere.
fn broken(page: &Path, target: &str) -> Result<Option<&'static str>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => page.to_path_buf(),
        path => page.parent().expect("a page lies in a folder").join(path),
    };
    if !file.exists() {
        return Ok(Some("leads to no file"));
    }
    if anchor.is_empty() || file.extension().is_none_or(|ext| ext != "md") {
        return Ok(None);
    }
    let found = anchors(&std::fs::read_to_string(&file)?).any(|heading| heading == anchor);
    Ok((!found).then_some("leads to no heading"))
}

/// The targets of `[text](target)` with their lines; fenced code is left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    for (number, line) in prose(text) {
        let mut rest = line;
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let Some(end) = rest.find(')') else { break };
            found.push((number, rest[..end].trim().to_owned()));
            rest = &rest[end..];
        }
    }
    found
}

/// The anchors that a reader's browser gives to the headings: small letters, hyphens for blanks.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_missing_files_and_headings_are_found() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let page = home.path().join("page.md");
        std::fs::write(home.path().join("other.md"), "# Title\n## A full disk, and after\n")
            .expect("the folder is writable");
        std::fs::write(&page, "# Here\n").expect("the folder is writable");
        let cases = [
            ("other.md", None),
            ("other.md#a-full-disk-and-after", None),
            ("#here", None),
            ("missing.md", Some("leads to no file")),
            ("other.md#nothing", Some("leads to no heading")),
        ];
        for (target, expected) in cases {
            assert_eq!(
                broken(&page, target).expect("the pages are readable"),
                expected,
                "{target}"
            );
        }
    }

    #[test]
    fn code_holds_no_links() {
        let text = "see [a](a.md) and [b](b.md)\n```\n[c](c.md)\n```\n";
        assert_eq!(links(text), [(1, "a.md".to_owned()), (1, "b.md".to_owned())]);
    }
}

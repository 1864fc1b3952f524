//! Words that do not belong into the tree: paths of one developer's machine, hosts of package
//! registries (a package is named by its name; the client knows where it lives).

use anyhow::Result;

use super::{House, Problem};

/// Registry hosts, in two parts each, so that this file is no finding of its own.
const HOSTS: &[(&str, &str)] = &[
    ("crates", "io/"),
    ("static.crates", "io"),
    ("index.crates", "io"),
    ("pypi", "org"),
    ("files.pythonhosted", "org"),
    ("registry.npmjs", "org"),
    ("proxy.golang", "org"),
    ("repo.maven.apache", "org"),
    ("repo1.maven", "org"),
    ("deb.debian", "org"),
];

/// Beginnings of paths that exist on one machine only, in two parts for the same reason.
const PATHS: &[(&str, &str)] =
    &[("/home", "/"), ("/Users", "/"), ("/root", "/"), ("/work", "/"), ("C:", "\\Users")];

/// No text file of the tree holds a word of the lists; lock files are written by their tools.
pub fn foreign(house: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for file in &house.files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".lock") || name == "go.sum" || name == "LICENSE" {
            continue;
        }
        // Binary files (test vectors) are no texts to read.
        let Ok(text) = String::from_utf8(std::fs::read(file)?) else { continue };
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = foreign_word(line) {
                problems.push(Problem::new(
                    file,
                    index + 1,
                    format!("'{word}' does not belong here"),
                ));
            }
        }
    }
    Ok(problems)
}

fn foreign_word(line: &str) -> Option<String> {
    let hosts = HOSTS.iter().map(|(name, end)| format!("{name}.{end}"));
    let host = hosts.into_iter().find(|host| line.contains(host.as_str()));
    host.or_else(|| {
        let paths = PATHS.iter().map(|(first, second)| format!("{first}{second}"));
        paths.into_iter().find(|path| begins_a_path(line, path))
    })
}

/// True when `path` stands in `line` as the beginning of a path, not in the middle of one.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before
            .is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-' | '}' | '/' | '~'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_machine_and_registry_hosts_are_found() {
        let line = |parts: &[&str]| parts.concat();
        assert!(foreign_word(&line(&["cd /ho", "me/anna/project"])).is_some());
        assert!(foreign_word(&line(&["from pyp", "i.org"])).is_some());
        assert!(foreign_word("cd ~/project && ls docs/home/page").is_none());
        assert!(foreign_word("target/work/file").is_none());
    }
}

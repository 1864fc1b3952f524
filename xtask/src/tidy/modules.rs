//! No circles between the modules of a crate.
//!
//! Works on tokens, not on types: every path that begins with `crate`, `super` or `self`, and every
//! `use`, is followed through the files of the crate and through re-exports by name. Among the
//! children of one module, "a file below A names something below B" is an arrow from A to B; these
//! arrows must have no circle. A module and its own parent may know each other: the parent is the
//! face of its children. Tests are left out: they may look at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{House, Problem};

/// Knots that are there and must go: package, level, modules that may still be in it. The list only
/// shrinks: a knot that is gone is a problem until its line is.
const LEFT: &[(&str, &str, &[&str])] = &[
    // A simulated node owns its disk and its tasks, and both stop the node.
    ("millstream-env", "sim", &["disk", "executor", "file", "names", "node", "tasks"]),
];

/// Every crate's modules, level by level.
pub fn circles(house: &House) -> Result<Vec<Problem>> {
    let mut problems = vec![];
    for package in &house.packages {
        let source = package.folder.join("src");
        let mut files = BTreeMap::new();
        for file in &package.files {
            if let Some(path) = module_path(&source, file) {
                files.insert(path, (file.clone(), std::fs::read_to_string(file)?));
            }
        }
        let left = LEFT.iter().filter(|(name, ..)| *name == package.name);
        let left: Vec<_> = left.map(|(_, level, modules)| (*level, *modules)).collect();
        problems.extend(circles_of(&files, &left, &source));
    }
    Ok(problems)
}

/// Groups of named things that all lead to each other, the largest knots there are.
pub fn knots<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<BTreeSet<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|start| (*start, reachable(start, edges))).collect();
    let mut knots: Vec<BTreeSet<&str>> = vec![];
    for (name, reaches) in &reached {
        if !reaches.contains(name) || knots.iter().any(|knot| knot.contains(name)) {
            continue;
        }
        let back = |other: &&&str| reached.get(**other).is_some_and(|r| r.contains(name));
        knots.push(reaches.iter().filter(back).copied().collect());
    }
    knots
}

/// Everything behind the arrows from `start`; `start` itself only if an arrow leads back to it.
fn reachable<'a>(start: &str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = edges.get(start).into_iter().flatten().copied().collect();
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            open.extend(edges.get(name).into_iter().flatten());
        }
    }
    reached
}

type ModulePath = Vec<String>;
type Files = BTreeMap<ModulePath, (PathBuf, String)>;

/// `src/a/b.rs` -> `[a, b]`; `None` for other programs of the package (`src/bin`, a `main.rs` beside
/// a `lib.rs`).
fn module_path(source: &Path, file: &Path) -> Option<ModulePath> {
    let inside = file.strip_prefix(source).ok()?.with_extension("");
    let mut path: ModulePath =
        inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    match path.last().map(String::as_str) {
        Some("mod") => _ = path.pop(),
        Some("lib") if path.len() == 1 => path.clear(),
        Some("main") if path.len() == 1 => {
            if source.join("lib.rs").exists() {
                return None;
            }
            path.clear();
        }
        _ if path.first().is_some_and(|first| first == "bin") => return None,
        _ => {}
    }
    Some(path)
}

fn circles_of(files: &Files, left: &[(&str, &[&str])], source: &Path) -> Vec<Problem> {
    let house = Modules::read(files);
    let mut levels: BTreeMap<&[String], BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    let mut witness: BTreeMap<(&[String], &str, &str), &PathBuf> = BTreeMap::new();
    let arrows = house.arrows();
    for (from, to) in &arrows {
        let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        if shared == from.len() || shared == to.len() {
            continue;
        }
        let (level, from_child, to_child) = (&from[..shared], &*from[shared], &*to[shared]);
        levels.entry(level).or_default().entry(from_child).or_default().insert(to_child);
        witness.entry((level, from_child, to_child)).or_insert(&files[from].0);
    }
    let mut problems = vec![];
    let mut seen = BTreeSet::new();
    for (level, edges) in &levels {
        let inside = if level.is_empty() { "the crate".into() } else { level.join("::") };
        for knot in knots(edges) {
            let known = left.iter().position(|(at, names)| {
                *at == level.join("::") && knot.iter().all(|name| names.contains(name))
            });
            if let Some(known) = known {
                seen.insert(known);
                continue;
            }
            let mut says = format!("a circle between modules of {inside}:");
            for (from, to) in arrows_within(&knot, edges) {
                let by = shown(witness[&(*level, from, to)]);
                says.push_str(&format!(" {from} -> {to} (in {by})"));
            }
            problems.push(Problem::new(&files[&first_file(level, &knot, files)].0, 0, says));
        }
    }
    for (_, names) in left.iter().enumerate().filter(|(at, _)| !seen.contains(at)) {
        let says = format!("the knot {} is gone: strike it out of LEFT", names.1.join(", "));
        problems.push(Problem::new(source, 0, says));
    }
    problems
}

fn arrows_within<'a>(
    knot: &BTreeSet<&'a str>,
    edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Vec<(&'a str, &'a str)> {
    let all = edges.iter().flat_map(|(from, to)| to.iter().map(|to| (*from, *to)));
    all.filter(|(from, to)| knot.contains(from) && knot.contains(to)).collect()
}

/// The first module file of a knot; a folder without a file of its own stands for its content.
fn first_file(level: &[String], knot: &BTreeSet<&str>, files: &Files) -> ModulePath {
    let inside = |path: &&ModulePath| {
        path.starts_with(level) && path.get(level.len()).is_some_and(|n| knot.contains(n.as_str()))
    };
    files.keys().find(inside).expect("a knot is made of files").clone()
}

fn shown(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The modules of one crate: what each names, and what each brings in under a name of its own.
struct Modules {
    named: BTreeMap<ModulePath, Vec<ModulePath>>,
    aliases: BTreeMap<ModulePath, BTreeMap<String, ModulePath>>,
}

impl Modules {
    fn read(files: &Files) -> Modules {
        let mut modules = Modules { named: BTreeMap::new(), aliases: BTreeMap::new() };
        let mut tests = vec![];
        for (path, (_, text)) in files {
            let tokens = tokens(&code(text));
            let (tokens, test_modules) = without_tests(tokens);
            tests.extend(test_modules.into_iter().map(|name| joined(path, &name)));
            let (named, aliases) = paths(&tokens);
            modules.named.insert(path.clone(), named);
            modules.aliases.insert(path.clone(), aliases);
        }
        let in_tests = |path: &ModulePath| tests.iter().any(|test| path.starts_with(test));
        modules.named.retain(|path, _| !in_tests(path));
        modules
    }

    fn arrows(&self) -> BTreeSet<(ModulePath, ModulePath)> {
        let mut arrows = BTreeSet::new();
        for (from, named) in &self.named {
            for path in named {
                if let Some(to) = self.module_of(from, path, 0) {
                    arrows.insert((from.clone(), to));
                }
            }
        }
        arrows
    }

    /// The deepest module that `path`, written in module `from`, leads to.
    fn module_of(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        // Longer chains of re-exports than this are circles of names; rustc refuses those.
        if depth > 8 {
            return None;
        }
        let (mut at, rest) = match path.first()?.as_str() {
            "crate" => (vec![], &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => (from[..from.len().checked_sub(1)?].to_vec(), &path[1..]),
            _ => (from.clone(), path),
        };
        for (index, name) in rest.iter().enumerate() {
            if name == "super" {
                at.pop();
                continue;
            }
            let child = joined(&at, name);
            if self.named.contains_key(&child) {
                at = child;
                continue;
            }
            let alias = self.aliases.get(&at).and_then(|aliases| aliases.get(name));
            let Some(target) = alias else { break };
            let full: ModulePath = target.iter().chain(&rest[index + 1..]).cloned().collect();
            return self.module_of(&at, &full, depth + 1).or(Some(at));
        }
        // A bare name that is no child of ours belongs to another crate.
        let ours = ["crate", "self", "super"].contains(&path[0].as_str());
        (ours || at != *from).then_some(at)
    }
}

fn joined(path: &[String], name: &str) -> ModulePath {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

/// The text without comments, strings and character literals.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        at = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => end_of_line(&chars, at),
            ('/', Some('*')) => end_of_block(&chars, at),
            ('r', Some('"' | '#')) if !in_word(&chars, at) => match end_of_raw(&chars, at) {
                Some(end) => end,
                None => copy(&chars, at, &mut out),
            },
            ('"', _) => end_of_string(&chars, at),
            ('\'', _) => end_of_char(&chars, at),
            _ => copy(&chars, at, &mut out),
        };
    }
    out
}

fn copy(chars: &[char], at: usize, out: &mut String) -> usize {
    out.push(chars[at]);
    at + 1
}

fn in_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') && chars[at - 1] != 'b'
}

fn end_of_line(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |end| at + end)
}

fn end_of_block(chars: &[char], at: usize) -> usize {
    let end = chars[at + 2..].windows(2).position(|pair| pair == ['*', '/']);
    end.map_or(chars.len(), |end| at + 2 + end + 2)
}

fn end_of_raw(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = ['"'].into_iter().chain(std::iter::repeat_n('#', hashes)).collect();
    let body = at + hashes + 2;
    let end = chars[body..].windows(close.len()).position(|window| window == close);
    Some(end.map_or(chars.len(), |end| body + end + close.len()))
}

fn end_of_string(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Past a character literal; only past the quote of a lifetime.
fn end_of_char(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let end = chars[at + 3..].iter().position(|c| *c == '\'');
            end.map_or(chars.len(), |end| at + 3 + end + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// Words, `::` and single signs.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = vec![];
    let mut word = String::new();
    for c in code.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if c == ':' && tokens.last().is_some_and(|last| last == ":") {
            *tokens.last_mut().expect("there is a last one") = "::".to_owned();
        } else if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
    }
    tokens.push(word);
    tokens
}

/// The tokens without items under `#[cfg(test)]`, and the names of modules that were such items.
fn without_tests(tokens: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut modules, mut at) = (vec![], vec![], 0);
    while at < tokens.len() {
        if !tokens[at..].starts_with(&mark.map(str::to_owned)) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += mark.len();
        let end = end_of_item(&tokens, at);
        let item = &tokens[at..end];
        let module = item.iter().position(|token| token == "mod").filter(|at| *at < 4);
        modules.extend(module.and_then(|at| item.get(at + 1)).cloned());
        at = end;
    }
    (kept, modules)
}

/// Past the next `;` outside of braces, or past the closing brace of the next block.
fn end_of_item(tokens: &[String], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth <= 1 => return at + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// All paths of interest, and the names that `use` brings in with their full paths.
fn paths(tokens: &[String]) -> (Vec<ModulePath>, BTreeMap<String, ModulePath>) {
    let (mut named, mut aliases, mut at) = (vec![], BTreeMap::new(), 0);
    while at < tokens.len() {
        let starts = ["crate", "super", "self"].contains(&tokens[at].as_str())
            && tokens.get(at + 1).is_some_and(|next| next == "::");
        if tokens[at] == "use" {
            at = tree(tokens, at + 1, &[], &mut |path, name| {
                aliases.insert(name, path.clone());
                named.push(path);
            });
        } else if starts {
            at = tree(tokens, at, &[], &mut |path, _| named.push(path));
        } else {
            at += 1;
        }
    }
    (named, aliases)
}

/// Reads `a::b::{c, d as e, f::*}` at `at`; gives each path with the name that it gets here.
fn tree(
    tokens: &[String],
    mut at: usize,
    prefix: &[String],
    found: &mut impl FnMut(ModulePath, String),
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        let Some(token) = tokens.get(at) else { return at };
        match token.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    // Past a comma, past a branch, or past something unforeseen: always onward.
                    let branch = tokens[at] != ",";
                    let next = if branch { tree(tokens, at, &path, &mut *found) } else { at };
                    at = next.max(at + 1);
                }
                return at + 1;
            }
            "*" => {
                found(path, "*".to_owned());
                return at + 1;
            }
            word if word.chars().all(|c| c.is_alphanumeric() || c == '_') && !word.is_empty() => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => {
                // `a::b::<T>`: the path ends before its type arguments.
                if path.len() > prefix.len() {
                    found(path, String::new());
                }
                return at;
            }
        }
        match tokens.get(at).map(String::as_str) {
            Some("::") => at += 1,
            Some("as") => {
                let name = tokens.get(at + 1).cloned().unwrap_or_default();
                found(path, name);
                return at + 2;
            }
            _ => {
                if path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                if let Some(name) = path.last().cloned() {
                    found(path, name);
                }
                return at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        check_but(files, &[])
    }

    fn check_but(files: &[(&str, &str)], left: &[(&str, &[&str])]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| {
            let names = path.split("::").filter(|name| !name.is_empty()).map(str::to_owned);
            (names.collect(), (PathBuf::from(format!("{path}.rs")), (*text).to_owned()))
        });
        let problems = circles_of(&files.collect(), left, Path::new("src"));
        problems.into_iter().map(|problem| problem.says).collect()
    }

    #[test]
    fn two_modules_that_name_each_other_are_a_circle() {
        let found = check(&[
            ("", "mod a; mod b;"),
            ("a", "use crate::b::Beta; pub struct Alpha;"),
            ("b", "pub struct Beta; fn f(_: &crate::a::Alpha) {}"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("a -> b (in a.rs) b -> a (in b.rs)"), "{found:?}");
    }

    #[test]
    fn the_list_of_what_is_left_only_shrinks() {
        let files = [("", ""), ("a", "use crate::b;"), ("b", "use crate::a;"), ("c", "")];
        assert_eq!(check_but(&files, &[("", &["a", "b"])]), Vec::<String>::new());
        let other = check_but(&files, &[("", &["a", "c"])]);
        assert_eq!(other.len(), 2, "{other:?}");
        let gone = check_but(&[("", ""), ("a", ""), ("b", "")], &[("", &["a", "b"])]);
        assert!(gone[0].contains("strike it out"), "{gone:?}");
    }

    #[test]
    fn a_circle_through_a_re_export_is_found() {
        let found = check(&[
            ("", "mod a; mod b; pub use a::Alpha;"),
            ("a", "use super::b::{self, Beta};"),
            ("b", "use crate::Alpha;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_circle_deep_below_is_found_at_its_level() {
        let found = check(&[
            ("", "mod a; mod c;"),
            ("a", "mod x; mod y;"),
            ("a::x", "use super::y::Y;"),
            ("a::y", "use crate::a::x;"),
            ("c", ""),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("modules of a: x -> y"), "{found:?}");
    }

    #[test]
    fn two_knots_are_two_findings_and_what_hangs_on_them_is_none() {
        let edges = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c")];
        let mut map: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (from, to) in edges {
            map.entry(from).or_default().insert(to);
        }
        map.entry("x").or_default().insert("a");
        assert_eq!(knots(&map), [BTreeSet::from(["a", "b"]), BTreeSet::from(["c", "d", "e"])]);
    }

    #[test]
    fn a_chain_a_parent_and_tests_are_no_circles() {
        let found = check(&[
            ("", "mod a; mod b; pub use a::Alpha; pub struct Root;"),
            ("a", "use crate::{Root, b::Beta};\nmod child; use child::Child;"),
            ("a::child", "use super::Alpha;"),
            (
                "b",
                "// crate::a::Alpha\nconst S: &str = \"crate::a\"; #[cfg(test)] mod tests { use crate::a::Alpha; }",
            ),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn files_of_tests_are_left_out() {
        let found = check(&[
            ("", "mod a; mod b;"),
            ("a", "#[cfg(test)]\nmod tests;"),
            ("a::tests", "use crate::b::Beta;"),
            ("b", "use crate::a::Alpha;"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn strings_comments_and_characters_are_not_code() {
        let text = "let a = \"crate::x\"; // crate::y\n let b = r#\"crate::z\"#; let c = '\"'; fn f<'a>() {} /* crate::w */ crate::v";
        let left = code(text);
        assert!(!left.contains("crate::x") && !left.contains("crate::y"), "{left}");
        assert!(!left.contains("crate::z") && !left.contains("crate::w"), "{left}");
        assert!(left.contains("crate::v") && left.contains("f<a>"), "{left}");
    }

    #[test]
    fn a_use_tree_gives_every_leaf_its_path_and_name() {
        let mut found = vec![];
        let tokens = tokens("crate::a::{b, c::{d as e, *}, self};");
        tree(&tokens, 0, &[], &mut |path, name| found.push((path.join("::"), name)));
        let expected = [
            ("crate::a::b", "b"),
            ("crate::a::c::d", "e"),
            ("crate::a::c", "*"),
            ("crate::a", "a"),
        ];
        assert_eq!(found, expected.map(|(path, name)| (path.to_owned(), name.to_owned())));
    }
}

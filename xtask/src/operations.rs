//! `cargo xtask operations`: the list of operations in docs/streams.md.
//!
//! What AWS has comes from the generated operation table of `api`; what we have comes from the
//! server's implementation of its trait: an operation is there when its method is. The list stands
//! between two markers of the page and a test proves that it is fresh.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{run, tree};

/// The page that holds the list.
pub const PAGE: &str = "docs/streams.md";
/// The generated table: `Name method_name Input => Output;` for each operation.
const TABLE: &str = "crates/api/src/gen/kinesis.rs";
/// Where the trait is implemented.
const SERVICE: &str = "crates/server/src/services";
const BEGIN: &str = "<!-- operations: written by `cargo xtask operations` -->";
const END: &str = "<!-- /operations -->";

/// Write the list of operations into docs/streams.md
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Change nothing; fail when the list is stale
    #[arg(long)]
    check: bool,
}

impl Args {
    /// Writes or checks the page.
    pub fn run(self) -> Result<()> {
        if self.check {
            return check(&run::root());
        }
        let page = run::root().join(PAGE);
        std::fs::write(&page, fresh(&run::root())?)?;
        println!("wrote {PAGE}");
        Ok(())
    }
}

/// Fails when the page's list is not what the code says.
pub fn check(root: &Path) -> Result<()> {
    let page = std::fs::read_to_string(root.join(PAGE)).context("docs/streams.md is missing")?;
    if page != fresh(root)? {
        bail!("the list of operations is stale: run `cargo xtask operations`");
    }
    Ok(())
}

/// The page with the list as it should be.
fn fresh(root: &Path) -> Result<String> {
    let page = std::fs::read_to_string(root.join(PAGE)).context("docs/streams.md is missing")?;
    let table = std::fs::read_to_string(root.join(TABLE)).context("the operation table")?;
    let mut service = String::new();
    for file in tree::files(root)?.iter().filter(|file| file.starts_with(root.join(SERVICE))) {
        service.push_str(&std::fs::read_to_string(file)?);
    }
    let (have, lack): (Vec<_>, Vec<_>) =
        operations(&table).into_iter().partition(|(_, method)| implements(&service, method));
    between(&page, &list(&have, &lack))
}

/// Names and methods in the table's order.
fn operations(table: &str) -> Vec<(String, String)> {
    let body = table.split_once("operations!").map_or("", |(_, body)| body);
    let body = body.split_once("\n}").map_or(body, |(body, _)| body);
    let lines = body.lines().filter(|line| line.contains("=>"));
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        })
        .collect()
}

/// True when the service's files hold the method's body.
fn implements(service: &str, method: &str) -> bool {
    let code = service.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    let heads = [format!("fn {method}("), format!("fn {method}<")];
    code.into_iter().any(|line| heads.iter().any(|head| line.contains(head.as_str())))
}

fn list(have: &[(String, String)], lack: &[(String, String)]) -> String {
    let mut text = format!("{} of {} operations:\n\n", have.len(), have.len() + lack.len());
    let names = |operations: &[(String, String)]| -> String {
        operations.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let _ = write!(text, "{}.\n\n", names(have));
    let _ = writeln!(text, "The others answer `UnknownOperationException`: {}.", names(lack));
    wrapped(&text)
}

/// Lines of at most 120 characters, as the rest of the docs.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut width = 0;
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            let needs = word.len() + usize::from(width > 0);
            if width > 0 && width + needs > 120 {
                out.push('\n');
                width = 0;
            } else if width > 0 {
                out.push(' ');
            }
            out.push_str(word);
            width += needs;
        }
        out.push('\n');
    }
    out
}

fn between(page: &str, list: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no line {END}"))?;
    Ok(format!("{before}{BEGIN}\n\n{list}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "
operations! {
    service = \"kinesis\";
    trait Kinesis {
        CreateStream create_stream CreateStreamInput => ();
        SplitShard split_shard SplitShardInput => ();
    }
}
shape! { other => thing }
";

    #[test]
    fn what_the_service_has_is_told_from_what_it_lacks() {
        let operations = operations(TABLE);
        assert_eq!(operations.len(), 2, "{operations:?}");
        let service = "    async fn create_stream(&self) {}\n    // fn split_shard(\n";
        assert!(implements(service, &operations[0].1));
        assert!(!implements(service, &operations[1].1));
    }

    #[test]
    fn the_list_replaces_what_stood_between_the_markers() {
        let page = format!("# Title\n{BEGIN}\nold\n{END}\nafter\n");
        let have = [("CreateStream".to_owned(), String::new())];
        let page = between(&page, &list(&have, &[])).expect("both markers are there");
        assert!(page.contains("1 of 1 operations") && !page.contains("old"), "{page}");
        assert!(page.ends_with("\nafter\n"), "{page}");
    }
}

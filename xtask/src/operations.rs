//! `cargo xtask operations`: the list of operations in docs/streams.md.
//!
//! What AWS has comes from the generated operation table of `api`; what we lack from the server's
//! explicit list, which a test of the server holds against the implementation. Ours stands between
//! two markers of the page, and tidy proves that it is fresh.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run;

/// The page that holds the list.
pub const PAGE: &str = "docs/streams.md";
/// The generated table: `Name method_name Input => Output;` for each operation.
const TABLE: &str = "crates/api/src/gen/kinesis.rs";
/// The list of what is not implemented: one quoted name a line.
const LACKING: &str = "crates/server/tests/unimplemented.rs";
const LACKING_BEGIN: &str = "const UNIMPLEMENTED: &[&str] =";
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
    let lacking = std::fs::read_to_string(root.join(LACKING)).context("the list of the lacking")?;
    let lacking = unimplemented(&lacking)?;
    let operations = operations(&table);
    if let Some(stranger) = lacking.iter().find(|name| !operations.contains(name)) {
        bail!("{LACKING} names {stranger}, which is no operation");
    }
    let (lack, have): (Vec<_>, Vec<_>) =
        operations.into_iter().partition(|name| lacking.contains(name));
    between(&page, &list(&have, &lack))
}

/// Names in the table's order.
fn operations(table: &str) -> Vec<String> {
    let body = table.split_once("operations!").map_or("", |(_, body)| body);
    let body = body.split_once("\n}").map_or(body, |(body, _)| body);
    let lines = body.lines().filter(|line| line.contains("=>"));
    lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// The names of the server's list.
fn unimplemented(test: &str) -> Result<Vec<String>> {
    let (_, rest) = test.split_once(LACKING_BEGIN).context("no list UNIMPLEMENTED")?;
    let (_, rest) = rest.split_once("&[").context("the list UNIMPLEMENTED does not begin")?;
    let (body, _) = rest.split_once("];").context("the list UNIMPLEMENTED has no end")?;
    Ok(body.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

fn list(have: &[String], lack: &[String]) -> String {
    let mut text = format!(
        "{} of {} operations:\n\n{}.\n",
        have.len(),
        have.len() + lack.len(),
        have.join(", ")
    );
    if !lack.is_empty() {
        let lack = lack.join(", ");
        let _ = writeln!(text, "\nThe others answer `UnknownOperationException`: {lack}.");
    }
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
    fn the_table_and_the_list_of_the_lacking_are_read() {
        assert_eq!(operations(TABLE), ["CreateStream", "SplitShard"]);
        let test = "use x;\nconst UNIMPLEMENTED: &[&str] = &[\n    \"SplitShard\",\n];\nfn f() {}";
        assert_eq!(unimplemented(test).expect("the list is there"), ["SplitShard"]);
    }

    #[test]
    fn the_list_replaces_what_stood_between_the_markers() {
        let page = format!("# Title\n{BEGIN}\nold\n{END}\nafter\n");
        let have = ["CreateStream".to_owned()];
        let page = between(&page, &list(&have, &[])).expect("both markers are there");
        assert!(page.contains("1 of 1 operations") && !page.contains("old"), "{page}");
        assert!(page.ends_with("\nafter\n"), "{page}");
    }
}

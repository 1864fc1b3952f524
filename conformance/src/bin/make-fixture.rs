//! Makes a data directory of today's format for `fixtures/`: `make-fixture NAME`.

use anyhow::{Context, Result};
use conformance::fixture;

fn main() -> Result<()> {
    let name = std::env::args().nth(1).context("usage: make-fixture NAME, such as v1")?;
    fixture::make(&fixture::folder(), &name)?;
    fixture::open(&fixture::folder(), &name)?;
    println!("made {}/{name}.tar.gz", fixture::folder().display());
    Ok(())
}

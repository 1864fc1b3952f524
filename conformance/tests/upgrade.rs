//! Data directories of older releases open, with everything in them.

use conformance::fixture;

#[test]
fn directories_of_older_releases_open() {
    for name in fixture::names() {
        fixture::open(&fixture::folder(), &name)
            .unwrap_or_else(|error| panic!("{name}: {error:#}"));
        println!("{name} opens");
    }
}

/// The mechanism itself, on a directory of today's format.
#[test]
fn a_directory_made_today_opens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fixture::make(folder.path(), "today").unwrap_or_else(|error| panic!("{error:#}"));
    fixture::open(folder.path(), "today").unwrap_or_else(|error| panic!("{error:#}"));
}

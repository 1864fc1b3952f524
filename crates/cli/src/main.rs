//! The one binary: serve, streams, put, tail, bench, fsck.

fn main() {}

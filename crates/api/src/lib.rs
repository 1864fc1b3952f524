//! The AWS models as Rust shapes, operations and errors. Generated, committed.

//! Which action each operation is, on which resource, with which condition keys.
//!
//! Source: AWS's service authorization reference, one page per service.

/// The actions of our services, as service and name.
pub fn actions() -> impl Iterator<Item = (&'static str, &'static str)> {
    [("kinesis", "PutRecord"), ("kinesis", "PutRecords"), ("kinesis", "GetRecords")].into_iter()
}

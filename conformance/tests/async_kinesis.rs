//! async-kinesis, a consumer for Python: polling, with checkpoints in DynamoDB.

use conformance::consume::{Software, check, programs};
use conformance::peers;

#[test]
fn polling() {
    if peers::consumers_python().is_none() {
        return peers::skip("async-kinesis");
    }
    check(&Software {
        name: "async-kinesis",
        command: &|| programs::python("async_kinesis.py"),
        mode: "polling",
        // It reads either plain or aggregated records, not both in one stream.
        takes_apart: false,
        in_order: true,
        resumes: true,
    });
}

//! The operations of AWS's model that this node does not have yet: an explicit, shrinking list.
#![allow(clippy::disallowed_methods)]

mod support;

use millstream_api::kinesis::Op;
use serde_json::json;
use support::{Request, TestNode};

/// Strike out what you add. Each answers `UnknownOperationException`.
const UNIMPLEMENTED: &[&str] =
    &["CreateChannel", "DeleteChannel", "DescribeChannel", "ListChannels", "UpdateChannel"];

#[tokio::test]
async fn what_is_not_implemented_is_listed_and_says_so() {
    let node = TestNode::start().await;
    let found: Vec<&str> = node.node.pipeline().unimplemented().into_iter().map(Op::name).collect();
    println!("{} of {} operations are not implemented:", found.len(), Op::ALL.len());
    for name in &found {
        println!("  {name}");
    }
    assert_eq!(found, UNIMPLEMENTED);
    for op in Op::ALL {
        let answer = node.connect().await.send(&Request::json(op.name(), &json!({}))).await;
        let unknown = answer.status == 400 && answer.error() == "UnknownOperationException";
        // A missing member may be told first; nobody may ever be told that it worked.
        if UNIMPLEMENTED.contains(&op.name()) {
            let invalid = answer.status == 400 && answer.error().starts_with("ValidationException");
            assert!(unknown || invalid, "{}: {answer:?}", op.name());
        } else {
            assert!(!unknown, "{}: {answer:?}", op.name());
        }
    }
    node.stop().await;
}

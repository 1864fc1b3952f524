//! What the catalogue covers: every trap that others fell into, every operation there is.

use std::collections::{BTreeMap, BTreeSet};

use conformance::catalogue::{Case, load};

/// Rows of the reference's list of traps (streams.md, section H).
const TRAPS: u16 = 58;

/// Rows without a case, and where they are looked after instead. Rows of operations that are not
/// there yet move into the catalogue with them.
const ELSEWHERE: [(u16, &str); 7] = [
    (6, "crates/server/tests/fan_out.rs waits for the takeover"),
    (31, "tests/catalogue.rs and tests/js.rs speak HTTP/2 with prior knowledge"),
    (47, "the simulation's clock steps back"),
    (48, "tests/crash.rs"),
    (49, "tests/crash.rs"),
    (50, "the simulation's clock passes retention periods"),
    (58, "each subscription has a pace of its own: crates/streams/src/pace.rs"),
];

/// Operations that answer something else than `UnknownOperationException`.
const OPERATIONS: [&str; 52] = [
    "AcknowledgeDeadLetterQueueRecords",
    "AcknowledgeQueueRecords",
    "AddTagsToStream",
    "CreateQueue",
    "CreateStream",
    "DecreaseStreamRetentionPeriod",
    "DeleteQueue",
    "DeleteResourcePolicy",
    "DeleteStream",
    "DeregisterStreamConsumer",
    "DescribeAccountSettings",
    "DescribeLimits",
    "DescribeQueue",
    "DescribeStream",
    "DescribeStreamConsumer",
    "DescribeStreamSummary",
    "DisableEnhancedMonitoring",
    "EnableEnhancedMonitoring",
    "GetRecords",
    "GetResourcePolicy",
    "GetShardIterator",
    "IncreaseStreamRetentionPeriod",
    "ListQueues",
    "ListShards",
    "ListStreamConsumers",
    "ListStreams",
    "ListTagsForResource",
    "ListTagsForStream",
    "MergeShards",
    "PutRecord",
    "PutRecords",
    "PutResourcePolicy",
    "ReceiveDeadLetterQueueRecords",
    "ReceiveQueueRecords",
    "RegisterStreamConsumer",
    "RemoveTagsFromStream",
    "RestoreDeadLetterQueueRecords",
    "SplitShard",
    "StartStreamEncryption",
    "StopStreamEncryption",
    "SubscribeToShard",
    "TagResource",
    "UntagResource",
    "UpdateAccountSettings",
    "UpdateDeadLetterQueueRecordsVisibility",
    "UpdateMaxRecordSize",
    "UpdateQueue",
    "UpdateQueueRecordsVisibility",
    "UpdateShardCount",
    "UpdateStreamMode",
    "UpdateStreamRecordDistributionStrategy",
    "UpdateStreamWarmThroughput",
];

fn cases() -> Vec<Case> {
    load().expect("the catalogue reads")
}

#[test]
fn every_trap_has_a_case_or_a_reason() {
    let cases = cases();
    let covered: BTreeSet<u16> = cases.iter().flat_map(|case| case.h.iter().copied()).collect();
    let reasons: BTreeMap<u16, &str> = ELSEWHERE.into_iter().collect();
    for row in 1..=TRAPS {
        let (case, reason) = (covered.contains(&row), reasons.contains_key(&row));
        assert!(case || reason, "row {row} has no case and no reason");
        assert!(!(case && reason), "row {row} has a case: its reason can go");
    }
    assert!(covered.iter().all(|row| (1..=TRAPS).contains(row)), "{covered:?}");
}

#[test]
fn every_operation_has_a_success_and_an_error() {
    let cases = cases();
    let steps: Vec<_> = cases.iter().flat_map(|case| &case.steps).collect();
    for operation in OPERATIONS {
        let of_it = || steps.iter().filter(|step| step.op.as_deref() == Some(operation));
        let fails = |expect: &conformance::catalogue::Expect| expect.error.is_some();
        let success = of_it().any(|step| !step.expect.as_ref().is_some_and(fails));
        let error = of_it().any(|step| step.expect.as_ref().is_some_and(fails));
        assert!(success, "{operation} is never seen to succeed");
        let never_fails = ["DescribeAccountSettings", "DescribeLimits"].contains(&operation);
        assert!(error || never_fails, "{operation} is never seen to fail");
    }
}

#[test]
fn operations_that_are_there_are_not_on_the_list_of_missing_ones() {
    let cases = cases();
    let list = cases.iter().find(|case| case.name == "operations_not_there_yet").expect("the list");
    let missing: BTreeSet<&str> =
        list.steps.iter().filter_map(|step| step.http.as_ref()?.op.as_deref()).collect();
    assert!(OPERATIONS.iter().all(|operation| !missing.contains(operation)));
    assert_eq!(missing.len() + OPERATIONS.len(), 57, "the model has 57 operations");
}

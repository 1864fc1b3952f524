//! What the catalogue covers: every trap that others fell into, every operation there is.

use std::collections::{BTreeMap, BTreeSet};

use conformance::catalogue::{Case, load};

/// Rows of the reference's list of traps (streams.md, section H).
const TRAPS: u16 = 58;

/// Rows without a case, and where they are looked after instead. Rows of operations that are not
/// there yet move into the catalogue with them.
const ELSEWHERE: [(u16, &str); 21] = [
    (1, "SubscribeToShard"),
    (2, "SubscribeToShard"),
    (3, "shards that close"),
    (4, "shards that close"),
    (5, "shards that close"),
    (6, "SubscribeToShard"),
    (7, "SubscribeToShard"),
    (12, "stream consumers"),
    (15, "shards that close"),
    (16, "UpdateShardCount"),
    (17, "MergeShards"),
    (18, "shards that close"),
    (31, "tests/catalogue.rs and tests/js.rs speak HTTP/2 with prior knowledge"),
    (47, "the simulation's clock steps back"),
    (48, "tests/crash.rs"),
    (49, "tests/crash.rs"),
    (50, "the simulation's clock passes retention periods"),
    (51, "shards that close"),
    (53, "stream consumers"),
    (55, "SplitShard, MergeShards, UpdateShardCount"),
    (58, "SubscribeToShard"),
];

/// Operations that answer something else than `UnknownOperationException`.
const OPERATIONS: [&str; 40] = [
    "AcknowledgeDeadLetterQueueRecords",
    "AcknowledgeQueueRecords",
    "AddTagsToStream",
    "CreateQueue",
    "CreateStream",
    "DecreaseStreamRetentionPeriod",
    "DeleteQueue",
    "DeleteResourcePolicy",
    "DeleteStream",
    "DescribeAccountSettings",
    "DescribeLimits",
    "DescribeQueue",
    "DescribeStream",
    "DescribeStreamSummary",
    "DisableEnhancedMonitoring",
    "EnableEnhancedMonitoring",
    "GetRecords",
    "GetResourcePolicy",
    "GetShardIterator",
    "IncreaseStreamRetentionPeriod",
    "ListQueues",
    "ListShards",
    "ListStreams",
    "ListTagsForResource",
    "ListTagsForStream",
    "PutRecord",
    "PutRecords",
    "PutResourcePolicy",
    "ReceiveDeadLetterQueueRecords",
    "ReceiveQueueRecords",
    "RemoveTagsFromStream",
    "RestoreDeadLetterQueueRecords",
    "StartStreamEncryption",
    "StopStreamEncryption",
    "TagResource",
    "UntagResource",
    "UpdateDeadLetterQueueRecordsVisibility",
    "UpdateMaxRecordSize",
    "UpdateQueue",
    "UpdateQueueRecordsVisibility",
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

//! AWS's one sentence about everything that is wrong (streams reference, D4).

use bytes::Bytes;
use millstream_wire::prelude::*;
use millstream_wire::{Codec, check};

enumeration! {
    pub enum Kind { After = "AFTER", Latest = "LATEST" }
}

shape! {
    pub struct Entry {
        data: Bytes = "Data" [length(0, 4)],
        partition_key: String = "PartitionKey" [length(1, 4)],
        kind: Option<Kind> = "Kind",
    }
}

shape! {
    pub struct Input {
        stream_name: String = "StreamName" [pattern("[a-zA-Z0-9_.-]+"), length(1, 8)],
        limit: Option<i32> = "Limit" [range(1, 10000)],
        records: Option<Vec<Entry>> = "Records" [length(1, 3)],
        tags: Option<BTreeMap<String, String>> =
            "Tags" [length(1, 9), keys(&[length(1, 3)]), values(&[length(0, 2)])],
        tag_keys: Option<Vec<String>> = "TagKeys" [items(&[length(1, 3)])],
        metrics: Option<Vec<Kind>> = "Metrics",
        kind: Option<Kind> = "Kind",
    }
}

fn sentence(body: &str) -> Option<String> {
    let (input, missing) =
        Codec::Json.decode::<Input>(&Bytes::from(body.to_owned())).expect("well-formed");
    let error = check::validate(&input, &missing, "com.amazonaws.kinesis.v20131202").err()?;
    assert_eq!((error.code.as_ref(), error.status), ("ValidationException", 400));
    error.message
}

fn one(what: &str) -> Option<String> {
    Some(format!("1 validation error detected: {what}"))
}

#[test]
fn each_kind_of_violation_has_its_form() {
    let failed = "failed to satisfy constraint:";
    assert_eq!(sentence(r#"{"StreamName":"a"}"#), None);
    assert_eq!(
        sentence("{}"),
        one(&format!("Value null at 'streamName' {failed} Member must not be null"))
    );
    assert_eq!(sentence(r#"{"StreamName":null}"#), sentence("{}"));
    assert_eq!(
        sentence(r#"{"StreamName":""}"#),
        Some(format!(
            "2 validation errors detected: Value '' at 'streamName' {failed} Member must satisfy \
             regular expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'streamName' {failed} Member \
             must have length greater than or equal to 1"
        ))
    );
    for (rest, what) in [
        (
            r#""Limit":0"#,
            "Value '0' at 'limit' {} Member must have value greater than or equal to 1",
        ),
        (
            r#""Limit":10001.5"#,
            "Value '10001' at 'limit' {} Member must have value less than or equal to 10000",
        ),
        (
            r#""Kind":"x""#,
            "Value 'x' at 'kind' {} Member must satisfy enum value set: [AFTER, LATEST]",
        ),
        (
            r#""Records":[{"Data":"","PartitionKey":"üüüü"},{"Data":"AAAAAAA=","PartitionKey":"k"}]"#,
            "Value at 'records.2.member.data' {} Member must have length less than or equal to 4.",
        ),
        (
            r#""Records":[{"Data":"","PartitionKey":"üüüüü"}]"#,
            "Value 'üüüüü' at 'records.1.member.partitionKey' {} Member must have length less than \
             or equal to 4",
        ),
        (
            r#""Records":[{"Data":""}]"#,
            "Value null at 'records.1.member.partitionKey' {} Member must not be null",
        ),
        (
            r#""Records":[]"#,
            "Value '[]' at 'records' {} Member must have length greater than or equal to 1",
        ),
        (
            r#""Tags":{"":"b"}"#,
            "Value '{=b}' at 'tags' {} Map keys must satisfy constraint: [Member must have length \
             less than or equal to 3, Member must have length greater than or equal to 1]",
        ),
        (
            r#""Tags":{"a":"bcd"}"#,
            "Value '{a=bcd}' at 'tags' {} Map value must satisfy constraint: [Member must have \
             length less than or equal to 2, Member must have length greater than or equal to 0]",
        ),
        (
            r#""TagKeys":["abcd","",""]"#,
            "Value '[abcd, , ]' at 'tagKeys' {} Member must satisfy constraint: [Member must have \
             length less than or equal to 3, Member must have length greater than or equal to 1]",
        ),
        (
            r#""Metrics":["LATEST","b"]"#,
            "Value '[LATEST, b]' at 'metrics' {} Member must satisfy constraint: [Member must \
             satisfy enum value set: [AFTER, LATEST]]",
        ),
    ] {
        let body = format!(r#"{{"StreamName":"a",{rest}}}"#);
        assert_eq!(sentence(&body), one(&what.replace("{}", failed)), "{body}");
    }
}

#[test]
fn a_list_of_structures_is_shown_as_java_shows_it() {
    let entry = r#"{"Data":"","PartitionKey":"k"}"#;
    let body = format!(r#"{{"StreamName":"a","Records":[{entry},{entry},{entry},{entry}]}}"#);
    let text = sentence(&body).expect("too many records");
    let start = "1 validation error detected: Value '[com.amazonaws.kinesis.v20131202.Entry@";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(text.matches("Entry@").count(), 4);
    let end = "]' at 'records' failed to satisfy constraint: Member must have length less than or \
               equal to 3";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn ten_are_told_and_a_sentence_stays_bounded() {
    let entries = [r#"{"PartitionKey":""}"#; 3].join(",");
    let body = format!(
        r#"{{"Records":[{entries}],"StreamName":"-----!-----","Limit":0,"Kind":"","Metrics":[""]}}"#
    );
    let text = sentence(&body).expect("many faults");
    assert!(text.starts_with("10 validation errors detected: "), "{text}");
    assert_eq!(text.matches("; Value").count(), 9);
    let body = format!(r#"{{"StreamName":"{}"}}"#, "ü!".repeat(1 << 20));
    let text = sentence(&body).expect("too long");
    assert!(text.len() < 3 * check::SHOWN_BYTES_MAX, "{} bytes", text.len());
}

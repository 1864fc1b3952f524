//! A typed value as an event may tell it: names in CloudTrail's spelling, nothing that is secret.
//!
//! Hidden are all blobs, and every member whose name says that it is secret, a token or a record's
//! own ([`is_hidden`]). A test holds the names against the models' `sensitive` traits, so that a
//! service that is added can't be forgotten.

use bytes::Bytes;
use millstream_wire::{Encoder, Time, Value};
use serde_json::{Map, Value as Json, json};

/// What stands in the place of what is hidden, as CloudTrail says it.
pub const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Most bytes of text in one retold value; CloudTrail cuts parameters at 100 KB.
const BYTES_MAX: usize = 64 << 10;
/// What a name, a number or a brace costs of these bytes at least.
const PART_BYTES: usize = 8;

/// Parts of lower-case names that are hidden, whatever they hold.
const SECRET: &[&str] = &[
    "password",
    "secret",
    "token",
    "iterator",
    "plaintext",
    "ciphertext",
    "privatekey",
    "credential",
    "partitionkey",
    "encodedmessage",
    "decodedmessage",
    "samlassertion",
    "seed",
    "qrcode",
];
/// Whole lower-case names that are hidden.
const SECRET_WHOLE: &[&str] = &["data", "startingsequencenumber", "tokencode", "signature"];
/// Members that are counted: records, results of each.
const COUNTED: &[&str] = &["Records", "MetricData"];
/// Names that look secret and are none.
const OPEN: &[&str] = &["secretaccesskeylastused", "credentialreport"];

/// Whether members of this name are hidden.
pub fn is_hidden(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !OPEN.contains(&name.as_str())
        && (SECRET_WHOLE.contains(&name.as_str()) || SECRET.iter().any(|part| name.contains(part)))
}

/// `value` for an event.
pub(super) fn retell(value: &impl Value) -> Json {
    let mut retelling = Retelling::default();
    value.encode(&mut retelling);
    retelling.finish()
}

#[derive(Default)]
struct Retelling {
    stack: Vec<Json>,
    /// Names that wait for their values, one per open structure or map.
    names: Vec<String>,
    done: Option<Json>,
    /// What is announced next is hidden.
    hide: bool,
    /// The list that is announced next is counted only.
    count: bool,
    /// Containers that are passed over.
    passed: usize,
    bytes: usize,
}

impl Retelling {
    fn finish(self) -> Json {
        if self.bytes > BYTES_MAX {
            let reason = "too large";
            return json!({"omitted": true, "originalSize": self.bytes, "reason": reason});
        }
        self.done.unwrap_or(Json::Null)
    }

    fn is_over(&mut self, bytes: usize) -> bool {
        self.bytes += bytes + PART_BYTES;
        self.bytes > BYTES_MAX
    }

    fn scalar(&mut self, bytes: usize, value: impl FnOnce() -> Json) {
        if self.passed > 0 || self.is_over(bytes) {
            return;
        }
        let value = if std::mem::take(&mut self.hide) { HIDDEN.into() } else { value() };
        self.put(value);
    }

    fn put(&mut self, value: Json) {
        match self.stack.last_mut() {
            None => self.done = Some(value),
            Some(Json::Array(items)) => items.push(value),
            Some(Json::Object(members)) => {
                let name = self.names.last().cloned().unwrap_or_default();
                members.insert(name, value);
            }
            Some(_) => unreachable!("only containers are opened"),
        }
    }

    fn open(&mut self, container: Json, parts: usize) {
        let (hide, count) = (std::mem::take(&mut self.hide), std::mem::take(&mut self.count));
        if self.passed > 0 || self.is_over(0) {
            self.passed += 1;
        } else if hide {
            self.put(HIDDEN.into());
            self.passed = 1;
        } else if count && container.is_array() {
            self.put(json!({ "count": parts }));
            self.passed = 1;
        } else {
            self.stack.push(container);
            self.names.push(String::new());
        }
    }

    fn close(&mut self) {
        if self.passed > 0 {
            self.passed -= 1;
            return;
        }
        if let Some(container) = self.stack.pop() {
            self.names.pop();
            self.put(container);
        }
    }

    fn name(&mut self, name: String) {
        if self.passed > 0 || self.is_over(name.len()) {
            return;
        }
        if let Some(last) = self.names.last_mut() {
            *last = name;
        }
    }
}

/// `streamName` of `StreamName`, as CloudTrail spells members.
fn camel(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

impl Encoder for Retelling {
    fn boolean(&mut self, value: bool) {
        self.scalar(0, || value.into());
    }

    fn long(&mut self, value: i64) {
        self.scalar(0, || value.into());
    }

    fn double(&mut self, value: f64) {
        self.scalar(0, || value.into());
    }

    fn string(&mut self, value: &str) {
        self.scalar(value.len(), || value.into());
    }

    fn blob(&mut self, _: &Bytes) {
        self.hide = true;
        self.scalar(0, || Json::Null);
    }

    fn time(&mut self, value: Time) {
        self.scalar(0, || value.to_string().into());
    }

    fn structure(&mut self, members: usize) {
        self.open(Json::Object(Map::new()), members);
    }

    fn member(&mut self, name: &'static str) {
        if self.passed == 0 {
            self.hide = is_hidden(name);
            self.count = COUNTED.contains(&name);
        }
        self.name(camel(name));
    }

    fn structure_end(&mut self) {
        self.close();
    }

    fn list(&mut self, items: usize) {
        self.open(Json::Array(Vec::new()), items);
    }

    fn item(&mut self) {}

    fn list_end(&mut self) {
        self.close();
    }

    fn map(&mut self, entries: usize) {
        self.open(Json::Object(Map::new()), entries);
    }

    fn key(&mut self, key: &str) {
        self.name(key.to_owned());
    }

    fn map_end(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millstream_api::kinesis as api;

    use super::*;

    #[test]
    fn records_are_counted_and_secrets_hidden() {
        let entry = api::PutRecordsRequestEntry {
            data: Bytes::from_static(b"plain"),
            partition_key: Some("who".into()),
            ..Default::default()
        };
        let input = api::PutRecordsInput {
            records: vec![entry; 3],
            stream_name: Some("s".to_owned()),
            ..Default::default()
        };
        assert_eq!(retell(&input), json!({"records": {"count": 3}, "streamName": "s"}));

        let input = api::PutRecordInput {
            data: Bytes::from_static(b"plain"),
            partition_key: Some("who".into()),
            stream_name: Some("s".to_owned()),
            ..Default::default()
        };
        let told = json!({"data": HIDDEN, "partitionKey": HIDDEN, "streamName": "s"});
        assert_eq!(retell(&input), told);
    }

    #[test]
    fn maps_and_lists_are_told() {
        let tags = BTreeMap::from([("Team".to_owned(), "a".to_owned())]);
        let input = api::CreateStreamInput {
            stream_name: "s".to_owned(),
            shard_count: Some(2),
            tags: Some(tags),
            ..Default::default()
        };
        let told = json!({"streamName": "s", "shardCount": 2, "tags": {"Team": "a"}});
        assert_eq!(retell(&input), told);
        let input = api::UntagResourceInput {
            tag_keys: vec!["a".to_owned(), "b".to_owned()],
            resource_arn: "arn".to_owned(),
            ..Default::default()
        };
        assert_eq!(retell(&input), json!({"tagKeys": ["a", "b"], "resourceARN": "arn"}));
    }

    #[test]
    fn what_is_too_large_is_said_to_be() {
        let input = api::UntagResourceInput {
            tag_keys: vec!["x".repeat(1000); 100],
            resource_arn: "arn".to_owned(),
            ..Default::default()
        };
        let told = retell(&input);
        assert_eq!(told["omitted"], true);
        assert!(told["originalSize"].as_u64().unwrap() > BYTES_MAX as u64);
    }

    /// Members that the models call sensitive, of all services that we speak, are hidden.
    #[test]
    fn what_the_models_call_sensitive_is_hidden() {
        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
        let mut seen = 0;
        for service in ["kinesis", "cloudwatch", "cloudtrail", "iam", "sts", "kms"] {
            let text = std::fs::read_to_string(format!("{models}/{service}.json")).unwrap();
            let model: Json = serde_json::from_str(&text).unwrap();
            let shapes = model["shapes"].as_object().unwrap();
            for (shape, definition) in shapes {
                for (name, member) in definition["members"].as_object().into_iter().flatten() {
                    let target = &shapes[member["shape"].as_str().unwrap()];
                    if target["sensitive"] == true && target["type"] != "blob" {
                        assert!(is_hidden(name), "{service}: {shape}.{name}");
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen >= 3, "{seen}");
    }
}

//! Every shape of every operation travels through every codec and comes back as it was, and what
//! satisfies the model passes validation.

#![allow(clippy::disallowed_methods)]

use std::fmt::Debug;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use millstream_wire::operation::{Place, ShapeVisitor};
use millstream_wire::rest::{self, Rest};
use millstream_wire::sample::sample;
use millstream_wire::{Codec, Operation, Protocol, Service, Value, check, pattern};

/// Samples of each shape.
const SEEDS: u64 = 24;

/// Patterns with look-arounds or bounds for which guessing finds no text.
const UNMET_MAX: usize = 4;

struct Travel {
    service: &'static Service,
    operations: &'static [Operation],
    shapes: usize,
    unmet: Vec<&'static str>,
}

impl Travel {
    fn each<T: Value + Debug + PartialEq>(&mut self, operation: &'static str, is_input: bool) {
        self.shapes += 1;
        for seed in 0..SEEDS {
            let (value, unmet) = sample::<T>(seed);
            for codec in [Codec::Json, Codec::Cbor, Codec::RpcV2Cbor] {
                let body = codec.encode(&value);
                let (back, missing) = codec.decode::<T>(&body).expect("our own encoding");
                assert_eq!(back, value, "{operation}, {codec:?}, seed {seed}");
                assert!(missing.is_empty(), "{operation}, {codec:?}, seed {seed}: {missing:?}");
                assert_eq!(codec.encode(&back), body, "{operation}, {codec:?}, seed {seed}");
                let valid = check::validate(&back, &missing, self.service.namespace);
                if is_input && unmet.is_empty() {
                    assert_eq!(valid, Ok(()), "{operation}, seed {seed}: {back:?}");
                }
            }
            if is_input && self.service.codec == Codec::RestJson {
                self.over_rest(operation, &value);
            }
            self.unmet.extend(unmet);
        }
    }

    /// A call to a REST service is found by its path and read back as it was.
    fn over_rest<T: Value + Debug + PartialEq>(&self, operation: &'static str, value: &T) {
        let op = self.operations.iter().find(|op| op.name == operation).expect("a known operation");
        let sent = rest::encode_request(op, value);
        let (path, query) = sent.uri.split_once('?').unwrap_or((&sent.uri, ""));
        let mut headers = HeaderMap::new();
        for (name, value) in &sent.headers {
            // Not every text may stand in a header.
            let Some(value) = value.parse().ok().filter(|v: &HeaderValue| v.to_str().is_ok())
            else {
                return;
            };
            headers.append(HeaderName::from_bytes(name.as_bytes()).expect("a name"), value);
        }
        let (index, labels) = rest::route(self.operations, sent.method, path, query)
            .unwrap_or_else(|| panic!("{operation}: nothing at {path}"));
        assert_eq!(self.operations[index].name, operation, "at {path}");
        let call = Rest { labels, query: query.to_owned(), headers, body: sent.body };
        let (back, missing) = call.decode::<T>(op).expect("our own spelling");
        assert_eq!(&back, value, "{operation}");
        // An empty list can't be told from none in a query.
        let in_query = op.http.request.iter().any(|b| matches!(b.place, Place::Query(_)));
        assert!(missing.is_empty() || in_query, "{operation}: {missing:?}");
    }
}

impl ShapeVisitor for Travel {
    fn input<T: Value + Debug + PartialEq>(&mut self, operation: &'static str) {
        self.each::<T>(operation, true);
    }

    fn output<T: Value + Debug + PartialEq>(&mut self, operation: &'static str) {
        self.each::<T>(operation, false);
    }
}

macro_rules! travels {
    ($($feature:literal $module:ident $operations:literal;)*) => { $(
        #[cfg(feature = $feature)]
        #[test]
        fn $module() {
            use millstream_api::$module::{OPERATIONS, Op, SERVICE, visit_shapes};
            assert_eq!(Op::ALL.len(), $operations, "operations of the model");
            let mut travel =
                Travel { service: &SERVICE, operations: OPERATIONS, shapes: 0, unmet: Vec::new() };
            visit_shapes(&mut travel);
            assert!(travel.shapes >= $operations, "{} shapes", travel.shapes);
            travel.unmet.sort();
            travel.unmet.dedup();
            assert!(travel.unmet.len() <= UNMET_MAX, "{:#?}", travel.unmet);
        }
    )* };
}

travels! {
    "kinesis" kinesis 57;
    "firehose" firehose 12;
    "kinesisanalytics" kinesisanalytics 20;
    "kinesisanalyticsv2" kinesisanalyticsv2 41;
    "kinesisvideo" kinesisvideo 32;
    "kinesis-video-media" kinesis_video_media 1;
    "kinesis-video-archived-media" kinesis_video_archived_media 6;
    "kinesis-video-signaling" kinesis_video_signaling 2;
    "kinesis-video-webrtc-storage" kinesis_video_webrtc_storage 2;
    "dynamodb" dynamodb 24;
    "cloudwatch" cloudwatch 4;
    "cloudtrail" cloudtrail 1;
    "iam" iam 96;
    "sts" sts 6;
    "kms" kms 29;
    "lambda" lambda 29;
}

/// A pattern that can't be compiled would match everything.
#[test]
fn every_pattern_of_every_model_compiles() {
    fn patterns(json: &serde_json::Value, found: &mut Vec<String>) {
        let parts = json.as_object().into_iter().flat_map(|object| object.values());
        parts.for_each(|part| patterns(part, found));
        found.extend(json["pattern"].as_str().map(str::to_owned));
    }

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the models") {
        let path = entry.expect("a model").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).expect("a model");
            patterns(&serde_json::from_str(&text).expect("a model"), &mut found);
        }
    }
    assert!(found.len() > 200, "{} patterns", found.len());
    for java in found {
        assert_eq!(pattern::check(&java), Ok(()));
    }
}

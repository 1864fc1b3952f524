//! Every shape of every operation travels through every codec and comes back as it was, and what
//! satisfies the model passes validation.

#![allow(clippy::disallowed_methods)]

use std::fmt::Debug;
use std::path::Path;

use millstream_wire::operation::ShapeVisitor;
use millstream_wire::pattern;
use millstream_wire::sample::sample;
use millstream_wire::{Codec, Service, Value, check};

/// Samples of each shape.
const SEEDS: u64 = 24;

/// Patterns with look-arounds or bounds for which guessing finds no text.
const UNMET_MAX: usize = 4;

struct Travel {
    service: &'static Service,
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
            self.unmet.extend(unmet);
        }
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
            use millstream_api::$module::{Op, SERVICE, visit_shapes};
            assert_eq!(Op::ALL.len(), $operations, "operations of the model");
            let mut travel = Travel { service: &SERVICE, shapes: 0, unmet: Vec::new() };
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
    "iam" iam 52;
    "sts" sts 6;
    "kms" kms 24;
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

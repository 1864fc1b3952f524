//! Strangers' documents and requests: whatever comes, parsing and deciding answer, and a document
//! that is taken never lets in who it does not name.

use std::sync::Arc;

use millstream_base::{AccountId, Tags};
use millstream_policy::{
    Action, Ask, Context, Kind, NamedPolicy, Policy, Principal, Resource, ResourcePolicy, Rights,
    decide, explain,
};

const KINDS: [Kind; 5] =
    [Kind::Identity, Kind::Resource, Kind::Trust, Kind::Session, Kind::Endpoint];

/// A document with something of everything, to be changed here and there.
const SEED: &str = r#"{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"a1","Effect":"Allow",
"Principal":{"AWS":["*","arn:aws:iam::111111111111:role/r"]},"NotAction":["kinesis:Put*","s3:?et"],
"Resource":"arn:aws:kinesis:*:111111111111:stream/${aws:username, 'none'}${*}*","Condition":{
"ForAllValues:StringNotLikeIfExists":{"aws:TagKeys":["a*",5,true]},"Null":{"aws:SourceVpce":"true"},
"IpAddress":{"aws:SourceIp":["10.0.0.0/8","::1/64"]},"DateLessThan":{"aws:CurrentTime":
"2026-11-21T00:00:00+01:00"},"NumericEquals":{"aws:EpochTime":"1e9"},"ArnLike":{"aws:PrincipalArn":
"arn:aws:iam::*:user/*"},"BinaryEquals":{"k:b":"YWI="},"Bool":{"aws:SecureTransport":false}}}]}"#;

fn ask_about(policy: Policy, request: &str) {
    let account = AccountId::new("111111111111").unwrap();
    let principal = Principal::user("aws", account, "/", "ann", "AIDAEXAMPLE12345678", Tags::new());
    let attached = Policy::parse(Kind::Resource, SEED).unwrap();
    let _ = policy.condition_keys();
    let _ = policy.check_attachment("kinesis", request);
    let named = Arc::new(NamedPolicy::new("fuzzed", policy));
    let rights = Rights { identity: vec![named.clone()], ..Rights::default() };
    let action = Action::new("kinesis:PutRecord").unwrap();
    let mut context = Context::new();
    for key in ["aws:SourceIp", "aws:CurrentTime", "aws:EpochTime", "aws:SecureTransport", "k:b"] {
        context.set_text(key, request);
    }
    let ask = |resource_policy| Ask {
        principal: &principal,
        rights: &rights,
        action: &action,
        resource: Resource::of(request),
        resource_policy,
        endpoint_policy: Some(&named.policy),
        context: &context,
    };
    for resource_policy in [
        ResourcePolicy::None,
        ResourcePolicy::Grants(&attached),
        ResourcePolicy::Governs(&named.policy),
    ] {
        let ask = ask(resource_policy);
        let decided = decide(&ask);
        // Who is let in was allowed by some statement, and denied by none.
        let applying = explain(&ask);
        if decided.is_allow() {
            assert!(applying.iter().any(|statement| statement.allows), "{applying:?}");
            assert!(applying.iter().all(|statement| statement.allows), "{applying:?}");
        }
    }
}

#[test]
fn fuzz_policy_texts() {
    bolero::check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        for kind in KINDS {
            if let Ok(policy) = Policy::parse(kind, &text) {
                ask_about(policy, &text);
            }
        }
    });
}

/// Whole documents with some bytes changed come nearer to the grammar's corners.
#[test]
fn fuzz_policy_changed() {
    let change = bolero::check!().with_type::<(Vec<(u16, u8)>, Vec<u8>)>();
    change.for_each(|(changes, request)| {
        let mut text = SEED.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = usize::from(*at) % text.len();
            text[at] = *byte;
        }
        let (text, request) = (String::from_utf8_lossy(&text), String::from_utf8_lossy(request));
        for kind in KINDS {
            if let Ok(policy) = Policy::parse(kind, &text) {
                ask_about(policy, &request);
            }
        }
    });
}

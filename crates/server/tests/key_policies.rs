//! Every operation of KMS times every way to be let in or kept out, over the list of operations.
//!
//! Callers are put in below the authenticator; all else is a real node.
#![allow(clippy::disallowed_methods)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use millstream_api::kms::Op;
use millstream_base::{AccountId, Region, Scope, Tags, Timestamp};
use millstream_policy::{Kind, NamedPolicy, Policy, Principal, Rights};
use millstream_server::auth::Caller;
use millstream_server::auth::Who;
use millstream_server::call::Origin;
use millstream_server::peer::{Door, Peer};
use millstream_server::router;
use serde_json::{Value, json};
use support::{Request, TestNode};

const OWNER: &str = "000000000000";
const OTHER: &str = "111111111111";

/// Keys and an alias of one row of the table, made anew for it.
struct World<'n> {
    node: &'n TestNode,
    number: usize,
    key: String,
    second: String,
    blob: Value,
}

impl<'n> World<'n> {
    async fn new(node: &'n TestNode, number: usize) -> World<'n> {
        let key = make_key(node).await;
        let second = make_key(node).await;
        let alias = json!({"AliasName": format!("alias/old-{number}"), "TargetKeyId": key});
        as_anyone(node, "CreateAlias", alias).await;
        let input = json!({"KeyId": key, "Plaintext": "aGk=", "EncryptionContext": {"a": "b"}});
        let blob = as_anyone(node, "Encrypt", input).await["CiphertextBlob"].clone();
        World { node, number, key, second, blob }
    }

    async fn policy(&self, effect: &str, principal: &str, condition: Value) {
        let root = format!("arn:aws:iam::{OWNER}:root");
        let own = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*",
            "Resource": "*"});
        let asked = json!({"Effect": effect, "Principal": {"AWS": principal}, "Action": "kms:*",
            "Resource": "*", "Condition": condition});
        let document = json!({"Version": "2012-10-17", "Statement": [own, asked]}).to_string();
        for key in [&self.key, &self.second] {
            let input = json!({"KeyId": key, "Policy": document});
            as_anyone(self.node, "PutKeyPolicy", input).await;
        }
    }

    /// What a refusal says; `None`: let in, whatever came then.
    async fn ask(&self, caller: &Caller, op: Op) -> Option<String> {
        let origin = Origin {
            peer: Peer {
                address: SocketAddr::from(([192, 0, 2, 7], 5000)),
                door: Arc::new(Door::default()),
                tls: None,
            },
            user_agent: None,
            at: Timestamp::from_secs(1_795_262_400),
        };
        let input = Bytes::from(self.input(op).to_string());
        let (op, origin) = (router::Op::Kms(op), Some(Arc::new(origin)));
        match self.node.node.pipeline().run_as(caller.clone(), origin, op, input).await {
            Ok(_) => None,
            Err(error) if error.code == "AccessDeniedException" => error.message,
            Err(error) => {
                assert_ne!(error.code, "ValidationException", "{}: {error:?}", op.name());
                assert_ne!(error.code, "SerializationException", "{}: {error:?}", op.name());
                None
            }
        }
    }

    fn input(&self, op: Op) -> Value {
        let old = format!("alias/old-{}", self.number);
        let new = format!("alias/new-{}", self.number);
        let mut input = match op {
            Op::CreateKey | Op::ListKeys | Op::ListAliases => return json!({}),
            Op::GenerateRandom => return json!({"NumberOfBytes": 8}),
            Op::CreateAlias => return json!({"AliasName": new, "TargetKeyId": self.key}),
            Op::UpdateAlias => return json!({"AliasName": old, "TargetKeyId": self.second}),
            Op::DeleteAlias => return json!({"AliasName": old}),
            Op::Decrypt => {
                return json!({"CiphertextBlob": self.blob, "EncryptionContext": {"a": "b"}});
            }
            Op::ReEncrypt => {
                return json!({"CiphertextBlob": self.blob, "DestinationKeyId": self.second,
                    "SourceEncryptionContext": {"a": "b"},
                    "DestinationEncryptionContext": {"a": "b"}});
            }
            Op::Encrypt => json!({"Plaintext": "aGk=", "EncryptionContext": {"a": "b"}}),
            Op::GenerateDataKey | Op::GenerateDataKeyWithoutPlaintext => {
                json!({"KeySpec": "AES_256", "EncryptionContext": {"a": "b"}})
            }
            Op::UpdateKeyDescription => json!({"Description": "d"}),
            Op::PutKeyPolicy => json!({"Policy": DEFAULT_POLICY}),
            Op::TagResource => json!({"Tags": [{"TagKey": "k", "TagValue": "v"}]}),
            Op::UntagResource => json!({"TagKeys": ["k"]}),
            _ => json!({}),
        };
        input["KeyId"] = self.key.clone().into();
        input
    }
}

const DEFAULT_POLICY: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*", "Resource": "*"}}"#;

/// Operations about no key.
fn is_of_the_account(op: Op) -> bool {
    matches!(op, Op::CreateKey | Op::ListKeys | Op::ListAliases | Op::GenerateRandom)
}

/// Operations that another account's callers can be let in to.
fn crosses_accounts(op: Op) -> bool {
    use Op::*;
    matches!(
        op,
        Encrypt
            | Decrypt
            | ReEncrypt
            | GenerateDataKey
            | GenerateDataKeyWithoutPlaintext
            | DescribeKey
    )
}

async fn as_anyone(node: &TestNode, operation: &str, input: Value) -> Value {
    let target = format!("TrentService.{operation}");
    let request = Request::json("X", &input).replace("X-Amz-Target", &target);
    let answer = node.connect().await.send(&request).await;
    assert_eq!(answer.status, 200, "{operation} {input}: {answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

async fn make_key(node: &TestNode) -> String {
    let made = as_anyone(node, "CreateKey", json!({})).await;
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

/// A user, with one statement over all of KMS if any.
fn user(account: &str, effects: &[&str]) -> Caller {
    let account = AccountId::new(account).unwrap();
    let statement = |effect: &&str| json!({"Effect": effect, "Action": "kms:*", "Resource": "*"});
    let statements: Vec<Value> = effects.iter().map(statement).collect();
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let policy = || NamedPolicy::new("p", Policy::parse(Kind::Identity, &document).unwrap());
    let identity = if effects.is_empty() { vec![] } else { vec![Arc::new(policy())] };
    let rights = Rights { identity, ..Rights::default() };
    let id = "AIDAEXAMPLE12345678";
    let principal = Principal::user("aws", account, "/", "ann", id, Tags::new());
    Caller {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        scope: Scope::new(account, Region::new("us-east-1").unwrap()),
        who: Some(Arc::new(Who { principal, rights, session: None })),
    }
}

fn ann(account: &str) -> String {
    format!("arn:aws:iam::{account}:user/ann")
}

#[tokio::test]
async fn every_operation_is_allowed_and_denied_as_policies_say() {
    let node = TestNode::start_with(|config| config.server.ephemeral = true).await;
    for (number, op) in Op::ALL.iter().copied().enumerate() {
        let name = op.name();
        let world = World::new(&node, number).await;
        let denied = world.ask(&user(OWNER, &[]), op).await;
        let sentence = denied.unwrap_or_else(|| panic!("{name}: nobody allowed it"));
        let (who, why) = (ann(OWNER), "because no identity-based policy allows the kms:");
        assert!(sentence.contains(&who) && sentence.contains(why), "{name}: {sentence}");
        let denied = world.ask(&user(OWNER, &["Allow", "Deny"]), op).await;
        let explicit = "with an explicit deny in an identity-based policy";
        assert!(denied.is_some_and(|said| said.contains(explicit)), "{name}");

        if !is_of_the_account(op) {
            world.policy("Deny", &ann(OWNER), json!({})).await;
            let denied = world.ask(&user(OWNER, &["Allow"]), op).await;
            let explicit = "with an explicit deny in a resource-based policy";
            assert!(denied.is_some_and(|said| said.contains(explicit)), "{name}");

            world.policy("Allow", &ann(OTHER), json!({})).await;
            let both = world.ask(&user(OTHER, &["Allow"]), op).await;
            // Another account has no such alias, and hears that.
            let let_in = crosses_accounts(op) || op == Op::DeleteAlias;
            assert_eq!(both.is_none(), let_in, "{name}: {both:?}");
            assert!(world.ask(&user(OTHER, &[]), op).await.is_some(), "{name}: key's policy alone");
        }
        world.policy("Allow", &ann(OWNER), json!({})).await;
        let outcome = world.ask(&user(OWNER, &["Allow"]), op).await;
        assert_eq!(outcome, None, "{name}");
    }
    node.stop().await;
}

/// What the key's policy grants to a user by name needs nothing else; conditions on the encryption
/// context hold.
#[tokio::test]
async fn a_key_policy_lets_in_by_itself_and_looks_at_the_context() {
    let node = TestNode::start_with(|config| config.server.ephemeral = true).await;
    let world = World::new(&node, 0).await;
    let context = |value: &str| json!({"StringEquals": {"kms:EncryptionContext:a": value}});
    for op in [Op::Encrypt, Op::Decrypt, Op::ReEncrypt, Op::GenerateDataKey] {
        world.policy("Allow", &ann(OWNER), context("b")).await;
        assert_eq!(world.ask(&user(OWNER, &[]), op).await, None, "{}", op.name());
        world.policy("Allow", &ann(OWNER), context("c")).await;
        assert!(world.ask(&user(OWNER, &[]), op).await.is_some(), "{}", op.name());
    }
    node.stop().await;
}

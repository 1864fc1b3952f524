//! How long a decision takes with 10,000 policies loaded: `cargo run --release -p millstream-policy
//! --example speed`.
//!
//! 1,000 users carry 10 policies of 20 statements each, all different; requests go round over the
//! users, so that policies come from memory and not from the processor's caches.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use millstream_base::{AccountId, Tags, Timestamp};
use millstream_policy::{
    Action, Ask, Context, Kind, NamedPolicy, Policy, Principal, Resource, ResourcePolicy, Rights,
    Value, decide,
};

const USERS: usize = 1_000;
const POLICIES: usize = 10;
const STATEMENTS: usize = 20;
const DECISIONS: usize = 1_000_000;

const ACTIONS: [&str; 8] = [
    "kinesis:PutRecord",
    "kinesis:Get*",
    "kinesis:Describe*",
    "kinesis:ListShards",
    "cloudwatch:*",
    "kms:Decrypt",
    "iam:Get*",
    "s3:GetObject",
];

/// Twenty statements over streams of its own; every fourth has conditions.
fn document(user: usize, policy: usize) -> String {
    let statement = |number: usize| {
        let action = ACTIONS[(number + policy) % ACTIONS.len()];
        let name = format!("team-{user}-{policy}-{number}");
        let resource = match number % 3 {
            0 => format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}"),
            1 => format!("arn:aws:kinesis:*:000000000000:stream/{name}-*"),
            _ => format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}*"),
        };
        let condition = match number % 4 {
            0 => {
                r#","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"aws:SecureTransport":true}}"#
            }
            _ => "",
        };
        format!(r#"{{"Effect":"Allow","Action":["{action}"],"Resource":"{resource}"{condition}}}"#)
    };
    let statements: Vec<String> = (0..STATEMENTS).map(statement).collect();
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn main() {
    let documents: Vec<String> =
        (0..USERS * POLICIES).map(|at| document(at / POLICIES, at % POLICIES)).collect();
    let started = Instant::now();
    let read = |(at, text): (usize, &String)| {
        let policy = Policy::parse(Kind::Identity, text).expect("a policy");
        Arc::new(NamedPolicy::new(&format!("policy-{at}"), policy))
    };
    let policies: Vec<Arc<NamedPolicy>> = documents.iter().enumerate().map(read).collect();
    let took = started.elapsed();
    println!(
        "{} policies of {STATEMENTS} statements read in {:.0} ms, {:.1} us each",
        policies.len(),
        took.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e6 / policies.len() as f64
    );
    let account = AccountId::DEFAULT;
    let users: Vec<(Principal, Rights)> = policies
        .chunks(POLICIES)
        .enumerate()
        .map(|(at, of_user)| {
            let name = format!("user-{at}");
            let who =
                Principal::user("aws", account, "/", &name, "AIDAEXAMPLE12345678", Tags::new());
            (who, Rights { identity: of_user.to_vec(), ..Rights::default() })
        })
        .collect();
    let put = Action::new("kinesis:PutRecord").expect("an action");
    // The statement that allows lies in the last policy, or nowhere.
    let allowed: Vec<String> = (0..USERS)
        .map(|u| format!("arn:aws:kinesis:us-east-1:000000000000:stream/team-{u}-8-0"))
        .collect();
    let denied = vec!["arn:aws:kinesis:us-east-1:000000000000:stream/orders".to_owned(); USERS];
    for (what, streams) in [("allowed", &allowed), ("denied", &denied)] {
        let mut allows = 0;
        let started = Instant::now();
        for number in 0..DECISIONS {
            // A stride that visits all users in no order that a processor foresees.
            let at = number * 617 % USERS;
            let (principal, rights) = &users[at];
            allows += usize::from(ask(principal, rights, &put, &streams[at]));
        }
        let each = started.elapsed().as_secs_f64() * 1e9 / DECISIONS as f64;
        println!("{what}: {each:.0} ns a decision, its context included ({allows} allowed)");
    }
}

fn ask(principal: &Principal, rights: &Rights, action: &Action, stream: &str) -> bool {
    let mut context = Context::with_capacity(10);
    context.set("aws:SourceIp", Value::Address([10, 1, 2, 3].into()));
    context.set("aws:SecureTransport", Value::Flag(true));
    context.set("aws:CurrentTime", Value::Time(Timestamp::from_secs(1_795_262_400)));
    context.set("aws:EpochTime", Value::Number(1_795_262_400));
    context.set_text("aws:UserAgent", "speed");
    context.set_text("aws:RequestedRegion", "us-east-1");
    let ask = Ask {
        principal,
        rights,
        action,
        resource: Resource::of(stream),
        resource_policy: ResourcePolicy::None,
        endpoint_policy: None,
        context: &context,
    };
    decide(black_box(&ask)).is_allow()
}

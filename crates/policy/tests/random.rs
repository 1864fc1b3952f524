//! Random policies and requests: the crate and the slow reference decide alike.
//!
//! 10,000 cases in the ordinary run; `POLICY_CASES=1000000` for more, `POLICY_SEED` for others. A
//! case that differs is printed whole.

mod reference;

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_base::{AccountId, Tags};
use millstream_policy::{
    Action, Ask, Context, Decision, Kind, NamedPolicy, Policy, PolicyType, Principal, Reason,
    Resource, ResourcePolicy, Rights, Value as Given, decide,
};
use reference::{Caller, Case};
use serde_json::{Map, Value, json};

const CASES: u64 = 10_000;

#[test]
fn the_reference_decides_alike() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let cases = number("POLICY_CASES").unwrap_or(CASES);
    let seed = number("POLICY_SEED").unwrap_or(1);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for number in 0..cases {
        let case = Dice::new(seed, number).case();
        let (ours, theirs) = (decided(&case), reference::verdict(&case));
        assert_eq!(ours, theirs, "case {number} of seed {seed}: {case:#?}");
        *seen.entry(theirs).or_default() += 1;
    }
    println!("{cases} cases: {seen:?}");
    // The dice must reach every outcome, or the comparison proves little.
    for policy in ["identity", "resource", "boundary", "session", "endpoint"] {
        for why in ["explicit", "none"] {
            let outcome = format!("{why} {policy}");
            assert!(seen.get(&outcome).is_some_and(|n| *n * 1000 > cases), "{outcome}: {seen:?}");
        }
    }
    assert!(seen["allow"] * 20 > cases, "{seen:?}");
}

/// The crate's verdict, in the reference's words.
fn decided(case: &Case) -> String {
    let parse = |kind: Kind, policy: &Value| {
        Policy::parse(kind, &policy.to_string()).unwrap_or_else(|e| panic!("{e}: {policy:#}"))
    };
    let named = |kind: Kind, policy: &Value| Arc::new(NamedPolicy::new("p", parse(kind, policy)));
    let identity = |policy: &Value| named(Kind::Identity, policy);
    let session = |policy: &Value| named(Kind::Session, policy);
    let rights = Rights {
        identity: case.identity.iter().map(identity).collect(),
        boundary: case.boundary.as_ref().map(identity),
        session: case.session.as_ref().map(|policies| policies.iter().map(session).collect()),
    };
    let resource_policy = case.resource_policy.as_ref().map(|p| parse(Kind::Resource, p));
    let endpoint_policy = case.endpoint.as_ref().map(|p| parse(Kind::Endpoint, p));
    let mut context = Context::new();
    for (key, values) in &case.context {
        context.set(key.as_str(), given(values));
    }
    let action = Action::new(&case.action).unwrap();
    let ask = Ask {
        principal: &principal(&case.caller),
        rights: &rights,
        action: &action,
        resource: Resource { arn: &case.resource, owner: AccountId::new(&case.owner).ok() },
        resource_policy: match &resource_policy {
            None => ResourcePolicy::None,
            Some(policy) if case.governs => ResourcePolicy::Governs(policy),
            Some(policy) => ResourcePolicy::Grants(policy),
        },
        endpoint_policy: endpoint_policy.as_ref(),
        context: &context,
    };
    let name = |policy| match policy {
        PolicyType::Identity => "identity",
        PolicyType::Resource => "resource",
        PolicyType::Boundary => "boundary",
        PolicyType::Session => "session",
        PolicyType::Endpoint => "endpoint",
    };
    match decide(&ask) {
        Decision::Allow => "allow".to_owned(),
        Decision::Deny(Reason::Explicit(policy)) => format!("explicit {}", name(policy)),
        Decision::Deny(Reason::NoneAllows(policy)) => format!("none {}", name(policy)),
    }
}

/// Values in the form in which a server would have them.
fn given(values: &[String]) -> Given<'_> {
    match values {
        [one] if one == "true" || one == "false" => Given::Flag(one == "true"),
        [one] => match (one.parse(), one.parse()) {
            (Ok(address), _) => Given::Address(address),
            (_, Ok(number)) => Given::Number(number),
            _ => Given::Text(one.as_str().into()),
        },
        several => Given::Many(several.iter().map(|v| v.as_str().into()).collect()),
    }
}

fn principal(caller: &Caller) -> Principal {
    let account = || AccountId::new(&caller.account).unwrap();
    let tags: Tags = caller.tags.clone();
    match caller.kind {
        "root" => Principal::root("aws", account()),
        "user" => Principal::user("aws", account(), "/", &caller.name, &caller.id, tags),
        "session" => {
            let (role, session) = caller.id.split_once(':').unwrap();
            Principal::assumed_role(account(), &caller.role_arn, role, session, tags)
        }
        "service" => Principal::service(&caller.arn),
        "web" => Principal::web_identity(&caller.arn, &caller.id),
        _ => Principal::anonymous(),
    }
}

/// SplitMix64: small, and good enough for tests.
struct Dice(u64);

const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];
const ACTIONS: [&str; 6] = [
    "kinesis:PutRecord",
    "kinesis:PutRecords",
    "kinesis:GetRecords",
    "iam:GetUser",
    "s3:GetObject",
    "s3:PutObject",
];
const ACTION_PATTERNS: [&str; 14] = [
    "*",
    "*",
    "kinesis:*",
    "kinesis:*",
    "kinesis:Put*",
    "KINESIS:putrecord",
    "kinesis:PutRecord",
    "kinesis:Get*",
    "kinesis:PutRecord?",
    "kinesis:*Record*",
    "s3:*",
    "s3:GetObject",
    "*:Get*",
    "iam:Get?ser",
];
const STREAMS: [&str; 4] = ["orders", "orders-2", "alice", "a*b"];
const RESOURCE_PATTERNS: [&str; 15] = [
    "*",
    "*",
    "*",
    "arn:aws:kinesis:us-east-1:111111111111:stream/orders",
    "arn:aws:kinesis:us-east-1:*:stream/orders*",
    "arn:aws:kinesis:*:111111111111:stream/*",
    "arn:aws:kinesis:*",
    "arn:aws:kinesis:us-east-?:*:stream/?*s",
    "arn:*:stream/*-2",
    "arn:aws:kinesis:us-east-1:${aws:PrincipalAccount}:stream/*",
    "arn:aws:kinesis:*:*:stream/${aws:username}",
    "arn:aws:kinesis:*:*:stream/${aws:username, 'orders'}*",
    "arn:aws:kinesis:*:*:stream/${aws:PrincipalTag/team}",
    "arn:aws:kinesis:*:*:stream/a${*}b",
    "arn:aws:kinesis:*:*:stream/${aws:PrincipalTag/none, 'al?ce'}",
];
const KEYS: [&str; 16] = [
    "aws:username",
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:PrincipalTag/team",
    "aws:PrincipalTag/Team",
    "aws:PrincipalType",
    "aws:userid",
    "aws:SourceIp",
    "aws:SecureTransport",
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:TagKeys",
    "aws:RequestTag/team",
    "aws:ResourceTag/team",
    "aws:PrincipalIsAWSService",
    "custom:Absent",
];

impl Dice {
    fn new(seed: u64, number: u64) -> Dice {
        let mut dice = Dice(
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number.wrapping_mul(0x2545_F491_4F6C_DD1D),
        );
        dice.roll(2);
        dice
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn often(&mut self, of_ten: usize) -> bool {
        self.roll(10) < of_ten
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.roll(from.len())]
    }

    /// One to three of these, as a text or a list.
    fn some(&mut self, from: &[&str]) -> Value {
        match self.roll(3) {
            0 => json!(self.pick(from)),
            n => Value::Array((0..=n).map(|_| json!(self.pick(from))).collect()),
        }
    }

    fn case(&mut self) -> Case {
        let caller = self.caller();
        let owner = match self.roll(8) {
            0 => "",
            1 | 2 => ACCOUNTS[1],
            _ => ACCOUNTS[0],
        };
        let resource = match self.roll(8) {
            0 => "*".to_owned(),
            _ => {
                format!("arn:aws:kinesis:us-east-1:{}:stream/{}", ACCOUNTS[0], self.pick(&STREAMS))
            }
        };
        let count = self.roll(3);
        let identity = (0..count).map(|_| self.policy(false)).collect();
        let boundary = self.often(2).then(|| self.policy(false));
        let session = self.often(2).then(|| {
            let count = 1 + self.roll(2);
            (0..count).map(|_| self.policy(false)).collect()
        });
        let resource_policy = self.often(5).then(|| self.policy(true));
        let endpoint = self.often(1).then(|| self.policy(true));
        let action = self.pick(&ACTIONS).to_owned();
        Case {
            context: self.context(),
            governs: resource_policy.is_some() && self.often(3),
            owner: owner.to_owned(),
            caller,
            action,
            resource,
            identity,
            boundary,
            session,
            resource_policy,
            endpoint,
        }
    }

    fn caller(&mut self) -> Caller {
        let account = self.pick(&[ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1]]).to_owned();
        let mut tags = BTreeMap::new();
        if self.often(6) {
            tags.insert("team".to_owned(), self.pick(&["orders", "blue", "RED"]).to_owned());
        }
        match self.roll(10) {
            0 => Caller {
                kind: "root",
                arn: format!("arn:aws:iam::{account}:root"),
                id: account.clone(),
                account,
                ..Caller::default()
            },
            1..=4 => {
                let name = self.pick(&["alice", "bob"]).to_owned();
                Caller {
                    kind: "user",
                    arn: format!("arn:aws:iam::{account}:user/{name}"),
                    id: "AIDAEXAMPLE12345678".to_owned(),
                    account,
                    name,
                    tags,
                    ..Caller::default()
                }
            }
            5..=7 => {
                let (role, session) = (self.pick(&["reader", "writer"]), self.pick(&["s1", "s2"]));
                Caller {
                    kind: "session",
                    arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
                    role_arn: format!("arn:aws:iam::{account}:role/team/{role}"),
                    id: format!("AROAEXAMPLE12345678:{session}"),
                    account,
                    tags,
                    ..Caller::default()
                }
            }
            8 => Caller {
                kind: "service",
                arn: "firehose.amazonaws.com".to_owned(),
                ..Caller::default()
            },
            _ => Caller {
                kind: self.pick(&["web", "nobody"]),
                arn: "accounts.example.com".to_owned(),
                ..Caller::default()
            },
        }
        .named()
    }

    fn context(&mut self) -> BTreeMap<String, Vec<String>> {
        let mut context = BTreeMap::new();
        let mut set = |key: &str, values: &[&str]| {
            context.insert(key.to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
        };
        if self.often(8) {
            set("aws:SourceIp", &[self.pick(&["10.1.2.3", "192.0.2.77"])]);
        }
        if self.often(8) {
            set("aws:SecureTransport", &[self.pick(&["true", "false"])]);
        }
        if self.often(8) {
            set("aws:CurrentTime", &[self.pick(&["2026-11-21T12:00:00Z", "2024-02-29T23:59:59Z"])]);
            set("aws:EpochTime", &[self.pick(&["1795262400", "1709251199"])]);
        }
        if self.often(4) {
            let all = ["team", "cost", "Owner"];
            let count = self.roll(4);
            set("aws:TagKeys", &all[..count]);
        }
        if self.often(4) {
            set("aws:RequestTag/team", &[self.pick(&["orders", "blue"])]);
        }
        if self.often(4) {
            set("aws:ResourceTag/team", &[self.pick(&["orders", "blue"])]);
        }
        context
    }

    fn policy(&mut self, with_principals: bool) -> Value {
        let count = 1 + self.roll(3);
        let statements = (0..count).map(|_| self.statement(with_principals)).collect::<Vec<_>>();
        let mut policy = json!({"Statement": statements});
        match self.roll(6) {
            0 => {}
            1 => policy["Version"] = json!("2008-10-17"),
            _ => policy["Version"] = json!("2012-10-17"),
        }
        policy
    }

    fn statement(&mut self, with_principals: bool) -> Value {
        let mut statement = Map::new();
        let mut set = |key: &str, value: Value| statement.insert(key.to_owned(), value);
        set("Effect", json!(if self.often(2) { "Deny" } else { "Allow" }));
        let negated = |dice: &mut Dice, key: &str| match dice.often(1) {
            true => format!("Not{key}"),
            false => key.to_owned(),
        };
        set(&negated(self, "Action"), self.some(&ACTION_PATTERNS));
        set(&negated(self, "Resource"), self.some(&RESOURCE_PATTERNS));
        if with_principals {
            set(&negated(self, "Principal"), self.principals());
        }
        if self.often(4) {
            set("Condition", self.condition());
        }
        Value::Object(statement)
    }

    fn principals(&mut self) -> Value {
        const AWS: [&str; 16] = [
            "*",
            "111111111111",
            "222222222222",
            "arn:aws:iam::111111111111:root",
            "arn:aws:iam::222222222222:root",
            "arn:aws:iam::111111111111:user/alice",
            "arn:aws:iam::111111111111:user/bob",
            "arn:aws:iam::222222222222:user/alice",
            "arn:aws:iam::111111111111:role/team/reader",
            "arn:aws:iam::111111111111:role/reader",
            "arn:aws:iam::222222222222:role/team/writer",
            "arn:aws:sts::111111111111:assumed-role/reader/s1",
            "arn:aws:sts::111111111111:assumed-role/writer/s2",
            "arn:aws:sts::222222222222:assumed-role/reader/s1",
            "AIDAEXAMPLE12345678",
            "AROAEXAMPLE12345678",
        ];
        match self.roll(6) {
            0 => json!("*"),
            1 => json!({"Service": self.some(&["firehose.amazonaws.com", "logs.amazonaws.com"])}),
            2 => json!({"Federated": "accounts.example.com", "AWS": self.some(&AWS)}),
            // Everyone's every form, as NotPrincipal wants them.
            3 => json!({"AWS": [
                "111111111111",
                "arn:aws:iam::111111111111:user/alice",
                "arn:aws:iam::111111111111:role/team/reader",
                "arn:aws:sts::111111111111:assumed-role/reader/s1",
            ]}),
            _ => json!({"AWS": self.some(&AWS)}),
        }
    }

    fn condition(&mut self) -> Value {
        let mut condition = Map::new();
        for _ in 0..1 + self.roll(2) {
            let (operator, values) = self.operator();
            let key = self.pick(&KEYS);
            let keys = condition.entry(operator).or_insert_with(|| json!({}));
            keys[key] = values;
        }
        Value::Object(condition)
    }

    fn operator(&mut self) -> (String, Value) {
        const TEXTS: [&str; 14] = [
            "alice",
            "ALICE",
            "team",
            "orders",
            "blue",
            "true",
            "*",
            "*e*",
            "?lice",
            "${aws:username}",
            "${aws:PrincipalTag/team}",
            "${aws:TagKeys}",
            "${custom:Absent, 'blue'}",
            "arn:aws:iam::111111111111:user/alice",
        ];
        const ARNS: [&str; 7] = [
            "*",
            "arn:aws:iam::111111111111:user/alice",
            "arn:aws:iam::*:user/*",
            "arn:aws:iam::111111111111:role/*",
            "arn:aws:iam::1?1111111111:*",
            "arn:aws:*:user/alice",
            "arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}",
        ];
        const DATES: [&str; 4] =
            ["2026-11-21T12:00:00Z", "2025-01-01T00:00:00Z", "1709251199", "2000-03-01T00:00:00Z"];
        const NUMBERS: [&str; 4] = ["0", "1795262400", "1709251199.5", "111111111111"];
        const NETWORKS: [&str; 4] = ["10.0.0.0/8", "10.1.2.3", "192.0.2.64/26", "0.0.0.0/0"];
        const FLAGS: [&str; 3] = ["true", "false", "True"];
        if self.roll(12) == 0 {
            return ("Null".to_owned(), self.some(&FLAGS));
        }
        let text_operators = [
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ];
        let orders = [
            "Equals",
            "NotEquals",
            "LessThan",
            "LessThanEquals",
            "GreaterThan",
            "GreaterThanEquals",
        ];
        let (operator, values) = match self.roll(9) {
            0..=3 => (self.pick(&text_operators).to_owned(), self.some(&TEXTS)),
            4 => (
                self.pick(&["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"]).to_owned(),
                self.some(&ARNS),
            ),
            5 => (format!("Date{}", self.pick(&orders)), self.some(&DATES)),
            6 => (format!("Numeric{}", self.pick(&orders)), self.some(&NUMBERS)),
            7 => (self.pick(&["IpAddress", "NotIpAddress"]).to_owned(), self.some(&NETWORKS)),
            _ => ("Bool".to_owned(), self.some(&FLAGS)),
        };
        let set = match self.roll(6) {
            0 => "ForAllValues:",
            1 => "ForAnyValue:",
            _ => "",
        };
        let lenient = if self.often(2) { "IfExists" } else { "" };
        (format!("{set}{operator}{lenient}"), values)
    }
}

trait Named {
    fn named(self) -> Self;
}

impl Named for Caller {
    /// Who signs nothing is called so.
    fn named(mut self) -> Caller {
        if self.kind == "nobody" {
            self.arn = "anonymous".to_owned();
        }
        self
    }
}

//! What a document of each kind may say, and what is told its author when it says something else.

use millstream_policy::{Fault, Kind, Policy, Version};
use serde_json::{Value, json};

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";

fn whole() -> Value {
    json!({
        "Version": "2012-10-17",
        "Id": "readers",
        "Statement": [{
            "Sid": "one",
            "Effect": "Allow",
            "Principal": {"AWS": ["000000000007", "arn:aws:iam::000000000007:role/reader"]},
            "Action": ["kinesis:GetRecords", "kinesis:Describe*"],
            "Resource": ARN,
            "Condition": {"StringEquals": {"aws:SourceAccount": "000000000007"}},
        }],
    })
}

/// As a service looks at the policy of a resource of its own.
fn attached(policy: &Value) -> Result<(), Fault> {
    Policy::parse(Kind::Resource, &policy.to_string())?.check_attachment("kinesis", ARN)
}

fn said(policy: &Value) -> String {
    attached(policy).unwrap_err().to_string()
}

#[test]
fn documents_of_every_form_are_taken() {
    let mut policy = whole();
    attached(&policy).unwrap();
    policy["Statement"] = policy["Statement"][0].clone();
    for (key, value) in [
        ("Principal", json!("*")),
        ("Principal", json!({"Service": "lambda.amazonaws.com"})),
        ("Principal", json!({"AWS": "AROAEXAMPLE123456789"})),
        ("Principal", json!({"AWS": "arn:aws:sts::000000000007:assumed-role/reader/s1"})),
        ("Action", json!("kinesis:*")),
        ("Action", json!("*")),
        ("Resource", json!("arn:aws:kinesis:*:000000000000:stream/or?ers")),
        ("Resource", json!(["*"])),
        ("Effect", json!("Deny")),
        (
            "Condition",
            json!({"Bool": {"aws:SecureTransport": false},
                "ForAnyValue:StringLike": {"aws:TagKeys": ["b", 1]}}),
        ),
    ] {
        let mut other = policy.clone();
        other["Statement"][key] = value;
        attached(&other).unwrap_or_else(|fault| panic!("{fault}: {other}"));
    }
    let mut opposite = policy.clone();
    let statement = opposite["Statement"].as_object_mut().unwrap();
    let action = statement.remove("Action").unwrap();
    statement.insert("NotAction".to_owned(), action);
    attached(&opposite).unwrap();
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let parse = |text: &str| Policy::parse(Kind::Resource, text).unwrap_err();
    assert_eq!(parse(""), Fault::NotJson);
    assert_eq!(parse("[]"), Fault::NotJson);
    assert_eq!(parse(&"[".repeat(10_000)), Fault::NotJson);
    assert_eq!(parse(&" ".repeat(20_481)).to_string(), "it has 20481 bytes, more than 20480");
    assert_eq!(parse(r#"{"Id":"a","Id":"b"}"#).to_string(), "Id is given twice");
    assert_eq!(said(&json!({})), "Statement is missing");
    assert_eq!(said(&json!({"Statement": []})), "Statement must be an object or a list of objects");
    assert_eq!(said(&json!({"Statement": [5]})), "Statement[0] must be an object");
    let mut policy = whole();
    policy["Version"] = json!("2020-01-01");
    assert_eq!(said(&policy), "Version must be 2012-10-17 or 2008-10-17");
    let mut policy = whole();
    policy["version"] = json!("2012-10-17");
    assert_eq!(said(&policy), "version is not known");
    for (key, value, expected) in [
        ("Effect", json!("allow"), "Statement[0].Effect must be Allow or Deny"),
        ("Sid", json!(5), "Statement[0].Sid must be a text"),
        ("Effects", json!("Allow"), "Statement[0].Effects is not known"),
        (
            "Principal",
            json!("me"),
            "Statement[0].Principal must be \"*\" or an object of principals",
        ),
        ("Principal", json!({"Aws": "*"}), "Statement[0].Principal.Aws is not known"),
        (
            "Principal",
            json!({"AWS": "me"}),
            "Statement[0].Principal.AWS must be \"*\", an account, or the ARN of an identity",
        ),
        (
            "Principal",
            json!({"AWS": "arn:aws:iam::000000000007:role/*"}),
            "Statement[0].Principal.AWS must be \"*\", an account, or the ARN of an identity",
        ),
        ("Action", json!("s3:GetObject"), "Statement[0].Action must be an action of kinesis"),
        ("Action", json!([]), "Statement[0].Action must be a text or a list of texts"),
        (
            "Action",
            json!(["kinesis:Get Records"]),
            "Statement[0].Action must be \"*\" or an action such as \"kinesis:Put*\"",
        ),
        (
            "NotAction",
            json!("kinesis:*"),
            "Statement[0].NotAction must be absent where its opposite is given",
        ),
        (
            "Resource",
            json!("arn:aws:kinesis:us-east-1:000000000000:stream/order"),
            "Statement[0].Resource names \
             arn:aws:kinesis:us-east-1:000000000000:stream/order, which is not the resource",
        ),
        (
            "Resource",
            json!("arn:aws:kinesis:us-east-1:000000000000:stream/${aws:username"),
            "Statement[0].Resource must be a text whose variables end with }",
        ),
        ("Condition", json!([]), "Statement[0].Condition must be an object"),
        (
            "Condition",
            json!({"StringEquals": {"a": {}}}),
            "Statement[0].Condition.StringEquals.a must be a value or a list of values",
        ),
        (
            "Condition",
            json!({"StringIs": {"a": "b"}}),
            "Statement[0].Condition.StringIs.a must be under a condition operator",
        ),
        (
            "Condition",
            json!({"DateLessThan": {"a": "soon"}}),
            "Statement[0].Condition.DateLessThan.a must be a date",
        ),
        (
            "Condition",
            json!({"NumericEquals": {"a": "one"}}),
            "Statement[0].Condition.NumericEquals.a must be a number",
        ),
        (
            "Condition",
            json!({"IpAddress": {"a": "10.0.0.0/33"}}),
            "Statement[0].Condition.IpAddress.a must be an IP address or a network such as \
             203.0.113.0/24",
        ),
        (
            "Condition",
            json!({"NullIfExists": {"a": "true"}}),
            "Statement[0].Condition.NullIfExists.a is not known",
        ),
    ] {
        let mut policy = whole();
        policy["Statement"][0][key] = value;
        assert_eq!(said(&policy), expected);
    }
    for key in ["Effect", "Principal", "Action", "Resource"] {
        let mut policy = whole();
        policy["Statement"][0].as_object_mut().unwrap().remove(key);
        assert_eq!(said(&policy), format!("Statement[0].{key} is missing"));
    }
}

#[test]
fn each_kind_has_its_members() {
    let said = |kind: Kind, policy: &Value| match Policy::parse(kind, &policy.to_string()) {
        Ok(_) => "taken".to_owned(),
        Err(fault) => fault.to_string(),
    };
    let statement = |members: Value| json!({"Version": "2012-10-17", "Statement": members});
    let identity = statement(json!({"Effect": "Allow", "Action": "sts:*", "Resource": "*"}));
    let trust = statement(json!({"Effect": "Allow", "Action": "sts:*", "Principal": "*"}));
    let both =
        statement(json!({"Effect": "Allow", "Action": "sts:*", "Principal": "*", "Resource": "*"}));
    for kind in [Kind::Identity, Kind::Session] {
        assert_eq!(said(kind, &identity), "taken");
        assert_eq!(said(kind, &trust), "Statement.Principal can't stand in a policy of this kind");
        assert_eq!(said(kind, &both), "Statement.Principal can't stand in a policy of this kind");
    }
    assert_eq!(said(Kind::Trust, &trust), "taken");
    assert_eq!(said(Kind::Trust, &identity), "Statement.Principal is missing");
    assert_eq!(said(Kind::Trust, &both), "Statement.Resource can't stand in a policy of this kind");
    for kind in [Kind::Resource, Kind::Endpoint] {
        assert_eq!(said(kind, &both), "taken");
        assert_eq!(said(kind, &identity), "Statement.Principal is missing");
        assert_eq!(said(kind, &trust), "Statement.Resource is missing");
    }
    let resource =
        |text: &str| statement(json!({"Effect": "Allow", "Action": "*", "Resource": text}));
    assert_eq!(
        said(Kind::Identity, &resource("orders")),
        "Statement.Resource must be \"*\" or an ARN"
    );
    let twice = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Sid": "a"});
    assert_eq!(
        said(Kind::Identity, &statement(json!([twice, twice]))),
        "Statement[1].Sid must be a name of its own"
    );
    let long = "a".repeat(2048);
    assert_eq!(
        said(Kind::Session, &resource(&format!("arn:{long}"))),
        "it has 2134 characters that are not blanks, more than 2048"
    );
}

#[test]
fn facts_of_a_document_are_kept() {
    let policy = Policy::parse(Kind::Resource, &whole().to_string()).unwrap();
    assert_eq!(policy.version(), Version::V2012);
    assert_eq!((policy.id(), policy.statement_count()), (Some("readers"), 1));
    assert_eq!(policy.sid(0), Some("one"));
    assert_eq!(policy.condition_keys(), ["aws:SourceAccount"]);
    let old = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource":
        "arn:aws:s3:::${aws:username}", "Condition": {"ArnLike": {"aws:PrincipalArn": "*"}}}}"#;
    let old = Policy::parse(Kind::Identity, old).unwrap();
    assert_eq!(old.version(), Version::V2008);
    assert_eq!(old.condition_keys(), ["aws:PrincipalArn"], "no variables in the old language");
    assert_eq!(old.chars(), 136);
}

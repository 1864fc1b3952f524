//! Every operation times every way to be let in or kept out, over the list of operations: one that
//! is added without a row here, or without its rule, fails.
//!
//! Callers are put in below the authenticator; all else is a real node.
#![allow(clippy::disallowed_methods)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use millstream_api::{cloudtrail, cloudwatch, iam, kinesis, kms, sts};
use millstream_base::{AccountId, Region, Scope, Tags, Timestamp};
use millstream_policy::rules::{Rule, rule};
use millstream_policy::tables::Form;
use millstream_policy::{Kind, NamedPolicy, Policy, Principal, Rights};
use millstream_server::auth::Caller;
use millstream_server::auth::Who;
use millstream_server::call::Origin;
use millstream_server::peer::{Door, Peer};
use millstream_server::router::Op;
use serde_json::{Value, json};
use support::TestNode;

/// Whose the resources are, and a stranger.
const OWNER: &str = "000000000000";
const OTHER: &str = "111111111111";
const REGION: &str = "us-east-1";

/// The resources of one row of the table, made anew for it.
struct World<'n> {
    node: &'n TestNode,
    stream: String,
    consumer: String,
    queue: String,
    iterator: String,
}

impl<'n> World<'n> {
    /// Queues want on-demand streams, of which an account has 50 at most.
    async fn new(node: &'n TestNode, number: usize, with_queue: bool) -> World<'n> {
        let name = format!("stream-{number}");
        let input = match with_queue {
            true => json!({"StreamName": name, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}),
            false => json!({"StreamName": name, "ShardCount": 2}),
        };
        node.ok("CreateStream", input).await;
        let named = json!({"StreamName": name});
        let ready = async |operation: &str, input: Value, path: [&str; 2]| loop {
            let answer = node.ok(operation, input.clone()).await;
            if answer[path[0]][path[1]] == "ACTIVE" {
                return answer[path[0]].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        let path = ["StreamDescriptionSummary", "StreamStatus"];
        let summary = ready("DescribeStreamSummary", named, path).await;
        let stream = summary["StreamARN"].as_str().unwrap().to_owned();
        let input = json!({"StreamARN": stream, "ConsumerName": "app"});
        node.ok("RegisterStreamConsumer", input.clone()).await;
        let path = ["ConsumerDescription", "ConsumerStatus"];
        let consumer = ready("DescribeStreamConsumer", input, path).await;
        let mut queue = json!("none");
        if with_queue {
            let input = json!({"QueueName": name, "StreamConfigurationList": [
                {"StreamARN": stream, "StartingPosition": {"Type": "TRIM_HORIZON"}}]});
            queue = node.ok("CreateQueue", input).await["QueueDescription"]["QueueARN"].clone();
            let path = ["QueueDescription", "QueueStatus"];
            ready("DescribeQueue", json!({"QueueARN": queue}), path).await;
        }
        let input = json!({"StreamARN": stream, "ShardId": "shardId-000000000000",
            "ShardIteratorType": "LATEST"});
        let iterator = node.ok("GetShardIterator", input).await["ShardIterator"].clone();
        World {
            node,
            stream,
            consumer: consumer["ConsumerARN"].as_str().unwrap().to_owned(),
            queue: queue.as_str().unwrap().to_owned(),
            iterator: iterator.as_str().unwrap().to_owned(),
        }
    }

    /// The resource that a rule's action is done to; None where no policy can be attached to it.
    fn resource(&self, rule: &Rule) -> Option<&str> {
        let makes_it = ["CreateStream", "CreateQueue"].contains(&rule.operation);
        match rule.resource {
            _ if makes_it => None,
            Form::Stream | Form::Named => Some(&self.stream),
            Form::Consumer => Some(&self.consumer),
            Form::Queue => Some(&self.queue),
            _ => None,
        }
    }

    async fn attach(&self, resource: &str, effect: &str, principal: &str) {
        let policy = json!({"Version": "2012-10-17", "Statement": {
            "Effect": effect, "Principal": {"AWS": principal}, "Action": "kinesis:*",
            "Resource": resource,
        }});
        let input = json!({"ResourceARN": resource, "Policy": policy.to_string()});
        self.node.ok("PutResourcePolicy", input).await;
    }

    async fn ask(&self, caller: &Caller, op: kinesis::Op) -> Outcome {
        let input = self.input(op).to_string();
        run(self.node, caller, Op::Kinesis(op), input).await
    }

    /// A valid input that names the world's resources by their ARNs.
    fn input(&self, op: kinesis::Op) -> Value {
        use kinesis::Op::*;
        let (shard, other_shard) = ("shardId-000000000000", "shardId-000000000001");
        let entries = json!([{"ReceiptHandle": "none"}]);
        let timed = json!([{"ReceiptHandle": "none", "VisibilityTimeoutSeconds": 1}]);
        let key = json!({"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"});
        let monitoring = json!({"ShardLevelMetrics": ["ALL"]});
        let mut input = match op {
            AddTagsToStream => json!({"Tags": {"team": "blue"}}),
            DecreaseStreamRetentionPeriod => json!({"RetentionPeriodHours": 24}),
            IncreaseStreamRetentionPeriod => json!({"RetentionPeriodHours": 48}),
            DisableEnhancedMonitoring | EnableEnhancedMonitoring => monitoring,
            GetShardIterator => json!({"ShardId": shard, "ShardIteratorType": "LATEST"}),
            MergeShards => json!({"ShardToMerge": shard, "AdjacentShardToMerge": other_shard}),
            SplitShard => json!({"ShardToSplit": shard, "NewStartingHashKey": "5"}),
            PutRecord => json!({"Data": "MQ==", "PartitionKey": "a"}),
            PutRecords => json!({"Records": [{"Data": "MQ==", "PartitionKey": "a"}]}),
            RemoveTagsFromStream => json!({"TagKeys": ["team"]}),
            StartStreamEncryption | StopStreamEncryption => key,
            UpdateMaxRecordSize => json!({"MaxRecordSizeInKiB": 2048}),
            UpdateShardCount => json!({"TargetShardCount": 8, "ScalingType": "UNIFORM_SCALING"}),
            UpdateStreamMode => json!({"StreamModeDetails": {"StreamMode": "PROVISIONED"}}),
            UpdateStreamRecordDistributionStrategy => {
                json!({"RecordDistributionStrategy": "AUTO"})
            }
            UpdateStreamWarmThroughput => json!({"WarmThroughputMiBps": 10}),
            DeleteStream => json!({"EnforceConsumerDeletion": true}),
            RegisterStreamConsumer => json!({"ConsumerName": "second"}),
            DescribeStream
            | DescribeStreamSummary
            | ListShards
            | ListStreamConsumers
            | ListTagsForStream => json!({}),

            CreateStream => return json!({"StreamName": "new", "ShardCount": 1}),
            GetRecords => {
                return json!({"ShardIterator": self.iterator, "StreamARN": self.stream});
            }
            DeregisterStreamConsumer | DescribeStreamConsumer => {
                return json!({"ConsumerARN": self.consumer});
            }
            SubscribeToShard => {
                return json!({"ConsumerARN": self.consumer, "ShardId": shard,
                    "StartingPosition": {"Type": "LATEST"}});
            }
            CreateQueue => {
                return json!({"QueueName": "new",
                    "StreamConfigurationList": [{"StreamARN": self.stream}]});
            }
            DeleteQueue | DescribeQueue => return json!({"QueueARN": self.queue}),
            UpdateQueue => {
                return json!({"QueueARN": self.queue,
                    "QueueAttributes": {"VisibilityTimeoutSeconds": 9}});
            }
            ReceiveQueueRecords | ReceiveDeadLetterQueueRecords => {
                return json!({"QueueARN": self.queue, "WaitTimeSeconds": 1});
            }
            AcknowledgeQueueRecords
            | AcknowledgeDeadLetterQueueRecords
            | RestoreDeadLetterQueueRecords => {
                return json!({"QueueARN": self.queue, "Entries": entries});
            }
            UpdateQueueRecordsVisibility | UpdateDeadLetterQueueRecordsVisibility => {
                return json!({"QueueARN": self.queue, "Entries": timed});
            }
            TagResource => return json!({"ResourceARN": self.stream, "Tags": {"team": "blue"}}),
            UntagResource => return json!({"ResourceARN": self.stream, "TagKeys": ["team"]}),
            DeleteResourcePolicy | GetResourcePolicy | ListTagsForResource => {
                return json!({"ResourceARN": self.stream});
            }
            PutResourcePolicy => return json!({"ResourceARN": self.stream, "Policy": "{}"}),
            UpdateAccountSettings => {
                return json!({"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}});
            }
            DescribeAccountSettings | DescribeLimits | ListQueues | ListStreams => {
                return json!({});
            }
            CreateChannel | DeleteChannel | DescribeChannel | ListChannels | UpdateChannel => {
                panic!("{} is there now: give it an input", op.name())
            }
        };
        input["StreamARN"] = json!(self.stream);
        input
    }
}

/// What became of a request: None if it was let in, whatever came then.
type Outcome = Option<String>;

async fn run(node: &TestNode, caller: &Caller, op: Op, input: String) -> Outcome {
    let origin = Origin {
        peer: Peer {
            address: SocketAddr::from(([192, 0, 2, 7], 5000)),
            door: Arc::new(Door::default()),
            tls: None,
        },
        user_agent: Some(HeaderValue::from_static("table/1")),
        at: Timestamp::from_secs(1_795_262_400),
    };
    run_from(node, caller, origin, op, input).await
}

async fn run_from(
    node: &TestNode,
    caller: &Caller,
    origin: Origin,
    op: Op,
    input: String,
) -> Outcome {
    let pipeline = node.node.pipeline();
    let answer =
        pipeline.run_as(caller.clone(), Some(Arc::new(origin)), op, Bytes::from(input)).await;
    match answer {
        Err(error) if error.code.starts_with("AccessDenied") => Some(error.message.unwrap()),
        // Who is refused with the same input proves that it is one that is decided about.
        Ok(_) | Err(_) => None,
    }
}

/// A user with one identity policy, if any: effect and action over all resources.
fn user(account: &str, policy: Option<(&str, &[&str])>) -> Caller {
    let document = policy.map(|(effect, actions)| {
        json!({"Version": "2012-10-17", "Statement": {
            "Effect": effect, "Action": actions, "Resource": "*",
        }})
    });
    user_with(account, document)
}

fn user_with(account: &str, document: Option<Value>) -> Caller {
    let account = AccountId::new(account).unwrap();
    let policy = document.map(|document| {
        let policy = Policy::parse(Kind::Identity, &document.to_string()).unwrap();
        Arc::new(NamedPolicy::new("p", policy))
    });
    let rights = Rights { identity: policy.into_iter().collect(), ..Rights::default() };
    let tags = Tags::from([("team".to_owned(), "blue".to_owned())]);
    let principal = Principal::user("aws", account, "/", "ann", "AIDAEXAMPLE12345678", tags);
    Caller {
        access_key_id: "AKIAEXAMPLE".to_owned(),
        scope: Scope::new(account, Region::new(REGION).unwrap()),
        who: Some(Arc::new(Who { principal, rights, session: None })),
    }
}

/// The actions that an operation needs, further ones included.
fn actions(rule: &Rule) -> Vec<&str> {
    let further = rule.further.iter().map(|further| further.action.as_str());
    std::iter::once(rule.action.as_str()).chain(further).collect()
}

#[track_caller]
fn refused(outcome: &Outcome, rule: &Rule, ending: &str) {
    let action = rule.action.as_str();
    let said = outcome.as_deref().unwrap_or_else(|| panic!("{action} was let in"));
    let begin = format!("is not authorized to perform: {action} on resource: ");
    assert!(said.starts_with("User: arn:aws:iam::") && said.contains(&begin), "{said}");
    assert!(said.ends_with(&ending.replace("ACTION", action)), "{action}: {said}");
}

#[test]
fn every_generated_operation_has_its_rule() {
    let all: [(&str, &[&str]); 6] = [
        ("kinesis", &kinesis::Op::ALL.iter().map(|op| op.name()).collect::<Vec<_>>()),
        ("cloudwatch", &cloudwatch::Op::ALL.iter().map(|op| op.name()).collect::<Vec<_>>()),
        ("cloudtrail", &cloudtrail::Op::ALL.iter().map(|op| op.name()).collect::<Vec<_>>()),
        ("iam", &iam::Op::ALL.iter().map(|op| op.name()).collect::<Vec<_>>()),
        ("sts", &sts::Op::ALL.iter().map(|op| op.name()).collect::<Vec<_>>()),
        ("kms", &kms::Op::ALL.iter().map(|op| op.name()).collect::<Vec<_>>()),
    ];
    for (service, operations) in all {
        for operation in operations {
            assert!(rule(service, operation).is_some(), "{service}:{operation} has no rule");
        }
    }
}

#[tokio::test]
async fn every_operation_is_allowed_denied_and_crosses_accounts_as_policies_say() {
    let node = TestNode::start().await;
    let missing = node.node.pipeline().unimplemented();
    for (number, op) in kinesis::Op::ALL.iter().copied().enumerate() {
        if missing.contains(&op) {
            continue;
        }
        let rule = rule("kinesis", op.name()).unwrap();
        let world = World::new(&node, number, rule.resource == Form::Queue).await;
        let needed = actions(rule);

        let nothing = world.ask(&user(OWNER, None), op).await;
        refused(&nothing, rule, "because no identity-based policy allows the ACTION action");
        let denied = world.ask(&user(OWNER, Some(("Deny", &needed))), op).await;
        refused(&denied, rule, "with an explicit deny in an identity-based policy");

        let allowed = user(OWNER, Some(("Allow", &needed)));
        let stranger = user(OTHER, Some(("Allow", &needed)));
        if let Some(resource) = world.resource(rule) {
            let ann = format!("arn:aws:iam::{OWNER}:user/ann");
            world.attach(resource, "Deny", &ann).await;
            let denied = world.ask(&allowed, op).await;
            refused(&denied, rule, "with an explicit deny in a resource-based policy");

            let outside = world.ask(&stranger, op).await;
            refused(&outside, rule, "because no resource-based policy allows the ACTION action");
            world.attach(resource, "Allow", OTHER).await;
            let unsent = world.ask(&user(OTHER, None), op).await;
            refused(&unsent, rule, "because no identity-based policy allows the ACTION action");
            assert_eq!(world.ask(&stranger, op).await, None, "{} across accounts", op.name());
        } else if rule.operation != "CreateQueue" {
            // Nothing that a policy can be attached to: everyone acts in their own account.
            assert_eq!(world.ask(&stranger, op).await, None, "{} elsewhere", op.name());
        }
        assert_eq!(world.ask(&allowed, op).await, None, "{}", op.name());
    }
    node.stop().await;
}

#[tokio::test]
async fn metrics_are_allowed_and_denied() {
    let node = TestNode::start().await;
    for op in cloudwatch::Op::ALL.iter().copied() {
        let rule = rule("cloudwatch", op.name()).unwrap();
        let input = match op {
            cloudwatch::Op::PutMetricData => json!({"Namespace": "app", "MetricData": []}),
            cloudwatch::Op::GetMetricData => {
                json!({"MetricDataQueries": [], "StartTime": 0, "EndTime": 60})
            }
            cloudwatch::Op::GetMetricStatistics => json!({"Namespace": "app", "MetricName": "m",
                "StartTime": 0, "EndTime": 60, "Period": 60}),
            cloudwatch::Op::ListMetrics => json!({}),
        };
        let ask =
            async |caller: Caller| run(&node, &caller, Op::CloudWatch(op), input.to_string()).await;
        let nothing = ask(user(OWNER, None)).await;
        refused(&nothing, rule, "because no identity-based policy allows the ACTION action");
        let denied = ask(user(OWNER, Some(("Deny", &actions(rule))))).await;
        refused(&denied, rule, "with an explicit deny in an identity-based policy");
        assert_eq!(ask(user(OWNER, Some(("Allow", &actions(rule))))).await, None, "{}", op.name());
    }
    let of = |namespace: &str| {
        user_with(
            OWNER,
            Some(json!({"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*",
                "Condition": {"StringEquals": {"cloudwatch:namespace": namespace}},
            }})),
        )
    };
    let put = Op::CloudWatch(cloudwatch::Op::PutMetricData);
    let input = json!({"Namespace": "app", "MetricData": []}).to_string();
    assert_eq!(run(&node, &of("app"), put, input.clone()).await, None);
    assert!(run(&node, &of("other"), put, input).await.is_some());
    node.stop().await;
}

#[tokio::test]
async fn the_audit_trail_is_shown_to_who_may_see_it() {
    let node = TestNode::start().await;
    for op in cloudtrail::Op::ALL.iter().copied() {
        let rule = rule("cloudtrail", op.name()).unwrap();
        let ask =
            async |caller: Caller| run(&node, &caller, Op::CloudTrail(op), "{}".to_owned()).await;
        let nothing = ask(user(OWNER, None)).await;
        refused(&nothing, rule, "because no identity-based policy allows the ACTION action");
        let denied = ask(user(OWNER, Some(("Deny", &actions(rule))))).await;
        refused(&denied, rule, "with an explicit deny in an identity-based policy");
        assert_eq!(ask(user(OWNER, Some(("Allow", &actions(rule))))).await, None, "{}", op.name());
    }
    node.stop().await;
}

#[tokio::test]
async fn conditions_see_the_request_the_resource_and_the_caller() {
    let node = TestNode::start().await;
    let world = World::new(&node, 0, false).await;
    node.ok("AddTagsToStream", json!({"StreamARN": world.stream, "Tags": {"team": "blue"}})).await;
    let when = |condition: Value| {
        user_with(
            OWNER,
            Some(json!({"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Action": "kinesis:*", "Resource": "*", "Condition": condition,
            }})),
        )
    };
    let describe = async |condition: Value| {
        world.ask(&when(condition), kinesis::Op::DescribeStreamSummary).await.is_none()
    };
    for (expected, condition) in [
        (true, json!({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}})),
        (false, json!({"StringEquals": {"aws:ResourceTag/team": "red"}})),
        (true, json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),
        (false, json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
        (false, json!({"Bool": {"aws:SecureTransport": true}})),
        (true, json!({"Bool": {"aws:SecureTransport": false}})),
        (true, json!({"DateLessThan": {"aws:CurrentTime": "2026-11-22T00:00:00Z"}})),
        (false, json!({"DateGreaterThan": {"aws:EpochTime": "2026-11-22T00:00:00Z"}})),
        (true, json!({"StringLike": {"aws:UserAgent": "table/*"}})),
        (true, json!({"StringEquals": {"aws:RequestedRegion": "us-east-1"}})),
        (true, json!({"StringEquals": {"aws:PrincipalAccount": "${aws:ResourceAccount}"}})),
        (true, json!({"Null": {"aws:CalledVia": "true", "aws:SourceVpce": "true"}})),
    ] {
        assert_eq!(describe(condition.clone()).await, expected, "{condition}");
    }
    let tags = json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}});
    assert_eq!(world.ask(&when(tags), kinesis::Op::AddTagsToStream).await, None);
    let tags = json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["cost"]}});
    assert!(world.ask(&when(tags), kinesis::Op::AddTagsToStream).await.is_some());
    let tag = json!({"StringEquals": {"aws:RequestTag/team": "red"}});
    assert!(world.ask(&when(tag), kinesis::Op::TagResource).await.is_some());
    node.stop().await;
}

#[tokio::test]
async fn an_endpoint_lets_through_what_its_policy_allows() {
    let node = TestNode::start().await;
    let world = World::new(&node, 0, false).await;
    let policy = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": "*", "Action": "kinesis:Describe*", "Resource": "*",
    }});
    let policy = Policy::parse(Kind::Endpoint, &policy.to_string()).unwrap();
    let door = Door { endpoint_id: Some("vpce-1".into()), policy: Some(Arc::new(policy)) };
    let peer =
        Peer { address: SocketAddr::from(([10, 0, 0, 7], 5000)), door: Arc::new(door), tls: None };
    let origin = Origin { peer, user_agent: None, at: Timestamp::ZERO };
    let only_there = user_with(
        OWNER,
        Some(json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "kinesis:*", "Resource": "*", "Condition": {
                "StringEquals": {"aws:SourceVpce": "vpce-1"}, "Null": {"aws:SourceIp": "true"}},
        }})),
    );
    let ask = async |op: kinesis::Op| {
        let input = world.input(op).to_string();
        run_from(&node, &only_there, origin.clone(), Op::Kinesis(op), input).await
    };
    assert_eq!(ask(kinesis::Op::DescribeStream).await, None);
    let put = rule("kinesis", "PutRecord").unwrap();
    let outcome = ask(kinesis::Op::PutRecord).await;
    refused(&outcome, put, "because no VPC endpoint policy allows the ACTION action");
    assert!(world.ask(&only_there, kinesis::Op::DescribeStream).await.is_some());
    node.stop().await;
}

#[tokio::test]
async fn what_a_request_makes_or_reads_is_asked_about_too() {
    let node = TestNode::start().await;
    let world = World::new(&node, 0, false).await;
    let alone = |action: &'static str| user(OWNER, Some(("Allow", &[action])));
    let queue = world.ask(&alone("kinesis:CreateQueue"), kinesis::Op::CreateQueue).await.unwrap();
    assert!(queue.contains("kinesis:AssociateStreamsWithQueue"), "{queue}");
    assert!(queue.contains(&world.stream), "{queue}");
    let create = Op::Kinesis(kinesis::Op::CreateStream);
    let input = json!({"StreamName": "tagged", "Tags": {"a": "b"}}).to_string();
    let said = run(&node, &alone("kinesis:CreateStream"), create, input).await.unwrap();
    assert!(said.contains("kinesis:AddTagsToStream"), "{said}");
    // An iterator carries its stream: who may read one stream can't use another's iterator.
    let elsewhere = user_with(
        OWNER,
        Some(json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow",
            "Action": "kinesis:*", "Resource": "arn:aws:kinesis:*:*:stream/other"}})),
    );
    let said = world.ask(&elsewhere, kinesis::Op::GetRecords).await.unwrap();
    assert!(said.contains(&world.stream), "{said}");
    // Whether a stream is there is not told to who may not ask.
    let describe = Op::Kinesis(kinesis::Op::DescribeStream);
    let input = json!({"StreamName": "absent"}).to_string();
    let said = run(&node, &user(OWNER, None), describe, input).await.unwrap();
    assert!(said.contains("stream/absent because no identity-based policy"), "{said}");
    node.stop().await;
}

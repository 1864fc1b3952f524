//! Every operation's way to success and its main errors, with their exact sentences, in JSON and
//! CBOR over a real socket.
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use millstream_api::kinesis as api;
use millstream_wire::Codec;
use serde_json::{Value, json};
use support::{CBOR, Request, TestNode};

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/";

#[tokio::test]
async fn streams_are_made_described_listed_and_deleted() {
    let node = TestNode::start().await;
    node.stream("orders", 2).await;
    let s = node.ok("DescribeStreamSummary", json!({"StreamName": "orders"})).await;
    let s = &s["StreamDescriptionSummary"];
    for (key, value) in [
        ("StreamName", json!("orders")),
        ("StreamARN", json!(format!("{ARN}orders"))),
        ("StreamStatus", json!("ACTIVE")),
        ("StreamModeDetails", json!({"StreamMode": "PROVISIONED"})),
        ("RetentionPeriodHours", json!(24)),
        ("EnhancedMonitoring", json!([{"ShardLevelMetrics": []}])),
        ("EncryptionType", json!("NONE")),
        ("OpenShardCount", json!(2)),
        ("ConsumerCount", json!(0)),
        ("MaxRecordSizeInKiB", json!(1024)),
        ("RecordDistributionStrategy", json!("USER_PARTITION_KEY")),
    ] {
        assert_eq!(s[key], value, "{key}");
    }
    for absent in ["StreamId", "KeyId", "WarmThroughput"] {
        assert!(s.get(absent).is_none(), "{absent} in {s}");
    }
    let d = node.ok("DescribeStream", json!({"StreamARN": format!("{ARN}orders")})).await;
    let d = &d["StreamDescription"];
    assert_eq!(d["HasMoreShards"], false);
    let shards = d["Shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[0]["ShardId"], "shardId-000000000000");
    assert_eq!(
        shards[1]["HashKeyRange"],
        json!({
            "StartingHashKey": "170141183460469231731687303715884105728",
            "EndingHashKey": "340282366920938463463374607431768211455",
        })
    );
    assert!(shards[0]["SequenceNumberRange"].get("EndingSequenceNumber").is_none());
    assert!(shards[0].get("ParentShardId").is_none());

    node.stream("more", 1).await;
    let l = node.ok("ListStreams", json!({})).await;
    assert_eq!(l["StreamNames"], json!(["more", "orders"]));
    assert_eq!(l["HasMoreStreams"], false);
    assert_eq!(l["StreamSummaries"][1]["StreamARN"], format!("{ARN}orders"));
    assert!(l.get("NextToken").is_none());
    let first = node.ok("ListStreams", json!({"Limit": 1})).await;
    assert_eq!((&first["StreamNames"], &first["HasMoreStreams"]), (&json!(["more"]), &json!(true)));
    for next in
        [json!({"NextToken": first["NextToken"]}), json!({"ExclusiveStartStreamName": "more"})]
    {
        assert_eq!(node.ok("ListStreams", next).await["StreamNames"], json!(["orders"]));
    }

    assert_eq!(
        node.refused("CreateStream", json!({"StreamName": "orders", "ShardCount": 1})).await,
        "ResourceInUseException: Stream orders under account 000000000000 already exists."
    );
    node.ok("DeleteStream", json!({"StreamName": "orders"})).await;
    for operation in ["DescribeStream", "DescribeStreamSummary", "DeleteStream"] {
        assert_eq!(
            node.refused(operation, json!({"StreamName": "orders"})).await,
            "ResourceNotFoundException: Stream orders under account 000000000000 not found."
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn streams_are_named_by_name_arn_or_both() {
    let node = TestNode::start().await;
    node.stream("a", 1).await;
    let call = |input: Value| node.call("DescribeStreamSummary", input);
    let arn = format!("{ARN}a");
    for input in [
        json!({"StreamName": "a"}),
        json!({"StreamARN": arn}),
        json!({"StreamName": "a", "StreamARN": arn}),
        json!({"StreamName": "a", "StreamId": "abcdefghijklmnopqrst-abc"}),
        json!({"StreamName": "a", "StreamARN": null, "Unknown": 5}),
    ] {
        assert_eq!(call(input.clone()).await.status, 200, "{input}");
    }
    assert_eq!(
        node.refused("DescribeStreamSummary", json!({})).await,
        "InvalidArgumentException: Either StreamName or StreamARN must be provided."
    );
    assert_eq!(
        node.refused("DescribeStreamSummary", json!({"StreamName": "b", "StreamARN": arn})).await,
        format!(
            "InvalidArgumentException: StreamName b and StreamARN {arn} do not name the same \
             stream."
        )
    );
    assert_eq!(
        node.refused("DescribeStreamSummary", json!({"StreamARN": "a"})).await.split(':').next(),
        Some("ValidationException")
    );
    node.stop().await;
}

#[tokio::test]
async fn accounts_and_regions_are_kept_apart() {
    let node = TestNode::start().await;
    let as_caller = |key: &str, region: &str, operation: &str, input: Value| {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/kinesis/aws4_request, \
             SignedHeaders=host, Signature=00"
        );
        let request = Request::json(operation, &input).replace("Authorization", &authorization);
        let node = &node;
        async move { node.connect().await.send(&request).await }
    };
    let input = json!({"StreamName": "s", "ShardCount": 1});
    for (key, region) in [
        ("111111111111", "us-east-1"),
        ("222222222222", "us-east-1"),
        ("222222222222", "eu-west-1"),
        ("AKIDEXAMPLE", "us-east-1"),
    ] {
        let made = as_caller(key, region, "CreateStream", input.clone()).await;
        assert_eq!(made.status, 200, "{key} {region}: {made:?}");
    }
    let named = json!({"StreamName": "s"});
    let s = as_caller("222222222222", "eu-west-1", "DescribeStreamSummary", named.clone()).await;
    assert_eq!(
        s.json()["StreamDescriptionSummary"]["StreamARN"],
        "arn:aws:kinesis:eu-west-1:222222222222:stream/s"
    );
    let s = as_caller("111111111111", "eu-west-1", "DescribeStreamSummary", named).await;
    assert_eq!(
        s.error(),
        "ResourceNotFoundException: Stream s under account 111111111111 not found."
    );
    // An ARN decides, whoever asks.
    let arn = json!({"StreamARN": "arn:aws:kinesis:us-east-1:111111111111:stream/s"});
    let s = as_caller("AKIDEXAMPLE", "eu-west-1", "DescribeStreamSummary", arn.clone()).await;
    assert_eq!(s.json()["StreamDescriptionSummary"]["StreamARN"], arn["StreamARN"]);
    node.stop().await;
}

#[tokio::test]
async fn records_go_in_and_come_out() {
    let node = TestNode::start().await;
    node.stream("s", 2).await;
    let put = |key: &str, data: &str| json!({"PartitionKey": key, "Data": data});
    let one = json!({"StreamName": "s", "PartitionKey": "a", "Data": "MQ=="});
    let first = node.ok("PutRecord", one).await;
    assert_eq!(first["ShardId"], "shardId-000000000000");
    assert_eq!(first["SequenceNumber"].as_str().unwrap().len(), 56);
    let batch = json!({
        "StreamARN": format!("{ARN}s"),
        "Records": [
            put("a", "Mg=="),
            put("ü", "Mw=="),
            {"PartitionKey": "a", "Data": "", "ExplicitHashKey": "0"},
            {"PartitionKey": "x", "Data": "NA==",
             "ExplicitHashKey": "340282366920938463463374607431768211455"},
        ],
    });
    let out = node.ok("PutRecords", batch).await;
    assert_eq!(out["FailedRecordCount"], 0);
    let shards: Vec<_> =
        out["Records"].as_array().unwrap().iter().map(|r| r["ShardId"].as_str().unwrap()).collect();
    let [low, high] = ["shardId-000000000000", "shardId-000000000001"];
    assert_eq!(shards, [low, high, low, high]);
    for record in out["Records"].as_array().unwrap() {
        assert!(record.get("ErrorCode").is_none() && record.get("ErrorMessage").is_none());
    }

    let records = node.read_all("s", low).await;
    let data: Vec<_> = records.iter().map(|r| r["Data"].as_str().unwrap()).collect();
    assert_eq!(data, ["MQ==", "Mg==", ""]);
    assert_eq!(records[0]["SequenceNumber"], first["SequenceNumber"]);
    assert!(records[0].get("EncryptionType").is_none());
    let arrived = records[0]["ApproximateArrivalTimestamp"].as_f64().unwrap();
    assert!((1.7e9..1e10).contains(&arrived), "seconds: {arrived}");
    let keys: Vec<_> =
        node.read_all("s", high).await.iter().map(|r| r["PartitionKey"].clone()).collect();
    assert_eq!(keys, ["ü", "x"]);

    // From each kind of place.
    let second = records[1]["SequenceNumber"].clone();
    let at = |kind: &str, number: &Value, time: &Value| {
        let mut input = json!({"StreamName": "s", "ShardId": low, "ShardIteratorType": kind});
        for (key, value) in [("StartingSequenceNumber", number), ("Timestamp", time)] {
            if !value.is_null() {
                input[key] = value.clone();
            }
        }
        input
    };
    let null = Value::Null;
    for (input, expected) in [
        (at("TRIM_HORIZON", &null, &null), 3),
        (at("LATEST", &null, &null), 0),
        (at("AT_SEQUENCE_NUMBER", &second, &null), 2),
        (at("AFTER_SEQUENCE_NUMBER", &second, &null), 1),
        (at("AT_TIMESTAMP", &null, &json!(1.5)), 3),
    ] {
        let iterator = node.ok("GetShardIterator", input.clone()).await["ShardIterator"].clone();
        assert!(iterator.as_str().unwrap().len() <= 512);
        let page = node.ok("GetRecords", json!({"ShardIterator": iterator})).await;
        assert_eq!(page["Records"].as_array().unwrap().len(), expected, "{input}");
        assert_eq!(page["MillisBehindLatest"], 0);
        assert!(page.get("ChildShards").is_none(), "{page}");
        // Usable again, also quoted as people paste it.
        let quoted = format!("\"{}\"", iterator.as_str().unwrap());
        let again = node.ok("GetRecords", json!({"ShardIterator": quoted})).await;
        assert_eq!(again["Records"], page["Records"]);
    }
    let all = node.ok("GetShardIterator", at("TRIM_HORIZON", &null, &null)).await;
    let page =
        node.ok("GetRecords", json!({"ShardIterator": all["ShardIterator"], "Limit": 2})).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 2);
    let page = node.ok("GetRecords", json!({"ShardIterator": page["NextShardIterator"]})).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn records_in_cbor() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let call = |operation: &'static str, body: Bytes| {
        let request = Request::operation(operation, CBOR, body.to_vec());
        let node = &node;
        async move {
            let answer = node.connect().await.send(&request).await;
            assert_eq!(answer.status, 200, "{operation}: {answer:?}");
            Bytes::from(answer.body)
        }
    };
    let put = api::PutRecordsInput {
        stream_name: Some("s".into()),
        records: ["1", "2", "3"]
            .map(|data| api::PutRecordsRequestEntry {
                data: Bytes::from(data),
                partition_key: Some("k".into()),
                explicit_hash_key: None,
            })
            .to_vec(),
        ..Default::default()
    };
    let body = call("PutRecords", Codec::Cbor.encode(&put)).await;
    let (out, _) = Codec::Cbor.decode::<api::PutRecordsOutput>(&body).unwrap();
    assert_eq!(out.failed_record_count, Some(0));
    assert_eq!(out.records.len(), 3);
    let from = api::GetShardIteratorInput {
        stream_name: Some("s".into()),
        shard_id: "shardId-000000000000".into(),
        shard_iterator_type: api::ShardIteratorType::TrimHorizon,
        ..Default::default()
    };
    let body = call("GetShardIterator", Codec::Cbor.encode(&from)).await;
    let (iterator, _) = Codec::Cbor.decode::<api::GetShardIteratorOutput>(&body).unwrap();
    let get = api::GetRecordsInput {
        shard_iterator: iterator.shard_iterator.unwrap(),
        ..Default::default()
    };
    let body = call("GetRecords", Codec::Cbor.encode(&get)).await;
    // Timestamps are tag 1 with integer milliseconds.
    let tagged = b"ApproximateArrivalTimestamp\xc1\x1b";
    assert!(body.windows(tagged.len()).any(|w| w == tagged), "{body:?}");
    let (page, _) = Codec::Cbor.decode::<api::GetRecordsOutput>(&body).unwrap();
    let data: Vec<_> = page.records.iter().map(|r| &r.data[..]).collect();
    assert_eq!(data, [b"1", b"2", b"3"]);
    assert_eq!(page.records[0].sequence_number, *out.records[0].sequence_number.as_ref().unwrap());
    node.stop().await;
}

#[tokio::test]
async fn puts_are_refused_in_aws_words() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let big = "A".repeat(1_398_104); // 1,048,578 bytes
    let record = |data: &str| json!({"Data": data, "PartitionKey": "k"});
    for (operation, input, expected) in [
        (
            "PutRecord",
            json!({"StreamName": "none", "Data": "", "PartitionKey": "k"}),
            "ResourceNotFoundException: Stream none under account 000000000000 not found.",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "Data": "", "PartitionKey": "k", "ExplicitHashKey":
                "340282366920938463463374607431768211456"}),
            "InvalidArgumentException: Invalid ExplicitHashKey. ExplicitHashKey must be in the \
             range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "Data": big, "PartitionKey": "k"}),
            "ValidationException: 1 validation error detected: Value at 'data' failed to satisfy \
             constraint: Member must have length less than or equal to 1048576.",
        ),
        (
            "PutRecords",
            json!({"StreamName": "s", "Records": [record(""), record(&big)]}),
            "ValidationException: 1 validation error detected: Value at 'records.2.member.data' \
             failed to satisfy constraint: Member must have length less than or equal to 1048576.",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "PartitionKey": "k"}),
            "ValidationException: 1 validation error detected: Value null at 'data' failed to \
             satisfy constraint: Member must not be null",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "Data": "A", "PartitionKey": "k"}),
            "SerializationException: 'A' can not be converted to a Blob: Base64 encoded length is \
             expected a multiple of 4 bytes but found: 1",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "Data": "", "PartitionKey": 5}),
            "SerializationException: class com.amazon.coral.value.json.numbers.TruncatingBigNumber \
             can not be converted to an String",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "Data": "", "PartitionKey": "k",
                   "SequenceNumberForOrdering": "5"}),
            "InvalidArgumentException: ExclusiveMinimumSequenceNumber 5 used in PutRecord on \
             stream s under account 000000000000 is invalid.",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "Data": "", "PartitionKey": "k", "DryRun": true}),
            "DryRunOperationException: Request would have succeeded, but DryRun flag is set.",
        ),
        (
            "PutRecords",
            json!({"StreamName": "none", "Records": [record("")], "DryRun": true}),
            "ResourceNotFoundException: Stream none under account 000000000000 not found.",
        ),
    ] {
        assert_eq!(node.refused(operation, input).await, expected);
    }
    assert!(node.read_all("s", "shardId-000000000000").await.is_empty(), "nothing was stored");
    node.stop().await;
}

#[tokio::test]
async fn iterators_are_refused_in_aws_words() {
    let node = TestNode::start().await;
    node.stream("s", 1).await;
    let shard = "shardId-000000000000";
    let base = json!({"StreamName": "s", "ShardId": shard, "ShardIteratorType": "LATEST"});
    let with = |changes: Value| {
        let mut input = base.clone();
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        input
    };
    const PAIRING: &str = "InvalidArgumentException: Must either specify (1) AT_SEQUENCE_NUMBER or \
         AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no \
         StartingSequenceNumber. Request specified";
    for (input, expected) in [
        (
            with(json!({"StreamName": "none"})),
            "ResourceNotFoundException: Shard shardId-000000000000 in stream none under account \
             000000000000 does not exist"
                .to_owned(),
        ),
        (
            with(json!({"ShardId": "shardId-7"})),
            "ResourceNotFoundException: Shard shardId-000000000007 in stream s under account \
             000000000000 does not exist"
                .to_owned(),
        ),
        (
            with(json!({"ShardId": "shard", "StreamName": "none"})),
            "ResourceNotFoundException: Could not find shard shard in stream none under account \
             000000000000."
                .to_owned(),
        ),
        (
            with(json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER"})),
            format!("{PAIRING} AT_SEQUENCE_NUMBER and no StartingSequenceNumber."),
        ),
        (
            with(json!({"StartingSequenceNumber": "5"})),
            format!("{PAIRING} LATEST and also a StartingSequenceNumber."),
        ),
        (
            with(json!({"ShardIteratorType": "AT_TIMESTAMP"})),
            "InvalidArgumentException: Must specify timestampInMillis parameter for iterator of \
             type AT_TIMESTAMP. Current request has no timestamp parameter."
                .to_owned(),
        ),
        (
            with(json!({"ShardIteratorType": "NEWEST"})),
            "ValidationException: 1 validation error detected: Value 'NEWEST' at \
             'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: \
             [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
                .to_owned(),
        ),
    ] {
        assert_eq!(node.refused("GetShardIterator", input).await, expected);
    }
    let future = with(json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 9e9}));
    let error = node.refused("GetShardIterator", future).await;
    let start = "InvalidArgumentException: The timestampInMillis parameter cannot be greater than \
                 the currentTimestampInMillis. timestampInMillis: 9000000000000, \
                 currentTimestampInMillis: ";
    assert!(error.starts_with(start), "{error}");
    for forged in ["x", "AAAAAAAAAAE="] {
        assert_eq!(
            node.refused("GetRecords", json!({"ShardIterator": forged})).await,
            "InvalidArgumentException: Invalid ShardIterator."
        );
    }
    let iterator = node.ok("GetShardIterator", base.clone()).await["ShardIterator"].clone();
    let mut broken = iterator.as_str().unwrap().to_owned();
    broken.truncate(broken.len() - 4);
    assert_eq!(
        node.refused("GetRecords", json!({"ShardIterator": broken})).await,
        "InvalidArgumentException: Invalid ShardIterator."
    );
    assert_eq!(
        node.refused("GetRecords", json!({"ShardIterator": iterator, "DryRun": true})).await,
        "DryRunOperationException: Request would have succeeded, but DryRun flag is set."
    );
    node.ok("DeleteStream", json!({"StreamName": "s"})).await;
    assert_eq!(
        node.refused("GetRecords", json!({"ShardIterator": iterator})).await,
        "ResourceNotFoundException: Shard shardId-000000000000 in stream s under account \
         000000000000 does not exist"
    );
    node.stop().await;
}

#[tokio::test]
async fn iterators_expire() {
    let short = millstream_server::config::units::Span::from_millis(50);
    let node = TestNode::start_with(|c| c.streams.iterator_life = short).await;
    node.stream("s", 1).await;
    let input = json!({"StreamName": "s", "ShardId": "shardId-000000000000",
                       "ShardIteratorType": "LATEST"});
    let iterator = node.ok("GetShardIterator", input).await["ShardIterator"].clone();
    tokio::time::sleep(std::time::Duration::from_millis(120)).await;
    let error = node.refused("GetRecords", json!({"ShardIterator": iterator})).await;
    let start = "ExpiredIteratorException: Iterator expired. The iterator was created at time ";
    assert!(error.starts_with(start), "{error}");
    let end = "which is further in the future than the tolerated delay of 50 milliseconds.";
    assert!(error.ends_with(end), "{error}");
    assert!(error.contains(" UTC 20"), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn shards_are_listed() {
    let node = TestNode::start().await;
    node.stream("s", 3).await;
    let ids = |page: &Value| -> Vec<String> {
        page["Shards"].as_array().unwrap().iter().map(|s| s["ShardId"].to_string()).collect()
    };
    let page = node.ok("ListShards", json!({"StreamName": "s"})).await;
    assert_eq!(ids(&page).len(), 3);
    assert!(page.get("NextToken").is_none());
    let page = node.ok("ListShards", json!({"StreamName": "s", "MaxResults": 2})).await;
    assert_eq!(ids(&page).len(), 2);
    let page = node.ok("ListShards", json!({"NextToken": page["NextToken"]})).await;
    assert_eq!(ids(&page), ["\"shardId-000000000002\""]);
    for kind in ["AT_LATEST", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON"] {
        let input = json!({"StreamName": "s", "ShardFilter": {"Type": kind}});
        assert_eq!(ids(&node.ok("ListShards", input).await).len(), 3, "{kind}");
    }
    let after = json!({"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000001"});
    let page = node.ok("ListShards", json!({"StreamName": "s", "ShardFilter": after})).await;
    assert_eq!(ids(&page), ["\"shardId-000000000002\""]);
    for (input, expected) in [
        (json!({}), "InvalidArgumentException: Either NextToken or StreamName should be provided."),
        (
            json!({"NextToken": "x", "StreamName": "s"}),
            "InvalidArgumentException: NextToken and StreamName cannot be provided together.",
        ),
        (
            json!({"NextToken": "x", "ShardFilter": {"Type": "AT_LATEST"}}),
            "InvalidArgumentException: NextToken and ShardFilter cannot be provided together.",
        ),
        (
            json!({"NextToken": "x", "ExclusiveStartShardId": "shardId-0"}),
            "InvalidArgumentException: NextToken and ExclusiveStartShardId cannot be provided \
             together.",
        ),
        (json!({"NextToken": "x"}), "InvalidArgumentException: Invalid NextToken."),
        (
            json!({"StreamName": "s", "ShardFilter": {"Type": "AFTER_SHARD_ID"}}),
            "InvalidArgumentException: ShardId must be provided with the ShardFilter type \
             AFTER_SHARD_ID.",
        ),
        (
            json!({"StreamName": "s", "ShardFilter": {"Type": "AT_LATEST", "Timestamp": 1}}),
            "InvalidArgumentException: Timestamp cannot be provided with the ShardFilter type \
             AT_LATEST.",
        ),
        (
            json!({"StreamName": "none"}),
            "ResourceNotFoundException: Stream none under account 000000000000 not found.",
        ),
    ] {
        assert_eq!(node.refused("ListShards", input).await, expected);
    }
    node.stop().await;
}

#[tokio::test]
async fn tags_by_stream_and_by_arn_are_one_set() {
    let node = TestNode::start().await;
    let arn = format!("{ARN}s");
    let input = json!({"StreamName": "s", "ShardCount": 1, "Tags": {"a": "1"}});
    node.ok("CreateStream", input).await;
    node.ok("AddTagsToStream", json!({"StreamName": "s", "Tags": {"b": "2", "c": ""}})).await;
    node.ok("TagResource", json!({"ResourceARN": arn, "Tags": {"d": "4", "a": "5"}})).await;
    let all = json!([
        {"Key": "a", "Value": "5"}, {"Key": "b", "Value": "2"},
        {"Key": "c", "Value": ""}, {"Key": "d", "Value": "4"},
    ]);
    let listed = node.ok("ListTagsForStream", json!({"StreamARN": arn})).await;
    assert_eq!(listed, json!({"Tags": all, "HasMoreTags": false}));
    assert_eq!(node.ok("ListTagsForResource", json!({"ResourceARN": arn})).await["Tags"], all);
    let input = json!({"StreamName": "s", "Limit": 1, "ExclusiveStartTagKey": "a"});
    let page = node.ok("ListTagsForStream", input).await;
    assert_eq!(page, json!({"Tags": [{"Key": "b", "Value": "2"}], "HasMoreTags": true}));
    node.ok("RemoveTagsFromStream", json!({"StreamName": "s", "TagKeys": ["a", "x"]})).await;
    node.ok("UntagResource", json!({"ResourceARN": arn, "TagKeys": ["d"]})).await;
    let left = node.ok("ListTagsForResource", json!({"ResourceARN": arn})).await;
    assert_eq!(left["Tags"], json!([{"Key": "b", "Value": "2"}, {"Key": "c", "Value": ""}]));

    let many: BTreeMap<String, &str> = (0..49).map(|n| (format!("k{n}"), "")).collect();
    for (operation, input, expected) in [
        (
            "AddTagsToStream",
            json!({"StreamName": "none", "Tags": {"!": ""}}),
            "ResourceNotFoundException: Stream none under account 000000000000 not found.",
        ),
        (
            "AddTagsToStream",
            json!({"StreamName": "s", "Tags": {"!": ""}}),
            "InvalidArgumentException: Some tags contain invalid characters. Valid characters: \
             Unicode letters, digits, white space, _ . / = + - % @.",
        ),
        (
            "AddTagsToStream",
            json!({"StreamName": "s", "Tags": {"%": ""}}),
            "InvalidArgumentException: Failed to add tags to stream s under account 000000000000 \
             because some tags contained illegal characters. The allowed characters are Unicode \
             letters, white-spaces, '_',',','/','=','+','-','@'.",
        ),
        (
            "RemoveTagsFromStream",
            json!({"StreamName": "s", "TagKeys": ["%"]}),
            "InvalidArgumentException: Failed to remove tags from stream s under account \
             000000000000 because some tags contained illegal characters. The allowed characters \
             are Unicode letters, white-spaces, '_',',','/','=','+','-','@'.",
        ),
        (
            "TagResource",
            json!({"ResourceARN": arn, "Tags": many}),
            "InvalidArgumentException: Failed to add tags to stream s under account 000000000000 \
             because a given stream cannot have more than 50 tags associated with it.",
        ),
    ] {
        assert_eq!(node.refused(operation, input).await, expected);
    }
    node.stop().await;
}

#[tokio::test]
async fn settings_and_limits() {
    let node = TestNode::start().await;
    node.stream("s", 2).await;
    let hours = |n: i64| json!({"StreamName": "s", "RetentionPeriodHours": n});
    node.ok("IncreaseStreamRetentionPeriod", hours(24)).await;
    node.ok("IncreaseStreamRetentionPeriod", hours(48)).await;
    for (operation, n, expected) in [
        (
            "IncreaseStreamRetentionPeriod",
            24,
            "Requested retention period (24 hours) for stream s can not be shorter than existing \
             retention period (48 hours). Use DecreaseRetentionPeriod API.",
        ),
        (
            "DecreaseStreamRetentionPeriod",
            72,
            "Requested retention period (72 hours) for stream s can not be longer than existing \
             retention period (48 hours). Use IncreaseRetentionPeriod API.",
        ),
        (
            "DecreaseStreamRetentionPeriod",
            23,
            "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) \
             is too short.",
        ),
        (
            "IncreaseStreamRetentionPeriod",
            8761,
            "Maximum allowed retention period is 8760 hours. Requested retention period (8761 \
             hours) is too long.",
        ),
    ] {
        assert_eq!(
            node.refused(operation, hours(n)).await,
            format!("InvalidArgumentException: {expected}")
        );
    }
    node.ok("DecreaseStreamRetentionPeriod", hours(24)).await;
    let size = json!({"StreamARN": format!("{ARN}s"), "MaxRecordSizeInKiB": 10240});
    node.ok("UpdateMaxRecordSize", size).await;
    let s = node.ok("DescribeStreamSummary", json!({"StreamName": "s"})).await;
    assert_eq!(s["StreamDescriptionSummary"]["MaxRecordSizeInKiB"], 10240);
    assert_eq!(s["StreamDescriptionSummary"]["RetentionPeriodHours"], 24);
    let large = json!({"StreamName": "s", "PartitionKey": "k", "Data": "A".repeat(4 << 20)});
    node.ok("PutRecord", large).await;

    let limits = node.ok("DescribeLimits", json!({})).await;
    assert_eq!(limits["OpenShardCount"], 2);
    assert_eq!(limits["OnDemandStreamCount"], 0);
    assert!(limits["ShardLimit"].as_u64().unwrap() >= 500);
    let settings = node.ok("DescribeAccountSettings", json!({})).await;
    assert_eq!(settings, json!({"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}}));
    node.stop().await;
}

#[tokio::test]
async fn several_faults_are_told_together() {
    let node = TestNode::start().await;
    let error = node
        .refused("GetRecords", json!({"ShardIterator": "", "Limit": 0, "StreamARN": "x"}))
        .await;
    assert!(error.starts_with("ValidationException: 3 validation errors detected: "), "{error}");
    assert_eq!(
        node.refused("CreateStream", json!({"StreamName": "", "ShardCount": 1})).await,
        "ValidationException: 2 validation errors detected: Value '' at 'streamName' failed to \
         satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; \
         Value '' at 'streamName' failed to satisfy constraint: Member must have length greater \
         than or equal to 1"
    );
    node.stop().await;
}

#[tokio::test]
async fn restart_keeps_streams_and_records() {
    let node = TestNode::start().await;
    node.stream("s", 2).await;
    let put = |n: usize| {
        json!({"StreamName": "s", "PartitionKey": "a", "Data": "MQ==",
                                "ExplicitHashKey": n.to_string()})
    };
    let mut numbers = Vec::new();
    for n in 0..20 {
        numbers.push(node.ok("PutRecord", put(n)).await["SequenceNumber"].clone());
    }
    let node = node.restart().await;
    assert!(node.node.recovery().contains("logs"), "{}", node.node.recovery());
    numbers.push(node.ok("PutRecord", put(99)).await["SequenceNumber"].clone());
    let read = node.read_all("s", "shardId-000000000000").await;
    let read: Vec<_> = read.iter().map(|r| r["SequenceNumber"].clone()).collect();
    assert_eq!(read, numbers);
    let texts: Vec<&str> = numbers.iter().map(|n| n.as_str().unwrap()).collect();
    assert!(texts.is_sorted_by(|a, b| a < b), "strictly increasing: {texts:?}");
    node.stop().await;
}

//! CloudWatch's API over a real socket, in each of its protocols.
#![allow(clippy::disallowed_methods)]

mod support;

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{Answer, Request, TestNode};

const JSON10: &str = "application/x-amz-json-1.0";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
     Credential=AKIDEXAMPLE/20260101/us-east-1/monitoring/aws4_request, \
     SignedHeaders=host;x-amz-date, Signature=00";

fn signed(path: &str) -> Request {
    Request::new("POST", path)
        .with("X-Amz-Date", "20260101T000000Z")
        .with("Authorization", AUTHORIZATION)
}

fn json_request(operation: &str, input: &Value) -> Request {
    signed("/")
        .with("X-Amz-Target", &format!("GraniteServiceVersion20100801.{operation}"))
        .with("Content-Type", JSON10)
        .body(input.to_string().as_bytes())
}

fn form(body: &str) -> Request {
    signed("/").with("Content-Type", FORM).body(body.as_bytes())
}

async fn send(node: &TestNode, request: Request) -> Answer {
    node.connect().await.send(&request).await
}

async fn ok(node: &TestNode, operation: &str, input: Value) -> Value {
    let answer = send(node, json_request(operation, &input)).await;
    assert_eq!(answer.status, 200, "{operation} {input}: {answer:?}");
    answer.json()
}

/// The old code and the message of a refusal.
async fn refused(node: &TestNode, operation: &str, input: Value) -> String {
    let answer = send(node, json_request(operation, &input)).await;
    assert_eq!(answer.status, 400, "{operation} {input}: {answer:?}");
    let code = answer.header("x-amzn-query-error").expect("a code of old").to_owned();
    let code = code.strip_suffix(";Sender").expect("the caller's fault");
    format!("{code}: {}", answer.json()["message"].as_str().unwrap_or("-"))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn put(data: Value) -> Value {
    json!({"Namespace": "Test", "MetricData": data})
}

fn statistics(name: &str, statistics: Value) -> Value {
    json!({
        "Namespace": "Test", "MetricName": name, "StartTime": now() - 3600,
        "EndTime": now() + 3600, "Period": 7200, "Statistics": statistics,
    })
}

#[tokio::test]
async fn what_is_put_is_told_and_outlives_a_restart() {
    let node = TestNode::start().await;
    let dimensions = json!([{"Name": "Host", "Value": "a"}]);
    let data = json!([
        {"MetricName": "Load", "Value": 1.5, "Unit": "Count", "Dimensions": dimensions},
        {"MetricName": "Load", "Value": 4, "Unit": "Count", "Dimensions": dimensions},
        {"MetricName": "Load", "Value": 9, "Unit": "Count"},
        {"MetricName": "Set", "StatisticValues":
            {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}},
        {"MetricName": "Many", "Values": [1, 2, 3], "Counts": [1, 1, 8]},
    ]);
    assert_eq!(ok(&node, "PutMetricData", put(data)).await, Value::Null);
    let mut asked = statistics("Load", json!(["Sum", "Average", "SampleCount", "Maximum"]));
    asked["Dimensions"] = dimensions;
    let mut node = node;
    for life in 0..2 {
        let told = ok(&node, "GetMetricStatistics", asked.clone()).await;
        assert_eq!(told["Label"], "Load");
        let point = &told["Datapoints"][0];
        assert_eq!((&point["Sum"], &point["Average"]), (&json!(5.5), &json!(2.75)), "life {life}");
        assert_eq!((&point["SampleCount"], &point["Maximum"]), (&json!(2.0), &json!(4.0)));
        assert_eq!((&point["Unit"], &point["Minimum"]), (&json!("Count"), &Value::Null));

        let mut percentiles = statistics("Many", Value::Null);
        percentiles["ExtendedStatistics"] = json!(["p10", "p90"]);
        let told = ok(&node, "GetMetricStatistics", percentiles).await;
        let expected = json!({"p10": 1.0, "p90": 3.0});
        assert_eq!(told["Datapoints"][0]["ExtendedStatistics"], expected);

        let listed = ok(&node, "ListMetrics", json!({"MetricName": "Load"})).await;
        assert_eq!(listed["Metrics"].as_array().unwrap().len(), 2);
        let filter = json!({"Dimensions": [{"Name": "Host"}], "RecentlyActive": "PT3H"});
        let listed = ok(&node, "ListMetrics", filter).await;
        assert_eq!(listed["Metrics"][0]["Dimensions"], json!([{"Name": "Host", "Value": "a"}]));
        assert_eq!(listed["Metrics"].as_array().unwrap().len(), 1);
        node = node.restart().await;
    }
    node.stop().await;
}

#[tokio::test]
async fn accounts_and_regions_do_not_see_each_other() {
    let node = TestNode::start().await;
    ok(&node, "PutMetricData", put(json!([{"MetricName": "m", "Value": 1}]))).await;
    for scope in ["123456789012/20260101/us-east-1", "AKIDEXAMPLE/20260101/eu-west-1"] {
        let other = AUTHORIZATION.replace("AKIDEXAMPLE/20260101/us-east-1", scope);
        let request = json_request("ListMetrics", &json!({})).replace("Authorization", &other);
        assert_eq!(send(&node, request).await.json()["Metrics"], json!([]), "{scope}");
    }
    node.stop().await;
}

#[tokio::test]
async fn forms_are_answered_in_xml() {
    let node = TestNode::start().await;
    let answer = send(
        &node,
        form(
            "Action=PutMetricData&Version=2010-08-01&Namespace=Test&MetricData.member.1.MetricName=a\
             &MetricData.member.1.Value=7&MetricData.member.1.Unit=Bytes\
             &MetricData.member.1.Dimensions.member.1.Name=D\
             &MetricData.member.1.Dimensions.member.1.Value=x%26y",
        ),
    )
    .await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/xml")));
    let id = answer.header("x-amzn-requestid").unwrap();
    assert_eq!(
        answer.text(),
        format!(
            "<PutMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">\
             <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
             </PutMetricDataResponse>"
        )
    );
    let listed = send(&node, form("Action=ListMetrics&Namespace=Test")).await;
    let member = "<ListMetricsResult><Metrics><member><Namespace>Test</Namespace>\
                  <MetricName>a</MetricName><Dimensions><member><Name>D</Name>\
                  <Value>x&amp;y</Value></member></Dimensions></member></Metrics>\
                  </ListMetricsResult>";
    assert!(listed.text().contains(member), "{listed:?}");

    for (body, code, status) in [
        ("Action=PutMetricData&Namespace=Test", "MissingParameter", 400),
        ("Action=PutMetricData", "ValidationError", 400),
        ("Action=GetMetricStatistics&Namespace=N&MetricName=m&Period=x", "MalformedInput", 400),
        ("Action=Sing", "InvalidAction", 400),
        ("Version=2010-08-01", "MissingAction", 400),
    ] {
        let answer = send(&node, form(body)).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        let told = format!("<Error><Type>Sender</Type><Code>{code}</Code>");
        assert!(answer.text().contains(&told), "{body}: {answer:?}");
        assert!(answer.text().starts_with("<ErrorResponse xmlns="), "{body}: {answer:?}");
    }
    node.stop().await;
}

/// Only a body; what its members are is the codec's own tests' business.
#[tokio::test]
async fn cbor_is_spoken_at_its_path() {
    let node = TestNode::start().await;
    let path =
        |operation: &str| format!("/service/GraniteServiceVersion20100801/operation/{operation}");
    let request = |operation: &str, body: &[u8]| {
        signed(&path(operation))
            .with("Content-Type", "application/cbor")
            .with("smithy-protocol", "rpc-v2-cbor")
            .body(body)
    };
    // {"Namespace": "Test", "MetricData": [{"MetricName": "c", "Value": 3}]}
    let body = b"\xa2\x69Namespace\x64Test\x6aMetricData\x81\xa2\x6aMetricName\x61c\x65Value\x03";
    let answer = send(&node, request("PutMetricData", body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("smithy-protocol"), Some("rpc-v2-cbor"));
    let listed = ok(&node, "ListMetrics", json!({})).await;
    assert_eq!(listed["Metrics"][0]["MetricName"], "c");

    let answer = send(&node, request("PutMetricData", b"\xa1\x69Namespace\x64Test")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("smithy-protocol"), Some("rpc-v2-cbor"));
    assert_eq!(answer.header("x-amzn-query-error"), Some("MissingParameter;Sender"));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("MissingRequiredParameterException"), "{text}");
    node.stop().await;
}

#[tokio::test]
async fn packed_bodies_are_unpacked_within_bounds() {
    let node = TestNode::start().await;
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let input = put(json!([{"MetricName": "z", "Value": 1}])).to_string();
    let request = |body: &[u8]| {
        json_request("PutMetricData", &json!({})).with("Content-Encoding", "gzip").body(body)
    };
    let answer = send(&node, request(&pack(input.as_bytes()))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(ok(&node, "ListMetrics", json!({})).await["Metrics"][0]["MetricName"], "z");

    let bomb = pack(&vec![b' '; 32 << 20]);
    assert_eq!(send(&node, request(&bomb)).await.status, 413);
    assert_eq!(send(&node, request(b"no gzip")).await.status, 400);
    let large = json_request("PutMetricData", &json!({"Namespace": "x".repeat(1 << 20)}));
    assert_eq!(send(&node, large).await.status, 413);
    node.stop().await;
}

#[tokio::test]
async fn bad_data_are_refused_with_their_place() {
    let node = TestNode::start().await;
    let late = now() + 3 * 3600;
    let set = json!({"SampleCount": 1, "Sum": 1, "Minimum": 2, "Maximum": 1});
    for (datum, expected) in [
        (json!({"MetricName": "m", "Value": 1e200}), "InvalidParameterValue: The value 1"),
        (
            json!({"MetricName": "m"}),
            "InvalidParameterCombination: At least one of the parameters MetricData.member.1.Value",
        ),
        (
            json!({"MetricName": "m", "Value": 1, "Values": [1]}),
            "InvalidParameterCombination: The parameters MetricData.member.1.Value and \
             MetricData.member.1.Values are mutually exclusive",
        ),
        (
            json!({"MetricName": "m", "Value": 1, "StatisticValues": set}),
            "InvalidParameterCombination: The parameters MetricData.member.1.Value and \
             MetricData.member.1.StatisticValues are mutually exclusive",
        ),
        (
            json!({"MetricName": "m", "Values": [1, 2], "Counts": [1]}),
            "InvalidParameterValue: The parameters MetricData.member.1.Values and",
        ),
        (
            json!({"MetricName": "m", "Values": [1], "Counts": [0]}),
            "InvalidParameterValue: The value 0 for parameter MetricData.member.1.Counts",
        ),
        (
            json!({"MetricName": "m", "Values": vec![1; 151]}),
            "InvalidParameterValue: The collection MetricData.member.1.Values must not have a size \
             greater than 150.",
        ),
        (
            json!({"MetricName": "m", "StatisticValues": set}),
            "InvalidParameterValue: The parameter MetricData.member.1.StatisticValues.Maximum",
        ),
        (
            json!({"MetricName": "m", "Value": 1, "Timestamp": late}),
            "InvalidParameterValue: The parameter MetricData.member.1.Timestamp must specify",
        ),
        (
            json!({"MetricName": "m", "Value": 1, "Timestamp": now() - 15 * 86_400}),
            "InvalidParameterValue: The parameter MetricData.member.1.Timestamp must specify",
        ),
        (
            json!({"MetricName": "m", "Value": 1, "StorageResolution": 7}),
            "InvalidParameterValue: The parameter MetricData.member.1.StorageResolution",
        ),
        (json!({"MetricName": "m", "Value": 1, "Unit": "Stone"}), "ValidationError: 1 validation"),
        (json!({"Value": 1}), "ValidationError: 1 validation error detected: Value"),
        (
            json!({"MetricName": "m", "Value": 1, "Dimensions":
                [{"Name": "a", "Value": "1"}, {"Name": "a", "Value": "2"}]}),
            "InvalidParameterValue: The dimension a is given more than once",
        ),
    ] {
        let message = refused(&node, "PutMetricData", put(json!([datum]))).await;
        assert!(message.starts_with(expected), "{datum}: {message}");
    }
    let one = json!({"MetricName": "m", "Value": 1});
    let message = refused(&node, "PutMetricData", put(json!(vec![one.clone(); 1001]))).await;
    assert!(message.ends_with("must not have a size greater than 1000."), "{message}");
    for namespace in ["AWS/Kinesis", "ä"] {
        let input = json!({"Namespace": namespace, "MetricData": [one]});
        let message = refused(&node, "PutMetricData", input).await;
        let expected = format!("The value {namespace} for parameter Namespace is invalid.");
        assert_eq!(message, format!("InvalidParameterValue: {expected}"));
    }
    assert_eq!(ok(&node, "ListMetrics", json!({})).await["Metrics"], json!([]));
    node.stop().await;
}

#[tokio::test]
async fn bad_questions_are_refused() {
    let node = TestNode::start().await;
    let with = |key: &str, value: Value| {
        let mut input = statistics("m", json!(["Sum"]));
        input[key] = value;
        input
    };
    for (input, expected) in [
        (with("Statistics", json!([])), "ValidationError: 1 validation"),
        (with("Statistics", Value::Null), "InvalidParameterCombination: Must specify either"),
        (with("ExtendedStatistics", json!(["p9"])), "InvalidParameterCombination: The parameters"),
        (with("Period", json!(61)), "InvalidParameterValue: The parameter Period must be"),
        (with("EndTime", json!(5)), "InvalidParameterValue: The parameter StartTime must be less"),
        (
            with("StartTime", json!(now() - 86_400 * 1000)),
            "InvalidParameterCombination: You have requested up to 12,0",
        ),
    ] {
        let message = refused(&node, "GetMetricStatistics", input.clone()).await;
        assert!(message.starts_with(expected), "{input}: {message}");
    }
    let message = refused(&node, "ListMetrics", json!({"NextToken": "x"})).await;
    assert!(message.starts_with("InvalidParameterValue: Request parameter NextToken"), "{message}");

    let stat =
        json!({"Metric": {"Namespace": "N", "MetricName": "m"}, "Period": 60, "Stat": "Sum"});
    let ask = |queries: Value| {
        json!({
            "MetricDataQueries": queries, "StartTime": now() - 600, "EndTime": now(),
        })
    };
    for (queries, expected) in [
        (json!([]), "ValidationError: The parameter MetricDataQueries is required"),
        (json!([{"Id": "A", "MetricStat": stat}]), "ValidationError: The value A for parameter"),
        (
            json!([{"Id": "a", "MetricStat": stat}, {"Id": "a", "MetricStat": stat}]),
            "ValidationError: The values for parameter id in MetricDataQueries are not unique.",
        ),
        (json!([{"Id": "a"}]), "ValidationError: Each MetricDataQuery must specify"),
        (json!([{"Id": "a", "Expression": "m1+1"}]), "ValidationError: MetricDataQueries.member.1"),
        (
            json!([{"Id": "a", "MetricStat": stat, "Period": 60}]),
            "ValidationError: The parameters MetricDataQueries.member.1.Period and",
        ),
        (
            json!([{"Id": "a", "MetricStat": stat, "ReturnData": false}]),
            "ValidationError: At least",
        ),
    ] {
        let message = refused(&node, "GetMetricData", ask(queries.clone())).await;
        assert!(message.starts_with(expected), "{queries}: {message}");
    }
    let mut input = ask(json!([{"Id": "a", "MetricStat": stat}]));
    input["NextToken"] = json!("broken");
    let message = refused(&node, "GetMetricData", input).await;
    assert!(message.starts_with("InvalidNextToken"), "{message}");
    node.stop().await;
}

#[tokio::test]
async fn metric_data_come_in_pages_and_in_the_order_asked_for() {
    let node = TestNode::start().await;
    let first = now() / 60 * 60 - 1200;
    let datum = |name: &str, at: u64| json!({"MetricName": name, "Value": at, "Timestamp": first + at * 60});
    let data: Vec<_> = (0..10).flat_map(|at| [datum("x", at), datum("y", at)]).collect();
    ok(&node, "PutMetricData", put(json!(data))).await;
    let query = |id: &str| {
        let metric = json!({"Namespace": "Test", "MetricName": id});
        json!({"Id": id, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}})
    };
    for (scan_by, reversed) in [("TimestampDescending", true), ("TimestampAscending", false)] {
        let mut input = json!({
            "MetricDataQueries": [query("x"), query("y")], "StartTime": first,
            "EndTime": first + 600, "MaxDatapoints": 3, "ScanBy": scan_by,
        });
        let (mut seen, mut pages) = (Vec::new(), 0);
        loop {
            let page = ok(&node, "GetMetricData", input.clone()).await;
            pages += 1;
            for result in page["MetricDataResults"].as_array().unwrap() {
                let values = result["Values"].as_array().unwrap().clone();
                assert_eq!(values.len(), result["Timestamps"].as_array().unwrap().len());
                seen.extend(values.into_iter().map(|v| v.as_f64().unwrap()));
            }
            match page["NextToken"].as_str() {
                Some(token) => input["NextToken"] = json!(token),
                None => break,
            }
        }
        let mut once: Vec<f64> = (0..10).map(f64::from).collect();
        if reversed {
            once.reverse();
        }
        assert_eq!(seen, [once.clone(), once].concat(), "{scan_by}");
        assert_eq!(pages, 7, "{scan_by}");
    }
    node.stop().await;
}

#[tokio::test]
async fn metrics_are_listed_in_pages() {
    let node = TestNode::start().await;
    let names: Vec<String> = (0..1200).map(|n| format!("m{n:04}")).collect();
    for part in names.chunks(600) {
        let data: Vec<_> = part.iter().map(|n| json!({"MetricName": n, "Value": 1})).collect();
        ok(&node, "PutMetricData", put(json!(data))).await;
    }
    let (mut seen, mut input) = (Vec::new(), json!({"Namespace": "Test"}));
    loop {
        let page = ok(&node, "ListMetrics", input.clone()).await;
        let metrics = page["Metrics"].as_array().unwrap();
        assert!(metrics.len() <= 500);
        seen.extend(metrics.iter().map(|m| m["MetricName"].as_str().unwrap().to_owned()));
        match page["NextToken"].as_str() {
            Some(token) => input["NextToken"] = json!(token),
            None => break,
        }
    }
    assert_eq!(seen, names);
    node.stop().await;
}

#[tokio::test]
async fn a_bound_of_the_node_is_told() {
    let node = TestNode::start_with(|config| config.monitoring.series_max = 2).await;
    let data = json!([{"MetricName": "a", "Value": 1}, {"MetricName": "b", "Value": 1}]);
    ok(&node, "PutMetricData", put(data.clone())).await;
    ok(&node, "PutMetricData", put(data)).await;
    let third = put(json!([{"MetricName": "c", "Value": 1}]));
    let message = refused(&node, "PutMetricData", third).await;
    assert_eq!(message, "LimitExceeded: 2 metrics are kept already.");
    node.stop().await;
}

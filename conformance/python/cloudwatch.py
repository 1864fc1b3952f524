"""CloudWatch through boto3 in one of its protocols: puts, asks, and is refused as by AWS.

Usage: python cloudwatch.py ENDPOINT PROTOCOL, where the protocol is one of the model's.
"""

import datetime
import sys

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, PROTOCOL = sys.argv[1:]
NAMESPACE = f"Test/{PROTOCOL}"
DIMENSIONS = [{"Name": "Host", "Value": "a & <b>"}]


def client():
    session = botocore.session.get_session()
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    def load_for_protocol(service, kind, api_version=None):
        model = load(service, kind, api_version)
        if kind == "service-2" and service == "cloudwatch":
            model["metadata"] |= {"protocol": PROTOCOL, "protocols": [PROTOCOL]}
        return model

    loader.load_service_model = load_for_protocol
    return boto3.Session(botocore_session=session).client(
        "cloudwatch",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id="AKID",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, request_min_compression_size_bytes=2000),
    )


def datum(name, **rest):
    return {"MetricName": name, "Dimensions": DIMENSIONS, "Unit": "Count", **rest}


def refused(code, call, **params):
    try:
        call(**params)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["ResponseMetadata"]["RequestId"], error.response
        return error
    raise AssertionError(f"{params} should have been refused with {code}")


cloudwatch = client()
sent = []
cloudwatch.meta.events.register(
    "before-send.cloudwatch.*", lambda request, **_: sent.append(request) and None
)
now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
hour = datetime.timedelta(hours=1)

# A small request, and one that is packed.
cloudwatch.put_metric_data(
    Namespace=NAMESPACE,
    MetricData=[
        datum("load", Value=1.5, Timestamp=now),
        datum("load", StatisticValues={"SampleCount": 2, "Sum": 5, "Minimum": 2, "Maximum": 3}),
    ],
)
assert "Content-Encoding" not in sent[-1].headers
cloudwatch.put_metric_data(
    Namespace=NAMESPACE,
    MetricData=[datum("many", Values=[float(n)], Counts=[2.0]) for n in range(200)],
)
assert sent[-1].headers["Content-Encoding"] in (b"gzip", "gzip"), sent[-1].headers

statistics = {
    "Namespace": NAMESPACE,
    "Dimensions": DIMENSIONS,
    "StartTime": now - hour,
    "EndTime": now + hour,
    "Period": 7200,
}
told = cloudwatch.get_metric_statistics(
    MetricName="load", Statistics=["Sum", "Average", "SampleCount", "Minimum", "Maximum"], **statistics
)
(point,) = told["Datapoints"]
assert told["Label"] == "load" and point["Unit"] == "Count", told
assert (point["Sum"], point["SampleCount"], point["Minimum"], point["Maximum"]) == (6.5, 3, 1.5, 3), point
assert now - hour - datetime.timedelta(minutes=1) <= point["Timestamp"] <= now, point
(point,) = cloudwatch.get_metric_statistics(
    MetricName="many", ExtendedStatistics=["p50", "p99.5"], **statistics
)["Datapoints"]
assert point["ExtendedStatistics"] == {"p50": 99.0, "p99.5": 198.0}, point

stat = {"Metric": {"Namespace": NAMESPACE, "MetricName": "load", "Dimensions": DIMENSIONS}, "Period": 60}
query = {"Id": "q1", "MetricStat": stat | {"Stat": "Sum"}}
data = cloudwatch.get_metric_data(
    MetricDataQueries=[query], StartTime=now - hour, EndTime=now + hour, ScanBy="TimestampAscending"
)
(result,) = data["MetricDataResults"]
assert (result["Id"], result["Label"], result["StatusCode"]) == ("q1", "load", "Complete"), result
assert sum(result["Values"]) == 6.5 and len(result["Timestamps"]) == len(result["Values"]), result

cloudwatch.put_metric_data(
    Namespace=f"{NAMESPACE}/names", MetricData=[{"MetricName": f"n{n:03}", "Value": n} for n in range(600)]
)
pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace=f"{NAMESPACE}/names"))
names = [metric["MetricName"] for page in pages for metric in page["Metrics"]]
assert len(pages) == 2 and names == [f"n{n:03}" for n in range(600)], (len(pages), len(names))
(metric,) = cloudwatch.list_metrics(Namespace=NAMESPACE, MetricName="load", RecentlyActive="PT3H")["Metrics"]
assert metric["Dimensions"] == DIMENSIONS, metric

put = cloudwatch.put_metric_data
error = refused("InvalidParameterValue", put, Namespace=NAMESPACE, MetricData=[datum("x", Value=float("nan"))])
assert "The value NaN for parameter MetricData.member.1.Value is invalid." in str(error), error
assert isinstance(error, cloudwatch.exceptions.InvalidParameterValueException), type(error)
refused("MissingParameter", put, Namespace=NAMESPACE)
refused("InvalidParameterCombination", put, Namespace=NAMESPACE, MetricData=[{"MetricName": "x"}])
refused(
    "InvalidParameterValue", cloudwatch.get_metric_statistics,
    MetricName="load", Statistics=["Sum"], **(statistics | {"EndTime": now - 2 * hour}),
)
math = {"Id": "e", "Expression": "SUM(METRICS())"}
refused(
    "ValidationError", cloudwatch.get_metric_data,
    MetricDataQueries=[math], StartTime=now - hour, EndTime=now,
)
refused(
    "InvalidNextToken", cloudwatch.get_metric_data,
    MetricDataQueries=[query], StartTime=now - hour, EndTime=now, NextToken="broken",
)
print("ok")

"""Who did what, asked for with boto3: events by attribute, by time, page by page.

Usage: python audit.py ENDPOINT ACCESS_KEY_ID SECRET_ACCESS_KEY TOKEN DATA
The token and the data are secrets that must not be found anywhere afterwards.
"""

import datetime
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, KEY, SECRET, TOKEN, DATA = sys.argv[1:]


def client(service, secret=SECRET, token=TOKEN):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, user_agent_extra="planted/1"),
    )


kinesis, cloudtrail = client("kinesis"), client("cloudtrail")
for i in range(5):
    kinesis.create_stream(StreamName=f"audited-{i}", ShardCount=1, Tags={"Team": "a"})
kinesis.put_record(StreamName="audited-0", Data=DATA.encode(), PartitionKey=DATA)
kinesis.put_records(
    StreamName="audited-0", Records=[{"Data": DATA.encode(), "PartitionKey": DATA}] * 3
)
shard = kinesis.list_shards(StreamName="audited-0")["Shards"][0]["ShardId"]
iterator = kinesis.get_shard_iterator(
    StreamName="audited-0", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
)["ShardIterator"]
assert kinesis.get_records(ShardIterator=iterator)["Records"][0]["Data"] == DATA.encode()
# Wrong in many ways, each of which AWS's sentences repeat.
for wrong in (
    lambda: client("kinesis", secret="wrong" + DATA).list_streams(),
    lambda: kinesis.get_records(ShardIterator=DATA),
    lambda: kinesis.put_record(StreamName="audited-0", Data=DATA.encode(), PartitionKey=DATA * 99),
    lambda: kinesis.describe_stream(StreamName="nowhere"),
):
    try:
        wrong()
    except ClientError:
        continue
    raise AssertionError("that should have been refused")

pages = cloudtrail.get_paginator("lookup_events").paginate(
    LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateStream"}],
    PaginationConfig={"PageSize": 2},
)
events = [event for page in pages for event in page["Events"]]
assert [e["Resources"][0]["ResourceName"] for e in events] == [
    f"audited-{i}" for i in reversed(range(5))
], events
now = datetime.datetime.now(datetime.timezone.utc)
for event in events:
    assert abs(now - event["EventTime"]) < datetime.timedelta(minutes=5), event
    assert event["ReadOnly"] == "false" and event["AccessKeyId"] == KEY, event
    whole = json.loads(event["CloudTrailEvent"])
    assert whole["eventID"] == event["EventId"]
    assert whole["requestParameters"]["tags"] == {"Team": "a"}, whole
    assert "planted/1" in whole["userAgent"], whole
    assert whole["sourceIPAddress"] == "127.0.0.1", whole
failed = cloudtrail.lookup_events(
    LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DescribeStream"}]
)["Events"]
assert json.loads(failed[0]["CloudTrailEvent"])["errorCode"] == "ResourceNotFoundException"
old = cloudtrail.lookup_events(EndTime=now - datetime.timedelta(days=1))
assert old["Events"] == [], old
try:
    cloudtrail.lookup_events(StartTime=now, EndTime=now - datetime.timedelta(days=1))
    raise AssertionError("that should have been refused")
except ClientError as error:
    assert error.response["Error"]["Code"] == "InvalidTimeRangeException", error
print("ok")

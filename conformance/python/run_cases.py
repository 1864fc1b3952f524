"""Performs calls through boto3: the Python driver of the conformance tests.

Usage: run_cases.py ENDPOINT. Reads one call per line from standard input and prints one answer per
line; both are in the neutral form that conformance/src/driver.rs describes. Nothing here knows an
operation: botocore's own model says which members are bytes and which are times.
"""

import base64
import datetime
import json
import sys

import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.session


class Driver:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.credentials = botocore.credentials.Credentials("none", "secret")
        self.session = botocore.session.Session()
        self.session._credentials = self.credentials
        self.clients = {}

    def client(self, region):
        if region not in self.clients:
            config = botocore.config.Config(
                parameter_validation=False,
                retries={"total_max_attempts": 1},
                read_timeout=60,
            )
            self.clients[region] = self.session.create_client(
                "kinesis", region_name=region, endpoint_url=self.endpoint, config=config
            )
        return self.clients[region]

    def answer(self, call):
        self.credentials.access_key = call["account"]
        client = self.client(call["region"])
        model = client.meta.service_model.operation_model(call["op"])
        method = getattr(client, botocore.xform_name(call["op"]))
        params = to_python(model.input_shape, call["in"])
        try:
            out = method(**params)
        except botocore.exceptions.ClientError as error:
            told = error.response
            message = told["Error"].get("Message")
            return {
                "status": told["ResponseMetadata"]["HTTPStatusCode"],
                "error": told["Error"]["Code"],
                "message": message or None,
            }
        status = out.pop("ResponseMetadata")["HTTPStatusCode"]
        if "EventStream" in out:
            out = fold(out["EventStream"])
        return {"status": status, "out": to_neutral(out)}


def to_python(shape, value):
    if value is None or shape is None:
        return value
    if shape.type_name == "structure":
        members = shape.members
        return {name: to_python(members.get(name), item) for name, item in value.items()}
    if shape.type_name == "list":
        return [to_python(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {name: to_python(shape.value, item) for name, item in value.items()}
    if shape.type_name == "blob":
        return base64.b64decode(value)
    if shape.type_name == "timestamp":
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    return value


def to_neutral(value):
    if isinstance(value, dict):
        return {name: to_neutral(item) for name, item in value.items()}
    if isinstance(value, list):
        return [to_neutral(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return round(value.timestamp(), 3)
    return value


def fold(stream):
    """Reads a subscription to its end: all records, and what the last event said of the rest."""
    records, last, events = [], {}, 0
    for told in stream:
        last = dict(told["SubscribeToShardEvent"])
        records += last.pop("Records")
        events += 1
    return {**last, "Records": records, "Events": events}


def main():
    driver = Driver(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = driver.answer(json.loads(line))
        except Exception as error:  # whatever fails is the driver's answer, and its loop goes on
            answer = {"trouble": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()

"""One ListStreams through boto3 or the AWS CLI, whose clock may be wrong.

Usage: python door.py (boto3|cli|session) ENDPOINT SHIFT_SECONDS; credentials and the CA file come by the
usual variables. Prints "ok", or the error's code and message. `session` asks STS for temporary
credentials instead and prints them: key id, secret, token.
"""

import datetime
import sys

import botocore.auth
import botocore.exceptions


def shift_clock(seconds):
    right = botocore.auth.get_current_datetime
    shift = datetime.timedelta(seconds=seconds)
    botocore.auth.get_current_datetime = lambda *args, **kw: right(*args, **kw) + shift


def through_boto3(endpoint):
    import boto3
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": 1})
    kinesis = boto3.client("kinesis", endpoint_url=endpoint, config=config)
    try:
        assert kinesis.list_streams()["StreamNames"] == []
        print("ok")
    except botocore.exceptions.ClientError as error:
        print(error.response["Error"]["Code"], error.response["Error"]["Message"])


def through_cli(endpoint):
    from awscli.clidriver import main

    sys.argv = ["aws", "kinesis", "list-streams", "--endpoint-url", endpoint, "--output", "text"]
    code = main()
    if code == 0:
        print("ok")


def session(endpoint):
    import boto3

    made = boto3.client("sts", endpoint_url=endpoint).get_session_token(DurationSeconds=900)
    credentials = made["Credentials"]
    names = ["AccessKeyId", "SecretAccessKey", "SessionToken"]
    print(*(credentials[name] for name in names))


def main():
    kind, endpoint, shift = sys.argv[1:]
    shift_clock(int(shift))
    {"boto3": through_boto3, "cli": through_cli, "session": session}[kind](endpoint)


main()

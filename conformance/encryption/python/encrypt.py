"""Records encrypted on the client's side by the AWS Encryption SDK for Python, with our KMS.

Usage: python encrypt.py ENDPOINT
"""

import logging
import os
import sys
import time

ENDPOINT = sys.argv[1]
os.environ |= {
    "AWS_ENDPOINT_URL": ENDPOINT,
    "AWS_ACCESS_KEY_ID": "AKID",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

import boto3  # noqa: E402
import aws_encryption_sdk  # noqa: E402
from aws_encryption_sdk import CommitmentPolicy  # noqa: E402
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError  # noqa: E402

# What is refused on purpose need not be told.
logging.disable(logging.CRITICAL)

PLAIN = [f"planted plaintext {n}".encode() for n in range(20)]
CONTEXT = {"stream": "orders", "purpose": "test"}

kms, kinesis = boto3.client("kms"), boto3.client("kinesis")
first, second = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
kms.create_alias(AliasName="alias/records", TargetKeyId=first)
kinesis.create_stream(StreamName="orders", ShardCount=1)
kinesis.get_waiter("stream_exists").wait(StreamName="orders", WaiterConfig={"Delay": 1})

sdk = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)
# Each data key is wrapped under both keys; one of them is enough to read.
both = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[first, second])
caching = aws_encryption_sdk.CachingCryptoMaterialsManager(
    master_key_provider=both,
    cache=aws_encryption_sdk.LocalCryptoMaterialsCache(capacity=10),
    max_age=60.0,
    max_messages_encrypted=8,
)


def sealed(plain):
    return sdk.encrypt(source=plain, materials_manager=caching, encryption_context=CONTEXT)[0]


records = [{"Data": sealed(plain), "PartitionKey": "k"} for plain in PLAIN]
assert not any(b"planted" in record["Data"] for record in records)
assert kinesis.put_records(StreamName="orders", Records=records)["FailedRecordCount"] == 0

iterator = kinesis.get_shard_iterator(
    StreamName="orders", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
)["ShardIterator"]
read, until = [], time.monotonic() + 30
while len(read) < len(PLAIN) and time.monotonic() < until:
    got = kinesis.get_records(ShardIterator=iterator)
    read += [record["Data"] for record in got["Records"]]
    iterator = got["NextShardIterator"]

# By the keys' names, and by whatever key the message names.
discovery = aws_encryption_sdk.DiscoveryAwsKmsMasterKeyProvider()
only_second = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[second])
for provider in [both, only_second, discovery]:
    opened = [sdk.decrypt(source=data, key_provider=provider) for data in read]
    assert [plain for plain, _ in opened] == PLAIN
    assert all(CONTEXT.items() <= header.encryption_context.items() for _, header in opened)


def refused(data, provider):
    try:
        sdk.decrypt(source=data, key_provider=provider)
    except AWSEncryptionSDKClientError:
        return
    raise AssertionError("that should not have been decrypted")


only_first = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[first])
kms.disable_key(KeyId=first)
refused(read[0], only_first)
assert sdk.decrypt(source=read[0], key_provider=only_second)[0] == PLAIN[0]
kms.enable_key(KeyId=first)
assert sdk.decrypt(source=read[0], key_provider=only_first)[0] == PLAIN[0]
kms.rotate_key_on_demand(KeyId=first)
assert sdk.decrypt(source=read[0], key_provider=only_first)[0] == PLAIN[0]
kms.schedule_key_deletion(KeyId=first, PendingWindowInDays=7)
refused(read[0], only_first)

# Bent records are refused by the SDK, whatever the KMS says.
bent = bytearray(read[0])
bent[len(bent) // 2] ^= 1
try:
    sdk.decrypt(source=bytes(bent), key_provider=only_second)
except Exception:
    pass
else:
    raise AssertionError("a bent record was decrypted")

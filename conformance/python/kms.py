"""KMS through boto3: every operation, and the refusals that programs rely on.

Usage: python kms.py ENDPOINT
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
ACCOUNT = "000000000000"


def client(region="us-east-1", account=ACCOUNT):
    return boto3.client(
        "kms",
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id=account,
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def refused(code, sentence, call, **params):
    try:
        call(**params)
    except ClientError as error:
        told = error.response["Error"]
        assert told["Code"] == code, error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error.response
        assert sentence in told.get("Message", ""), error
        return
    raise AssertionError(f"{params} should have been refused with {code}")


kms = client()

# Keys.
made = kms.create_key(Description="first", Tags=[{"TagKey": "team", "TagValue": "a"}])
first = made["KeyMetadata"]
key_id, arn = first["KeyId"], first["Arn"]
assert arn == f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key_id}", first
assert first["AWSAccountId"] == ACCOUNT
expected = {
    "Enabled": True,
    "Description": "first",
    "KeyUsage": "ENCRYPT_DECRYPT",
    "KeyState": "Enabled",
    "Origin": "AWS_KMS",
    "KeyManager": "CUSTOMER",
    "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
    "KeySpec": "SYMMETRIC_DEFAULT",
    "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
    "MultiRegion": False,
}
assert expected.items() <= first.items(), first
second = kms.create_key()["KeyMetadata"]["KeyId"]
for params in [
    {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
    {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    {"MultiRegion": True},
    {"Origin": "EXTERNAL"},
]:
    refused("UnsupportedOperationException", "is not supported", kms.create_key, **params)
kms.update_key_description(KeyId=key_id, Description="changed")
assert kms.describe_key(KeyId=arn)["KeyMetadata"]["Description"] == "changed"
refused("NotFoundException", "Invalid keyId 'fake'", kms.describe_key, KeyId="fake")
unknown = "1234abcd-12ab-34cd-56ef-1234567890ab"
refused(
    "NotFoundException",
    f"Key 'arn:aws:kms:us-east-1:{ACCOUNT}:key/{unknown}' does not exist",
    kms.describe_key,
    KeyId=unknown,
)
refused("NotFoundException", "Invalid arn us-east-1", client("eu-west-1").describe_key, KeyId=arn)
refused("NotFoundException", "does not exist", client("eu-west-1").describe_key, KeyId=key_id)

# Lists in pages.
ids = {key_id, second} | {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(3)}
pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
assert [len(page["Keys"]) for page in pages] == [2, 2, 1], pages
assert {key["KeyId"] for page in pages for key in page["Keys"]} == ids
assert all(key["KeyArn"].endswith(key["KeyId"]) for page in pages for key in page["Keys"])
refused("InvalidMarkerException", "", kms.list_keys, Marker="nonsense")
assert client(account="000000000007").list_keys()["Keys"] == []

# Aliases.
kms.create_alias(AliasName="alias/mine", TargetKeyId=key_id)
alias_arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/mine"
exists = f"An alias with the name {alias_arn} already exists"
again = {"AliasName": "alias/mine", "TargetKeyId": second}
refused("AlreadyExistsException", exists, kms.create_alias, **again)
refused("ValidationException", "alias/", kms.create_alias, AliasName="mine", TargetKeyId=key_id)
reserved = {"AliasName": "alias/aws/mine", "TargetKeyId": key_id}
refused("NotAuthorizedException", "", kms.create_alias, **reserved)
for name in [key_id, arn, "alias/mine", alias_arn]:
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == key_id, name
kms.update_alias(AliasName="alias/mine", TargetKeyId=second)
assert kms.describe_key(KeyId="alias/mine")["KeyMetadata"]["KeyId"] == second
listed = kms.list_aliases(KeyId=second)["Aliases"]
assert [(a["AliasName"], a["AliasArn"]) for a in listed] == [("alias/mine", alias_arn)], listed
assert kms.list_aliases(KeyId=key_id)["Aliases"] == []
kms.delete_alias(AliasName="alias/mine")
missing = f"Alias {alias_arn} is not found."
refused("NotFoundException", missing, kms.delete_alias, AliasName="alias/mine")
refused("NotFoundException", missing, kms.encrypt, KeyId="alias/mine", Plaintext=b"x")
kms.create_alias(AliasName="alias/mine", TargetKeyId=key_id)
refused("NotFoundException", "Invalid keyId 'alias/mine'", kms.disable_key, KeyId="alias/mine")
managed = kms.describe_key(KeyId="alias/aws/kinesis")["KeyMetadata"]
assert managed["KeyManager"] == "AWS", managed
refused("AccessDeniedException", "", kms.disable_key, KeyId=managed["KeyId"])
assert "kms:ViaService" in kms.get_key_policy(KeyId=managed["KeyId"])["Policy"]

# Encryption and its context.
context = {"stream": "orders", "tenant": "7"}
for name in [key_id, arn, "alias/mine", alias_arn]:
    sealed = kms.encrypt(KeyId=name, Plaintext=b"hello", EncryptionContext=context)
    assert sealed["KeyId"] == arn and sealed["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT", sealed
blob = sealed["CiphertextBlob"]
assert b"hello" not in blob
opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)
assert (opened["Plaintext"], opened["KeyId"]) == (b"hello", arn), opened
assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context, KeyId="alias/mine")
for wrong in [{}, {"stream": "orders"}, {"stream": "orders", "tenant": "8"}]:
    params = {"CiphertextBlob": blob, "EncryptionContext": wrong}
    refused("InvalidCiphertextException", "", kms.decrypt, **params)
right = {"CiphertextBlob": blob, "EncryptionContext": context}
refused("IncorrectKeyException", "does not identify", kms.decrypt, KeyId=second, **right)
refused("InvalidCiphertextException", "", client("eu-west-1").decrypt, **right)
for stranger in [b"x", b"\x01" * 200, bytes(6144), blob[:-1], blob + b"x", b"\x02" + blob[1:]]:
    params = {"CiphertextBlob": stranger, "EncryptionContext": context}
    refused("InvalidCiphertextException", "", kms.decrypt, **params)
long = {"KeyId": key_id, "Plaintext": bytes(4097)}
refused("ValidationException", "less than or equal to 4096", kms.encrypt, **long)
assert len(kms.encrypt(KeyId=key_id, Plaintext=bytes(4096))["CiphertextBlob"]) <= 6144
huge = {"KeyId": key_id, "Plaintext": b"x", "EncryptionContext": {"k": "v" * 8192}}
refused("ValidationException", "8192", kms.encrypt, **huge)
dry = {"KeyId": key_id, "Plaintext": b"x", "DryRun": True}
refused("DryRunOperationException", "would have succeeded", kms.encrypt, **dry)

moved = kms.re_encrypt(
    CiphertextBlob=blob,
    SourceEncryptionContext=context,
    DestinationKeyId=second,
    DestinationEncryptionContext={"to": "second"},
)
assert moved["SourceKeyId"] == arn and moved["KeyId"].endswith(second), moved
moved = moved["CiphertextBlob"]
assert kms.decrypt(CiphertextBlob=moved, EncryptionContext={"to": "second"})["Plaintext"] == b"hello"

# Data keys and random bytes.
for asked, size in [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 64}, 64)]:
    data = kms.generate_data_key(KeyId="alias/mine", EncryptionContext=context, **asked)
    assert len(data["Plaintext"]) == size and data["KeyId"] == arn, data
    opened = kms.decrypt(CiphertextBlob=data["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == data["Plaintext"]
    blind = kms.generate_data_key_without_plaintext(KeyId=key_id, **asked)
    assert "Plaintext" not in blind
    assert len(kms.decrypt(CiphertextBlob=blind["CiphertextBlob"])["Plaintext"]) == size
sizes = "either number of bytes or key spec"
refused("ValidationException", sizes, kms.generate_data_key, KeyId=key_id)
both = {"KeyId": key_id, "KeySpec": "AES_256", "NumberOfBytes": 32}
refused("ValidationException", sizes, kms.generate_data_key, **both)
assert len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]) == 1024
assert kms.generate_random(NumberOfBytes=32)["Plaintext"] != kms.generate_random(NumberOfBytes=32)["Plaintext"]
refused("ValidationException", "NumberOfBytes is required.", kms.generate_random)

# Rotation: new material, old ciphertexts stay readable.
assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False
kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=180)
status = kms.get_key_rotation_status(KeyId=key_id)
assert status["KeyRotationEnabled"] and status["RotationPeriodInDays"] == 180, status
assert (status["NextRotationDate"] - first["CreationDate"]).days == 180, status
kms.disable_key_rotation(KeyId=key_id)
kms.rotate_key_on_demand(KeyId=key_id)
rotations = kms.list_key_rotations(KeyId=key_id)["Rotations"]
assert [(r["RotationType"], r["KeyMaterialState"]) for r in rotations] == [("ON_DEMAND", "CURRENT")]
materials = kms.list_key_rotations(KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
assert [m["KeyMaterialState"] for m in materials] == ["NON_CURRENT", "CURRENT"], materials
old = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)
assert old["Plaintext"] == b"hello" and old["KeyMaterialId"] == materials[0]["KeyMaterialId"]
new = kms.encrypt(KeyId=key_id, Plaintext=b"new")["CiphertextBlob"]
assert kms.decrypt(CiphertextBlob=new)["KeyMaterialId"] == materials[1]["KeyMaterialId"]

# Policies and tags.
policy = json.loads(kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"])
assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, policy
policy["Statement"][0]["Sid"] = "Changed"
kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=json.dumps(policy))
assert json.loads(kms.get_key_policy(KeyId=key_id)["Policy"]) == policy
assert kms.list_key_policies(KeyId=key_id)["PolicyNames"] == ["default"]
for text in ["{", "[]", '{"Version": "2012-10-17"}']:
    bad = {"KeyId": key_id, "Policy": text}
    refused("MalformedPolicyDocumentException", "", kms.put_key_policy, **bad)
kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "cost", "TagValue": "b"}])
tags = kms.list_resource_tags(KeyId=key_id)["Tags"]
assert tags == [{"TagKey": "cost", "TagValue": "b"}, {"TagKey": "team", "TagValue": "a"}], tags
kms.untag_resource(KeyId=key_id, TagKeys=["team"])
assert [t["TagKey"] for t in kms.list_resource_tags(KeyId=key_id)["Tags"]] == ["cost"]
theirs = {"KeyId": key_id, "Tags": [{"TagKey": "aws:x", "TagValue": ""}]}
refused("TagException", "aws:", kms.tag_resource, **theirs)

# States.
kms.disable_key(KeyId=key_id)
described = kms.describe_key(KeyId=key_id)["KeyMetadata"]
assert (described["KeyState"], described["Enabled"]) == ("Disabled", False), described
for call, params in [
    (kms.encrypt, {"KeyId": key_id, "Plaintext": b"x"}),
    (kms.decrypt, {"CiphertextBlob": blob, "EncryptionContext": context}),
    (kms.generate_data_key, {"KeyId": key_id, "KeySpec": "AES_256"}),
    (kms.re_encrypt, {"CiphertextBlob": moved, "DestinationKeyId": key_id}),
]:
    refused("DisabledException", f"{arn} is disabled.", call, **params)
kms.enable_key(KeyId=key_id)
assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"hello"
for window in [6, 31]:
    params = {"KeyId": key_id, "PendingWindowInDays": window}
    refused("ValidationException", "PendingWindowInDays", kms.schedule_key_deletion, **params)
scheduled = kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
assert scheduled["KeyState"] == "PendingDeletion" and scheduled["KeyId"] == arn, scheduled
assert 6 <= (scheduled["DeletionDate"] - first["CreationDate"]).days <= 7
pending = f"{arn} is pending deletion."
for call in [kms.enable_key, kms.disable_key, kms.schedule_key_deletion, kms.rotate_key_on_demand]:
    refused("KMSInvalidStateException", pending, call, KeyId=key_id)
params = {"CiphertextBlob": blob, "EncryptionContext": context}
refused("KMSInvalidStateException", pending, kms.decrypt, **params)
assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["DeletionDate"] == scheduled["DeletionDate"]
assert kms.cancel_key_deletion(KeyId=key_id)["KeyId"] == arn
assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"
refused("KMSInvalidStateException", "is not pending deletion", kms.cancel_key_deletion, KeyId=key_id)
kms.enable_key(KeyId=key_id)

# Left behind for who comes after a restart.
print(json.dumps({"key": arn, "blob": blob.hex(), "context": context}))

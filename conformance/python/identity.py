"""IAM and STS through boto3 against a node in mode "iam", and what identities may then do.

Usage: python identity.py ENDPOINT CREDENTIALS-FILE [PLANTED-FILE]. Secrets that were made are written
to PLANTED-FILE, one a line, for whoever looks whether they are found where they must not be.
"""

import configparser
import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, CREDENTIALS = sys.argv[1:3]
PLANTED = sys.argv[3] if len(sys.argv) > 3 else None
planted = []


def client(service, key, secret, token=None, region="us-east-1"):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}),
    )


def refused(code, call, *words, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        told = error.response["Error"]
        assert told["Code"] == code, f"{told} instead of {code}"
        for word in words:
            assert word in told["Message"], f"{word!r} not in {told['Message']!r}"
        return error.response
    raise AssertionError(f"{call} was not refused with {code}")


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


read = configparser.ConfigParser()
read.read(CREDENTIALS)
ADMIN = (read["default"]["aws_access_key_id"], read["default"]["aws_secret_access_key"])
iam = client("iam", *ADMIN)
sts = client("sts", *ADMIN)
kinesis = client("kinesis", *ADMIN)
ACCOUNT = sts.get_caller_identity()["Account"]


def keys_of(user):
    made = iam.create_access_key(UserName=user)["AccessKey"]
    planted.append(made["SecretAccessKey"])
    return made["AccessKeyId"], made["SecretAccessKey"]


def credentials(session):
    planted.extend([session["SecretAccessKey"], session["SessionToken"]])
    return session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]


def first_steps():
    me = sts.get_caller_identity()
    assert me["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin", me
    assert me["UserId"].startswith("AIDA"), me
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="orders")

    user = iam.create_user(UserName="ada", Path="/staff/", Tags=[{"Key": "team", "Value": "blue"}])["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/staff/ada", user
    assert user["UserId"].startswith("AIDA") and len(user["UserId"]) == 21
    ada = keys_of("ada")
    own = client("kinesis", *ada)
    refused(
        "AccessDeniedException",
        own.put_record,
        f"User: arn:aws:iam::{ACCOUNT}:user/staff/ada is not authorized to perform: kinesis:PutRecord",
        f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders",
        "no identity-based policy allows the kinesis:PutRecord action",
        StreamName="orders", Data=b"1", PartitionKey="k",
    )
    document = policy(allow("kinesis:Put*", f"arn:aws:kinesis:*:{ACCOUNT}:stream/orders"))
    iam.put_user_policy(UserName="ada", PolicyName="put", PolicyDocument=document)
    own.put_record(StreamName="orders", Data=b"1", PartitionKey="k")
    refused("AccessDeniedException", own.describe_stream_summary, StreamName="orders")
    got = iam.get_user_policy(UserName="ada", PolicyName="put")["PolicyDocument"]
    assert got == json.loads(document), got
    assert iam.list_user_policies(UserName="ada")["PolicyNames"] == ["put"]

    # Rotation, without a restart.
    second = keys_of("ada")
    refused("LimitExceeded", iam.create_access_key, "AccessKeysPerUser: 2", UserName="ada")
    iam.update_access_key(UserName="ada", AccessKeyId=ada[0], Status="Inactive")
    refused("UnrecognizedClientException", own.put_record, "security token included in the request is invalid",
            StreamName="orders", Data=b"1", PartitionKey="k")
    client("kinesis", *second).put_record(StreamName="orders", Data=b"2", PartitionKey="k")
    iam.delete_access_key(UserName="ada", AccessKeyId=ada[0])
    listed = iam.list_access_keys(UserName="ada")["AccessKeyMetadata"]
    assert [key["AccessKeyId"] for key in listed] == [second[0]], listed
    used = iam.get_access_key_last_used(AccessKeyId=second[0])
    assert used["UserName"] == "ada" and used["AccessKeyLastUsed"]["ServiceName"] == "kinesis", used
    return second


def wrong_credentials(ada):
    key, secret = ada
    refused("UnrecognizedClientException", client("kinesis", "AKIA0000000000000000", secret).list_streams)
    told = refused("InvalidSignatureException", client("kinesis", key, "x" * 40).list_streams, "does not match")
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 400
    told = refused("SignatureDoesNotMatch", client("iam", key, "x" * 40).list_users)
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 403
    refused("InvalidClientTokenId", client("sts", "AKIA0000000000000000", secret).get_caller_identity)
    refused("UnrecognizedClientException", client("kinesis", key, secret, "made-up").list_streams)
    refused("AccessDenied", client("iam", key, secret).list_users, "iam:ListUsers")


def groups_and_managed_policies(ada):
    own = client("kinesis", *ada)
    group = iam.create_group(GroupName="readers")["Group"]
    assert group["GroupId"].startswith("AGPA")
    made = iam.create_policy(
        PolicyName="read-orders", Path="/data/", Description="reads",
        PolicyDocument=policy(allow("kinesis:Describe*")), Tags=[{"Key": "a", "Value": "b"}],
    )["Policy"]
    arn = made["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/data/read-orders" and made["DefaultVersionId"] == "v1", made
    iam.attach_group_policy(GroupName="readers", PolicyArn=arn)
    refused("AccessDeniedException", own.describe_stream_summary, StreamName="orders")
    iam.add_user_to_group(GroupName="readers", UserName="ada")
    own.describe_stream_summary(StreamName="orders")
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName="ada")["Groups"]] == ["readers"]
    assert [u["UserName"] for u in iam.get_group(GroupName="readers")["Users"]] == ["ada"]

    # A version that denies.
    deny = policy({"Effect": "Deny", "Action": "kinesis:DescribeStreamSummary", "Resource": "*"})
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=deny, SetAsDefault=True)["PolicyVersion"]
    assert version["VersionId"] == "v2" and version["IsDefaultVersion"], version
    refused("AccessDeniedException", own.describe_stream_summary, "with an explicit deny in an identity-based policy",
            StreamName="orders")
    refused("DeleteConflict", iam.delete_policy_version, PolicyArn=arn, VersionId="v2")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    own.describe_stream_summary(StreamName="orders")
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=deny)
    refused("LimitExceeded", iam.create_policy_version, "up to 5 versions", PolicyArn=arn, PolicyDocument=deny)
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [v["VersionId"] for v in versions] == ["v5", "v4", "v3", "v2", "v1"], versions
    refused("DeleteConflict", iam.delete_policy, "attached to entities", PolicyArn=arn)
    got = iam.get_policy(PolicyArn=arn)["Policy"]
    assert got["AttachmentCount"] == 1 and got["Tags"] == [{"Key": "a", "Value": "b"}], got
    got = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    assert got["Document"]["Statement"][0]["Action"] == "kinesis:Describe*", got
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [g["GroupName"] for g in entities["PolicyGroups"]] == ["readers"], entities
    listed = [p["PolicyName"] for p in iam.list_policies(Scope="Local")["Policies"]]
    assert "read-orders" in listed, listed
    assert "AdministratorAccess" in [p["PolicyName"] for p in iam.list_policies(Scope="AWS")["Policies"]]

    # A boundary takes away.
    iam.put_user_permissions_boundary(
        UserName="ada", PermissionsBoundary="arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess")
    own.describe_stream_summary(StreamName="orders")
    refused("AccessDeniedException", own.put_record, "because no permissions boundary allows",
            StreamName="orders", Data=b"1", PartitionKey="k")
    boundary = iam.get_user(UserName="ada")["User"]["PermissionsBoundary"]
    assert boundary["PermissionsBoundaryType"] in ("Policy", "PermissionsBoundaryPolicy"), boundary
    iam.delete_user_permissions_boundary(UserName="ada")
    own.put_record(StreamName="orders", Data=b"1", PartitionKey="k")


def roles(ada):
    trust = policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/staff/ada"},
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                    "Condition": {"StringEquals": {"sts:ExternalId": "42"}}})
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust, MaxSessionDuration=7200)["Role"]
    assert role["RoleId"].startswith("AROA") and role["AssumeRolePolicyDocument"] == json.loads(trust), role
    iam.attach_role_policy(RoleName="reader", PolicyArn="arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess")
    own = client("sts", *ada)
    assume = dict(RoleArn=role["Arn"], RoleSessionName="night")
    refused("AccessDenied", own.assume_role, "is not authorized to perform: sts:AssumeRole", **assume)
    assumed = own.assume_role(**assume, ExternalId="42", Tags=[{"Key": "job", "Value": "7"}])
    assert assumed["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/night", assumed
    session = credentials(assumed["Credentials"])
    assert session[0].startswith("ASIA")
    assert client("sts", *session).get_caller_identity()["UserId"] == f"{role['RoleId']}:night"
    reader = client("kinesis", *session)
    reader.describe_stream_summary(StreamName="orders")
    refused("AccessDeniedException", reader.put_record, f"assumed-role/reader/night",
            StreamName="orders", Data=b"1", PartitionKey="k")
    refused("UnrecognizedClientException", client("kinesis", *session[:2]).list_streams)
    refused("UnrecognizedClientException", client("kinesis", *session[:2], session[2][:-8] + "AAAAAAA=").list_streams)

    # A session policy takes away.
    narrow = policy(allow("kinesis:ListStreams"))
    narrowed = own.assume_role(**assume, ExternalId="42", Policy=narrow)
    narrowed = client("kinesis", *credentials(narrowed["Credentials"]))
    narrowed.list_streams()
    refused("AccessDeniedException", narrowed.describe_stream_summary, "no session policy allows", StreamName="orders")
    by_arn = own.assume_role(**assume, ExternalId="42",
                             PolicyArns=[{"arn": "arn:aws:iam::aws:policy/IAMReadOnlyAccess"}])
    refused("AccessDeniedException", client("kinesis", *credentials(by_arn["Credentials"])).list_streams)

    refused("ValidationError", own.assume_role, "MaxSessionDuration", **assume, ExternalId="42", DurationSeconds=10000)
    refused("MalformedPolicyDocument", own.assume_role, **assume, ExternalId="42", Policy="{}")
    refused("AccessDenied", own.assume_role, RoleArn=role["Arn"] + "x", RoleSessionName="night")

    # Chaining: an hour at most.
    chain = policy({"Effect": "Allow", "Principal": {"AWS": role["Arn"]}, "Action": "sts:AssumeRole"})
    second = iam.create_role(RoleName="second", AssumeRolePolicyDocument=chain, MaxSessionDuration=43200)["Role"]
    from_role = client("sts", *session)
    refused("ValidationError", from_role.assume_role, "role chaining", RoleArn=second["Arn"],
            RoleSessionName="chain", DurationSeconds=7200)
    chained = from_role.assume_role(RoleArn=second["Arn"], RoleSessionName="chain")
    chained = client("sts", *credentials(chained["Credentials"]))
    assert chained.get_caller_identity()["Arn"].endswith("assumed-role/second/chain")

    # What changes counts at once.
    iam.detach_role_policy(RoleName="reader", PolicyArn="arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess")
    refused("AccessDeniedException", reader.describe_stream_summary, StreamName="orders")
    refused("DeleteConflict", iam.delete_role, RoleName="reader") if iam.list_role_policies(
        RoleName="reader")["PolicyNames"] else iam.delete_role(RoleName="reader")
    refused("UnrecognizedClientException", reader.list_streams)
    iam.delete_role(RoleName="second")

    token = own.get_session_token(DurationSeconds=900)["Credentials"]
    temporary = credentials(token)
    assert client("sts", *temporary).get_caller_identity()["Arn"].endswith("user/staff/ada")
    client("kinesis", *temporary).put_record(StreamName="orders", Data=b"1", PartitionKey="k")
    refused("AccessDenied", client("sts", *temporary).get_session_token)
    assert sts.get_access_key_info(AccessKeyId=ada[0])["Account"] == ACCOUNT


def simulation():
    arn = f"arn:aws:iam::{ACCOUNT}:user/staff/ada"
    stream = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
    told = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["kinesis:PutRecord", "kinesis:DeleteStream"], ResourceArns=[stream])
    told = {r["EvalActionName"]: r["EvalDecision"] for r in told["EvaluationResults"]}
    assert told == {"kinesis:PutRecord": "allowed", "kinesis:DeleteStream": "implicitDeny"}, told
    document = policy(allow("kinesis:*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    for address, decision in [("10.1.2.3", "allowed"), ("192.0.2.1", "implicitDeny")]:
        entry = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": [address], "ContextKeyType": "ip"}
        told = iam.simulate_custom_policy(
            PolicyInputList=[document], ActionNames=["kinesis:PutRecord"], ContextEntries=[entry])
        assert told["EvaluationResults"][0]["EvalDecision"] == decision, (address, told)
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=[document])["ContextKeyNames"] == ["aws:SourceIp"]


def faults():
    refused("EntityAlreadyExists", iam.create_user, "User with name ADA already exists", UserName="ADA")
    refused("NoSuchEntity", iam.get_user, "The user with name nobody cannot be found.", UserName="nobody")
    refused("NoSuchEntity", iam.get_role, "The role with name nobody cannot be found.", RoleName="nobody")
    refused("NoSuchEntity", iam.get_policy, "was not found", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/nothing")
    refused("NoSuchEntity", iam.attach_user_policy, UserName="ada", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/nothing")
    refused("MalformedPolicyDocument", iam.put_user_policy, UserName="ada", PolicyName="x", PolicyDocument="{}")
    refused("MalformedPolicyDocument", iam.create_role, RoleName="x", AssumeRolePolicyDocument=policy(allow("*")))
    refused("DeleteConflict", iam.delete_user, UserName="ada")
    refused("ValidationError", iam.create_user, UserName="not a name")
    refused("LimitExceeded", iam.put_user_policy, "2048", UserName="ada", PolicyName="long",
            PolicyDocument=policy(*[allow("kinesis:Get*", f"arn:aws:kinesis:*:*:stream/{i:040}") for i in range(40)]))
    refused("AccessDenied", iam.delete_policy, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def pages():
    for n in range(7):
        iam.create_user(UserName=f"page-{n}", Path="/pages/")
    seen = []
    for page in iam.get_paginator("list_users").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 3}):
        assert len(page["Users"]) <= 3
        seen += [user["UserName"] for user in page["Users"]]
    assert seen == [f"page-{n}" for n in range(7)], seen
    for name in seen:
        iam.delete_user(UserName=name)


def as_terraform_does():
    """The calls of aws_iam_user, _access_key, _role, _policy, _group and attachments, in their order."""
    iam.create_user(UserName="tf", Path="/", Tags=[{"Key": "by", "Value": "terraform"}])
    iam.get_user(UserName="tf")
    iam.list_user_tags(UserName="tf")
    iam.tag_user(UserName="tf", Tags=[{"Key": "env", "Value": "test"}])
    iam.untag_user(UserName="tf", TagKeys=["by"])
    assert iam.list_user_tags(UserName="tf")["Tags"] == [{"Key": "env", "Value": "test"}]
    iam.update_user(UserName="tf", NewUserName="tf2", NewPath="/moved/")
    key = keys_of("tf2")
    iam.list_access_keys(UserName="tf2")
    iam.create_group(GroupName="tf")
    iam.add_user_to_group(GroupName="tf", UserName="tf2")
    made = iam.create_policy(PolicyName="tf", PolicyDocument=policy(allow("kinesis:ListStreams")))["Policy"]
    iam.get_policy(PolicyArn=made["Arn"])
    iam.get_policy_version(PolicyArn=made["Arn"], VersionId="v1")
    iam.tag_policy(PolicyArn=made["Arn"], Tags=[{"Key": "env", "Value": "test"}])
    iam.list_policy_tags(PolicyArn=made["Arn"])
    iam.attach_user_policy(UserName="tf2", PolicyArn=made["Arn"])
    assert iam.list_attached_user_policies(UserName="tf2")["AttachedPolicies"][0]["PolicyName"] == "tf"
    client("kinesis", *key).list_streams()
    iam.attach_group_policy(GroupName="tf", PolicyArn=made["Arn"])
    trust = policy({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    iam.create_role(RoleName="tf", AssumeRolePolicyDocument=trust, Description="d", Tags=[{"Key": "a", "Value": "b"}])
    role = iam.get_role(RoleName="tf")["Role"]
    assert role["MaxSessionDuration"] == 3600 and role["Description"] == "d" and role["Tags"], role
    iam.attach_role_policy(RoleName="tf", PolicyArn=made["Arn"])
    iam.put_role_policy(RoleName="tf", PolicyName="inline", PolicyDocument=policy(allow("kinesis:*")))
    assert iam.list_role_policies(RoleName="tf")["PolicyNames"] == ["inline"]
    iam.get_role_policy(RoleName="tf", PolicyName="inline")
    iam.list_attached_role_policies(RoleName="tf")
    iam.update_role(RoleName="tf", Description="e", MaxSessionDuration=7200)
    iam.update_assume_role_policy(RoleName="tf", PolicyDocument=trust)
    iam.put_role_permissions_boundary(RoleName="tf", PermissionsBoundary=made["Arn"])
    iam.delete_role_permissions_boundary(RoleName="tf")
    provider = iam.create_open_id_connect_provider(
        Url="https://issuer.example.com", ClientIDList=["app"], ThumbprintList=["0" * 40])
    arn = provider["OpenIDConnectProviderArn"]
    got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert got["Url"] == "issuer.example.com" and got["ClientIDList"] == ["app"], got
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="other")
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    details = iam.get_account_authorization_details()
    assert any(user["UserName"] == "tf2" and user["GroupList"] == ["tf"] for user in details["UserDetailList"]), details
    iam.get_account_summary()
    # And away with it.
    iam.list_instance_profiles_for_role(RoleName="tf")
    refused("DeleteConflict", iam.delete_role, RoleName="tf")
    iam.delete_role_policy(RoleName="tf", PolicyName="inline")
    refused("DeleteConflict", iam.delete_role, RoleName="tf")
    iam.detach_role_policy(RoleName="tf", PolicyArn=made["Arn"])
    iam.delete_role(RoleName="tf")
    refused("DeleteConflict", iam.delete_group, GroupName="tf")
    iam.remove_user_from_group(GroupName="tf", UserName="tf2")
    iam.detach_group_policy(GroupName="tf", PolicyArn=made["Arn"])
    iam.delete_group(GroupName="tf")
    iam.detach_user_policy(UserName="tf2", PolicyArn=made["Arn"])
    iam.delete_policy(PolicyArn=made["Arn"])
    iam.delete_access_key(UserName="tf2", AccessKeyId=key[0])
    iam.list_mfa_devices(UserName="tf2"), iam.list_virtual_mfa_devices(), iam.list_ssh_public_keys(UserName="tf2")
    iam.list_signing_certificates(UserName="tf2"), iam.list_service_specific_credentials(UserName="tf2")
    refused("NoSuchEntity", iam.get_login_profile, UserName="tf2")
    refused("NoSuchEntity", iam.delete_login_profile, UserName="tf2")
    iam.delete_user(UserName="tf2")
    refused("NoSuchEntity", iam.get_user, UserName="tf2")


ada = first_steps()
wrong_credentials(ada)
groups_and_managed_policies(ada)
roles(ada)
simulation()
faults()
pages()
as_terraform_does()
if PLANTED:
    with open(PLANTED, "w") as out:
        out.write("\n".join([ADMIN[1], *planted]) + "\n")
print("ok")

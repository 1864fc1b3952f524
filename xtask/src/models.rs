//! `cargo xtask models`: AWS's service models, trimmed to what code can be made from.
//!
//! The models come from the botocore package (Apache-2.0), pinned by [`BOTOCORE`]. Of each service
//! we keep the listed operations and the shapes they reach: types, constraints, enums, errors, HTTP
//! bindings, streaming traits. Prose and client-side hints are dropped.
//!
//! Never edit models/*.json by hand: corrections go to models/overlay, each with a "why".

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// The package whose models are the contract.
pub const BOTOCORE: &str = "1.44.5";

/// The models we keep: folder in the package, and the operations (all if empty).
pub const SERVICES: &[(&str, &[&str])] = &[
    ("kinesis", &[]),
    ("firehose", &[]),
    ("kinesisanalytics", &[]),
    ("kinesisanalyticsv2", &[]),
    ("kinesisvideo", &[]),
    ("kinesis-video-media", &[]),
    ("kinesis-video-archived-media", &[]),
    ("kinesis-video-signaling", &[]),
    ("kinesis-video-webrtc-storage", &[]),
    ("dynamodb", DYNAMODB),
    ("cloudwatch", &["PutMetricData", "GetMetricData", "GetMetricStatistics", "ListMetrics"]),
    ("cloudtrail", &["LookupEvents"]),
    ("iam", IAM),
    ("sts", STS),
    ("kms", KMS),
    ("lambda", LAMBDA),
];

/// What consumer libraries keep their leases, states and metrics with.
const DYNAMODB: &[&str] = &[
    "CreateTable",
    "DescribeTable",
    "UpdateTable",
    "DeleteTable",
    "ListTables",
    "PutItem",
    "GetItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "TransactGetItems",
    "TransactWriteItems",
    "DescribeTimeToLive",
    "UpdateTimeToLive",
    "DescribeContinuousBackups",
    "UpdateContinuousBackups",
    "DescribeEndpoints",
    "DescribeLimits",
    "TagResource",
    "UntagResource",
    "ListTagsOfResource",
];

const IAM: &[&str] = &[
    "CreateUser",
    "GetUser",
    "ListUsers",
    "DeleteUser",
    "CreateAccessKey",
    "ListAccessKeys",
    "UpdateAccessKey",
    "DeleteAccessKey",
    "GetAccessKeyLastUsed",
    "CreateGroup",
    "GetGroup",
    "ListGroups",
    "DeleteGroup",
    "AddUserToGroup",
    "RemoveUserFromGroup",
    "ListGroupsForUser",
    "CreateRole",
    "GetRole",
    "ListRoles",
    "DeleteRole",
    "UpdateAssumeRolePolicy",
    "CreatePolicy",
    "GetPolicy",
    "ListPolicies",
    "DeletePolicy",
    "CreatePolicyVersion",
    "GetPolicyVersion",
    "ListPolicyVersions",
    "SetDefaultPolicyVersion",
    "DeletePolicyVersion",
    "PutUserPolicy",
    "GetUserPolicy",
    "ListUserPolicies",
    "DeleteUserPolicy",
    "PutGroupPolicy",
    "GetGroupPolicy",
    "ListGroupPolicies",
    "DeleteGroupPolicy",
    "PutRolePolicy",
    "GetRolePolicy",
    "ListRolePolicies",
    "DeleteRolePolicy",
    "AttachUserPolicy",
    "DetachUserPolicy",
    "ListAttachedUserPolicies",
    "AttachGroupPolicy",
    "DetachGroupPolicy",
    "ListAttachedGroupPolicies",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "ListAttachedRolePolicies",
    "SimulatePrincipalPolicy",
    "SimulateCustomPolicy",
    "GetContextKeysForCustomPolicy",
    "GetContextKeysForPrincipalPolicy",
    "UpdateUser",
    "UpdateGroup",
    "UpdateRole",
    "UpdateRoleDescription",
    "PutUserPermissionsBoundary",
    "DeleteUserPermissionsBoundary",
    "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary",
    "TagUser",
    "UntagUser",
    "ListUserTags",
    "TagRole",
    "UntagRole",
    "ListRoleTags",
    "TagPolicy",
    "UntagPolicy",
    "ListPolicyTags",
    "ListEntitiesForPolicy",
    "ListInstanceProfilesForRole",
    "GetAccountSummary",
    "GetAccountAuthorizationDetails",
    "CreateAccountAlias",
    "ListAccountAliases",
    "DeleteAccountAlias",
    "CreateOpenIDConnectProvider",
    "GetOpenIDConnectProvider",
    "ListOpenIDConnectProviders",
    "DeleteOpenIDConnectProvider",
    "UpdateOpenIDConnectProviderThumbprint",
    "AddClientIDToOpenIDConnectProvider",
    "RemoveClientIDFromOpenIDConnectProvider",
    "TagOpenIDConnectProvider",
    "UntagOpenIDConnectProvider",
    "ListOpenIDConnectProviderTags",
    "GetLoginProfile",
    "DeleteLoginProfile",
    "ListMFADevices",
    "ListVirtualMFADevices",
    "ListSigningCertificates",
    "ListSSHPublicKeys",
    "ListServiceSpecificCredentials",
];

const STS: &[&str] = &[
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "DecodeAuthorizationMessage",
    "GetAccessKeyInfo",
    "GetCallerIdentity",
    "GetSessionToken",
];

const KMS: &[&str] = &[
    "CreateKey",
    "DescribeKey",
    "ListKeys",
    "EnableKey",
    "DisableKey",
    "ScheduleKeyDeletion",
    "CancelKeyDeletion",
    "UpdateKeyDescription",
    "CreateAlias",
    "UpdateAlias",
    "DeleteAlias",
    "ListAliases",
    "Encrypt",
    "Decrypt",
    "ReEncrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateRandom",
    "EnableKeyRotation",
    "DisableKeyRotation",
    "GetKeyRotationStatus",
    "RotateKeyOnDemand",
    "ListKeyRotations",
    "GetKeyPolicy",
    "PutKeyPolicy",
    "ListKeyPolicies",
    "TagResource",
    "UntagResource",
    "ListResourceTags",
];

/// Functions, and the mappings that feed streams into them.
const LAMBDA: &[&str] = &[
    "Invoke",
    "CreateFunction",
    "GetFunction",
    "GetFunctionConfiguration",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "DeleteFunction",
    "ListFunctions",
    "PublishVersion",
    "ListVersionsByFunction",
    "CreateAlias",
    "GetAlias",
    "UpdateAlias",
    "DeleteAlias",
    "ListAliases",
    "CreateEventSourceMapping",
    "GetEventSourceMapping",
    "ListEventSourceMappings",
    "UpdateEventSourceMapping",
    "DeleteEventSourceMapping",
    "AddPermission",
    "RemovePermission",
    "GetPolicy",
    "PutFunctionConcurrency",
    "GetFunctionConcurrency",
    "DeleteFunctionConcurrency",
    "TagResource",
    "UntagResource",
    "ListTags",
];

/// What a model says about itself and we want to know.
const METADATA: &[&str] = &[
    "apiVersion",
    "endpointPrefix",
    "jsonVersion",
    "protocol",
    "protocols",
    "serviceId",
    "signingName",
    "targetPrefix",
    "xmlNamespace",
];

const OPERATION: &[&str] = &["name", "http", "input", "output", "errors"];

const SHAPE: &[&str] = &[
    "type",
    "required",
    "members",
    "member",
    "key",
    "value",
    "enum",
    "min",
    "max",
    "pattern",
    "exception",
    "error",
    "fault",
    "union",
    "payload",
    "streaming",
    "event",
    "eventstream",
    "sensitive",
    "timestampFormat",
    "flattened",
    "locationName",
];

const MEMBER: &[&str] = &[
    "shape",
    "location",
    "locationName",
    "streaming",
    "eventpayload",
    "eventheader",
    "timestampFormat",
    "flattened",
    "idempotencyToken",
];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A botocore wheel that is already here; fetched with pip otherwise.
    #[arg(long)]
    wheel: Option<PathBuf>,
    /// A botocore source package that is already here, for the protocol test cases.
    #[arg(long)]
    sdist: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let root = root();
    let work = root.join("target/models");
    std::fs::create_dir_all(&work)?;
    let wheel = match &args.wheel {
        Some(path) => path.clone(),
        None => download(&work, &["--only-binary", "botocore"], "py3-none-any.whl")?,
    };
    for (service, operations) in SERVICES {
        let model = unpack_model(&wheel, service)?;
        let trimmed = trim(&model, operations).with_context(|| format!("model of {service}"))?;
        let text = serde_json::to_string_pretty(&trimmed)? + "\n";
        std::fs::write(root.join(format!("models/{service}.json")), text)?;
    }
    let sdist = match &args.sdist {
        Some(path) => path.clone(),
        None => download(&work, &["--no-binary", "botocore"], "tar.gz")?,
    };
    test_cases(&sdist, &root.join("crates/wire/tests/data"))
}

/// The repository's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_owned()
}

fn download(work: &Path, options: &[&str], ending: &str) -> Result<PathBuf> {
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(work)
        .args(options)
        .arg(format!("botocore=={BOTOCORE}"))
        .status()
        .context("python3 with pip is needed to fetch the models")?;
    if !status.success() {
        bail!("pip could not fetch botocore {BOTOCORE}");
    }
    let separator = if ending.ends_with(".whl") { '-' } else { '.' };
    Ok(work.join(format!("botocore-{BOTOCORE}{separator}{ending}")))
}

/// AWS's own protocol and signature test cases, without prose, for the tests of `wire`.
fn test_cases(sdist: &Path, folder: &Path) -> Result<()> {
    const SCRIPT: &str = "
import json, os, sys, tarfile
files = {}
for member in (archive := tarfile.open(sys.argv[1])):
    name = member.name.partition('/tests/unit/')[2]
    if member.isfile() and name:
        files[name] = archive.extractfile(member).read()
def trim(value):
    if isinstance(value, dict):
        prose = ('documentation', 'description')
        return {k: trim(v) for k, v in value.items() if k not in prose or not isinstance(v, str)}
    return [trim(v) for v in value] if isinstance(value, list) else value
out = {}
for protocol in ('json', 'json_1_0', 'rest-json', 'smithy-rpc-v2-cbor', 'query'):
    for side in ('input', 'output'):
        suites = json.loads(files[f'protocols/{side}/{protocol}.json'])
        out[f'{protocol}-{side}'] = trim(suites)
cases = []
folder = 'auth/aws4_testsuite/'
for name in sorted(n for n in files if n.startswith(folder) and n.endswith('.req')):
    case = os.path.dirname(name)[len(folder):]
    parts = {'request': 'req', 'canonical_request': 'creq', 'string_to_sign': 'sts',
             'authorization': 'authz'}
    cases.append({'name': case} | {k: files[name[:-3] + e].decode() for k, e in parts.items()})
source = 'AWS Signature Version 4 Test Suite, Copyright 2019 Amazon.com, Inc. or its affiliates; '
source += f'Apache-2.0; as shipped in the tests of the botocore {sys.argv[2]} source package'
out['sigv4'] = {'source': source, 'cases': cases}
json.dump(out, sys.stdout)
";
    let output = Command::new("python3").args(["-c", SCRIPT]).arg(sdist).arg(BOTOCORE).output()?;
    if !output.status.success() {
        bail!("no test cases: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::create_dir_all(folder)?;
    for (name, cases) in object(&serde_json::from_slice(&output.stdout)?)? {
        let text = serde_json::to_string_pretty(cases)? + "\n";
        std::fs::write(folder.join(format!("{name}.json")), text)?;
    }
    Ok(())
}

/// The newest model of `service` in the wheel; Python knows its own archives best.
fn unpack_model(wheel: &Path, service: &str) -> Result<Value> {
    const SCRIPT: &str = "
import gzip, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
folder = f'botocore/data/{sys.argv[2]}/'
names = [n for n in wheel.namelist() if n.startswith(folder) and '/service-2.json' in n]
data = wheel.read(max(names))
sys.stdout.buffer.write(gzip.decompress(data) if max(names).endswith('.gz') else data)
";
    let output = Command::new("python3").args(["-c", SCRIPT]).arg(wheel).arg(service).output()?;
    if !output.status.success() {
        bail!("no model of {service}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The listed operations (all if none is listed) and what they reach, without prose.
pub fn trim(model: &Value, listed: &[&str]) -> Result<Value> {
    let mut operations = Map::new();
    for (name, operation) in object(&model["operations"])? {
        if listed.is_empty() || listed.contains(&name.as_str()) {
            operations.insert(name.clone(), keep(operation, OPERATION));
        }
    }
    if let Some(unknown) = listed.iter().find(|name| !operations.contains_key(**name)) {
        bail!("the model has no operation {unknown}");
    }
    for operation in operations.values_mut() {
        for side in ["input", "output"] {
            if let Some(shape) = operation.get_mut(side) {
                *shape = keep(shape, &["shape", "payload"]);
            }
        }
        for error in operation["errors"].as_array_mut().into_iter().flatten() {
            *error = keep(error, &["shape"]);
        }
        if operation["errors"].is_null() {
            operation.as_object_mut().expect("an object").remove("errors");
        }
    }
    let mut reached = BTreeSet::new();
    for operation in operations.values() {
        reach(&model["shapes"], operation, &mut reached);
    }
    let mut shapes = Map::new();
    for (name, shape) in object(&model["shapes"])? {
        if reached.contains(name) {
            shapes.insert(name.clone(), trim_shape(shape)?);
        }
    }
    Ok(json!({
        "metadata": keep(&model["metadata"], METADATA),
        "operations": operations,
        "shapes": shapes,
    }))
}

fn trim_shape(shape: &Value) -> Result<Value> {
    let mut shape = keep(shape, SHAPE);
    for part in ["member", "key", "value"] {
        if let Some(inner) = shape.get_mut(part) {
            *inner = keep(inner, MEMBER);
        }
    }
    if let Some(members) = shape.get_mut("members").and_then(Value::as_object_mut) {
        for member in members.values_mut() {
            *member = keep(member, MEMBER);
        }
    }
    Ok(shape)
}

/// Every shape that `part` of the model names, and what those name.
fn reach(shapes: &Value, part: &Value, reached: &mut BTreeSet<String>) {
    match part {
        Value::Object(object) => {
            for (key, value) in object {
                match value.as_str().filter(|_| key == "shape") {
                    Some(name) if reached.insert(name.to_owned()) => {
                        reach(shapes, &shapes[name], reached);
                    }
                    Some(_) => {}
                    None => reach(shapes, value, reached),
                }
            }
        }
        Value::Array(array) => array.iter().for_each(|value| reach(shapes, value, reached)),
        _ => {}
    }
}

fn keep(value: &Value, keys: &[&str]) -> Value {
    let kept = value.as_object().into_iter().flatten();
    let kept = kept.filter(|(key, _)| keys.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn object(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().context("an object expected in the model")
}

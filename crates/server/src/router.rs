//! Which service a request is for, and which operation of it.
//!
//! Data Streams is at home here: whatever names nobody else is its. The others are told by the path
//! (Smithy's RPC v2), by the target's prefix (JSON), or by what a form was signed for (query).

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use millstream_api::{cloudtrail, cloudwatch, iam, kinesis, kms, sts};
use millstream_base::limits::{
    IAM_REQUEST_BYTES_MAX, KMS_BODY_BYTES_MAX, LOOKUP_EVENTS_BYTES_MAX, PUT_METRIC_DATA_BYTES_MAX,
};
use millstream_wire::query::{self, Form};
use millstream_wire::sigv4::Claim;
use millstream_wire::{Codec, DecodeError, Operation, Service, ServiceError};

use crate::dialect::Dialect;
use crate::front_door::{self, Refusal};

/// An operation of any service here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Kinesis(kinesis::Op),
    CloudWatch(cloudwatch::Op),
    Kms(kms::Op),
    CloudTrail(cloudtrail::Op),
    Iam(iam::Op),
    Sts(sts::Op),
}

impl Op {
    pub fn info(self) -> &'static Operation {
        match self {
            Op::Kinesis(op) => op.info(),
            Op::CloudWatch(op) => op.info(),
            Op::Kms(op) => op.info(),
            Op::CloudTrail(op) => op.info(),
            Op::Iam(op) => op.info(),
            Op::Sts(op) => op.info(),
        }
    }

    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Its place among [`Op::names`].
    pub fn index(self) -> usize {
        let (table, op) = match self {
            Op::Kinesis(op) => (0, op as usize),
            Op::CloudWatch(op) => (1, op as usize),
            Op::Kms(op) => (2, op as usize),
            Op::CloudTrail(op) => (3, op as usize),
            Op::Iam(op) => (4, op as usize),
            Op::Sts(op) => (5, op as usize),
        };
        TABLES[..table].iter().map(|table| table.len()).sum::<usize>() + op
    }

    /// The names of all operations.
    pub fn names() -> Vec<&'static str> {
        TABLES.into_iter().flatten().map(|operation| operation.name).collect()
    }
}

/// The operations of each service, in the order of [`Op::index`].
static TABLES: [&[Operation]; 6] = [
    kinesis::OPERATIONS,
    cloudwatch::OPERATIONS,
    kms::OPERATIONS,
    cloudtrail::OPERATIONS,
    iam::OPERATIONS,
    sts::OPERATIONS,
];

/// A service beside Data Streams.
#[derive(Debug)]
pub struct Guest {
    pub service: &'static Service,
    /// The operation of this name.
    named: fn(&str) -> Option<Op>,
    /// Largest body, unpacked.
    pub body_bytes_max: usize,
}

static GUESTS: [Guest; 5] = [
    Guest {
        service: &cloudwatch::SERVICE,
        named: |name| cloudwatch::Op::named(name).map(Op::CloudWatch),
        body_bytes_max: PUT_METRIC_DATA_BYTES_MAX,
    },
    Guest {
        service: &kms::SERVICE,
        named: |name| kms::Op::named(name).map(Op::Kms),
        body_bytes_max: KMS_BODY_BYTES_MAX,
    },
    Guest {
        service: &cloudtrail::SERVICE,
        named: |name| cloudtrail::Op::named(name).map(Op::CloudTrail),
        body_bytes_max: LOOKUP_EVENTS_BYTES_MAX,
    },
    Guest {
        service: &iam::SERVICE,
        named: |name| iam::Op::named(name).map(Op::Iam),
        body_bytes_max: IAM_REQUEST_BYTES_MAX,
    },
    Guest {
        service: &sts::SERVICE,
        named: |name| sts::Op::named(name).map(Op::Sts),
        body_bytes_max: IAM_REQUEST_BYTES_MAX,
    },
];

/// What is to run, how it speaks, and its input.
#[derive(Debug)]
pub struct Target {
    pub op: Op,
    pub dialect: Dialect,
    pub input: Input,
}

/// An input that is not decoded yet.
#[derive(Debug)]
pub enum Input {
    Body(Codec, Bytes),
    Form(Form),
}

/// A request for a guest, as far as its head tells.
#[derive(Debug)]
pub struct Visit {
    pub guest: &'static Guest,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// The operation is named in the head.
    Rpc(Codec, String),
    /// The form names it.
    Query,
}

/// Whether a request is for a guest.
pub fn visit(parts: &Parts) -> Option<Visit> {
    by_path(parts.uri.path()).or_else(|| by_target(&parts.headers)).or_else(|| by_signature(parts))
}

/// `/service/NAME/operation/OPERATION`
fn by_path(path: &str) -> Option<Visit> {
    let (service, operation) = path.strip_prefix("/service/")?.split_once("/operation/")?;
    let guest = named(service)?;
    Some(Visit { guest, way: Way::Rpc(Codec::RpcV2Cbor, operation.to_owned()) })
}

/// `X-Amz-Target: NAME.OPERATION`
fn by_target(headers: &HeaderMap) -> Option<Visit> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    let (service, operation) = target.rsplit_once('.')?;
    let guest = named(service)?;
    let codec = Codec::of_content_type(content_type(headers)).unwrap_or(Codec::Json10);
    Some(Visit { guest, way: Way::Rpc(codec, operation.to_owned()) })
}

/// The guest of this name. Those that speak nothing but forms have none.
fn named(service: &str) -> Option<&'static Guest> {
    GUESTS.iter().find(|guest| !service.is_empty() && guest.service.target == service)
}

/// A form, signed for the service.
fn by_signature(parts: &Parts) -> Option<Visit> {
    let bare = content_type(&parts.headers).split(';').next()?.trim();
    if !bare.eq_ignore_ascii_case(query::FORM) {
        return None;
    }
    let claim = Claim::of(parts).ok()?;
    let speaks_query = |guest: &&Guest| guest.service.query.is_some();
    let guest = GUESTS.iter().filter(speaks_query);
    let guest = { guest }.find(|guest| guest.service.signing_name == claim.scope.service)?;
    Some(Visit { guest, way: Way::Query })
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("")
}

impl Visit {
    /// How errors are told before the operation is known.
    pub fn dialect(&self) -> Dialect {
        match (&self.way, self.guest.service.query) {
            (Way::Rpc(codec, _), None) => Dialect::Rpc(*codec),
            (Way::Rpc(codec, _), Some(names)) => Dialect::QueryCompatible(*codec, names),
            (Way::Query, names) => Dialect::Query(names.expect("only who speaks it is visited so")),
        }
    }

    /// The operation, and its input out of `body`.
    pub fn target(self, body: Bytes) -> Result<Target, Refusal> {
        let dialect = self.dialect();
        let refused = |error| Refusal::Error(error, dialect);
        let (name, input) = match self.way {
            Way::Rpc(codec, name) => (name, Input::Body(codec, body)),
            Way::Query => {
                let form = Form::parse(&body).map_err(|e: DecodeError| refused(e.into()))?;
                let action = form.get("Action").ok_or_else(|| refused(missing_action()))?;
                (action.to_owned(), Input::Form(form))
            }
        };
        let op = (self.guest.named)(&name).ok_or_else(|| refused(unknown_action(&name)))?;
        Ok(Target { op, dialect, input })
    }
}

/// The one call that nobody signs: a token of an identity provider takes the place of a signature.
/// `None`: this is not it.
pub fn unsigned(parts: &Parts, body: &Bytes) -> Option<Target> {
    let is_signed = parts.headers.contains_key(header::AUTHORIZATION)
        || parts.uri.query().is_some_and(|query| query.contains("X-Amz-"));
    let bare = content_type(&parts.headers).split(';').next()?.trim();
    if is_signed || !bare.eq_ignore_ascii_case(query::FORM) || body.len() > IAM_REQUEST_BYTES_MAX {
        return None;
    }
    let form = Form::parse(body).ok()?;
    let op = sts::Op::AssumeRoleWithWebIdentity;
    (form.get("Action") == Some(op.name())).then(|| Target {
        op: Op::Sts(op),
        dialect: Dialect::Query(sts::SERVICE.query.expect("it speaks nothing else")),
        input: Input::Form(form),
    })
}

/// The target of a request to Data Streams.
pub fn home(parts: &Parts, body: Bytes) -> Result<Target, Refusal> {
    let target = front_door::target(parts, &body)?;
    Ok(Target {
        op: Op::Kinesis(target.op),
        dialect: target.codec.into(),
        input: Input::Body(target.codec, body),
    })
}

fn missing_action() -> ServiceError {
    ServiceError::new("MissingAction", 400, "The request is missing an action.")
}

fn unknown_action(name: &str) -> ServiceError {
    let name: String = name.chars().take(128).collect();
    let sentence = format!("Could not find operation {name}.");
    ServiceError { message: Some(sentence), ..ServiceError::unknown_operation() }
}

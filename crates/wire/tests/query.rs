//! AWS's own cases of the query protocol: forms that clients send are read, and what we answer is
//! the XML that clients are shown to understand.
//!
//! Left out, because no model of ours has them: flattened lists, renamed items, keys and values,
//! namespaces of single members, timestamp formats other than the protocol's own.

mod dynamic;

use dynamic::{Case, Dynamic, agree, cases};
use millstream_wire::operation::{Http, QueryNames};
use millstream_wire::query::{Form, FormDecoder, Query, encode_error, error_header};
use millstream_wire::{Codec, Operation, Protocol, Service, ServiceError, Value};

static NAMES: QueryNames =
    QueryNames { namespace: "https://example.com/", error_shapes: &[("Slow", "SlowException")] };

static SERVICE: Service = Service {
    signing_name: "test",
    target: "",
    codec: Codec::Json,
    namespace: "test",
    query: Some(&NAMES),
};

/// Spelled in ways that no model of ours asks for.
const FOREIGN: &[&str] = &[
    "QueryListArgWithXmlNameMember",
    "QueryQueryMapWithMemberXmlName",
    "QueryFlattenedQueryMapsWithXmlName",
    "QueryQueryFlattenedXmlMap",
    "QueryQueryFlattenedXmlMapWithXmlName",
    "QueryQueryFlattenedXmlMapWithXmlNamespace",
    "QueryQueryXmlMapsXmlName",
    "QueryXmlNamespaces",
    "QueryXmlLists",
    "AwsQueryDateTimeWithNegativeOffset",
    "AwsQueryDateTimeWithPositiveOffset",
];

fn ours(file: &str) -> impl Iterator<Item = Case> {
    cases(file).into_iter().filter(|case| !FOREIGN.contains(&case.id()))
}

#[test]
fn requests() {
    let mut run = 0;
    for case in ours("query-input") {
        let (Some(shape), Some(body)) =
            (case.shape("input"), case.json["serialized"]["body"].as_str())
        else {
            continue;
        };
        let form = Form::parse(body.as_bytes()).expect("a form");
        assert_eq!(form.get("Action"), case.json["given"]["name"].as_str(), "{}", case.id());
        shape.expect_next();
        let mut decoder = FormDecoder::new(&form);
        let found = match Dynamic::decode(&mut decoder) {
            Ok(found) => found.into_json(),
            Err(error) => panic!("{}: {error}", case.id()),
        };
        let params = &case.json["params"];
        assert!(agree(&found, params), "{}: {found} for {params}", case.id());
        run += 1;
    }
    assert!(run >= 25, "only {run} cases");
}

#[test]
fn responses() {
    let mut run = 0;
    for case in ours("query-output").filter(|case| !case.is_error()) {
        let body = case.json["response"]["body"].as_str().unwrap_or_default();
        let (Some(shape), false) = (case.shape("output"), body.is_empty()) else { continue };
        let name: &'static str =
            case.json["given"]["name"].as_str().unwrap_or_default().to_owned().leak();
        let op = Box::leak(Box::new(Operation { name, service: &SERVICE, http: Http::RPC }));
        let query = Query { form: Form::default(), request_id: "id".to_owned() };
        let reply = query.encode(op, &Dynamic::new(shape, &case.json["result"]));
        let millstream_wire::operation::Body::Whole(sent) = reply.body else { panic!("whole") };
        let sent = String::from_utf8(sent.to_vec()).expect("text");
        let metadata = "<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata>";
        assert!(sent.contains(metadata), "{}: {sent}", case.id());
        let sent = sent.replace(metadata, "");
        assert_eq!(Tree::of(&sent), Tree::of(body), "{}: {sent} for {body}", case.id());
        run += 1;
    }
    assert!(run >= 14, "only {run} cases");
}

#[test]
fn errors_tell_whose_fault_they_are() {
    let error = ServiceError::new("Slow", 400, "a < b");
    let body = encode_error(&error, Some(&NAMES), "id");
    assert_eq!(
        body,
        "<ErrorResponse xmlns=\"https://example.com/\"><Error><Type>Sender</Type><Code>Slow</Code>\
         <Message>a &lt; b</Message></Error><RequestId>id</RequestId></ErrorResponse>"
    );
    assert_eq!(NAMES.shape_of("Slow"), "SlowException");
    assert_eq!(NAMES.shape_of("Fast"), "Fast");
    assert_eq!(error_header(&ServiceError::internal_failure("x")), "InternalFailure;Receiver");
}

#[test]
fn an_operation_without_output_has_no_result() {
    static OP: Operation = Operation { name: "Put", service: &SERVICE, http: Http::RPC };
    let query = Query { form: Form::default(), request_id: "id".to_owned() };
    let reply = query.encode_nothing(&OP);
    let millstream_wire::operation::Body::Whole(body) = reply.body else { panic!("whole") };
    assert_eq!(
        body,
        "<PutResponse xmlns=\"https://example.com/\"><ResponseMetadata><RequestId>id</RequestId>\
         </ResponseMetadata></PutResponse>"
    );
}

/// Forms of strangers neither panic nor recurse without bound.
#[test]
fn hostile_forms_are_refused() {
    let deep = "a.1.".repeat(10_000);
    let many = "a=1&".repeat(millstream_wire::query::PAIRS_MAX + 1);
    for body in [deep.as_bytes(), b"\xff=1", b"%zz=%", b"=&=&&&", many.as_bytes(), b"."] {
        let _ = Form::parse(body).map(|form| form.get("Action").map(str::to_owned));
    }
    assert!(Form::parse(many.as_bytes()).is_err());
    assert!(Form::parse(b"\xff=1").is_err());
}

/// An element: its name, its text or its children in an order that doesn't matter.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tree {
    name: String,
    text: String,
    children: Vec<Tree>,
}

impl Tree {
    fn of(xml: &str) -> Tree {
        let mut rest = xml.trim();
        Tree::read(&mut rest)
    }

    /// As much XML as the cases have: elements, attributes that don't matter, text.
    fn read(rest: &mut &str) -> Tree {
        let end = rest.find('>').expect("a tag's end");
        let tag = &rest[1..end];
        *rest = &rest[end + 1..];
        let name = tag.split([' ', '/']).next().expect("a name").to_owned();
        let mut tree = Tree { name, text: String::new(), children: Vec::new() };
        if tag.ends_with('/') {
            return tree;
        }
        loop {
            let at = rest.find('<').expect("an end tag");
            tree.text.push_str(rest[..at].trim());
            *rest = &rest[at..];
            if rest.starts_with("</") {
                *rest = &rest[rest.find('>').expect("a tag's end") + 1..];
                tree.children.sort();
                return tree;
            }
            tree.children.push(Tree::read(rest));
        }
    }
}

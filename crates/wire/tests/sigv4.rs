//! AWS's published signature cases, and what is said about requests that claim nothing or nonsense.

use http::Request;
use http::request::Parts;
use millstream_wire::sigv4::{Claim, Form, PayloadHash, Scope, SigningKey, canonical_request};
use proptest::prelude::*;

/// The secret of the published cases.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// 2015-08-30T12:36:00Z, the time of the published cases.
const NOW: u64 = 1_440_938_160;

#[derive(Debug)]
struct Case {
    name: String,
    parts: Parts,
    payload_hash: String,
    canonical_request: String,
    string_to_sign: String,
}

#[test]
fn published_cases_are_verified() {
    let cases = cases();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    for c in &cases {
        let claim = Claim::of(&c.parts).unwrap_or_else(|e| panic!("{}: {e:?}", c.name));
        let request = canonical_request(&c.parts, &claim, &c.payload_hash);
        assert_eq!(request, c.canonical_request, "{}", c.name);
        assert_eq!(claim.string_to_sign(&request), c.string_to_sign, "{}", c.name);
        let key = SigningKey::derive(SECRET, &claim.scope);
        claim
            .verify(&c.parts, &c.payload_hash, &key)
            .unwrap_or_else(|e| panic!("{}: {e:?}", c.name));
        claim.check_time(NOW).unwrap();
    }
}

#[test]
fn anything_else_is_not() {
    for c in &cases() {
        let claim = Claim::of(&c.parts).unwrap();
        let key = SigningKey::derive(SECRET, &claim.scope);
        let refused = |claim: &Claim, hash: &str, key: &SigningKey| {
            let error = claim.verify(&c.parts, hash, key).unwrap_err();
            assert_eq!((error.code.as_ref(), error.status), ("InvalidSignatureException", 400));
        };
        refused(&claim, &c.payload_hash, &SigningKey::derive("another secret", &claim.scope));
        refused(&claim, &hash(b"another body"), &key);
        refused(&Claim { time: "20150830T123601Z".into(), ..claim.clone() }, &c.payload_hash, &key);
        refused(&Claim { signature: String::new(), ..claim.clone() }, &c.payload_hash, &key);
        refused(&Claim { signature: "zz".into(), ..claim.clone() }, &c.payload_hash, &key);
        let upper = Claim { signature: claim.signature.to_ascii_uppercase(), ..claim.clone() };
        refused(&upper, &c.payload_hash, &key);
        let mut cut = claim.clone();
        cut.signature.truncate(32);
        refused(&cut, &c.payload_hash, &key);
    }
}

#[test]
fn a_presigned_query_is_verified() {
    let signed = "/?Action=ListStreams&X-Amz-Algorithm=AWS4-HMAC-SHA256&\
        X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fkinesis%2Faws4_request&\
        X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&\
        X-Amz-Security-Token=to%2Fken%2B%3D%3D";
    let parts = request(signed, HOST);
    // Sign it with what the published cases prove, then read it back.
    let unsigned = Claim::of(&request(&format!("{signed}&X-Amz-Signature=0"), HOST)).unwrap();
    let text = unsigned.string_to_sign(&canonical_request(&parts, &unsigned, &hash(b"")));
    let signature = signature(&unsigned.scope, &text);
    let parts = request(&format!("{signed}&X-Amz-Signature={signature}"), HOST);
    let claim = Claim::of(&parts).unwrap();
    assert_eq!(claim, Claim { signature, ..unsigned });
    assert_eq!(claim.form, Form::Query);
    assert_eq!(claim.session_token.as_deref(), Some("to/ken+=="));
    claim.verify(&parts, &hash(b""), &SigningKey::derive(SECRET, &claim.scope)).unwrap();
    claim.check_time(NOW + 60).unwrap();
    let error = claim.check_time(NOW + 61).unwrap_err();
    assert!(error.message.as_deref().unwrap().starts_with("Signature expired: 20150830T123600Z"));
}

#[test]
fn the_front_door_says_what_is_missing() {
    let auth = "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host, \
                Signature=00";
    let date = ("x-amz-date", "20150830T123600Z");
    for (uri, headers, code, message) in [
        ("/", vec![], "MissingAuthenticationTokenException", "Missing Authentication Token".into()),
        (
            "/?X-Amz-Algorithm=x",
            vec![("authorization", auth)],
            "InvalidSignatureException",
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."
                .into(),
        ),
        (
            "/",
            vec![("authorization", "AWS4-HMAC-SHA256 Credential=A"), date],
            "IncompleteSignatureException",
            "Authorization header requires 'Signature' parameter. Authorization header requires \
             'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 Credential=A"
                .to_owned(),
        ),
        (
            "/",
            vec![("authorization", auth)],
            "IncompleteSignatureException",
            format!(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                 header. Authorization={auth}"
            ),
        ),
        (
            "/?X-Amz-Algorithm=x&X-Amz-Date=y",
            vec![],
            "IncompleteSignatureException",
            "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string \
             parameters must include 'X-Amz-Signature'. AWS query-string parameters must include \
             'X-Amz-SignedHeaders'. Re-examine the query-string parameters."
                .into(),
        ),
        (
            "/",
            vec![
                (
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature=0",
                ),
                date,
            ],
            "IncompleteSignatureException",
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got 'A/b'"
                .into(),
        ),
        (
            "/",
            vec![("authorization", "Bearer abc"), date],
            "MissingAuthenticationTokenException",
            "Missing Authentication Token".into(),
        ),
        (
            "/",
            vec![("authorization", &auth.replace("HMAC-SHA256", "ECDSA-P256-SHA256")), date],
            "IncompleteSignatureException",
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.".into(),
        ),
        (
            "/",
            vec![("authorization", auth), ("x-amz-date", "20150831T000000Z")],
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '20150830' != '20150831', from '20150831T000000Z'."
                .into(),
        ),
        (
            "/",
            vec![("authorization", &auth.replace("=host", "=date")), date],
            "InvalidSignatureException",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into(),
        ),
    ] {
        let error = Claim::of(&request(uri, &headers)).unwrap_err();
        assert_eq!(error.code, code, "{headers:?}");
        assert_eq!(error.message.as_deref(), Some(message.as_str()));
        assert_eq!(error.status, 400);
    }
}

/// HTTP/2's spelling of the host, which the JavaScript SDK signs.
#[test]
fn the_authority_stands_for_the_host() {
    let header = "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/service/aws4_request, \
                  SignedHeaders=:authority;x-amz-date, Signature=00";
    let headers = [("authorization", header), ("x-amz-date", "20150830T123600Z")];
    let parts = request("http://example.com:8080/", &headers);
    let claim = Claim::of(&parts).unwrap();
    let canonical = millstream_wire::sigv4::canonical_request(&parts, &claim, "hash");
    assert_eq!(
        canonical,
        "GET\n/\n\n:authority:example.com:8080\nx-amz-date:20150830T123600Z\n\n\
         :authority;x-amz-date\nhash"
    );
}

#[test]
fn a_wrong_clock_is_told_both_times() {
    let claim = Claim::of(&cases()[0].parts).unwrap();
    for now in [NOW - 300, NOW, NOW + 300] {
        claim.check_time(now).unwrap();
    }
    let message = |now| claim.check_time(now).unwrap_err().message.unwrap();
    assert_eq!(
        message(NOW + 301),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
         (20150830T124101Z - 5 min.)"
    );
    assert_eq!(
        message(NOW - 301),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z \
         (20150830T123059Z + 5 min.)"
    );
}

/// A small request must not make a large canonical one.
#[test]
fn headers_are_signed_once_and_not_without_end() {
    let list = |names: Vec<String>| {
        let auth = format!(
            "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders={}, \
             Signature=00",
            names.join(";")
        );
        let headers = [("authorization", &*auth), ("x-amz-date", "20150830T123600Z")];
        Claim::of(&request("/", &headers)).map_err(|e| e.code.into_owned())
    };
    let some = |n: usize| (0..n).map(|i| format!("h{i}")).chain(["host".into()]).collect();
    assert!(list(some(99)).is_ok());
    let refused = Err("IncompleteSignatureException".to_owned());
    assert_eq!(list(some(100)), refused);
    assert_eq!(list(vec!["host".into(), "x".into(), "HOST".into()]), refused);
}

/// Values that were sent several times, blanks, and names that HTTP would not take.
#[test]
fn odd_headers_have_one_spelling() {
    let header = "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/service/aws4_request, \
                  SignedHeaders=host;not a name;x-many;x-none, Signature=00"
        .replace("not a name", "not(a)name");
    let headers = [
        ("authorization", &*header),
        ("x-amz-date", "20150830T123600Z"),
        ("host", "h"),
        ("x-many", "  b\t c  "),
        ("x-many", ""),
        ("x-many", "a"),
    ];
    let parts = request("/a%20b/../c d?b=%c3%A9&a=+&&b".replace(' ', "%20").as_str(), &headers);
    let claim = Claim::of(&parts).unwrap();
    assert_eq!(
        canonical_request(&parts, &claim, "hash"),
        "GET\n/c%2520d\na=%2B&b=&b=%C3%A9\nhost:h\nnot(a)name:\nx-many:b c,,a\nx-none:\n\n\
         host;not(a)name;x-many;x-none\nhash"
    );
    let mut s3 = claim.clone();
    s3.scope.service = "s3".into();
    assert!(canonical_request(&parts, &s3, "hash").starts_with("GET\n/a%20b/../c%20d\n"));
}

/// Anything in a header or a query is read without a panic, and proves nothing.
#[test]
fn fuzz_claims() {
    let known = "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/kinesis/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature=00";
    let keys = SigningKey::derive(SECRET, &Scope::default());
    bolero::check!().with_type::<(Vec<u8>, Vec<u8>, u8, u8)>().for_each(
        |(header, query, at, to)| {
            let mut changed = known.as_bytes().to_vec();
            let place = usize::from(*at) % changed.len();
            changed[place] = *to;
            let query: String = query.iter().map(|b| format!("%{b:02x}")).collect();
            let claims = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2f20150830%2fr%2fs%2f\
                      aws4_request&X-Amz-Signature=00&X-Amz-SignedHeaders=host&X-Amz-Date=";
            for (uri, header) in [
                ("/".to_owned(), Some(header)),
                ("/".to_owned(), Some(&changed)),
                (format!("/?{claims}{query}"), None),
                (format!("/?{claims}20150830T123600Z&X-Amz-Expires={query}&{query}={query}"), None),
            ] {
                let mut builder = Request::get(uri).header("x-amz-date", "20150830T123600Z");
                if let Some(header) = header {
                    builder = builder.header("authorization", &header[..]);
                }
                let Ok(request) = builder.body(()) else { continue };
                let (parts, ()) = request.into_parts();
                if let Ok(claim) = Claim::of(&parts) {
                    let _ = claim.check_time(NOW);
                    assert!(claim.verify(&parts, "", &keys).is_err());
                }
            }
        },
    );
}

proptest! {
    /// No header or query makes the parser panic.
    #[test]
    fn hostile_claims_are_errors(auth in "[ -~]{0,200}", query in "[!-~&&[^#<>\"`{}\\\\^|]]{0,100}") {
        let uri = format!("/?X-Amz-Date={query}");
        if let Ok(parts) = Request::get(uri).header("authorization", &auth).header("date", &auth)
            .body(()).map(|r| r.into_parts().0)
            && let Ok(claim) = Claim::of(&parts)
        {
            let _ = claim.check_time(NOW);
            let key = SigningKey::derive(SECRET, &claim.scope);
            prop_assert!(claim.verify(&parts, &hash(b""), &key).is_err());
        }
    }
}

fn hash(body: &[u8]) -> String {
    let mut h = PayloadHash::default();
    h.update(body);
    h.finish()
}

const HOST: &[(&str, &str)] = &[("host", "example.amazonaws.com")];

/// Computed by the letter of the specification.
fn signature(scope: &Scope, text: &str) -> String {
    let key = [&scope.date, &scope.region, &scope.service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    hmac(&key, text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    use aws_lc_rs::hmac;
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}

fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let builder = headers.iter().fold(Request::get(uri), |b, (n, v)| b.header(*n, *v));
    builder.body(()).unwrap().into_parts().0
}

/// The published cases, without the one whose request line no HTTP parser lets through: a blank in
/// the path.
fn cases() -> Vec<Case> {
    let file: serde_json::Value = serde_json::from_str(include_str!("data/sigv4.json")).unwrap();
    let text = |c: &serde_json::Value, key: &str| c[key].as_str().unwrap().to_owned();
    file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["name"] != "normalize-path/get-space")
        .map(|c| {
            let (name, raw) = (text(c, "name"), text(c, "request"));
            let (head, body) = raw.split_once("\n\n").unwrap_or((&raw, ""));
            let mut lines = head.lines();
            let line = lines.next().unwrap();
            let (method, rest) = line.split_once(' ').unwrap();
            let (uri, _) = rest.rsplit_once(' ').unwrap();
            let mut builder = Request::builder().method(method).uri(uri);
            let mut headers: Vec<(String, String)> = Vec::new();
            for line in lines {
                match line.split_once(':') {
                    Some((n, v)) if !line.starts_with(' ') => headers.push((n.into(), v.into())),
                    _ => headers.last_mut().unwrap().1 += &format!(" {}", line.trim()),
                }
            }
            for (n, v) in headers.iter().filter(|(n, _)| !n.eq_ignore_ascii_case("authorization")) {
                builder = builder.header(n, v.trim());
            }
            let canonical = text(c, "canonical_request");
            let token = canonical.lines().find_map(|l| l.strip_prefix("x-amz-security-token:"));
            if let Some(token) = token
                && !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("x-amz-security-token"))
            {
                builder = builder.header("x-amz-security-token", token);
            }
            builder = builder.header("authorization", text(c, "authorization"));
            let request = builder.body(()).unwrap_or_else(|e| panic!("{name}: {e}"));
            Case {
                name,
                parts: request.into_parts().0,
                payload_hash: hash(body.as_bytes()),
                canonical_request: canonical,
                string_to_sign: text(c, "string_to_sign"),
            }
        })
        .collect()
}

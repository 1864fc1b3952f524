//! TLS at the door: both HTTP versions, certificates that change, client certificates, doors with
//! endpoints. The client is rustls under a bare HTTP, so that each handshake is the test's own.
#![allow(clippy::disallowed_methods)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use millstream_server::config::{
    AuthMode, CertificatePrincipal, ClientCertificates, ListenerSection, TlsPlan,
};
use millstream_server::{Config, Node};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use support::{AUTHORIZATION, JSON, TestNode};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An authority of a test's own.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority { params, key: KeyPair::generate().unwrap() }
    }

    fn pem(&self) -> String {
        self.params.self_signed(&self.key).unwrap().pem()
    }

    /// A certificate and its key, both PEM.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// What a client trusts and shows.
struct Tls {
    ca: String,
    own: Option<(String, String)>,
    protocols: Vec<&'static str>,
}

impl Tls {
    fn trusting(ca: &str) -> Tls {
        Tls { ca: ca.to_owned(), own: None, protocols: vec!["http/1.1"] }
    }

    async fn connect(&self, node: &TestNode) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_to(node.addr()).await
    }

    async fn connect_to(
        &self,
        addr: std::net::SocketAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = self.protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(addr).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

fn request(
    authority: &str,
    operation: &str,
    input: &Value,
    signed: bool,
) -> http::Request<Full<Bytes>> {
    let mut builder = http::Request::post(format!("https://{authority}/"))
        .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
        .header("content-type", JSON)
        .header("host", authority)
        .header("x-amz-date", "20260101T000000Z");
    if signed {
        builder = builder.header("authorization", AUTHORIZATION);
    }
    builder.body(Full::from(input.to_string())).unwrap()
}

/// One request over HTTP/1.1 on a connection that stays open.
struct Http1(hyper::client::conn::http1::SendRequest<Full<Bytes>>);

impl Http1 {
    async fn over(stream: TlsStream<TcpStream>) -> Http1 {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Http1(sender)
    }

    async fn call(&mut self, operation: &str, input: Value, signed: bool) -> (u16, Value) {
        let request = request("localhost", operation, &input, signed);
        whole(self.0.send_request(request).await.unwrap()).await
    }
}

async fn whole(answer: http::Response<hyper::body::Incoming>) -> (u16, Value) {
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn self_signed() -> (TestNode, String) {
    let node = TestNode::start_with(|c| c.tls.self_signed = true).await;
    let ca = std::fs::read_to_string(node.node.ca_file().unwrap()).unwrap();
    (node, ca)
}

#[tokio::test]
async fn both_http_versions_are_agreed_on() {
    let (node, ca) = self_signed().await;
    assert!(node.node.endpoint().starts_with("https://127.0.0.1:"));
    let mut http1 = Http1::over(Tls::trusting(&ca).connect(&node).await.unwrap()).await;
    assert_eq!(http1.call("ListStreams", json!({}), true).await.0, 200);

    let tls = Tls { protocols: vec!["h2", "http/1.1"], ..Tls::trusting(&ca) };
    let stream = tls.connect(&node).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..3 {
        let (status, answer) = whole(
            sender
                .send_request(request("localhost", "ListStreams", &json!({}), true))
                .await
                .unwrap(),
        )
        .await;
        assert_eq!((status, &answer["StreamNames"]), (200, &json!([])));
    }
    drop((sender, http1));
    let _ = connection.await;
    node.stop().await;
}

/// Large bodies both ways: many TLS records, whole.
#[tokio::test]
async fn large_bodies_arrive_whole() {
    let (node, ca) = self_signed().await;
    let mut client = Http1::over(Tls::trusting(&ca).connect(&node).await.unwrap()).await;
    let created =
        client.call("CreateStream", json!({"StreamName": "s", "ShardCount": 1}), true).await;
    assert_eq!(created.0, 200, "{created:?}");
    let data = "QUJD".repeat(200_000);
    let put = json!({"StreamName": "s", "PartitionKey": "k", "Data": data});
    let (status, answer) = client.call("PutRecord", put, true).await;
    assert_eq!(status, 200, "{answer}");
    let from = json!({"StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = client.call("GetShardIterator", from, true).await.1["ShardIterator"].clone();
    let (_, page) = client.call("GetRecords", json!({"ShardIterator": iterator}), true).await;
    assert!(page["Records"][0]["Data"] == *data);
    drop(client);
    node.stop().await;
}

#[tokio::test]
async fn a_stranger_is_not_trusted_and_a_plain_client_gets_no_answer() {
    let (node, _) = self_signed().await;
    let other = Authority::new("other").pem();
    assert!(Tls::trusting(&other).connect(&node).await.is_err());
    let mut plain = node.connect().await;
    plain.write(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // A TLS alert, and the end.
    use tokio::io::AsyncReadExt;
    let mut seen = Vec::new();
    let _ = plain.stream.read_to_end(&mut seen).await;
    assert!(seen.len() < 16 && !seen.starts_with(b"HTTP"), "{seen:?}");
    node.stop().await;
}

#[tokio::test]
async fn who_does_not_shake_hands_is_cut_off() {
    let node = TestNode::start_with(|c| {
        c.tls.self_signed = true;
        c.tls.handshake_time = millstream_server::config::units::Span::from_millis(50);
    })
    .await;
    let mut silent = node.connect().await;
    assert!(silent.is_closed().await);
    node.stop().await;
}

#[tokio::test]
async fn the_authority_stays_over_restarts() {
    let (node, ca) = self_signed().await;
    assert!(node.node.shutdown().await);
    let node = TestNode::start_in(node.dir, |c| c.tls.self_signed = true).await;
    Tls::trusting(&ca).connect(&node).await.unwrap();
    node.stop().await;
}

fn write_pair(dir: &Path, (certificate, key): &(String, String)) {
    std::fs::write(dir.join("cert.pem"), certificate).unwrap();
    std::fs::write(dir.join("key.pem"), key).unwrap();
}

fn with_files(config: &mut Config, dir: &Path) {
    config.tls.certificate = dir.join("cert.pem");
    config.tls.key = dir.join("key.pem");
    // Only when asked: the test decides when.
    config.tls.reload_interval = millstream_server::config::units::Span::from_secs(3600);
}

/// New files hold for new connections; old connections and broken files change nothing.
#[tokio::test]
async fn certificates_are_replaced_without_dropping_a_connection() {
    let files = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    write_pair(files.path(), &first.issue(|_| {}));
    let node = TestNode::start_with(|c| with_files(c, files.path())).await;
    let mut old = Http1::over(Tls::trusting(&first.pem()).connect(&node).await.unwrap()).await;
    assert_eq!(old.call("ListStreams", json!({}), true).await.0, 200);

    let works = async |ca: &Authority| Tls::trusting(&ca.pem()).connect(&node).await.is_ok();
    std::fs::write(files.path().join("key.pem"), "broken").unwrap();
    node.node.reload();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(works(&first).await);
    std::fs::remove_file(files.path().join("cert.pem")).unwrap();
    node.node.reload();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(works(&first).await);

    write_pair(files.path(), &second.issue(|_| {}));
    node.node.reload();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !works(&second).await {
        assert!(tokio::time::Instant::now() < deadline, "the new certificate is not in use");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!works(&first).await);
    assert_eq!(old.call("ListStreams", json!({}), true).await.0, 200);
    drop(old);
    node.stop().await;
}

#[tokio::test]
async fn files_that_do_not_fit_end_the_start() {
    let files = tempfile::tempdir().unwrap();
    let ca = Authority::new("ca");
    let start = async || {
        let dir = tempfile::tempdir().unwrap();
        let mut config = support::config(dir.path());
        with_files(&mut config, files.path());
        Node::start(config).await.err().expect("refused").to_string()
    };
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    assert!(start().await.starts_with(&format!("{} can't be read: ", cert.display())));
    write_pair(files.path(), &("no pem".to_owned(), "no pem".to_owned()));
    assert_eq!(start().await, format!("{} is no PEM file with certificates", cert.display()));
    let (certificate, _) = ca.issue(|_| {});
    write_pair(files.path(), &(certificate.clone(), certificate.clone()));
    assert_eq!(start().await, format!("{} is no PEM file with a private key", key.display()));
    let (_, other) = ca.issue(|_| {});
    write_pair(files.path(), &(certificate, other));
    let message = start().await;
    let head = format!("certificate {} and key {} can't be used: ", cert.display(), key.display());
    assert!(message.starts_with(&head), "{message}");
}

/// A proven certificate with a mapped name needs no signature; others sign as ever.
#[tokio::test]
async fn client_certificates_stand_for_principals() {
    let files = tempfile::tempdir().unwrap();
    let ca = Authority::new("clients");
    std::fs::write(files.path().join("ca.pem"), ca.pem()).unwrap();
    let arn = "arn:aws:iam::000000000007:user/orders";
    let node = TestNode::start_with(|c| {
        c.tls.self_signed = true;
        c.tls.client_ca = files.path().join("ca.pem");
        c.tls.principals = vec![CertificatePrincipal {
            name: "URI:spiffe://example.com/orders".into(),
            principal: arn.into(),
        }];
    })
    .await;
    let server = std::fs::read_to_string(node.node.ca_file().unwrap()).unwrap();
    let known = |params: &mut CertificateParams| {
        let name = "spiffe://example.com/orders".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(name));
    };
    let limits = json!({"StreamName": "s", "ShardCount": 1});
    let missing = "MissingAuthenticationTokenException";
    for (own, unsigned) in
        [(None, missing), (Some(ca.issue(|_| {})), missing), (Some(ca.issue(known)), "")]
    {
        let tls = Tls { own, ..Tls::trusting(&server) };
        let mut client = Http1::over(tls.connect(&node).await.unwrap()).await;
        assert_eq!(client.call("ListStreams", json!({}), true).await.0, 200);
        let (status, answer) = client.call("CreateStream", limits.clone(), false).await;
        assert_eq!(answer["__type"].as_str().unwrap_or(""), unsigned, "{answer}");
        if status == 200 {
            let named = json!({"StreamName": "s"});
            let (_, answer) = client.call("DescribeStreamSummary", named, false).await;
            let found = answer["StreamDescriptionSummary"]["StreamARN"].as_str().unwrap();
            assert!(found.contains(":000000000007:stream/s"), "{found}");
        }
    }
    // Of another authority: no handshake. TLS 1.3 tells with the first read.
    let forged = Some(Authority::new("clients").issue(known));
    let refused = Tls { own: forged, ..Tls::trusting(&server) };
    assert!(ends_early(refused.connect(&node).await).await);
    node.stop().await;
}

async fn ends_early(connected: std::io::Result<TlsStream<TcpStream>>) -> bool {
    use tokio::io::AsyncReadExt;
    match connected {
        Err(_) => true,
        Ok(mut stream) => stream.read(&mut [0; 1]).await.is_err(),
    }
}

#[tokio::test]
async fn listeners_have_their_own_rules() {
    let files = tempfile::tempdir().unwrap();
    let ca = Authority::new("clients");
    std::fs::write(files.path().join("ca.pem"), ca.pem()).unwrap();
    let node = TestNode::start_with(|c| {
        c.tls.self_signed = true;
        let plain = ListenerSection {
            tls: Some(false),
            endpoint_id: Some("vpce-0a1b".into()),
            endpoint_policy: Some(LISTS_ONLY.into()),
            ..listener()
        };
        let private = ListenerSection {
            client_ca: Some(files.path().join("ca.pem")),
            client_certificates: Some(ClientCertificates::Required),
            ..listener()
        };
        c.listener = vec![plain, private];
    })
    .await;
    let server = std::fs::read_to_string(node.node.ca_file().unwrap()).unwrap();
    let [tls, plain, private] = node.node.addrs() else { panic!("three listeners") };
    assert!(Tls::trusting(&server).connect_to(*tls).await.is_ok());
    assert!(TcpStream::connect(plain).await.is_ok());
    assert!(ends_early(Tls::trusting(&server).connect_to(*private).await).await);
    let known = Tls { own: Some(ca.issue(|_| {})), ..Tls::trusting(&server) };
    let mut client = Http1::over(known.connect_to(*private).await.unwrap()).await;
    assert_eq!(client.call("ListStreams", json!({}), true).await.0, 200);
    drop(client);
    node.stop().await;
}

fn listener() -> ListenerSection {
    ListenerSection {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        certificate: None,
        key: None,
        client_ca: None,
        client_certificates: None,
        endpoint_id: None,
        endpoint_policy: None,
    }
}

/// What may be done through a door, whoever it is.
const LISTS_ONLY: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "kinesis:List*", "Resource": "*"}]}"#;

#[tokio::test]
async fn an_endpoint_policy_that_is_none_ends_the_start() {
    for (policy, expected) in [
        ("{", "it is not a JSON object"),
        ("{}", "Statement is missing"),
        ("/nowhere/policy.json", "/nowhere/policy.json can't be read: "),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = support::config(dir.path());
        config.server.ephemeral = true;
        config.auth.mode = AuthMode::Iam;
        config.listener =
            vec![ListenerSection { endpoint_policy: Some(policy.into()), ..listener() }];
        let error = Node::start(config).await.err().expect("refused").to_string();
        let head = format!("listener 127.0.0.1:0: endpoint_policy: {expected}");
        assert!(error.starts_with(&head), "{error}");
    }
}

/// A certificate's user, without a signature: may what its policies and the door's say.
#[tokio::test]
async fn an_endpoint_policy_bounds_identities() {
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name);
    let ca = Authority::new("clients");
    std::fs::write(path("ca.pem"), ca.pem()).unwrap();
    let identities = r#"
        [[account]]
        id = "000000000007"
        [[account.user]]
        name = "orders"
        [account.user.inline]
        all = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}]}'
    "#;
    std::fs::write(path("identities.toml"), identities).unwrap();
    let principal = |name: &str| CertificatePrincipal {
        name: format!("DNS:{name}.test"),
        principal: format!("arn:aws:iam::000000000007:user/{name}"),
    };
    let node = TestNode::start_with(|c| {
        c.auth.mode = AuthMode::Iam;
        c.identity.file = path("identities.toml");
        c.identity.admin_key_file = path("admin.key");
        c.keys.root = format!("file:{}", path("root.key").display());
        c.tls.self_signed = true;
        c.tls.client_ca = path("ca.pem");
        c.tls.principals = vec![principal("orders"), principal("nobody")];
        c.listener =
            vec![ListenerSection { endpoint_policy: Some(LISTS_ONLY.into()), ..listener() }];
    })
    .await;
    let server = std::fs::read_to_string(node.node.ca_file().unwrap()).unwrap();
    let [open, bounded] = *node.node.addrs() else { panic!("two listeners") };
    let named = |name: &str| {
        let own = ca.issue(|params| {
            let name = format!("{name}.test").try_into().unwrap();
            params.subject_alt_names.push(SanType::DnsName(name));
        });
        Tls { own: Some(own), ..Tls::trusting(&server) }
    };
    let create = json!({"StreamName": "s", "ShardCount": 1});
    for (name, addr, operation, input, expected) in [
        ("orders", bounded, "CreateStream", create.clone(), "AccessDeniedException"),
        ("orders", bounded, "ListStreams", json!({}), ""),
        ("orders", open, "CreateStream", create.clone(), ""),
        ("nobody", open, "ListStreams", json!({}), "UnrecognizedClientException"),
    ] {
        let mut client = Http1::over(named(name).connect_to(addr).await.unwrap()).await;
        let (_, answer) = client.call(operation, input, false).await;
        assert_eq!(
            answer["__type"].as_str().unwrap_or(""),
            expected,
            "{name} {operation}: {answer}"
        );
    }
    node.stop().await;
}

/// Whoever comes would be let in: not by accident.
#[tokio::test]
async fn an_open_node_on_the_network_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = support::config(dir.path());
    config.server.listen = vec!["0.0.0.0:0".parse().unwrap()];
    let error = Node::start(config).await.err().expect("refused").to_string();
    assert!(error.starts_with("0.0.0.0:0 can be reached from other machines"), "{error}");
    assert!(error.contains("--insecure"), "{error}");
    assert!(!dir.path().join("FORMAT").exists(), "nothing was touched");
}

/// Equal plans are one: the map of acceptors leans on it.
#[test]
fn plans_are_compared_by_what_they_say() {
    let mut config = Config::default();
    config.tls.self_signed = true;
    config.listener = vec![listener()];
    let plans: Vec<TlsPlan> =
        config.doors().unwrap().into_iter().filter_map(|door| door.tls).collect();
    assert_eq!(plans[0], plans[1]);
}

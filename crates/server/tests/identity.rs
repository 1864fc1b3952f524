//! Mode "iam" on a real node: the first administrator, the declarative file, OpenID Connect.
#![allow(clippy::disallowed_methods)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use millstream_api::kinesis::{ListStreamsInput, ops};
use millstream_client::{Client, Credentials, Element, Endpoint, Error};
use millstream_server::config::AuthMode;
use millstream_server::{Config, Node};
use serde_json::Value;
use support::{Request, TestNode};

const IAM: &str = "2010-05-08";

/// Mode "iam", with its keys in `keys`.
fn in_mode_iam(keys: &Path) -> impl FnOnce(&mut Config) {
    let keys = keys.to_owned();
    move |config| {
        config.auth.mode = AuthMode::Iam;
        config.keys.root = format!("file:{}/root.key", keys.display());
        config.identity.admin_key_file = keys.join("admin");
        config.identity.file_interval.0 = Duration::from_millis(50);
    }
}

/// The key in a credentials file.
fn key_in(file: &Path) -> Credentials {
    let text = std::fs::read_to_string(file).unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split(" = ").nth(1).unwrap().to_owned()
    };
    Credentials::new(value("aws_access_key_id"), value("aws_secret_access_key"), None, None, "test")
}

async fn client(node: &TestNode, service: &'static str, as_whom: Credentials) -> Client {
    let endpoint = Endpoint::parse(&node.node.endpoint()).unwrap();
    let builder = Client::builder().service(service).endpoint(endpoint).region("us-east-1");
    builder.credentials(as_whom).build().await.unwrap()
}

async fn list_streams(node: &TestNode, as_whom: Credentials) -> Result<(), Error> {
    let client = client(node, "kinesis", as_whom).await;
    client.send::<ops::ListStreams>(&ListStreamsInput::default()).await.map(drop)
}

fn code(refused: Result<(), Error>) -> String {
    refused.unwrap_err().code().unwrap_or("no answer").to_owned()
}

#[tokio::test]
async fn the_first_administrator_has_a_key_that_only_its_owner_can_read() {
    let keys = tempfile::tempdir().unwrap();
    let node = TestNode::start_with(in_mode_iam(keys.path())).await;
    let file = node.node.admin_key_file().expect("it was made").to_owned();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    list_streams(&node, key_in(&file)).await.unwrap();
    let wrong = Credentials::new("AKIA0000000000000000", "x", None, None, "test");
    assert_eq!(code(list_streams(&node, wrong).await), "UnrecognizedClientException");

    assert!(node.node.shutdown().await);
    // Lost: another one, offline.
    let mut config = support::config(node.dir.path());
    in_mode_iam(keys.path())(&mut config);
    config.identity.admin_key_file = keys.path().join("second");
    let second = Node::make_admin(config.clone(), millstream_server::ADMIN).await.unwrap();
    config.identity.admin_key_file = keys.path().join("third");
    let third = Node::make_admin(config, millstream_server::ADMIN).await.unwrap();
    let node = TestNode::start_in(node.dir, in_mode_iam(keys.path())).await;
    assert_eq!(node.node.admin_key_file(), None, "there are keys");
    assert_eq!(code(list_streams(&node, key_in(&file)).await), "UnrecognizedClientException");
    list_streams(&node, key_in(&second)).await.unwrap();
    list_streams(&node, key_in(&third)).await.unwrap();
    node.stop().await;
}

const DECLARED: &str = r#"
    [[account]]
    id = "000000000000"
    [[account.user]]
    name = "ada"
    inline = { streams = '{"Statement":{"Effect":"Allow","Action":"kinesis:ListStreams","Resource":"*"}}' }
    key = [{ id = "AKIADECLARED00000001", secret = "file:ada.secret" }]
"#;

#[tokio::test]
async fn the_declarative_file_is_followed() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("identities.toml");
    std::fs::write(&file, DECLARED).unwrap();
    std::fs::write(keys.path().join("ada.secret"), "swordfish-of-ada\n").unwrap();
    let declared = file.clone();
    let change = in_mode_iam(keys.path());
    let node = TestNode::start_with(move |config| {
        change(config);
        config.identity.file = declared;
    })
    .await;
    assert_eq!(node.node.admin_key_file(), None, "the file has a key");
    let ada = || Credentials::new("AKIADECLARED00000001", "swordfish-of-ada", None, None, "test");
    list_streams(&node, ada()).await.unwrap();

    std::fs::write(&file, "no toml at all").unwrap();
    node.node.reload();
    tokio::time::sleep(Duration::from_millis(100)).await;
    list_streams(&node, ada()).await.unwrap();

    std::fs::write(&file, DECLARED.replace("ListStreams", "PutRecord")).unwrap();
    node.node.reload();
    let mut told = String::new();
    for _ in 0..100 {
        match list_streams(&node, ada()).await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => {
                told = error.code().unwrap_or_default().to_owned();
                break;
            }
        }
    }
    assert_eq!(told, "AccessDeniedException");
    node.stop().await;
}

#[tokio::test]
async fn a_token_of_an_issuer_becomes_a_session() {
    let fixture: Value =
        serde_json::from_str(include_str!("fixtures/oidc.json")).expect("the fixture");
    let keys = tempfile::tempdir().unwrap();
    let jwks = keys.path().join("jwks.json");
    std::fs::write(&jwks, fixture["jwks"].to_string()).unwrap();
    let change = in_mode_iam(keys.path());
    let node = TestNode::start_with(move |config| {
        change(config);
        config.identity.oidc.issuer = "https://issuer.test".to_owned();
        config.identity.oidc.audiences = vec!["app".to_owned()];
        config.identity.oidc.jwks = jwks.display().to_string();
    })
    .await;
    let admin = key_in(node.node.admin_key_file().unwrap());
    let iam = client(&node, "iam", admin).await;
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
        "Principal":{"Federated":"arn:aws:iam::000000000000:oidc-provider/issuer.test"},
        "Action":"sts:AssumeRoleWithWebIdentity",
        "Condition":{"StringEquals":{"issuer.test:aud":"app","issuer.test:sub":"job-1"}}}]}"#;
    let role = [("RoleName", "robot"), ("AssumeRolePolicyDocument", trust)];
    iam.query(IAM, "CreateRole", &role).await.unwrap();
    let policy = "arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess";
    let attach = [("RoleName", "robot"), ("PolicyArn", policy)];
    iam.query(IAM, "AttachRolePolicy", &attach).await.unwrap();

    let assume = async |token: &str| {
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=night&\
             RoleArn=arn:aws:iam::000000000000:role/robot&WebIdentityToken={token}"
        );
        let request = Request::new("POST", "/")
            .with("Content-Type", "application/x-www-form-urlencoded")
            .body(form.as_bytes());
        let answer = node.connect().await.send(&request).await;
        (answer.status, Element::parse(answer.text()).unwrap())
    };
    let token = |name: &str| fixture["tokens"][name].as_str().unwrap().to_owned();
    let (status, root) = assume(&token("good")).await;
    assert_eq!(status, 200, "{root:?}");
    let result = root.child("AssumeRoleWithWebIdentityResult").unwrap();
    assert_eq!(result.text_of("SubjectFromWebIdentityToken"), "job-1");
    let made = result.child("Credentials").unwrap();
    let session = Credentials::new(
        made.text_of("AccessKeyId"),
        made.text_of("SecretAccessKey"),
        Some(made.text_of("SessionToken").to_owned()),
        None,
        "test",
    );
    list_streams(&node, session).await.unwrap();
    for (name, status, code) in [
        ("expired", 400, "ExpiredTokenException"),
        ("other_aud", 400, "InvalidIdentityToken"),
        ("other_iss", 400, "InvalidIdentityToken"),
        ("other_sub", 403, "AccessDenied"),
    ] {
        let (told, root) = assume(&token(name)).await;
        let error = root.child("Error").unwrap_or_else(|| panic!("{name}: {root:?}"));
        assert_eq!((told, error.text_of("Code")), (status, code), "{name}: {root:?}");
    }
    let mut forged = token("good");
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    assert_eq!(assume(&forged).await.0, 400);
    node.stop().await;
}

/// The one call without a signature is no way to any other.
#[tokio::test]
async fn nothing_else_goes_unsigned() {
    let keys = tempfile::tempdir().unwrap();
    let node = TestNode::start_with(in_mode_iam(keys.path())).await;
    for action in ["GetCallerIdentity", "AssumeRole", "CreateUser", "ListUsers"] {
        let form = format!("Action={action}&Version=2011-06-15&UserName=eve");
        let request = Request::new("POST", "/")
            .with("Content-Type", "application/x-www-form-urlencoded")
            .body(form.as_bytes());
        let answer = node.connect().await.send(&request).await;
        assert!(answer.status >= 400, "{action}: {answer:?}");
    }
    let request = Request::json("ListStreams", &serde_json::json!({}));
    let answer = node.connect().await.send(&request.without("Authorization")).await;
    assert_eq!(answer.error(), "MissingAuthenticationTokenException: Missing Authentication Token");
    node.stop().await;
}

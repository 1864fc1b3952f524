//! The ring of Vault against a FAKE Vault: a small server that follows the documentation of the
//! transit engine's HTTP API. It was never run against a real Vault, which no registry has.
#![allow(clippy::disallowed_methods)]

use std::sync::{Arc, Mutex};

use millstream_base::{AccountId, Region, Scope};
use millstream_keyring::{Holder, HolderOptions, HolderSpec, Make, Vault, VaultOptions};
use millstream_secrets::{EncryptionContext, KeyError, KeyRef, KeyRing, RootKey, SealingKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = "s.token";

/// The fake's state: which keys there are, and whether the token's policy lets it use them.
struct Engine {
    keys: Vec<&'static str>,
    denied: bool,
}

struct FakeVault {
    address: String,
    engine: Arc<Mutex<Engine>>,
}

impl FakeVault {
    async fn start() -> FakeVault {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let keys = vec!["orders", "aws-kinesis", "root"];
        let engine = Arc::new(Mutex::new(Engine { keys, denied: false }));
        let shared = engine.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        FakeVault { address, engine }
    }

    fn options(&self, token: &std::path::Path) -> VaultOptions {
        VaultOptions {
            address: self.address.clone(),
            token: format!("file:{}", token.display()),
            ..VaultOptions::default()
        }
    }
}

/// One request per connection.
async fn serve(mut stream: TcpStream, engine: Arc<Mutex<Engine>>) {
    let mut seen = Vec::new();
    let (head, body) = loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.unwrap();
        if n == 0 {
            return;
        }
        seen.extend_from_slice(&chunk[..n]);
        if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|n| n.parse().ok()).unwrap_or(0);
            if seen.len() >= end + 4 + length {
                break (head, seen.split_off(end + 4));
            }
        }
    };
    let (status, body) = answer(&head, &body, &engine);
    let text = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn answer(head: &str, body: &[u8], engine: &Mutex<Engine>) -> (u16, Value) {
    let engine = engine.lock().unwrap();
    let no = |status, why: &str| (status, json!({ "errors": [why] }));
    if !head.contains(&format!("x-vault-token: {TOKEN}")) || engine.denied {
        return no(403, "permission denied");
    }
    let path = head.split_whitespace().nth(1).unwrap();
    let Some((what, key)) = path.strip_prefix("/v1/transit/").and_then(|p| p.split_once('/'))
    else {
        return no(404, "no handler for route");
    };
    let known = engine.keys.contains(&key);
    let input: Value = serde_json::from_slice(body).unwrap_or_default();
    let decoded = |name: &str| {
        base64_simd::STANDARD.decode_to_vec(input[name].as_str().unwrap_or_default()).unwrap()
    };
    let sealing = RootKey::from_bytes([9; 32]).derive(key);
    match (what, known) {
        ("keys", true) => (200, json!({ "data": { "name": key, "latest_version": 1 } })),
        ("keys", false) => no(404, ""),
        (_, false) => no(400, "encryption key not found"),
        ("encrypt", true) => {
            let sealed = sealing.seal(&decoded("associated_data"), &decoded("plaintext"));
            let text = format!("vault:v1:{}", base64_simd::STANDARD.encode_to_string(sealed));
            (200, json!({ "data": { "ciphertext": text, "key_version": 1 } }))
        }
        ("decrypt", true) => match open(&sealing, &input, &decoded("associated_data")) {
            Some(text) => (200, json!({ "data": { "plaintext": text } })),
            None => no(400, "cipher: message authentication failed"),
        },
        _ => no(405, "unsupported operation"),
    }
}

fn open(sealing: &SealingKey, input: &Value, associated: &[u8]) -> Option<String> {
    let text = input["ciphertext"].as_str()?.strip_prefix("vault:v1:")?;
    let sealed = base64_simd::STANDARD.decode_to_vec(text).ok()?;
    let plain = sealing.open(associated, &sealed).ok()?;
    Some(base64_simd::STANDARD.encode_to_string(plain.expose()))
}

fn token() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
    file
}

#[tokio::test]
async fn data_keys_are_wrapped_by_vault() {
    let (fake, token) = (FakeVault::start().await, token());
    let ring = Vault::connect(fake.options(token.path())).await.unwrap();
    let scope = Scope::new(AccountId::DEFAULT, Region::new("eu-west-1").unwrap());
    let resolved = |name: &'static str| ring.resolve(&scope, name);
    assert_eq!(resolved("alias/orders").await, Ok(KeyRef::new("orders")));
    assert_eq!(resolved("alias/aws/kinesis").await, Ok(KeyRef::new("aws-kinesis")));
    assert!(matches!(resolved("nobody").await, Err(KeyError::NotFound { .. })));
    assert!(matches!(resolved("../sys/seal").await, Err(KeyError::NotFound { .. })));

    let key = KeyRef::new("orders");
    let context: EncryptionContext = [("stream".to_owned(), "orders".to_owned())].into();
    let made = ring.generate_data_key(&key, &context).await.unwrap();
    assert!(made.wrapped.starts_with(b"vault:v1:"));
    let opened = ring.unwrap_data_key(&key, &made.wrapped, &context).await;
    assert_eq!(opened.unwrap(), made.plaintext);
    let wrong = ring.unwrap_data_key(&key, &made.wrapped, &EncryptionContext::new()).await;
    assert!(matches!(wrong, Err(KeyError::InvalidCiphertext { .. })), "{wrong:?}");
    let foreign = ring.unwrap_data_key(&key, b"\x01 not Vault's", &context).await;
    assert!(matches!(foreign, Err(KeyError::InvalidCiphertext { .. })), "{foreign:?}");

    assert_eq!(ring.usable(&key), Ok(()));
    fake.engine.lock().unwrap().denied = true;
    let denied = ring.unwrap_data_key(&key, &made.wrapped, &context).await;
    assert!(matches!(denied, Err(KeyError::AccessDenied { .. })), "{denied:?}");
    assert!(matches!(ring.usable(&key), Err(KeyError::AccessDenied { .. })));
    fake.engine.lock().unwrap().denied = false;
    ring.unwrap_data_key(&key, &made.wrapped, &context).await.unwrap();
    assert_eq!(ring.usable(&key), Ok(()));
}

#[tokio::test]
async fn a_root_key_is_held_by_vault() {
    use std::sync::Arc;

    use millstream_env::Env;
    use millstream_keyring::{NodeRoot, describe};
    use millstream_meta::{MemoryMeta, MetaStore};
    use millstream_secrets::RootSource;

    let (fake, token) = (FakeVault::start().await, token());
    let meta: Arc<dyn MetaStore> = Arc::new(MemoryMeta::new(Env::real(".")));
    let options = || HolderOptions { vault: fake.options(token.path()), ..Default::default() };
    let vault = || HolderSpec::Vault("root".to_owned());
    let root = || NodeRoot::new(meta.clone(), vault(), vec![], options());
    let made = root().fetch().await.unwrap();
    assert_eq!(root().fetch().await.unwrap(), made);
    assert_eq!(describe(&*meta).await.unwrap().unwrap(), "vault:root");

    // From Vault to a file, while Vault still answers.
    let dir = tempfile::tempdir().unwrap();
    let file = || HolderSpec::File(dir.path().join("root.key"));
    let moved = NodeRoot::new(meta.clone(), file(), vec![vault()], options());
    assert_eq!(moved.fetch().await.unwrap(), made);
    fake.engine.lock().unwrap().denied = true;
    let now = NodeRoot::new(meta.clone(), file(), vec![], options());
    assert_eq!(now.fetch().await.unwrap(), made);
    let key = Holder::open(&file(), &options(), Make::Never).await.unwrap().id();
    assert_eq!(describe(&*meta).await.unwrap().unwrap(), key);
    let refused = root().fetch().await.unwrap_err().to_string();
    assert!(refused.contains("sealed with another root key"), "{refused}");
}

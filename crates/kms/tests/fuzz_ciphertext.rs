//! Strangers' bytes as ciphertexts: whatever comes, nothing is decrypted.
#![allow(clippy::disallowed_methods)]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use millstream_base::{AccountId, Region, Scope};
use millstream_env::Env;
use millstream_kms::{Ciphertext, Kms, NewKey, Options};
use millstream_meta::MemoryMeta;
use millstream_secrets::{EncryptionContext, Root, RootKey};

fn scope() -> Scope {
    Scope::new(AccountId::DEFAULT, Region::new("eu-west-1").unwrap())
}

/// An engine, and a ciphertext of its making.
async fn engine() -> (Kms, Vec<u8>) {
    let env = Env::real(".");
    let meta = Arc::new(MemoryMeta::new(env.clone()));
    let root = Root::fixed(RootKey::random());
    let kms = Kms::open(env, meta, root, Options::default()).await.unwrap();
    let key = kms.create_key(&scope(), NewKey::default()).await.unwrap();
    let made = kms.encrypt(&key, &EncryptionContext::new(), b"plain").await.unwrap();
    (kms, made.ciphertext)
}

#[test]
fn fuzz_kms_any_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (kms, _) = runtime.block_on(engine());
    let (kms, runtime) = (AssertUnwindSafe(kms), AssertUnwindSafe(runtime));
    bolero::check!().with_iterations(5_000).for_each(|input: &[u8]| {
        let _ = Ciphertext::parse(input);
        let (scope, context) = (scope(), EncryptionContext::new());
        let opened = kms.decrypt(&scope, None, &context, input);
        assert!(runtime.block_on(opened).is_err());
    });
}

/// A real ciphertext with bytes changed and an end cut off or put on.
#[test]
fn fuzz_kms_changed_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (kms, good) = runtime.block_on(engine());
    let (kms, runtime) = (AssertUnwindSafe(kms), AssertUnwindSafe(runtime));
    bolero::check!().with_type::<(Vec<(u16, u8)>, u8, Vec<u8>)>().with_iterations(3_000).for_each(
        |(changes, cut, more)| {
            let mut bytes = good.clone();
            for (at, change) in changes {
                let at = usize::from(*at) % bytes.len();
                bytes[at] ^= *change;
            }
            bytes.truncate(bytes.len() - usize::from(*cut) % bytes.len());
            bytes.extend_from_slice(more);
            let (scope, context) = (scope(), EncryptionContext::new());
            let opened = kms.decrypt(&scope, None, &context, &bytes);
            match runtime.block_on(opened) {
                Ok(opened) => assert!(bytes == good && opened.plaintext.expose() == b"plain"),
                Err(_) => assert_ne!(bytes, good),
            }
        },
    );
}

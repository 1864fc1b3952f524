//! A key ring for tests and for the simulated world: its keys do as they are told, and it wraps
//! without chance, so that a seed replays a run. Never in a node: its root is written below.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;
use millstream_base::Scope;
use millstream_env::BoxFuture;
use millstream_secrets::{EncryptionContext, KeyError, KeyRef, KeyRing, NewDataKey, Secret};
use parking_lot::Mutex;

/// How a trial key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
    AccessDenied,
    Throttled,
    /// The ring does not answer when it is asked about this key.
    Silent,
}

/// Keys by name; `alias/aws/kinesis` is there from the beginning.
pub struct TrialRing {
    keys: Mutex<BTreeMap<String, KeyState>>,
    /// What an alias means; a key's own name means the key.
    aliases: Mutex<BTreeMap<String, String>>,
    made: AtomicU64,
    calls: AtomicU64,
}

const ROOT: &[u8] = b"not a secret: for tests alone";
const NUMBER_BYTES: usize = 8;

impl Default for TrialRing {
    fn default() -> Self {
        let keys = [("alias/aws/kinesis".to_owned(), KeyState::Enabled)];
        TrialRing {
            keys: Mutex::new(keys.into()),
            aliases: Mutex::default(),
            made: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }
}

impl TrialRing {
    /// Makes a key, or changes its state.
    pub fn set(&self, name: &str, state: KeyState) {
        self.keys.lock().insert(name.to_owned(), state);
    }

    /// The key is gone.
    pub fn remove(&self, name: &str) {
        self.keys.lock().remove(name);
    }

    /// From now on `alias` means `name`.
    pub fn point(&self, alias: &str, name: &str) {
        self.aliases.lock().insert(alias.to_owned(), name.to_owned());
    }

    /// How often it made or unwrapped data keys.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn state(&self, name: &str) -> Result<KeyState, KeyError> {
        let key = name.to_owned();
        match self.keys.lock().get(name) {
            None => Err(KeyError::NotFound { key }),
            Some(KeyState::Disabled) => Err(KeyError::Disabled { key }),
            Some(KeyState::PendingDeletion) => {
                Err(KeyError::InvalidState { key, state: "pending deletion".to_owned() })
            }
            Some(state) => Ok(*state),
        }
    }

    fn call(&self, name: &str) -> Result<(), KeyError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let (key, reason) = (name.to_owned(), "a trial".to_owned());
        match self.state(name)? {
            KeyState::AccessDenied => Err(KeyError::AccessDenied { key, reason }),
            KeyState::Throttled => Err(KeyError::Throttled { key }),
            KeyState::Silent => Err(KeyError::Unavailable { reason }),
            _ => Ok(()),
        }
    }
}

fn derive(under: &KeyRef, number: &[u8], context: &EncryptionContext, purpose: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, ROOT);
    let said = format!("{purpose} {under} {number:?} {context:?}");
    hmac::sign(&key, said.as_bytes())
}

impl KeyRing for TrialRing {
    fn resolve<'a>(
        &'a self,
        _: &'a Scope,
        name: &'a str,
    ) -> BoxFuture<'a, Result<KeyRef, KeyError>> {
        let name = self.aliases.lock().get(name).cloned().unwrap_or_else(|| name.to_owned());
        let found = self.state(&name).map(|_| KeyRef::new(name));
        Box::pin(async { found })
    }

    fn usable(&self, key: &KeyRef) -> Result<(), KeyError> {
        self.state(key.as_str()).map(drop)
    }

    fn generate_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<NewDataKey, KeyError>> {
        let made = self.call(key.as_str()).map(|()| {
            let number = self.made.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let plaintext = Secret::new(derive(key, &number, context, "key").as_ref());
            let proof = derive(key, &number, context, "proof");
            NewDataKey { plaintext, wrapped: [&number[..], proof.as_ref()].concat() }
        });
        Box::pin(async { made })
    }

    fn unwrap_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        wrapped: &'a [u8],
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<Secret, KeyError>> {
        let opened = self.call(key.as_str()).and_then(|()| {
            let parts = wrapped.split_at_checked(NUMBER_BYTES);
            let number = parts
                .filter(|(number, proof)| derive(key, number, context, "proof").as_ref() == *proof);
            let reason = "a trial key did not make it".to_owned();
            let (number, _) = number.ok_or(KeyError::InvalidCiphertext { reason })?;
            Ok(Secret::new(derive(key, number, context, "key").as_ref()))
        });
        Box::pin(async { opened })
    }
}

//! AWS KMS as a key ring, or another Millstream's KMS: the API is the same.
//!
//! Data keys are made and opened by calls; whoever uses the ring keeps what it opened. The state of
//! a key is what the last call told of it, refreshed at the side.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use millstream_api::kms::{
    DataKeySpec, DecryptRequest, DescribeKeyRequest, EncryptRequest, GenerateDataKeyRequest,
    KeyMetadata, KeyState, ops,
};
use millstream_base::Scope;
use millstream_client::{Client, Endpoint, Error, Trust};
use millstream_env::Env;
use millstream_secrets::{
    BoxFuture, EncryptionContext, KeyError, KeyRef, KeyRing, NewDataKey, Secret,
};

use crate::error::HolderError;
use crate::remote::Known;

/// How AWS KMS is reached. Credentials are found as the AWS CLI finds them.
#[derive(Clone, Debug)]
pub struct AwsKmsOptions {
    /// `None`: AWS's own in the region.
    pub endpoint: Option<String>,
    /// `None`: of the environment or profile.
    pub region: Option<String>,
    /// How old the known state of a key may become.
    pub refresh_interval: Duration,
    /// Whose certificates are believed.
    pub trust: Trust,
}

impl Default for AwsKmsOptions {
    fn default() -> Self {
        let refresh_interval = Duration::from_secs(60);
        AwsKmsOptions { endpoint: None, region: None, refresh_interval, trust: Trust::System }
    }
}

/// The ring. Cheap to clone.
#[derive(Clone)]
pub struct AwsKms(Arc<Inner>);

struct Inner {
    env: Env,
    client: Client,
    known: Known,
}

impl AwsKms {
    /// Finds region and credentials; asks nobody yet.
    ///
    /// # Errors
    /// [`HolderError::Service`]: there are none, or the endpoint is none.
    pub async fn connect(options: AwsKmsOptions) -> Result<AwsKms, HolderError> {
        let failed =
            |error: Error| HolderError::Service { service: "AWS KMS", reason: error.to_string() };
        let mut builder = Client::builder().service("kms").trust(options.trust);
        if let Some(endpoint) = &options.endpoint {
            let endpoint = Endpoint::parse(endpoint).map_err(|e| failed(e.into()))?;
            builder = builder.endpoint(endpoint);
        }
        if let Some(region) = &options.region {
            builder = builder.region(region);
        }
        let client = builder.build().await.map_err(failed)?;
        let env = Env::real(".");
        let ring = Arc::new(Inner { env, client, known: Known::default() });
        // Ends by itself when the ring is dropped.
        let refreshing = refresh(Arc::downgrade(&ring), options.refresh_interval);
        ring.env.spawn("aws-kms-refresh", refreshing);
        Ok(AwsKms(ring))
    }

    /// Encrypts a small secret under a key.
    pub(crate) async fn encrypt(
        &self,
        key: &str,
        plain: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, HolderError> {
        let input = EncryptRequest {
            key_id: key.to_owned(),
            plaintext: Bytes::copy_from_slice(plain),
            encryption_context: Some(context.clone()),
            ..Default::default()
        };
        let output = self.0.client.send::<ops::Encrypt>(&input).await;
        let output = output.map_err(|e| service(e.to_string()))?;
        let ciphertext = output.ciphertext_blob.ok_or_else(|| service("no ciphertext"))?;
        Ok(ciphertext.to_vec())
    }

    pub(crate) async fn decrypt(
        &self,
        ciphertext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Secret, HolderError> {
        let input = decrypt_request(None, ciphertext, context);
        let output = self.0.client.send::<ops::Decrypt>(&input).await;
        let output = output.map_err(|e| service(e.to_string()))?;
        let plaintext = output.plaintext.ok_or_else(|| service("no plaintext"))?;
        Ok(Secret::new(plaintext.to_vec()))
    }

    /// Keeps in mind what a call told of `key`.
    fn note<T>(&self, key: &KeyRef, result: Result<T, Error>) -> Result<T, KeyError> {
        let result = result.map_err(|error| key_error(key.as_str(), error));
        let state = result.as_ref().map(drop).map_err(Clone::clone);
        self.0.known.heard(key, state, self.0.env.now());
        result
    }
}

fn service(reason: impl Into<String>) -> HolderError {
    HolderError::Service { service: "AWS KMS", reason: reason.into() }
}

fn decrypt_request(
    key: Option<&KeyRef>,
    ciphertext: &[u8],
    context: &EncryptionContext,
) -> DecryptRequest {
    DecryptRequest {
        ciphertext_blob: Some(Bytes::copy_from_slice(ciphertext)),
        encryption_context: Some(context.clone()),
        key_id: key.map(|key| key.as_str().to_owned()),
        ..Default::default()
    }
}

impl Inner {
    async fn describe(&self, key: &str) -> Result<KeyMetadata, KeyError> {
        let input = DescribeKeyRequest { key_id: key.to_owned(), ..Default::default() };
        let output = self.client.send::<ops::DescribeKey>(&input).await;
        let output = output.map_err(|error| key_error(key, error))?;
        let nothing = || KeyError::Unavailable { reason: "DescribeKey told nothing".to_owned() };
        output.key_metadata.ok_or_else(nothing)
    }
}

/// Asks anew for keys of which nothing was heard for a while, until the ring is dropped.
async fn refresh(ring: Weak<Inner>, interval: Duration) {
    loop {
        let Some(inner) = ring.upgrade() else { return };
        let env = inner.env.clone();
        for key in inner.known.stale(env.now(), interval) {
            let state = inner.describe(key.as_str()).await.and_then(|m| usable(key.as_str(), &m));
            inner.known.heard(&key, state, env.now());
        }
        drop(inner);
        env.sleep(interval / 2).await;
    }
}

fn usable(key: &str, metadata: &KeyMetadata) -> Result<(), KeyError> {
    let key = key.to_owned();
    match &metadata.key_state {
        Some(KeyState::Enabled) | None => Ok(()),
        Some(KeyState::Disabled) => Err(KeyError::Disabled { key }),
        Some(KeyState::PendingDeletion) => {
            Err(KeyError::InvalidState { key, state: "pending deletion".to_owned() })
        }
        Some(state) => Err(KeyError::InvalidState { key, state: format!("{state:?}") }),
    }
}

fn key_error(key: &str, error: Error) -> KeyError {
    let key = key.to_owned();
    let Error::Service(refused) = &error else {
        return KeyError::Unavailable { reason: error.to_string() };
    };
    let reason = refused.message.clone();
    match refused.code.as_str() {
        "NotFoundException" | "InvalidArnException" => KeyError::NotFound { key },
        "DisabledException" => KeyError::Disabled { key },
        "KMSInvalidStateException" => KeyError::InvalidState { key, state: reason },
        "AccessDeniedException" => KeyError::AccessDenied { key, reason },
        "ThrottlingException" | "LimitExceededException" => KeyError::Throttled { key },
        "OptInRequired" => KeyError::OptInRequired { key, reason },
        "InvalidCiphertextException" | "IncorrectKeyException" => {
            KeyError::InvalidCiphertext { reason: refused.to_string() }
        }
        _ => KeyError::Unavailable { reason: refused.to_string() },
    }
}

impl KeyRing for AwsKms {
    /// The account and region are those of the ring's credentials, whoever calls; `alias/aws/kinesis`
    /// is there if Kinesis was ever used in that account.
    fn resolve<'a>(
        &'a self,
        _scope: &'a Scope,
        name: &'a str,
    ) -> BoxFuture<'a, Result<KeyRef, KeyError>> {
        Box::pin(async move {
            let metadata = self.0.describe(name).await?;
            let arn = metadata.arn.clone().unwrap_or_else(|| metadata.key_id.clone());
            let key = KeyRef::new(arn);
            let state = usable(name, &metadata);
            self.0.known.heard(&key, state.clone(), self.0.env.now());
            state.map(|()| key)
        })
    }

    fn usable(&self, key: &KeyRef) -> Result<(), KeyError> {
        self.0.known.state(key)
    }

    fn generate_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<NewDataKey, KeyError>> {
        Box::pin(async move {
            let input = GenerateDataKeyRequest {
                key_id: key.as_str().to_owned(),
                key_spec: Some(DataKeySpec::Aes256),
                encryption_context: Some(context.clone()),
                ..Default::default()
            };
            let output = self.0.client.send::<ops::GenerateDataKey>(&input).await;
            let output = self.note(key, output)?;
            match (output.plaintext, output.ciphertext_blob) {
                (Some(plaintext), Some(wrapped)) => Ok(NewDataKey {
                    plaintext: Secret::new(plaintext.to_vec()),
                    wrapped: wrapped.to_vec(),
                }),
                _ => Err(KeyError::Unavailable { reason: "no data key came".to_owned() }),
            }
        })
    }

    fn unwrap_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        wrapped: &'a [u8],
        context: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<Secret, KeyError>> {
        Box::pin(async move {
            let input = decrypt_request(Some(key), wrapped, context);
            let output = self.note(key, self.0.client.send::<ops::Decrypt>(&input).await)?;
            let nothing = || KeyError::Unavailable { reason: "no plaintext came".to_owned() };
            Ok(Secret::new(output.plaintext.ok_or_else(nothing)?.to_vec()))
        })
    }
}

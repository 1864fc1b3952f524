//! Encryption, decryption, data keys.

use std::sync::Arc;

use bytes::Bytes;
use millstream_api::kms as api;
use millstream_api::kms::EncryptionAlgorithmSpec::SymmetricDefault;
use millstream_kms::{Decrypted, Encrypted, Key, KeyArn};
use millstream_secrets::{EncryptionContext, Secret, random_secret};
use millstream_wire::ServiceError;

use super::errors::{self, of_decryption, of_engine};
use super::{Call, KeyService, shapes};

impl KeyService {
    pub(super) async fn encrypt(
        &self,
        call: &Call,
        input: api::EncryptRequest,
    ) -> Result<api::EncryptResponse, ServiceError> {
        check_algorithm(&input.encryption_algorithm)?;
        let context = shapes::context(input.encryption_context)?;
        let key = self.usable(call, &input.key_id).await?;
        check_dry_run(input.dry_run)?;
        let made = self.engine.encrypt(&key, &context, &input.plaintext).await;
        let made = made.map_err(of_engine)?;
        Ok(api::EncryptResponse {
            ciphertext_blob: Some(made.ciphertext.into()),
            key_id: Some(made.key.arn.to_string()),
            encryption_algorithm: Some(SymmetricDefault),
        })
    }

    pub(super) async fn decrypt(
        &self,
        call: &Call,
        input: api::DecryptRequest,
    ) -> Result<api::DecryptResponse, ServiceError> {
        check_algorithm(&input.encryption_algorithm)?;
        check_recipient(&input.recipient)?;
        let context = shapes::context(input.encryption_context)?;
        let key_id = input.key_id.as_deref();
        let opened = self.open(call, key_id, &context, input.ciphertext_blob).await?;
        check_dry_run(input.dry_run)?;
        Ok(api::DecryptResponse {
            key_id: Some(opened.key.arn.to_string()),
            plaintext: Some(bytes(&opened.plaintext)),
            encryption_algorithm: Some(SymmetricDefault),
            key_material_id: Some(opened.material_id),
            ..Default::default()
        })
    }

    pub(super) async fn re_encrypt(
        &self,
        call: &Call,
        input: api::ReEncryptRequest,
    ) -> Result<api::ReEncryptResponse, ServiceError> {
        check_algorithm(&input.source_encryption_algorithm)?;
        check_algorithm(&input.destination_encryption_algorithm)?;
        let from = shapes::context(input.source_encryption_context)?;
        let to = shapes::context(input.destination_encryption_context)?;
        let destination = self.usable(call, &input.destination_key_id).await?;
        let source = input.source_key_id.as_deref();
        let opened = self.open(call, source, &from, input.ciphertext_blob).await?;
        check_dry_run(input.dry_run)?;
        let made = self.engine.encrypt(&destination, &to, opened.plaintext.expose()).await;
        let made = made.map_err(of_engine)?;
        Ok(api::ReEncryptResponse {
            ciphertext_blob: Some(made.ciphertext.into()),
            source_key_id: Some(opened.key.arn.to_string()),
            key_id: Some(made.key.arn.to_string()),
            source_encryption_algorithm: Some(SymmetricDefault),
            destination_encryption_algorithm: Some(SymmetricDefault),
            source_key_material_id: Some(opened.material_id),
            destination_key_material_id: Some(made.key.current().id.clone()),
        })
    }

    pub(super) async fn generate_data_key(
        &self,
        call: &Call,
        input: api::GenerateDataKeyRequest,
    ) -> Result<api::GenerateDataKeyResponse, ServiceError> {
        check_recipient(&input.recipient)?;
        let size = data_key_bytes(&input.key_spec, input.number_of_bytes)?;
        let context = input.encryption_context;
        let (plaintext, made) =
            self.data_key(call, &input.key_id, context, size, input.dry_run).await?;
        Ok(api::GenerateDataKeyResponse {
            plaintext: Some(bytes(&plaintext)),
            key_id: Some(made.key.arn.to_string()),
            key_material_id: Some(made.key.current().id.clone()),
            ciphertext_blob: Some(made.ciphertext.into()),
            ..Default::default()
        })
    }

    pub(super) async fn generate_data_key_without_plaintext(
        &self,
        call: &Call,
        input: api::GenerateDataKeyWithoutPlaintextRequest,
    ) -> Result<api::GenerateDataKeyWithoutPlaintextResponse, ServiceError> {
        let size = data_key_bytes(&input.key_spec, input.number_of_bytes)?;
        let context = input.encryption_context;
        let (_, made) = self.data_key(call, &input.key_id, context, size, input.dry_run).await?;
        Ok(api::GenerateDataKeyWithoutPlaintextResponse {
            key_id: Some(made.key.arn.to_string()),
            key_material_id: Some(made.key.current().id.clone()),
            ciphertext_blob: Some(made.ciphertext.into()),
        })
    }

    pub(super) async fn generate_random(
        &self,
        _call: &Call,
        input: api::GenerateRandomRequest,
    ) -> Result<api::GenerateRandomResponse, ServiceError> {
        check_recipient(&input.recipient)?;
        if let Some(store) = &input.custom_key_store_id {
            return Err(errors::no_key_store(store));
        }
        let size = input.number_of_bytes.and_then(|n| usize::try_from(n).ok());
        let random = random_secret(size.ok_or_else(errors::random_size)?);
        Ok(api::GenerateRandomResponse { plaintext: Some(bytes(&random)), ..Default::default() })
    }

    async fn usable(&self, call: &Call, key_id: &str) -> Result<Arc<Key>, ServiceError> {
        self.engine.find_usable(&call.caller.scope, key_id).await.map_err(of_engine)
    }

    async fn data_key(
        &self,
        call: &Call,
        key_id: &str,
        context: Option<std::collections::BTreeMap<String, String>>,
        size: usize,
        dry_run: Option<bool>,
    ) -> Result<(Secret, Encrypted), ServiceError> {
        let context = shapes::context(context)?;
        let key = self.usable(call, key_id).await?;
        check_dry_run(dry_run)?;
        self.engine.new_data_key(&key, &context, size).await.map_err(of_engine)
    }

    /// Opens a ciphertext, which must be of `key_id` if that is given.
    async fn open(
        &self,
        call: &Call,
        key_id: Option<&str>,
        context: &EncryptionContext,
        ciphertext: Option<Bytes>,
    ) -> Result<Decrypted, ServiceError> {
        let ciphertext = ciphertext.ok_or_else(errors::ciphertext_missing)?;
        let scope = &call.caller.scope;
        let expected: Option<KeyArn> = match key_id {
            Some(text) => Some(self.engine.find(scope, text).await.map_err(of_engine)?.arn.clone()),
            None => None,
        };
        let opened = self.engine.decrypt(scope, expected.as_ref(), context, &ciphertext).await;
        opened.map_err(of_decryption)
    }
}

/// The answer's copy; it goes where answers go.
fn bytes(secret: &Secret) -> Bytes {
    Bytes::copy_from_slice(secret.expose())
}

fn check_algorithm(asked: &Option<api::EncryptionAlgorithmSpec>) -> Result<(), ServiceError> {
    match asked {
        Some(other) if *other != SymmetricDefault => Err(errors::algorithm(other.as_str())),
        _ => Ok(()),
    }
}

fn check_recipient(asked: &Option<api::RecipientInfo>) -> Result<(), ServiceError> {
    match asked {
        Some(_) => Err(errors::no_enclaves()),
        None => Ok(()),
    }
}

fn check_dry_run(asked: Option<bool>) -> Result<(), ServiceError> {
    match asked {
        Some(true) => Err(errors::dry_run()),
        _ => Ok(()),
    }
}

fn data_key_bytes(
    spec: &Option<api::DataKeySpec>,
    bytes: Option<i32>,
) -> Result<usize, ServiceError> {
    match (spec, bytes) {
        (Some(api::DataKeySpec::Aes128), None) => Ok(16),
        (Some(_), None) => Ok(32),
        (None, Some(bytes)) => usize::try_from(bytes).map_err(|_| errors::data_key_size()),
        _ => Err(errors::data_key_size()),
    }
}

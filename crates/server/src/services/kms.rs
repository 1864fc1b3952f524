//! KMS: the part of its API that client-side encryption and encryption at rest need.
//!
//! Symmetric keys of one Region. Asymmetric and HMAC keys, imported material, key stores, grants
//! and multi-Region keys are not here: CreateKey refuses them, and their operations are unknown.

mod aliases;
mod authorise;
mod crypto;
pub mod errors;
mod keys;
mod rotation;
mod settings;
mod shapes;

use std::sync::Arc;

use millstream_api::kms as api;
use millstream_kms::{Key, KeyName, Kms};
use millstream_wire::ServiceError;

use super::Call;

/// The service, on its engine.
pub struct KeyService {
    engine: Kms,
    compiled: authorise::Compiled,
}

impl KeyService {
    pub fn new(engine: Kms) -> Self {
        KeyService { engine, compiled: authorise::Compiled::default() }
    }

    /// The key that an owner's operation is about: named by its id or ARN, and of the caller's own
    /// account, in whatever state.
    async fn own_key(&self, call: &Call, key_id: &str) -> Result<Arc<Key>, ServiceError> {
        let scope = &call.caller.scope;
        if let Ok(KeyName::Alias(alias)) = KeyName::parse(scope, key_id) {
            return Err(match key_id.starts_with("arn:") {
                true => errors::alias_not_taken(),
                false => errors::invalid_key_id(alias.as_str()),
            });
        }
        let key = self.engine.find(scope, key_id).await.map_err(errors::of_engine)?;
        match key.arn.scope.account == scope.account {
            true => Ok(key),
            false => Err(errors::other_account(&key.arn)),
        }
    }
}

/// Every operation of ours. What is not here answers `UnknownOperationException`.
macro_rules! operations {
    ($($op:ident: $input:ident => $output:ty;)*) => {
        impl api::KMS for KeyService {
            type Ctx = Call;

            async fn authorise(
                &self,
                call: &Call,
                request: api::Request<'_>,
            ) -> Result<(), ServiceError> {
                self.check_access(call, request).await
            }

            $(
                async fn $op(
                    &self,
                    call: &Call,
                    input: api::$input,
                ) -> Result<$output, ServiceError> {
                    KeyService::$op(self, call, input).await
                }
            )*
        }
    };
}

operations! {
    // keys
    create_key: CreateKeyRequest => api::CreateKeyResponse;
    describe_key: DescribeKeyRequest => api::DescribeKeyResponse;
    list_keys: ListKeysRequest => api::ListKeysResponse;
    enable_key: EnableKeyRequest => ();
    disable_key: DisableKeyRequest => ();
    update_key_description: UpdateKeyDescriptionRequest => ();
    schedule_key_deletion: ScheduleKeyDeletionRequest => api::ScheduleKeyDeletionResponse;
    cancel_key_deletion: CancelKeyDeletionRequest => api::CancelKeyDeletionResponse;
    // aliases
    create_alias: CreateAliasRequest => ();
    update_alias: UpdateAliasRequest => ();
    delete_alias: DeleteAliasRequest => ();
    list_aliases: ListAliasesRequest => api::ListAliasesResponse;
    // encryption
    encrypt: EncryptRequest => api::EncryptResponse;
    decrypt: DecryptRequest => api::DecryptResponse;
    re_encrypt: ReEncryptRequest => api::ReEncryptResponse;
    generate_data_key: GenerateDataKeyRequest => api::GenerateDataKeyResponse;
    generate_data_key_without_plaintext: GenerateDataKeyWithoutPlaintextRequest =>
        api::GenerateDataKeyWithoutPlaintextResponse;
    generate_random: GenerateRandomRequest => api::GenerateRandomResponse;
    // rotation
    enable_key_rotation: EnableKeyRotationRequest => ();
    disable_key_rotation: DisableKeyRotationRequest => ();
    get_key_rotation_status: GetKeyRotationStatusRequest => api::GetKeyRotationStatusResponse;
    rotate_key_on_demand: RotateKeyOnDemandRequest => api::RotateKeyOnDemandResponse;
    list_key_rotations: ListKeyRotationsRequest => api::ListKeyRotationsResponse;
    // policies and tags
    get_key_policy: GetKeyPolicyRequest => api::GetKeyPolicyResponse;
    put_key_policy: PutKeyPolicyRequest => ();
    list_key_policies: ListKeyPoliciesRequest => api::ListKeyPoliciesResponse;
    tag_resource: TagResourceRequest => ();
    untag_resource: UntagResourceRequest => ();
    list_resource_tags: ListResourceTagsRequest => api::ListResourceTagsResponse;
}

//! Keys and their states.

use millstream_api::kms as api;
use millstream_base::limits::{KMS_DELETION_WINDOW_DAYS_MAX, KMS_DELETION_WINDOW_DAYS_MIN};
use millstream_kms::{Key, KeyId, NewKey};
use millstream_wire::ServiceError;

use super::errors::{self, of_engine};
use super::{Call, KeyService, settings, shapes};

impl KeyService {
    pub(super) async fn create_key(
        &self,
        call: &Call,
        input: api::CreateKeyRequest,
    ) -> Result<api::CreateKeyResponse, ServiceError> {
        check_kind(&input)?;
        if let Some(policy) = &input.policy {
            settings::check_policy(policy)?;
        }
        let new = NewKey {
            description: input.description.unwrap_or_default(),
            policy: input.policy,
            tags: shapes::tags(input.tags.unwrap_or_default())?,
        };
        let key = self.engine.create_key(&call.caller.scope, new).await.map_err(of_engine)?;
        Ok(api::CreateKeyResponse { key_metadata: Some(shapes::metadata(&key)) })
    }

    /// `alias/aws/kinesis` is made by being asked for, as on AWS.
    pub(super) async fn describe_key(
        &self,
        call: &Call,
        input: api::DescribeKeyRequest,
    ) -> Result<api::DescribeKeyResponse, ServiceError> {
        let key = self.engine.find_or_make(&call.caller.scope, &input.key_id).await;
        let key = key.map_err(of_engine)?;
        Ok(api::DescribeKeyResponse { key_metadata: Some(shapes::metadata(&key)) })
    }

    pub(super) async fn list_keys(
        &self,
        call: &Call,
        input: api::ListKeysRequest,
    ) -> Result<api::ListKeysResponse, ServiceError> {
        let after = input.marker.as_deref().map(str::parse::<KeyId>).transpose();
        let after = after.map_err(|()| errors::marker())?;
        let limit = shapes::limit(input.limit);
        let listed = self.engine.list_keys(&call.caller.scope, after, limit + 1);
        let (page, next_marker, truncated) =
            shapes::page(listed, limit, |key| key.arn.id.to_string());
        let entry = |key: &std::sync::Arc<Key>| api::KeyListEntry {
            key_id: Some(key.arn.id.to_string()),
            key_arn: Some(key.arn.to_string()),
        };
        let keys = Some(page.iter().map(entry).collect());
        Ok(api::ListKeysResponse { keys, next_marker, truncated })
    }

    pub(super) async fn enable_key(
        &self,
        call: &Call,
        input: api::EnableKeyRequest,
    ) -> Result<(), ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        self.engine.enable_key(&key.arn).await.map_err(of_engine)
    }

    pub(super) async fn disable_key(
        &self,
        call: &Call,
        input: api::DisableKeyRequest,
    ) -> Result<(), ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        self.engine.disable_key(&key.arn).await.map_err(of_engine)
    }

    pub(super) async fn update_key_description(
        &self,
        call: &Call,
        input: api::UpdateKeyDescriptionRequest,
    ) -> Result<(), ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        let changed = self.engine.update_description(&key.arn, &input.description).await;
        changed.map_err(of_engine)
    }

    pub(super) async fn schedule_key_deletion(
        &self,
        call: &Call,
        input: api::ScheduleKeyDeletionRequest,
    ) -> Result<api::ScheduleKeyDeletionResponse, ServiceError> {
        let range = KMS_DELETION_WINDOW_DAYS_MIN..=KMS_DELETION_WINDOW_DAYS_MAX;
        let window = input.pending_window_in_days.map_or(Ok(*range.end()), u32::try_from);
        let window = window.ok().filter(|days| range.contains(days)).ok_or_else(errors::window)?;
        let key = self.own_key(call, &input.key_id).await?;
        let at = self.engine.schedule_deletion(&key.arn, window).await.map_err(of_engine)?;
        Ok(api::ScheduleKeyDeletionResponse {
            key_id: Some(key.arn.to_string()),
            deletion_date: Some(shapes::time(at)),
            key_state: Some(api::KeyState::PendingDeletion),
            pending_window_in_days: i32::try_from(window).ok(),
        })
    }

    pub(super) async fn cancel_key_deletion(
        &self,
        call: &Call,
        input: api::CancelKeyDeletionRequest,
    ) -> Result<api::CancelKeyDeletionResponse, ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        self.engine.cancel_deletion(&key.arn).await.map_err(of_engine)?;
        Ok(api::CancelKeyDeletionResponse { key_id: Some(key.arn.to_string()) })
    }
}

/// Only keys of the simplest kind are made here.
fn check_kind(input: &api::CreateKeyRequest) -> Result<(), ServiceError> {
    if input.key_spec.is_some() && input.customer_master_key_spec.is_some() {
        return Err(errors::two_specs());
    }
    if let Some(spec) = input.key_spec.as_ref().filter(|s| **s != api::KeySpec::SymmetricDefault) {
        return Err(errors::unsupported("KeySpec", spec.as_str()));
    }
    let symmetric = api::CustomerMasterKeySpec::SymmetricDefault;
    if let Some(spec) = input.customer_master_key_spec.as_ref().filter(|s| **s != symmetric) {
        return Err(errors::unsupported("CustomerMasterKeySpec", spec.as_str()));
    }
    let usage = input.key_usage.as_ref();
    if let Some(usage) = usage.filter(|u| **u != api::KeyUsageType::EncryptDecrypt) {
        return Err(errors::unsupported("KeyUsage", usage.as_str()));
    }
    if let Some(origin) = input.origin.as_ref().filter(|o| **o != api::OriginType::AwsKms) {
        return Err(errors::unsupported("Origin", origin.as_str()));
    }
    if input.multi_region == Some(true) {
        return Err(errors::unsupported("MultiRegion", true));
    }
    match input.custom_key_store_id.as_deref().or(input.xks_key_id.as_deref()) {
        Some(store) => Err(errors::no_key_store(store)),
        None => Ok(()),
    }
}

//! Rotation of key material.

use millstream_api::kms as api;
use millstream_kms::{Material, Origin, State};
use millstream_wire::ServiceError;

use super::errors::{self, of_engine};
use super::{Call, KeyService, shapes};

impl KeyService {
    pub(super) async fn enable_key_rotation(
        &self,
        call: &Call,
        input: api::EnableKeyRotationRequest,
    ) -> Result<(), ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        let period = input.rotation_period_in_days.and_then(|days| u32::try_from(days).ok());
        self.engine.enable_rotation(&key.arn, period).await.map_err(of_engine)
    }

    pub(super) async fn disable_key_rotation(
        &self,
        call: &Call,
        input: api::DisableKeyRotationRequest,
    ) -> Result<(), ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        self.engine.disable_rotation(&key.arn).await.map_err(of_engine)
    }

    /// A key that waits for its deletion does not rotate.
    pub(super) async fn get_key_rotation_status(
        &self,
        call: &Call,
        input: api::GetKeyRotationStatusRequest,
    ) -> Result<api::GetKeyRotationStatusResponse, ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        let stays = !matches!(key.state(), State::PendingDeletion { .. });
        let schedule = key.rotation().filter(|_| stays);
        Ok(api::GetKeyRotationStatusResponse {
            key_rotation_enabled: Some(schedule.is_some()),
            key_id: Some(key.arn.to_string()),
            rotation_period_in_days: schedule.and_then(|s| i32::try_from(s.period_days).ok()),
            next_rotation_date: schedule.map(|s| shapes::time(s.next())),
            on_demand_rotation_start_date: None,
        })
    }

    pub(super) async fn rotate_key_on_demand(
        &self,
        call: &Call,
        input: api::RotateKeyOnDemandRequest,
    ) -> Result<api::RotateKeyOnDemandResponse, ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        let rotated = self.engine.rotate_on_demand(&key.arn).await.map_err(of_engine)?;
        Ok(api::RotateKeyOnDemandResponse { key_id: Some(rotated.arn.to_string()) })
    }

    pub(super) async fn list_key_rotations(
        &self,
        call: &Call,
        input: api::ListKeyRotationsRequest,
    ) -> Result<api::ListKeyRotationsResponse, ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        let all = input.include_key_material == Some(api::IncludeKeyMaterial::AllKeyMaterial);
        let after = input.marker.as_deref().map(str::parse::<u32>).transpose();
        let after = after.map_err(|_| errors::marker())?.unwrap_or(0);
        let limit = shapes::limit(input.limit);
        let wanted = |m: &&Material| m.version > after && (all || m.origin != Origin::Creation);
        let listed = key.materials().iter().filter(wanted).take(limit + 1).collect();
        let (page, next_marker, truncated) =
            shapes::page(listed, limit, |material| material.version.to_string());
        let current = key.current().version;
        let entry = |material: &Material| {
            let rotated = match material.origin {
                Origin::Creation => None,
                Origin::Automatic => Some(api::RotationType::Automatic),
                Origin::OnDemand => Some(api::RotationType::OnDemand),
            };
            api::RotationsListEntry {
                key_id: Some(key.arn.to_string()),
                key_material_id: Some(material.id.clone()),
                key_material_state: Some(match material.version == current {
                    true => api::KeyMaterialState::Current,
                    false => api::KeyMaterialState::NonCurrent,
                }),
                rotation_date: rotated.is_some().then(|| shapes::time(material.made)),
                rotation_type: rotated,
                ..Default::default()
            }
        };
        let rotations = Some(page.into_iter().map(entry).collect());
        Ok(api::ListKeyRotationsResponse { rotations, next_marker, truncated })
    }
}

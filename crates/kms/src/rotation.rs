//! New material for old keys, by itself or on demand. Old material stays.

use std::sync::Arc;

use millstream_base::Timestamp;
use millstream_base::limits::KMS_ROTATIONS_ON_DEMAND_MAX;
use millstream_secrets::SealingKey;

use crate::crypto::new_material;
use crate::directory::Key;
use crate::engine::{Kms, check_stays};
use crate::error::{Error, Result};
use crate::keys::check_owned;
use crate::names::KeyArn;
use crate::row::{KeyRow, Origin, RotationSchedule, State};

impl Kms {
    /// Rotates a key every `period_days` (365 if not given) from now on. A key that rotates already
    /// gets the new period, counted from when it began.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Managed`], [`Error::Disabled`], [`Error::PendingDeletion`].
    pub async fn enable_rotation(&self, arn: &KeyArn, period_days: Option<u32>) -> Result<()> {
        let changed = self.change(arn, |row, now| {
            check_rotates(arn, row)?;
            let fresh = RotationSchedule::starting(now, period_days);
            let from = row.rotation.map_or(fresh.from, |running| running.from);
            row.rotation = Some(RotationSchedule { from, ..fresh });
            Ok(())
        });
        changed.await.map(drop)
    }

    /// # Errors
    /// As [`Kms::enable_rotation`].
    pub async fn disable_rotation(&self, arn: &KeyArn) -> Result<()> {
        let changed = self.change(arn, |row, _| {
            check_rotates(arn, row)?;
            row.rotation = None;
            Ok(())
        });
        changed.await.map(drop)
    }

    /// Gives a key new material now.
    ///
    /// # Errors
    /// As [`Kms::enable_rotation`], and [`Error::TooManyRotations`].
    pub async fn rotate_on_demand(&self, arn: &KeyArn) -> Result<Arc<Key>> {
        let sealing = self.sealing().await?;
        let max = KMS_ROTATIONS_ON_DEMAND_MAX;
        let changed = self.change(arn, |row, now| {
            check_rotates(arn, row)?;
            let on_demand = row.materials.iter().filter(|m| m.origin == Origin::OnDemand).count();
            if on_demand >= max {
                return Err(Error::TooManyRotations { arn: arn.to_string(), max });
            }
            add_material(row, &sealing, arn, now, Origin::OnDemand);
            Ok(())
        });
        changed.await
    }

    /// Rotates what is due.
    pub(crate) async fn rotate_due(&self) -> Result<()> {
        let now = self.now();
        let due = self.inner.directory.all_keys(|key| key.row.rotation_is_due(now));
        if due.is_empty() {
            return Ok(());
        }
        let sealing = self.sealing().await?;
        for key in due {
            let arn = &key.arn;
            self.change(arn, |row, now| {
                if row.rotation_is_due(now)
                    && let Some(schedule) = row.rotation
                {
                    add_material(row, &sealing, arn, now, Origin::Automatic);
                    row.rotation = Some(RotationSchedule { from: now, ..schedule });
                }
                Ok(())
            })
            .await?;
            tracing::info!(key = %arn, "rotated");
        }
        Ok(())
    }
}

fn add_material(
    row: &mut KeyRow,
    sealing: &SealingKey,
    arn: &KeyArn,
    now: Timestamp,
    origin: Origin,
) {
    let version = row.current().version + 1;
    row.materials.push(new_material(sealing, arn, version, now, origin));
}

fn check_rotates(arn: &KeyArn, row: &KeyRow) -> Result<()> {
    check_owned(arn, row)?;
    check_stays(arn, row)?;
    match row.state {
        State::Disabled => Err(Error::Disabled { arn: arn.to_string() }),
        _ => Ok(()),
    }
}

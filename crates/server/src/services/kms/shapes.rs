//! The engine's keys as AWS shows them, and pages of lists.

use std::collections::BTreeMap;

use millstream_api::kms as api;
use millstream_base::limits::{KMS_PAGE_DEFAULT, KMS_PAGE_MAX};
use millstream_base::{Tags, Timestamp};
use millstream_kms::{Key, Manager, State};
use millstream_secrets::EncryptionContext;
use millstream_wire::ServiceError;
use millstream_wire::prelude::Time;

use super::errors;

pub(super) fn time(at: Timestamp) -> Time {
    Time::from_millis(at.as_millis().try_into().unwrap_or(i64::MAX))
}

pub(super) fn metadata(key: &Key) -> api::KeyMetadata {
    let (state, deletion) = match key.state() {
        State::Enabled => (api::KeyState::Enabled, None),
        State::Disabled => (api::KeyState::Disabled, None),
        State::PendingDeletion { at, .. } => (api::KeyState::PendingDeletion, Some(time(at))),
    };
    api::KeyMetadata {
        aws_account_id: Some(key.arn.scope.account.as_str().to_owned()),
        key_id: key.arn.id.to_string(),
        arn: Some(key.arn.to_string()),
        creation_date: Some(time(key.made())),
        enabled: Some(key.state() == State::Enabled),
        description: Some(key.description().to_owned()),
        key_usage: Some(api::KeyUsageType::EncryptDecrypt),
        key_state: Some(state),
        deletion_date: deletion,
        origin: Some(api::OriginType::AwsKms),
        key_manager: Some(match key.manager() {
            Manager::Customer => api::KeyManagerType::Customer,
            Manager::Service => api::KeyManagerType::Aws,
        }),
        customer_master_key_spec: Some(api::CustomerMasterKeySpec::SymmetricDefault),
        key_spec: Some(api::KeySpec::SymmetricDefault),
        encryption_algorithms: Some(vec![api::EncryptionAlgorithmSpec::SymmetricDefault]),
        multi_region: Some(false),
        current_key_material_id: Some(key.current().id.clone()),
        ..Default::default()
    }
}

/// Tags of a call.
///
/// # Errors
/// A key that is there twice.
pub(super) fn tags(given: Vec<api::Tag>) -> Result<Tags, ServiceError> {
    let mut tags = Tags::new();
    for tag in given {
        if tags.contains_key(&tag.tag_key) {
            return Err(errors::tag_doubled(&tag.tag_key));
        }
        tags.insert(tag.tag_key, tag.tag_value);
    }
    Ok(tags)
}

/// The encryption context of a call.
///
/// # Errors
/// It is too long.
pub(super) fn context(
    given: Option<BTreeMap<String, String>>,
) -> Result<EncryptionContext, ServiceError> {
    let context = given.unwrap_or_default();
    let bytes: usize = context.iter().map(|(name, value)| name.len() + value.len()).sum();
    match bytes > millstream_base::limits::KMS_CONTEXT_BYTES_MAX {
        true => Err(errors::context_too_long()),
        false => Ok(context),
    }
}

/// How many entries a call asks for; the model bounds it.
pub(super) fn limit(asked: Option<i32>) -> usize {
    let asked = asked.and_then(|n| usize::try_from(n).ok());
    asked.unwrap_or(KMS_PAGE_DEFAULT).clamp(1, KMS_PAGE_MAX)
}

/// Cuts `listed`, of which one more than `limit` was asked for, into a page; the marker is that of
/// its last entry if there are more.
pub(super) fn page<T>(
    mut listed: Vec<T>,
    limit: usize,
    marker: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>, Option<bool>) {
    let more = listed.len() > limit;
    listed.truncate(limit);
    let next = listed.last().filter(|_| more).map(marker);
    (listed, next, Some(more))
}

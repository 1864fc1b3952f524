//! Identities, between the engine's words and AWS's shapes.

use millstream_api::iam as api;
use millstream_base::{Tags, Timestamp};
use millstream_identity::model::{Attachment, PolicyVersion};
use millstream_identity::{Held, HeldPolicy, Usage};
use millstream_wire::{ServiceError, Time};

use super::errors;

pub(super) fn time(at: Timestamp) -> Time {
    Time::from_millis(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
}

/// # Errors
/// The same key twice, or a reserved one.
pub(super) fn tags(tags: Option<Vec<api::Tag>>) -> Result<Tags, ServiceError> {
    let mut all = Tags::new();
    for tag in tags.unwrap_or_default() {
        if tag.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(errors::reserved_tag());
        }
        if all.keys().any(|key: &String| key.eq_ignore_ascii_case(&tag.key)) {
            return Err(errors::doubled_tags());
        }
        all.insert(tag.key, tag.value);
    }
    Ok(all)
}

pub(super) fn tag_shapes(tags: &Tags) -> Vec<api::Tag> {
    let shape =
        |(key, value): (&String, &String)| api::Tag { key: key.clone(), value: value.clone() };
    tags.iter().map(shape).collect()
}

/// Absent where there are none, as in AWS's answers.
pub(super) fn some_tags(tags: &Tags) -> Option<Vec<api::Tag>> {
    (!tags.is_empty()).then(|| tag_shapes(tags))
}

pub(super) fn user(held: &Held) -> api::User {
    let entity = &held.entity;
    api::User {
        path: entity.path.clone(),
        user_name: entity.name.clone(),
        user_id: entity.id.clone(),
        arn: held.arn(),
        create_date: time(entity.created),
        password_last_used: None,
        permissions_boundary: boundary(entity.boundary.as_ref()),
        tags: some_tags(&entity.tags),
    }
}

pub(super) fn group(held: &Held) -> api::Group {
    let entity = &held.entity;
    api::Group {
        path: entity.path.clone(),
        group_name: entity.name.clone(),
        group_id: entity.id.clone(),
        arn: held.arn(),
        create_date: time(entity.created),
    }
}

pub(super) fn role(held: &Held) -> api::Role {
    let entity = &held.entity;
    let facts = entity.role.as_ref();
    api::Role {
        path: entity.path.clone(),
        role_name: entity.name.clone(),
        role_id: entity.id.clone(),
        arn: held.arn(),
        create_date: time(entity.created),
        assume_role_policy_document: facts.map(|facts| document(&facts.trust)),
        description: facts.and_then(|facts| facts.description.clone()),
        max_session_duration: facts.and_then(|f| i32::try_from(f.session_secs_max).ok()),
        permissions_boundary: boundary(entity.boundary.as_ref()),
        tags: some_tags(&entity.tags),
        ..api::Role::default()
    }
}

pub(super) fn boundary(
    attachment: Option<&Attachment>,
) -> Option<api::AttachedPermissionsBoundary> {
    attachment.map(|attachment| api::AttachedPermissionsBoundary {
        permissions_boundary_type: Some(
            api::PermissionsBoundaryAttachmentType::PermissionsBoundaryPolicy,
        ),
        permissions_boundary_arn: Some(attachment.arn.clone()),
    })
}

pub(super) fn policy(held: &HeldPolicy, usage: &Usage, with_tags: bool) -> api::Policy {
    let policy = &held.policy;
    let (attached, bounded) = usage.get(&policy.id).copied().unwrap_or_default();
    api::Policy {
        policy_name: Some(policy.name.clone()),
        policy_id: Some(policy.id.clone()),
        arn: Some(held.arn.clone()),
        path: Some(policy.path.clone()),
        default_version_id: Some(format!("v{}", policy.default)),
        attachment_count: Some(attached),
        permissions_boundary_usage_count: Some(bounded),
        is_attachable: Some(true),
        description: policy.description.clone().filter(|_| with_tags),
        create_date: Some(time(policy.created)),
        update_date: Some(time(policy.updated)),
        tags: with_tags.then(|| tag_shapes(&policy.tags)),
    }
}

pub(super) fn version(
    held: &HeldPolicy,
    version: &PolicyVersion,
    with_document: bool,
) -> api::PolicyVersion {
    api::PolicyVersion {
        document: with_document.then(|| document(&version.document)),
        version_id: Some(format!("v{}", version.number)),
        is_default_version: Some(version.number == held.policy.default),
        create_date: Some(time(version.created)),
    }
}

pub(super) fn attached(held: &HeldPolicy) -> api::AttachedPolicy {
    api::AttachedPolicy {
        policy_name: Some(held.policy.name.clone()),
        policy_arn: Some(held.arn.clone()),
    }
}

/// A document as IAM's answers have it: percent-encoded after RFC 3986.
pub(super) fn document(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                encoded.push('%');
                encoded.push(char::from(HEX[usize::from(byte >> 4)]));
                encoded.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    encoded
}

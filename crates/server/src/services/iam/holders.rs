//! What users, groups and roles have in common: inline policies, attached policies, boundaries,
//! tags.

use millstream_api::iam as api;
use millstream_identity::{Error, Kind};
use millstream_wire::ServiceError;

use super::page::{Page, page};
use super::{Iam, errors, shapes, subject, under};
use crate::services::Call;

/// The operations of one kind on its policies.
macro_rules! policies_of {
    (
        $kind:expr, $name:ident;
        $put:ident $Put:ident;
        $get:ident $Get:ident $Got:ident;
        $list:ident $List:ident $Listed:ident;
        $delete:ident $Delete:ident;
        $attach:ident $Attach:ident;
        $detach:ident $Detach:ident;
        $attached:ident $ListAttached:ident $ListedAttached:ident;
    ) => {
        pub(super) async fn $put(
            iam: &Iam,
            call: &Call,
            input: api::$Put,
        ) -> Result<(), ServiceError> {
            let subject = subject(call, $kind, &input.$name);
            let put =
                iam.identities.put_inline(subject, &input.policy_name, &input.policy_document);
            put.await.map_err(errors::of_engine)
        }

        pub(super) async fn $get(
            iam: &Iam,
            call: &Call,
            input: api::$Get,
        ) -> Result<api::$Got, ServiceError> {
            let document = iam
                .identities
                .inline(subject(call, $kind, &input.$name), &input.policy_name)
                .map_err(|error| of_inline(error, $kind))?;
            Ok(api::$Got {
                $name: input.$name,
                policy_name: input.policy_name,
                policy_document: shapes::document(&document),
            })
        }

        pub(super) async fn $list(
            iam: &Iam,
            call: &Call,
            input: api::$List,
        ) -> Result<api::$Listed, ServiceError> {
            let (marker, max_items) = (input.marker.as_deref(), input.max_items);
            let page = inline_names(iam, call, $kind, &input.$name, marker, max_items)?;
            let (is_truncated, marker) = (page.is_truncated, page.marker);
            Ok(api::$Listed { policy_names: page.items, is_truncated, marker })
        }

        pub(super) async fn $delete(
            iam: &Iam,
            call: &Call,
            input: api::$Delete,
        ) -> Result<(), ServiceError> {
            let subject = subject(call, $kind, &input.$name);
            let deleted = iam.identities.delete_inline(subject, &input.policy_name).await;
            deleted.map_err(|error| of_inline(error, $kind))
        }

        pub(super) async fn $attach(
            iam: &Iam,
            call: &Call,
            input: api::$Attach,
        ) -> Result<(), ServiceError> {
            let subject = subject(call, $kind, &input.$name);
            iam.identities.attach(subject, &input.policy_arn).await.map_err(errors::of_engine)
        }

        pub(super) async fn $detach(
            iam: &Iam,
            call: &Call,
            input: api::$Detach,
        ) -> Result<(), ServiceError> {
            let subject = subject(call, $kind, &input.$name);
            iam.identities.detach(subject, &input.policy_arn).await.map_err(errors::of_engine)
        }

        pub(super) async fn $attached(
            iam: &Iam,
            call: &Call,
            input: api::$ListAttached,
        ) -> Result<api::$ListedAttached, ServiceError> {
            let attached = iam.identities.attached(subject(call, $kind, &input.$name));
            let mut attached = attached.map_err(errors::of_engine)?;
            attached.retain(|held| under(input.path_prefix.as_deref(), &held.policy.path));
            attached.sort_by_key(|held| held.policy.name.to_ascii_lowercase());
            let page =
                page(attached, |held| &held.policy.name, input.marker.as_deref(), input.max_items)?;
            Ok(api::$ListedAttached {
                attached_policies: Some(
                    page.items.iter().map(|held| shapes::attached(held)).collect(),
                ),
                is_truncated: page.is_truncated,
                marker: page.marker,
            })
        }
    };
}

policies_of! {
    Kind::User, user_name;
    put_user_policy PutUserPolicyRequest;
    get_user_policy GetUserPolicyRequest GetUserPolicyResponse;
    list_user_policies ListUserPoliciesRequest ListUserPoliciesResponse;
    delete_user_policy DeleteUserPolicyRequest;
    attach_user_policy AttachUserPolicyRequest;
    detach_user_policy DetachUserPolicyRequest;
    list_attached_user_policies ListAttachedUserPoliciesRequest ListAttachedUserPoliciesResponse;
}

policies_of! {
    Kind::Group, group_name;
    put_group_policy PutGroupPolicyRequest;
    get_group_policy GetGroupPolicyRequest GetGroupPolicyResponse;
    list_group_policies ListGroupPoliciesRequest ListGroupPoliciesResponse;
    delete_group_policy DeleteGroupPolicyRequest;
    attach_group_policy AttachGroupPolicyRequest;
    detach_group_policy DetachGroupPolicyRequest;
    list_attached_group_policies ListAttachedGroupPoliciesRequest
        ListAttachedGroupPoliciesResponse;
}

policies_of! {
    Kind::Role, role_name;
    put_role_policy PutRolePolicyRequest;
    get_role_policy GetRolePolicyRequest GetRolePolicyResponse;
    list_role_policies ListRolePoliciesRequest ListRolePoliciesResponse;
    delete_role_policy DeleteRolePolicyRequest;
    attach_role_policy AttachRolePolicyRequest;
    detach_role_policy DetachRolePolicyRequest;
    list_attached_role_policies ListAttachedRolePoliciesRequest ListAttachedRolePoliciesResponse;
}

/// The operations of one kind on its boundary and tags.
macro_rules! marks_of {
    (
        $kind:expr, $name:ident;
        $put:ident $Put:ident;
        $delete:ident $Delete:ident;
        $tag:ident $Tag:ident;
        $untag:ident $Untag:ident;
        $list:ident $List:ident $Listed:ident;
    ) => {
        pub(super) async fn $put(
            iam: &Iam,
            call: &Call,
            input: api::$Put,
        ) -> Result<(), ServiceError> {
            let subject = subject(call, $kind, &input.$name);
            let set = iam.identities.set_boundary(subject, Some(&input.permissions_boundary));
            set.await.map_err(errors::of_engine)
        }

        pub(super) async fn $delete(
            iam: &Iam,
            call: &Call,
            input: api::$Delete,
        ) -> Result<(), ServiceError> {
            let subject = subject(call, $kind, &input.$name);
            iam.identities.set_boundary(subject, None).await.map_err(errors::of_engine)
        }

        pub(super) async fn $tag(
            iam: &Iam,
            call: &Call,
            input: api::$Tag,
        ) -> Result<(), ServiceError> {
            let tags = shapes::tags(Some(input.tags))?;
            let subject = subject(call, $kind, &input.$name);
            iam.identities.tag_entity(subject, &tags).await.map_err(errors::of_engine)
        }

        pub(super) async fn $untag(
            iam: &Iam,
            call: &Call,
            input: api::$Untag,
        ) -> Result<(), ServiceError> {
            let subject = subject(call, $kind, &input.$name);
            iam.identities.untag_entity(subject, &input.tag_keys).await.map_err(errors::of_engine)
        }

        pub(super) async fn $list(
            iam: &Iam,
            call: &Call,
            input: api::$List,
        ) -> Result<api::$Listed, ServiceError> {
            let held = iam.identities.entity(subject(call, $kind, &input.$name));
            let tags = shapes::tag_shapes(&held.map_err(errors::of_engine)?.entity.tags);
            let page = tag_page(tags, input.marker.as_deref(), input.max_items)?;
            let (is_truncated, marker) = (page.is_truncated, page.marker);
            Ok(api::$Listed { tags: page.items, is_truncated, marker })
        }
    };
}

marks_of! {
    Kind::User, user_name;
    put_user_permissions_boundary PutUserPermissionsBoundaryRequest;
    delete_user_permissions_boundary DeleteUserPermissionsBoundaryRequest;
    tag_user TagUserRequest;
    untag_user UntagUserRequest;
    list_user_tags ListUserTagsRequest ListUserTagsResponse;
}

marks_of! {
    Kind::Role, role_name;
    put_role_permissions_boundary PutRolePermissionsBoundaryRequest;
    delete_role_permissions_boundary DeleteRolePermissionsBoundaryRequest;
    tag_role TagRoleRequest;
    untag_role UntagRoleRequest;
    list_role_tags ListRoleTagsRequest ListRoleTagsResponse;
}

/// One page of tags, in the order of their keys without regard to case.
pub(super) fn tag_page(
    mut tags: Vec<api::Tag>,
    marker: Option<&str>,
    max_items: Option<i32>,
) -> Result<Page<api::Tag>, ServiceError> {
    tags.sort_by_key(|tag| tag.key.to_ascii_lowercase());
    page(tags, |tag| &tag.key, marker, max_items)
}

fn inline_names(
    iam: &Iam,
    call: &Call,
    kind: Kind,
    name: &str,
    marker: Option<&str>,
    max_items: Option<i32>,
) -> Result<Page<String>, ServiceError> {
    let held = iam.identities.entity(subject(call, kind, name)).map_err(errors::of_engine)?;
    let mut names: Vec<String> = held.entity.inline.keys().cloned().collect();
    names.sort_by_key(|name| name.to_ascii_lowercase());
    page(names, |name| name, marker, max_items)
}

fn of_inline(error: Error, kind: Kind) -> ServiceError {
    match error {
        Error::NotFound { what: millstream_identity::What::InlinePolicy, name } => {
            errors::no_inline(kind, &name)
        }
        error => errors::of_engine(error),
    }
}

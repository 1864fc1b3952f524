//! Policies and tags of keys.

use millstream_api::kms as api;
use millstream_base::limits::KMS_POLICY_BYTES_MAX;
use millstream_kms::{Key, Manager};
use millstream_policy::{Fault, Kind, Policy};
use millstream_wire::ServiceError;
use serde_json::json;

use super::errors::{self, of_engine};
use super::{Call, KeyService, shapes};

/// The only name of a policy.
const DEFAULT: &str = "default";

impl KeyService {
    pub(super) async fn get_key_policy(
        &self,
        call: &Call,
        input: api::GetKeyPolicyRequest,
    ) -> Result<api::GetKeyPolicyResponse, ServiceError> {
        check_policy_name(&input.policy_name)?;
        let key = self.own_key(call, &input.key_id).await?;
        Ok(api::GetKeyPolicyResponse {
            policy: Some(policy_of(&key)),
            policy_name: Some(DEFAULT.to_owned()),
        })
    }

    pub(super) async fn put_key_policy(
        &self,
        call: &Call,
        input: api::PutKeyPolicyRequest,
    ) -> Result<(), ServiceError> {
        check_policy_name(&input.policy_name)?;
        check_policy(&input.policy)?;
        let key = self.own_key(call, &input.key_id).await?;
        self.engine.put_policy(&key.arn, &input.policy).await.map_err(of_engine)
    }

    pub(super) async fn list_key_policies(
        &self,
        call: &Call,
        input: api::ListKeyPoliciesRequest,
    ) -> Result<api::ListKeyPoliciesResponse, ServiceError> {
        self.own_key(call, &input.key_id).await?;
        let policy_names = Some(vec![DEFAULT.to_owned()]);
        Ok(api::ListKeyPoliciesResponse { policy_names, next_marker: None, truncated: Some(false) })
    }

    pub(super) async fn tag_resource(
        &self,
        call: &Call,
        input: api::TagResourceRequest,
    ) -> Result<(), ServiceError> {
        let tags = shapes::tags(input.tags)?;
        let key = self.own_key(call, &input.key_id).await?;
        self.engine.tag(&key.arn, &tags).await.map_err(of_engine)
    }

    pub(super) async fn untag_resource(
        &self,
        call: &Call,
        input: api::UntagResourceRequest,
    ) -> Result<(), ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        self.engine.untag(&key.arn, &input.tag_keys).await.map_err(of_engine)
    }

    pub(super) async fn list_resource_tags(
        &self,
        call: &Call,
        input: api::ListResourceTagsRequest,
    ) -> Result<api::ListResourceTagsResponse, ServiceError> {
        let key = self.own_key(call, &input.key_id).await?;
        let limit = shapes::limit(input.limit);
        let after = |name: &String| input.marker.as_ref().is_none_or(|marker| name > marker);
        let listed = key.tags().iter().filter(|(name, _)| after(name)).take(limit + 1).collect();
        let (page, next_marker, truncated) =
            shapes::page(listed, limit, |(name, _): &(&String, &String)| (*name).clone());
        let tag = |(key, value): (&String, &String)| api::Tag {
            tag_key: key.clone(),
            tag_value: value.clone(),
        };
        let tags = Some(page.into_iter().map(tag).collect());
        Ok(api::ListResourceTagsResponse { tags, next_marker, truncated })
    }
}

fn check_policy_name(name: &Option<String>) -> Result<(), ServiceError> {
    match name.as_deref() {
        None | Some(DEFAULT) => Ok(()),
        Some(_) => Err(errors::no_such_policy()),
    }
}

/// # Errors
/// Too long, or no policy.
pub(super) fn check_policy(text: &str) -> Result<(), ServiceError> {
    if text.len() > KMS_POLICY_BYTES_MAX {
        return Err(errors::policy_too_long());
    }
    parse_policy(text).map(drop).map_err(errors::policy_malformed)
}

/// # Errors
/// The text is no policy of a resource.
pub(super) fn parse_policy(text: &str) -> Result<Policy, Fault> {
    Policy::parse(Kind::Resource, text)
}

/// A key's policy: its own, or the one that keys have when none was given.
pub(super) fn policy_of(key: &Key) -> String {
    if let Some(policy) = key.policy() {
        return policy.to_owned();
    }
    let scope = &key.arn.scope;
    let (partition, account) = (scope.region.partition(), scope.account);
    let document = match key.manager() {
        Manager::Customer => json!({
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [{
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
                "Action": "kms:*",
                "Resource": "*",
            }],
        }),
        Manager::Service => json!({
            "Version": "2012-10-17",
            "Id": "auto-kinesis-1",
            "Statement": [
                {
                    "Sid": "Allow access through Kinesis for all principals in the account that \
                            are authorized to use Kinesis",
                    "Effect": "Allow",
                    "Principal": { "AWS": "*" },
                    "Action": [
                        "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
                        "kms:CreateGrant", "kms:DescribeKey",
                    ],
                    "Resource": "*",
                    "Condition": { "StringEquals": {
                        "kms:CallerAccount": account.as_str(),
                        "kms:ViaService": format!("kinesis.{}.amazonaws.com", scope.region),
                    } },
                },
                {
                    "Sid": "Allow direct access to key metadata to the account",
                    "Effect": "Allow",
                    "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
                    "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                    "Resource": "*",
                },
            ],
        }),
    };
    document.to_string()
}

//! Resource policies: put, shown and removed. Whom they let in is decided once callers have
//! identities.

use millstream_api::kinesis as api;
use millstream_streams::Error;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::policy_document;
use super::{Call, DataStreams, errors, target};

/// What GetResourcePolicy shows where none is attached.
const NO_POLICY: &str = "{}";

impl DataStreams {
    pub(super) async fn put_resource_policy(
        &self,
        _: &Call,
        input: api::PutResourcePolicyInput,
    ) -> Result<(), ServiceError> {
        let resource = target::policy_holder(&input.resource_arn)?;
        self.engine.check_policy_holder(&resource).await.map_err(control)?;
        policy_document::check(&input.policy, &resource.to_string())
            .map_err(|fault| errors::policy_invalid(&fault.to_string()))?;
        self.engine.put_policy(&resource, &input.policy).await.map_err(control)
    }

    pub(super) async fn get_resource_policy(
        &self,
        _: &Call,
        input: api::GetResourcePolicyInput,
    ) -> Result<api::GetResourcePolicyOutput, ServiceError> {
        let resource = target::policy_holder(&input.resource_arn)?;
        let policy = self.engine.policy(&resource).await.map_err(control)?;
        Ok(api::GetResourcePolicyOutput { policy: policy.unwrap_or_else(|| NO_POLICY.to_owned()) })
    }

    pub(super) async fn delete_resource_policy(
        &self,
        _: &Call,
        input: api::DeleteResourcePolicyInput,
    ) -> Result<(), ServiceError> {
        let resource = target::policy_holder(&input.resource_arn)?;
        self.engine.delete_policy(&resource).await.map_err(control)
    }
}

fn control(error: Error) -> ServiceError {
    of_engine(error, During::Control)
}

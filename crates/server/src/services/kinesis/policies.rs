//! Resource policies: put, shown and removed. Whom they let in is decided in `authorise`.

use millstream_api::kinesis as api;
use millstream_base::QueueArn;
use millstream_policy::{Kind, Policy};
use millstream_streams::Error;
use millstream_wire::ServiceError;

use super::errors::{During, of_engine};
use super::{Call, DataStreams, errors, target};

/// What GetResourcePolicy shows where none is attached.
const NO_POLICY: &str = "{}";

impl DataStreams {
    pub(super) async fn put_resource_policy(
        &self,
        _: &Call,
        input: api::PutResourcePolicyInput,
    ) -> Result<(), ServiceError> {
        if let Ok(queue) = QueueArn::parse(&input.resource_arn) {
            self.engine.queue_policy(&queue).await.map_err(control)?;
            check(&input.policy, &queue.to_string())?;
            return self.engine.put_queue_policy(&queue, &input.policy).await.map_err(control);
        }
        let resource = target::policy_holder(&input.resource_arn)?;
        self.engine.check_policy_holder(&resource).await.map_err(control)?;
        check(&input.policy, &resource.to_string())?;
        self.engine.put_policy(&resource, &input.policy).await.map_err(control)
    }

    pub(super) async fn get_resource_policy(
        &self,
        _: &Call,
        input: api::GetResourcePolicyInput,
    ) -> Result<api::GetResourcePolicyOutput, ServiceError> {
        let policy = match QueueArn::parse(&input.resource_arn) {
            Ok(queue) => self.engine.queue_policy(&queue).await,
            Err(_) => self.engine.policy(&target::policy_holder(&input.resource_arn)?).await,
        };
        let policy = policy.map_err(control)?;
        Ok(api::GetResourcePolicyOutput { policy: policy.unwrap_or_else(|| NO_POLICY.to_owned()) })
    }

    pub(super) async fn delete_resource_policy(
        &self,
        _: &Call,
        input: api::DeleteResourcePolicyInput,
    ) -> Result<(), ServiceError> {
        if let Ok(queue) = QueueArn::parse(&input.resource_arn) {
            return self.engine.delete_queue_policy(&queue).await.map_err(control);
        }
        let resource = target::policy_holder(&input.resource_arn)?;
        self.engine.delete_policy(&resource).await.map_err(control)
    }
}

fn check(policy: &str, resource: &str) -> Result<(), ServiceError> {
    Policy::parse(Kind::Resource, policy)
        .and_then(|policy| policy.check_attachment("kinesis", resource))
        .map_err(|fault| errors::policy_invalid(&fault.to_string()))
}

fn control(error: Error) -> ServiceError {
    of_engine(error, During::Control)
}

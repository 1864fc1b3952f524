//! Resource policies of queues. As with streams: never looked into here.

use millstream_base::QueueArn;

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::queue_model::QueueStatus;

impl Streams {
    /// Attaches a policy in place of the one that is there.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`]; [`Error::QueueNotActive`] unless it is ACTIVE or UPDATING.
    pub async fn put_queue_policy(&self, queue: &QueueArn, document: &str) -> Result<()> {
        self.change_queue_policy(queue, |policy| {
            *policy = Some(document.to_owned());
            Ok(())
        })
        .await
    }

    /// The policy that is attached, if any.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`].
    pub async fn queue_policy(&self, queue: &QueueArn) -> Result<Option<String>> {
        Ok(self.find_queue(queue).await?.row.policy.clone())
    }

    /// Detaches the policy.
    ///
    /// # Errors
    /// As [`Streams::put_queue_policy`], and [`Error::QueuePolicyNotFound`].
    pub async fn delete_queue_policy(&self, queue: &QueueArn) -> Result<()> {
        self.change_queue_policy(queue, |policy| match policy.take() {
            Some(_) => Ok(()),
            None => Err(Error::QueuePolicyNotFound { queue: queue.clone() }),
        })
        .await
    }

    async fn change_queue_policy(
        &self,
        queue: &QueueArn,
        change: impl Fn(&mut Option<String>) -> Result<()>,
    ) -> Result<()> {
        self.change_queue(queue, |row, status, _| match status {
            QueueStatus::Active | QueueStatus::Updating => change(&mut row.policy),
            _ => Err(Error::QueueNotActive { queue: queue.clone(), status }),
        })
        .await
    }
}

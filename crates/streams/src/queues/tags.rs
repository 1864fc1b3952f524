//! Tags of queues.

use millstream_base::{QueueArn, TagError, Tags, tags};

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::queue::row::QueueRow;
use crate::queue_model::QueueStatus;

impl Streams {
    /// Adds tags; those that are there already get the new value.
    ///
    /// # Errors
    /// [`Error::QueueNotFound`], [`Error::QueueNotActive`] while it is DELETING,
    /// [`Error::QueueTags`].
    pub async fn add_queue_tags(&self, queue: &QueueArn, added: &Tags) -> Result<()> {
        self.change_queue_tags(queue, |row| {
            let pairs = added.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            tags::check_added(&row.tags, pairs)?;
            row.tags.extend(added.iter().map(|(k, v)| (k.clone(), v.clone())));
            Ok(())
        })
        .await
    }

    /// Removes tags; keys that are not there are passed over. Errors as
    /// [`Streams::add_queue_tags`].
    pub async fn remove_queue_tags(&self, queue: &QueueArn, keys: &[String]) -> Result<()> {
        self.change_queue_tags(queue, |row| {
            tags::check_removed(keys.iter().map(String::as_str))?;
            row.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await
    }

    /// All tags, in the order of their keys.
    pub async fn list_queue_tags(&self, queue: &QueueArn) -> Result<Tags> {
        Ok(self.find_queue(queue).await?.row.tags.clone())
    }

    async fn change_queue_tags(
        &self,
        queue: &QueueArn,
        change: impl Fn(&mut QueueRow) -> Result<(), TagError>,
    ) -> Result<()> {
        self.change_queue(queue, |row, status, _| match status {
            QueueStatus::Active | QueueStatus::Updating => {
                change(row).map_err(|error| Error::QueueTags { queue: queue.clone(), error })
            }
            _ => Err(Error::QueueNotActive { queue: queue.clone(), status }),
        })
        .await
    }
}

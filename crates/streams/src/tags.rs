//! Tags of streams: one set per stream, whichever operation changes it.

use std::ops::Bound;

use millstream_base::limits::LIST_TAGS_PAGE_MAX;
use millstream_base::{StreamArn, TagError, Tags, tags};

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{StreamStatus, TagsPage};
use crate::stream_row::StreamRow;

impl Streams {
    /// Adds tags; those that are there already get the new value.
    pub async fn add_tags(&self, stream: &StreamArn, added: &Tags) -> Result<()> {
        self.change_tags(stream, |row| {
            let pairs = added.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            tags::check_added(&row.tags, pairs)?;
            row.tags.extend(added.iter().map(|(k, v)| (k.clone(), v.clone())));
            Ok(())
        })
        .await
    }

    /// Removes tags; keys that are not there are passed over.
    pub async fn remove_tags(&self, stream: &StreamArn, keys: &[String]) -> Result<()> {
        self.change_tags(stream, |row| {
            tags::check_removed(keys.iter().map(String::as_str))?;
            row.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await
    }

    /// Tags in the order of their keys, after `exclusive_start`. `limit` is 1 to 50; without one
    /// (ListTagsForResource has no pages) there are at most 50 anyway.
    pub async fn list_tags(
        &self,
        stream: &StreamArn,
        exclusive_start: Option<&str>,
        limit: Option<usize>,
    ) -> Result<TagsPage> {
        let (found, _) = self.find(stream).await?;
        let from = exclusive_start.map_or(Bound::Unbounded, Bound::Excluded);
        let limit = limit.unwrap_or(LIST_TAGS_PAGE_MAX).clamp(1, LIST_TAGS_PAGE_MAX);
        let mut rest = found.row.tags.range::<str, _>((from, Bound::Unbounded));
        let page = rest.by_ref().take(limit).map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(TagsPage { tags: page, has_more: rest.next().is_some() })
    }

    async fn change_tags(
        &self,
        stream: &StreamArn,
        change: impl Fn(&mut StreamRow) -> Result<(), TagError>,
    ) -> Result<()> {
        self.change(stream, |row, status, _| match status {
            StreamStatus::Active | StreamStatus::Updating => {
                change(row).map_err(|error| Error::Tags { stream: stream.clone(), error })
            }
            _ => Err(Error::StreamNotActive { stream: stream.clone(), status }),
        })
        .await
    }
}

//! What belongs to an account: its limits, what it uses of them, its settings.

use millstream_base::Scope;
use millstream_base::limits::CHANNELS_PER_STREAM_MAX;
use millstream_meta::{Document, Key, MetaError};

use crate::engine::Streams;
use crate::error::Result;
use crate::model::{AccountLimits, AccountSettings, StreamMode, StreamStatus};

/// What an account uses in one region.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) open_shards: u32,
    pub(crate) provisioned_shards: u32,
    pub(crate) on_demand_streams: u32,
    /// CREATING or DELETING.
    pub(crate) changing_streams: u32,
}

impl Streams {
    /// Counts as they are now, and their bounds.
    pub async fn describe_limits(&self, scope: &Scope) -> Result<AccountLimits> {
        let usage = self.usage(scope);
        Ok(AccountLimits {
            shard_limit: self.inner.options.shards_per_account_max,
            open_shard_count: usage.open_shards,
            on_demand_stream_count: usage.on_demand_streams,
            on_demand_stream_limit: self.inner.options.on_demand_streams_max,
            channel_count: 0, // no operation makes channels yet
            channel_limit: self.inner.options.on_demand_streams_max * CHANNELS_PER_STREAM_MAX,
        })
    }

    /// The account's settings; those of an account that never set any are the defaults.
    pub async fn describe_account_settings(&self, scope: &Scope) -> Result<AccountSettings> {
        match self.inner.meta.get(&key_of(scope)).await? {
            None => Ok(AccountSettings::default()),
            Some(row) => {
                Ok(AccountSettings::decode(&row.key, &row.value).map_err(MetaError::from)?)
            }
        }
    }

    pub(crate) fn usage(&self, scope: &Scope) -> Usage {
        let now = self.now();
        let mut usage = Usage::default();
        self.inner.cache.walk(scope, None, |stream| {
            let open = stream.route.len() as u32;
            if let Some(status) = stream.row.status_at(now) {
                usage.add(status, stream.row.mode, open, stream.row.due > now);
            }
            true
        });
        usage
    }
}

impl Usage {
    fn add(&mut self, status: StreamStatus, mode: StreamMode, open: u32, waits: bool) {
        let changing = matches!(status, StreamStatus::Creating | StreamStatus::Deleting);
        self.changing_streams += u32::from(changing && waits);
        if status == StreamStatus::Deleting {
            return;
        }
        self.open_shards += open;
        match mode {
            StreamMode::Provisioned => self.provisioned_shards += open,
            StreamMode::OnDemand => self.on_demand_streams += 1,
        }
    }
}

impl Document for AccountSettings {
    const KIND: &'static str = "account's settings";
    const VERSION: u32 = 1;
}

fn key_of(scope: &Scope) -> Key {
    Key::new(format!("account/{}/{}", scope.account, scope.region))
}

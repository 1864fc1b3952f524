//! What belongs to an account: its limits, what it uses of them, its settings.

use millstream_base::limits::{CHANNELS_PER_STREAM_MAX, COMMITMENT_TIME_MIN};
use millstream_base::{Scope, Timestamp};
use millstream_meta::{Document, Expect, Key, MetaError};

use crate::engine::Streams;
use crate::error::Result;
use crate::model::{AccountLimits, AccountSettings, Commitment, StreamMode, StreamStatus};

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
        let (settings, _) = self.account_row(scope).await?;
        Ok(settings.at(self.now()))
    }

    /// Commits the account to a minimum of throughput, or ends that: at once if the commitment is
    /// old enough, otherwise as soon as it is. Returns the settings as they are now.
    pub async fn update_account_settings(
        &self,
        scope: &Scope,
        commit: bool,
    ) -> Result<AccountSettings> {
        loop {
            let now = self.now();
            let (found, expect) = self.account_row(scope).await?;
            let settled = found.at(now);
            let wanted = if commit { settled.committed(now) } else { settled.ended(now) };
            if wanted == found {
                return Ok(found);
            }
            match self.inner.meta.put(key_of(scope), wanted.encode(), expect).await {
                Ok(_) => return Ok(wanted),
                Err(MetaError::Conflict { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The settings as they were written.
    async fn account_row(&self, scope: &Scope) -> Result<(AccountSettings, Expect)> {
        match self.inner.meta.get(&key_of(scope)).await? {
            None => Ok((AccountSettings::default(), Expect::Absent)),
            Some(row) => {
                let settings =
                    AccountSettings::decode(&row.key, &row.value).map_err(MetaError::from)?;
                Ok((settings, Expect::At(row.revision)))
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

impl AccountSettings {
    /// As time has left them: a commitment whose end was asked for ends by itself.
    fn at(self, now: Timestamp) -> Self {
        match (self.commitment, self.earliest_allowed_end_at) {
            (Commitment::EnabledUntilEarliestAllowedEnd, Some(end)) if end <= now => {
                AccountSettings { commitment: Commitment::Disabled, ended_at: Some(end), ..self }
            }
            _ => self,
        }
    }

    fn committed(self, now: Timestamp) -> Self {
        match self.commitment {
            Commitment::Enabled => self,
            // Takes the end back that was asked for.
            Commitment::EnabledUntilEarliestAllowedEnd => {
                AccountSettings { commitment: Commitment::Enabled, ..self }
            }
            Commitment::Disabled => AccountSettings {
                commitment: Commitment::Enabled,
                started_at: Some(now),
                ended_at: None,
                earliest_allowed_end_at: Some(now.plus(COMMITMENT_TIME_MIN)),
            },
        }
    }

    fn ended(self, now: Timestamp) -> Self {
        match (self.commitment, self.earliest_allowed_end_at) {
            (Commitment::Enabled, Some(end)) if now < end => {
                let commitment = Commitment::EnabledUntilEarliestAllowedEnd;
                AccountSettings { commitment, ..self }
            }
            (Commitment::Enabled, _) => {
                let commitment = Commitment::Disabled;
                AccountSettings { commitment, ended_at: Some(now), ..self }
            }
            _ => self,
        }
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

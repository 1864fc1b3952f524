//! What an operator can set.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use millstream_base::{Scope, limits};
use millstream_env::BoxFuture;
use millstream_secrets::{EncryptionContext, KeyError, KeyRef, KeyRing, NewDataKey, Secret};

use crate::data_keys::CACHE_LIFE;
use crate::quotas::QuotaSettings;
use crate::scaling_options::ScalingOptions;

/// Options of the engine; [`Default`] is what a node starts with.
#[derive(Clone, Debug)]
pub struct Options {
    pub state_durations: StateDurations,
    /// This engine's name among all on the same stores, its own and the same after a restart: it
    /// takes up at once what it served before.
    pub node: String,
    pub subscriptions: SubscriptionOptions,
    /// Throughput and rates.
    pub quotas: QuotaSettings,
    /// Open shards of provisioned streams per account and region.
    pub shards_per_account_max: u32,
    /// On-demand streams per account and region.
    pub on_demand_streams_max: u32,
    /// Life of shard iterators.
    pub iterator_life: Duration,
    /// Life of list tokens.
    pub next_token_life: Duration,
    /// How often deleted streams and expired shards are looked for.
    pub sweep_interval: Duration,
    /// How often every shard's expired records are trimmed. Reading never shows expired records,
    /// so this only gives space back.
    pub trim_interval: Duration,
    pub scaling: ScalingOptions,
    /// Who wraps the data keys of encrypted streams.
    pub key_ring: Ring,
    pub data_keys: DataKeyOptions,
    /// A bug for the simulation to find.
    #[cfg(feature = "planted-bugs")]
    #[doc(hidden)]
    pub planted_bug: Option<PlantedBug>,
}

#[cfg(feature = "planted-bugs")]
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// Children are opened before their parents are sealed.
    ChildrenBeforeSeal,
}

impl Options {
    /// Whether parents are sealed before their children are opened: always, outside a planted bug.
    pub(crate) fn seals_first(&self) -> bool {
        #[cfg(feature = "planted-bugs")]
        if self.planted_bug == Some(PlantedBug::ChildrenBeforeSeal) {
            return false;
        }
        true
    }
}

/// How long streams stay in the states between. Zero (the default) ends them within the call that
/// began them; AWS takes 10 to 30 s to create and a few seconds to update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateDurations {
    pub creating: Duration,
    /// After all changes but those of shards.
    pub updating: Duration,
    pub deleting: Duration,
    /// In UPDATING, when shards are split or merged.
    pub resharding: Duration,
    pub consumer_creating: Duration,
    pub consumer_deleting: Duration,
    pub queue_creating: Duration,
    pub queue_updating: Duration,
    pub queue_deleting: Duration,
}

impl StateDurations {
    /// As on AWS, roughly. Source: the SDKs' waiters and what users report; AWS promises nothing.
    pub const AWS: StateDurations = StateDurations {
        creating: Duration::from_secs(20),
        updating: Duration::from_secs(5),
        deleting: Duration::from_secs(30),
        resharding: Duration::from_secs(30),
        consumer_creating: Duration::from_secs(10),
        consumer_deleting: Duration::from_secs(10),
        queue_creating: Duration::from_secs(10),
        queue_updating: Duration::from_secs(5),
        queue_deleting: Duration::from_secs(10),
    };
}

impl Default for Options {
    fn default() -> Self {
        Options {
            state_durations: StateDurations::default(),
            node: "local".to_owned(),
            subscriptions: SubscriptionOptions::default(),
            quotas: QuotaSettings::default(),
            shards_per_account_max: limits::SHARDS_PER_ACCOUNT_DEFAULT,
            on_demand_streams_max: limits::ON_DEMAND_STREAMS_DEFAULT,
            iterator_life: limits::ITERATOR_LIFE,
            next_token_life: limits::NEXT_TOKEN_LIFE,
            sweep_interval: Duration::from_secs(1),
            trim_interval: Duration::from_secs(60),
            scaling: ScalingOptions::default(),
            key_ring: Ring::default(),
            data_keys: DataKeyOptions::default(),
            #[cfg(feature = "planted-bugs")]
            planted_bug: None,
        }
    }
}

/// A key ring; by default one without keys.
#[derive(Clone)]
pub struct Ring(pub Arc<dyn KeyRing>);

impl Default for Ring {
    fn default() -> Self {
        Ring(Arc::new(EmptyRing))
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ring(…)")
    }
}

/// Has no keys.
struct EmptyRing;

impl KeyRing for EmptyRing {
    fn resolve<'a>(
        &'a self,
        _: &'a Scope,
        name: &'a str,
    ) -> BoxFuture<'a, Result<KeyRef, KeyError>> {
        Box::pin(async { Err(KeyError::NotFound { key: name.to_owned() }) })
    }

    fn usable(&self, key: &KeyRef) -> Result<(), KeyError> {
        Err(KeyError::NotFound { key: key.to_string() })
    }

    fn generate_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        _: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<NewDataKey, KeyError>> {
        Box::pin(async { Err(KeyError::NotFound { key: key.to_string() }) })
    }

    fn unwrap_data_key<'a>(
        &'a self,
        key: &'a KeyRef,
        _: &'a [u8],
        _: &'a EncryptionContext,
    ) -> BoxFuture<'a, Result<Secret, KeyError>> {
        Box::pin(async { Err(KeyError::NotFound { key: key.to_string() }) })
    }
}

/// How data keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataKeyOptions {
    /// A stream's data key is replaced after this time.
    pub life: Duration,
    /// An unwrapped data key is forgotten after this time, and unwrapped anew when it is needed.
    pub cache_life: Duration,
}

impl Default for DataKeyOptions {
    fn default() -> Self {
        DataKeyOptions { life: Duration::from_secs(24 * 3600), cache_life: CACHE_LIFE }
    }
}

/// Settings of subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// How long a subscription lasts.
    pub life: Duration,
    /// How often a subscription without records tells where it is.
    pub idle_interval: Duration,
    /// For how long after its beginning a subscription can't be taken over.
    pub takeover_after: Duration,
    /// How long a subscription goes on after its consumer was deregistered.
    pub linger: Duration,
    /// Subscriptions of this node at once; further ones are refused.
    pub count_max: usize,
}

impl Default for SubscriptionOptions {
    fn default() -> Self {
        SubscriptionOptions {
            life: limits::SUBSCRIPTION_LIFE,
            idle_interval: limits::SUBSCRIPTION_IDLE_INTERVAL,
            takeover_after: limits::SUBSCRIPTION_TAKEOVER_AFTER,
            linger: limits::SUBSCRIPTION_LINGER,
            count_max: 10_000,
        }
    }
}

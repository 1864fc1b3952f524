//! The start of the engine: what the stores hold is read, and the background work begins.

use std::sync::Arc;

use millstream_env::Env;
use millstream_log::LogStore;
use millstream_meta::MetaStore;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::data_keys::{DataKeys, Records};
use crate::engine::{Inner, Streams};
use crate::error::Result;
use crate::feed::Feed;
use crate::options::Options;
use crate::policy_copy::PolicyCopy;
use crate::queue::registry::Queues;
use crate::resharding::Resharding;
use crate::subscriptions::Subscriptions;
use crate::throttle::Throttle;
use crate::{scaling, sweep, token, trim};

impl Streams {
    /// Reads what the stores hold and starts the background work: following the rows, finishing
    /// what was begun, giving back the space of expired records.
    ///
    /// # Errors
    /// If a store does not answer, or a row can't be read or is of a newer program.
    pub async fn new(
        env: Env,
        log: Arc<dyn LogStore>,
        meta: Arc<dyn MetaStore>,
        options: Options,
    ) -> Result<Streams> {
        let token_key = token::load_key(&env, &*meta).await?;
        let (stop, stopped) = watch::channel(false);
        let (cache, follow) = Cache::start(&env, meta.clone(), stopped.clone()).await?;
        let (ring, life) = (options.key_ring.0.clone(), options.data_keys.cache_life);
        let keys = Arc::new(DataKeys::new(env.clone(), meta.clone(), ring, life));
        let records = Records::new(&log, keys.clone());
        let (policies, follow_policies) =
            PolicyCopy::start(&env, meta.clone(), stopped.clone()).await?;
        let (queues, follow_queues) = Queues::load(
            env.clone(),
            records.clone(),
            meta.clone(),
            cache.clone(),
            options.node.clone(),
            stopped.clone(),
        )
        .await?;
        let throttle = Throttle::new(options.quotas.clone());
        let inner = Inner {
            env: env.clone(),
            log,
            records,
            keys,
            meta,
            options,
            cache,
            policies,
            token_key,
            queues,
            subscriptions: Subscriptions::default(),
            feed: Feed::default(),
            throttle,
            resharding: Resharding::default(),
            stop,
            tasks: Mutex::new(vec![follow, follow_policies, follow_queues]),
        };
        let streams = Streams { inner: Arc::new(inner) };
        let weak = Arc::downgrade(&streams.inner);
        let sweep = env.spawn("streams-sweep", sweep::run(weak.clone(), stopped.clone()));
        let trim = env.spawn("streams-trim", trim::run(weak.clone(), stopped.clone()));
        let scaling = scaling::run(weak, env.clone(), stopped);
        let scaling = env.spawn("streams-scaling", scaling);
        streams.inner.tasks.lock().extend([sweep, trim, scaling]);
        Ok(streams)
    }
}

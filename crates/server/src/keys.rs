//! A node's keys, put together: the root key, the node's own KMS, and the ring of its streams.

use std::sync::Arc;

use millstream_env::Env;
use millstream_keyring::{AwsKms, HolderError, NodeRoot, Vault};
use millstream_kms::Kms;
use millstream_meta::{MetaError, MetaStore};
use millstream_secrets::{KeyRing, Root, RootKey, RootUnavailable};

use crate::config::{Config, Ring};

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("[keys] {0}")]
    Config(String),
    #[error(transparent)]
    Root(#[from] RootUnavailable),
    #[error("root key: {0}")]
    Meta(#[from] MetaError),
    #[error("keys: {0}")]
    Kms(#[from] millstream_kms::Error),
    #[error("[keys] ring: {0}")]
    Ring(#[from] HolderError),
}

/// What seals, and under what.
pub struct Keys {
    /// Whoever keeps secrets on disk seals them under a key derived from this.
    pub root: Root,
    pub kms: Kms,
    /// Wraps the data keys of encrypted streams.
    pub ring: Arc<dyn KeyRing>,
}

impl Keys {
    /// Opens the keys in `meta`. The root key is asked for now if something was sealed there
    /// before, else when something is: a node without secrets needs none.
    ///
    /// # Errors
    /// The root key can't be had, or is another than what the directory was sealed with.
    pub async fn open(
        env: &Env,
        config: &Config,
        meta: Arc<dyn MetaStore>,
    ) -> Result<Keys, KeysError> {
        let root = root(config, &meta).await?;
        let options = millstream_kms::Options::default();
        let kms = Kms::open(env.clone(), meta, root.clone(), options).await?;
        let options = config.keys.holder_options();
        let ring: Arc<dyn KeyRing> = match config.keys.ring {
            Ring::Embedded => Arc::new(kms.clone()),
            Ring::AwsKms => Arc::new(AwsKms::connect(options.aws_kms).await?),
            Ring::Vault => Arc::new(Vault::connect(options.vault).await?),
        };
        Ok(Keys { root, kms, ring })
    }
}

async fn root(config: &Config, meta: &Arc<dyn MetaStore>) -> Result<Root, KeysError> {
    if config.server.ephemeral {
        return Ok(Root::fixed(RootKey::random()));
    }
    let (holder, old) = config.keys.holders().map_err(KeysError::Config)?;
    let source = NodeRoot::new(meta.clone(), holder, old, config.keys.holder_options());
    let needed = source.exists().await?;
    let root = Root::new(source);
    if needed {
        root.key().await?;
    }
    Ok(root)
}

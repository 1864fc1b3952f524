//! The stores in the data directory, opened and closed together.

use std::path::Path;
use std::sync::Arc;

use millstream_env::{Env, RealDisk};
use millstream_log::{EmbeddedLog, OpenError, RecoveryReport};
use millstream_meta::{MetaError, RedbMeta};

use crate::data_dir::{self, DataDirError, DataDirLock};

const LOG_DIR: &str = "log";
const AUDIT_DIR: &str = "audit";
const META_DIR: &str = "meta";
const META_FILE: &str = "meta/meta.redb";

/// The open data directory of a node.
pub struct Stores {
    pub log: EmbeddedLog,
    pub meta: Arc<RedbMeta>,
    /// What the start found.
    pub recovery: RecoveryReport,
    _lock: DataDirLock,
}

#[derive(Debug, thiserror::Error)]
pub enum StoresError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("log store in {dir}: {source}")]
    Log { dir: String, source: OpenError },
    #[error("tables in {dir}: {source}")]
    Meta { dir: String, source: MetaError },
}

impl Stores {
    /// Opens what is in `dir`, the root of `env.disk`; an empty directory becomes a new one.
    ///
    /// # Errors
    /// Someone else has the directory, it is of another format, or what is in it is damaged.
    pub async fn open(
        env: &Env,
        dir: &Path,
        options: millstream_log::Options,
    ) -> Result<Stores, StoresError> {
        let (disk, name) = (env.disk.clone(), dir.to_owned());
        let lock = env
            .blocking(move || {
                let io = |source| DataDirError::Io { dir: name.clone(), source };
                disk.create_dir_all(Path::new("")).map_err(io)?;
                let lock = data_dir::claim(&*disk, &name)?;
                disk.create_dir_all(Path::new(LOG_DIR)).map_err(io)?;
                disk.create_dir_all(Path::new(META_DIR)).map_err(io)?;
                Ok::<_, DataDirError>(lock)
            })
            .await?;
        let log_env = Env { disk: Arc::new(RealDisk::new(dir.join(LOG_DIR))), ..env.clone() };
        let shown = || dir.display().to_string();
        let (log, recovery) = EmbeddedLog::open(log_env, options)
            .await
            .map_err(|source| StoresError::Log { dir: shown(), source })?;
        let meta = RedbMeta::open(env.clone(), Path::new(META_FILE))
            .await
            .map_err(|source| StoresError::Meta { dir: shown(), source })?;
        Ok(Stores { log, meta: Arc::new(meta), recovery, _lock: lock })
    }

    /// The environment of the audit trail: its disk is the directory's part for it.
    ///
    /// # Errors
    /// The directory can't be made.
    pub async fn audit_env(env: &Env, dir: &Path) -> std::io::Result<Env> {
        let disk = env.disk.clone();
        let made = env.blocking(move || {
            disk.create_dir_all(Path::new(AUDIT_DIR))?;
            disk.sync_dir(Path::new(""))
        });
        made.await?;
        Ok(Env { disk: Arc::new(RealDisk::new(dir.join(AUDIT_DIR))), ..env.clone() })
    }

    /// Brings everything to rest on disk.
    pub async fn close(self) {
        self.log.shutdown().await;
        self.meta.close().await;
    }
}

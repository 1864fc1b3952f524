//! The embedded store fulfils the contract, on real files, after clean and unclean ends.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;

use millstream_env::{BoxFuture, Env};
use millstream_log::contract::{self, Subject};
use millstream_log::{EmbeddedLog, LogStore, Options};
use parking_lot::Mutex;

struct OnFiles {
    options: Options,
    clean: bool,
    handle: Mutex<Option<EmbeddedLog>>,
    /// Dropped last: a store whose directory vanishes beneath it ends the process.
    dir: tempfile::TempDir,
}

impl OnFiles {
    fn new(options: Options, clean: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        OnFiles { options, clean, handle: Mutex::new(None), dir }
    }
}

impl Subject for OnFiles {
    fn open(&self) -> BoxFuture<'_, Arc<dyn LogStore>> {
        Box::pin(async {
            let env = Env::real(self.dir.path());
            let (log, _) = EmbeddedLog::open(env, self.options.clone()).await.unwrap();
            *self.handle.lock() = Some(log.clone());
            Arc::new(log) as Arc<dyn LogStore>
        })
    }

    fn restart(&self, store: Arc<dyn LogStore>) -> BoxFuture<'_, Arc<dyn LogStore>> {
        Box::pin(async move {
            drop(store);
            let handle = self.handle.lock().take().unwrap();
            if self.clean {
                handle.shutdown().await;
                drop(handle);
            } else {
                handle.crash().await;
            }
            self.open().await
        })
    }
}

fn check(options: Options, clean: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(
            std::time::Duration::from_secs(120),
            contract::check(&OnFiles::new(options, clean)),
        )
        .await
        .expect("the suite ends in time");
    });
}

#[test]
fn with_default_bounds_and_crashes() {
    check(Options::default(), false);
}

#[test]
fn with_default_bounds_and_clean_shutdowns() {
    check(Options::default(), true);
}

#[test]
fn with_tiny_bounds_and_crashes() {
    check(Options::tiny(), false);
}

#[test]
fn with_tiny_bounds_and_clean_shutdowns() {
    check(Options::tiny(), true);
}

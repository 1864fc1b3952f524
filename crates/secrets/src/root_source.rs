//! The node's root key, which is fetched or made when it is first needed.
//!
//! A node that keeps no secret needs no root key, and must not fail for want of one. So whoever
//! seals takes a [`Root`] and asks it when something is to be sealed or opened.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use crate::root::RootKey;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a node's root key comes from.
pub trait RootSource: Send + Sync + 'static {
    /// The key; the same at every call, also of other processes on the same data.
    fn fetch(&self) -> BoxFuture<'_, Result<RootKey, RootUnavailable>>;
}

/// The root key can't be had. Says where it was looked for, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("root key: {0}")]
pub struct RootUnavailable(pub String);

/// A handle of the node's root key. Cheap to clone.
#[derive(Clone)]
pub struct Root(Arc<Inner>);

struct Inner {
    known: OnceLock<RootKey>,
    source: Option<Box<dyn RootSource>>,
}

impl Root {
    pub fn new(source: impl RootSource) -> Self {
        Root(Arc::new(Inner { known: OnceLock::new(), source: Some(Box::new(source)) }))
    }

    /// A key that is known already: of an ephemeral node, of a test.
    pub fn fixed(key: RootKey) -> Self {
        Root(Arc::new(Inner { known: OnceLock::from(key), source: None }))
    }

    /// The key, if it was needed before.
    pub fn known(&self) -> Option<&RootKey> {
        self.0.known.get()
    }

    /// The key. The first call may ask a file, a program or another service; what failed is tried
    /// again at the next call.
    ///
    /// # Errors
    /// [`RootUnavailable`].
    pub async fn key(&self) -> Result<&RootKey, RootUnavailable> {
        if let Some(key) = self.0.known.get() {
            return Ok(key);
        }
        let source = self.0.source.as_ref().expect("who has no source was made with a key");
        let key = source.fetch().await?;
        // Two may have asked at once; both were told the same.
        Ok(self.0.known.get_or_init(|| key))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Root").field(&self.known()).finish()
    }
}

//! The root key of one data directory: a row that holds it, wrapped.

use std::sync::Arc;

use millstream_meta::{Document, Expect, Key, MetaError, MetaStore, Revision};
use millstream_secrets::{BoxFuture, RootKey, RootSource, RootUnavailable};
use serde::{Deserialize, Serialize};

use crate::error::HolderError;
use crate::holder::{Holder, HolderOptions, HolderSpec, Make};

const ROW: &str = "secret/root-key";

/// How often two that exchange the holder at once try.
const ATTEMPTS_MAX: u32 = 8;

/// Unwraps the directory's root key, or makes it. Exchanges the holder when the row is still wrapped
/// by an old one: that is all there is to rotation.
pub struct NodeRoot {
    meta: Arc<dyn MetaStore>,
    holder: HolderSpec,
    old: Vec<HolderSpec>,
    options: HolderOptions,
}

#[derive(Serialize, Deserialize)]
struct RootRow {
    /// [`Holder::id`] of who wrapped it.
    wrapped_by: String,
    /// Base64.
    wrapped: String,
}

impl Document for RootRow {
    const KIND: &'static str = "root key";
    const VERSION: u32 = 1;
}

impl NodeRoot {
    /// `old`: holders that may have wrapped the key before; from now on `holder` does.
    pub fn new(
        meta: Arc<dyn MetaStore>,
        holder: HolderSpec,
        old: Vec<HolderSpec>,
        options: HolderOptions,
    ) -> Self {
        NodeRoot { meta, holder, old, options }
    }

    /// Whether something was sealed in this directory: then the key is needed at the start.
    ///
    /// # Errors
    /// The row can't be read.
    pub async fn exists(&self) -> Result<bool, MetaError> {
        Ok(self.meta.get(&Key::new(ROW)).await?.is_some())
    }

    async fn load(&self) -> Result<RootKey, String> {
        for _ in 0..ATTEMPTS_MAX {
            let row = self.meta.get(&Key::new(ROW)).await.map_err(|e| e.to_string())?;
            let done = match row {
                None => self.make().await?,
                Some(row) => {
                    let found = RootRow::decode(&row.key, &row.value).map_err(|e| e.to_string())?;
                    self.open(found, row.revision).await?
                }
            };
            if let Some(key) = done {
                return Ok(key);
            }
        }
        Err("its row is changed by others all the time".to_owned())
    }

    /// `None`: someone else was first.
    async fn make(&self) -> Result<Option<RootKey>, String> {
        let holder = self.ask(&self.holder, Make::IfMissing).await?;
        if let Some(place) = holder.made() {
            tracing::warn!(
                place,
                "a root key was made: keep a copy of it elsewhere, sealed data is lost without it"
            );
        }
        let key = RootKey::random();
        Ok(self.store(&holder, &key, Expect::Absent).await?.then_some(key))
    }

    async fn open(&self, row: RootRow, at: Revision) -> Result<Option<RootKey>, String> {
        let wrapped = base64_simd::STANDARD.decode_to_vec(&row.wrapped);
        let wrapped = wrapped.map_err(|_| "its row is damaged".to_owned())?;
        let holder = self.ask(&self.holder, Make::Never).await;
        let refused = match &holder {
            Ok(holder) => match holder.unwrap(&wrapped, &row.wrapped_by).await {
                Ok(key) => return Ok(Some(key)),
                Err(error @ HolderError::OtherHolder { .. }) => format!(
                    "{}: {error}; the data directory was sealed with another root key: give that \
                     one as [keys] root, or among old_roots to rotate",
                    self.holder
                ),
                Err(error) => format!("{}: {error}", self.holder),
            },
            // A new holder's key file may not be there yet: it is made if an old one unwraps.
            Err(reason) if self.old.is_empty() => return Err(reason.clone()),
            Err(reason) => reason.clone(),
        };
        for spec in &self.old {
            let Ok(old) = self.ask(spec, Make::Never).await else { continue };
            if let Ok(key) = old.unwrap(&wrapped, &row.wrapped_by).await {
                let holder = self.ask(&self.holder, Make::IfMissing).await?;
                let stored = self.store(&holder, &key, Expect::At(at)).await?;
                if stored {
                    tracing::info!(from = %spec, to = %self.holder, "the root key was rewrapped");
                }
                return Ok(stored.then_some(key));
            }
        }
        Err(refused)
    }

    async fn ask(&self, spec: &HolderSpec, make: Make) -> Result<Holder, String> {
        let holder = Holder::open(spec, &self.options, make).await;
        holder.map_err(|error: HolderError| format!("{spec}: {error}"))
    }

    async fn store(&self, holder: &Holder, key: &RootKey, expect: Expect) -> Result<bool, String> {
        let wrapped = holder.wrap(key).await.map_err(|e| e.to_string())?;
        let wrapped = base64_simd::STANDARD.encode_to_string(wrapped);
        let row = RootRow { wrapped_by: holder.id(), wrapped };
        match self.meta.put(Key::new(ROW), row.encode(), expect).await {
            Ok(_) => Ok(true),
            Err(MetaError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl RootSource for NodeRoot {
    fn fetch(&self) -> BoxFuture<'_, Result<RootKey, RootUnavailable>> {
        Box::pin(async { self.load().await.map_err(RootUnavailable) })
    }
}

/// Who wraps the root key of these tables ([`Holder::id`]). `None`: nothing is sealed in them.
///
/// # Errors
/// The row can't be read.
pub async fn describe(meta: &dyn MetaStore) -> Result<Option<String>, MetaError> {
    let Some(row) = meta.get(&Key::new(ROW)).await? else { return Ok(None) };
    Ok(Some(RootRow::decode(&row.key, &row.value)?.wrapped_by))
}

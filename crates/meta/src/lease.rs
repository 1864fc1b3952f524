//! Leases: of all who want to do a thing, one does it at a time.
//!
//! A lease is a row that its holder renews. Others watch the row's revision on their own monotonic
//! clock and take it when it has not changed for the lease's life, so that no two clocks need to
//! agree. The holder counts from before it asked, observers from after they saw: the holder's
//! time always ends first, as long as clocks run equally fast. What must hold even where they
//! don't is guarded by the fencing token, which is larger for every later holder.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::document::Document;
use crate::store::{Expect, Key, MetaError, MetaStore, Revision, Row};

/// One candidate's view of one lease.
pub struct Lease {
    meta: Arc<dyn MetaStore>,
    key: Key,
    holder: String,
    life: Duration,
    held: Option<Held>,
    /// The others' row, and since when it has not changed.
    seen: Option<(Revision, Instant)>,
}

struct Held {
    token: Revision,
    revision: Revision,
    until: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Ours. The token is larger than that of every earlier holder.
    Held {
        token: Revision,
    },
    HeldBy {
        holder: String,
    },
}

#[derive(Serialize, Deserialize)]
struct LeaseRow {
    holder: String,
    life_ms: u64,
    released: bool,
}

impl Document for LeaseRow {
    const KIND: &'static str = "lease";
    const VERSION: u32 = 1;
}

impl Lease {
    /// A candidate. `holder` names it for others and must be its own: who comes back under the
    /// same name takes his lease again at once.
    pub fn new(meta: Arc<dyn MetaStore>, key: Key, holder: String, life: Duration) -> Self {
        Lease { meta, key, holder, life, held: None, seen: None }
    }

    /// Whether we may act now; no promise survives the lease's life since the last renewal.
    pub fn is_held(&self) -> bool {
        self.held.as_ref().is_some_and(|held| Instant::now() < held.until)
    }

    /// Takes the lease if it is free, released, expired or ours; renews it if we hold it. To be
    /// called several times per life, by holders and candidates alike.
    ///
    /// # Errors
    /// Those of the store. A holder keeps its lease until its time is over.
    pub async fn take(&mut self) -> Result<LeaseState, MetaError> {
        let asked = Instant::now();
        if let Some(held) = &self.held {
            let expect = Expect::At(held.revision);
            match self.write(expect, false).await {
                Ok(revision) => {
                    let token = held.token;
                    self.held = Some(Held { token, revision, until: asked + self.life });
                    return Ok(LeaseState::Held { token });
                }
                Err(MetaError::Conflict { .. }) => self.held = None,
                Err(e) => return Err(e),
            }
        }
        let row = self.meta.get(&self.key).await?;
        let expect = match self.judge(row)? {
            Ok(expect) => expect,
            Err(holder) => return Ok(LeaseState::HeldBy { holder }),
        };
        match self.write(expect, false).await {
            Ok(revision) => {
                self.seen = None;
                self.held = Some(Held { token: revision, revision, until: asked + self.life });
                Ok(LeaseState::Held { token: revision })
            }
            Err(MetaError::Conflict { .. }) => Ok(LeaseState::HeldBy { holder: "another".into() }),
            Err(e) => Err(e),
        }
    }

    /// Gives the lease back, so that others need not wait.
    pub async fn release(&mut self) -> Result<(), MetaError> {
        let Some(held) = self.held.take() else { return Ok(()) };
        match self.write(Expect::At(held.revision), true).await {
            Ok(_) | Err(MetaError::Conflict { .. }) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// What to expect when taking the lease, or who has it.
    fn judge(&mut self, row: Option<Row>) -> Result<Result<Expect, String>, MetaError> {
        let Some(row) = row else { return Ok(Ok(Expect::Absent)) };
        let found = LeaseRow::decode(&row.key, &row.value)?;
        if found.released || found.holder == self.holder {
            return Ok(Ok(Expect::At(row.revision)));
        }
        let now = Instant::now();
        let since = match self.seen {
            Some((revision, since)) if revision == row.revision => since,
            _ => now,
        };
        self.seen = Some((row.revision, since));
        if now - since >= Duration::from_millis(found.life_ms) {
            return Ok(Ok(Expect::At(row.revision)));
        }
        Ok(Err(found.holder))
    }

    async fn write(&self, expect: Expect, released: bool) -> Result<Revision, MetaError> {
        let life_ms = self.life.as_millis() as u64;
        let row = LeaseRow { holder: self.holder.clone(), life_ms, released };
        self.meta.put(self.key.clone(), row.encode(), expect).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryMeta;
    use millstream_env::Env;

    const LIFE: Duration = Duration::from_secs(10);

    fn candidates() -> (Lease, Lease) {
        let meta: Arc<dyn MetaStore> = Arc::new(MemoryMeta::new(Env::real(".")));
        let lease = |holder: &str| {
            Lease::new(meta.clone(), Key::new("lease/pump"), holder.to_owned(), LIFE)
        };
        (lease("a"), lease("b"))
    }

    fn token(state: LeaseState) -> Revision {
        match state {
            LeaseState::Held { token } => token,
            LeaseState::HeldBy { holder } => panic!("held by {holder}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_holds_and_others_wait_until_it_falls_silent() {
        let (mut a, mut b) = candidates();
        let first = token(a.take().await.unwrap());
        for _ in 0..5 {
            tokio::time::advance(LIFE / 2).await;
            assert_eq!(token(a.take().await.unwrap()), first, "renewing keeps the token");
            assert_eq!(b.take().await.unwrap(), LeaseState::HeldBy { holder: "a".into() });
        }
        tokio::time::advance(LIFE).await;
        assert!(!a.is_held(), "the holder stops first");
        let second = token(b.take().await.unwrap());
        assert!(second > first);
        assert_eq!(a.take().await.unwrap(), LeaseState::HeldBy { holder: "b".into() });
    }

    #[tokio::test(start_paused = true)]
    async fn a_released_lease_is_free_at_once() {
        let (mut a, mut b) = candidates();
        let first = token(a.take().await.unwrap());
        a.release().await.unwrap();
        assert!(!a.is_held());
        assert!(token(b.take().await.unwrap()) > first);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_under_his_name_need_not_wait() {
        let (mut a, _) = candidates();
        let first = token(a.take().await.unwrap());
        let mut again = Lease::new(a.meta.clone(), a.key.clone(), "a".into(), LIFE);
        assert!(token(again.take().await.unwrap()) > first);
        assert!(
            matches!(a.take().await.unwrap(), LeaseState::Held { .. }),
            "same name, same right"
        );
    }
}

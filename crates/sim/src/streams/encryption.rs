//! Encryption is switched on, to another key and off, and keys are disabled for a while.
//!
//! What is read is compared with what was put, as ever: a wrong plaintext would be noticed there.
//! While a key is disabled calls may fail for it, and for nothing else.

use std::sync::Arc;
use std::time::Duration;

use millstream_api::kinesis::{self as api, Kinesis};
use millstream_env::sim::Rng;
use millstream_streams::DataKeyOptions;
use millstream_streams::trial::{KeyState, TrialRing};

use super::client::{Life, StreamClient, ask};
use crate::lives::Reply;

const KEYS: [&str; 3] = ["alias/aws/kinesis", "alias/one", "alias/two"];

/// Unwrapped anew within a run; a clock that steps by hours replaces them. Longer than a slow node
/// takes to read what it fetched a key for.
pub(super) const DATA_KEYS: DataKeyOptions =
    DataKeyOptions { life: Duration::from_secs(600), cache_life: Duration::from_secs(3) };

pub(super) fn ring() -> Arc<TrialRing> {
    let ring = Arc::new(TrialRing::default());
    for key in KEYS {
        ring.set(key, KeyState::Enabled);
    }
    ring
}

impl StreamClient {
    pub(super) async fn encrypt(
        &mut self,
        life: &Life<'_>,
        stream: &str,
        rng: &mut Rng,
    ) -> Reply<()> {
        let key = (*rng.pick(&KEYS)).to_owned();
        match rng.below(6) {
            0 => self.stop_encryption(life, stream, key).await,
            1 | 2 => {
                self.oracle.borrow_mut().keys_go_off();
                let done = self.withhold(life, stream, key, rng).await;
                self.oracle.borrow_mut().keys_come_back();
                done
            }
            _ => self.start_encryption(life, stream, key).await,
        }
    }

    async fn start_encryption(&self, life: &Life<'_>, stream: &str, key: String) -> Reply<()> {
        let asked = self.oracle.borrow_mut().now();
        let input = api::StartStreamEncryptionInput {
            stream_name: Some(self.wire(stream)),
            encryption_type: api::EncryptionType::Kms,
            key_id: key,
            ..Default::default()
        };
        let done =
            ask(life, |p, c| async move { p.service.start_stream_encryption(&c, input).await });
        if let Err(e) = done.await? {
            self.excuse(life, stream, asked, &e);
        }
        Ok(())
    }

    async fn stop_encryption(&self, life: &Life<'_>, stream: &str, key: String) -> Reply<()> {
        let asked = self.oracle.borrow_mut().now();
        let input = api::StopStreamEncryptionInput {
            stream_name: Some(self.wire(stream)),
            encryption_type: api::EncryptionType::Kms,
            key_id: key,
            ..Default::default()
        };
        let done =
            ask(life, |p, c| async move { p.service.stop_stream_encryption(&c, input).await });
        if let Err(e) = done.await? {
            self.excuse(life, stream, asked, &e);
        }
        Ok(())
    }

    /// Disables a key, puts and reads, and enables it again. A life that ends meanwhile takes the
    /// disabled key along.
    async fn withhold(
        &mut self,
        life: &Life<'_>,
        stream: &str,
        key: String,
        rng: &mut Rng,
    ) -> Reply<()> {
        self.turn_key(life, key.clone(), KeyState::Disabled).await?;
        for _ in 0..rng.between(1, 3) {
            self.put_record(life, stream, rng).await?;
            self.read_on(life, rng).await?;
        }
        self.turn_key(life, key, KeyState::Enabled).await
    }

    async fn turn_key(&self, life: &Life<'_>, key: String, state: KeyState) -> Reply<()> {
        life.call(move |node| async move { node.parts().ring.set(&key, state) }).await
    }
}

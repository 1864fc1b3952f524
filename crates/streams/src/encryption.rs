//! StartStreamEncryption and StopStreamEncryption: which key new records are kept under.
//!
//! The stream's row names the key as the user did, and the data key that new records are sealed
//! with. That one is replaced after a day, when it sealed very much, and when the name means another
//! key than before; records stay under the data key that they came with.
//!
//! Invariant: while a stream is encrypted, no record of it is stored unsealed: without a usable key
//! nothing is stored.

use std::sync::Arc;

use millstream_base::StreamArn;
use millstream_base::limits::ENCRYPTION_CHANGES_PER_DAY_MAX;
use millstream_secrets::{KeyError, KeyRef};

use crate::cache::Snapshot;
use crate::data_keys::{CurrentKey, Sealing};
use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::{Encryption, StreamStatus};
use crate::stream_row::{Changes, StreamRow};

/// How often a data key is looked for while others change the stream.
const ATTEMPTS: usize = 10;

impl Streams {
    /// Keeps new records under a key; on an encrypted stream, under another key from now on. Old
    /// records stay as they are. The key that is in use already changes nothing.
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE; the key's name is one
    /// ([`Error::KeyNotFound`]); not too many changes in 24 hours ([`Error::EncryptionChanges`]);
    /// the key can be used ([`Error::Key`]).
    pub async fn start_encryption(&self, stream: &StreamArn, key_id: &str) -> Result<()> {
        let encryption = Encryption::Kms { key_id: key_id.to_owned() };
        let found = self.find_changeable(stream, key_id).await?;
        let mut key = None;
        if found.row.encryption != encryption {
            self.admit_change(&mut found.row.changes.clone(), stream)?;
            let under = self.resolve_key(stream, key_id).await?;
            key = Some(self.inner.keys.make(stream, found.row.family, under).await?);
        }
        self.change_encryption(stream, found.row.family, encryption, key).await
    }

    /// Keeps new records without a key. Old records stay as they are. A stream without a key stays
    /// as it is.
    ///
    /// # Errors
    /// As [`Streams::start_encryption`], but that it does not matter whether the key can be used.
    pub async fn stop_encryption(&self, stream: &StreamArn, key_id: &str) -> Result<()> {
        let found = self.find_changeable(stream, key_id).await?;
        self.change_encryption(stream, found.row.family, Encryption::None, None).await
    }

    async fn find_changeable(&self, stream: &StreamArn, key_id: &str) -> Result<Arc<Snapshot>> {
        let (found, status) = self.find(stream).await?;
        if status != StreamStatus::Active {
            return Err(Error::StreamNotActive { stream: stream.clone(), status });
        }
        match is_key_id(key_id) {
            true => Ok(found),
            false => Err(Error::KeyNotFound { key_id: key_id.to_owned() }),
        }
    }

    fn admit_change(&self, changes: &mut Changes, stream: &StreamArn) -> Result<()> {
        let limit = ENCRYPTION_CHANGES_PER_DAY_MAX;
        match Changes::admit(&mut changes.encryption, self.now(), limit) {
            true => Ok(()),
            false => Err(Error::EncryptionChanges { stream: stream.clone(), limit }),
        }
    }

    async fn change_encryption(
        &self,
        stream: &StreamArn,
        family: u32,
        encryption: Encryption,
        key: Option<CurrentKey>,
    ) -> Result<()> {
        let updating = self.inner.options.state_durations.updating;
        self.change_active(stream, |row, now| {
            if row.encryption == encryption {
                return Ok(());
            }
            if row.family != family || (encryption != Encryption::None && key.is_none()) {
                let reason = format!("{stream} was changed by others just now");
                return Err(Error::Unavailable { reason });
            }
            self.admit_change(&mut row.changes, stream)?;
            row.encryption = encryption.clone();
            row.data_key = key.clone();
            row.begin_update(now, updating);
            Ok(())
        })
        .await
    }

    /// What new records of a stream are sealed with, and the stream as it then is.
    ///
    /// # Errors
    /// [`Error::Key`]: the stream's key can't be used, so nothing can be stored.
    pub(crate) async fn sealing(
        &self,
        found: Arc<Snapshot>,
    ) -> Result<(Arc<Snapshot>, Option<Sealing>)> {
        if found.row.encryption == Encryption::None {
            return Ok((found, None));
        }
        let current = found.row.data_key.as_ref().filter(|current| !self.is_due(current));
        let at_hand = current.and_then(|current| self.inner.keys.at_hand(current.number()));
        match at_hand.filter(|sealing| !sealing.is_used_up()) {
            Some(sealing) => Ok((found, Some(sealing))),
            None => self.renew(found).await,
        }
    }

    fn is_due(&self, current: &CurrentKey) -> bool {
        self.now().since(current.created) >= self.inner.options.data_keys.life
            && !self.inner.keys.is_postponed(current.number())
    }

    /// Unwraps the stream's data key, or makes the next one.
    async fn renew(&self, found: Arc<Snapshot>) -> Result<(Arc<Snapshot>, Option<Sealing>)> {
        let (stream, family) = (found.stream.clone(), found.row.family);
        let missing = || Error::StreamNotFound { stream: stream.clone() };
        let keys = &self.inner.keys;
        let _turn = keys.turn(family).await;
        for _ in 0..ATTEMPTS {
            let fresh = self.inner.cache.fetch(&stream).await?.ok_or_else(missing)?;
            if fresh.row.family != family {
                return Err(missing());
            }
            let Encryption::Kms { key_id } = &fresh.row.encryption else {
                return Ok((fresh, None));
            };
            let held = match &fresh.row.data_key {
                Some(current) => match keys.unlock_in_turn(family, current.number()).await {
                    Ok(sealing) if !self.is_due(current) && !sealing.is_used_up() => {
                        return Ok((fresh, Some(sealing)));
                    }
                    Ok(sealing) => Some(sealing),
                    Err(error) if is_passing(&error) => return Err(error),
                    // The name may mean another key by now.
                    Err(_) => None,
                },
                None => None,
            };
            match self.replace_data_key(&fresh, key_id).await {
                Ok(()) => {}
                // It is due, and goes on until it can be replaced.
                Err(error) => match held.filter(|sealing| !sealing.is_used_up()) {
                    Some(sealing) => {
                        tracing::warn!(%stream, %error, "a data key could not be replaced");
                        keys.postpone(sealing.key.reference());
                        return Ok((fresh, Some(sealing)));
                    }
                    None => return Err(error),
                },
            }
        }
        let reason = format!("the encryption of {stream} is being changed");
        Err(Error::Unavailable { reason })
    }

    async fn resolve_key(&self, stream: &StreamArn, key_id: &str) -> Result<KeyRef> {
        let resolved = self.inner.keys.ring.resolve(stream.scope(), key_id).await;
        resolved.map_err(|error| match error {
            KeyError::NotFound { key } => KeyError::NotFound { key: in_full(stream, key) }.into(),
            error => error.into(),
        })
    }

    async fn replace_data_key(&self, fresh: &Snapshot, key_id: &str) -> Result<()> {
        let (stream, row) = (&fresh.stream, &fresh.row);
        let under = self.resolve_key(stream, key_id).await?;
        let made = self.inner.keys.make(stream, row.family, under).await?;
        self.inner.env.hesitate("data-key-made").await;
        let same = |now: &StreamRow| {
            now.family == row.family
                && now.encryption == row.encryption
                && now.data_key == row.data_key
        };
        self.change(stream, |now, _, _| {
            if same(now) {
                now.data_key = Some(made.clone());
            }
            Ok(())
        })
        .await?;
        let horizon = row.horizon_at(self.now());
        self.inner.keys.remove_expired(row.family, &made, horizon).await
    }
}

/// A key's ARN, of whatever form its name is.
fn in_full(stream: &StreamArn, name: String) -> String {
    if name.starts_with("arn:") {
        return name;
    }
    let (partition, region) = (stream.region().partition(), stream.region());
    let kind = if name.starts_with("alias/") { "" } else { "key/" };
    format!("arn:{partition}:kms:{region}:{}:{kind}{name}", stream.account())
}

/// Whether a data key may be had again by itself.
fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Key(KeyError::Throttled { .. } | KeyError::Unavailable { .. })
            | Error::Unavailable { .. }
    )
}

/// Whether a text names a key in one of the forms that AWS takes: a key's id, `alias/NAME`, or the
/// ARN of either.
fn is_key_id(text: &str) -> bool {
    match text.strip_prefix("arn:") {
        Some(rest) => {
            let parts: Vec<&str> = rest.splitn(5, ':').collect();
            let [partition, "kms", region, account, resource] = parts[..] else { return false };
            partition.starts_with("aws")
                && !region.is_empty()
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && (is_alias(resource) || resource.strip_prefix("key/").is_some_and(is_id))
        }
        None => is_alias(text) || is_id(text),
    }
}

fn is_alias(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/_-".contains(&b);
    let name = text.strip_prefix("alias/");
    name.is_some_and(|name| !name.is_empty() && name.len() <= 250 && name.bytes().all(allowed))
}

/// `1234abcd-12ab-34cd-56ef-1234567890ab`, or `mrk-` and 32 digits.
fn is_id(text: &str) -> bool {
    let is_hex =
        |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(digits) = text.strip_prefix("mrk-") {
        return is_hex(digits, 32);
    }
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, n)| is_hex(part, n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_in_five_forms() {
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
        for name in [
            id,
            "mrk-1234abcd12ab34cd56ef1234567890ab",
            "alias/aws/kinesis",
            "alias/my_key-1",
            &format!("arn:aws:kms:us-east-1:000000000000:key/{id}"),
            "arn:aws-cn:kms:cn-north-1:000000000000:alias/mine",
        ] {
            assert!(is_key_id(name), "{name}");
        }
        for name in [
            "",
            "mine",
            "alias/",
            "alias/a b",
            "1234abcd-12ab-34cd-56ef-1234567890a",
            "1234abcd-12ab-34cd-56ef-1234567890ag",
            "arn:aws:kms:us-east-1:000000000000:key/mine",
            "arn:aws:kms:us-east-1:1:alias/mine",
            "arn:aws:s3:us-east-1:000000000000:alias/mine",
            "arn:aws:kms",
        ] {
            assert!(!is_key_id(name), "{name}");
        }
    }
}

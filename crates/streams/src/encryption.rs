//! StartStreamEncryption and StopStreamEncryption: which key new records are kept under.
//!
//! The stream's row says so, descriptions and puts show it, and every record carries whether it was
//! stored under a key. The bytes themselves are not encrypted yet.

use millstream_base::StreamArn;
use millstream_base::limits::ENCRYPTION_CHANGES_PER_DAY_MAX;

use crate::engine::Streams;
use crate::error::{Error, Result};
use crate::model::Encryption;
use crate::stream_row::Changes;

impl Streams {
    /// Keeps new records under a key; on an encrypted stream, under another key from now on. Old
    /// records stay as they are. The key that is in use already changes nothing.
    ///
    /// # Errors
    /// In this order: the stream exists, is ACTIVE; the key's name is one
    /// ([`Error::KeyNotFound`]); not too many changes in 24 hours ([`Error::EncryptionChanges`]).
    pub async fn start_encryption(&self, stream: &StreamArn, key_id: &str) -> Result<()> {
        let encryption = Encryption::Kms { key_id: key_id.to_owned() };
        self.change_encryption(stream, key_id, encryption).await
    }

    /// Keeps new records without a key. Old records stay as they are. A stream without a key stays
    /// as it is.
    ///
    /// # Errors
    /// As [`Streams::start_encryption`].
    pub async fn stop_encryption(&self, stream: &StreamArn, key_id: &str) -> Result<()> {
        self.change_encryption(stream, key_id, Encryption::None).await
    }

    async fn change_encryption(
        &self,
        stream: &StreamArn,
        key_id: &str,
        encryption: Encryption,
    ) -> Result<()> {
        let updating = self.inner.options.state_durations.updating;
        self.change_active(stream, |row, now| {
            if !is_key_id(key_id) {
                return Err(Error::KeyNotFound { key_id: key_id.to_owned() });
            }
            if row.encryption == encryption {
                return Ok(());
            }
            let limit = ENCRYPTION_CHANGES_PER_DAY_MAX;
            if !Changes::admit(&mut row.changes.encryption, now, limit) {
                return Err(Error::EncryptionChanges { stream: stream.clone(), limit });
            }
            row.encryption = encryption.clone();
            row.begin_update(now, updating);
            Ok(())
        })
        .await
    }
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

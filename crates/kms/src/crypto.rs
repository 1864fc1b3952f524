//! Encryption under keys.

use std::sync::Arc;

use millstream_base::{Scope, Timestamp};
use millstream_secrets::{
    EncryptionContext, KEY_BYTES, RootKey, SealingKey, Secret, random, random_secret,
};

use crate::ciphertext::{Ciphertext, SALT_BYTES, authenticated, head};
use crate::directory::Key;
use crate::engine::{Kms, check_usable};
use crate::error::{Error, Result};
use crate::names::KeyArn;
use crate::row::{Material, Origin};

/// What was made under a key, and which material of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    pub ciphertext: Vec<u8>,
    pub key: Arc<Key>,
}

/// What a ciphertext held, the key that opened it, and which material of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decrypted {
    pub plaintext: Secret,
    pub key: Arc<Key>,
    pub material_id: String,
}

impl Kms {
    /// Encrypts under the current material of a usable key ([`Kms::find_usable`]).
    ///
    /// # Errors
    /// The root key can't be had, or the material is damaged.
    pub async fn encrypt(
        &self,
        key: &Arc<Key>,
        context: &EncryptionContext,
        plaintext: &[u8],
    ) -> Result<Encrypted> {
        check_usable(key)?;
        let sealing = self.sealing().await?;
        let material = key.current();
        let salt = random::<SALT_BYTES>();
        let mut ciphertext = head(&key.arn, material.version, &salt);
        let of_message = open_material(&sealing, &key.arn, material)?.derive(&hex(&salt));
        let sealed = of_message.seal(&authenticated(&ciphertext, context), plaintext);
        ciphertext.extend_from_slice(&sealed);
        Ok(Encrypted { ciphertext, key: key.clone() })
    }

    /// Decrypts what [`Kms::encrypt`] made, whichever material it was.
    ///
    /// `expected`: the key that the caller says it is, if he does.
    ///
    /// # Errors
    /// [`Error::InvalidCiphertext`]: made elsewhere, damaged, or in another context;
    /// [`Error::IncorrectKey`], [`Error::NotFound`], [`Error::Disabled`],
    /// [`Error::PendingDeletion`].
    pub async fn decrypt(
        &self,
        scope: &Scope,
        expected: Option<&KeyArn>,
        context: &EncryptionContext,
        ciphertext: &[u8],
    ) -> Result<Decrypted> {
        let parsed = Ciphertext::parse(ciphertext).ok_or(Error::InvalidCiphertext)?;
        if parsed.key.scope.region != scope.region {
            return Err(Error::InvalidCiphertext);
        }
        if let Some(expected) = expected.filter(|expected| **expected != parsed.key) {
            return Err(Error::IncorrectKey { arn: expected.to_string() });
        }
        let key = self.find_key(&parsed.key).await?;
        check_usable(&key)?;
        let material = key.materials().iter().find(|m| m.version == parsed.material);
        let material = material.ok_or(Error::InvalidCiphertext)?;
        let material_id = material.id.clone();
        let sealing = self.sealing().await?;
        let of_message = open_material(&sealing, &key.arn, material)?.derive(&hex(&parsed.salt));
        let plaintext = of_message.open(&authenticated(parsed.head, context), parsed.sealed);
        let plaintext = plaintext.map_err(|_| Error::InvalidCiphertext)?;
        Ok(Decrypted { plaintext, key, material_id })
    }

    /// A new data key of `bytes` random bytes, and the same encrypted.
    ///
    /// # Errors
    /// As [`Kms::encrypt`].
    pub async fn new_data_key(
        &self,
        key: &Arc<Key>,
        context: &EncryptionContext,
        bytes: usize,
    ) -> Result<(Secret, Encrypted)> {
        let plaintext = random_secret(bytes);
        let encrypted = self.encrypt(key, context, plaintext.expose()).await?;
        Ok((plaintext, encrypted))
    }
}

/// A fresh material of `arn`.
pub(crate) fn new_material(
    sealing: &SealingKey,
    arn: &KeyArn,
    version: u32,
    now: Timestamp,
    origin: Origin,
) -> Material {
    let bytes = random_secret(KEY_BYTES);
    let sealed = sealing.seal(&place(arn, version), bytes.expose());
    Material {
        version,
        id: hex(&random::<32>()),
        made: now,
        origin,
        sealed: base64_simd::STANDARD.encode_to_string(sealed),
    }
}

/// The material itself, from which the key of each message is derived.
fn open_material(sealing: &SealingKey, arn: &KeyArn, material: &Material) -> Result<RootKey> {
    let corrupt = || Error::Corrupt {
        reason: format!("material {} of {arn} can't be opened", material.version),
    };
    let sealed = base64_simd::STANDARD.decode_to_vec(&material.sealed).map_err(|_| corrupt())?;
    let opened = sealing.open(&place(arn, material.version), &sealed).map_err(|_| corrupt())?;
    let bytes: &[u8; KEY_BYTES] = opened.expose().try_into().map_err(|_| corrupt())?;
    Ok(RootKey::from_bytes(*bytes))
}

/// Where a material belongs: it opens nowhere else.
fn place(arn: &KeyArn, version: u32) -> Vec<u8> {
    format!("{arn}#{version}").into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes text");
        text
    })
}

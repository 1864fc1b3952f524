//! Sealed chunks as they were opened a moment ago.
//!
//! A chunk is opened whole, however little of it is wanted: who reads it in small pages would have
//! it decrypted once a page.
//!
//! Invariant: nothing is given out whose key is not at hand.

use bytes::Bytes;
use parking_lot::Mutex;

use crate::chunk::ChunkHeader;
use crate::damage::Wrong;
use crate::key::{ChunkKeys, KeyNumber};
use crate::lru::Lru;
use crate::seal;
use crate::store::LogId;

/// A chunk's log and first position: no two chunks ever share them.
type Place = (LogId, u64, u32);

pub(crate) struct Opened(Mutex<Lru<Place, Bytes>>);

/// A chunk's entries, or the key that is missing.
pub(crate) enum Content {
    Entries(Bytes),
    Locked(KeyNumber),
}

impl Opened {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Opened(Mutex::new(Lru::new(bytes_max as usize)))
    }

    /// The entries of a checked chunk, opened if it is sealed.
    pub(crate) fn entries(
        &self,
        header: &ChunkHeader,
        payload: Bytes,
        keys: &dyn ChunkKeys,
    ) -> Result<Content, Wrong> {
        let Some(seal) = &header.seal else { return Ok(Content::Entries(payload)) };
        let Some(key) = keys.get(seal.key) else { return Ok(Content::Locked(seal.key)) };
        let place = (header.log, header.lsn, header.first);
        if let Some(known) = self.0.lock().get(place) {
            return Ok(Content::Entries(known));
        }
        let opened = seal::open(header, &payload, &key)?;
        self.0.lock().insert(place, opened.clone(), opened.len());
        Ok(Content::Entries(opened))
    }
}

//! Rows as versioned JSON documents: `{"v":VERSION,"d":{…}}`.
//!
//! A newer program reads what older ones wrote ([`Document::upgrade`]); an older program refuses
//! what it can't understand instead of dropping members silently.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{Key, MetaError};

/// What a row holds.
pub trait Document: Serialize + DeserializeOwned {
    /// What it is, for error messages.
    const KIND: &'static str;
    /// Raised whenever an older program would misread what this one writes.
    const VERSION: u32;

    /// Makes a document of `version` (below [`Document::VERSION`]) one of the next version.
    fn upgrade(version: u32, _old: Value) -> Result<Value, String> {
        Err(format!("no way leads from version {version} onwards"))
    }

    fn encode(&self) -> Bytes {
        let whole = Whole { v: Self::VERSION, d: self };
        serde_json::to_vec(&whole).expect("documents are plain structures").into()
    }

    fn decode(key: &Key, bytes: &[u8]) -> Result<Self, DocumentError> {
        let broken =
            |reason: String| DocumentError::Broken { key: key.clone(), kind: Self::KIND, reason };
        let head: Head = serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))?;
        if head.v > Self::VERSION {
            let (found, known) = (head.v, Self::VERSION);
            return Err(DocumentError::Newer { key: key.clone(), kind: Self::KIND, found, known });
        }
        if head.v == Self::VERSION {
            let body: Body<Self> =
                serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))?;
            return Ok(body.d);
        }
        let body: Body<Value> = serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))?;
        let newest = (head.v..Self::VERSION).try_fold(body.d, |d, v| Self::upgrade(v, d));
        let newest = newest.map_err(broken)?;
        serde_json::from_value(newest).map_err(|e| broken(e.to_string()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("row {key} is a {kind} of version {found}, and this program knows up to {known}")]
    Newer { key: Key, kind: &'static str, found: u32, known: u32 },
    #[error("row {key} is no {kind}: {reason}")]
    Broken { key: Key, kind: &'static str, reason: String },
}

impl From<DocumentError> for MetaError {
    fn from(e: DocumentError) -> Self {
        MetaError::Corrupt { reason: e.to_string() }
    }
}

#[derive(Serialize)]
struct Whole<'a, D> {
    v: u32,
    d: &'a D,
}
#[derive(Deserialize)]
struct Head {
    v: u32,
}
#[derive(Deserialize)]
struct Body<D> {
    d: D,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Cat {
        name: String,
        lives: u32,
    }
    impl Document for Cat {
        const KIND: &'static str = "cat";
        const VERSION: u32 = 3;
        fn upgrade(version: u32, mut old: Value) -> Result<Value, String> {
            match version {
                2 => {
                    old["lives"] = 9.into();
                    Ok(old)
                }
                _ => Err("cats began with version 2".into()),
            }
        }
    }

    fn read(text: &str) -> Result<Cat, DocumentError> {
        Cat::decode(&Key::new("cat/1"), text.as_bytes())
    }

    #[test]
    fn documents_come_back() {
        let cat = Cat { name: "Mia".into(), lives: 7 };
        assert_eq!(cat.encode(), r#"{"v":3,"d":{"name":"Mia","lives":7}}"#);
        assert_eq!(Cat::decode(&Key::new("cat/1"), &cat.encode()), Ok(cat));
    }

    #[test]
    fn older_documents_are_read_newer_and_broken_ones_refused() {
        let old = read(r#"{"v":2,"d":{"name":"Mia"}}"#);
        assert_eq!(old, Ok(Cat { name: "Mia".into(), lives: 9 }));
        let newer = read(r#"{"v":4,"d":{"tail":{}}}"#);
        assert!(matches!(newer, Err(DocumentError::Newer { found: 4, known: 3, .. })), "{newer:?}");
        for broken in ["", "[]", r#"{"v":3}"#, r#"{"v":3,"d":{}}"#, r#"{"v":1,"d":{}}"#] {
            let read = read(broken);
            assert!(matches!(read, Err(DocumentError::Broken { .. })), "{broken}: {read:?}");
        }
    }
}

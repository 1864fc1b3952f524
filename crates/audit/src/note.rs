//! What a trail says about itself: the first line of each file, repairs, removals, gaps.

use serde::{Deserialize, Serialize};

use crate::hash::Hash;

/// The format of the files that this version writes.
pub(crate) const FORMAT: u32 = 1;

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileHead {
    pub(crate) format: u32,
    pub(crate) number: u64,
    /// The hash of the last line of the file before, as text.
    pub(crate) previous: String,
}

/// Something that happened to the trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// A torn end was cut off after a crash.
    Repaired(Repaired),
    /// Old files were removed because of their age or size.
    Removed(Removed),
    /// This many events could not be kept while nothing could be written.
    Lost { events: u64 },
    /// This many unauthenticated calls came faster than they are recorded.
    Unrecorded { unauthenticated_calls: u64 },
}

/// What was cut off, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    pub file: String,
    pub offset: u64,
    pub bytes: u64,
    pub sha256: String,
    /// Among these bytes, whole lines: events whose calls were not answered, after a crash.
    pub lines: u64,
    pub kept_as: String,
}

/// The files up to this one, and where the chain stood at their end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    pub last_file: u64,
    pub last_n: u64,
    pub last_hash: String,
}

impl FileHead {
    pub(crate) fn read(content: &[u8]) -> Option<(FileHead, Hash)> {
        let head: FileHead = serde_json::from_slice(content).ok()?;
        let previous = head.previous.parse().ok()?;
        (head.format == FORMAT).then_some((head, previous))
    }

    pub(crate) fn text(number: u64, previous: Hash) -> String {
        let head = FileHead { format: FORMAT, number, previous: previous.to_string() };
        serde_json::to_string(&head).expect("numbers and text are JSON")
    }
}

impl Note {
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and text are JSON")
    }

    /// The note in the content of an entry; `None` for one of a later version.
    pub fn read(content: &[u8]) -> Option<Note> {
        serde_json::from_slice(content).ok()
    }
}

//! The bounds of an embedded store, each with its name and its default.

use std::time::Duration;

use crate::frame::FrameCheck;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Sizes in bytes unless the name says otherwise. [`Options::default`] suits a node of any size;
/// tests make everything small.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Length of one write-ahead file. Longer files switch less often, shorter ones are recycled
    /// sooner.
    pub wal_file_bytes: u64,
    /// Most bytes of all write-ahead files together, spare ones included. Bounds recovery.
    pub wal_bytes_max: u64,
    /// What one write and one sync carry at most, unless a single call is larger.
    pub group_bytes_max: u64,
    /// The largest batch, encoded. Never more than a quarter of a write-ahead file.
    pub batch_bytes_max: u64,
    /// What may wait to be written.
    pub queue_bytes_max: u64,
    /// How long an append waits for room before it is told that the log is overloaded.
    pub queue_wait: Duration,
    /// Recent entries in memory: those not yet in segment files, and a cache of older ones.
    pub memory_bytes: u64,
    /// A checkpoint starts when this much is in memory and in no segment file. At most half of
    /// `memory_bytes`, so that appends go on while it runs.
    pub checkpoint_bytes: u64,
    /// Merging stops at files of this size.
    pub segment_bytes_max: u64,
    /// A family with this much in one checkpoint gets a segment file of its own.
    pub own_segment_bytes_min: u64,
    /// How many neighbours of one size are merged into one file.
    pub merge_fan_in: usize,
    /// How often merging and deleting look for work.
    pub merge_interval: Duration,
    /// Blocks of segment footers kept in memory.
    pub index_cache_bytes: u64,
    /// Sealed chunks kept in memory as they were opened, for those who read them in small pages.
    pub opened_cache_bytes: u64,
    /// Segment files kept open.
    pub open_files_max: usize,
    /// What one read of a segment file fetches at most, unless a chunk is larger.
    pub read_ahead_bytes: u64,
    /// Speed of the background check of all segment files; 0 switches it off.
    pub scrub_bytes_per_sec: u64,
    /// How long nothing must happen before the last write is proven durable by a marker.
    pub idle_marker_after: Duration,
    /// Write-ahead files are not added when less than this would stay free on the disk: tables and
    /// checkpoints need room too.
    pub keep_free_bytes: u64,
    /// `false` acknowledges what is not on disk yet: for measuring, and for nodes that keep nothing.
    pub sync: bool,
    /// A bug for the simulation to find.
    #[cfg(feature = "planted-bugs")]
    #[doc(hidden)]
    pub planted_bug: Option<PlantedBug>,
}

#[cfg(feature = "planted-bugs")]
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// Recovery takes a frame whose header is whole for a whole frame.
    AcceptTornFrame,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            wal_file_bytes: 64 * MIB,
            wal_bytes_max: 1024 * MIB,
            group_bytes_max: 8 * MIB,
            batch_bytes_max: 16 * MIB,
            queue_bytes_max: 64 * MIB,
            queue_wait: Duration::from_secs(2),
            memory_bytes: 192 * MIB,
            checkpoint_bytes: 64 * MIB,
            segment_bytes_max: 256 * MIB,
            own_segment_bytes_min: MIB,
            merge_fan_in: 4,
            merge_interval: Duration::from_secs(1),
            index_cache_bytes: 16 * MIB,
            opened_cache_bytes: 32 * MIB,
            open_files_max: 256,
            read_ahead_bytes: MIB,
            scrub_bytes_per_sec: 4 * MIB,
            idle_marker_after: Duration::from_millis(20),
            keep_free_bytes: 16 * MIB,
            sync: true,
            #[cfg(feature = "planted-bugs")]
            planted_bug: None,
        }
    }
}

impl Options {
    /// Bounds for tests: files of some kilobytes, so that a few hundred entries pass through every
    /// stage of a store's life.
    pub fn tiny() -> Self {
        Options {
            wal_file_bytes: 256 * KIB,
            wal_bytes_max: 2 * MIB,
            group_bytes_max: 32 * KIB,
            batch_bytes_max: 64 * KIB,
            queue_bytes_max: 256 * KIB,
            memory_bytes: 128 * KIB,
            checkpoint_bytes: 32 * KIB,
            segment_bytes_max: 4 * MIB,
            own_segment_bytes_min: 16 * KIB,
            index_cache_bytes: 16 * KIB,
            opened_cache_bytes: 16 * KIB,
            open_files_max: 4,
            read_ahead_bytes: 16 * KIB,
            merge_interval: Duration::from_millis(50),
            scrub_bytes_per_sec: 16 * MIB,
            keep_free_bytes: 0,
            ..Options::default()
        }
    }

    /// What recovery demands of a frame.
    pub(crate) fn frame_check(&self) -> FrameCheck {
        #[cfg(feature = "planted-bugs")]
        if self.planted_bug == Some(PlantedBug::AcceptTornFrame) {
            return FrameCheck::HeaderOnly;
        }
        FrameCheck::Whole
    }

    /// These options with every bound brought into what the format and the other bounds allow.
    pub(crate) fn in_bounds(mut self) -> Self {
        let block = millstream_env::disk::ALIGNMENT as u64;
        self.wal_file_bytes =
            self.wal_file_bytes.clamp(128 * KIB, 1024 * MIB).next_multiple_of(block);
        self.wal_bytes_max = self.wal_bytes_max.max(4 * self.wal_file_bytes);
        self.batch_bytes_max = self.batch_bytes_max.clamp(KIB, self.wal_file_bytes / 4);
        self.group_bytes_max = self.group_bytes_max.clamp(KIB, self.wal_file_bytes / 4);
        self.queue_bytes_max = self.queue_bytes_max.max(2 * self.batch_bytes_max);
        self.memory_bytes = self.memory_bytes.max(4 * self.batch_bytes_max);
        self.checkpoint_bytes = self.checkpoint_bytes.clamp(KIB, self.memory_bytes / 2);
        self.read_ahead_bytes = self.read_ahead_bytes.max(4 * KIB);
        self.open_files_max = self.open_files_max.max(1);
        self.merge_fan_in = self.merge_fan_in.max(2);
        self
    }
}

//! What happens to the node in a run: drawn once from the seed, before anything starts.
//!
//! A run is a few lives of one node. Each life has its trouble and an end; between two lives the
//! disk may rot and the clock may step.

use std::time::Duration;

use millstream_env::sim::{CrashKind, DiskFaults, Mood, Rng};

use crate::options::Faults;

/// Lives of the node in one run.
const LIVES_MIN: u64 = 2;
const LIVES_MAX: u64 = 5;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) lives: Vec<Life>,
    pub(crate) clients: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) mood: Mood,
    pub(crate) end: End,
    /// Operations of each client, if nothing stops it before.
    pub(crate) steps: u64,
    /// From the n-th step on, for some steps, the disk has only this many bytes more.
    pub(crate) full: Option<Full>,
    pub(crate) disk_faults: DiskFaults,
    /// Steps of the wall clock during this life, in milliseconds.
    pub(crate) clock_steps: Vec<i64>,
    /// Bits flipped in files at rest after this life has ended.
    pub(crate) rot_bits: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Full {
    pub(crate) after: Duration,
    pub(crate) for_long: Duration,
    pub(crate) room: u64,
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The clients finish; then the process is shut down in an orderly way.
    Orderly,
    /// The clients finish; then the node goes down.
    Afterwards(CrashKind),
    /// In the middle of a disk call.
    AtDiskCall(u64, CrashKind),
    /// At a place where the code hesitates.
    AtHesitation,
    /// After some virtual time.
    After(Duration, CrashKind),
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng, faults: Faults) -> Plan {
        let lives = rng.between(LIVES_MIN, LIVES_MAX);
        let rots = faults.rot && rng.one_in(4);
        Plan {
            clients: rng.between(2, 5) as usize,
            lives: (0..lives).map(|_| Life::draw(rng, faults, rots)).collect(),
        }
    }
}

impl Life {
    fn draw(rng: &mut Rng, faults: Faults, rots: bool) -> Life {
        let end = if faults.crashes { End::draw(rng) } else { End::Orderly };
        let mut mood = if faults.slow && rng.one_in(6) { Mood::SLOW } else { Mood::CALM };
        if matches!(end, End::AtHesitation) {
            mood.crash_one_in = rng.between(20, 400);
        }
        let full = (faults.full && rng.one_in(5)).then(|| Full {
            after: Duration::from_millis(rng.below(400)),
            for_long: Duration::from_millis(rng.between(50, 4000)),
            room: rng.below(200_000),
        });
        let disk_faults = if faults.io_errors && rng.one_in(6) {
            draw_errors(rng)
        } else {
            DiskFaults::default()
        };
        let clock_steps = if faults.clock && rng.one_in(3) {
            (0..rng.between(1, 3)).map(|_| clock_step(rng)).collect()
        } else {
            Vec::new()
        };
        Life {
            mood,
            end,
            steps: rng.between(5, 40),
            full,
            disk_faults,
            clock_steps,
            rot_bits: if rots && rng.one_in(2) { rng.between(1, 3) } else { 0 },
        }
    }
}

impl End {
    fn draw(rng: &mut Rng) -> End {
        let kind = if rng.one_in(3) { CrashKind::Kill } else { CrashKind::PowerLoss };
        match rng.below(8) {
            0 => End::Orderly,
            1 => End::Afterwards(kind),
            2..5 => End::AtDiskCall(1 << rng.below(11) | rng.below(8), kind),
            5 => End::AtHesitation,
            _ => End::After(Duration::from_micros(1 << rng.between(4, 22)), kind),
        }
    }
}

fn draw_errors(rng: &mut Rng) -> DiskFaults {
    let mut faults = DiskFaults::default();
    let one_in = rng.between(10, 300);
    match rng.below(5) {
        0 => faults.read_error_one_in = one_in,
        1 => faults.write_error_one_in = one_in,
        2 => faults.sync_error_one_in = one_in,
        3 => faults.name_error_one_in = one_in,
        _ => {
            faults = DiskFaults {
                read_error_one_in: one_in * 2,
                write_error_one_in: one_in * 2,
                sync_error_one_in: one_in * 2,
                name_error_one_in: one_in * 2,
            };
        }
    }
    faults
}

/// Seconds mostly, an hour now and then, either way; a day and more forward now and then, so that
/// records and shards expire.
fn clock_step(rng: &mut Rng) -> i64 {
    if rng.one_in(6) {
        return rng.between(25 * 3_600_000, 60 * 3_600_000) as i64;
    }
    let size = if rng.one_in(4) { 3_600_000 } else { 5_000 };
    rng.below(2 * size + 1) as i64 - size as i64
}

//! Choices that a seed repeats, for tests that try something else each time.

/// A xorshift generator.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From `MILLSTREAM_CRASH_SEED`, or from the process id; says which, so that it can be repeated.
    pub fn of_run(rounds: u64) -> Chance {
        let seed = number("MILLSTREAM_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
        println!("{rounds} rounds with MILLSTREAM_CRASH_SEED={seed}");
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A generator of its own, for someone who runs at the same time.
    pub fn split(&mut self) -> Chance {
        Chance(self.below(u64::MAX) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// How often to crash the server: `MILLSTREAM_CRASH_ROUNDS`, or `usual`.
pub fn rounds(usual: u64) -> u64 {
    number("MILLSTREAM_CRASH_ROUNDS").unwrap_or(usual)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

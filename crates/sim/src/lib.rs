//! The simulated world: clock, disk with faults, oracle, scenarios, seed runner.

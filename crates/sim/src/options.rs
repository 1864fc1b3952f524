//! What the caller of a run may choose. Everything else is the seed's.

/// What a run exercises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The metadata store, through its contract.
    Tables,
    /// The log store, through its contract.
    Log,
    /// Data Streams, from the decoded request down.
    Streams,
}

/// Which kinds of trouble a run may draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    pub crashes: bool,
    pub full: bool,
    pub io_errors: bool,
    pub slow: bool,
    pub clock: bool,
    pub rot: bool,
}

impl Faults {
    pub const ALL: Faults =
        Faults { crashes: true, full: true, io_errors: true, slow: true, clock: true, rot: true };
    pub const NONE: Faults = Faults {
        crashes: false,
        full: false,
        io_errors: false,
        slow: false,
        clock: false,
        rot: false,
    };
}

/// A bug that is built in on purpose: the simulation must find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The disk skips one in so many syncs and says that it did not.
    SkipSync { one_in: u64 },
    /// Recovery takes a torn frame for a whole one.
    AcceptTornFrame,
    /// A reshard opens the children before it seals the parents.
    ChildrenBeforeSeal,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `None`: the seed decides.
    pub scenario: Option<Scenario>,
    pub faults: Faults,
    pub planted: Option<Planted>,
    /// Print every event to standard error.
    pub trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { scenario: None, faults: Faults::ALL, planted: None, trace: false }
    }
}

//! The operations of the control plane that may be called only so often, and how often.
//!
//! Source of all rates: model, "This operation has a limit of n transactions per second per
//! account" (per stream where [`ControlCall::per`] says so). Operations without such a sentence
//! have no rate.

use crate::bucket::PerSecond;

/// Who has a rate to himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// An account in a region.
    Account,
    Stream,
}

macro_rules! control_calls {
    ($($name:ident: $rate:literal per $per:ident;)*) => {
        /// An operation with a rate, by AWS's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ControlCall {
            $($name,)*
        }

        impl ControlCall {
            pub const ALL: &'static [ControlCall] = &[$(ControlCall::$name),*];

            /// AWS's name of the operation.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ControlCall::$name => stringify!($name),)*
                }
            }

            pub const fn per(self) -> Per {
                match self {
                    $(ControlCall::$name => Per::$per,)*
                }
            }

            /// AWS's rate.
            pub const fn rate(self) -> PerSecond {
                match self {
                    $(ControlCall::$name => PerSecond::of($rate),)*
                }
            }
        }
    };
}

control_calls! {
    AddTagsToStream: 5 per Account;
    CreateChannel: 5 per Account;
    CreateStream: 5 per Account;
    DeleteChannel: 5 per Account;
    DeleteStream: 5 per Account;
    DeregisterStreamConsumer: 5 per Stream;
    DescribeAccountSettings: 5 per Account;
    DescribeChannel: 5 per Account;
    DescribeLimits: 1 per Account;
    DescribeStream: 10 per Account;
    DescribeStreamConsumer: 20 per Stream;
    DescribeStreamSummary: 20 per Account;
    ListChannels: 5 per Account;
    ListShards: 1000 per Stream;
    ListStreamConsumers: 5 per Stream;
    ListStreams: 5 per Account;
    ListTagsForStream: 5 per Account;
    MergeShards: 5 per Account;
    RegisterStreamConsumer: 5 per Account;
    RemoveTagsFromStream: 5 per Account;
    SplitShard: 5 per Account;
    UpdateAccountSettings: 5 per Account;
    UpdateChannel: 5 per Account;
    UpdateShardCount: 10 per Account;
    UpdateStreamWarmThroughput: 5 per Account;
}

/// How many operations have rates.
pub(crate) const CONTROL_CALLS: usize = ControlCall::ALL.len();

/// How often each operation may be called per second; AWS's rates unless they are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRates([PerSecond; CONTROL_CALLS]);

impl Default for ControlRates {
    fn default() -> Self {
        ControlRates(std::array::from_fn(|at| ControlCall::ALL[at].rate()))
    }
}

impl ControlRates {
    pub fn set(&mut self, call: ControlCall, rate: PerSecond) {
        self.0[call as usize] = rate;
    }

    pub fn get(&self, call: ControlCall) -> PerSecond {
        self.0[call as usize]
    }
}

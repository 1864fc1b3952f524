//! The places where throughput and rates are held to their quotas.
//!
//! Every shard, stream, consumer and account has a budget of buckets; who wants something asks the
//! budget, which answers with an [`Admission`] or with a time to wait. Budgets are this process's
//! own and begin full. A request reads the clock once.
//!
//! Invariant: no locks and no allocation where records pass, unless something is exceeded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream_base::limits::{GET_RECORDS_BYTES_MAX, LARGE_RECORDS_BURST_BYTES};
use millstream_base::{Scope, StreamArn, StreamName, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::bucket::{Bucket, Cost, Debt, Moment, SECOND};
use crate::control_call::{CONTROL_CALLS, ControlCall, Per};
use crate::quotas::{QuotaMode, QuotaSettings, Quotas};

/// What a budget says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Admitted,
    /// Beyond the quota, which is only measured: goes on, and is counted.
    Exceeded,
    /// Beyond the quota: AWS's error, and counted.
    Refused,
}

impl QuotaMode {
    fn judge(self, within: impl FnOnce() -> bool) -> Admission {
        match self {
            QuotaMode::Off => Admission::Admitted,
            _ if within() => Admission::Admitted,
            QuotaMode::Measured => Admission::Exceeded,
            QuotaMode::Enforced => Admission::Refused,
        }
    }
}

/// One shard's budgets.
#[derive(Debug, Default)]
pub(crate) struct ShardBudget {
    write_records: Bucket,
    write_bytes: Bucket,
    large_records: Bucket,
    read_calls: Bucket,
    read_bytes: Debt,
    iterators: Bucket,
    /// By consumer.
    subscriptions: Mutex<BTreeMap<StreamName, Bucket>>,
}

/// Consumers whose calls a shard remembers before it forgets those that may call again.
const SUBSCRIBERS_MAX: usize = 100;

impl ShardBudget {
    /// Decides on the records of one request that go to this shard, in their order; `weights` are
    /// their bytes. Returns the places of those that are beyond the budget: none, mostly.
    pub(crate) fn admit_writes(
        &self,
        quotas: &Quotas,
        weights: impl Iterator<Item = usize> + Clone,
        now: Timestamp,
    ) -> Vec<usize> {
        if quotas.mode == QuotaMode::Off {
            return Vec::new();
        }
        let now = Moment::from(now);
        let (mut count, mut bytes, mut largest) = (0, 0, 0);
        for weight in weights.clone() {
            count += 1;
            bytes += weight as u64;
            largest = largest.max(weight);
        }
        // What fits as a whole fits one by one.
        if largest <= quotas.write_bytes.get() as usize
            && self.take_write(quotas, count, bytes, now)
        {
            return Vec::new();
        }
        let admitted = |weight| match weight as u64 {
            weight if weight > quotas.write_bytes.get().into() => {
                self.take_large(quotas, weight, now)
            }
            weight => self.take_write(quotas, 1, weight, now),
        };
        weights.enumerate().filter(|(_, weight)| !admitted(*weight)).map(|(at, _)| at).collect()
    }

    fn take_write(&self, quotas: &Quotas, records: u64, bytes: u64, now: Moment) -> bool {
        let records = quotas.write_records.cost_of(records);
        if !self.write_records.take(records, SECOND, now) {
            return false;
        }
        let taken = self.write_bytes.take(quotas.write_bytes.cost_of(bytes), SECOND, now);
        if !taken {
            self.write_records.give_back(records);
        }
        taken
    }

    /// A record of more than a second's bytes leaves them to the smaller ones.
    fn take_large(&self, quotas: &Quotas, bytes: u64, now: Moment) -> bool {
        let one = quotas.write_records.cost_of(1);
        if !self.write_records.take(one, SECOND, now) {
            return false;
        }
        let rate = quotas.large_record_bytes;
        let depth = rate.cost_of(LARGE_RECORDS_BURST_BYTES.into());
        let taken = self.large_records.take(rate.cost_of(bytes), depth, now);
        if !taken {
            self.write_records.give_back(one);
        }
        taken
    }

    /// Asks for one GetRecords call. What it gave out is told with [`ShardBudget::read`].
    pub(crate) fn admit_read(&self, quotas: &Quotas, now: Timestamp) -> Admission {
        let now = Moment::from(now);
        let one = quotas.read_calls.cost_of(1);
        quotas.mode.judge(|| {
            self.read_bytes.is_open(read_debt_max(quotas), now)
                && self.read_calls.take(one, SECOND, now)
        })
    }

    /// Takes note of what GetRecords gave out. After 10 MiB at once nobody is let in for 5 s, after
    /// less until it is paid off, and after less than a second's worth not at all.
    pub(crate) fn read(&self, quotas: &Quotas, bytes: u64, now: Timestamp) {
        if quotas.mode != QuotaMode::Off && bytes > 0 {
            let cost = quotas.read_bytes.cost_of(bytes);
            self.read_bytes.draw(cost, read_debt_max(quotas), now.into());
        }
    }

    /// Asks for one GetShardIterator call.
    pub(crate) fn admit_iterator(&self, quotas: &Quotas, now: Timestamp) -> Admission {
        let one = quotas.iterators.cost_of(1);
        quotas.mode.judge(|| self.iterators.take(one, SECOND, now.into()))
    }

    /// Asks for one SubscribeToShard call of a consumer's.
    pub(crate) fn admit_subscription(
        &self,
        quotas: &Quotas,
        consumer: &StreamName,
        now: Timestamp,
    ) -> Admission {
        let one = quotas.subscriptions.cost_of(1);
        quotas.mode.judge(|| {
            let mut subscriptions = self.subscriptions.lock();
            if subscriptions.len() >= SUBSCRIBERS_MAX {
                subscriptions.retain(|_, calls| !calls.is_full(now.into()));
            }
            subscriptions.entry(consumer.clone()).or_default().take(one, SECOND, now.into())
        })
    }
}

/// What a whole answer costs; also a single larger record's answer, and calls side by side.
fn read_debt_max(quotas: &Quotas) -> Cost {
    quotas.read_bytes.cost_of(GET_RECORDS_BYTES_MAX as u64)
}

/// How often operations were called on one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamBudget(CallBudget);

/// A bucket for every operation with a rate.
#[derive(Debug)]
struct CallBudget([Bucket; CONTROL_CALLS]);

impl Default for CallBudget {
    fn default() -> Self {
        CallBudget(std::array::from_fn(|_| Bucket::default()))
    }
}

/// Accounts that have budgets at the same time. Those that called nothing for a second are
/// forgotten first; if all are busy, all begin anew.
const ACCOUNTS_MAX: usize = 10_000;

/// The quotas of a node, and the budgets of its accounts.
#[derive(Debug)]
pub(crate) struct Throttle {
    settings: QuotaSettings,
    accounts: RwLock<BTreeMap<Scope, Arc<CallBudget>>>,
    /// Calls beyond their rate, by operation.
    calls_exceeded: [AtomicU64; CONTROL_CALLS],
    iterators_exceeded: AtomicU64,
}

impl Throttle {
    pub(crate) fn new(settings: QuotaSettings) -> Self {
        Throttle {
            settings,
            accounts: RwLock::default(),
            calls_exceeded: std::array::from_fn(|_| AtomicU64::new(0)),
            iterators_exceeded: AtomicU64::new(0),
        }
    }

    pub(crate) fn quotas(&self, stream: &StreamArn) -> &Quotas {
        self.settings.of(stream)
    }

    /// Bytes per second that one subscription to a shard of this stream may have. `None`: as many
    /// as it takes.
    pub(crate) fn subscription_rate(&self, stream: &StreamArn) -> Option<u32> {
        let quotas = self.quotas(stream);
        (quotas.mode == QuotaMode::Enforced).then(|| quotas.consumer_bytes.get())
    }

    /// Asks for one call of `scope`'s, if the operation's rate is an account's.
    pub(crate) fn admit_call(&self, scope: &Scope, call: ControlCall, now: Timestamp) -> Admission {
        let mode = self.settings.default.mode;
        if call.per() != Per::Account || mode == QuotaMode::Off {
            return Admission::Admitted;
        }
        self.judge(mode, &self.account(scope, now), call, now)
    }

    /// Asks for one call on a stream, if the operation's rate is a stream's.
    pub(crate) fn admit_stream_call(
        &self,
        stream: &StreamArn,
        budget: &StreamBudget,
        call: ControlCall,
        now: Timestamp,
    ) -> Admission {
        match call.per() {
            Per::Account => Admission::Admitted,
            Per::Stream => self.judge(self.quotas(stream).mode, &budget.0, call, now),
        }
    }

    fn judge(
        &self,
        mode: QuotaMode,
        budget: &CallBudget,
        call: ControlCall,
        now: Timestamp,
    ) -> Admission {
        let one = self.settings.control.get(call).cost_of(1);
        let admission = mode.judge(|| budget.0[call as usize].take(one, SECOND, now.into()));
        if admission != Admission::Admitted {
            self.calls_exceeded[call as usize].fetch_add(1, Ordering::Relaxed);
        }
        admission
    }

    /// Takes note of a GetShardIterator call beyond its rate.
    pub(crate) fn iterator_exceeded(&self) {
        self.iterators_exceeded.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls beyond their rate since the process started, refused or not, by operation.
    pub(crate) fn calls_exceeded(&self) -> Vec<(&'static str, u64)> {
        let n = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let calls = ControlCall::ALL.iter().zip(&self.calls_exceeded);
        let mut all: Vec<_> = calls.map(|(call, counter)| (call.name(), n(counter))).collect();
        all.push(("GetShardIterator", n(&self.iterators_exceeded)));
        all
    }

    fn account(&self, scope: &Scope, now: Timestamp) -> Arc<CallBudget> {
        if let Some(found) = self.accounts.read().get(scope) {
            return found.clone();
        }
        let mut accounts = self.accounts.write();
        if accounts.len() >= ACCOUNTS_MAX {
            accounts.retain(|_, budget| budget.0.iter().any(|b| !b.is_full(now.into())));
        }
        if accounts.len() >= ACCOUNTS_MAX {
            accounts.clear();
        }
        accounts.entry(scope.clone()).or_default().clone()
    }
}

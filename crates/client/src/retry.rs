//! When to try again, and after how long: the AWS SDKs' standard mode.
//!
//! An attempt that was throttled or did not come through is repeated after an exponential pause
//! with full jitter. A budget of tokens, shared by all calls of a client, ends the repeating when a
//! whole service is down: each retry takes tokens, each success gives some back.

use std::time::Duration;

use parking_lot::Mutex;

/// How often and how patiently a call is repeated.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Attempts of one call, the first included. Source: standard mode's default.
    pub attempts_max: u32,
    /// The longest pause before the second attempt; doubles with each further one.
    pub pause: Duration,
    /// The longest pause of all. Source: standard mode's `MAX_BACKOFF`.
    pub pause_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts_max: 3,
            pause: Duration::from_secs(1),
            pause_max: Duration::from_secs(20),
        }
    }
}

impl RetryPolicy {
    /// One attempt only: the caller repeats by itself.
    pub fn never() -> Self {
        RetryPolicy { attempts_max: 1, ..RetryPolicy::default() }
    }

    /// The pause before attempt `attempt + 1`, `chance` being any 64 random bits.
    pub fn pause_after(&self, attempt: u32, chance: u64) -> Duration {
        let doubled = self.pause.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let share = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        doubled.min(self.pause_max).mul_f64(share)
    }
}

/// What a failed attempt says about the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The service asks to slow down: the same call can succeed later.
    Throttled,
    /// The way or the server failed: the same call can succeed at once.
    Transient,
    /// The call itself is wrong.
    Call,
}

/// Source: the SDKs' shared list of throttling codes, and Kinesis's own of that kind.
const THROTTLING_CODES: [&str; 17] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "KMSThrottlingException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

const TRANSIENT_CODES: [&str; 4] =
    ["InternalFailure", "InternalServerError", "RequestTimeout", "RequestTimeoutException"];

const TRANSIENT_STATUSES: [u16; 4] = [500, 502, 503, 504];

impl Blame {
    /// Of an answer with this status and error code. A code on a record of PutRecords is judged
    /// with the status 200.
    pub fn of(status: u16, code: &str) -> Blame {
        if THROTTLING_CODES.contains(&code) || status == 429 {
            Blame::Throttled
        } else if TRANSIENT_STATUSES.contains(&status) || TRANSIENT_CODES.contains(&code) {
            Blame::Transient
        } else {
            Blame::Call
        }
    }
}

/// Tokens in a full budget. Source: standard mode.
const TOKENS_MAX: u32 = 500;
/// What a retry takes. Source: standard mode.
const RETRY_COST: u32 = 5;
/// What a retry after a timeout takes. Source: standard mode.
const TIMEOUT_COST: u32 = 10;
/// What a success without a retry gives back. Source: standard mode.
const SUCCESS_GAIN: u32 = 1;

/// The budget that all calls of a client share.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: Mutex<u32>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Budget { tokens: Mutex::new(TOKENS_MAX) }
    }

    /// Takes the price of one retry; `None` if the budget is spent.
    pub(crate) fn take(&self, after_timeout: bool) -> Option<u32> {
        let cost = if after_timeout { TIMEOUT_COST } else { RETRY_COST };
        let mut tokens = self.tokens.lock();
        *tokens = tokens.checked_sub(cost)?;
        Some(cost)
    }

    /// A call succeeded; `paid` is the price of its last retry, if it had one.
    pub(crate) fn give_back(&self, paid: Option<u32>) {
        let mut tokens = self.tokens.lock();
        *tokens = (*tokens + paid.unwrap_or(SUCCESS_GAIN)).min(TOKENS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_stop_at_the_bound() {
        let policy = RetryPolicy::default();
        let longest = |attempt| policy.pause_after(attempt, u64::MAX).as_secs_f64().round();
        assert_eq!([1, 2, 3, 5, 6, 40].map(longest), [1., 2., 4., 16., 20., 20.]);
        assert_eq!(policy.pause_after(3, 0), Duration::ZERO);
    }

    #[test]
    fn codes_and_statuses_tell_whom_to_blame() {
        for (status, code, blame) in [
            (400, "ProvisionedThroughputExceededException", Blame::Throttled),
            (400, "LimitExceededException", Blame::Throttled),
            (200, "InternalFailure", Blame::Transient),
            (500, "InternalFailure", Blame::Transient),
            (502, "", Blame::Transient),
            (429, "", Blame::Throttled),
            (400, "ResourceNotFoundException", Blame::Call),
            (403, "AccessDeniedException", Blame::Call),
            (501, "", Blame::Call),
        ] {
            assert_eq!(Blame::of(status, code), blame, "{status} {code}");
        }
    }

    #[test]
    fn a_spent_budget_ends_retries_until_calls_succeed() {
        let budget = Budget::new();
        let taken = std::iter::from_fn(|| budget.take(false)).count();
        assert_eq!(taken as u32, TOKENS_MAX / RETRY_COST);
        for _ in 0..RETRY_COST {
            assert_eq!(budget.take(false), None);
            budget.give_back(None);
        }
        assert_eq!(budget.take(false), Some(RETRY_COST));
    }
}

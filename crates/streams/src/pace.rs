//! How fast one subscription may be served: so many bytes per second, with debt.
//!
//! An event goes out whole, however large it is, and the next one waits until it is paid for. So
//! where events are cut does not hang on who reads them.

use std::time::Duration;

use tokio::time::Instant;

/// The budget of one subscription. One without a rate is always due.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: Option<u32>,
    /// When all that was sent is paid for.
    paid_at: Instant,
}

/// What a subscription that was waiting may send at once, as time.
const BURST: Duration = Duration::from_secs(1);

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<u32>, now: Instant) -> Self {
        Pace { bytes_per_second, paid_at: now }
    }

    /// When the next event may be sent.
    pub(crate) fn due(&self) -> Instant {
        self.paid_at.checked_sub(BURST).unwrap_or(self.paid_at)
    }

    pub(crate) fn spend(&mut self, bytes: usize, now: Instant) {
        let Some(rate) = self.bytes_per_second else { return };
        let price = Duration::from_secs_f64(bytes as f64 / f64::from(rate.max(1)));
        self.paid_at = self.paid_at.max(now) + price;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_goes_at_once_and_the_rest_at_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(1000), start);
        assert!(pace.due() <= start);
        pace.spend(1000, start);
        assert_eq!(pace.due(), start, "a second's worth was saved up");
        pace.spend(3000, start);
        assert_eq!(pace.due(), start + Duration::from_secs(3));
        let later = start + Duration::from_secs(60);
        pace.spend(1500, later);
        assert_eq!(pace.due(), later + Duration::from_millis(500), "nothing is saved for longer");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_everything_is_due() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        pace.spend(usize::MAX, start);
        assert!(pace.due() <= start);
    }
}

//! Pace of one app on this instance: the generic cell rate algorithm, one second's worth of burst.
//!
//! A batch is admitted whenever a single message would be, and its whole number is then owed: an app whose rate is
//! below the size of its batches is slowed to its rate, never starved.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const SECOND: u64 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Pace {
    per_second: u32,
    /// Uptime in ns at which everything admitted so far is paid off.
    paid_off: AtomicU64,
}

impl Pace {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self {
            per_second,
            paid_off: AtomicU64::new(0),
        }
    }

    pub(crate) const fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Admits `messages` at `now` (the clock's uptime), or says after how long to come back.
    pub(crate) fn take(&self, messages: u32, now: Duration) -> Result<(), Duration> {
        if self.per_second == 0 {
            return Err(Duration::from_secs(60));
        }
        let interval = SECOND / u64::from(self.per_second);
        let burst = SECOND - interval;
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let cost = interval * u64::from(messages);
        let mut seen = self.paid_off.load(Ordering::Relaxed);
        loop {
            let from = seen.max(now);
            if from - now > burst {
                return Err(Duration::from_nanos(from - now - burst));
            }
            match self.paid_off.compare_exchange_weak(
                seen,
                from + cost,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(1_000_000 + n)
    }

    #[test]
    fn a_second_of_burst_then_the_rate() {
        let pace = Pace::new(10);
        assert_eq!((0..20).filter(|_| pace.take(1, ms(0)).is_ok()).count(), 10);
        let wait = pace.take(1, ms(0)).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert!(pace.take(1, ms(100)).is_ok());
        assert!(pace.take(1, ms(100)).is_err());
    }

    #[test]
    fn a_batch_larger_than_the_rate_is_admitted_once_and_paid_off() {
        let pace = Pace::new(10);
        assert!(pace.take(100, ms(0)).is_ok());
        let wait = pace.take(1, ms(0)).unwrap_err();
        assert!(
            (Duration::from_secs(9)..Duration::from_secs(10)).contains(&wait),
            "{wait:?}"
        );
        assert!(pace.take(1, ms(9_200)).is_ok());
    }

    #[test]
    fn a_rate_of_nothing_admits_nothing() {
        assert!(Pace::new(0).take(1, ms(0)).is_err());
    }
}

//! Spacing of calls to a rate.

use std::time::Duration;

/// Generic cell rate algorithm: spaces admissions evenly, with a small burst.
#[derive(Clone, Debug, Default)]
pub struct Pacer {
    /// When the next one is due.
    due: Duration,
}

impl Pacer {
    /// Burst in seconds of the rate.
    const BURST: f64 = 0.1;

    /// Whether one more fits at `now`, at `rate` per second.
    #[must_use]
    pub fn fits(&self, now: Duration, rate: f64) -> bool {
        rate > 0.0
            && self.due <= now + Duration::from_secs_f64(Self::BURST.max(1.0 / rate) - 1.0 / rate)
    }

    /// Takes one.
    pub fn take(&mut self, now: Duration, rate: f64) {
        self.due = self.due.max(now) + Duration::from_secs_f64(1.0 / rate.max(1e-6));
    }
}

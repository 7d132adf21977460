//! Spacing of calls to a rate, and how many may be on their way to them.

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

/// How long the calls of a channel take, smoothed; unknown at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallTime {
    mean: Option<Duration>,
}

impl CallTime {
    /// Weight of the past against one call.
    const KEEP: u32 = 8;

    /// A call took so long.
    pub fn took(&mut self, elapsed: Duration) {
        let mean = self.mean.unwrap_or(elapsed);
        self.mean = Some((mean * (Self::KEEP - 1) + elapsed) / Self::KEEP);
    }

    /// Messages that find a place in a call while one is on its `way`: a message that set out only when it has its
    /// place would leave that place empty for as long as the way takes. `room` is the number of places, `rate` the
    /// most messages per second. Few for a vendor that answers slowly, none while nothing is known of it.
    #[must_use]
    pub fn ahead(&self, room: f64, rate: f64, way: Duration) -> f64 {
        let Some(mean) = self.mean else { return 0.0 };
        let ends_per_second = rate.min(room / mean.as_secs_f64().max(1e-3));
        (ends_per_second * way.as_secs_f64()).floor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_set_out_as_places_become_free_on_the_way() {
        let (mut time, way) = (CallTime::default(), Duration::from_millis(100));
        assert_eq!(time.ahead(30.0, 1_000.0, way), 0.0);
        time.took(Duration::from_millis(100));
        assert_eq!(time.ahead(30.0, 1_000.0, way), 30.0);
        assert_eq!(time.ahead(30.0, 200.0, way), 20.0);
        (0..100).for_each(|_| time.took(Duration::from_secs(5)));
        assert_eq!(time.ahead(30.0, 1_000.0, way), 0.0);
        (0..100).for_each(|_| time.took(Duration::ZERO));
        assert_eq!(time.ahead(30.0, 1_000.0, way), 100.0);
    }
}

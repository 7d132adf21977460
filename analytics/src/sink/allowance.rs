//! How many inserts may go out: each costs ClickHouse a part, whatever its size, and parts cost merges.

use std::time::Duration;

/// Refills at a rate, up to one second's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    per_second: f64,
    left: f64,
    at: Duration,
}

impl Allowance {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            left: per_second,
            at: Duration::ZERO,
        }
    }

    /// Inserts that may go out at `now`.
    pub(super) fn left(&mut self, now: Duration) -> usize {
        let more = now.saturating_sub(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + more).min(self.per_second);
        self.at = now;
        self.left.max(0.0) as usize
    }

    /// So many went out. More than were left delay the next ones, by a second at most.
    pub(super) fn take(&mut self, inserts: usize) {
        self.left = (self.left - inserts as f64).max(-self.per_second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_brings_its_rate_and_no_more_is_saved_up() {
        let mut a = Allowance::new(8);
        let at = Duration::from_millis;
        assert_eq!(a.left(at(0)), 8);
        a.take(8);
        assert_eq!(a.left(at(100)), 0);
        assert_eq!(a.left(at(500)), 4);
        a.take(4);
        assert_eq!(a.left(at(60_000)), 8);
        a.take(100);
        assert_eq!(a.left(at(61_000)), 0);
        assert_eq!(a.left(at(62_000)), 8);
    }
}

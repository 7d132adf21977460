//! How often something may be made anew before its fault is taken for a lasting one.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// When it was made anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewals(VecDeque<Instant>);

impl Renewals {
    /// So many times in [`Renewals::WINDOW`].
    pub(super) const TIMES: usize = 5;
    pub(super) const WINDOW: Duration = Duration::from_secs(600);

    /// Whether it may be made anew once more.
    pub(super) fn once_more(mut self, now: Instant) -> Option<Self> {
        self.0
            .retain(|at| now.saturating_duration_since(*at) < Self::WINDOW);
        (self.0.len() < Self::TIMES).then(|| {
            self.0.push_back(now);
            self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn making_anew_has_a_limit_that_time_lifts() {
        let mut renewals = Renewals::default();
        let begin = Instant::now();
        for n in 0..Renewals::TIMES {
            let at = begin + Duration::from_secs(n as u64);
            renewals = renewals.once_more(at).unwrap();
        }
        let soon = begin + Renewals::WINDOW - Duration::from_secs(1);
        assert!(renewals.clone().once_more(soon).is_none());
        let later = renewals.once_more(begin + Renewals::WINDOW).unwrap();
        assert_eq!(later.0.len(), Renewals::TIMES);
    }
}

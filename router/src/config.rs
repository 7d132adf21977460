//! `[router]`

use std::time::Duration;

use serde::Deserialize;

use crate::message::Deadlines;

/// Settings of the router.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// From a submit to giving up on its receipt.
    #[serde(with = "humantime_serde")]
    pub receipt_deadline: Duration,
    /// From a decision to taking it back when no sender claims it.
    #[serde(with = "humantime_serde")]
    pub claim_deadline: Duration,
    /// Half-life of the channel counts.
    #[serde(with = "humantime_serde")]
    pub health_half_life: Duration,
    /// How long a channel stays out after its account refused to send, unless the operator changes it.
    #[serde(with = "humantime_serde")]
    pub account_pause: Duration,
    /// How long a message that ended other than delivered waits for later evidence.
    #[serde(with = "humantime_serde")]
    pub correction_window: Duration,
    /// Work that is open for so long is kept in `state`, so that a takeover need not read back to its beginning.
    #[serde(with = "humantime_serde")]
    pub park_after: Duration,
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Config {
    pub(crate) fn deadlines(&self) -> Deadlines {
        Deadlines {
            receipt_ms: millis(self.receipt_deadline),
            claim_ms: millis(self.claim_deadline),
        }
    }

    pub(crate) fn half_life_ms(&self) -> i64 {
        millis(self.health_half_life)
    }

    pub(crate) fn account_pause_ms(&self) -> i64 {
        millis(self.account_pause)
    }

    pub(crate) fn park_after_ms(&self) -> i64 {
        millis(self.park_after)
    }

    pub(crate) fn correction_window_ms(&self) -> i64 {
        millis(self.correction_window)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_section_fits_the_struct() {
        #[derive(serde::Deserialize)]
        struct Root {
            router: super::Config,
        }
        let root: Root = toml::from_str(include_str!("config.default.toml")).unwrap();
        assert_eq!(root.router.receipt_deadline.as_secs(), 72 * 3600);
    }
}

//! Lanes keep login codes, notices and campaigns apart all the way through.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The class of a message; it decides priority, deadline and what an uncertain attempt leads to.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Login codes: seconds matter; an uncertain attempt may be sent once more elsewhere.
    Otp,
    /// Order and account notices: an uncertain attempt waits for its receipt.
    Notice,
    /// Campaigns: never resent.
    Marketing,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Notice, Self::Marketing];

    /// `otp`, `notice` or `marketing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Notice => "notice",
            Self::Marketing => "marketing",
        }
    }

    /// Position in [`Lane::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// How many attempts whose fate is unknown a message may have behind it when one more is started.
    #[must_use]
    pub const fn unknown_allowed(self) -> usize {
        match self {
            Self::Otp => 1,
            Self::Notice | Self::Marketing => 0,
        }
    }

    /// Part of a channel's rate that the lane may use, so that login codes always find room.
    #[must_use]
    pub const fn rate_part(self) -> f64 {
        match self {
            Self::Otp => 1.0,
            Self::Notice => 0.95,
            Self::Marketing => 0.8,
        }
    }

    /// How long a sender may hold a message for a busy channel before it gives it back, in milliseconds.
    #[must_use]
    pub const fn send_budget_ms(self) -> u64 {
        match self {
            Self::Otp => 200,
            Self::Notice | Self::Marketing => 2_000,
        }
    }

    /// Validity of a message that names none.
    #[must_use]
    pub const fn default_validity_ms(self) -> i64 {
        match self {
            Self::Otp => 5 * 60_000,
            Self::Notice => 60 * 60_000,
            Self::Marketing => 12 * 3_600_000,
        }
    }

    /// How long message ids are remembered; no validity may exceed it.
    #[must_use]
    pub const fn id_window_ms(self) -> i64 {
        match self {
            Self::Otp => 3_600_000,
            Self::Notice | Self::Marketing => 24 * 3_600_000,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Lane {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|lane| lane.as_str() == s)
            .ok_or(())
    }
}

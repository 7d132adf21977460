//! The logical topics and what each must look like on a broker.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Lane;

/// A logical topic; on the broker the prefix of the installation stands before the name.
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
pub enum Topic {
    /// Login codes to route.
    #[serde(rename = "requests.otp")]
    RequestsOtp,
    /// Notices to route.
    #[serde(rename = "requests.notice")]
    RequestsNotice,
    /// Campaign messages to route.
    #[serde(rename = "requests.marketing")]
    RequestsMarketing,
    /// Routed login codes.
    #[serde(rename = "dispatch.otp")]
    DispatchOtp,
    /// Routed notices.
    #[serde(rename = "dispatch.notice")]
    DispatchNotice,
    /// Routed campaign messages.
    #[serde(rename = "dispatch.marketing")]
    DispatchMarketing,
    /// Claims and results of vendor calls.
    #[serde(rename = "attempts")]
    Attempts,
    /// Receipts as vendors reported them.
    #[serde(rename = "receipts.raw")]
    ReceiptsRaw,
    /// Receipts joined with their attempts.
    #[serde(rename = "receipts")]
    Receipts,
    /// How messages ended.
    #[serde(rename = "outcomes")]
    Outcomes,
    /// Messages from handsets.
    #[serde(rename = "inbound")]
    Inbound,
    /// Open work of the router beyond a few minutes; private to it.
    #[serde(rename = "state")]
    State,
    /// Recipients who may not be written to.
    #[serde(rename = "suppressions")]
    Suppressions,
    /// Apps, channels, signatures and templates.
    #[serde(rename = "directory")]
    Directory,
    /// What each partition has seen of each channel.
    #[serde(rename = "health")]
    Health,
    /// Records that could not be handled.
    #[serde(rename = "dead-letters")]
    DeadLetters,
}

/// What a topic's records are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Deleted after this many days.
    Delete {
        /// Age in days.
        days: u32,
    },
    /// The last record of each key stays. A record is not compacted earlier than `min_lag_ms` after it was written.
    Compact {
        /// In milliseconds.
        min_lag_ms: i64,
    },
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 16] = [
        Self::RequestsOtp,
        Self::RequestsNotice,
        Self::RequestsMarketing,
        Self::DispatchOtp,
        Self::DispatchNotice,
        Self::DispatchMarketing,
        Self::Attempts,
        Self::ReceiptsRaw,
        Self::Receipts,
        Self::Outcomes,
        Self::Inbound,
        Self::State,
        Self::Suppressions,
        Self::Directory,
        Self::Health,
        Self::DeadLetters,
    ];

    /// The name without the installation's prefix.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestsOtp => "requests.otp",
            Self::RequestsNotice => "requests.notice",
            Self::RequestsMarketing => "requests.marketing",
            Self::DispatchOtp => "dispatch.otp",
            Self::DispatchNotice => "dispatch.notice",
            Self::DispatchMarketing => "dispatch.marketing",
            Self::Attempts => "attempts",
            Self::ReceiptsRaw => "receipts.raw",
            Self::Receipts => "receipts",
            Self::Outcomes => "outcomes",
            Self::Inbound => "inbound",
            Self::State => "state",
            Self::Suppressions => "suppressions",
            Self::Directory => "directory",
            Self::Health => "health",
            Self::DeadLetters => "dead-letters",
        }
    }

    /// Where requests of `lane` wait to be routed.
    #[must_use]
    pub const fn requests(lane: Lane) -> Self {
        match lane {
            Lane::Otp => Self::RequestsOtp,
            Lane::Notice => Self::RequestsNotice,
            Lane::Marketing => Self::RequestsMarketing,
        }
    }

    /// Where routed messages of `lane` wait to be sent.
    #[must_use]
    pub const fn dispatch(lane: Lane) -> Self {
        match lane {
            Lane::Otp => Self::DispatchOtp,
            Lane::Notice => Self::DispatchNotice,
            Lane::Marketing => Self::DispatchMarketing,
        }
    }

    /// The lane of a `requests.*` or `dispatch.*` topic.
    #[must_use]
    pub const fn lane(self) -> Option<Lane> {
        match self {
            Self::RequestsOtp | Self::DispatchOtp => Some(Lane::Otp),
            Self::RequestsNotice | Self::DispatchNotice => Some(Lane::Notice),
            Self::RequestsMarketing | Self::DispatchMarketing => Some(Lane::Marketing),
            _ => None,
        }
    }

    /// One partition only: the offset in it is a version.
    #[must_use]
    pub const fn is_single_partition(self) -> bool {
        matches!(self, Self::Directory | Self::Health)
    }

    /// How the broker cleans the topic up.
    #[must_use]
    pub const fn cleanup(self) -> Cleanup {
        const DAY_MS: i64 = 86_400_000;
        match self {
            Self::Directory => Cleanup::Compact {
                min_lag_ms: 30 * DAY_MS,
            },
            Self::State | Self::Suppressions => Cleanup::Compact { min_lag_ms: 0 },
            Self::DeadLetters => Cleanup::Delete { days: 30 },
            _ => Cleanup::Delete { days: 7 },
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Topic {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|topic| topic.as_str() == s)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_names_equal_the_topic_names() {
        for topic in Topic::ALL {
            let json = serde_json::to_string(&topic).unwrap();
            assert_eq!(json, format!("\"{topic}\""));
            assert_eq!(topic.as_str().parse::<Topic>(), Ok(topic));
        }
    }
}

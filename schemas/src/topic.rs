//! The logical topics and what each must look like on a broker.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Lane;

/// A logical topic; its physical name is the prefix of the installation plus [`Topic::as_str`].
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
    #[serde(rename = "requests.otp")]
    RequestsOtp,
    #[serde(rename = "requests.notice")]
    RequestsNotice,
    #[serde(rename = "requests.marketing")]
    RequestsMarketing,
    #[serde(rename = "dispatch.otp")]
    DispatchOtp,
    #[serde(rename = "dispatch.notice")]
    DispatchNotice,
    #[serde(rename = "dispatch.marketing")]
    DispatchMarketing,
    #[serde(rename = "attempts")]
    Attempts,
    #[serde(rename = "receipts.raw")]
    ReceiptsRaw,
    #[serde(rename = "receipts")]
    Receipts,
    #[serde(rename = "outcomes")]
    Outcomes,
    #[serde(rename = "inbound")]
    Inbound,
    #[serde(rename = "state")]
    State,
    #[serde(rename = "suppressions")]
    Suppressions,
    #[serde(rename = "directory")]
    Directory,
    #[serde(rename = "health")]
    Health,
    #[serde(rename = "dead-letters")]
    DeadLetters,
}

/// What a topic's records are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Deleted after this many days.
    Delete { days: u32 },
    /// The last record of each key stays. A record is not compacted earlier than `min_lag_ms` after it was written.
    Compact { min_lag_ms: i64 },
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

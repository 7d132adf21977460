//! What each topic's settings must be on the broker.

use std::collections::BTreeMap;

use jixinda_schemas::{Topic, topic::Cleanup};

const MIB: i64 = 1024 * 1024;

/// How one setting of a topic is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// This and nothing else.
    Exactly(String),
    /// This number or more; -1 is without end.
    AtLeast(i64),
    /// This number or less.
    AtMost(i64),
}

impl Want {
    pub(super) fn value(&self) -> String {
        match self {
            Self::Exactly(value) => value.clone(),
            Self::AtLeast(n) | Self::AtMost(n) => n.to_string(),
        }
    }

    pub(super) fn fits(&self, found: &str) -> bool {
        match self {
            Self::Exactly(value) => found == value,
            Self::AtLeast(want) => found.parse::<i64>().is_ok_and(|n| n == -1 || n >= *want),
            Self::AtMost(want) => found.parse::<i64>().is_ok_and(|n| n <= *want),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Exactly(value) => value.clone(),
            Self::AtLeast(n) => format!("{n} or more"),
            Self::AtMost(n) => format!("{n} or less"),
        }
    }
}

/// The settings of a topic.
pub(super) fn wanted(topic: Topic, replication: i32) -> BTreeMap<&'static str, Want> {
    let exactly = |text: &str| Want::Exactly(text.to_owned());
    let mut settings = BTreeMap::from([
        ("message.timestamp.type", exactly("LogAppendTime")),
        ("max.message.bytes", Want::AtLeast(MIB)),
    ]);
    match topic.cleanup() {
        Cleanup::Delete { days } => {
            settings.insert("cleanup.policy", exactly("delete"));
            settings.insert("retention.ms", Want::AtLeast(i64::from(days) * 86_400_000));
            settings.insert("retention.bytes", exactly("-1"));
        }
        Cleanup::Compact { min_lag_ms } => {
            settings.insert("cleanup.policy", exactly("compact"));
            settings.insert("min.compaction.lag.ms", Want::AtLeast(min_lag_ms));
        }
    }
    if topic == Topic::State {
        // A takeover reads all of it, so it must stay short.
        settings.insert("segment.bytes", Want::AtMost(64 * MIB));
        settings.insert("max.compaction.lag.ms", Want::AtMost(600_000));
        // Longer than any takeover reads: a tombstone that is gone sooner would let its copy come back.
        settings.insert("delete.retention.ms", Want::AtLeast(86_400_000));
    }
    if replication >= 3 {
        settings.insert("min.insync.replicas", Want::AtLeast(2));
        settings.insert("unclean.leader.election.enable", exactly("false"));
    }
    settings
}

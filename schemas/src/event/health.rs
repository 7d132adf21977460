//! `health`: what the owner of a partition has seen of each channel. Additive: the health of a cell is the sum over
//! partitions of the newest report of each.

use serde::{Deserialize, Serialize};

use crate::{ChannelId, Lane, Timestamp, WriterId};

/// Payload of `health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HealthReport {
    /// Message partition that the cells are about.
    pub partition: i32,
    /// Owner of that partition.
    pub writer: WriterId,
    /// The counts are decayed to this instant.
    pub at: Timestamp,
    /// Changed cells; once a minute all live ones.
    pub cells: Vec<HealthCell>,
}

/// Decayed counts of one channel in one lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HealthCell {
    /// The channel.
    pub channel: ChannelId,
    /// The lane.
    pub lane: Lane,
    /// Attempts whose receipt says delivered.
    pub delivered: f64,
    /// Attempts whose receipt blames the channel, and submit errors whose blame is the channel.
    pub failed: f64,
    /// Accepted attempts without receipt, each counted by how overdue it is, 0 to 1.
    pub overdue: f64,
    /// Sum over delivered attempts of the seconds from submit to receipt.
    pub latency_seconds: f64,
}

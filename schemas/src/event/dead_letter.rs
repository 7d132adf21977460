//! `dead_letter`: a record that could not be handled, kept whole.

use serde::{Deserialize, Serialize};

use crate::{Position, Reason, Timestamp};

/// Payload of `dead_letter`, on `dead-letters`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeadLetter {
    /// Where the record stands; absent for what came by HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Position>,
    /// Stable code of what was wrong.
    pub reason: Reason,
    /// What exactly was wrong; never a secret.
    pub detail: String,
    /// Role and step that gave up, such as `router.validate`.
    pub step: String,
    /// When it was given up, by the clock of the role that did.
    pub at: Timestamp,
    /// Channel of a receipt that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<crate::ChannelId>,
    /// Record key in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Record value or body in base64.
    pub value: String,
    /// Headers of the record, lossily as text.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

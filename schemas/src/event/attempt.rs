//! The life of an attempt, on `attempts`: claimed, called, answered.

use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, CallId, ChannelId, Lane, Phone, Timestamp,
    vendor::{Blame, Disposition},
};

/// Payload of `attempt_started`: written ahead of the vendor call; it claims (message, n).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptStarted {
    pub n: u16,
    pub attempt_id: AttemptId,
    pub lane: Lane,
    pub recipient: Phone,
    pub channel: ChannelId,
    pub vendor: String,
    /// The vendor call; a batch call has several attempts.
    pub call_id: CallId,
    pub started_at: Timestamp,
}

/// Payload of `attempt_not_started`: claims (message, n) and gives the message back undecided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptNotStarted {
    pub n: u16,
    pub attempt_id: AttemptId,
    pub lane: Lane,
    pub channel: ChannelId,
    pub cause: NotStartedCause,
    /// The channel asks for this pause, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
}

/// Why a routed message was not sent on its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotStartedCause {
    /// No rate or concurrency within the lane's budget.
    Capacity,
    /// `not_after` passed.
    Expired,
    /// The channel is disabled, unknown, or has no usable credentials.
    ChannelUnavailable,
    /// The router took the decision back.
    Withdrawn,
}

/// Payload of `attempt_finished`: what is known of the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptFinished {
    pub n: u16,
    pub attempt_id: AttemptId,
    pub lane: Lane,
    pub recipient: Phone,
    pub channel: ChannelId,
    pub call_id: CallId,
    pub result: AttemptResult,
    /// When the call began; absent when none was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// How long the vendor took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u32>,
}

/// Result of a vendor call for one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AttemptResult {
    /// The vendor took it.
    Accepted {
        /// The vendor's id of the message or call.
        vendor_id: String,
    },
    /// The vendor documents this answer as not accepted, or no byte reached it.
    Rejected {
        disposition: Disposition,
        blame: Blame,
        /// The vendor's code, or `connect` when it was not reached.
        vendor_code: String,
        /// The vendor's words, cut to 200 characters, numbers masked.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
        /// The vendor asks for this pause, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u32>,
    },
    /// It cannot be known whether the vendor took it.
    Unknown {
        /// What happened, such as `timeout`, `http_502`, `owner_died`.
        detail: String,
    },
    /// The claim was won, but too late to call.
    NotCalled,
}

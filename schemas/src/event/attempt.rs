//! The life of an attempt, on `attempts`: claimed, called, answered.

use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, CallId, ChannelId, Lane, Phone, Timestamp,
    vendor::{Blame, Disposition},
};

/// Payload of `attempt_started`: written ahead of the vendor call; it claims (message, n).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptStarted {
    /// Number of the decision, from 1.
    pub n: u16,
    /// Follows from the message and `n`.
    pub attempt_id: AttemptId,
    /// Lane of the message.
    pub lane: Lane,
    /// In E.164; also the record key.
    pub recipient: Phone,
    /// The channel that is called.
    pub channel: ChannelId,
    /// Vendor kind, such as `aliyun`.
    pub vendor: String,
    /// The vendor call; a batch call has several attempts.
    pub call_id: CallId,
    /// The sender's clock when it wrote the claim.
    pub started_at: Timestamp,
}

/// Payload of `attempt_not_started`: claims (message, n) and gives the message back undecided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptNotStarted {
    /// Number of the decision, from 1.
    pub n: u16,
    /// Follows from the message and `n`.
    pub attempt_id: AttemptId,
    /// Lane of the message.
    pub lane: Lane,
    /// The channel that it was routed to.
    pub channel: ChannelId,
    /// Why it was not sent.
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
    /// Number of the decision, from 1.
    pub n: u16,
    /// Follows from the message and `n`.
    pub attempt_id: AttemptId,
    /// Lane of the message.
    pub lane: Lane,
    /// In E.164; also the record key.
    pub recipient: Phone,
    /// The channel that was called.
    pub channel: ChannelId,
    /// The vendor call; a batch call has several attempts.
    pub call_id: CallId,
    /// What the call led to.
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
        /// What follows.
        disposition: Disposition,
        /// Whose fault it is.
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

//! `routed`: the router chose a channel. Self-contained, so that a sender needs nothing else, and explained.

use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, ChannelId, Lane, Phone, Position, SignatureId, TemplateId, Timestamp,
    template::Content,
};

/// Payload of `routed`, on `dispatch.{otp,notice,marketing}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Routed {
    /// Number of the decision for this message, from 1; it always grows.
    pub n: u16,
    /// Follows from the message and `n`.
    pub attempt_id: AttemptId,
    /// Where the request stands; with the message id it is unique.
    pub request: Position,
    /// Lane of the message.
    pub lane: Lane,
    /// In E.164; also the record key.
    pub recipient: Phone,
    /// The channel that was chosen.
    pub channel: ChannelId,
    /// Vendor kind, such as `aliyun`.
    pub vendor: String,
    /// Sender pool that serves the channel.
    pub pool: String,
    /// Template of the message.
    pub template: TemplateId,
    /// Signature of the message.
    pub signature: SignatureId,
    /// Signature as the vendor knows it, without brackets.
    pub sign_name: String,
    /// What the vendor is given.
    pub content: Content,
    /// Rendered text, signature included.
    pub text: String,
    /// Billed segments of that text, as this platform counts them.
    pub segments: u32,
    /// Price of all segments, in millionths.
    pub price_micros: u64,
    /// No call after this instant.
    pub not_after: Timestamp,
    /// Offset of the directory that was used.
    pub directory_offset: i64,
    /// Offset of `health` that was used; -1 when none was read yet.
    pub health_offset: i64,
    /// Seed of the random stream of the decision.
    pub seed: u64,
    /// The router's clock when it decided.
    pub decided_at: Timestamp,
    /// Every channel and what spoke for or against it.
    pub considered: Vec<Considered>,
}

/// One channel in a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Considered {
    /// The channel.
    pub channel: ChannelId,
    /// What excluded it; absent for candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Share of the draw, 0 to 1; absent when a gate excluded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Delivered rate that the score is based on, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_rate: Option<f64>,
}

/// What excluded a channel from a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The operator switched it off.
    Disabled,
    /// The operator gives it nothing new.
    Drained,
    /// Another channel is pinned.
    NotPinned,
    /// Does not carry this lane or country.
    Unreachable,
    /// The template has no approved code there.
    TemplateNotMapped,
    /// The signature is not approved there.
    SignatureNotMapped,
    /// A value cannot be expressed in the channel's form.
    ContentForm,
    /// This message was already tried there.
    Tried,
    /// The account cannot send.
    Account,
    /// Too many submit errors; probing later.
    Breaker,
    /// No free rate or concurrency now.
    Capacity,
    /// A channel of better priority can take it.
    Priority,
}

impl Gate {
    /// Whether waiting may open it.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Disabled
                | Self::Drained
                | Self::NotPinned
                | Self::Account
                | Self::Breaker
                | Self::Capacity
                | Self::Priority
        )
    }
}

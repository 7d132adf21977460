//! `outcome`: how a message ended; exactly one for each. `outcome_corrected`: later evidence.

use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, CallId, ChannelId, Lane, Phone, Position, Reason, SignatureId, TemplateId,
    Timestamp, phone::Carrier,
};

/// The six ways a message ends.
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
pub enum Terminal {
    /// A receipt says that the handset has it.
    Delivered,
    /// A receipt says that it did not arrive.
    Undelivered,
    /// Every allowed attempt was definitely refused.
    Failed,
    /// The request itself was refused: it never reached a vendor.
    Rejected,
    /// Its validity ended before a vendor took it.
    Expired,
    /// A vendor has or may have it, and no receipt came in time.
    Unknown,
}

impl Terminal {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Delivered,
        Self::Undelivered,
        Self::Failed,
        Self::Rejected,
        Self::Expired,
        Self::Unknown,
    ];

    /// Lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
        }
    }
}

/// Payload of `outcome`, on `outcomes`. Self-contained: analytics needs nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Outcome {
    pub outcome: Terminal,
    pub reason: Reason,
    /// Which field or value was refused, for `rejected`; never a secret or a full number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// 0 for the outcome, then one more for each correction.
    #[serde(default)]
    pub seq: u32,
    /// Where the request stands.
    pub request: Position,
    /// Broker time of the request.
    pub accepted_at: Timestamp,
    pub lane: Lane,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Phone>,
    pub carrier: Carrier,
    /// `CN` or `INTL`.
    pub region: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// In order; the last one that may have been taken decides.
    #[serde(default)]
    pub attempts: Vec<AttemptSummary>,
    /// The router's clock when it wrote this.
    pub ended_at: Timestamp,
}

/// Payload of `outcome_corrected`, on `outcomes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OutcomeCorrected {
    /// As it stood.
    pub previous: Outcome,
    /// As it stands now; `seq` is one more.
    pub current: Outcome,
}

/// What is known of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptSummary {
    pub n: u16,
    pub attempt_id: AttemptId,
    pub channel: ChannelId,
    pub vendor: String,
    pub state: AttemptState,
    /// The vendor's or carrier's last code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    pub segments: u32,
    /// Price of all segments, in millionths; 0 unless the vendor took it.
    pub cost_micros: u64,
    pub routed_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// When the vendor's answer was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When the deciding receipt came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_at: Option<Timestamp>,
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// Decided, not claimed.
    Routed,
    /// Given back unsent.
    NotStarted,
    /// Claimed for a call.
    Started,
    /// The claim was won too late; no call was made.
    NotCalled,
    /// The vendor took it; no final receipt yet.
    Accepted,
    /// The vendor definitely refused it.
    Rejected,
    /// It cannot be known.
    Unknown,
    /// Receipt: it arrived.
    Delivered,
    /// Receipt: it did not arrive.
    Undelivered,
}

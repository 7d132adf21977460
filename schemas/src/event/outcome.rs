//! `outcome`: how a message ended; exactly one for each. `outcome_corrected`: later evidence.

use serde::{Deserialize, Serialize};

use super::RedriveOf;
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
    /// How it ended.
    pub outcome: Terminal,
    /// Stable code of why.
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
    /// Lane of the topic that the request came on.
    pub lane: Lane,
    /// In E.164; absent when the request named none that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Phone>,
    /// Who first issued the number.
    pub carrier: Carrier,
    /// Country that issued the number (ISO 3166-1 alpha-2), or `INTL`.
    pub region: String,
    /// Template that the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateId>,
    /// Signature that was used or named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureId>,
    /// Campaign that the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// The message that this one was sent again for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive_of: Option<RedriveOf>,
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
    /// Number of the decision, from 1.
    pub n: u16,
    /// Follows from the message and `n`.
    pub attempt_id: AttemptId,
    /// The channel it was routed to.
    pub channel: ChannelId,
    /// Vendor kind, such as `aliyun`.
    pub vendor: String,
    /// Where it stands.
    pub state: AttemptState,
    /// The vendor's or carrier's last code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The vendor call; absent when none was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// The vendor's id of the message or call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// Billed segments, as this platform counts them.
    pub segments: u32,
    /// Price of all segments, in millionths; 0 unless the vendor took it.
    pub cost_micros: u64,
    /// The router's clock when it decided.
    pub routed_at: Timestamp,
    /// The sender's clock when it wrote the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the call began.
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

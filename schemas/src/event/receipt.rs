//! Receipts: `raw_receipt` as a vendor reported it, `receipt` joined with its attempt.

use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, ChannelId, Phone, Timestamp,
    vendor::{Blame, ReceiptStatus},
};

/// Payload of `raw_receipt`, on `receipts.raw`: one item of a vendor's report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RawReceipt {
    /// The channel that the vendor reported on.
    pub channel: ChannelId,
    /// Vendor kind, such as `aliyun`.
    pub vendor: String,
    /// In E.164; also the record key.
    pub recipient: Phone,
    /// What the vendor echoed of ours: the call id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<String>,
    /// The vendor's id of the message or call, where the report has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// Number of the part, from 1, where the vendor reports parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u16>,
    /// How many parts there are, where the vendor says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u16>,
    /// What it says, in words common to all vendors.
    pub status: ReceiptStatus,
    /// The vendor's or carrier's code, unchanged.
    pub code: String,
    /// Whose fault a failure is, by the vendor's catalogue; absent for good news and for unknown codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// Segments that the vendor billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u32>,
    /// When it happened by the vendor's clock; stored, never used for timers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_at: Option<Timestamp>,
    /// When it came in, by the clock of the role that took it.
    pub received_at: Timestamp,
    /// The item as it came.
    pub raw: serde_json::Value,
}

/// Payload of `receipt`, on `receipts`: a receipt that fits an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Receipt {
    /// Number of the decision, from 1.
    pub n: u16,
    /// Follows from the message and `n`.
    pub attempt_id: AttemptId,
    /// The channel of the attempt.
    pub channel: ChannelId,
    /// In E.164; also the record key.
    pub recipient: Phone,
    /// What it says, in words common to all vendors.
    pub status: ReceiptStatus,
    /// The vendor's or carrier's code, unchanged.
    pub code: String,
    /// The vendor's id of the message or call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// Number of the part that it speaks of, where the vendor reports parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u16>,
    /// How many parts there are, where the vendor says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u16>,
    /// When it came in.
    pub received_at: Timestamp,
    /// When it happened by the vendor's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_at: Option<Timestamp>,
}

//! Receipts: `raw_receipt` as a vendor reported it, `receipt` joined with its attempt.

use serde::{Deserialize, Serialize};

use crate::{AttemptId, ChannelId, Phone, Timestamp, vendor::ReceiptStatus};

/// Payload of `raw_receipt`, on `receipts.raw`: one item of a vendor's report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RawReceipt {
    pub channel: ChannelId,
    pub vendor: String,
    pub recipient: Phone,
    /// What the vendor echoed of ours: the call id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// Number of the part, from 1, where the vendor reports parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u16>,
    /// How many parts there are, where the vendor says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u16>,
    pub status: ReceiptStatus,
    /// The vendor's or carrier's code, unchanged.
    pub code: String,
    /// Segments that the vendor billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u32>,
    /// When it happened by the vendor's clock; stored, never used for timers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_at: Option<Timestamp>,
    pub received_at: Timestamp,
    /// The item as it came.
    pub raw: serde_json::Value,
}

/// Payload of `receipt`, on `receipts`: a receipt that fits an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Receipt {
    pub n: u16,
    pub attempt_id: AttemptId,
    pub channel: ChannelId,
    pub recipient: Phone,
    pub status: ReceiptStatus,
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    pub received_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_at: Option<Timestamp>,
}
